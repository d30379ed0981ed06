//! Between the protocol's messages and the types of the rooms. Nothing that comes in is trusted: ids have their
//! length, profiles and sizes are within their limits.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft::catalog::DiskLocation;
use raft::id::{GroupId, NodeId, RegionId};
use raft::time::Timestamp;
use storage::codec::Profile;
use storage::disk::DiskHealth;
use storage::shard::{Attempt, Block, Checksum, DiskId, ExtentIndex, Geometry, ObjectId, ShardIndex, ShardName};
use tonic::Status;

use super::{Refusal, limits, proto};
use crate::members::{Beat, DiskView};

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) String);

impl From<Malformed> for Status {
    fn from(malformed: Malformed) -> Self {
        Refusal::Invalid.status(malformed.0)
    }
}

fn malformed<T>(message: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(message.into()))
}

fn id<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_| Malformed(format!("{what} has {} bytes, {N} are expected", bytes.len())))
}

pub(super) fn group_name(group: GroupId) -> proto::GroupName {
    let catalog_region = match group {
        GroupId::Directory => None,
        GroupId::Catalog(region) => Some(region.0),
    };
    proto::GroupName { catalog_region }
}

pub(super) fn group_id(name: Option<proto::GroupName>) -> Result<GroupId, Malformed> {
    match name {
        Some(proto::GroupName { catalog_region: None }) => Ok(GroupId::Directory),
        Some(proto::GroupName { catalog_region: Some(region) }) => Ok(GroupId::Catalog(RegionId(region))),
        None => malformed("no group is named"),
    }
}

pub(super) fn shard_name(disk: DiskId, name: &ShardName) -> proto::ShardName {
    proto::ShardName {
        disk: Bytes::copy_from_slice(&disk.0),
        object: Bytes::copy_from_slice(&name.object.0),
        extent: name.extent.0,
        attempt: name.attempt.0,
        shard: u32::from(name.shard.0),
    }
}

pub(super) fn disk_and_shard(name: &proto::ShardName) -> Result<(DiskId, ShardName), Malformed> {
    let Ok(shard) = u8::try_from(name.shard) else {
        return malformed(format!("there is no shard index {}", name.shard));
    };
    let disk = DiskId(id(&name.disk, "disk id")?);
    let shard = ShardName {
        object: ObjectId(id(&name.object, "object id")?),
        extent: ExtentIndex(name.extent),
        attempt: Attempt(name.attempt),
        shard: ShardIndex(shard),
    };
    Ok((disk, shard))
}

pub(super) fn header(
    location: DiskLocation,
    name: &ShardName,
    profile: Profile,
    block_size_bytes: u32,
) -> proto::ShardHeader {
    proto::ShardHeader {
        name: Some(shard_name(location.disk, name)),
        data_shards: u32::try_from(profile.data()).unwrap_or(0),
        parity_shards: u32::try_from(profile.parity()).unwrap_or(0),
        block_size_bytes,
    }
}

/// A shard that is to be written or read, with what its blocks look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) disk: DiskId,
    pub(super) name: ShardName,
    pub(super) profile: Profile,
    pub(super) block_size_bytes: u32,
}

pub(super) fn target(header: &proto::ShardHeader) -> Result<Target, Malformed> {
    let Some(name) = &header.name else { return malformed("no shard is named") };
    let (disk, name) = disk_and_shard(name)?;
    let counts = (u8::try_from(header.data_shards), u8::try_from(header.parity_shards));
    let (Ok(data), Ok(parity)) = counts else { return malformed("the profile is beyond all limits") };
    let profile = Profile::new(data, parity).map_err(|error| Malformed(error.to_string()))?;
    let block_size_bytes = header.block_size_bytes;
    if usize::from(name.shard.0) >= profile.shards() {
        return malformed(format!("profile {profile} has no shard {}", name.shard.0));
    }
    if block_size_bytes == 0 || block_size_bytes % 2 == 1 || block_size_bytes > limits::BLOCK_SIZE_LIMIT_BYTES {
        let limit = limits::BLOCK_SIZE_LIMIT_BYTES;
        return malformed(format!("block size {block_size_bytes}: an even number up to {limit} is expected"));
    }
    Ok(Target { disk, name, profile, block_size_bytes })
}

/// A read of blocks: the shard, its extent's shape, the first block and their number.
pub(super) fn read_request(
    location: DiskLocation,
    name: &ShardName,
    geometry: Geometry,
    blocks: &std::ops::Range<u64>,
) -> Result<proto::ReadBlocksRequest, Malformed> {
    let Ok(count) = u32::try_from(blocks.end.saturating_sub(blocks.start)) else {
        return malformed("too many blocks are asked for");
    };
    let header = header(location, name, geometry.profile, geometry.block_size_bytes);
    Ok(proto::ReadBlocksRequest {
        header: Some(header),
        extent_length_bytes: geometry.length_bytes,
        first_block: blocks.start,
        blocks: count,
    })
}

/// What a read asks for: nothing beyond the extent, nothing beyond the limit of one answer.
pub(super) fn read_target(
    request: &proto::ReadBlocksRequest,
) -> Result<(Target, Geometry, std::ops::Range<u64>), Malformed> {
    let Some(header) = &request.header else { return malformed("no shard is named") };
    let target = target(header)?;
    let geometry = Geometry {
        profile: target.profile,
        block_size_bytes: target.block_size_bytes,
        length_bytes: request.extent_length_bytes,
    };
    let end = request.first_block.saturating_add(u64::from(request.blocks));
    if request.blocks == 0 || end > geometry.stripes() {
        let stripes = geometry.stripes();
        return malformed(format!("blocks {}..{end} are not within the {stripes} of the extent", request.first_block));
    }
    let largest = u64::from(request.blocks) * u64::from(target.block_size_bytes);
    if largest > limits::READ_LIMIT_BYTES {
        return malformed(format!("{largest} bytes are asked for, at most {} are given", limits::READ_LIMIT_BYTES));
    }
    Ok((target, geometry, request.first_block..end))
}

pub(super) fn blocks(blocks: Vec<Block>) -> Vec<proto::Block> {
    let block = |block: Block| proto::Block { checksum: Bytes::copy_from_slice(&block.checksum.0), bytes: block.bytes };
    blocks.into_iter().map(block).collect()
}

/// Blocks that came in, each of a length that a block of that size can have.
pub(super) fn sealed(blocks: Vec<proto::Block>, block_size_bytes: u32) -> Result<Vec<Block>, Malformed> {
    let block = |block: proto::Block| {
        let length = block.bytes.len();
        if length == 0 || length % 2 == 1 || length > block_size_bytes as usize {
            return malformed(format!(
                "a block of {length} bytes: an even number up to {block_size_bytes} is expected"
            ));
        }
        Ok(Block { checksum: Checksum(id(&block.checksum, "checksum")?), bytes: block.bytes })
    };
    blocks.into_iter().map(block).collect()
}

pub(super) fn beat_message(beat: &Beat) -> proto::Beat {
    let disk = |disk: &DiskView| proto::DiskSpace {
        id: Bytes::copy_from_slice(&disk.id.0),
        capacity_bytes: disk.capacity_bytes,
        available_bytes: disk.available_bytes,
        writable: disk.writable,
        health: disk.health.code(),
    };
    let applied =
        |(group, index): (&GroupId, &u64)| proto::AppliedIndex { group: Some(group_name(*group)), index: *index };
    proto::Beat {
        node: beat.node.0,
        version: beat.version.clone(),
        clock_milliseconds: beat.clock.0,
        disks: beat.disks.iter().map(disk).collect(),
        applied: beat.applied.iter().map(applied).collect(),
        serves_clients: beat.serves_clients,
        ready: beat.ready,
    }
}

pub(super) fn beat(message: Option<proto::Beat>) -> Result<Beat, Malformed> {
    let Some(message) = message else { return malformed("the beat is missing") };
    let mut disks = Vec::with_capacity(message.disks.len());
    for disk in &message.disks {
        disks.push(DiskView {
            id: DiskId(id(&disk.id, "disk id")?),
            capacity_bytes: disk.capacity_bytes,
            available_bytes: disk.available_bytes,
            writable: disk.writable,
            health: DiskHealth::from_code(disk.health),
        });
    }
    let mut applied = BTreeMap::new();
    for one in message.applied {
        applied.insert(group_id(one.group)?, one.index);
    }
    Ok(Beat {
        node: NodeId(message.node),
        version: message.version,
        clock: Timestamp(message.clock_milliseconds),
        disks,
        applied,
        serves_clients: message.serves_clients,
        ready: message.ready,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> proto::ReadBlocksRequest {
        let location = DiskLocation { node: NodeId(1), disk: DiskId([2; 16]) };
        let name = ShardName {
            object: ObjectId([1; 16]),
            extent: ExtentIndex(7),
            attempt: Attempt(u64::MAX),
            shard: ShardIndex(2),
        };
        let geometry =
            Geometry { profile: Profile::new(2, 1).unwrap(), block_size_bytes: 1 << 20, length_bytes: 40 << 20 };
        read_request(location, &name, geometry, &(3..7)).unwrap()
    }

    #[test]
    fn a_read_survives_the_wire() {
        let (target, geometry, blocks) = read_target(&request()).unwrap();
        assert_eq!(target.disk, DiskId([2; 16]));
        assert_eq!(target.name.attempt, Attempt(u64::MAX));
        assert_eq!(geometry.length_bytes, 40 << 20);
        assert_eq!(blocks, 3..7);
    }

    #[test]
    fn the_encoding_is_frozen() {
        let encoded = hex::encode(prost::Message::encode_to_vec(&request()));
        let frozen = "0a3b0a310a1002020202020202020202020202020202121001010101010101010101010101010101180721ffffffffffff\
                      ffff28021002180120808040108080801418032004";
        assert_eq!(encoded, frozen);
    }

    #[test]
    fn reads_beyond_their_limits_are_refused() {
        let header = request().header.unwrap();
        let wrong: [fn(&mut proto::ReadBlocksRequest); 7] = [
            |request| request.blocks = 5,
            |request| request.blocks = 0,
            |request| request.first_block = 20,
            |request| request.first_block = u64::MAX,
            |request| request.extent_length_bytes = 0,
            |request| request.header = None,
            |request| request.blocks = u32::MAX,
        ];
        for spoil in wrong {
            let mut request = request();
            spoil(&mut request);
            assert!(read_target(&request).is_err(), "{request:?}");
        }
        let wrong: [fn(&mut proto::ShardHeader); 8] = [
            |header| header.block_size_bytes = 0,
            |header| header.block_size_bytes = 3,
            |header| header.block_size_bytes = u32::MAX - 1,
            |header| header.data_shards = 0,
            |header| header.data_shards = 400,
            |header| header.name.as_mut().unwrap().shard = 3,
            |header| header.name.as_mut().unwrap().object = Bytes::from_static(b"short"),
            |header| header.name = None,
        ];
        for spoil in wrong {
            let mut header = header.clone();
            spoil(&mut header);
            assert!(target(&header).is_err(), "{header:?}");
        }
    }

    #[test]
    fn blocks_of_an_impossible_length_are_refused() {
        let block = |length: usize| proto::Block {
            checksum: Bytes::from_static(&[0; 32]),
            bytes: Bytes::from(vec![0; length]),
        };
        assert!(sealed(vec![block(8), block(2)], 8).is_ok());
        for length in [0, 3, 10] {
            assert!(sealed(vec![block(length)], 8).is_err(), "{length}");
        }
        let bare = proto::Block { checksum: Bytes::new(), bytes: Bytes::from_static(&[0; 8]) };
        assert!(sealed(vec![bare], 8).is_err());
    }

    #[test]
    fn a_beat_survives_the_wire() {
        let original = Beat {
            node: NodeId(3),
            version: "1.2.3".to_owned(),
            clock: Timestamp(1_700_000_000_000),
            disks: vec![DiskView {
                id: DiskId([9; 16]),
                capacity_bytes: 10,
                available_bytes: 5,
                writable: true,
                health: DiskHealth::Full,
            }],
            applied: BTreeMap::from([(GroupId::Directory, 4), (GroupId::Catalog(RegionId(1)), 9)]),
            serves_clients: true,
            ready: true,
        };
        assert_eq!(beat(Some(beat_message(&original))).unwrap(), original);
        assert!(beat(None).is_err());
    }
}
