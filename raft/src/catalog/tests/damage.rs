//! What is lost, told by the names that people know.

use storage::shard::{ExtentIndex, ShardIndex};

use super::store::*;
use crate::catalog::*;

/// Two of three shards of a blob's only extent.
fn lose(store: &mut Store, number: u8) {
    let (object, extent) = (object(number), ExtentIndex(0));
    let attempt = store.attempt(object, 0);
    let shortfall = Shortfall { missing: vec![ShardIndex(0), ShardIndex(1)], reason: ShortfallReason::Scrub };
    assert_eq!(store.apply(Command::ReportShortfall { object, extent, attempt, shortfall }), Response::Done);
}

fn mount(store: &mut Store, name: &str, number: u8) {
    store.apply(Command::MountBlob {
        repository: repository(name),
        digest: digest(number),
        from: None,
        principal: None,
    });
}

#[test]
fn damage_is_told_by_repository_manifest_index_and_tag() {
    let mut store = Store::new();
    for number in 1..=3 {
        store.push(number, "app", number);
    }
    store.put(manifest("app", 10, &["latest", "v1"], &[1, 2]));
    store.put(manifest("app", 11, &[], &[1]));
    store.put(index("app", 12, &["all"], &[10, 11]));
    store.put(index("app", 13, &["outer"], &[12]));
    store.put(manifest("app", 14, &["whole"], &[2, 3]));
    mount(&mut store, "base", 1);
    assert!(store.view().damaged(None, 9).unwrap().is_empty());
    lose(&mut store, 1);
    let found = store.view().damaged(None, 9).unwrap();
    assert_eq!(found.len(), 1);
    let damage = &found[0];
    assert_eq!((damage.key.spare, damage.digest), (ShortfallKey::LOST, Some(digest(1))));
    assert_eq!(damage.shortfall.missing.len(), 2);
    let uses = store.view().blob_uses(&digest(1), None, 9).unwrap();
    let told: Vec<_> = uses.iter().map(|at| (at.repository.as_str(), at.manifest)).collect();
    assert_eq!(told, [("app", Some(digest(10))), ("app", Some(digest(11))), ("base", None)]);
    let tags = |at: usize| uses[at].names.tags.iter().map(Tag::as_str).collect::<Vec<_>>();
    assert_eq!(tags(0), ["latest", "v1", "all", "outer"]);
    assert_eq!(tags(1), ["all", "outer"]);
    assert!(tags(2).is_empty());
    assert_eq!(uses[1].names.indexes, [digest(12), digest(13)]);
}

#[test]
fn a_push_of_the_same_content_heals() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["latest"], &[1]));
    lose(&mut store, 1);
    assert_eq!(store.view().damaged(None, 9).unwrap().len(), 1);
    assert!(matches!(store.push(2, "app", 1), Response::Published { new_object: true, .. }));
    assert!(store.view().damaged(None, 9).unwrap().is_empty());
}

#[test]
fn a_damaged_upload_belongs_to_no_blob_yet() {
    let mut store = Store::new();
    store.start(1, "app");
    let extents = store.extents(1);
    store.advance(1, extents);
    lose(&mut store, 1);
    let found = store.view().damaged(None, 9).unwrap();
    assert_eq!((found.len(), found[0].digest), (1, None));
}

#[test]
fn damage_and_its_uses_are_read_in_pages() {
    let mut store = Store::new();
    for number in 1..=3 {
        store.push(number, "app", number);
        lose(&mut store, number);
        store.wait(1);
    }
    let first = store.view().damaged(None, 2).unwrap();
    let rest = store.view().damaged(Some(&first[1].key), 2).unwrap();
    let digests: Vec<_> = first.iter().chain(&rest).map(|damage| damage.digest.unwrap()).collect();
    assert_eq!(digests, [1, 2, 3].map(digest));
    for number in 0..100_u8 {
        mount(&mut store, &format!("mirror{number:02}"), 1);
    }
    for number in 20..24 {
        store.put(manifest("app", number, &[], &[1]));
    }
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.view().blob_uses(&digest(1), after.as_ref(), 3).unwrap();
        let Some(last) = page.last().cloned() else { break };
        after = Some(last);
        all.extend(page);
    }
    assert_eq!(all.len(), 104);
    assert_eq!(all, store.view().blob_uses(&digest(1), None, 200).unwrap());
    let tags: Vec<String> = (0..5).map(|number| format!("t{number}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    store.put(manifest("app", 20, &tags, &[1]));
    let names = store.view().names_of(&repository("app"), &digest(20), 3).unwrap();
    assert_eq!((names.tags.len(), names.more), (3, true));
    assert!(!store.view().names_of(&repository("app"), &digest(20), 5).unwrap().more);
    let (app, first) = (repository("app"), &names.tags[1]);
    let rest = store.view().tags_of(&app, &digest(20), Some(first), 9).unwrap();
    assert_eq!(rest.iter().map(Tag::as_str).collect::<Vec<_>>(), ["t2", "t3", "t4"]);
    store.put(index("app", 30, &[], &[20]));
    store.put(index("app", 31, &[], &[20]));
    assert_eq!(store.view().parents(&app, &digest(20), Some(&digest(30)), 9).unwrap(), [digest(31)]);
}
