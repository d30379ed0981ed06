//! Mounts: a blob of another repository, or of any, is linked; where there is none the answer is an upload, which some
//! clients go on with and some cancel.

use std::sync::Arc;

use super::ask::Ask;
use super::client::Client;
use super::uploads::{Session, Step};

impl Client {
    /// Mounts a layer.
    pub(super) async fn mount(&mut self) -> bool {
        let library = Arc::clone(&self.work().library);
        let (Some(repository), Some(from), Some(blob)) =
            (self.any(&library.repositories), self.any(&library.repositories), self.any(&library.layers))
        else {
            return false;
        };
        let from = (!self.chance(20)).then_some(from);
        let reply = self.insist(&Ask::mount(&repository, &blob, from.as_deref())).await;
        let Some(mut session) = Session::begun(&repository, &reply) else {
            return reply.is_ok_and(|answer| answer.status == 201);
        };
        if self.chance(40) {
            return matches!(self.cancel(&mut session).await, Step::Gone);
        }
        let mut tries = self.tries();
        loop {
            let node = self.next_node();
            match self.finish(node, &mut session, &blob).await {
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
