//! What faults hit: parts of the cluster, the nodes that suffer, the extents whose shards are damaged.

use std::collections::BTreeSet;

use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardName};

/// What one fault at a time can have in its hand. Nodes are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The process of a node.
    Process(usize),
    /// The wall clock of a node.
    Clock(usize),
    /// A disk of a node: 0 is the system disk, the data disks follow.
    Disk(usize, usize),
    /// The link between two nodes, the smaller number first.
    Link(usize, usize),
    /// The link between a client and a node.
    ClientLink(usize, usize),
}

impl Part {
    /// The link between two nodes.
    #[must_use]
    pub fn link(one: usize, other: usize) -> Self {
        Self::Link(one.min(other), one.max(other))
    }
}

/// Whom a fault hits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// What it takes in its hand.
    pub parts: BTreeSet<Part>,
    /// Nodes that cannot be relied on while it lasts. All others hear each other and work.
    pub impairs: BTreeSet<usize>,
}

/// An extent as one attempt wrote it. A rebuilt one is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WrittenExtent(pub ObjectId, pub ExtentIndex, pub Attempt);

impl From<&ShardName> for WrittenExtent {
    fn from(name: &ShardName) -> Self {
        Self(name.object, name.extent, name.attempt)
    }
}
