//! The log on disk: it goes on over restarts and crashes, and whatever is done to it behind its back is found.

use proptest::prelude::*;
use raft::time::Timestamp;

use crate::audit::event::AuditEvent;
use crate::audit::log::{Head, Log};
use crate::audit::reader::{Cursor, Item, Reader};
use crate::audit::record::Removed;
use crate::audit::recover::{self, Found};
use crate::audit::retention::Retention;
use crate::audit::search::{Filter, search};
use crate::audit::testing::{Failing, NOW, Place, event};
use crate::audit::verify::{Checked, Fault};

fn reopen(place: &Place, told: Option<Head>) -> (Log, Found) {
    recover::open(&place.files, &place.path, 1, told).unwrap()
}

fn add(log: &mut Log, number: u64) {
    log.note(Timestamp(NOW + number), &event(number), None);
    log.sync().unwrap();
}

#[test]
fn numbers_and_chain_go_on_after_a_restart() {
    let place = Place::new();
    place.fill(5, 3);
    assert_eq!(place.names(), ["00000000000000000001.jsonl", "00000000000000000004.jsonl"]);
    let (mut log, found) = reopen(&place, None);
    assert_eq!((log.next, found), (6, Found::default()));
    add(&mut log, 6);
    assert_eq!(place.verify(&log), []);
    assert_eq!(place.names().len(), 2);
}

/// Wherever a crash cuts the bytes that were not durable, or fills them with zeros: the log ends with its last whole record, and
/// goes on from there.
#[test]
fn a_torn_record_is_cut_off_and_kept_beside_the_log() {
    let whole = {
        let place = Place::new();
        place.fill(3, 10);
        place.read(1)
    };
    let ends: Vec<usize> = (0..whole.len()).filter(|index| whole[*index] == b'\n').map(|index| index + 1).collect();
    let lengths =
        (1..whole.len()).filter(|length| length % 23 == 0 || ends.iter().any(|end| end.abs_diff(*length) < 3));
    for length in lengths {
        let kept = ends.iter().filter(|end| **end <= length).count();
        let good = ends[..kept].last().copied().unwrap_or(0);
        for zeros in [0, 7] {
            let place = Place::new();
            place.files.create_directory_durable(&place.path).unwrap();
            let mut torn = whole[..length].to_vec();
            torn.resize(length + zeros, 0);
            place.write(1, &torn);
            let (mut log, found) = reopen(&place, None);
            assert_eq!(log.next, kept as u64 + 1, "{length}");
            assert_eq!(found.cut_bytes, (torn.len() - good) as u64);
            let cut = crate::audit::segment::list_cuts(place.files.as_ref(), &place.path).unwrap();
            assert_eq!(cut.iter().map(|cut| cut.bytes).sum::<u64>(), found.cut_bytes);
            add(&mut log, 9);
            assert_eq!(place.verify(&log), []);
        }
    }
}

#[test]
fn a_segment_that_was_begun_and_never_written_is_no_trouble() {
    let place = Place::new();
    place.fill(3, 3);
    place.write(4, b"");
    let (mut log, found) = reopen(&place, None);
    assert_eq!((log.next, found), (4, Found::default()));
    add(&mut log, 4);
    assert_eq!(place.verify(&log), []);
}

/// A crash while the log is being repaired: it is repaired again.
#[test]
fn leftovers_of_a_repair_are_no_trouble() {
    let place = Place::new();
    place.fill(2, 10);
    let mut torn = place.read(1);
    torn.extend_from_slice(b"{\"sequ");
    place.write(1, &torn);
    place.files.create(&place.path.join("00000000000000000001.tmp")).unwrap().write_all_at(b"half", 0).unwrap();
    let (mut log, found) = reopen(&place, None);
    assert_eq!((log.next, found.cut_bytes), (3, 6));
    add(&mut log, 3);
    assert_eq!(place.verify(&log), []);
}

/// What the cluster knows is never numbered again, even when the disk has forgotten it.
#[test]
fn records_that_the_cluster_was_told_of_are_missed() {
    let place = Place::new();
    let told = place.fill(6, 2).newest;
    place.files.remove(&crate::audit::segment::path(&place.path, 5)).unwrap();
    let (mut log, found) = reopen(&place, told);
    assert_eq!((log.next, found.missing), (7, Some((5, 6))));
    add(&mut log, 7);
    let faults = place.verify_from(Checked::begin(told.into_iter().chain(log.newest))).1;
    assert_eq!(faults, [Fault::Missing { first: 5, last: 6 }]);
    let (log, found) = reopen(&place, told);
    assert_eq!((log.next, found.missing), (8, None));
}

#[test]
fn what_fails_is_written_again_once_and_in_order() {
    for failing in [Failing::Writes, Failing::Syncs, Failing::Creates] {
        for before in [0, 2] {
            let place = Place::new();
            let mut log = place.fill(before, if failing == Failing::Creates { 2 } else { 10 });
            place.disk.fail(failing);
            log.note(Timestamp(NOW), &event(before + 1), None);
            for _ in 0..3 {
                assert!(log.sync().is_err(), "{failing:?}");
            }
            assert!(!log.is_durable());
            place.disk.fail(Failing::Not);
            log.sync().unwrap();
            add(&mut log, before + 2);
            assert_eq!(place.verify(&log), [], "{failing:?}");
            assert_eq!(reopen(&place, log.newest).0.next, before + 3);
        }
    }
}

#[test]
fn a_segment_is_closed_when_it_is_long_or_old() {
    let place = Place::new();
    let mut log = place.open();
    log.segment_bytes = 700;
    let day = 24 * 3600 * 1000;
    let mut firsts = Vec::new();
    for (number, time) in [(1, 0), (2, 1), (3, 2), (4, 3), (5, day), (6, day + 4)] {
        log.note(Timestamp(NOW + time), &event(number), None);
        log.sync().unwrap();
        log.close_if_full(Timestamp(NOW + time));
        firsts.push(log.file.is_none());
    }
    // Three records are long enough; the fourth is more than a day old when the sixth comes.
    assert_eq!(firsts, [false, false, true, false, false, true]);
    assert_eq!(place.verify(&log), []);
}

#[test]
fn what_retention_removes_is_announced_and_the_rest_is_still_proved() {
    let place = Place::new();
    let mut log = place.fill(9, 3);
    let last_removed =
        crate::audit::record::read(place.read(4).split(|byte| *byte == b'\n').nth(2).unwrap()).unwrap().1;
    let bytes_max = log.segments[2].bytes;
    let removed = log.retain(Retention { days: 90, bytes_max }, Timestamp(NOW)).unwrap();
    assert_eq!(removed, 6);
    assert_eq!(place.names(), ["00000000000000000007.jsonl", "00000000000000000010.jsonl"]);
    let line = place.read(10);
    let (record, _) = crate::audit::record::read(line.strip_suffix(b"\n").unwrap()).unwrap();
    let announced = record.removed.clone().unwrap();
    assert_eq!((announced.first, announced.last, announced.hash), (1, 6, hex::encode(last_removed)));
    assert_eq!(place.verify(&log), []);
    // More than was announced is missing.
    place.files.remove(&crate::audit::segment::path(&place.path, 7)).unwrap();
    assert_eq!(place.verify(&log), [Fault::Missing { first: 7, last: 9 }]);
}

#[test]
fn a_removal_that_was_announced_and_not_finished_is_no_fault() {
    let place = Place::new();
    let mut log = place.fill(9, 3);
    let oldest = place.read(1);
    let second = place.read(4);
    log.retain(Retention { days: 90, bytes_max: log.segments[2].bytes }, Timestamp(NOW)).unwrap();
    place.write(4, &second);
    assert_eq!(place.verify(&log), []);
    place.write(1, &oldest);
    assert_eq!(place.verify(&log), []);
    // The next start finds what is left, and removes it some time.
    let (mut log, _) = reopen(&place, None);
    assert_eq!(log.retain(Retention { days: 90, bytes_max: log.segments[2].bytes }, Timestamp(NOW)).unwrap(), 9);
    assert_eq!(place.verify(&log), []);
}

/// Whoever owns the machine can write such a record, too: it excuses only what retention could have removed, and is shown.
#[test]
fn a_forged_removal_excuses_nothing_in_the_middle_and_is_shown() {
    let forged = |first: u64, last: u64| {
        let place = Place::new();
        let mut log = place.fill(9, 3);
        let removed = Removed { first, last, hash: String::new() };
        log.note(Timestamp(NOW + 60_000), &AuditEvent::new("retention", "regnode"), Some(&removed));
        log.sync().unwrap();
        (place, log)
    };
    // A record and a segment behind older ones.
    let (place, log) = forged(1, 6);
    rewritten(&place, 1, |lines| drop(lines.remove(1)));
    assert_eq!(place.verify(&log), [Fault::Missing { first: 2, last: 2 }]);
    let (place, log) = forged(1, 6);
    place.files.remove(&crate::audit::segment::path(&place.path, 4)).unwrap();
    assert_eq!(place.verify(&log), [Fault::Missing { first: 4, last: 6 }]);
    // The beginning: it looks as retention leaves it, and is told.
    let (place, log) = forged(1, 3);
    place.files.remove(&crate::audit::segment::path(&place.path, 1)).unwrap();
    let (checked, faults) = place.verify_from(Checked::begin(log.newest));
    assert_eq!((faults, checked.removed.unwrap().last), (Vec::new(), 3));
    assert_eq!(checked.removed_time.as_deref(), Some("2027-01-15T08:01:00.000Z"));
    // What came later cannot have been removed before.
    for last in [10, 11, u64::MAX] {
        let (place, log) = forged(1, last);
        assert!(matches!(place.verify(&log)[..], [Fault::Altered { record: 10, .. }]), "{last}");
    }
}

fn rewritten(place: &Place, first: u64, change: impl Fn(&mut Vec<Vec<u8>>)) {
    let content = place.read(first);
    let mut lines: Vec<Vec<u8>> = content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    change(&mut lines);
    place.write(first, &lines.concat());
}

#[test]
fn each_kind_of_damage_is_named() {
    let check = |damage: &dyn Fn(&Place), expected: &[Fault]| {
        let place = Place::new();
        let log = place.fill(9, 3);
        assert_eq!(place.verify(&log), []);
        damage(&place);
        assert_eq!(place.verify(&log), expected);
    };
    let altered = |why: &str| Fault::Altered { record: 5, segment: 4, why: why.to_owned() };
    check(
        &|place| {
            rewritten(place, 4, |lines| {
                lines[1] = String::from_utf8_lossy(&lines[1]).replace("user:5", "user:6").into();
            });
        },
        &[altered("its content does not have the hash that it names")],
    );
    check(
        &|place| rewritten(place, 4, |lines| lines[1] = b"nonsense\n".to_vec()),
        &[altered("its line is no record: it does not end with a hash")],
    );
    check(
        &|place| rewritten(place, 4, |lines| lines[1] = [vec![b'x'; 40_000], b"\n".to_vec()].concat()),
        &[altered("it is longer than any record")],
    );
    check(&|place| rewritten(place, 4, |lines| drop(lines.remove(1))), &[Fault::Missing { first: 5, last: 5 }]);
    check(&|place| rewritten(place, 4, |lines| lines.swap(1, 2)), &[Fault::Reordered { record: 5, segment: 4 }]);
    check(
        &|place| rewritten(place, 4, |lines| lines.insert(1, lines[0].clone())),
        &[Fault::Reordered { record: 4, segment: 4 }],
    );
    check(&|place| rewritten(place, 7, |lines| lines.truncate(1)), &[Fault::Truncated { first: 8, last: 9 }]);
    let remove =
        |first: u64| move |place: &Place| place.files.remove(&crate::audit::segment::path(&place.path, first)).unwrap();
    check(&remove(1), &[Fault::Missing { first: 1, last: 3 }]);
    check(&remove(4), &[Fault::Missing { first: 4, last: 6 }]);
    check(&remove(7), &[Fault::Truncated { first: 7, last: 9 }]);
    check(
        &|place| {
            place
                .files
                .rename(&crate::audit::segment::path(&place.path, 4), &crate::audit::segment::path(&place.path, 5))
                .unwrap();
        },
        &[Fault::Misnamed { segment: 5, record: 4 }],
    );
    check(
        &|place| rewritten(place, 4, |lines| lines.push(b"{\"sequ".to_vec())),
        &[Fault::Torn { segment: 4, bytes: 6 }],
    );
}

/// Whoever writes a record anew with a hash that fits breaks the chain; whoever writes all behind it anew too has another end than
/// the cluster was told of.
#[test]
fn a_record_that_was_written_anew_is_found() {
    let place = Place::new();
    let log = place.fill(6, 10);
    let forged = {
        let other = Place::new();
        let mut log = other.open();
        for number in 1..=6 {
            let number = if number == 3 { 33 } else { number };
            log.note(Timestamp(NOW + number), &event(number), None);
        }
        log.sync().unwrap();
        other.read(1)
    };
    let lines: Vec<&[u8]> = forged.split_inclusive(|byte| *byte == b'\n').collect();
    rewritten(&place, 1, |present| present[2] = lines[2].to_vec());
    assert_eq!(place.verify(&log), [Fault::Replaced { record: 3, segment: 1 }]);
    place.write(1, &forged);
    assert_eq!(place.verify(&log), [Fault::Replaced { record: 6, segment: 1 }]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any change of any byte, and any bytes taken out or put in anywhere, are found.
    #[test]
    fn any_alteration_is_found(
        segment in 0_u64..3,
        position in any::<prop::sample::Index>(),
        change in prop_oneof![
            (1..=255_u8).prop_map(|flip| (Some(flip), 0, Vec::new())),
            (1..400_usize).prop_map(|taken| (None, taken, Vec::new())),
            proptest::collection::vec(any::<u8>(), 1..40).prop_map(|put| (None, 0, put)),
        ],
    ) {
        let place = Place::new();
        let log = place.fill(9, 3);
        let first = segment * 3 + 1;
        let original = place.read(first);
        let mut content = original.clone();
        let position = position.index(content.len());
        let (flip, taken, put) = change;
        if let Some(flip) = flip {
            content[position] ^= flip;
        }
        let end = (position + taken).min(content.len());
        content.splice(position..end, put.iter().copied());
        prop_assume!(content != original);
        place.write(first, &content);
        // Bytes behind the last record look like a record that is being written.
        let is_tail = first == 7 && content.starts_with(&original) && !content[original.len()..].contains(&b'\n');
        prop_assert_eq!(place.verify(&log).is_empty(), is_tail);
    }

    /// What is left of a log is never called whole.
    #[test]
    fn any_lost_segment_is_found(lost in 1_u8..8) {
        let place = Place::new();
        let log = place.fill(9, 3);
        for index in 0..3 {
            if lost & (1 << index) != 0 {
                place.files.remove(&crate::audit::segment::path(&place.path, index * 3 + 1)).unwrap();
            }
        }
        prop_assert!(!place.verify(&log).is_empty());
    }
}

fn numbers(reader: &mut Reader) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Item::Record(sequence, _) = reader.next(u64::MAX).unwrap() {
        numbers.push(sequence);
    }
    numbers
}

#[test]
fn a_reader_follows_a_log_that_is_written_and_cut() {
    let place = Place::new();
    let mut log = place.fill(4, 2);
    let reader = |cursor| Reader::new(std::sync::Arc::clone(&place.files), place.path.clone(), cursor);
    let mut all = reader(Cursor::at(1));
    assert_eq!(numbers(&mut all), [1, 2, 3, 4]);
    for number in 5..=7 {
        add(&mut log, number);
        log.file = (number != 6).then(|| log.file.take()).flatten();
        assert_eq!(numbers(&mut all), [number]);
    }
    // From each place that a cursor names, and without the place.
    for from in 1..=8 {
        let mut one = reader(Cursor::at(1));
        while one.cursor().sequence < from {
            one.next(u64::MAX).unwrap();
        }
        let cursor = one.cursor();
        let expected: Vec<u64> = (from..=7).collect();
        assert_eq!(numbers(&mut reader(cursor)), expected);
        assert_eq!(numbers(&mut reader(Cursor::at(from))), expected);
        assert_eq!(numbers(&mut reader(Cursor { sequence: from, place: Some((1, 3)) })), expected);
    }
    log.retain(Retention { days: 90, bytes_max: 0 }, Timestamp(NOW)).unwrap();
    let mut late = reader(Cursor::at(2));
    assert_eq!(numbers(&mut late), [7, 8]);
    assert_eq!(late.skipped, 5);
}

/// A segment grows and is closed between the reader's look at its end and its look for the next one.
#[test]
fn a_reader_misses_nothing_when_a_segment_is_closed_behind_its_back() {
    let place = Place::new();
    let mut log = place.fill(2, 10);
    let mut reader = Reader::new(std::sync::Arc::clone(&place.files), place.path.clone(), Cursor::at(1));
    assert_eq!(numbers(&mut reader), [1, 2]);
    place.disk.before_list(move || {
        add(&mut log, 3);
        log.file = None;
        add(&mut log, 4);
    });
    assert_eq!(numbers(&mut reader), [3, 4]);
    assert_eq!(reader.skipped, 0);
}

#[test]
fn records_are_found_by_all_that_a_filter_names() {
    let place = Place::new();
    let mut log = place.fill(6, 2);
    let refused =
        AuditEvent::new("push", "robot:ci").repository("acme/app/web").outcome(crate::audit::event::Outcome::Refused);
    log.note(Timestamp(NOW + 10_000_000), &refused, None);
    log.sync().unwrap();
    let found = |filter: Filter| -> Vec<u64> {
        let page = search(&place.files, &place.path, &filter, None, 100).unwrap();
        assert!(page.ended);
        let number = |record: &serde_json::value::RawValue| crate::audit::reader::sequence_of(record.get().as_bytes());
        page.records.iter().map(|record| number(record).unwrap()).collect()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(found(Filter::default()).len(), 7);
    assert_eq!(found(Filter { actor: text("user:3"), ..Filter::default() }), [3]);
    assert_eq!(found(Filter { actor: text("robot:*"), ..Filter::default() }), [7]);
    assert_eq!(found(Filter { action: text("push"), ..Filter::default() }), [7]);
    assert_eq!(found(Filter { repository: text("acme/app"), ..Filter::default() }).len(), 7);
    assert_eq!(found(Filter { repository: text("acme/app/*"), ..Filter::default() }), [7]);
    assert!(found(Filter { repository: text("acme/ap"), ..Filter::default() }).is_empty());
    assert_eq!(found(Filter { outcome: Some(crate::audit::event::Outcome::Refused), ..Filter::default() }), [7]);
    assert_eq!(found(Filter { since_milliseconds: Some(NOW + 5), ..Filter::default() }), [5, 6, 7]);
    assert_eq!(found(Filter { until_milliseconds: Some(NOW + 3), ..Filter::default() }), [1, 2]);
    assert_eq!(found(Filter { since_milliseconds: Some(NOW + 10_000_000), ..Filter::default() }), [7]);
}

#[test]
fn pages_join_without_a_gap() {
    let place = Place::new();
    place.fill(23, 5);
    let (mut from, mut seen) = (None, 0);
    loop {
        let page = search(&place.files, &place.path, &Filter::default(), from, 4).unwrap();
        assert!(page.records.len() <= 4);
        for record in &page.records {
            seen += 1;
            assert_eq!(crate::audit::reader::sequence_of(record.get().as_bytes()), Some(seen));
        }
        from = Some(page.next);
        if page.ended {
            break;
        }
    }
    assert_eq!(seen, 23);
}
