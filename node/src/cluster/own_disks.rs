//! This node lets go of those of its disks that the directory calls removed: whoever removed them asked the cluster, not
//! this node, which may have been down.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use raft::directory::{Directory, DiskState, NodeRecord, View};
use raft::group::Group;
use raft::id::NodeId;
use storage::disk::Disks;
use storage::shard::DiskId;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::shards::LocalDisks;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looks again and again. Never ends.
pub async fn keep_own_disks(directory: Arc<Group<Directory>>, own: NodeId, disks: Arc<Disks>, local: LocalDisks) {
    loop {
        sleep(INTERVAL).await;
        let record = match View::new(directory.state()).node(own) {
            Ok(Some(record)) => record,
            // A joiner's replica is still empty.
            Ok(None) => continue,
            Err(error) => {
                debug!(%error, "the directory cannot be read, disks stay as they are");
                continue;
            }
        };
        for disk in to_let_go(&record, &disks.ids()) {
            // The cluster has decided: whether this is the last one is not asked again.
            if let Err(error) = local.remove(disk, true).await {
                warn!(%disk, %error, "a removed disk cannot be let go of yet");
            }
        }
    }
}

/// Disks that the node has, although they were removed.
fn to_let_go(record: &NodeRecord, present: &BTreeSet<DiskId>) -> Vec<DiskId> {
    let removed = record.disks.iter().filter(|disk| disk.state == DiskState::Removed).map(|disk| disk.id);
    removed.filter(|id| present.contains(id)).collect()
}
