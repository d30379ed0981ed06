//! docker: HEAD, POST, one PATCH that streams the whole blob in the chunks of the transfer encoding, PUT without a
//! body. When anything fails the blob is pushed anew, in a session of its own; the old session is left alone.

use std::sync::Arc;

use super::super::client::Client;
use super::super::content::Blob;
use super::super::uploads::Step;

impl Client {
    pub(super) async fn push_blob_docker(&mut self, repository: &Arc<str>, blob: &Arc<Blob>) -> bool {
        if self.has_blob(repository, blob).await {
            return true;
        }
        let mut tries = self.tries();
        loop {
            let Some(mut session) = self.begin_upload(repository, blob).await else { return false };
            let mut step = self.stream(&mut session, blob).await;
            if let Step::Stands = step {
                let node = self.next_node();
                step = self.finish(node, &mut session, blob).await;
            }
            match step {
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
