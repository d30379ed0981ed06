//! What a repository holds, taken away where this region is foreign to it.

use super::replication::{SOURCE, position, surveying};
use super::store::*;
use crate::catalog::*;
use crate::policy::Role;
use crate::time::Timestamp;

/// Something of everything in `acme/app`, and something of its blobs in `other`.
fn furnished() -> Store {
    let mut store = Store::new();
    for number in 1..=3 {
        store.push(number, "acme/app", number);
    }
    store.apply(mount("other", 1, Some("acme/app")));
    store.put(manifest("acme/app", 10, &["a", "b"], &[1, 2]));
    store.put(index("acme/app", 11, &["all"], &[10]));
    store.put(referrer("acme/app", 12, 10));
    store.put(manifest("acme/app", 13, &["gone"], &[3]));
    store.apply(delete_manifest("acme/app", 13));
    store.put(manifest("acme/app", 14, &[], &[]));
    store.start(4, "acme/app");
    let extents = store.extents(1);
    store.advance(4, extents);
    store.apply(Command::RecordPulls { pulls: vec![(repository("acme/app"), digest(10))] });
    store
}

impl Store {
    fn evict(&mut self, name: &str, limit: u32) -> Response {
        let policy_version = self.view().policy_version().unwrap();
        self.apply(Command::Evict { repository: repository(name), limit, policy_version })
    }

    fn evictable(&self) -> Vec<String> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.view().evictable(after.as_ref(), 2).unwrap();
            after = page.last().cloned();
            all.extend(page.iter().map(ToString::to_string));
            if page.is_empty() {
                let whole = self.view().evictable(None, 1000).unwrap();
                assert_eq!(all, whole.iter().map(ToString::to_string).collect::<Vec<_>>());
                return all;
            }
        }
    }
}

#[test]
fn nothing_is_left_of_what_was_evicted_and_others_keep_what_they_share() {
    for limit in [1, 3, 1000] {
        let mut store = furnished();
        store.sync_role("acme", Some(Role::Foreign));
        let events = store.events();
        let mut sum = (0, 0);
        loop {
            let response = store.evict("acme/app", limit);
            let Response::Evicted { items, bytes, more } = response else { panic!("{response:?}") };
            assert!(items >= 1 && items <= u64::from(limit));
            sum = (sum.0 + items, sum.1 + bytes);
            if !more {
                break;
            }
        }
        // Four sessions, three tags, a history, four manifests, three links, a tombstone.
        assert_eq!(sum, (16, 3 * EXTENT_BYTES), "limit {limit}");
        assert_eq!(store.events(), events, "nothing was deleted: it left");
        let (view, name) = (store.view(), repository("acme/app"));
        assert_eq!(view.repository(&name).unwrap(), None);
        assert_eq!(view.tombstones(&name, None, 9).unwrap(), []);
        assert_eq!(view.deleted_tags(&name, None, 9).unwrap(), []);
        assert_eq!(view.usage("acme").unwrap(), UsageRecord::default());
        assert_eq!(view.upload(session(4)).unwrap(), None);
        assert_eq!(store.evictable(), Vec::<String>::new());
        let due: Vec<_> = store.view().garbage(store.now, 9).unwrap().into_iter().map(|(_, item)| item).collect();
        assert_eq!(due, [blob_item(&store, 2), blob_item(&store, 3)]);
        store.collect();
        let blobs = [1, 2, 3].map(|number| store.view().blob(&digest(number)).unwrap().is_some());
        assert_eq!(blobs, [true, false, false], "no grace: nobody was promised anything here");
        assert_eq!(store.view().usage("other").unwrap().blobs, 1);
        assert_eq!(store.evict("acme/app", limit), Response::Evicted { items: 0, bytes: 0, more: false });
    }
}

#[test]
fn only_what_is_foreign_leaves() {
    for role in [None, Some(Role::Home), Some(Role::Replica), Some(Role::Fenced)] {
        let mut store = furnished();
        store.sync_role("acme", role);
        let before = store.view().totals().unwrap();
        assert_eq!(store.evict("acme/app", 100), Response::Stale, "{role:?}");
        assert_eq!(store.view().totals().unwrap(), before);
        assert_eq!(store.evictable(), Vec::<String>::new());
    }
}

#[test]
fn nothing_leaves_by_policies_that_are_not_those_of_now() {
    let mut store = furnished();
    store.sync_role("acme", Some(Role::Foreign));
    let version = store.view().policy_version().unwrap();
    let evict = |policy_version| Command::Evict { repository: repository("acme/app"), limit: 1, policy_version };
    assert_eq!(store.apply(evict(version - 1)), Response::Stale);
    assert_eq!(store.apply(evict(version + 1)), Response::Stale);
    let begun = Command::SyncPolicies { version: version + 1, changes: Vec::new(), complete: false };
    assert_eq!(store.apply(begun), Response::Done);
    assert_eq!(store.apply(evict(version)), Response::Stale, "another page may call it a replica");
    let complete = Command::SyncPolicies { version: version + 1, changes: Vec::new(), complete: true };
    store.apply(complete);
    assert!(matches!(store.apply(evict(version + 1)), Response::Evicted { items: 1, .. }));
}

#[test]
fn nothing_leaves_while_it_is_known_how_far_it_was_copied() {
    let mut store = furnished();
    store.sync_role("acme", Some(Role::Replica));
    store.hear(position(surveying(), 1), 1, Vec::new());
    store.sync_role("acme", Some(Role::Foreign));
    assert_eq!(store.evict("acme/app", 100), Response::Stale);
    store.apply(Command::DropReplication { source: SOURCE, prefix: "acme".to_owned(), limit: 9 });
    assert!(matches!(store.evict("acme/app", 100), Response::Evicted { more: false, .. }));
}

#[test]
fn what_is_foreign_below_a_copied_prefix_leaves_and_belongs_to_it_again_by_a_survey_alone() {
    let mut store = furnished();
    store.sync_role("acme", Some(Role::Replica));
    store.hear(position(surveying(), 1), 1, Vec::new());
    assert_eq!(store.hear(position(ReplicationStage::Following, 1), 1, Vec::new()), Response::Done);
    assert_eq!(store.replication().unwrap().synced, Some(Timestamp(1)));
    store.sync_role("acme/app", Some(Role::Foreign));
    assert_eq!(store.replication().unwrap().synced, Some(Timestamp(1)), "what is left of it is as it was");
    assert!(matches!(store.evict("acme/app", 100), Response::Evicted { more: false, .. }), "acme is copied still");
    store.sync_role("acme/app", None);
    let record = store.replication().unwrap();
    assert_eq!((record.stage, record.synced), (ReplicationStage::Void, None), "of acme/app nothing is here");
}

#[test]
fn what_leaves_is_listed_and_everything_else_is_jumped_over() {
    let mut store = Store::new();
    for name in ["a", "a-x", "a/b", "a/b-c", "a/b/c", "a/b/c/d", "a/z", "b", "b.c", "b/c", "c/home", "c/home/x"] {
        store.put(manifest(name, 10, &["v1"], &[]));
    }
    assert_eq!(store.evictable(), Vec::<String>::new(), "where nothing is said all is at home");
    store.sync_role("a", Some(Role::Foreign));
    store.sync_role("a/b", Some(Role::Home));
    store.sync_role("a/b/c", Some(Role::Foreign));
    store.sync_role("b", Some(Role::Replica));
    assert_eq!(store.evictable(), ["a", "a/b-c", "a/b/c", "a/b/c/d", "a/z"]);
    store.sync_role("", Some(Role::Foreign));
    store.sync_role("c/home", Some(Role::Fenced));
    assert_eq!(store.evictable(), ["a", "a-x", "a/b-c", "a/b/c", "a/b/c/d", "a/z", "b.c"]);
    store.sync_role("", Some(Role::Home));
    store.sync_role("b/c", Some(Role::Foreign));
    assert_eq!(store.evictable(), ["a", "a/b-c", "a/b/c", "a/b/c/d", "a/z", "b/c"]);
}

#[test]
fn what_has_nothing_but_a_past_or_an_open_upload_leaves_too() {
    let mut store = Store::new();
    store.start(1, "acme/open");
    store.put(manifest("acme/past", 10, &["v1"], &[]));
    store.apply(delete_manifest("acme/past", 10));
    store.sync_role("acme", Some(Role::Foreign));
    assert_eq!(store.evictable(), ["acme/open", "acme/past"]);
    for name in ["acme/open", "acme/past"] {
        assert!(matches!(store.evict(name, 100), Response::Evicted { more: false, .. }));
    }
    assert_eq!(store.evictable(), Vec::<String>::new());
    assert_eq!(store.garbage(), []);
    assert_eq!(store.view().events(0, 1).unwrap()[0].1.time, Timestamp(1_000_000_000_000));
}
