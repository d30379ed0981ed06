//! Tells the cluster now and then how far this node's log is: number and hash of its newest record. Whoever cuts off the end
//! of the log, or writes all of it anew, would have to change the directory on a quorum of nodes too.

use std::sync::Arc;
use std::time::Duration;

use raft::directory::{AuditHead, Command, Response};
use raft::id::{NodeId, RequestId};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

use super::log::Head;
use crate::deletion::DirectoryRecords;
use crate::environment::Entropy;

/// Time between two tellings. What was written since the last one could be cut off unnoticed, once the node is stopped.
const INTERVAL: Duration = Duration::from_mins(5);

/// Pause before one that has failed is repeated.
const RETRY: Duration = Duration::from_secs(30);

/// Tells the cluster.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    pub(super) directory: Arc<dyn DirectoryRecords>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) node: u64,
    pub(super) durable: watch::Receiver<Option<Head>>,
}

impl Teller {
    /// Tells it again and again. Never ends while the log is written.
    pub(super) async fn keep(self) {
        let mut told = None;
        // Nothing is told before the node has had time to find its cluster.
        let mut pause = RETRY;
        loop {
            sleep(pause).await;
            let head = *self.durable.borrow();
            pause = if head == told || self.tell(head).await { INTERVAL } else { RETRY };
            if pause == INTERVAL {
                told = head;
            }
        }
    }

    /// Tells it once. Whether that is done.
    pub(super) async fn tell(&self, head: Option<Head>) -> bool {
        let Some(Head { sequence, hash, time }) = head else { return true };
        let command = Command::NoteAuditHead { node: NodeId(self.node), head: AuditHead { sequence, hash, time } };
        match self.directory.propose(RequestId(self.entropy.id()), command).await {
            Ok(Response::Done) => true,
            Ok(other) => {
                debug!(?other, "the cluster does not take the head of the audit log");
                false
            }
            Err(error) => {
                debug!(%error, "the cluster cannot be told the head of the audit log yet");
                false
            }
        }
    }
}

/// What the cluster was told of a node's log last, as this node's replica knows it.
pub(super) fn told(directory: &dyn DirectoryRecords, node: u64) -> Option<Head> {
    let heads = directory.view().audit_heads().ok()?;
    let (_, AuditHead { sequence, hash, time }) = heads.into_iter().find(|(id, _)| id.0 == node)?;
    Some(Head { sequence, hash, time })
}
