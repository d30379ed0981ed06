//! Upload sessions and publishing.

use storage::kv::Bytes;
use storage::shard::ExtentIndex;

use super::store::*;
use crate::catalog::*;

fn at(offset_bytes: u64, epoch: u64) -> Response {
    Response::Uploaded { position: UploadPosition { offset_bytes, epoch } }
}

fn published(new_object: bool, length_bytes: u64) -> Response {
    Response::Published { new_object, length_bytes }
}

#[test]
fn starting_twice_with_the_same_ids_is_harmless() {
    let mut store = Store::new();
    assert_eq!(store.start(1, "app"), at(0, 0));
    let extents = store.extents(1);
    assert_eq!(store.advance(1, extents), at(8, 1));
    assert_eq!(store.start(1, "app"), at(8, 1));
    assert_eq!(store.start(1, "other"), Response::Stale);
    assert_eq!(store.view().totals().unwrap().uploads, 1);
}

#[test]
fn an_object_belongs_to_one_session() {
    let mut store = Store::new();
    store.start(1, "app");
    let Command::StartUpload(mut second) = start(2, "app") else { panic!() };
    second.object = object(1);
    assert_eq!(store.apply(Command::StartUpload(second)), Response::Stale);
}

#[test]
fn an_unknown_session_is_unknown() {
    let mut store = Store::new();
    assert_eq!(store.advance(1, Vec::new()), Response::UploadUnknown);
    assert_eq!(store.finish(1, Vec::new(), 1), Response::UploadUnknown);
    let cancel = Command::CancelUpload { session: session(1), repository: repository("app") };
    assert_eq!(store.apply(cancel), Response::UploadUnknown);
}

#[test]
fn an_advance_is_compared_with_the_position_and_a_repetition_is_recognised() {
    let mut store = Store::new();
    store.start(1, "app");
    let first = Command::AdvanceUpload { session: session(1), advance: advance(store.position(1), store.extents(2)) };
    assert_eq!(store.apply(first.clone()), at(16, 1));
    assert_eq!(store.repeat(first.clone()), at(16, 1));
    let position = UploadPosition { offset_bytes: 16, epoch: 1 };
    assert_eq!(store.apply(first), Response::UploadMoved { position });
    let upload = store.view().upload(session(1)).unwrap().unwrap();
    assert_eq!(upload.hash_state, Bytes::from_static(b"state"));
    let extents = store.view().extents(object(1), ExtentIndex(0), 10).unwrap();
    assert_eq!(
        extents.iter().map(|(index, extent)| (index.0, extent.offset_bytes)).collect::<Vec<_>>(),
        [(0, 0), (1, 8)]
    );
}

#[test]
fn two_writers_of_one_session_never_both_commit() {
    let mut store = Store::new();
    store.start(1, "app");
    let position = store.position(1);
    let (one, other) = (store.extents(1), store.extents(2));
    let one = Command::AdvanceUpload { session: session(1), advance: advance(position, one) };
    let other = Command::AdvanceUpload { session: session(1), advance: advance(position, other) };
    assert_eq!(store.apply(one), at(8, 1));
    assert!(matches!(store.apply(other), Response::UploadMoved { .. }));
    assert_eq!(store.view().object(object(1)).unwrap().unwrap().length_bytes, 8);
}

#[test]
fn an_extent_that_is_written_anew_discards_the_old_shards_after_a_grace() {
    let mut store = Store::new();
    store.start(1, "app");
    let extents = store.extents(2);
    store.advance(1, extents);
    let old = store.attempt(object(1), 0);
    let mut body = store.coded();
    body.shards = [4, 5, 6].map(|node| location(node).shard(body.attempt)).to_vec();
    let new = body.attempt;
    let replaced = ReplacedExtent { extent: ExtentIndex(0), body, shortfall: None };
    let advance = Advance { replaced: vec![replaced], ..advance(store.position(1), Vec::new()) };
    assert_eq!(store.apply(Command::AdvanceUpload { session: session(1), advance }), at(16, 2));
    assert_eq!(store.attempt(object(1), 0), new);
    let discards = store.discards();
    assert_eq!(discards.len(), 1);
    assert_eq!(discards[0].attempt, old);
    assert_eq!(discards[0].not_before, store.now.plus_seconds(DISCARD_GRACE_SECONDS));
    assert!(store.view().discards(store.now, None, 10).unwrap().is_empty());
    let due = store.view().discards(discards[0].not_before, None, 10).unwrap();
    assert_eq!(due[0].1.shards.iter().map(|(_, location)| *location).collect::<Vec<_>>(), coded(1).shards);
    assert!(store.view().discards(discards[0].not_before, Some(&due[0].0), 10).unwrap().is_empty());
    let swept = Command::Swept { discards: discards.clone() };
    assert_eq!(store.apply(swept.clone()), Response::Count { count: 1 });
    assert_eq!(store.apply(swept), Response::Count { count: 0 });
}

#[test]
fn contradictory_changes_are_refused_whole() {
    let mut store = Store::new();
    store.start(1, "app");
    let extents = store.extents(1);
    store.advance(1, extents);
    let attempt = store.attempt(object(1), 0);
    let good = store.coded();
    let mut few = store.coded();
    few.shards.pop();
    let mut empty = store.coded();
    empty.geometry.length_bytes = 0;
    let mut long = store.coded();
    long.geometry.length_bytes = 9;
    let same = CodedExtent { attempt, ..store.coded() };
    let new = |body| (vec![NewExtent { body, shortfall: None }], Vec::new());
    let replaced = |index, body| ReplacedExtent { extent: ExtentIndex(index), body, shortfall: None };
    let beyond = Shortfall { missing: vec![storage::shard::ShardIndex(3)], reason: ShortfallReason::ReadMissing };
    let changes = [
        new(ExtentBody::Coded(few)),
        new(ExtentBody::Coded(empty)),
        new(ExtentBody::Inline(Bytes::new())),
        (vec![NewExtent { body: ExtentBody::Coded(good.clone()), shortfall: Some(beyond) }], Vec::new()),
        (Vec::new(), vec![replaced(1, good.clone())]),
        (Vec::new(), vec![replaced(0, long)]),
        (Vec::new(), vec![replaced(0, same)]),
        (Vec::new(), vec![replaced(0, good.clone()), replaced(0, store.coded())]),
    ];
    for (extents, replaced) in changes {
        let advance = Advance { replaced, ..advance(store.position(1), extents) };
        let before = dump(&store.engine);
        let response = store.apply(Command::AdvanceUpload { session: session(1), advance });
        assert!(matches!(response, Response::Malformed { .. }), "{response:?}");
        assert_eq!(dump(&store.engine), before);
    }
}

#[test]
fn a_finished_upload_is_a_visible_blob() {
    let mut store = Store::new();
    store.start(1, "app");
    let extents = store.extents(1);
    store.advance(1, extents);
    let mut last = store.extents(1);
    last.push(NewExtent { body: ExtentBody::Inline(Bytes::from_static(b"end")), shortfall: None });
    assert_eq!(store.finish(1, last, 1), published(true, 19));
    let blob = store.view().linked_blob(&repository("app"), &digest(1)).unwrap().unwrap();
    assert_eq!((blob.object, blob.length_bytes, blob.links, blob.references), (object(1), 19, 1, 0));
    assert!(store.view().linked_blob(&repository("other"), &digest(1)).unwrap().is_none());
    assert_eq!(store.view().repositories(None, 9).unwrap(), [repository("app")]);
    assert_eq!(store.view().repositories_of(&digest(1), None, 9).unwrap(), [repository("app")]);
    let linked = EventKind::BlobLinked {
        repository: repository("app"),
        digest: digest(1),
        length_bytes: 19,
        mounted_from: None,
    };
    assert_eq!(store.events(), [linked]);
    assert_eq!(store.garbage(), [link_item("app", 1)]);
    for (offset, index) in
        [(0, Some(0)), (7, Some(0)), (8, Some(1)), (15, Some(1)), (16, Some(2)), (18, Some(2)), (19, None)]
    {
        let found = store.view().extent_at(object(1), offset).unwrap();
        assert_eq!(found.map(|(index, _)| index.0), index, "{offset}");
    }
}

#[test]
fn the_empty_blob_has_no_extents() {
    let mut store = Store::new();
    store.start(1, "app");
    assert_eq!(store.finish(1, Vec::new(), 1), published(true, 0));
    assert!(store.view().extent_at(object(1), 0).unwrap().is_none());
}

#[test]
fn a_repeated_finish_is_answered_as_the_first_one() {
    let mut store = Store::new();
    store.start(1, "app");
    let finish = Command::FinishUpload {
        session: session(1),
        advance: advance(store.position(1), store.extents(1)),
        digest: digest(1),
    };
    assert_eq!(store.apply(finish.clone()), published(true, 8));
    assert_eq!(store.repeat(finish.clone()), published(true, 8));
    // Another request brings bytes of its own, which are not used.
    assert_eq!(store.apply(finish), published(false, 8));
    assert_eq!(store.events().len(), 1);
    assert_eq!(store.finish(1, Vec::new(), 2), Response::UploadUnknown);
    assert_eq!(store.advance(1, Vec::new()), Response::UploadUnknown);
    let unlink = unlink("app", 1);
    assert_eq!(store.apply(unlink), Response::Done);
    assert_eq!(store.finish(1, Vec::new(), 1), Response::UploadUnknown);
}

#[test]
fn a_whole_blob_keeps_its_bytes_and_the_duplicate_is_discarded() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let generation = store.view().blob(&digest(1)).unwrap().unwrap().generation;
    assert_eq!(store.push(2, "app", 1), published(false, 8));
    assert_eq!(store.events().len(), 1, "it was visible before");
    assert_eq!(store.push(3, "other", 1), published(false, 8));
    assert_eq!(store.events().len(), 2);
    let blob = store.view().blob(&digest(1)).unwrap().unwrap();
    assert_eq!((blob.object, blob.generation, blob.links), (object(1), generation, 2));
    assert_eq!(store.discards().iter().map(|key| key.object).collect::<Vec<_>>(), [object(2), object(3)]);
    assert!(store.view().object(object(2)).unwrap().is_none());
}

#[test]
fn a_push_heals_a_blob_below_its_redundancy() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["latest"], &[1]));
    let before = store.view().blob(&digest(1)).unwrap().unwrap();
    let report = Command::ReportShortfall {
        object: object(1),
        extent: ExtentIndex(0),
        attempt: store.attempt(object(1), 0),
        shortfall: Shortfall { missing: vec![storage::shard::ShardIndex(1)], reason: ShortfallReason::ReadCorrupt },
    };
    assert_eq!(store.apply(report), Response::Done);
    assert_eq!(store.push(2, "app", 1), published(true, 8));
    let after = store.view().blob(&digest(1)).unwrap().unwrap();
    assert_eq!(after.object, object(2));
    assert!(after.generation > before.generation);
    assert_eq!((after.references, after.links), (1, 1));
    assert_eq!(store.view().totals().unwrap().shortfalls, 0);
    assert_eq!(store.discards().iter().map(|key| key.object).collect::<Vec<_>>(), [object(1)]);
    assert!(store.garbage().is_empty());
}

#[test]
fn a_push_takes_the_place_of_a_blob_with_less_parity_than_is_possible_by_now() {
    let mut store = Store::new();
    let mut push = |number: u8, bare: bool, parity: u8| {
        store.start(number, "app");
        let mut extents = store.extents(1);
        if bare && let ExtentBody::Coded(coded) = &mut extents[0].body {
            coded.geometry.profile = "1+0".parse().unwrap();
            coded.shards.truncate(1);
        }
        let advance = Advance { parity, ..advance(store.position(number), extents) };
        store.apply(Command::FinishUpload { session: session(number), advance, digest: digest(1) })
    };
    assert_eq!(push(1, true, 0), published(true, 8), "the only disk of the only node");
    assert_eq!(push(2, true, 0), published(false, 8), "still the only one");
    assert_eq!(push(3, false, 1), published(true, 8), "two nodes have joined");
    assert_eq!(push(4, false, 1), published(false, 8));
    let discarded: Vec<_> = store.discards().iter().map(|key| key.object).collect();
    assert_eq!(discarded, [object(1), object(2), object(4)]);
    assert_eq!(store.view().blob(&digest(1)).unwrap().unwrap().object, object(3));
}

#[test]
fn an_upload_has_a_bounded_number_of_extents() {
    let mut store = Store::new();
    store.start(1, "app");
    let inline =
        |count: usize| vec![NewExtent { body: ExtentBody::Inline(Bytes::from_static(b"x")), shortfall: None }; count];
    let most = usize::try_from(UPLOAD_EXTENTS_MAX).unwrap();
    assert_eq!(store.advance(1, inline(most - 1)), at(u64::from(UPLOAD_EXTENTS_MAX) - 1, 1));
    assert!(matches!(store.advance(1, inline(2)), Response::Malformed { .. }));
    assert_eq!(store.advance(1, inline(1)), at(u64::from(UPLOAD_EXTENTS_MAX), 2));
    assert!(matches!(store.finish(1, inline(1), 1), Response::Malformed { .. }));
    assert_eq!(store.finish(1, Vec::new(), 1), published(true, u64::from(UPLOAD_EXTENTS_MAX)));
}

#[test]
fn bytes_of_another_length_under_a_known_digest_are_refused() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.start(2, "app");
    let extents = store.extents(2);
    assert!(matches!(store.finish(2, extents, 1), Response::Malformed { .. }));
}

#[test]
fn a_cancelled_upload_leaves_only_discards() {
    let mut store = Store::new();
    store.start(1, "app");
    let extents = store.extents(3);
    store.advance(1, extents);
    let cancel = |name| Command::CancelUpload { session: session(1), repository: repository(name) };
    assert_eq!(store.apply(cancel("other")), Response::UploadUnknown);
    assert_eq!(store.apply(cancel("app")), Response::Done);
    assert_eq!(store.apply(cancel("app")), Response::UploadUnknown);
    assert_eq!(store.discards().len(), 3);
    assert!(store.view().object(object(1)).unwrap().is_none());
    assert!(store.view().extents(object(1), ExtentIndex(0), 9).unwrap().is_empty());
    assert_eq!(store.view().totals().unwrap().uploads, 0);
}

#[test]
fn a_finished_upload_cannot_be_cancelled() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let cancel = Command::CancelUpload { session: session(1), repository: repository("app") };
    assert_eq!(store.apply(cancel), Response::UploadUnknown);
    assert!(store.view().linked_blob(&repository("app"), &digest(1)).unwrap().is_some());
}

#[test]
fn sessions_expire_without_progress_and_finished_ones_leave_their_blob() {
    let mut store = Store::new();
    store.start(1, "app");
    store.push(2, "app", 2);
    store.start(3, "app");
    store.wait(LIFETIME_SECONDS / 2);
    let extents = store.extents(1);
    store.advance(3, extents);
    assert_eq!(store.apply(Command::ExpireUploads { limit: 9 }), Response::Count { count: 0 });
    store.wait(LIFETIME_SECONDS / 2);
    assert_eq!(store.view().next_upload_expiry().unwrap(), Some(store.now));
    assert_eq!(store.apply(Command::ExpireUploads { limit: 1 }), Response::Count { count: 1 });
    assert_eq!(store.apply(Command::ExpireUploads { limit: 9 }), Response::Count { count: 1 });
    assert!(store.view().upload(session(1)).unwrap().is_none());
    assert!(store.view().upload(session(2)).unwrap().is_none());
    assert!(store.view().upload(session(3)).unwrap().is_some());
    assert!(store.view().linked_blob(&repository("app"), &digest(2)).unwrap().is_some());
    store.wait(LIFETIME_SECONDS / 2);
    assert_eq!(store.apply(Command::ExpireUploads { limit: 9 }), Response::Count { count: 1 });
    assert_eq!(store.discards().len(), 1);
}

#[test]
fn an_expiry_is_bounded_by_extents_too() {
    let mut store = Store::new();
    for number in 1..=3 {
        store.start(number, "app");
        let extents = (0..=EXTENTS_EXPIRED_PER_COMMAND / 2)
            .map(|_| NewExtent { body: ExtentBody::Inline(Bytes::from_static(b"x")), shortfall: None })
            .collect();
        store.advance(number, extents);
    }
    store.wait(2 * LIFETIME_SECONDS);
    assert_eq!(store.apply(Command::ExpireUploads { limit: 9 }), Response::Count { count: 2 });
    assert_eq!(store.apply(Command::ExpireUploads { limit: 9 }), Response::Count { count: 1 });
}
