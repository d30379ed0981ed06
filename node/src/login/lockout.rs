//! Guessing is made slow: after some failures each further one doubles a delay, by name and by address.
//!
//! By name for those who come from anywhere: guesses at one account from many addresses. Who logs in where he has logged in
//! before is not kept out by that. By address (IPv6 by /64, which one machine has to itself) for guesses at many names.
//! Secrets of 32 random bytes and tokens cannot be guessed: a right one is never kept out, wrong ones are counted by address
//! only. All is in memory, bounded, of
//! this node: a node more is some guesses more.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{LoginError, Metrics};

/// Failures of one name that cost no delay.
const FREE_BY_NAME: u32 = 5;
/// Failures of one address that cost no delay: many people may share it.
const FREE_BY_ADDRESS: u32 = 20;
/// The longest delay.
const DELAY_MAX: Duration = Duration::from_mins(5);
/// Failures are forgotten so long after the last one.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(15);
/// A name that has logged in at an address is known there for so long.
const KNOWN_FOR: Duration = Duration::from_hours(24);
/// Names, addresses, and names known at addresses, each. Of more, the ones that were last seen longest ago go.
const ENTRIES_MAX: usize = 8 << 10;

/// Where somebody is, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(IpAddr);

impl Place {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
            address @ IpAddr::V4(_) => Self(address),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// Nothing is tried before.
    until: Instant,
}

/// A table that forgets what was last seen longest ago.
#[derive(Debug)]
struct Seen<K, V> {
    entries: BTreeMap<K, (Instant, V)>,
    kept_for: Duration,
}

impl<K: Ord + Clone, V> Seen<K, V> {
    const fn new(kept_for: Duration) -> Self {
        Self { entries: BTreeMap::new(), kept_for }
    }

    fn get(&self, key: &K, now: Instant) -> Option<&V> {
        self.entries.get(key).filter(|(last, _)| now < *last + self.kept_for).map(|(_, value)| value)
    }

    fn set(&mut self, key: K, value: V, now: Instant) {
        if self.entries.len() >= ENTRIES_MAX && !self.entries.contains_key(&key) {
            let kept_for = self.kept_for;
            self.entries.retain(|_, (last, _)| now < *last + kept_for);
            while self.entries.len() >= ENTRIES_MAX {
                let oldest = self.entries.iter().min_by_key(|(_, (last, _))| *last).map(|(key, _)| key.clone());
                let Some(oldest) = oldest else { break };
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(key, (now, value));
    }
}

#[derive(Debug)]
struct Tables {
    names: Seen<String, Failures>,
    places: Seen<Place, Failures>,
    known: Seen<(String, Place), ()>,
}

/// Who failed how often.
#[derive(Debug)]
pub(super) struct Lockout {
    tables: Mutex<Tables>,
    metrics: Metrics,
}

/// A password that is being checked. Whoever hangs up meanwhile has failed: or he would guess for nothing, as each check
/// goes on without him.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    lockout: &'a Lockout,
    attempt: &'a Attempt,
    is_open: bool,
}

impl<'a> Trial<'a> {
    /// It has not begun, and costs nothing yet.
    pub(super) const fn new(lockout: &'a Lockout, attempt: &'a Attempt) -> Self {
        Self { lockout, attempt, is_open: false }
    }

    /// Begins, if it may be tried now. From here on no outcome is a failure.
    pub(super) fn begin(&mut self) -> Result<(), LoginError> {
        self.lockout.check(self.attempt)?;
        self.is_open = true;
        Ok(())
    }

    /// What came of it is known: right, wrong and counted, or nobody could tell.
    pub(super) const fn end(&mut self) {
        self.is_open = false;
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.lockout.failed(self.attempt);
        }
    }
}

/// Who tries to log in.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The name, if what he shows can be guessed.
    name: Option<String>,
    place: Place,
}

impl Attempt {
    /// With a password.
    pub(super) fn by_password(name: &str, address: IpAddr) -> Self {
        Self { name: Some(name.to_owned()), place: Place::of(address) }
    }

    /// With something that cannot be guessed.
    pub(super) fn by_secret(address: IpAddr) -> Self {
        Self { name: None, place: Place::of(address) }
    }

    fn pair(&self) -> Option<(String, Place)> {
        Some((self.name.clone()?, self.place))
    }
}

impl Lockout {
    pub(super) fn new(metrics: Metrics) -> Self {
        let tables = Tables {
            names: Seen::new(FORGOTTEN_AFTER),
            places: Seen::new(FORGOTTEN_AFTER),
            known: Seen::new(KNOWN_FOR),
        };
        Self { tables: Mutex::new(tables), metrics }
    }

    /// Whether this may be tried now. Say afterwards what came of it.
    pub(super) fn check(&self, attempt: &Attempt) -> Result<(), LoginError> {
        let now = Instant::now();
        let tables = self.tables();
        let by_place = tables.places.get(&attempt.place, now).map(|failures| failures.until);
        let is_known = attempt.pair().is_some_and(|pair| tables.known.get(&pair, now).is_some());
        let name = attempt.name.as_ref().filter(|_| !is_known);
        let by_name = name.and_then(|name| tables.names.get(name, now)).map(|failures| failures.until);
        match by_place.max(by_name).filter(|until| *until > now) {
            Some(until) => {
                let wait = until - now;
                let retry_after_seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Err(LoginError::Locked { retry_after_seconds })
            }
            None => Ok(()),
        }
    }

    /// It failed.
    pub(super) fn failed(&self, attempt: &Attempt) {
        let now = Instant::now();
        let mut tables = self.tables();
        let failures = next(tables.places.get(&attempt.place, now), FREE_BY_ADDRESS, now);
        tables.places.set(attempt.place, failures, now);
        if failures.count > FREE_BY_ADDRESS {
            self.metrics.locked("address");
        }
        if let Some(name) = &attempt.name {
            let failures = next(tables.names.get(name, now), FREE_BY_NAME, now);
            tables.names.set(name.clone(), failures, now);
            if failures.count > FREE_BY_NAME {
                self.metrics.locked("name");
            }
        }
    }

    /// It was right: the name is known there from now on. Failures stay counted, or somebody who may log in himself could
    /// guess at others for ever.
    pub(super) fn succeeded(&self, attempt: &Attempt) {
        if let Some(pair) = attempt.pair() {
            self.tables().known.set(pair, (), Instant::now());
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One failure more.
fn next(before: Option<&Failures>, free: u32, now: Instant) -> Failures {
    let count = before.map_or(0, |failures| failures.count).saturating_add(1);
    let delay = match count.saturating_sub(free) {
        0 => Duration::ZERO,
        over => Duration::from_secs(1_u64 << (over - 1).min(20)).min(DELAY_MAX),
    };
    let until = before.map_or(now, |failures| failures.until).max(now + delay);
    Failures { count, until }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn fail(lockout: &Lockout, attempt: &Attempt, times: u32) {
        for _ in 0..times {
            assert_eq!(lockout.check(attempt), Ok(()));
            lockout.failed(attempt);
        }
    }

    fn locked(lockout: &Lockout, attempt: &Attempt) -> u64 {
        match lockout.check(attempt) {
            Ok(()) => 0,
            Err(LoginError::Locked { retry_after_seconds }) => retry_after_seconds,
            Err(error) => panic!("{error:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_after_some_doubles_the_delay_up_to_five_minutes() {
        let lockout = Lockout::new(Metrics::default());
        let attempt = Attempt::by_password("ann", address("192.0.2.1"));
        fail(&lockout, &attempt, 5);
        let mut waits = Vec::new();
        for _ in 0..11 {
            fail(&lockout, &attempt, 1);
            let wait = locked(&lockout, &attempt);
            waits.push(wait);
            advance(Duration::from_millis(wait * 1000 - 1)).await;
            assert_eq!(locked(&lockout, &attempt), 1);
            advance(Duration::from_millis(1)).await;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        fail(&lockout, &attempt, 1);
        advance(FORGOTTEN_AFTER).await;
        fail(&lockout, &attempt, 5);
        assert_eq!(locked(&lockout, &attempt), 0, "long ago is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_at_one_name_from_many_addresses_keep_nobody_out_who_has_been_there_before() {
        let lockout = Lockout::new(Metrics::default());
        let home = Attempt::by_password("ann", address("192.0.2.1"));
        lockout.succeeded(&home);
        for host in 0..6 {
            fail(&lockout, &Attempt::by_password("ann", address(&format!("198.51.100.{host}"))), 1);
        }
        let elsewhere = Attempt::by_password("ann", address("203.0.113.9"));
        assert_eq!(locked(&lockout, &elsewhere), 1, "guesses go on from no other address");
        assert_eq!(locked(&lockout, &home), 0);
        assert_eq!(locked(&lockout, &Attempt::by_password("bob", address("203.0.113.9"))), 0, "other names are free");
        assert_eq!(locked(&lockout, &Attempt::by_secret(address("203.0.113.9"))), 0, "a secret is never guessed");
        // Not for ever.
        fail(&lockout, &home, 6);
        advance(KNOWN_FOR).await;
        fail(&lockout, &elsewhere, 5);
        lockout.failed(&elsewhere);
        assert_eq!(locked(&lockout, &home), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_at_many_names_from_one_address_are_slowed_down_whatever_succeeds_between_them() {
        let lockout = Lockout::new(Metrics::default());
        let own = Attempt::by_password("mallory", address("2001:db8:1:2::1"));
        for index in 0..FREE_BY_ADDRESS {
            lockout.succeeded(&own);
            fail(&lockout, &Attempt::by_password(&format!("user{index}"), address("2001:db8:1:2::1")), 1);
        }
        fail(&lockout, &Attempt::by_secret(address("2001:db8:1:2:ffff::7")), 1);
        assert_eq!(locked(&lockout, &own), 1, "one machine has a whole /64");
        assert_eq!(locked(&lockout, &Attempt::by_secret(address("2001:db8:1:2:3::"))), 1);
        assert_eq!(locked(&lockout, &Attempt::by_secret(address("2001:db8:1:3::1"))), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_without_an_outcome_is_a_failure() {
        let lockout = Lockout::new(Metrics::default());
        let attempt = Attempt::by_password("ann", address("192.0.2.1"));
        for _ in 0..20 {
            drop(Trial::new(&lockout, &attempt));
            let mut trial = Trial::new(&lockout, &attempt);
            trial.begin().unwrap();
            trial.end();
        }
        for _ in 0..6 {
            Trial::new(&lockout, &attempt).begin().unwrap();
        }
        assert_eq!(locked(&lockout, &attempt), 1);
        let refused = Trial::new(&lockout, &attempt).begin();
        assert_eq!(refused, Err(LoginError::Locked { retry_after_seconds: 1 }));
        assert_eq!(locked(&lockout, &attempt), 1, "what may not be tried is not counted");
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_ipv6() {
        assert_eq!(Place::of(address("::ffff:192.0.2.1")), Place::of(address("192.0.2.1")));
        assert_ne!(Place::of(address("::ffff:192.0.2.1")), Place::of(address("192.0.2.2")));
    }

    #[tokio::test(start_paused = true)]
    async fn the_tables_are_bounded() {
        let lockout = Lockout::new(Metrics::default());
        for index in 0..u32::try_from(ENTRIES_MAX).unwrap() + 100 {
            let attempt = Attempt::by_password(&format!("u{index}"), IpAddr::V4(index.into()));
            lockout.failed(&attempt);
            lockout.succeeded(&attempt);
            if index % 100 == 0 {
                advance(Duration::from_millis(1)).await;
            }
        }
        let tables = lockout.tables();
        assert_eq!(tables.names.entries.len(), ENTRIES_MAX);
        assert_eq!(tables.places.entries.len(), ENTRIES_MAX);
        assert_eq!(tables.known.entries.len(), ENTRIES_MAX);
        assert!(!tables.names.entries.contains_key("u0"), "the oldest went");
    }
}
