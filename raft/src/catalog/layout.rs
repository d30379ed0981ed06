//! Layouts: where the bytes of an extent rest.
//!
//! An extent's attempt is the version of its layout: every change of the layout gives it a fresh one, and whoever speaks
//! of a layout names it. Each shard has an attempt of its own, that of the write that made its file: a shard that is
//! moved gets a new one, its neighbours keep theirs. Attempts are random and never used twice within an extent.

use serde::{Deserialize, Serialize};
use storage::kv::Bytes;
use storage::shard::{Attempt, DiskId, ExtentIndex, Geometry, ObjectId, ShardIndex, ShardName};

use crate::id::NodeId;

/// A disk of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DiskLocation {
    /// The node.
    pub node: NodeId,
    /// Its disk.
    pub disk: DiskId,
}

impl DiskLocation {
    /// A shard on this disk, written by `attempt`.
    #[must_use]
    pub const fn shard(self, attempt: Attempt) -> ShardLocation {
        ShardLocation { node: self.node, disk: self.disk, attempt }
    }
}

/// Where one shard rests, and which write put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardLocation {
    /// Node that holds it.
    pub node: NodeId,
    /// Disk of that node.
    pub disk: DiskId,
    /// Attempt that wrote it: part of the file's name.
    pub attempt: Attempt,
}

impl ShardLocation {
    /// The disk that holds it.
    #[must_use]
    pub const fn on(&self) -> DiskLocation {
        DiskLocation { node: self.node, disk: self.disk }
    }
}

/// An extent whose bytes are coded over shard files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodedExtent {
    /// Profile, block size and length.
    pub geometry: Geometry,
    /// Version of this layout: that of its last change.
    pub attempt: Attempt,
    /// Location of each shard, by shard index; as many as the profile has shards.
    pub shards: Vec<ShardLocation>,
}

impl CodedExtent {
    /// An extent whose shards were all written by one attempt, on these disks.
    #[must_use]
    pub fn written(geometry: Geometry, attempt: Attempt, disks: &[DiskLocation]) -> Self {
        Self { geometry, attempt, shards: disks.iter().map(|disk| disk.shard(attempt)).collect() }
    }

    /// Location of a shard, if the extent has it.
    #[must_use]
    pub fn location(&self, shard: ShardIndex) -> Option<&ShardLocation> {
        self.shards.get(usize::from(shard.0))
    }

    /// The shards in order.
    pub fn numbered(&self) -> impl Iterator<Item = (ShardIndex, &ShardLocation)> {
        (0..=u8::MAX).map(ShardIndex).zip(&self.shards)
    }

    /// Name of a shard's file, the extent being number `extent` of `object`; `None` if it has no such shard.
    #[must_use]
    pub fn name(&self, object: ObjectId, extent: ExtentIndex, shard: ShardIndex) -> Option<ShardName> {
        self.location(shard).map(|location| ShardName { object, extent, attempt: location.attempt, shard })
    }

    /// Names of all shards' files with the disks that hold them, in order.
    pub fn names(
        &self,
        object: ObjectId,
        extent: ExtentIndex,
    ) -> impl Iterator<Item = (DiskLocation, ShardName)> + use<'_> {
        self.numbered().map(move |(shard, location)| {
            (location.on(), ShardName { object, extent, attempt: location.attempt, shard })
        })
    }

    /// Whether this layout refers to a shard file on a disk, the extent being the one that the name names.
    #[must_use]
    pub fn refers_to(&self, disk: DiskLocation, name: &ShardName) -> bool {
        self.location(name.shard).is_some_and(|location| *location == disk.shard(name.attempt))
    }
}

/// Bytes of an extent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExtentBody {
    /// In the catalog itself.
    Inline(Bytes),
    /// In shard files.
    Coded(CodedExtent),
}

impl ExtentBody {
    /// Data bytes.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Coded(coded) => coded.geometry.length_bytes,
        }
    }

    /// The extent as it is coded over shards; `None` if it is inline.
    #[must_use]
    pub fn into_coded(self) -> Option<CodedExtent> {
        match self {
            Self::Inline(_) => None,
            Self::Coded(coded) => Some(coded),
        }
    }
}

/// One extent of an object. Key: object, extent index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtentRecord {
    /// Its first byte's position in the object.
    pub offset_bytes: u64,
    /// Its bytes.
    pub body: ExtentBody,
}

/// A shard that a disk should hold. Key: node, disk, object, extent, shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementRecord {
    /// Attempt that wrote it.
    pub attempt: Attempt,
}

/// Place of a shard in the order of what a node should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlacementKey {
    /// Disk of the node.
    pub disk: DiskId,
    /// Object.
    pub object: ObjectId,
    /// Extent.
    pub extent: ExtentIndex,
    /// Shard.
    pub shard: ShardIndex,
}

/// What a disk should hold in all, exact. Key: node, disk. Gone when it holds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementTotals {
    /// Shards.
    pub shards: u64,
    /// Bytes of their blocks, without headers and checksums.
    pub bytes: u64,
}

/// Shard files to unlink: of a cancelled upload, a duplicate, a replaced extent, a shard that was moved. Key: not-before
/// time, object, extent, attempt of the layout that referred to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardRecord {
    /// The shards, each with where it rests and the attempt that wrote it, in order.
    pub shards: Vec<(ShardIndex, ShardLocation)>,
    /// Bytes of their blocks, without headers and checksums.
    pub bytes: u64,
}

crate::versioned! {
    ExtentRecord = 1, "extent record";
    PlacementRecord = 1, "placement record";
    PlacementTotals = 1, "placement totals";
    DiscardRecord = 1, "discard record";
}
