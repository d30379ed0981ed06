//! The audit as the judge of every test of the catalog, and proof that it sees what is planted.

use std::sync::Arc;

use storage::kv::{Batch, Bytes, Engine};
use storage::shard::{Attempt, ExtentIndex, ShardIndex};

use super::replication::{SOURCE, owed, position, surveying};
use super::store::*;
use crate::catalog::audit::{Finding, audit};
use crate::catalog::table::PlacementTotals as PlacementTotalsOf;
use crate::catalog::table::*;
use crate::catalog::*;
use crate::id::RequestId;
use crate::key::Prefix;
use crate::machine::Transaction;
use crate::policy::Role;
use crate::table::Table;
use crate::time::Timestamp;

/// A prefix of which the furnished catalog has a copy.
const COPY: &str = "acme/copy";

/// Panics where an invariant does not hold.
pub(super) fn check(engine: &Arc<dyn Engine>) {
    let findings = audit(engine, 20).unwrap();
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", texts.join("\n"));
}

/// A catalog with something of everything.
fn furnished() -> Store {
    let mut store = Store::new();
    store.push(1, "acme/app", 1);
    store.push(2, "acme/app", 2);
    store.put(manifest("acme/app", 10, &["latest"], &[1, 2]));
    store.put(index("acme/app", 11, &["all"], &[10]));
    store.put(referrer("acme/app", 12, 10));
    store.push(3, "acme/app", 3);
    store.start(4, "acme/other");
    let extents = store.extents(2);
    store.advance(4, extents);
    store.put(manifest("acme/app", 13, &["old"], &[]));
    store.put(manifest("acme/app", 14, &["gone"], &[]));
    store.apply(delete_tag("acme/app", "old"));
    store.apply(delete_manifest("acme/app", 14));
    store.apply(Command::RecordPulls { pulls: vec![(repository("acme/app"), digest(10))] });
    let attempt = store.attempt(object(1), 0);
    let shortfall = Shortfall { missing: vec![ShardIndex(1)], reason: ShortfallReason::ReadMissing };
    store.apply(Command::ReportShortfall { object: object(1), extent: ExtentIndex(0), attempt, shortfall });
    store.sync_role("acme/copy", Some(Role::Replica));
    let (source, prefix, heard, expected) = (SOURCE, COPY.to_owned(), Timestamp(5), None);
    let (next, debts) = (position(surveying(), 1), vec![owed("acme/copy/app", 1)]);
    store.apply(Command::AdvanceReplication(AdvanceReplication {
        source,
        prefix,
        expected,
        next,
        policy_version: 1,
        heard,
        debts,
    }));
    store
}

/// What the audit says after a change behind the machine's back.
fn after(change: impl FnOnce(&mut Transaction<'_>)) -> Vec<Finding> {
    let store = furnished();
    let mut transaction = Transaction::new(store.engine.as_ref());
    change(&mut transaction);
    store.engine.write(transaction.into_batch()).unwrap();
    audit(&store.engine, usize::MAX).unwrap()
}

fn finds(invariant: &str, change: impl FnOnce(&mut Transaction<'_>)) {
    let findings = after(change);
    assert!(findings.iter().any(|finding| finding.invariant == invariant), "{invariant}: {findings:?}");
}

#[test]
fn a_catalog_that_was_not_tampered_with_has_no_findings() {
    assert_eq!(after(|_| {}), Vec::new());
}

#[test]
fn an_empty_catalog_has_no_findings() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(audit(&open(directory.path()), 20).unwrap(), Vec::new());
}

#[test]
fn what_is_missing_under_a_name_is_found() {
    let app = repository("acme/app");
    finds("a manifest never lacks a blob", |state| Blobs::delete(state, &digest(1)));
    finds("a manifest never lacks a blob", |state| Links::delete(state, (&app, &digest(1))));
    finds("a manifest has its bytes", |state| ManifestContents::delete(state, (&app, &digest(10))));
    finds("no tag dangles", |state| Manifests::delete(state, (&app, &digest(11))));
    finds("edges are symmetrical", |state| ManifestUses::delete(state, (&app, &digest(1), &digest(10))));
    finds("edges are symmetrical", |state| ManifestParents::delete(state, (&app, &digest(10), &digest(11))));
    finds("edges are symmetrical", |state| Referrers::delete(state, (&app, &digest(10), &digest(12))));
    finds("edges are symmetrical", |state| ManifestTags::put(state, (&app, &digest(10), &tag("old")), &()));
    finds("a repository's counts are exact", |state| Repositories::delete(state, &app));
}

#[test]
fn a_wrong_count_is_found() {
    let app = repository("acme/app");
    finds("reference counts are exact", |state| {
        let mut blob = Blobs::require(state, &digest(1)).unwrap();
        blob.references += 1;
        Blobs::put(state, &digest(1), &blob);
    });
    finds("reference counts are exact", |state| {
        let mut link = Links::require(state, (&app, &digest(2))).unwrap();
        link.uses = 0;
        Links::put(state, (&app, &digest(2)), &link);
    });
    finds("a manifest's tags are counted exactly", |state| {
        let mut manifest = Manifests::require(state, (&app, &digest(10))).unwrap();
        manifest.tags = 7;
        Manifests::put(state, (&app, &digest(10)), &manifest);
    });
    finds("the totals are exact", |state| {
        let mut totals = Totals::require(state, ()).unwrap();
        totals.blob_bytes += 1;
        Totals::put(state, (), &totals);
    });
    finds("the totals are exact", |state| {
        let mut totals = Totals::require(state, ()).unwrap();
        totals.shortfalls_by_spare.insert(3, 1);
        Totals::put(state, (), &totals);
    });
}

#[test]
fn what_is_wrong_with_what_is_owed_is_found() {
    let prefix = Prefix(COPY.to_owned());
    let counts = "what is owed of a replication is counted exactly";
    let change = |change: fn(&mut ReplicationRecord)| {
        let prefix = prefix.clone();
        move |state: &mut Transaction<'_>| {
            let mut record = Replications::require(state, (&SOURCE, &prefix)).unwrap();
            change(&mut record);
            Replications::put(state, (&SOURCE, &prefix), &record);
        }
    };
    finds(counts, change(|record| record.debts = 7));
    finds(counts, change(|record| record.failing = 1));
    finds(counts, |state| {
        let number = Replications::require(state, (&SOURCE, &prefix)).unwrap().next_debt - 1;
        Debts::delete(state, (&SOURCE, &prefix, &number));
    });
    finds("a debt belongs to a replication", change(|record| record.next_debt = 1));
    finds("a debt belongs to a replication", |state| Replications::delete(state, (&SOURCE, &prefix)));
    finds("what is in sync was heard", change(|record| record.synced = Some(Timestamp(6))));
    finds("a repository knows of its sessions", |state| {
        RepositoryUploads::delete(state, (&repository("acme/other"), &session(4)));
    });
    finds("a repository knows of its sessions", |state| {
        RepositoryUploads::put(state, (&repository("acme/app"), &session(4)), &());
    });
}

#[test]
fn what_is_wrong_with_what_is_kept_of_the_past_is_found() {
    let app = repository("acme/app");
    let unheld = "a manifest is listed as unheld exactly while nothing holds it";
    finds(unheld, |state| UnheldManifests::delete(state, (&app, &digest(13))));
    let record = UnheldRecord { since: Timestamp(0), orphaned: false, deleted: false };
    finds(unheld, |state| UnheldManifests::put(state, (&app, &digest(10)), &record));
    finds(unheld, |state| UnheldManifests::put(state, (&app, &digest(99)), &record));
    finds("the garbage queue holds exactly what nothing holds", |state| {
        UnheldManifests::put(state, (&app, &digest(13)), &UnheldRecord { orphaned: true, ..record });
    });
    finds("only manifests that exist were pulled", |state| Pulls::put(state, (&app, &digest(14)), &Timestamp(5)));
    let tombstone = "a tombstone stands for a manifest that is gone";
    finds(tombstone, |state| {
        let kept = Tombstones::require(state, (&app, &digest(14))).unwrap();
        Tombstones::put(state, (&app, &digest(10)), &kept);
    });
    finds("a tombstone has its bytes", |state| TombstoneContents::delete(state, (&app, &digest(14))));
    finds("a tombstone has its bytes", |state| Tombstones::delete(state, (&app, &digest(14))));
    finds("the garbage queue holds exactly what nothing holds", |state| {
        Tombstones::delete(state, (&app, &digest(14)));
        TombstoneContents::delete(state, (&app, &digest(14)));
    });
    let history = "a tag's history ends where the tag is";
    finds(history, |state| TagHistory::delete(state, (&app, &tag("latest"), &1)));
    finds(history, |state| TagHistory::delete(state, (&app, &tag("old"), &2)));
    finds("a tag's history has no gaps", |state| {
        let change = TagHistory::require(state, (&app, &tag("old"), &2)).unwrap();
        TagHistory::delete(state, (&app, &tag("old"), &2));
        TagHistory::put(state, (&app, &tag("old"), &3), &change);
    });
    finds("a tag's history is bounded", |state| {
        let change = TagHistory::require(state, (&app, &tag("latest"), &1)).unwrap();
        (2..=TAG_CHANGES_KEPT + 1).for_each(|next| TagHistory::put(state, (&app, &tag("latest"), &next), &change));
    });
}

#[test]
fn wrong_usage_is_found() {
    let usage = "the usage of each namespace is exact";
    finds(usage, |state| Usage::delete(state, &"acme".to_owned()));
    finds(usage, |state| Usage::put(state, &"other".to_owned(), &UsageRecord { tags: 1, ..UsageRecord::default() }));
    finds(usage, |state| {
        let record = Usage::require(state, &"acme/app".to_owned()).unwrap();
        Usage::put(state, &"acme/app".to_owned(), &UsageRecord { bytes: record.bytes + 1, ..record });
    });
    finds(usage, |state| UsageBlobs::delete(state, (&digest(1), &"acme".to_owned())));
    finds(usage, |state| {
        UsageBlobs::put(state, (&digest(9), &"acme".to_owned()), &UsageBlobRecord { repositories: 1 });
    });
    finds("a link counts while it is used", |state| {
        let link = Links::require(state, (&repository("acme/app"), &digest(1))).unwrap();
        Links::put(state, (&repository("acme/app"), &digest(1)), &LinkRecord { counted: false, ..link });
    });
}

#[test]
fn what_is_wrong_with_bytes_is_found() {
    let location = location(1);
    finds("an object is the sum of its extents", |state| Extents::delete(state, (&object(4), &ExtentIndex(1))));
    finds("a blob has its bytes", |state| Objects::delete(state, &object(1)));
    finds("an object has its purpose", |state| Uploads::delete(state, &session(4)));
    finds("placements are those of the extents", |state| {
        let key = (&location.node, &location.disk, &object(1), &ExtentIndex(0), &ShardIndex(0));
        ShardPlacements::delete(state, key);
    });
    finds("shortfalls speak of extents as they are", |state| Extents::delete(state, (&object(1), &ExtentIndex(0))));
    finds("what is about to be unlinked is not in use", |state| {
        let record = Extents::require(state, (&object(2), &ExtentIndex(0))).unwrap();
        let ExtentBody::Coded(coded) = record.body else { panic!("inline") };
        let discard = DiscardRecord { shards: vec![(ShardIndex(1), coded.shards[1])], bytes: 0 };
        Discards::put(state, (&Timestamp(0), &object(2), &ExtentIndex(0), &Attempt(99)), &discard);
    });
    finds("the totals of each disk are exact", |state| {
        PlacementTotalsOf::delete(state, (&location.node, &location.disk));
    });
    finds("the totals of each disk are exact", |state| {
        let mut totals = PlacementTotalsOf::require(state, (&location.node, &location.disk)).unwrap();
        totals.bytes += 1;
        PlacementTotalsOf::put(state, (&location.node, &location.disk), &totals);
    });
    finds("no two shards of an extent share a disk", |state| {
        let mut record = Extents::require(state, (&object(2), &ExtentIndex(0))).unwrap();
        let ExtentBody::Coded(coded) = &mut record.body else { panic!("inline") };
        coded.shards[1] = coded.shards[0];
        Extents::put(state, (&object(2), &ExtentIndex(0)), &record);
    });
}

#[test]
fn what_is_wrong_with_a_queue_is_found() {
    finds("the garbage queue holds exactly what nothing holds", |state| {
        GarbageDeadlines::delete(state, &GarbageItem::Link { repository: repository("acme/app"), digest: digest(3) });
    });
    finds("the garbage queue holds exactly what nothing holds", |state| {
        let item = GarbageItem::Link { repository: repository("acme/app"), digest: digest(1) };
        GarbageDeadlines::put(state, &item, &Timestamp(5));
        GarbageQueue::put(state, (&Timestamp(5), &item), &());
    });
    finds("nothing goes before its time", |state| {
        let app = repository("acme/app");
        let link = Links::require(state, (&app, &digest(3))).unwrap();
        Links::put(state, (&app, &digest(3)), &LinkRecord { keep_until: Timestamp(u64::MAX), ..link });
    });
    finds("a scan of the garbage queue begins before its first item", |state| {
        let clock = CatalogClock::require(state, ()).unwrap();
        CatalogClock::put(state, (), &ClockRecord { first_garbage: Timestamp(u64::MAX), ..clock });
    });
    finds("the totals are exact", |state| {
        let mut totals = Totals::require(state, ()).unwrap();
        totals.garbage.tombstones += 1;
        Totals::put(state, (), &totals);
    });
    finds("the feed has no gaps", |state| Feed::delete(state, &2));
    finds("every remembered request has its time", |state| Requests::delete(state, &RequestId(5u128.to_be_bytes())));
}

#[test]
fn a_row_that_cannot_be_read_is_found_and_the_rest_is_audited() {
    let store = furnished();
    let mut batch = Batch::default();
    batch.put(Tags::COLUMN, Tags::key::<<Tags as Table>::Key>((&repository("acme/app"), &tag("all"))), Bytes::new());
    store.engine.write(batch).unwrap();
    let findings = audit(&store.engine, usize::MAX).unwrap();
    assert_eq!(findings[0].invariant, "edges are symmetrical");
    assert!(findings.iter().any(|finding| finding.invariant == "every row can be read"), "{findings:?}");
    assert_eq!(audit(&store.engine, 1).unwrap().len(), 1);
}
