//! What a judge sees of a replica: the moments that Raft's safety properties speak of (Ongaro 2014, figure 3.2).
//!
//! A witness only looks on; a replica without one does nothing for it. It is called on the replica's own tasks and
//! threads, in the order of the events of each replica, and must not block. Nothing here judges: that is the
//! simulator's.

use std::fmt;
use std::sync::Arc;

use crate::id::{GroupId, NodeId};

/// One replica: a group on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replica {
    /// The group.
    pub group: GroupId,
    /// The node.
    pub node: NodeId,
}

impl fmt::Display for Replica {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} on node {}", self.group, self.node)
    }
}

/// A leadership. Ordered by term, then by node: a term may see several, each greater than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leadership {
    /// Its term.
    pub term: u64,
    /// Who leads, or stands for it.
    pub node: NodeId,
}

impl fmt::Display for Leadership {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "term {} of node {}", self.term, self.node)
    }
}

/// A vote. Ordered as Raft compares votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot {
    /// Whom it is for.
    pub leadership: Leadership,
    /// Whether a quorum granted it.
    pub committed: bool,
}

/// An entry's place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Leadership that wrote the entry.
    pub leadership: Leadership,
    /// Its index, from 0.
    pub index: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "entry {} of {}", self.index, self.leadership)
    }
}

/// How a replica came by a state that it did not reach by applying entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restoration {
    /// It was found on the disk when the replica was opened.
    Opened,
    /// It came with a snapshot. It is durable.
    Installed,
}

/// Looks on while a replica works. Methods are called in the order of the events of each replica.
pub trait Witness: fmt::Debug + Send + Sync {
    /// The log was opened: the vote, the last purged entry and all entries that were found in it.
    fn opened(&self, replica: Replica, vote: Option<Ballot>, purged: Option<Position>, entries: &[Position]);

    /// A vote is durable.
    fn voted(&self, replica: Replica, vote: Ballot);

    /// Entries were written to the log. They are not durable yet.
    fn appended(&self, replica: Replica, entries: &[Position]);

    /// The log is durable up to an entry, which is about to be acknowledged.
    fn persisted(&self, replica: Replica, last: Position);

    /// Entries from this index on are about to be removed from the log's end.
    fn truncated(&self, replica: Replica, from_index: u64);

    /// Entries up to this one are about to be removed from the log's beginning.
    fn purged(&self, replica: Replica, last: Position);

    /// An entry is being applied. `digest` hashes its whole content; it costs as much as the entry is long.
    fn applied(&self, replica: Replica, entry: Position, digest: &dyn Fn() -> [u8; 32]);

    /// The state is durable up to an entry at least: no restart may show an older one.
    fn flushed(&self, replica: Replica, applied: Position);

    /// The replica has a state that it did not reach by applying entries. `None`: nothing was ever applied to it.
    fn restored(&self, replica: Replica, applied: Option<Position>, restoration: Restoration);
}

/// A witness with the replica that it looks at.
#[derive(Clone, Debug)]
pub(super) struct Observer {
    pub(super) witness: Arc<dyn Witness>,
    pub(super) replica: Replica,
}
