//! The checker against planted violations, against what a correct register does, and against two others.

mod other_checkers;
mod random;

use super::*;
use crate::history::{Action, Outcome};

const CLIENTS: usize = 3;

fn tag() -> Subject {
    Subject::Tag { repository: "library/app".into(), tag: "latest".into() }
}

fn write(digest: &str) -> Action {
    Action::Write(digest.into())
}

fn present(digest: &str) -> Outcome {
    Outcome::Present(digest.into())
}

/// One operation after another.
fn sequence(operations: &[(Action, Outcome)]) -> History {
    let history = History::default();
    for (place, (action, outcome)) in operations.iter().enumerate() {
        let now = place as u64 * 1000;
        let id = history.invoke(place % CLIENTS, 1 + place % 2, tag(), action.clone(), now);
        history.complete(id, outcome.clone(), now + 500);
    }
    history
}

fn accusation(history: &History) -> Option<String> {
    let court = Court::default();
    let report = judge(history, &court);
    assert!(report.undecided.is_empty());
    court.first().map(|violation| violation.text)
}

fn holds(operations: &[(Action, Outcome)]) {
    assert_eq!(accusation(&sequence(operations)), None);
}

fn fails(operations: &[(Action, Outcome)]) -> String {
    accusation(&sequence(operations)).expect("no register can do that")
}

#[test]
fn an_ordinary_life_is_linearizable() {
    holds(&[
        (Action::Read, Outcome::Absent),
        (Action::Delete, Outcome::Absent),
        (write("a"), Outcome::Done),
        (Action::Read, present("a")),
        (write("b"), Outcome::Refused),
        (Action::Read, present("a")),
        (write("b"), Outcome::Done),
        (Action::DeleteIf("a".into()), Outcome::Done),
        (Action::Read, present("b")),
        (Action::DeleteIf("a".into()), Outcome::Absent),
        (Action::DeleteIf("b".into()), Outcome::Done),
        (Action::Read, Outcome::Absent),
        (Action::Read, Outcome::Unknown),
    ]);
}

#[test]
fn a_stale_read_is_found_and_shown_with_what_it_contradicts() {
    let text = fails(&[
        (write("c"), Outcome::Done),
        (Action::Read, present("c")),
        (write("a"), Outcome::Done),
        (Action::Read, present("a")),
        (write("b"), Outcome::Done),
        (Action::Read, present("b")),
        (Action::Read, present("a")),
        (Action::Read, present("b")),
        (write("c"), Outcome::Done),
    ]);
    let expected = "library/app:latest: no register can have answered so. What client 0 got through node 1 cannot be, \
                    whatever became of the 6 operations not shown:\n  \
                    0.003000 s to 0.003500 s: client 0 through node 2: read: there is a\n  \
                    0.004000 s to 0.004500 s: client 1 through node 1: write b: done\n\
                    > 0.006000 s to 0.006500 s: client 0 through node 1: read: there is a";
    assert_eq!(text, expected);
}

#[test]
fn a_stale_read_is_found_within_one_tick_of_virtual_time() {
    let history = History::default();
    for (action, outcome) in [(write("a"), Outcome::Done), (write("b"), Outcome::Done), (Action::Read, present("a"))] {
        let id = history.invoke(0, 1, tag(), action, 7);
        history.complete(id, outcome, 7);
    }
    assert!(accusation(&history).is_some());
}

#[test]
fn a_lost_write_is_found() {
    fails(&[(write("a"), Outcome::Done), (Action::Read, Outcome::Absent)]);
    fails(&[(write("a"), Outcome::Done), (Action::Delete, Outcome::Absent)]);
    fails(&[(write("a"), Outcome::Done), (Action::DeleteIf("a".into()), Outcome::Absent)]);
}

#[test]
fn a_resurrected_delete_is_found() {
    fails(&[(write("a"), Outcome::Done), (Action::Delete, Outcome::Done), (Action::Read, present("a"))]);
    fails(&[(write("a"), Outcome::Done), (Action::DeleteIf("a".into()), Outcome::Done), (Action::Read, present("a"))]);
    fails(&[(write("a"), Outcome::Done), (Action::Delete, Outcome::Done), (Action::Delete, Outcome::Done)]);
    fails(&[(Action::Delete, Outcome::Done)]);
}

#[test]
fn a_write_that_takes_effect_twice_is_found() {
    // The gateway repeats its proposal after a lost answer; in between another client deletes.
    for outcome in [Outcome::Done, Outcome::Unknown] {
        let history = History::default();
        let repeated = history.invoke(0, 1, tag(), write("a"), 0);
        for (action, outcome) in [
            (Action::Read, present("a")),
            (Action::Delete, Outcome::Done),
            (Action::Read, Outcome::Absent),
            (Action::Read, present("a")),
        ] {
            let id = history.invoke(1, 2, tag(), action, 1);
            history.complete(id, outcome, 2);
        }
        history.complete(repeated, outcome, 3);
        let text = accusation(&history).expect("one write cannot be deleted and come back");
        assert!(text.lines().last().unwrap().starts_with('>'), "{text}");
    }
}

#[test]
fn a_refused_write_that_shows_is_found() {
    fails(&[(write("a"), Outcome::Refused), (Action::Read, present("a"))]);
}

#[test]
fn what_nobody_knows_may_come_late_or_never() {
    let late = [
        (write("a"), Outcome::Done),
        (write("b"), Outcome::Unknown),
        (Action::Delete, Outcome::Unknown),
        (Action::Read, present("a")),
        (Action::Read, present("b")),
        (Action::Read, Outcome::Absent),
    ];
    holds(&late);
    let twice = [(Action::Read, present("b"))];
    fails(&[&late[..], &twice[..]].concat());
}

#[test]
fn an_unknown_write_that_nobody_read_may_be_what_was_deleted() {
    holds(&[(write("a"), Outcome::Unknown), (Action::Delete, Outcome::Done)]);
    // Or what made a tag that is cleared only if it holds something lose what it held.
    holds(&[
        (write("a"), Outcome::Done),
        (write("b"), Outcome::Unknown),
        (Action::DeleteIf("b".into()), Outcome::Unknown),
        (Action::Read, Outcome::Absent),
    ]);
}

#[test]
fn subjects_are_weighed_alone() {
    let history = sequence(&[(write("a"), Outcome::Done)]);
    let other = Subject::Blob { repository: "library/app".into(), digest: "a".into() };
    let id = history.invoke(0, 1, other.clone(), Action::Read, 9000);
    history.complete(id, Outcome::Absent, 9001);
    let court = Court::default();
    let report = judge(&history, &court);
    assert_eq!((report.subjects, report.operations, court.first()), (2, 2, None));
    let id = history.invoke(0, 1, other, Action::Read, 9002);
    history.complete(id, present("a"), 9003);
    let text = accusation(&history).unwrap();
    assert!(text.starts_with("library/app blob a: "), "{text}");
}

#[test]
fn effort_is_bounded_and_its_end_is_told() {
    // Twenty writes at once, and then a read of a digest that nobody wrote.
    let history = History::default();
    let names: Vec<String> = (0..20).map(|number| format!("d{number}")).collect();
    let ids: Vec<_> = names.iter().map(|name| history.invoke(0, 1, tag(), write(name), 0)).collect();
    for (name, id) in names.iter().zip(ids) {
        let read = history.invoke(1, 1, tag(), Action::Read, 0);
        history.complete(read, present(name), 0);
        history.complete(id, Outcome::Done, 1);
    }
    let id = history.invoke(1, 1, tag(), Action::Read, 2);
    history.complete(id, present("never"), 3);
    let operations = history.operations();
    let events = register::events(&operations);
    assert_eq!(checker::check(&events, 10), (Verdict::Undecided, 10));
}
