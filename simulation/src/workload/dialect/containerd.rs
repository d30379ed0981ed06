//! containerd: HEAD, POST, one PUT with the whole blob. It repeats the PUT in the same session when the answer was lost:
//! the session was ended by the first one then, and the answer must be the same.

use std::sync::Arc;

use super::super::client::Client;
use super::super::content::Blob;
use super::super::uploads::Step;

impl Client {
    pub(super) async fn push_blob_containerd(&mut self, repository: &Arc<str>, blob: &Arc<Blob>) -> bool {
        if self.has_blob(repository, blob).await {
            return true;
        }
        let Some(mut session) = self.begin_upload(repository, blob).await else { return false };
        let mut tries = self.tries();
        loop {
            let node = self.next_node();
            match self.finish(node, &mut session, blob).await {
                Step::Published => return true,
                Step::Stands | Step::Gone => return false,
                Step::Failed(reply) => {
                    if !self.again(&mut tries, &reply).await {
                        return false;
                    }
                }
            }
        }
    }
}
