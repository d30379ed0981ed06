//! Frozen encodings of every record, command, response and event of the catalog.

use proptest::prelude::*;
use storage::codec::Profile;
use storage::kv::Bytes;
use storage::shard::{Attempt, ExtentIndex, Geometry, ShardIndex};

use super::store::*;
use crate::catalog::*;
use crate::golden::{Samples, survives};
use crate::id::RequestId;
use crate::time::Timestamp;

fn sha512(number: u8) -> Digest {
    Digest::from_bytes(Algorithm::Sha512, &[number; 64]).unwrap()
}

fn shortfall() -> Shortfall {
    Shortfall { missing: vec![ShardIndex(0), ShardIndex(2)], reason: ShortfallReason::ReadCorrupt }
}

fn wide() -> CodedExtent {
    let profile = Profile::new(4, 2).unwrap();
    let geometry = Geometry { profile, block_size_bytes: 1 << 18, length_bytes: 5 << 30 };
    let mut coded = CodedExtent::written(geometry, Attempt(0x0123_4567_89ab_cdef), &[1, 2, 3, 4, 5, 6].map(location));
    coded.shards[4].attempt = Attempt(3);
    coded
}

fn whole_advance() -> Advance {
    Advance {
        extents: vec![
            NewExtent { body: ExtentBody::Inline(Bytes::from_static(b"inline")), shortfall: None },
            NewExtent { body: ExtentBody::Coded(coded(7)), shortfall: Some(shortfall()) },
        ],
        replaced: vec![ReplacedExtent { extent: ExtentIndex(3), body: wide(), shortfall: None }],
        parity: 2,
        ..advance(UploadPosition { offset_bytes: 1 << 33, epoch: 9 }, Vec::new())
    }
}

fn commands() -> Vec<Command> {
    let Command::StartUpload(begin) = start(1, "lib/app") else { unreachable!() };
    let stored = PutManifest {
        children: vec![digest(4)],
        subject: Some(sha512(5)),
        artifact_type: Some("application/spdx+json".to_owned()),
        annotations: vec![("key".to_owned(), "value".to_owned())],
        ..manifest("lib/app", 3, &["latest", "v1"], &[1, 2])
    };
    let (name, session) = (repository("lib/app"), session(1));
    vec![
        Command::Tick,
        Command::StartUpload(begin),
        Command::AdvanceUpload { session, advance: whole_advance() },
        Command::FinishUpload { session, advance: whole_advance(), digest: digest(1) },
        Command::CancelUpload { session, repository: name.clone() },
        Command::ExpireUploads { limit: 100 },
        Command::MountBlob { repository: name.clone(), digest: digest(1), from: Some(repository("base")) },
        Command::TouchBlob { repository: name.clone(), digest: sha512(1) },
        Command::UnlinkBlob { repository: name.clone(), digest: digest(1) },
        Command::PutManifest(stored),
        Command::DeleteTag { repository: name.clone(), tag: tag("v1") },
        Command::DeleteManifest { repository: name, digest: digest(3) },
        Command::ReplaceExtent {
            object: object(1),
            extent: ExtentIndex(2),
            expected: Attempt(5),
            body: wide(),
            shortfall: Some(shortfall()),
        },
        Command::ReportShortfall {
            object: object(1),
            extent: ExtentIndex(2),
            attempt: Attempt(5),
            shortfall: shortfall(),
        },
        Command::Swept {
            discards: vec![DiscardKey {
                not_before: Timestamp(1_700_000_000_000),
                object: object(1),
                extent: ExtentIndex(2),
                attempt: Attempt(5),
            }],
        },
        Command::MoveShards {
            object: object(1),
            extent: ExtentIndex(2),
            expected: Attempt(5),
            attempt: Attempt(6),
            moves: vec![ShardMove { shard: ShardIndex(1), to: location(4).shard(Attempt(6)) }],
        },
        Command::ReportLocation {
            node: location(4).node,
            disk: Some(location(4).disk),
            after: Some(placement()),
            limit: 256,
            reason: ShortfallReason::DiskFailed,
        },
        Command::ForgiveLocation {
            node: location(4).node,
            disk: None,
            after: None,
            limit: 256,
            reason: ShortfallReason::NodeAway,
        },
        Command::AcceptProfile { object: object(1), extent: ExtentIndex(2), expected: Attempt(5) },
    ]
}

fn placement() -> PlacementKey {
    PlacementKey { disk: location(4).disk, object: object(1), extent: ExtentIndex(2), shard: ShardIndex(1) }
}

/// A new variant does not compile until it has a sample: give it a name here and a value above.
fn command_name(command: &Command) -> &'static str {
    match command {
        Command::Tick => "tick",
        Command::StartUpload(_) => "start-upload",
        Command::AdvanceUpload { .. } => "advance-upload",
        Command::FinishUpload { .. } => "finish-upload",
        Command::CancelUpload { .. } => "cancel-upload",
        Command::ExpireUploads { .. } => "expire-uploads",
        Command::MountBlob { .. } => "mount-blob",
        Command::TouchBlob { .. } => "touch-blob",
        Command::UnlinkBlob { .. } => "unlink-blob",
        Command::PutManifest(_) => "put-manifest",
        Command::DeleteTag { .. } => "delete-tag",
        Command::DeleteManifest { .. } => "delete-manifest",
        Command::ReplaceExtent { .. } => "replace-extent",
        Command::ReportShortfall { .. } => "report-shortfall",
        Command::Swept { .. } => "swept",
        Command::MoveShards { .. } => "move-shards",
        Command::ReportLocation { .. } => "report-location",
        Command::ForgiveLocation { .. } => "forgive-location",
        Command::AcceptProfile { .. } => "accept-profile",
    }
}

fn responses() -> Vec<Response> {
    let position = UploadPosition { offset_bytes: 300, epoch: 2 };
    vec![
        Response::Done,
        Response::Uploaded { position },
        Response::Published { new_object: true, length_bytes: 300 },
        Response::UploadUnknown,
        Response::UploadMoved { position },
        Response::BlobUnknown,
        Response::Mounted { length_bytes: 300 },
        Response::BlobInUse { manifest: digest(3) },
        Response::ManifestStored { created: true },
        Response::ManifestBlobsUnknown { digests: vec![digest(1), sha512(2)] },
        Response::ManifestUnknown,
        Response::TagUnknown,
        Response::Stale,
        Response::Count { count: 17 },
        Response::Malformed { message: "why".to_owned() },
        Response::Page { count: 17, next: Some(placement()) },
    ]
}

fn response_name(response: &Response) -> &'static str {
    match response {
        Response::Done => "done",
        Response::Uploaded { .. } => "uploaded",
        Response::Published { .. } => "published",
        Response::UploadUnknown => "upload-unknown",
        Response::UploadMoved { .. } => "upload-moved",
        Response::BlobUnknown => "blob-unknown",
        Response::Mounted { .. } => "mounted",
        Response::BlobInUse { .. } => "blob-in-use",
        Response::ManifestStored { .. } => "manifest-stored",
        Response::ManifestBlobsUnknown { .. } => "manifest-blobs-unknown",
        Response::ManifestUnknown => "manifest-unknown",
        Response::TagUnknown => "tag-unknown",
        Response::Stale => "stale",
        Response::Count { .. } => "count",
        Response::Malformed { .. } => "malformed",
        Response::Page { .. } => "page",
    }
}

fn events() -> Vec<EventKind> {
    let (name, digest) = (repository("lib/app"), digest(1));
    vec![
        EventKind::BlobLinked {
            repository: name.clone(),
            digest,
            length_bytes: 300,
            mounted_from: Some(repository("base")),
        },
        EventKind::BlobUnlinked { repository: name.clone(), digest },
        EventKind::ManifestStored {
            repository: name.clone(),
            digest,
            media_type: "application/x".to_owned(),
            length_bytes: 300,
        },
        EventKind::ManifestDeleted { repository: name.clone(), digest },
        EventKind::TagSet { repository: name.clone(), tag: tag("v1"), digest, previous: Some(sha512(2)) },
        EventKind::TagDeleted { repository: name, tag: tag("v1"), digest },
    ]
}

fn event_name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::BlobLinked { .. } => "blob-linked",
        EventKind::BlobUnlinked { .. } => "blob-unlinked",
        EventKind::ManifestStored { .. } => "manifest-stored",
        EventKind::ManifestDeleted { .. } => "manifest-deleted",
        EventKind::TagSet { .. } => "tag-set",
        EventKind::TagDeleted { .. } => "tag-deleted",
    }
}

#[test]
fn commands_are_frozen() {
    let mut samples = Samples::new();
    for command in commands() {
        samples.add(command_name(&command), &command);
    }
    samples.compare("catalog/command.txt");
}

#[test]
fn responses_are_frozen() {
    let mut samples = Samples::new();
    for response in responses() {
        samples.add(response_name(&response), &response);
    }
    samples.compare("catalog/response.txt");
}

#[test]
fn events_are_frozen() {
    let mut samples = Samples::new();
    for kind in events() {
        samples.add(event_name(&kind), &Event { time: Timestamp(1_700_000_000_000), kind: kind.clone() });
    }
    samples.compare("catalog/event.txt");
}

#[test]
fn records_of_bytes_are_frozen() {
    let mut samples = Samples::new();
    let time = Timestamp(1_700_000_000_000);
    for (name, body) in [
        ("extent-inline", ExtentBody::Inline(Bytes::from_static(b"inline"))),
        ("extent-coded", ExtentBody::Coded(wide())),
    ] {
        samples.add(name, &ExtentRecord { offset_bytes: 1 << 40, body });
    }
    samples.add("placement", &PlacementRecord { attempt: Attempt(5) });
    samples.add("placement-totals", &PlacementTotals { shards: 300, bytes: 5 << 40 });
    for reason in ShortfallReason::ALL {
        let weak = reason.is_weakness().then_some(reason);
        let missing = |shard| MissingShard { shard: ShardIndex(shard), cause: reason };
        let missing = if reason.is_weakness() { Vec::new() } else { vec![missing(1), missing(4)] };
        let name = format!("shortfall-{}", reason.name());
        samples.add(&name, &ShortfallRecord { attempt: Attempt(5), missing, weak, since: time });
    }
    for (name, state) in
        [("object-uploading", ObjectState::Uploading), ("object-published", ObjectState::Published(digest(1)))]
    {
        samples.add(name, &ObjectRecord { length_bytes: 300, extents: 2, state });
    }
    samples.add(
        "upload",
        &UploadRecord {
            repository: repository("lib/app"),
            object: object(1),
            principal: Some("robot".to_owned()),
            algorithm: Algorithm::Sha512,
            hash_state: Bytes::from_static(b"state"),
            position: UploadPosition { offset_bytes: 300, epoch: 2 },
            parity: 1,
            last_request: RequestId([7; 16]),
            started: time,
            expires: time.plus_seconds(3600),
            finished: Some(digest(1)),
        },
    );
    for (name, state) in [("blob-live", BlobState::Live), ("blob-condemned", BlobState::Condemned)] {
        samples.add(
            name,
            &BlobRecord {
                object: object(1),
                length_bytes: 300,
                references: 1,
                links: 2,
                generation: 3,
                touched: time,
                state,
            },
        );
    }
    let shards = wide().numbered().map(|(shard, location)| (shard, *location)).collect();
    samples.add("discard", &DiscardRecord { shards });
    samples.compare("catalog/bytes.txt");
}

#[test]
fn records_of_names_are_frozen() {
    let mut samples = Samples::new();
    let time = Timestamp(1_700_000_000_000);
    samples.add("link", &LinkRecord { uses: 1, touched: time });
    samples.add(
        "manifest",
        &ManifestRecord {
            media_type: "application/x".to_owned(),
            length_bytes: 300,
            blobs: vec![digest(1), sha512(2)],
            children: vec![digest(3)],
            subject: Some(digest(4)),
            tags: 2,
            pushed: time,
            generation: 9,
        },
    );
    samples.add("tag", &TagRecord { digest: sha512(1), updated: time, sequence: 1 << 20 });
    samples.add(
        "referrer",
        &ReferrerRecord {
            media_type: "application/x".to_owned(),
            length_bytes: 300,
            artifact_type: Some("application/spdx+json".to_owned()),
            annotations: vec![("key".to_owned(), "value".to_owned())],
        },
    );
    samples
        .add("repository", &RepositoryRecord { manifests: 1, tags: 2, links: 3, linked_bytes: 1 << 40, created: time });
    samples.compare("catalog/names.txt");
}

#[test]
fn records_of_queues_are_frozen() {
    let mut samples = Samples::new();
    let time = Timestamp(1_700_000_000_000);
    samples.add("garbage-blob", &GarbageItem::Blob { digest: digest(1), generation: 3 });
    samples.add("garbage-link", &GarbageItem::Link { repository: repository("lib/app"), digest: sha512(1) });
    let (repository, digest) = (repository("lib/app"), digest(1));
    samples.add("garbage-manifest", &GarbageItem::Manifest { repository, digest, generation: 3 });
    samples.add("timestamp", &time);
    samples.add(
        "totals",
        &TotalsRecord {
            repositories: 1,
            manifests: 2,
            tags: 3,
            blobs: 4,
            blob_bytes: 5 << 40,
            uploads: 6,
            shortfalls: 7,
            shortfalls_by_spare: [(0, 4), (1, 2), (ShortfallKey::LOST, 1)].into(),
            discards: 8,
        },
    );
    samples.add(
        "clock",
        &ClockRecord {
            now: time,
            next_sequence: 300,
            first_sequence: 20,
            first_event: time,
            next_generation: 70,
            first_request_expiry: Some(time.plus_seconds(300)),
        },
    );
    samples.compare("catalog/queues.txt");
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survives::<Command>(&bytes);
        survives::<Response>(&bytes);
        survives::<Event>(&bytes);
        survives::<ExtentRecord>(&bytes);
        survives::<PlacementRecord>(&bytes);
        survives::<PlacementTotals>(&bytes);
        survives::<ShortfallRecord>(&bytes);
        survives::<ObjectRecord>(&bytes);
        survives::<UploadRecord>(&bytes);
        survives::<BlobRecord>(&bytes);
        survives::<DiscardRecord>(&bytes);
        survives::<LinkRecord>(&bytes);
        survives::<ManifestRecord>(&bytes);
        survives::<TagRecord>(&bytes);
        survives::<ReferrerRecord>(&bytes);
        survives::<RepositoryRecord>(&bytes);
        survives::<GarbageItem>(&bytes);
        survives::<TotalsRecord>(&bytes);
        survives::<ClockRecord>(&bytes);
        survives::<Timestamp>(&bytes);
    }

    /// A flipped byte is another value or an error, never a panic.
    #[test]
    fn damaged_commands_are_decoded_without_a_panic(sample in 0..19_usize, at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = crate::codec::encode(&commands()[sample]);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        survives::<Command>(&bytes[1..]);
    }
}
