//! What is refused to the same one again and again: the first one is a record at once, those that follow within a minute
//! are counted, and the count is a record at its end. So nobody who may ask for nothing pushes out of a log of bounded size
//! what others have done.
//!
//! The same is: who, from where, what, in which repository. Somebody who asks for many repositories has so many records of
//! his own in a minute, and one for all others.

use std::collections::BTreeMap;
use std::net::IpAddr;

use raft::time::Timestamp;

use super::event::{AuditEvent, Outcome};
use super::moment;
use crate::limit::network_of;

/// Time in which one follows the other.
const WINDOW_SECONDS: u64 = 60;

/// Repositories of one who is refused, within that time, that have records of their own.
const REPOSITORIES_MAX: usize = 32;

/// Those that are counted at one time. All that does not fit is counted together.
const KEYS_MAX: usize = 4096;

/// Who is refused what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Whose {
    action: &'static str,
    actor: String,
    /// A whole network in IPv6: who has one has all its addresses.
    network: Option<IpAddr>,
}

#[derive(Debug)]
struct Repeated {
    first: Timestamp,
    last: Timestamp,
    /// How many came behind the first.
    more: u64,
    /// The newest of them.
    event: AuditEvent,
}

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// By who is refused, and the repository; `None`: all others of his.
    counted: BTreeMap<Whose, BTreeMap<Option<String>, Repeated>>,
    keys: usize,
    /// What has no place among them, whoever it was.
    overflow: Option<Repeated>,
}

impl Repeats {
    /// Whether an event is to be recorded itself. Otherwise it is counted.
    pub(super) fn passes(&mut self, event: &AuditEvent, now: Timestamp) -> bool {
        let is_refused = event.action == "denied" || (event.action == "login" && event.outcome == Outcome::Refused);
        if !is_refused {
            return true;
        }
        let whose = Whose { action: event.action, actor: event.actor.clone(), network: event.address.map(network_of) };
        let others = self.counted.get(&whose).map_or(0, BTreeMap::len);
        let mut key = Some(event.repository.clone());
        if others >= REPOSITORIES_MAX && !self.counted[&whose].contains_key(&key) {
            key = None;
        }
        if let Some(repeated) = self.counted.get_mut(&whose).and_then(|his| his.get_mut(&key)) {
            repeated.again(event, now);
            return false;
        }
        let first = Repeated { first: now, last: now, more: 0, event: event.clone() };
        if self.keys < KEYS_MAX {
            self.keys += 1;
            self.counted.entry(whose).or_default().insert(key, first);
            return true;
        }
        if let Some(overflow) = &mut self.overflow {
            overflow.again(event, now);
            return false;
        }
        self.overflow = Some(first);
        true
    }

    /// The records of what was counted and whose time is over; at the end, of all that was counted.
    pub(super) fn over(&mut self, now: Timestamp, at_end: bool) -> Vec<(Timestamp, AuditEvent)> {
        let mut records = Vec::new();
        let mut goes_on = |repeated: &mut Repeated, of: Of<'_>| {
            let is_over = now.0.abs_diff(repeated.first.0) >= WINDOW_SECONDS * 1000;
            if (is_over || at_end) && repeated.more > 0 {
                records.push((repeated.last, told(of, repeated)));
                repeated.more = 0;
            }
            !is_over
        };
        for his in self.counted.values_mut() {
            his.retain(|key, repeated| goes_on(repeated, key.as_deref().map_or(Of::OtherRepositories, Of::Repository)));
        }
        if self.overflow.as_mut().is_some_and(|overflow| !goes_on(overflow, Of::Others)) {
            self.overflow = None;
        }
        self.counted.retain(|_, his| !his.is_empty());
        self.keys = self.counted.values().map(BTreeMap::len).sum();
        records
    }
}

impl Repeated {
    /// It was refused once more.
    fn again(&mut self, event: &AuditEvent, now: Timestamp) {
        self.more += 1;
        self.last = now;
        self.event = event.clone();
    }
}

/// What a count is about.
#[derive(Clone, Copy)]
enum Of<'a> {
    Repository(&'a str),
    OtherRepositories,
    /// Callers for whom there was no place any more.
    Others,
}

/// The record of a count.
fn told(of: Of<'_>, repeated: &Repeated) -> AuditEvent {
    let Repeated { first, last, more, event } = repeated;
    let (from, to) = (moment::text(*first), moment::text(*last));
    let (repository, who) = match of {
        Of::Repository(repository) => (repository, ""),
        Of::OtherRepositories => ("", " in other repositories"),
        Of::Others => ("", " of many callers"),
    };
    let detail = format!("{more} more{who} from {from} to {to}, the last one: {}", event.detail);
    AuditEvent { repository: repository.to_owned(), target: String::new(), detail, ..event.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(actor: &str, repository: &str, detail: &str) -> AuditEvent {
        AuditEvent::new("denied", actor).repository(repository).outcome(Outcome::Refused).detail(detail)
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp(1_800_000_000_000 + seconds * 1000)
    }

    #[test]
    fn the_first_is_a_record_and_the_others_are_counted() {
        let mut repeats = Repeats::default();
        assert!(repeats.passes(&denied("user:ann", "a", "GET 0"), at(0)));
        for second in 1..50 {
            assert!(!repeats.passes(&denied("user:ann", "a", &format!("GET {second}")), at(second)));
        }
        // Others, and what is something else.
        assert!(repeats.passes(&denied("user:bob", "a", ""), at(1)));
        assert!(repeats.passes(&denied("user:ann", "b", ""), at(1)));
        for _ in 0..2 {
            assert!(repeats.passes(&AuditEvent::new("login", "user:ann"), at(2)), "a login that went well");
            assert!(
                repeats.passes(&denied("user:ann", "a", "").outcome(Outcome::Done).target("x").clone_as("push"), at(2))
            );
        }
        assert_eq!(repeats.over(at(59), false), []);
        let records = repeats.over(at(60), false);
        assert_eq!(records.len(), 1, "{records:?}");
        let (time, record) = &records[0];
        assert_eq!((*time, record.actor.as_str(), record.repository.as_str()), (at(49), "user:ann", "a"));
        let detail = "49 more from 2027-01-15T08:00:00.000Z to 2027-01-15T08:00:49.000Z, the last one: GET 49";
        assert_eq!((record.detail.as_str(), record.outcome), (detail, Outcome::Refused));
        assert!(repeats.passes(&denied("user:ann", "a", ""), at(60)), "the next minute has a first one too");
        assert_eq!(repeats.over(at(1000), false), []);
        assert_eq!((repeats.keys, repeats.counted.len()), (0, 0), "nothing is left behind");
    }

    #[test]
    fn what_was_counted_is_told_at_the_end_and_counted_once() {
        let mut repeats = Repeats::default();
        let failed = AuditEvent::new("login", "user:ann").outcome(Outcome::Refused);
        assert!(repeats.passes(&failed, at(0)) && !repeats.passes(&failed, at(1)));
        assert_eq!(repeats.over(at(2), true).len(), 1);
        assert_eq!(repeats.over(at(2), true), []);
        assert!(!repeats.passes(&failed, at(3)));
        assert!(repeats.over(at(70), false)[0].1.detail.starts_with("1 more from"));
    }

    #[test]
    fn who_asks_for_many_repositories_has_a_bounded_number_of_records() {
        let mut repeats = Repeats::default();
        let ask = |repeats: &mut Repeats, actor: &str, number: usize| {
            usize::from(repeats.passes(&denied(actor, &format!("r{number}"), ""), at(0)))
        };
        let written: usize = (0..1000).map(|number| ask(&mut repeats, "user:ann", number)).sum();
        assert_eq!(written, REPOSITORIES_MAX + 1);
        let records = repeats.over(at(60), false);
        assert_eq!(records.len(), 1);
        assert!(records[0].1.detail.starts_with("967 more in other repositories from"), "{}", records[0].1.detail);
        assert_eq!(records[0].1.repository, "");
        // However many there are, the log does not grow by all of them.
        let written: usize = (0..KEYS_MAX + 10).map(|number| ask(&mut repeats, &format!("user:u{number}"), 0)).sum();
        assert_eq!((written, repeats.keys), (KEYS_MAX + 1, KEYS_MAX));
        let records = repeats.over(at(60), false);
        assert_eq!(records.len(), 1, "{records:?}");
        assert!(records[0].1.detail.starts_with("9 more of many callers from"), "{}", records[0].1.detail);
        assert!(repeats.overflow.is_none() && repeats.keys == 0, "nothing is left behind");
    }

    #[test]
    fn the_addresses_of_one_network_are_one_caller() {
        let mut repeats = Repeats::default();
        let mut from =
            |address: &str| repeats.passes(&denied("anonymous", "a", "").from(address.parse().unwrap()), at(0));
        assert!(from("2001:db8:0:1::1") && !from("2001:db8:0:1::2"));
        assert!(from("2001:db8:0:2::1") && from("192.0.2.1") && from("192.0.2.2") && !from("192.0.2.2"));
    }

    impl AuditEvent {
        fn clone_as(self, action: &'static str) -> Self {
            Self { action, ..self }
        }
    }
}
