//! What holds shards: every registered node with its disks, those that are to be emptied and those that failed
//! included. What the repair and the rebalance decide by.

use std::collections::BTreeMap;

use raft::catalog::DiskLocation;
use raft::id::NodeId;
use storage::shard::DiskId;

/// What a disk is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It keeps its shards, and takes new ones if it is writable.
    Serving,
    /// It is to be emptied, and can be read meanwhile.
    Leaving,
    /// Its shards are lost.
    Failed,
}

/// A disk as its node and the directory tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HolderDisk {
    /// The disk.
    pub(crate) id: DiskId,
    /// Size of its file system.
    pub(crate) capacity_bytes: u64,
    /// Bytes above its reserve.
    pub(crate) available_bytes: u64,
    /// Whether it takes writes.
    pub(crate) writable: bool,
    /// What it is good for.
    pub(crate) standing: Standing,
    /// Whether its node says that it fails: not for good yet.
    pub(crate) ailing: bool,
}

/// A registered node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The node.
    pub(crate) node: NodeId,
    /// Its zone.
    pub(crate) zone: String,
    /// Whether it answers.
    pub(crate) live: bool,
    /// Whether it is to be emptied.
    pub(crate) draining: bool,
    /// Its disks, as it last told.
    pub(crate) disks: Vec<HolderDisk>,
}

/// All of them at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Whether a quorum confirmed who is registered. Before that nobody is known to be gone.
    pub(crate) confirmed: bool,
    /// Whether there is only one node, so that its disks are the failure domains.
    pub(crate) sole: bool,
    /// The nodes.
    pub(crate) holders: BTreeMap<NodeId, Holder>,
}

impl Survey {
    /// A node's disk.
    pub(crate) fn disk(&self, spot: DiskLocation) -> Option<(&Holder, &HolderDisk)> {
        let holder = self.holders.get(&spot.node)?;
        let disk = holder.disks.iter().find(|disk| disk.id == spot.disk)?;
        Some((holder, disk))
    }

    /// Whether a node answers.
    pub(crate) fn is_live(&self, node: NodeId) -> bool {
        self.holders.get(&node).is_some_and(|holder| holder.live)
    }

    /// Whether what rests there is to be moved away.
    pub(crate) fn is_leaving(&self, spot: DiskLocation) -> bool {
        let Some(holder) = self.holders.get(&spot.node) else { return false };
        let disk = holder.disks.iter().find(|disk| disk.id == spot.disk);
        holder.draining || disk.is_some_and(|disk| disk.standing == Standing::Leaving)
    }

    /// Whether what rests there can be asked for.
    pub(crate) fn is_readable(&self, spot: DiskLocation) -> bool {
        self.disk(spot).is_some_and(|(holder, disk)| holder.live && disk.standing != Standing::Failed)
    }

    /// Whether a node and its disk are what they should be, so that what rests there is not lost.
    pub(crate) fn is_sound(&self, spot: DiskLocation) -> bool {
        let sound =
            |(holder, disk): (&Holder, &HolderDisk)| holder.live && disk.standing != Standing::Failed && !disk.ailing;
        self.disk(spot).is_some_and(sound)
    }

    /// Whether a new shard of so many bytes may go there.
    pub(crate) fn takes(&self, spot: DiskLocation, shard_bytes: u64) -> bool {
        self.disk(spot).is_some_and(|(holder, disk)| takes(holder, disk, shard_bytes))
    }

    /// Disks that a new shard of so many bytes may go to.
    pub(crate) fn targets(&self, shard_bytes: u64) -> impl Iterator<Item = (&Holder, &HolderDisk)> {
        self.holders.values().flat_map(move |holder| {
            let disks = holder.disks.iter().filter(move |disk| takes(holder, disk, shard_bytes));
            disks.map(move |disk| (holder, disk))
        })
    }

    /// Zone of a node; nodes that are not registered have none.
    pub(crate) fn zone(&self, node: NodeId) -> Option<&str> {
        self.holders.get(&node).map(|holder| holder.zone.as_str())
    }
}

fn takes(holder: &Holder, disk: &HolderDisk, shard_bytes: u64) -> bool {
    holder.live
        && !holder.draining
        && disk.writable
        && !disk.ailing
        && disk.standing == Standing::Serving
        && disk.available_bytes >= shard_bytes.saturating_add(super::AVAILABLE_BYTES_MIN)
}
