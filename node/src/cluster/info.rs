//! What this node says of itself in the directory, kept up to date.

use std::sync::Arc;
use std::time::Duration;

use raft::directory::{Command, Directory, DiskInfo, NodeInfo, NodeState, Response, View};
use raft::group::Group;
use raft::id::{NodeId, RequestId};
use storage::disk::Disks;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::FEATURE_LEVEL;
use crate::config::Settings;
use crate::environment::Environment;

/// Time between two looks while the replica does not know this node yet.
const HASTE: Duration = Duration::from_millis(200);
/// Time between two attempts.
const RETRY: Duration = Duration::from_secs(2);
/// Time between two looks at whether the directory still says the same.
const INTERVAL: Duration = Duration::from_mins(1);

/// What a node with this name, these settings and disks says of itself.
#[must_use]
pub fn node_info(name: &str, settings: &Settings, api_url: &str, peer_address: &str, disks: &Disks) -> NodeInfo {
    NodeInfo {
        name: name.to_owned(),
        zone: settings.node.zone.clone(),
        peer_address: peer_address.to_owned(),
        api_url: api_url.to_owned(),
        disks: disk_info(disks),
        feature_level: FEATURE_LEVEL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// What a node says of its disks. Blocks.
fn disk_info(disks: &Disks) -> Vec<DiskInfo> {
    let disk = |disk: &Arc<storage::disk::Disk>| DiskInfo {
        id: disk.id(),
        capacity_bytes: disk.space().map_or(0, |space| space.capacity_bytes),
    };
    disks.all().iter().map(disk).collect()
}

/// Tells the directory whenever it says something else than `info`, which follows the disks that come and go, or does not
/// know that the node runs. Never ends.
pub async fn keep_info(
    directory: Arc<Group<Directory>>,
    node: NodeId,
    mut info: NodeInfo,
    disks: Arc<Disks>,
    environment: Environment,
) {
    let entropy = environment.entropy;
    let mut request = RequestId(entropy.id());
    let mut generation = disks.generation();
    loop {
        if disks.generation() != generation {
            generation = disks.generation();
            let asked = Arc::clone(&disks);
            info.disks = environment.exec.run(move || disk_info(&asked)).await;
            request = RequestId(entropy.id());
        }
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
        let asked_again = Instant::now() + pause;
        while Instant::now() < asked_again && disks.generation() == generation {
            sleep(HASTE.max(pause / 30)).await;
        }
    }
}
