//! Whether a peer is live, from what became of the heartbeats to it. Pure: moments come in as arguments.
//!
//! Within a region a dead peer is to be known soon. To another region the line may be long and lose something: there a
//! peer has more time, or it would come and go with every packet that is lost.

use std::time::Duration;

use tokio::time::Instant;

/// The pace of the heartbeats to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Between two heartbeats.
    pub(super) interval: Duration,
    /// Bound on one heartbeat, a connect included.
    pub(super) deadline: Duration,
    /// A peer that has not answered for this long is dead.
    pub(super) dead_after: Duration,
}

impl Pace {
    /// Within a region.
    pub(super) const NEAR: Self = Self {
        interval: Duration::from_millis(300),
        deadline: Duration::from_secs(1),
        dead_after: Duration::from_secs(2),
    };
    /// To another region: 300 ms one way, of which one in a hundred is sent again after a second.
    pub(super) const FAR: Self =
        Self { interval: Duration::from_secs(1), deadline: Duration::from_secs(4), dead_after: Duration::from_secs(8) };
}

/// A peer that refused this many connections in a row is dead at once.
const REFUSALS_MAX: u32 = 2;

/// What is known of one peer. A peer that never answered is not live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liveness {
    dead_after: Duration,
    answered: Option<Instant>,
    /// Connections refused since the last answer.
    refusals: u32,
    /// A call of someone else failed then; a heartbeat sent later has to answer.
    suspected: Option<Instant>,
}

impl Liveness {
    /// A peer that never answered.
    pub(super) const fn new(pace: Pace) -> Self {
        Self { dead_after: pace.dead_after, answered: None, refusals: 0, suspected: None }
    }

    /// A heartbeat sent at `sent` was answered.
    pub(super) fn answered(&mut self, sent: Instant, now: Instant) {
        self.answered = Some(now);
        self.refusals = 0;
        self.suspected = self.suspected.filter(|since| *since > sent);
    }

    /// No connection could be made.
    pub(super) fn refused(&mut self) {
        self.refusals = self.refusals.saturating_add(1);
    }

    /// A call to the peer failed.
    pub(super) fn suspect(&mut self, now: Instant) {
        self.suspected = Some(now);
    }

    /// Whether the peer is taken to be live.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        let recent = self.answered.is_some_and(|at| now.saturating_duration_since(at) < self.dead_after);
        recent && self.refusals < REFUSALS_MAX && self.suspected.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(300);
    const DEAD_AFTER: Duration = Pace::NEAR.dead_after;

    #[test]
    fn a_peer_is_live_from_its_first_answer_until_its_silence() {
        let start = Instant::now();
        let mut peer = Liveness::new(Pace::NEAR);
        assert!(!peer.is_live(start));
        peer.answered(start, start + STEP);
        assert!(peer.is_live(start + STEP + DEAD_AFTER - Duration::from_millis(1)));
        assert!(!peer.is_live(start + STEP + DEAD_AFTER));
        peer.answered(start + STEP * 20, start + STEP * 21);
        assert!(peer.is_live(start + STEP * 21));
    }

    #[test]
    fn a_peer_of_another_region_has_more_time() {
        let start = Instant::now();
        let mut peer = Liveness::new(Pace::FAR);
        peer.answered(start, start);
        assert!(peer.is_live(start + DEAD_AFTER * 2));
        assert!(!peer.is_live(start + Pace::FAR.dead_after));
        // One that is lost is missed, and the next one answered in time.
        assert!(Pace::FAR.dead_after >= Pace::FAR.deadline + Pace::FAR.interval * 2);
    }

    #[test]
    fn two_refused_connections_are_enough() {
        let start = Instant::now();
        let mut peer = Liveness::new(Pace::NEAR);
        peer.answered(start, start);
        peer.refused();
        assert!(peer.is_live(start));
        peer.refused();
        assert!(!peer.is_live(start));
        peer.answered(start, start);
        assert!(peer.is_live(start));
    }

    #[test]
    fn a_suspect_is_cleared_only_by_a_later_heartbeat() {
        let start = Instant::now();
        let mut peer = Liveness::new(Pace::NEAR);
        peer.answered(start, start);
        peer.suspect(start + STEP);
        assert!(!peer.is_live(start + STEP));
        peer.answered(start, start + STEP * 2);
        assert!(!peer.is_live(start + STEP * 2), "sent before the failure");
        peer.answered(start + STEP * 2, start + STEP * 3);
        assert!(peer.is_live(start + STEP * 3));
    }
}
