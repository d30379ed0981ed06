//! Frozen encodings of every record of the catalog.

use storage::kv::Bytes;
use storage::shard::{Attempt, ShardIndex};

use super::super::store::*;
use super::{pattern, policy, sha512, wide};
use crate::catalog::*;
use crate::golden::Samples;
use crate::id::RequestId;
use crate::policy::Role;
use crate::time::Timestamp;

fn manifest_record() -> ManifestRecord {
    ManifestRecord {
        media_type: "application/x".to_owned(),
        length_bytes: 300,
        blobs: vec![digest(1), sha512(2)],
        children: vec![digest(3)],
        subject: Some(digest(4)),
        tags: 2,
        pushed: Timestamp(1_700_000_000_000),
        generation: 9,
    }
}

fn referrer_record() -> ReferrerRecord {
    ReferrerRecord {
        media_type: "application/x".to_owned(),
        length_bytes: 300,
        artifact_type: Some("application/spdx+json".to_owned()),
        annotations: vec![("key".to_owned(), "value".to_owned())],
    }
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
    samples.add(
        "blob",
        &BlobRecord { object: object(1), length_bytes: 300, references: 1, links: 2, generation: 3, touched: time },
    );
    let shards = wide().numbered().map(|(shard, location)| (shard, *location)).collect();
    samples.add("discard", &DiscardRecord { shards, bytes: 5 << 40 });
    samples.compare("catalog/bytes.txt");
}

#[test]
fn records_of_names_are_frozen() {
    let mut samples = Samples::new();
    let time = Timestamp(1_700_000_000_000);
    samples.add("link", &LinkRecord { uses: 1, touched: time, keep_until: time.plus_seconds(60), counted: true });
    samples.add("manifest", &manifest_record());
    samples.add("tag", &TagRecord { digest: sha512(1), updated: time, sequence: 1 << 20, revision: 300 });
    samples.add("referrer", &referrer_record());
    samples
        .add("repository", &RepositoryRecord { manifests: 1, tags: 2, links: 3, linked_bytes: 1 << 40, created: time });
    samples.add("unheld", &UnheldRecord { since: time, orphaned: true, deleted: false });
    for cause in ChangeCause::ALL {
        let (digest, previous) =
            if cause == ChangeCause::Push { (Some(digest(1)), None) } else { (None, Some(digest(2))) };
        let change = TagChange { time, principal: Some("robot".to_owned()), cause, digest, previous };
        samples.add(&format!("tag-change-{}", cause.name()), &change);
    }
    samples.add(
        "tombstone",
        &TombstoneRecord {
            record: manifest_record(),
            referrer: Some(referrer_record()),
            tags: vec![tag("v1")],
            deleted: time,
            until: time.plus_seconds(86400),
            principal: None,
            cause: ChangeCause::BulkDeletion,
        },
    );
    samples.compare("catalog/names.txt");
}

#[test]
fn records_of_queues_are_frozen() {
    let mut samples = Samples::new();
    let time = Timestamp(1_700_000_000_000);
    samples.add("garbage-blob", &GarbageItem::Blob { digest: digest(1), generation: 3 });
    samples.add("garbage-link", &GarbageItem::Link { repository: repository("lib/app"), digest: sha512(1) });
    let (repository, digest, tag) = (repository("lib/app"), digest(1), tag("v1"));
    let item = GarbageItem::Manifest { repository: repository.clone(), digest, generation: 3 };
    samples.add("garbage-manifest", &item);
    samples.add("garbage-tombstone", &GarbageItem::Tombstone { repository: repository.clone(), digest });
    samples.add("garbage-tag-history", &GarbageItem::TagHistory { repository, tag });
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
            unreferenced_blobs: 2,
            unreferenced_bytes: 3 << 40,
            discarded_bytes: 1 << 40,
            garbage: GarbageTotals { blobs: 1, links: 2, manifests: 3, tombstones: 4, histories: 5 },
            collected_items: 1 << 20,
            collected_bytes: 9 << 40,
            last_collected: Some(time),
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
            first_garbage: time.plus_seconds(60),
        },
    );
    samples.compare("catalog/queues.txt");
}

#[test]
fn records_of_policies_and_jobs_are_frozen() {
    let mut samples = Samples::new();
    let time = Timestamp(1_700_000_000_000);
    samples.add("namespace-copy", &NamespaceCopy::from(policy()));
    for (name, role) in [
        ("namespace-copy-home", Role::Home),
        ("namespace-copy-replica", Role::Replica),
        ("namespace-copy-foreign", Role::Foreign),
        ("namespace-copy-fenced", Role::Fenced),
    ] {
        samples.add(name, &NamespaceCopy { role: Some(role), ..NamespaceCopy::default() });
    }
    samples.add("policy-version", &PolicyVersionRecord { complete: 300, begun: 301 });
    samples.add("policy-walk", &PolicyWalkRecord { cursor: Some((repository("lib/app"), digest(1))) });
    samples.add("usage", &UsageRecord { repositories: 1, manifests: 2, tags: 3, blobs: 4, bytes: 5 << 40 });
    samples.add("usage-blob", &UsageBlobRecord { repositories: 300 });
    samples.add("job-id", &JobId(300));
    for (name, kind, state) in [
        ("job-retention", JobKind::Retention, JobState::Running),
        ("job-tags", JobKind::Tags { pattern: pattern("dev-*"), older_than_seconds: Some(3600) }, JobState::Done),
        ("job-cancelled", JobKind::Tags { pattern: pattern("*"), older_than_seconds: None }, JobState::Cancelled),
    ] {
        let record = JobRecord {
            scope: JobScope::Namespace("lib".to_owned()),
            kind,
            state,
            cursor: Some((repository("lib/app"), tag("v1"))),
            examined: 300,
            deleted: 200,
            kept: 90,
            protected: 10,
            principal: Some("operator".to_owned()),
            started: time,
            ended: Some(time.plus_seconds(60)),
        };
        samples.add(name, &record);
    }
    samples.add("job-totals", &JobTotals { last: 300, running: 1, ended: 100 });
    samples.add("retention-run", &RetentionRunRecord { every_seconds: 86400, due: time, last: Some(time) });
    samples.compare("catalog/policies.txt");
}
