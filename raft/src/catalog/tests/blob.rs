//! Mount, touch and unlink.

use super::store::*;
use crate::catalog::table::{Blobs, Totals};
use crate::catalog::*;
use crate::machine::Transaction;
use crate::table::Table;

fn mount(name: &str, blob: u8, from: Option<&str>) -> Command {
    Command::MountBlob { repository: repository(name), digest: digest(blob), from: from.map(repository) }
}

fn touch(name: &str, blob: u8) -> Command {
    Command::TouchBlob { repository: repository(name), digest: digest(blob) }
}

fn unlink(name: &str, blob: u8) -> Command {
    Command::UnlinkBlob { repository: repository(name), digest: digest(blob) }
}

#[test]
fn a_blob_is_mounted_from_a_repository_that_links_it() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    assert_eq!(store.apply(mount("other", 1, Some("nowhere"))), Response::BlobUnknown);
    assert_eq!(store.apply(mount("other", 9, Some("app"))), Response::BlobUnknown);
    assert_eq!(store.apply(mount("other", 1, Some("app"))), Response::Mounted { length_bytes: 8 });
    assert_eq!(store.apply(mount("other", 1, Some("app"))), Response::Mounted { length_bytes: 8 });
    let linked = EventKind::BlobLinked {
        repository: repository("other"),
        digest: digest(1),
        length_bytes: 8,
        mounted_from: Some(repository("app")),
    };
    assert_eq!(store.events()[1..], [linked]);
    let counts = store.view().repository(&repository("other")).unwrap().unwrap();
    assert_eq!((counts.links, counts.linked_bytes), (1, 8));
}

#[test]
fn a_blob_is_mounted_from_anywhere_as_long_as_somebody_links_it() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    assert_eq!(store.apply(mount("other", 1, None)), Response::Mounted { length_bytes: 8 });
    store.apply(unlink("app", 1));
    store.apply(unlink("other", 1));
    assert_eq!(store.apply(mount("other", 1, None)), Response::BlobUnknown);
}

#[test]
fn a_touch_moves_the_deadlines_but_not_too_often() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    let deadlines = |store: &Store| {
        let all = store.view().garbage(crate::time::Timestamp(u64::MAX), 9).unwrap();
        all.into_iter().map(|(deadline, _)| deadline).collect::<Vec<_>>()
    };
    let first = store.now.plus_seconds(GARBAGE_GRACE_SECONDS);
    assert_eq!(deadlines(&store), [first; 2]);
    store.wait(TOUCH_INTERVAL_SECONDS - 1);
    assert_eq!(store.apply(touch("app", 1)), Response::Done);
    assert_eq!(deadlines(&store), [first; 2]);
    store.wait(1);
    assert_eq!(store.apply(touch("app", 1)), Response::Done);
    assert_eq!(deadlines(&store), [first.plus_seconds(TOUCH_INTERVAL_SECONDS); 2]);
    assert!(store.view().garbage(first, 9).unwrap().is_empty());
    assert_eq!(store.apply(touch("other", 1)), Response::BlobUnknown);
    assert_eq!(store.apply(touch("app", 2)), Response::BlobUnknown);
}

#[test]
fn a_touch_of_a_used_blob_changes_nothing() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["latest"], &[1]));
    store.wait(2 * TOUCH_INTERVAL_SECONDS);
    let before = dump(&store.engine);
    assert_eq!(store.apply(touch("app", 1)), Response::Done);
    assert_eq!(dump(&store.engine), before);
}

#[test]
fn a_blob_that_a_manifest_of_the_repository_uses_cannot_be_unlinked() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.apply(mount("other", 1, None));
    store.put(manifest("app", 10, &["latest"], &[1]));
    assert_eq!(store.apply(unlink("app", 1)), Response::BlobInUse { manifest: digest(10) });
    assert_eq!(store.apply(unlink("other", 1)), Response::Done);
    assert_eq!(store.apply(unlink("other", 1)), Response::BlobUnknown);
    assert!(store.view().repository(&repository("other")).unwrap().is_none(), "a repository without content is gone");
    store.apply(Command::DeleteManifest { repository: repository("app"), digest: digest(10) });
    assert_eq!(store.apply(unlink("app", 1)), Response::Done);
    assert!(store.view().repositories(None, 9).unwrap().is_empty());
    assert_eq!(store.garbage(), [blob_item(&store, 1)], "the bytes wait for their grace");
}

#[test]
fn a_condemned_blob_does_not_exist_until_it_is_pushed_again() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    condemn(&store, 1);
    assert!(store.view().linked_blob(&repository("app"), &digest(1)).unwrap().is_none());
    assert_eq!(store.apply(mount("other", 1, Some("app"))), Response::BlobUnknown);
    assert_eq!(store.apply(mount("other", 1, None)), Response::BlobUnknown);
    assert_eq!(store.apply(touch("app", 1)), Response::BlobUnknown);
    assert_eq!(store.apply(unlink("app", 1)), Response::BlobUnknown);
    let put = manifest("app", 10, &["latest"], &[1]);
    assert_eq!(store.put(put.clone()), Response::ManifestBlobsUnknown { digests: vec![digest(1)] });
    assert_eq!(store.finish(1, Vec::new(), 1), Response::UploadUnknown, "its session has nothing to show either");

    let before = store.view().blob(&digest(1)).unwrap().unwrap();
    assert_eq!(store.push(2, "app", 1), Response::Published { new_object: true, length_bytes: 8 });
    let after = store.view().linked_blob(&repository("app"), &digest(1)).unwrap().unwrap();
    assert_eq!(after.object, object(2));
    assert!(after.generation > before.generation, "a late sweep of the old generation does not hit the new one");
    assert_eq!(store.discards().iter().map(|key| key.object).collect::<Vec<_>>(), [object(1)]);
    assert_eq!(store.put(put), Response::ManifestStored { created: true });
}

/// Does by hand what a command will do once garbage is collected.
fn condemn(store: &Store, number: u8) {
    let mut transaction = Transaction::new(store.engine.as_ref());
    let mut blob = Blobs::require(&transaction, &digest(number)).unwrap();
    blob.state = BlobState::Condemned;
    Blobs::put(&mut transaction, &digest(number), &blob);
    let mut totals = Totals::require(&transaction, ()).unwrap();
    totals.blobs -= 1;
    totals.blob_bytes -= blob.length_bytes;
    Totals::put(&mut transaction, (), &totals);
    store.engine.write(transaction.into_batch()).unwrap();
}
