//! Generators of names and records for property tests.

mod access;
mod authority;
mod certificate;
mod domain;
mod policy;
mod replication;
mod residency;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use storage::codec::Profile;
use storage::kv::Bytes;
use storage::shard::{Attempt, DiskId, ExtentIndex, Geometry, ObjectId, ShardIndex};

use crate::catalog::*;
use crate::directory::{
    ClusterRecord, DiskInfo, DiskRecord, DiskState, DrainRecord, JoinTokenRecord, NodeInfo, NodeRecord, NodeState,
    RegionRecord,
};
use crate::id::{NodeId, RegionId, RequestId};
use crate::time::Timestamp;

pub(crate) use access::*;
pub(crate) use authority::*;
pub(crate) use certificate::*;
pub(crate) use domain::*;
pub(crate) use policy::*;
pub(crate) use replication::*;
pub(crate) use residency::*;

pub(crate) fn repository() -> impl Strategy<Value = RepositoryName> {
    "[a-c0]{1,2}((-|_|\\.|/)[a-c0]{1,2}){0,3}".prop_map(|name| name.parse().unwrap())
}

pub(crate) fn tag() -> impl Strategy<Value = Tag> {
    "[A-Za-z0-9_][A-Za-z0-9._-]{0,5}".prop_map(|tag| tag.parse().unwrap())
}

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    let sha256 = any::<[u8; 32]>().prop_map(|raw| Digest::from_bytes(Algorithm::Sha256, &raw).unwrap());
    let sha512 = vec(any::<u8>(), 64).prop_map(|raw| Digest::from_bytes(Algorithm::Sha512, &raw).unwrap());
    prop_oneof![sha256, sha512]
}

pub(crate) fn object() -> impl Strategy<Value = ObjectId> {
    any::<[u8; 16]>().prop_map(ObjectId)
}

pub(crate) fn session() -> impl Strategy<Value = SessionId> {
    any::<[u8; 16]>().prop_map(SessionId)
}

pub(crate) fn disk() -> impl Strategy<Value = DiskId> {
    any::<[u8; 16]>().prop_map(DiskId)
}

pub(crate) fn node() -> impl Strategy<Value = NodeId> {
    any::<u64>().prop_map(NodeId)
}

pub(crate) fn region() -> impl Strategy<Value = RegionId> {
    any::<u32>().prop_map(RegionId)
}

pub(crate) fn request() -> impl Strategy<Value = RequestId> {
    any::<[u8; 16]>().prop_map(RequestId)
}

pub(crate) fn extent_index() -> impl Strategy<Value = ExtentIndex> {
    any::<u32>().prop_map(ExtentIndex)
}

pub(crate) fn attempt() -> impl Strategy<Value = Attempt> {
    any::<u64>().prop_map(Attempt)
}

pub(crate) fn shard_index() -> impl Strategy<Value = ShardIndex> {
    any::<u8>().prop_map(ShardIndex)
}

pub(crate) fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp)
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    "\\PC{0,8}"
}

pub(crate) fn any_bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn location() -> impl Strategy<Value = ShardLocation> {
    (node(), disk(), attempt()).prop_map(|(node, disk, attempt)| ShardLocation { node, disk, attempt })
}

fn body() -> impl Strategy<Value = ExtentBody> {
    let geometry =
        (1..=4_u8, 0..=2_u8, any::<u32>(), any::<u64>()).prop_map(|(data, parity, block_size_bytes, length_bytes)| {
            Geometry { profile: Profile::new(data, parity).unwrap(), block_size_bytes, length_bytes }
        });
    let coded = (geometry, attempt(), vec(location(), 0..6))
        .prop_map(|(geometry, attempt, shards)| ExtentBody::Coded(CodedExtent { geometry, attempt, shards }));
    prop_oneof![any_bytes().prop_map(ExtentBody::Inline), coded]
}

pub(crate) fn any_extent_record() -> impl Strategy<Value = ExtentRecord> {
    (any::<u64>(), body()).prop_map(|(offset_bytes, body)| ExtentRecord { offset_bytes, body })
}

pub(crate) fn any_placement_record() -> impl Strategy<Value = PlacementRecord> {
    attempt().prop_map(|attempt| PlacementRecord { attempt })
}

pub(crate) fn any_placement_totals() -> impl Strategy<Value = PlacementTotals> {
    (any::<u64>(), any::<u64>()).prop_map(|(shards, bytes)| PlacementTotals { shards, bytes })
}

pub(crate) fn any_shortfall_record() -> impl Strategy<Value = ShortfallRecord> {
    let reason = || select(&ShortfallReason::ALL[..]);
    let missing = (shard_index(), reason()).prop_map(|(shard, cause)| MissingShard { shard, cause });
    (attempt(), vec(missing, 0..4), option::of(reason()), timestamp())
        .prop_map(|(attempt, missing, weak, since)| ShortfallRecord { attempt, missing, weak, since })
}

pub(crate) fn any_object_record() -> impl Strategy<Value = ObjectRecord> {
    let state = prop_oneof![Just(ObjectState::Uploading), digest().prop_map(ObjectState::Published)];
    (any::<u64>(), any::<u32>(), state).prop_map(|(length_bytes, extents, state)| ObjectRecord {
        length_bytes,
        extents,
        state,
    })
}

pub(crate) fn any_upload_record() -> impl Strategy<Value = UploadRecord> {
    let names = (repository(), object(), option::of(text()), any_bytes(), request());
    let rest = (any::<u64>(), any::<u64>(), any::<u8>(), timestamp(), timestamp(), option::of(digest()));
    (names, rest).prop_map(|((repository, object, principal, hash_state, last_request), rest)| {
        let (offset_bytes, epoch, parity, started, expires, finished) = rest;
        UploadRecord {
            repository,
            object,
            principal,
            algorithm: Algorithm::Sha512,
            hash_state,
            position: UploadPosition { offset_bytes, epoch },
            parity,
            last_request,
            started,
            expires,
            finished,
        }
    })
}

pub(crate) fn any_blob_record() -> impl Strategy<Value = BlobRecord> {
    (object(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), timestamp()).prop_map(
        |(object, length_bytes, references, links, generation, touched)| BlobRecord {
            object,
            length_bytes,
            references,
            links,
            generation,
            touched,
        },
    )
}

pub(crate) fn any_link_record() -> impl Strategy<Value = LinkRecord> {
    (any::<u64>(), timestamp(), timestamp(), any::<bool>())
        .prop_map(|(uses, touched, keep_until, counted)| LinkRecord { uses, touched, keep_until, counted })
}

pub(crate) fn any_manifest_record() -> impl Strategy<Value = ManifestRecord> {
    let edges = (vec(digest(), 0..3), vec(digest(), 0..3), option::of(digest()));
    (text(), any::<u64>(), edges, any::<u64>(), timestamp(), any::<u64>()).prop_map(
        |(media_type, length_bytes, (blobs, children, subject), tags, pushed, generation)| ManifestRecord {
            media_type,
            length_bytes,
            blobs,
            children,
            subject,
            tags,
            pushed,
            generation,
        },
    )
}

pub(crate) fn any_tag_record() -> impl Strategy<Value = TagRecord> {
    (digest(), timestamp(), any::<u64>(), any::<u64>()).prop_map(|(digest, updated, sequence, revision)| TagRecord {
        digest,
        updated,
        sequence,
        revision,
    })
}

pub(crate) fn any_referrer_record() -> impl Strategy<Value = ReferrerRecord> {
    (text(), any::<u64>(), option::of(text()), vec((text(), text()), 0..3)).prop_map(
        |(media_type, length_bytes, artifact_type, annotations)| ReferrerRecord {
            media_type,
            length_bytes,
            artifact_type,
            annotations,
        },
    )
}

pub(crate) fn any_repository_record() -> impl Strategy<Value = RepositoryRecord> {
    (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), timestamp()).prop_map(
        |(manifests, tags, links, linked_bytes, created)| RepositoryRecord {
            manifests,
            tags,
            links,
            linked_bytes,
            created,
        },
    )
}

pub(crate) fn garbage_item() -> impl Strategy<Value = GarbageItem> {
    prop_oneof![
        (digest(), any::<u64>()).prop_map(|(digest, generation)| GarbageItem::Blob { digest, generation }),
        (repository(), digest()).prop_map(|(repository, digest)| GarbageItem::Link { repository, digest }),
        (repository(), digest(), any::<u64>()).prop_map(|(repository, digest, generation)| GarbageItem::Manifest {
            repository,
            digest,
            generation
        }),
        (repository(), digest()).prop_map(|(repository, digest)| GarbageItem::Tombstone { repository, digest }),
        (repository(), tag()).prop_map(|(repository, tag)| GarbageItem::TagHistory { repository, tag }),
    ]
}

pub(crate) fn any_unheld_record() -> impl Strategy<Value = UnheldRecord> {
    (timestamp(), any::<bool>(), any::<bool>()).prop_map(|(since, orphaned, deleted)| UnheldRecord {
        since,
        orphaned,
        deleted,
    })
}

pub(crate) fn any_tag_change() -> impl Strategy<Value = TagChange> {
    (timestamp(), option::of(text()), select(&ChangeCause::ALL[..]), option::of(digest()), option::of(digest()))
        .prop_map(|(time, principal, cause, digest, previous)| TagChange { time, principal, cause, digest, previous })
}

pub(crate) fn any_tombstone_record() -> impl Strategy<Value = TombstoneRecord> {
    let rows = (any_manifest_record(), option::of(any_referrer_record()), vec(tag(), 0..3));
    (rows, timestamp(), timestamp(), option::of(text()), select(&ChangeCause::ALL[..])).prop_map(
        |((record, referrer, tags), deleted, until, principal, cause)| TombstoneRecord {
            record,
            referrer,
            tags,
            deleted,
            until,
            principal,
            cause,
        },
    )
}

pub(crate) fn any_discard_record() -> impl Strategy<Value = DiscardRecord> {
    (vec((shard_index(), location()), 0..6), any::<u64>()).prop_map(|(shards, bytes)| DiscardRecord { shards, bytes })
}

pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        (repository(), digest(), any::<u64>(), option::of(repository())).prop_map(
            |(repository, digest, length_bytes, mounted_from)| EventKind::BlobLinked {
                repository,
                digest,
                length_bytes,
                mounted_from
            }
        ),
        (repository(), tag(), digest(), option::of(digest())).prop_map(|(repository, tag, digest, previous)| {
            EventKind::TagSet { repository, tag, digest, previous }
        }),
        (repository(), digest()).prop_map(|(repository, digest)| EventKind::ManifestDeleted { repository, digest }),
    ];
    (timestamp(), kind).prop_map(|(time, kind)| Event { time, kind })
}

pub(crate) fn any_response() -> impl Strategy<Value = Response> {
    prop_oneof![
        Just(Response::Done),
        any::<bool>().prop_map(|created| Response::ManifestStored { created, tags: Vec::new() })
    ]
}

pub(crate) fn any_totals_record() -> impl Strategy<Value = TotalsRecord> {
    let garbage = any::<[u64; 5]>().prop_map(|counts| GarbageTotals {
        blobs: counts[0],
        links: counts[1],
        manifests: counts[2],
        tombstones: counts[3],
        histories: counts[4],
    });
    let by_spare = btree_map(any::<u8>(), any::<u64>(), 0..3);
    (any::<[u64; 13]>(), by_spare, garbage, option::of(timestamp())).prop_map(
        |(counts, shortfalls_by_spare, garbage, last_collected)| TotalsRecord {
            repositories: counts[0],
            manifests: counts[1],
            tags: counts[2],
            blobs: counts[3],
            blob_bytes: counts[4],
            uploads: counts[5],
            shortfalls: counts[6],
            shortfalls_by_spare,
            discards: counts[7],
            unreferenced_blobs: counts[8],
            unreferenced_bytes: counts[9],
            discarded_bytes: counts[10],
            garbage,
            collected_items: counts[11],
            collected_bytes: counts[12],
            last_collected,
        },
    )
}

pub(crate) fn any_clock_record() -> impl Strategy<Value = ClockRecord> {
    (timestamp(), any::<u64>(), any::<u64>(), timestamp(), any::<u64>(), option::of(timestamp()), timestamp()).prop_map(
        |(now, next_sequence, first_sequence, first_event, next_generation, first_request_expiry, first_garbage)| {
            ClockRecord {
                now,
                next_sequence,
                first_sequence,
                first_event,
                next_generation,
                first_request_expiry,
                first_garbage,
            }
        },
    )
}

pub(crate) fn any_cluster() -> impl Strategy<Value = ClusterRecord> {
    let held = option::of(timestamp());
    (any::<[u8; 16]>(), any::<u32>(), any_bytes(), any_bytes(), timestamp(), node(), region(), region(), held).prop_map(
        |(
            id,
            feature_level,
            ca_certificate,
            wrapped_ca_key,
            founded,
            next_node,
            next_region,
            primary,
            evictions_held,
        )| {
            ClusterRecord {
                id,
                feature_level,
                ca_certificate,
                wrapped_ca_key,
                founded,
                next_node,
                next_region,
                primary,
                evictions_held,
            }
        },
    )
}

pub(crate) fn any_region() -> impl Strategy<Value = RegionRecord> {
    (text(), timestamp(), request(), option::of(node()), option::of(text()), option::of(any::<u64>())).prop_map(
        |(name, founded, added_by, founder, public_url, inbound_bytes_per_second)| RegionRecord {
            name,
            founded,
            added_by,
            founder,
            public_url,
            inbound_bytes_per_second,
        },
    )
}

pub(crate) fn any_node() -> impl Strategy<Value = NodeRecord> {
    let named = (disk(), any::<u64>()).prop_map(|(id, capacity_bytes)| DiskInfo { id, capacity_bytes });
    let info = (text(), text(), text(), text(), vec(named, 0..3), any::<u32>(), text()).prop_map(
        |(name, zone, peer_address, api_url, disks, feature_level, version)| NodeInfo {
            name,
            zone,
            peer_address,
            api_url,
            disks,
            feature_level,
            version,
        },
    );
    let state = prop_oneof![
        Just(NodeState::Joining),
        Just(NodeState::Active),
        Just(NodeState::Draining),
        Just(NodeState::Removed)
    ];
    let wish = prop_oneof![
        Just(DiskState::Active),
        Just(DiskState::Draining),
        Just(DiskState::Failed),
        Just(DiskState::Removed)
    ];
    let kept =
        (disk(), any::<u64>(), wish).prop_map(|(id, capacity_bytes, state)| DiskRecord { id, capacity_bytes, state });
    let drain = (timestamp(), any::<u64>(), any::<u64>(), any::<bool>())
        .prop_map(|(since, shards, bytes, leave)| DrainRecord { since, shards, bytes, leave });
    let places = (vec(kept, 0..3), option::of(drain), option::of(node()), option::of(node()));
    (info, region(), state, timestamp(), request(), places).prop_map(
        |(info, region, state, joined, admitted_by, (disks, drain, replaces, replaced_by))| NodeRecord {
            info,
            region,
            state,
            joined,
            admitted_by,
            disks,
            drain,
            replaces,
            replaced_by,
        },
    )
}

pub(crate) fn any_join_token() -> impl Strategy<Value = JoinTokenRecord> {
    (any::<[u8; 32]>(), timestamp(), option::of(node())).prop_map(|(secret_hash, expires, used_by)| JoinTokenRecord {
        secret_hash,
        expires,
        used_by,
    })
}
