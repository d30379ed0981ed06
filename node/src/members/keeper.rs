//! The tasks behind the members: the directory's nodes, the own disks' space, and a heartbeat task for each peer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::id::NodeId;
use storage::disk::Disk;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::{Shared, Source, heartbeat};

/// How often silence is looked for, and space and progress are made visible.
const TICK: Duration = Duration::from_millis(100);
/// The directory is read again after this long even when nothing changed.
const REREAD_AFTER: Duration = Duration::from_secs(5);
/// Pause after an attempt to confirm the directory, which itself waits for a while.
const CONFIRM_RETRY: Duration = Duration::from_millis(200);
/// At start, a disk that does not tell its space within this time is taken to be stuck.
const FIRST_SPACE_DEADLINE: Duration = Duration::from_secs(2);

/// A heartbeat task for each peer.
type Beats = BTreeMap<NodeId, AbortOnDropHandle<()>>;

/// Reads everything once and starts the tasks.
pub(super) async fn start(shared: &Arc<Shared>) -> Vec<AbortOnDropHandle<()>> {
    let disks = shared.resources.disks.all().to_vec();
    for disk in &disks {
        let _ = timeout(FIRST_SPACE_DEADLINE, refresh_space(shared, disk)).await;
    }
    // Subscribed before the first read, so that no change falls between the two.
    let mut changes = shared.resources.source.changes();
    changes.mark_unchanged();
    let mut beats = Beats::new();
    reread(shared, &mut beats).await;
    shared.publish();
    let (confirm, confirmed) = oneshot::channel();
    let mut tasks = vec![
        spawn(keep(Arc::clone(shared), changes, confirmed, beats)),
        spawn(confirm_once(Arc::clone(&shared.resources.source), confirm)),
    ];
    for disk in disks {
        tasks.push(spawn(keep_space(Arc::clone(shared), disk)));
    }
    tasks
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// Waits until the directory's replica has caught up with what the cluster had acknowledged when this node started.
async fn confirm_once(source: Arc<dyn Source>, confirmed: oneshot::Sender<()>) {
    while let Err(error) = source.confirm().await {
        debug!(%error, "members not confirmed yet");
        sleep(CONFIRM_RETRY).await;
    }
    // Nobody waits any more: the members are gone.
    let _ = confirmed.send(());
}

async fn keep(
    shared: Arc<Shared>,
    mut changes: watch::Receiver<u64>,
    mut confirmed: oneshot::Receiver<()>,
    mut beats: Beats,
) {
    let mut read = Instant::now();
    let mut certain = false;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let changed = changes.has_changed().unwrap_or(false);
        let news = confirmed.try_recv().is_ok();
        certain |= news;
        if changed || news || read.elapsed() >= REREAD_AFTER {
            changes.mark_unchanged();
            read = Instant::now();
            let taken = reread(&shared, &mut beats).await;
            // Set only after what was confirmed has been taken over.
            shared.state().confirmed |= certain && taken;
        }
        shared.publish();
    }
}

/// Takes over the directory's nodes: addresses, new peers, removed peers. Whether they could be read.
async fn reread(shared: &Arc<Shared>, beats: &mut Beats) -> bool {
    let source = Arc::clone(&shared.resources.source);
    let nodes = match shared.resources.exec.run(move || source.nodes()).await {
        Ok(nodes) => nodes,
        Err(error) => {
            warn!(%error, "members not refreshed");
            return false;
        }
    };
    let peers = &shared.resources.peers;
    let (learned, gone, present) = {
        let mut state = shared.state();
        let old = std::mem::take(&mut state.nodes);
        state.set_nodes(nodes);
        let own = shared.options.own;
        // An address is learned when it changes, so that a fresher hint from elsewhere is not overwritten by a record
        // that has not caught up yet.
        let learned: Vec<(NodeId, String)> = state
            .nodes
            .iter()
            .filter(|(node, _)| **node != own)
            .filter(|(node, new)| old.get(node).is_none_or(|old| old.info.peer_address != new.info.peer_address))
            .map(|(node, new)| (*node, new.info.peer_address.clone()))
            .collect();
        let gone: Vec<NodeId> = old.keys().filter(|node| !state.nodes.contains_key(node)).copied().collect();
        let present: Vec<NodeId> = state.peers.keys().copied().collect();
        (learned, gone, present)
    };
    for (node, address) in learned {
        peers.learn(node, &address);
    }
    for node in gone {
        beats.remove(&node);
        peers.forget(node);
    }
    for node in present {
        beats.entry(node).or_insert_with(|| spawn(heartbeat::run(Arc::clone(shared), node)));
    }
    true
}

/// Looks at a disk's space for ever. A task for each disk, so that a stuck one holds up no other.
async fn keep_space(shared: Arc<Shared>, disk: Arc<Disk>) {
    loop {
        sleep(heartbeat::INTERVAL).await;
        refresh_space(&shared, &disk).await;
    }
}

async fn refresh_space(shared: &Shared, disk: &Arc<Disk>) {
    let asked = Arc::clone(disk);
    let space = shared.resources.exec.run(move || asked.space()).await;
    if let Err(error) = &space {
        warn!(disk = %disk.id(), path = %disk.path().display(), %error, "disk does not tell its space");
    }
    shared.state().set_space(disk.id(), space.ok(), Instant::now());
}
