//! The exchange of heartbeats with one peer.

use raft::id::NodeId;
use raft::time::Timestamp;
use std::sync::Arc;
use storage::switch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use super::{Beat, Shared};
use crate::peer::{PeerError, Refusal};

/// After this many unanswered heartbeats in a row the connections are silent, and fresh ones are taken.
const SILENT_MAX: u32 = 2;

/// Exchanges heartbeats with a peer, for ever.
pub(super) async fn run(shared: Arc<Shared>, node: NodeId) {
    let Some((probe, pace)) = shared.state().peers.get(&node).map(|peer| (Arc::clone(&peer.probe), peer.pace)) else {
        return;
    };
    let mut silent = 0;
    loop {
        if switch::rare("node.heartbeat.skip") {
            sleep(pace.interval).await;
            continue;
        }
        let sent = Instant::now();
        let beat = shared.beat();
        let clock = beat.clock;
        match shared.resources.peers.heartbeat(node, &beat, pace.deadline).await {
            Ok(answer) => {
                silent = 0;
                answered(&shared, node, sent, clock, answer);
            }
            Err(error) => {
                debug!(%node, %error, "heartbeat not answered");
                missed(&shared, node, &error);
                if matches!(error, PeerError::Refused { refusal: Refusal::Removed, .. }) {
                    shared.dismiss(&format!("node {node} says so"));
                }
                if matches!(error, PeerError::Timeout { .. }) {
                    silent += 1;
                    if silent >= SILENT_MAX {
                        silent = 0;
                        shared.resources.peers.reconnect(node);
                    }
                }
            }
        }
        tokio::select! {
            biased;
            () = probe.notified() => {}
            () = sleep_until(sent + pace.interval) => {}
        }
    }
}

fn answered(shared: &Shared, node: NodeId, sent: Instant, clock: Timestamp, answer: Beat) {
    let now = Instant::now();
    let half_trip = u64::try_from(now.saturating_duration_since(sent).as_millis() / 2).unwrap_or(u64::MAX);
    let own = clock.0.saturating_add(half_trip);
    let news = {
        let mut state = shared.state();
        let Some(peer) = state.peers.get_mut(&node) else { return };
        let was_live = peer.liveness.is_live(now);
        peer.liveness.answered(sent, now);
        peer.clock_offset = difference(answer.clock.0, own);
        peer.beat = Some(answer);
        was_live != peer.liveness.is_live(now)
    };
    if news {
        shared.publish();
    }
}

/// `one - two`, at most what fits.
fn difference(one: u64, two: u64) -> i64 {
    let distance = i64::try_from(one.abs_diff(two)).unwrap_or(i64::MAX);
    if one < two { -distance } else { distance }
}

fn missed(shared: &Shared, node: NodeId, error: &PeerError) {
    let reason = match error {
        PeerError::Unreachable { .. } => "unreachable",
        PeerError::Lost { .. } => "lost",
        PeerError::Timeout { .. } => "timeout",
        PeerError::Refused { .. } => "refused",
    };
    shared.resources.metrics.missed(reason);
    if matches!(error, PeerError::Unreachable { .. } | PeerError::Lost { .. }) {
        if let Some(peer) = shared.state().peers.get_mut(&node) {
            peer.liveness.refused();
        }
        shared.publish();
    }
}
