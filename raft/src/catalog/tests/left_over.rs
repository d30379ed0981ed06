//! What of a copy is read for comparing it, and what was there before it was one.

use super::replication::owed;
use super::store::*;
use crate::catalog::*;
use crate::policy::Role;

#[test]
fn blobs_that_no_manifest_uses_yet_are_told_of() {
    let mut store = Store::new();
    for number in 1..=4 {
        store.push(number, "acme/app", number);
    }
    store.push(5, "acme/app/other", 3);
    store.put(manifest("acme/app", 10, &["a"], &[2]));
    let (view, name) = (store.view(), repository("acme/app"));
    let unused = |after: Option<u8>, limit| {
        let page = view.links_unused(&name, after.map(digest).as_ref(), limit).unwrap();
        assert!(page.iter().all(|(_, length_bytes)| *length_bytes == EXTENT_BYTES));
        page.into_iter().map(|(digest, _)| digest).collect::<Vec<_>>()
    };
    assert_eq!(unused(None, 9), [1, 3, 4].map(digest));
    assert_eq!((unused(None, 2), unused(Some(3), 9)), (vec![digest(1), digest(3)], vec![digest(4)]));
}

#[test]
fn what_a_survey_compares_is_read_page_by_page() {
    let mut store = Store::new();
    store.put(manifest("acme/app", 10, &["b", "a"], &[]));
    store.put(manifest("acme/app", 11, &["c"], &[]));
    let (view, name) = (store.view(), repository("acme/app"));
    assert_eq!(view.tags_with(&name, None, 2).unwrap(), [(tag("a"), digest(10)), (tag("b"), digest(10))]);
    assert_eq!(view.tags_with(&name, Some(&tag("b")), 2).unwrap(), [(tag("c"), digest(11))]);
    let digests = |after: Option<&Digest>| {
        let page = view.manifests_of(&name, after, 1).unwrap();
        page.into_iter().map(|(digest, record)| (digest, record.tags)).collect::<Vec<_>>()
    };
    assert_eq!((digests(None), digests(Some(&digest(10)))), (vec![(digest(10), 2)], vec![(digest(11), 1)]));
}

#[test]
fn what_is_left_where_a_copy_is_made_is_no_copy_until_all_is_here() {
    for before in [Role::Fenced, Role::Foreign] {
        let mut store = Store::new();
        let left = |store: &Store| store.view().has_leftovers("acme").unwrap();
        store.sync_role("acme", Some(before));
        assert!(!left(&store));
        store.sync_role("acme", Some(Role::Replica));
        assert!(left(&store));
        store.follow(vec![owed("acme/app", 1)]);
        assert!(left(&store), "something is owed still");
        store.settle(&[1], &[]);
        assert!(!left(&store));
        // The home moves between other regions: a copy it was, and is.
        store.sync_role("acme", Some(Role::Replica));
        assert!(!left(&store));
        store.sync_role("acme", Some(before));
        store.sync_role("acme", Some(Role::Replica));
        store.sync_role("acme", Some(Role::Home));
        assert!(!left(&store));
    }
}

#[test]
fn what_clients_may_have_written_at_a_home_is_never_left_over() {
    let mut store = Store::new();
    store.sync_role("acme", Some(Role::Foreign));
    store.sync_role("acme", Some(Role::Replica));
    assert!(store.view().has_leftovers("acme").unwrap());
    store.sync_role("acme/own", Some(Role::Home));
    assert!(store.view().has_leftovers("acme").unwrap());
    // It belongs to the copy of the whole from now on.
    store.sync_role("acme/own", None);
    assert!(!store.view().has_leftovers("acme").unwrap() && !store.view().has_leftovers("acme/own").unwrap());
    let mut store = Store::new();
    store.sync_role("acme", Some(Role::Home));
    store.sync_role("acme", Some(Role::Replica));
    assert!(!store.view().has_leftovers("acme").unwrap(), "it was never fenced");
}
