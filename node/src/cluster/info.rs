//! What this node says of itself in the directory, kept up to date.

use std::sync::Arc;
use std::time::Duration;

use raft::directory::{Command, Directory, DiskRecord, NodeInfo, NodeState, Response, View};
use raft::group::Group;
use raft::id::{NodeId, RequestId};
use storage::disk::Disks;
use tracing::{debug, info, warn};

use super::FEATURE_LEVEL;
use crate::config::Settings;
use crate::environment::Entropy;

/// Time between two looks while the replica does not know this node yet.
const HASTE: Duration = Duration::from_millis(200);
/// Time between two attempts.
const RETRY: Duration = Duration::from_secs(2);
/// Time between two looks at whether the directory still says the same.
const INTERVAL: Duration = Duration::from_mins(1);

/// What a node with this name, these settings and disks says of itself.
#[must_use]
pub fn node_info(name: &str, settings: &Settings, api_url: &str, peer_address: &str, disks: &Disks) -> NodeInfo {
    let disk = |disk: &Arc<storage::disk::Disk>| DiskRecord {
        id: disk.id(),
        capacity_bytes: disk.space().map_or(0, |space| space.capacity_bytes),
    };
    NodeInfo {
        name: name.to_owned(),
        zone: settings.node.zone.clone(),
        peer_address: peer_address.to_owned(),
        api_url: api_url.to_owned(),
        disks: disks.all().iter().map(disk).collect(),
        feature_level: FEATURE_LEVEL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Tells the directory whenever it says something else than `info`, or does not know that the node runs. Never ends.
pub async fn keep_info(directory: Arc<Group<Directory>>, node: NodeId, info: NodeInfo, entropy: Arc<dyn Entropy>) {
    let mut request = RequestId(entropy.id());
    loop {
        let recorded = match View::new(directory.state()).node(node) {
            Ok(record) => record.map(|record| (record.state, record.info)),
            Err(error) => {
                warn!(%error, "the directory cannot be read");
                None
            }
        };
        let pause = match recorded {
            // A joiner's replica is still empty.
            None => HASTE,
            Some((state, recorded)) if recorded == info && state != NodeState::Joining => INTERVAL,
            Some(_) => match directory.propose(request, Command::UpdateNode { node, info: info.clone() }).await {
                Ok(Response::Refused(refusal)) => {
                    warn!(%refusal, "the directory does not take what this node says of itself");
                    INTERVAL
                }
                Ok(_) => {
                    info!(%node, "the directory knows what has changed about this node");
                    request = RequestId(entropy.id());
                    RETRY
                }
                Err(error) => {
                    debug!(%error, "the directory does not answer yet");
                    RETRY
                }
            },
        };
        tokio::time::sleep(pause).await;
    }
}
