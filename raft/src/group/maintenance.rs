//! What a replica does by itself: flush its state, take snapshots of much-written state, remove old directories, and
//! say who leads.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use storage::exec::Exec;
use storage::switch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{error, info, warn};

use super::Raft;
use super::state_store::StateStore;
use crate::id::{GroupId, NodeId};
use crate::machine::Machine;

/// Pace of the looks at what there is to do.
const TICK: Duration = Duration::from_secs(1);
/// Unflushed effects are flushed after this, which bounds what a restart applies again.
const FLUSH_AFTER: Duration = Duration::from_secs(15);
/// Or when there are this many.
const FLUSH_BYTES: u64 = 64 << 20;
/// A snapshot is taken after this many bytes of effects, however few the entries: it lets the log be purged.
const SNAPSHOT_BYTES: u64 = 512 << 20;

/// Runs until it is aborted.
pub(super) async fn run<M: Machine>(group: GroupId, raft: Raft<M>, state: Arc<StateStore<M>>, exec: Exec) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut flushed = Instant::now();
    loop {
        ticks.tick().await;
        let unflushed = state.unflushed_bytes();
        let due = flushed.elapsed() >= FLUSH_AFTER || switch::rare("raft.state.flush_at_once");
        if unflushed >= FLUSH_BYTES || (unflushed > 0 && due) {
            let store = Arc::clone(&state);
            if let Err(error) = exec.run(move || store.flush()).await {
                error!(%group, %error, "the state of a group cannot be made durable");
            }
            flushed = Instant::now();
        }
        if state.since_snapshot_bytes() >= SNAPSHOT_BYTES || switch::rare("raft.snapshot.early") {
            // It fails only when the replica has stopped, which its other callers report.
            let _ = raft.trigger().snapshot().await;
        }
        let snapshot = raft.metrics().borrow_watched().snapshot.map(|id| id.index);
        if let Some(index) = snapshot.filter(|_| switch::rare("raft.log.purge_at_once")) {
            let _ = raft.trigger().purge_log(index).await;
        }
        let store = Arc::clone(&state);
        exec.run(move || store.remove_retired()).await;
    }
}

/// Logs every change of leader or term. Ends with the replica.
pub(super) async fn report_leaders<M: Machine>(group: GroupId, raft: Raft<M>) {
    let mut metrics = raft.server_metrics();
    let mut known: Option<u64> = None;
    loop {
        let (leader, term) = {
            let metrics = metrics.borrow_watched();
            (metrics.current_leader, metrics.vote.leader_id.term)
        };
        if leader != known {
            if let Some(leader) = leader {
                info!(%group, leader = %NodeId(leader), term, "group has a leader");
            } else {
                warn!(%group, term, "group has no leader");
            }
            known = leader;
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}
