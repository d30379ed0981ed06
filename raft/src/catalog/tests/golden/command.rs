//! Frozen encodings of every command, response and event of the catalog.

use storage::kv::Bytes;
use storage::shard::{Attempt, ExtentIndex, ShardIndex};

use super::super::store::*;
use super::{pattern, policy, replication, sha512, wide};
use crate::catalog::*;
use crate::golden::Samples;
use crate::id::RegionId;
use crate::policy::Role;
use crate::time::Timestamp;

fn shortfall() -> Shortfall {
    Shortfall { missing: vec![ShardIndex(0), ShardIndex(2)], reason: ShortfallReason::ReadCorrupt }
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

fn stored() -> PutManifest {
    PutManifest {
        children: vec![digest(4)],
        subject: Some(sha512(5)),
        artifact_type: Some("application/spdx+json".to_owned()),
        annotations: vec![("key".to_owned(), "value".to_owned())],
        principal: Some("robot".to_owned()),
        owed: Some(Owed { source: RegionId(2), prefix: "lib".to_owned(), numbers: vec![301, 302], bytes: 5 << 40 }),
        made: Some(Timestamp(1_700_000_000_000)),
        ..manifest("lib/app", 3, &["latest", "v1"], &[1, 2])
    }
}

pub(super) fn commands() -> Vec<Command> {
    let Command::StartUpload(begin) = start(1, "lib/app") else { unreachable!() };
    let (name, session, principal) = (repository("lib/app"), session(1), Some("robot".to_owned()));
    vec![
        Command::Tick,
        Command::StartUpload(begin),
        Command::AdvanceUpload { session, advance: whole_advance() },
        Command::FinishUpload { session, advance: whole_advance(), digest: digest(1) },
        Command::CancelUpload { session, repository: name.clone() },
        Command::ExpireUploads { limit: 100 },
        Command::MountBlob {
            repository: name.clone(),
            digest: digest(1),
            from: Some(repository("base")),
            principal: principal.clone(),
        },
        Command::TouchBlob { repository: name.clone(), digest: sha512(1) },
        Command::TouchManifest { repository: name.clone(), digest: sha512(1) },
        Command::UnlinkBlob { repository: name.clone(), digest: digest(1), principal: principal.clone() },
        Command::PutManifest(stored()),
        Command::DeleteTag { repository: name.clone(), tag: tag("v1"), principal: principal.clone(), owed: None },
        Command::DeleteManifest {
            repository: name.clone(),
            digest: digest(3),
            principal: principal.clone(),
            owed: None,
        },
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
        Command::CollectGarbage { limit: 100 },
        Command::Restore { repository: name.clone(), target: RestoreTarget::Manifest(digest(1)), principal: None },
        Command::Restore { repository: name.clone(), target: RestoreTarget::Tag(tag("v1")), principal },
        Command::RecordPulls { pulls: vec![(name, digest(1)), (repository("base"), sha512(2))] },
        Command::SyncPolicies {
            version: 300,
            changes: vec![
                ("lib".to_owned(), Some(NamespaceCopy { role: Some(Role::Replica), policy: policy() })),
                (String::new(), None),
            ],
            complete: true,
        },
        Command::WalkPolicies { limit: 100 },
    ]
    .into_iter()
    .chain(jobs())
    .chain(replication::commands())
    .collect()
}

fn jobs() -> Vec<Command> {
    let (name, principal) = (repository("lib/app"), Some("robot".to_owned()));
    vec![
        Command::StartJob(StartJob {
            scope: JobScope::Namespace("lib".to_owned()),
            kind: JobKind::Retention,
            principal: None,
        }),
        Command::StartJob(StartJob {
            scope: JobScope::Repository(name.clone()),
            kind: JobKind::Tags { pattern: pattern("dev-*"), older_than_seconds: Some(3600) },
            principal,
        }),
        Command::JobStep(JobStep {
            job: JobId(7),
            expected_cursor: None,
            next_cursor: Some((name.clone(), tag("v1"))),
            examined: 300,
            kept: 299,
            delete: vec![TagToDelete { repository: name, tag: tag("v1"), digest: digest(3) }],
        }),
        Command::CancelJob { job: JobId(7) },
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
        Command::TouchManifest { .. } => "touch-manifest",
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
        Command::CollectGarbage { .. } => "collect-garbage",
        Command::Restore { target: RestoreTarget::Manifest(_), .. } => "restore-manifest",
        Command::Restore { target: RestoreTarget::Tag(_), .. } => "restore-tag",
        Command::RecordPulls { .. } => "record-pulls",
        Command::SyncPolicies { .. } => "sync-policies",
        Command::WalkPolicies { .. } => "walk-policies",
        Command::StartJob(StartJob { kind: JobKind::Retention, .. }) => "start-retention",
        Command::StartJob(_) => "start-job",
        Command::JobStep(_) => "job-step",
        Command::CancelJob { .. } => "cancel-job",
        Command::AdvanceReplication(_) => "advance-replication",
        Command::SettleDebts(_) => "settle-debts",
        Command::DropReplication { .. } => "drop-replication",
        Command::Evict { .. } => "evict",
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
        Response::ManifestStored { created: true, tags: vec![(tag("v1"), Some(digest(1))), (tag("v2"), None)] },
        Response::ManifestBlobsUnknown { digests: vec![digest(1), sha512(2)] },
        Response::ManifestUnknown,
        Response::TagUnknown,
        Response::Stale,
        Response::Count { count: 17 },
        Response::Malformed { message: "why".to_owned() },
        Response::Page { count: 17, next: Some(placement()) },
        Response::DeletesOff { namespace: "lib".to_owned() },
        Response::Immutable {
            tag: tag("v1"),
            digest: digest(3),
            namespace: "lib".to_owned(),
            pattern: "v*".to_owned(),
        },
        Response::Collected { items: 17, bytes: 1 << 40, more: true },
        Response::Restored { digest: digest(3), tags: vec![tag("v1")] },
        Response::NothingToRestore,
        Response::QuotaExceeded {
            namespace: "lib".to_owned(),
            resource: QuotaResource::Bytes,
            used: 300,
            limit: 400,
            needed: 101,
        },
        Response::JobStarted { job: JobId(7) },
        Response::JobRunning { job: JobId(7) },
        Response::TooManyJobs { limit: 8 },
        Response::JobUnknown,
        Response::Foreign { namespace: "lib".to_owned() },
        Response::Evicted { items: 300, bytes: 5 << 40, more: true },
        Response::Deleted { tags: vec![(tag("v1"), digest(3))] },
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
        Response::DeletesOff { .. } => "deletes-off",
        Response::Immutable { .. } => "immutable",
        Response::Collected { .. } => "collected",
        Response::Restored { .. } => "restored",
        Response::NothingToRestore => "nothing-to-restore",
        Response::QuotaExceeded { .. } => "quota-exceeded",
        Response::JobStarted { .. } => "job-started",
        Response::JobRunning { .. } => "job-running",
        Response::TooManyJobs { .. } => "too-many-jobs",
        Response::JobUnknown => "job-unknown",
        Response::Foreign { .. } => "foreign",
        Response::Evicted { .. } => "evicted",
        Response::Deleted { .. } => "deleted",
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
