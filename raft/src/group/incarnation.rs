//! Which lineage of its group a replica belongs to.
//!
//! A group whose majority is lost for good is founded anew from one of the replicas that are left, in a higher
//! incarnation ([`super::takeover`]). Every message carries the incarnation of its sender, and a replica answers those of
//! its own only: what two lineages agreed on is never mixed. Whoever hears of a higher one gives up its log and its vote
//! and joins that one without a vote ([`super::succession`]); nobody ever goes back to a lower one.

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::id::NodeId;
use crate::time::Timestamp;
use crate::versioned;

/// One lineage of a group. Ordered by number; of two with one number, the one of the greater node goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation {
    /// 0 for the first. Of a later one at least the moment at which it was founded, milliseconds since the Unix epoch: of two
    /// that were founded without knowing of each other, the later one goes on.
    pub number: u64,
    /// Who did so last; 0 for nobody.
    pub founder: NodeId,
}

impl Incarnation {
    /// One that `founder` founds at a moment, above this one.
    #[must_use]
    pub fn next(self, founder: NodeId, now: Timestamp) -> Self {
        Self { number: self.number.saturating_add(1).max(now.0), founder }
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of node {}", self.number, self.founder)
    }
}

versioned! {
    Incarnation = 1, "incarnation";
}

/// The highest incarnation that anybody has spoken of to this replica.
#[derive(Clone, Debug)]
pub(super) struct Heard(watch::Sender<Incarnation>);

impl Heard {
    pub(super) fn new(own: Incarnation) -> Self {
        Self(watch::Sender::new(own))
    }

    /// Notes what a peer has said of itself.
    pub(super) fn note(&self, incarnation: Incarnation) {
        self.0.send_if_modified(|highest| {
            let higher = *highest < incarnation;
            *highest = incarnation.max(*highest);
            higher
        });
    }

    pub(super) fn highest(&self) -> Incarnation {
        *self.0.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Incarnation> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_lineages_the_later_one_goes_on_and_of_one_moment_that_of_the_greater_founder() {
        let (first, now) = (Incarnation::default(), Timestamp(1_000));
        let (by_four, by_five) = (first.next(NodeId(4), now), first.next(NodeId(5), now));
        assert!(first < by_four && by_four < by_five && by_five < by_four.next(NodeId(1), now));
        assert!(
            by_five < first.next(NodeId(1), Timestamp(1_001)),
            "who founds later need not have heard of the former"
        );
        assert!(by_five < by_five.next(NodeId(1), Timestamp(0)), "a clock that was set back does not matter");
        let heard = Heard::new(by_four);
        let seen = heard.subscribe();
        heard.note(first);
        assert_eq!(*seen.borrow(), by_four);
        heard.note(by_five);
        assert_eq!(*seen.borrow(), by_five);
    }
}
