//! What was done and what was verified, in numbers, for the test's output.

use std::fmt;
use std::io::Write;

use simulation::judge::linearizability;
use simulation::workload::{Statistics, Verified};

use crate::killer::Tally;

/// One round, or several.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// What was done to the processes.
    pub(crate) blows: Tally,
    /// What the clients did: operations begun and brought to their end, requests, retries, answers lost.
    pub(crate) work: Work,
    /// What was read at the end through every node.
    pub(crate) verified: Verified,
    /// What the judge of linearizability weighed.
    pub(crate) weighed: linearizability::Report,
}

/// What the clients did.
#[derive(Debug, Default)]
pub(crate) struct Work {
    begun: u64,
    succeeded: u64,
    requests: u64,
    retries: u64,
    lost: u64,
}

impl From<Statistics> for Work {
    fn from(statistics: Statistics) -> Self {
        Self {
            begun: statistics.begun.values().sum(),
            succeeded: statistics.succeeded.values().sum(),
            requests: statistics.requests,
            retries: statistics.retries,
            lost: statistics.lost + statistics.unsent,
        }
    }
}

impl Summary {
    /// Adds another one.
    pub(crate) fn add(&mut self, other: Self) {
        self.blows.add(other.blows);
        self.work.begun += other.work.begun;
        self.work.succeeded += other.work.succeeded;
        self.work.requests += other.work.requests;
        self.work.retries += other.work.retries;
        self.work.lost += other.work.lost;
        self.verified.contents += other.verified.contents;
        self.verified.bytes += other.verified.bytes;
        self.verified.absent += other.verified.absent;
        self.verified.tags += other.verified.tags;
        self.weighed.subjects += other.weighed.subjects;
        self.weighed.operations += other.weighed.operations;
        self.weighed.configurations += other.weighed.configurations;
        self.weighed.undecided.extend(other.weighed.undecided);
    }

    /// A test that killed nothing, or verified nothing, shows nothing.
    ///
    /// # Panics
    /// Then.
    pub(crate) fn check_worth(&self) {
        assert!(self.blows.kills > 0 && self.blows.restarts == self.blows.kills, "{self}");
        assert!(self.work.succeeded > 0 && self.work.lost > 0, "{self}");
        assert!(self.verified.contents > 0, "{self}");
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blows, work, verified, weighed } = self;
        write!(
            formatter,
            "{} kills ({} while starting, {} times all at once), {} freezes, {} restarts; \
             {} operations, {} succeeded, {} requests, {} retries, {} answers lost; \
             {} acknowledged contents ({} bytes) read and {} absences confirmed through every node, {} tags agreed; \
             {} operations on {} subjects are linearizable, {} subjects undecided",
            blows.kills,
            blows.kills_while_starting,
            blows.blackouts,
            blows.freezes,
            blows.restarts,
            work.begun,
            work.succeeded,
            work.requests,
            work.retries,
            work.lost,
            verified.contents,
            verified.bytes,
            verified.absent,
            verified.tags,
            weighed.operations,
            weighed.subjects,
            weighed.undecided.len(),
        )
    }
}

/// Writes a line of the test's output.
pub(crate) fn say(text: &str) {
    // That nobody reads it is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{text}");
}
