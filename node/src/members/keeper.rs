//! The tasks behind the members: the directory's nodes, the own disks' space, and a heartbeat task for each peer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::directory::NodeState;
use raft::id::NodeId;
use storage::disk::{Disk, Examination};
use storage::shard::DiskId;
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
/// Between two looks at a disk.
const EXAMINE_INTERVAL: Duration = Duration::from_millis(300);
/// At start, a disk that does not answer within this time is taken to be stuck.
const FIRST_LOOK_DEADLINE: Duration = Duration::from_secs(2);

/// A heartbeat task for each peer.
type Beats = BTreeMap<NodeId, AbortOnDropHandle<()>>;

/// Reads everything once and starts the tasks.
pub(super) async fn start(shared: &Arc<Shared>) -> Vec<AbortOnDropHandle<()>> {
    for disk in shared.resources.disks.all() {
        let _ = timeout(FIRST_LOOK_DEADLINE, examine(shared, &disk)).await;
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
    tasks.push(spawn(keep_disks(Arc::clone(shared))));
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
    let own = shared.options.own;
    if nodes.iter().any(|(node, record)| *node == own && record.state == NodeState::Removed) {
        shared.dismiss("the directory says so");
    }
    let peers = &shared.resources.peers;
    let (learned, gone, present) = {
        let mut state = shared.state();
        let old = std::mem::take(&mut state.nodes);
        state.set_nodes(nodes);
        // An address is learned when it changes, so that a fresher hint from elsewhere is not overwritten by a record
        // that has not caught up yet.
        for (node, record) in &state.nodes {
            peers.learn_region(*node, record.region);
        }
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

/// Examines the own disks for ever, those that come while the node runs too. A task for each disk, so that a stuck one
/// holds up no other.
async fn keep_disks(shared: Arc<Shared>) {
    let mut examinations: BTreeMap<DiskId, AbortOnDropHandle<()>> = BTreeMap::new();
    loop {
        let disks = &shared.resources.disks;
        let ids = disks.ids();
        examinations.retain(|id, _| ids.contains(id));
        for disk in disks.all() {
            let task = || spawn(keep_examining(Arc::clone(&shared), disk.id()));
            examinations.entry(disk.id()).or_insert_with(task);
        }
        let now = Instant::now();
        {
            let mut state = shared.state();
            state.retain_disks(&ids);
            for disk in disks.absent() {
                state.set_disk(disk.id, Examination { health: disk.health, space: None }, now);
            }
        }
        sleep(EXAMINE_INTERVAL).await;
    }
}

/// Looks at a disk for as long as the node has it.
async fn keep_examining(shared: Arc<Shared>, id: DiskId) {
    while let Some(disk) = shared.resources.disks.get(id) {
        examine(&shared, &disk).await;
        // Not held while resting: one that was removed is let go of.
        drop(disk);
        sleep(EXAMINE_INTERVAL).await;
    }
}

async fn examine(shared: &Shared, disk: &Arc<Disk>) {
    let asked = Arc::clone(disk);
    let found = shared.resources.exec.run(move || asked.examine()).await;
    shared.state().set_disk(disk.id(), found, Instant::now());
}
