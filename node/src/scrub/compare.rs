//! The files of a disk against what the catalog places there: pure.

use std::collections::BTreeSet;

use raft::catalog::{DiskLocation, ExtentBody, ExtentRecord, ObjectRecord, ObjectState};
use storage::shard::ShardName;

/// What one side has and the other has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Placed here, and not here.
    pub(super) missing: Vec<ShardName>,
    /// Here, and not placed here.
    pub(super) strange: Vec<ShardName>,
}

/// Compares an inventory with the placements that were read after it. Both speak of the same pages.
pub(super) fn compare(files: &[ShardName], placed: &[ShardName]) -> Difference {
    let (found, expected): (BTreeSet<_>, BTreeSet<_>) = (files.iter().collect(), placed.iter().collect());
    let only = |one: &BTreeSet<&ShardName>, other: &BTreeSet<&ShardName>| {
        one.difference(other).map(|name| **name).collect::<Vec<_>>()
    };
    Difference { missing: only(&expected, &found), strange: only(&found, &expected) }
}

/// What a strange file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strange {
    /// Nobody will ever ask for it: it goes after its grace.
    Orphan,
    /// It belongs to an upload that is going on, was committed after the inventory, or is all that may be left of an
    /// extent that is not whole.
    Kept,
}

/// Judges a strange file by what the catalog says about its object and extent, read behind a barrier after the inventory
/// was taken. `whole` is whether the extent is on no list of missing shards.
///
/// The catalog knows an object from before its first file is written until after it needs none of them. So a file whose
/// object it does not know can never be asked for. Of an object that is known, a file of another attempt was replaced, or
/// is about to be committed by a rewriting that is going on: the grace is far longer than any of those. While its extent
/// is not whole it stays.
pub(super) fn judge(
    here: DiskLocation,
    name: &ShardName,
    object: Option<&ObjectRecord>,
    extent: Option<&ExtentRecord>,
    whole: bool,
) -> Strange {
    let Some(object) = object else { return Strange::Orphan };
    match object.state {
        // What it writes is committed at the end of each request, which may be days away.
        ObjectState::Uploading => return Strange::Kept,
        ObjectState::Published(_) => {}
    }
    if let Some(ExtentRecord { body: ExtentBody::Coded(coded), .. }) = extent {
        let named = coded.location(name.shard).is_some_and(|location| location.attempt == name.attempt);
        // On another disk than it was placed on, it may be the only one of its name.
        if coded.refers_to(here, name) || named || !whole {
            return Strange::Kept;
        }
    }
    Strange::Orphan
}

#[cfg(test)]
mod tests {
    use raft::catalog::{Algorithm, CodedExtent, Digest};
    use raft::id::NodeId;
    use storage::codec::Profile;
    use storage::shard::{Attempt, DiskId, ExtentIndex, Geometry, ObjectId, ShardIndex};

    use super::*;

    const NAME: ShardName =
        ShardName { object: ObjectId([1; 16]), extent: ExtentIndex(0), attempt: Attempt(5), shard: ShardIndex(1) };

    fn disk(disk: u8) -> DiskLocation {
        DiskLocation { node: NodeId(1), disk: DiskId([disk; 16]) }
    }

    fn object(state: ObjectState) -> ObjectRecord {
        ObjectRecord { length_bytes: 100, extents: 1, state }
    }

    fn published() -> ObjectRecord {
        object(ObjectState::Published(Digest::from_bytes(Algorithm::Sha256, &[7; 32]).unwrap()))
    }

    /// Shards 0 and 1 on disks 0 and 1.
    fn extent(attempt: u64) -> ExtentRecord {
        let geometry = Geometry { profile: Profile::new(1, 1).unwrap(), block_size_bytes: 64, length_bytes: 100 };
        let coded = CodedExtent::written(geometry, Attempt(attempt), &[disk(0), disk(1)]);
        ExtentRecord { offset_bytes: 0, body: ExtentBody::Coded(coded) }
    }

    #[test]
    fn both_directions_are_told_apart() {
        let name = |shard| ShardName { shard: ShardIndex(shard), ..NAME };
        let difference = compare(&[name(0), name(1), name(3)], &[name(0), name(2), name(3)]);
        assert_eq!(difference, Difference { missing: vec![name(2)], strange: vec![name(1)] });
        let other = ShardName { attempt: Attempt(6), ..NAME };
        assert_eq!(compare(&[NAME], &[other]), Difference { missing: vec![other], strange: vec![NAME] });
        assert_eq!(compare(&[NAME], &[NAME]), Difference::default());
    }

    #[test]
    fn a_file_of_an_unknown_object_is_an_orphan() {
        assert_eq!(judge(disk(1), &NAME, None, None, true), Strange::Orphan);
    }

    #[test]
    fn a_file_of_an_upload_is_kept() {
        assert_eq!(judge(disk(1), &NAME, Some(&object(ObjectState::Uploading)), None, true), Strange::Kept);
    }

    #[test]
    fn what_was_replaced_is_an_orphan_unless_its_extent_is_not_whole() {
        let (object, extent) = (published(), extent(6));
        assert_eq!(judge(disk(1), &NAME, Some(&object), Some(&extent), true), Strange::Orphan);
        assert_eq!(judge(disk(1), &NAME, Some(&object), Some(&extent), false), Strange::Kept);
        assert_eq!(judge(disk(1), &NAME, Some(&object), None, true), Strange::Orphan);
    }

    #[test]
    fn what_was_committed_meanwhile_or_lies_on_the_wrong_disk_is_kept() {
        let (object, extent) = (published(), extent(5));
        for here in [disk(1), disk(2)] {
            assert_eq!(judge(here, &NAME, Some(&object), Some(&extent), true), Strange::Kept);
        }
        let other = ShardName { shard: ShardIndex(7), ..NAME };
        assert_eq!(judge(disk(1), &other, Some(&object), Some(&extent), true), Strange::Orphan);
    }
}
