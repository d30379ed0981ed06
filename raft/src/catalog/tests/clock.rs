//! The clock and the change feed.

use super::store::*;
use crate::catalog::*;
use crate::time::Timestamp;

#[test]
fn the_clock_follows_the_stamps_but_never_goes_back_and_never_jumps() {
    let mut store = Store::new();
    let begin = store.now;
    store.apply(Command::Tick);
    assert_eq!(store.view().clock().unwrap(), begin);
    store.now = Timestamp(5);
    store.apply(Command::Tick);
    assert_eq!(store.view().clock().unwrap(), begin);
    store.now = begin.plus_seconds(1_000_000);
    store.apply(Command::Tick);
    assert_eq!(store.view().clock().unwrap(), begin.plus_seconds(3600));
}

#[test]
fn one_wrong_clock_does_not_expire_an_upload_of_more_than_an_hour() {
    let mut store = Store::new();
    store.start(1, "app");
    store.advance(1, Vec::new());
    store.now = store.now.plus_seconds(3599);
    assert_eq!(store.apply(Command::ExpireUploads { limit: 9 }), Response::Count { count: 0 });
}

#[test]
fn events_count_up_from_one_and_are_read_from_a_cursor() {
    let mut store = Store::new();
    store.push(1, "app", 1);
    store.put(manifest("app", 10, &["a", "b"], &[1]));
    let events = store.view().events(0, 10).unwrap();
    assert_eq!(events.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(store.view().events(3, 10).unwrap(), events[2..]);
    assert_eq!(store.view().events(3, 1).unwrap(), events[2..3]);
    assert_eq!(store.view().event_sequences().unwrap(), 1..5);
}

#[test]
fn old_events_are_trimmed_by_a_bounded_number_per_command() {
    let mut store = Store::new();
    for _ in 0..100 {
        store.apply(Command::PutManifest(manifest("app", 10, &["a"], &[])));
        store.apply(delete_tag("app", "a"));
    }
    assert_eq!(store.view().event_sequences().unwrap(), 1..202);
    store.wait(EVENT_RETENTION_SECONDS - 1);
    assert_eq!(store.view().event_sequences().unwrap(), 1..202);
    store.wait(1);
    assert_eq!(store.view().event_sequences().unwrap(), 65..202);
    store.put(manifest("app", 10, &["b"], &[]));
    assert_eq!(store.view().event_sequences().unwrap(), 129..203);
    store.wait(1);
    store.wait(1);
    assert_eq!(store.view().event_sequences().unwrap(), 202..203);
    store.wait(EVENT_RETENTION_SECONDS);
    assert_eq!(store.view().event_sequences().unwrap(), 203..203);
}
