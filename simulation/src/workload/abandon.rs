//! Uploads that come to nothing: begun, perhaps with some bytes, then cancelled or left alone.

use std::sync::Arc;

use super::client::Client;
use super::uploads::Step;

/// Share of the uploads that are cancelled, in percent; the others are left alone.
const CANCELLED_PERCENT: u8 = 60;

impl Client {
    /// Begins an upload and does not end it.
    pub(super) async fn abandon(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(blob)) = (self.any(&library.repositories), self.any(&library.layers)) else {
            return false;
        };
        let Some(mut session) = self.begin_upload(&repository, &blob).await else { return false };
        if self.chance(70) && blob.content.len() > 2 {
            let node = self.any_node();
            let end = blob.content.len().div_ceil(2).max(2);
            self.chunk(node, &mut session, &blob, 0..end).await;
        }
        if !self.chance(CANCELLED_PERCENT) {
            return true;
        }
        matches!(self.cancel(&mut session).await, Step::Gone)
    }
}
