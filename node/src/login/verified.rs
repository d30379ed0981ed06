//! Passwords that were found right a moment ago, so that a push does not cost a hash per request (D#3017).
//!
//! What is kept is no password and no plain hash of one: BLAKE3 under a random key of this process, over the name, what the
//! directory keeps of the password, and the password. A changed password is another entry, and misses at once; of one that
//! is kept outside nobody tells, so it is asked for again after half a minute. Logins that show the same at the same time
//! are verified once: the others wait for the first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::environment::Entropy;

/// How long a password that was found right is taken for right.
const LIFETIME: Duration = Duration::from_mins(5);
/// The same of a password that is kept outside: nobody tells this node when it changes there.
pub(super) const LIFETIME_OUTSIDE: Duration = Duration::from_secs(30);
/// Passwords at one time.
pub(super) const PASSWORDS_MAX: usize = 16 << 10;

/// An entry's name. Tells nothing without the process's key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint([u8; 32]);

#[derive(Default)]
struct Entries<V> {
    by_fingerprint: BTreeMap<Fingerprint, (Instant, V)>,
    by_end: BTreeSet<(Instant, Fingerprint)>,
    /// Who verifies what at this moment.
    flights: BTreeMap<Fingerprint, Arc<tokio::sync::Mutex<()>>>,
}

/// The passwords that were found right, each with what was found out by it.
pub(super) struct Verified<V> {
    key: [u8; 32],
    /// Entries at one time. Of more, the ones that end first make room.
    entries_max: usize,
    entries: Mutex<Entries<V>>,
}

impl<V> fmt::Debug for Verified<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Verified(..)")
    }
}

/// The turn of verifying one password. Others with the same one wait until it is dropped.
pub(super) struct Turn<'a, V> {
    verified: &'a Verified<V>,
    fingerprint: Fingerprint,
    /// Taken out before the flight is looked at.
    guard: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl<V> Drop for Turn<'_, V> {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut entries = self.verified.entries();
        // The map's own is the last one: nobody waits.
        if entries.flights.get(&self.fingerprint).is_some_and(|flight| Arc::strong_count(flight) == 1) {
            entries.flights.remove(&self.fingerprint);
        }
    }
}

impl<V: Clone> Verified<V> {
    /// Nothing is known yet.
    pub(super) fn new(entropy: &dyn Entropy, entries_max: usize) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        let entries = Entries { by_fingerprint: BTreeMap::new(), by_end: BTreeSet::new(), flights: BTreeMap::new() };
        Self { key, entries_max, entries: Mutex::new(entries) }
    }

    /// The entry of a password: of whom, what is kept of it, and itself. Another of any of them is another entry.
    pub(super) fn fingerprint(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Fingerprint(*hasher.finalize().as_bytes())
    }

    /// What was found out, if it was found right and that is not over.
    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<V> {
        let entries = self.entries();
        let (end, found) = entries.by_fingerprint.get(&fingerprint)?;
        (*end > Instant::now()).then(|| found.clone())
    }

    /// Waits for the turn to verify it. Look again then: another one may have found it right meanwhile.
    pub(super) async fn turn(&self, fingerprint: Fingerprint) -> Turn<'_, V> {
        let flight = Arc::clone(self.entries().flights.entry(fingerprint).or_default());
        // Made before the wait: whoever gives it up tidies up as well, or nobody would after the last turn has ended.
        let mut turn = Turn { verified: self, fingerprint, guard: None };
        turn.guard = Some(flight.lock_owned().await);
        turn
    }

    /// It was found right, by what the directory keeps of it.
    pub(super) fn insert(&self, fingerprint: Fingerprint, found: V) {
        self.insert_for(fingerprint, found, LIFETIME);
    }

    /// It was found right, and is taken for right so long.
    pub(super) fn insert_for(&self, fingerprint: Fingerprint, found: V, lifetime: Duration) {
        let mut entries = self.entries();
        let end = Instant::now() + lifetime;
        if let Some((before, _)) = entries.by_fingerprint.insert(fingerprint, (end, found)) {
            entries.by_end.remove(&(before, fingerprint));
        }
        entries.by_end.insert((end, fingerprint));
        while entries.by_end.len() > self.entries_max
            || entries.by_end.first().is_some_and(|(end, _)| *end <= Instant::now())
        {
            let Some((_, first)) = entries.by_end.pop_first() else { break };
            entries.by_fingerprint.remove(&first);
        }
    }
}

impl<V> Verified<V> {
    fn entries(&self) -> MutexGuard<'_, Entries<V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{advance, sleep};

    use super::*;
    use crate::login::testing::Counting;

    #[tokio::test(start_paused = true)]
    async fn what_was_found_right_is_known_for_five_minutes() {
        let verified = Verified::new(&Counting::default(), PASSWORDS_MAX);
        let ann = verified.fingerprint(&[b"user:ann", b"$hash", b"secret"]);
        assert_eq!(verified.get(ann), None);
        verified.insert(ann, 1);
        advance(Duration::from_secs(299)).await;
        assert_eq!(verified.get(ann), Some(1));
        advance(Duration::from_secs(1)).await;
        assert_eq!(verified.get(ann), None);
        verified.insert(verified.fingerprint(&[b"x"]), 2);
        assert_eq!(verified.entries().by_fingerprint.len(), 1, "what is over is forgotten");
        verified.insert_for(ann, 3, LIFETIME_OUTSIDE);
        advance(LIFETIME_OUTSIDE).await;
        assert_eq!(verified.get(ann), None);
    }

    #[tokio::test]
    async fn a_changed_password_misses_at_once_and_parts_do_not_run_together() {
        let verified = Verified::new(&Counting::default(), PASSWORDS_MAX);
        let of = |parts: [&str; 3]| verified.fingerprint(&parts.map(str::as_bytes));
        verified.insert(of(["user:ann", "$hash", "secret"]), ());
        assert_eq!(verified.get(of(["user:ann", "$hash", "secret"])), Some(()));
        for other in [
            ["user:ann", "$hash2", "secret"],
            ["user:ann", "$hash", "secret2"],
            ["user:bob", "$hash", "secret"],
            ["user:an", "n$hash", "secret"],
            ["user:ann", "$hashs", "ecret"],
        ] {
            assert_eq!(verified.get(of(other)), None, "{other:?}");
        }
        let entropy = Counting::default();
        let _another_key = entropy.number();
        let other: Verified<()> = Verified::new(&entropy, PASSWORDS_MAX);
        assert!(of(["a", "b", "c"]) != other.fingerprint(&[b"a", b"b", b"c"]), "each process has a key of its own");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_kept_than_there_is_room_for() {
        let verified = Verified::new(&Counting::default(), PASSWORDS_MAX);
        let of = |index: usize| verified.fingerprint(&[&index.to_le_bytes()]);
        for index in 0..PASSWORDS_MAX + 10 {
            verified.insert(of(index), index);
            advance(Duration::from_millis(1)).await;
        }
        assert_eq!(verified.entries().by_fingerprint.len(), PASSWORDS_MAX);
        assert_eq!(verified.get(of(9)), None, "the oldest went");
        assert_eq!(verified.get(of(10)), Some(10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_at_the_same_time_is_verified_once() {
        let verified = Arc::new(Verified::new(&Counting::default(), PASSWORDS_MAX));
        let hashes = Arc::new(AtomicUsize::new(0));
        let fingerprint = verified.fingerprint(&[b"a"]);
        let mut logins = tokio::task::JoinSet::new();
        for _ in 0..30 {
            let (verified, hashes) = (Arc::clone(&verified), Arc::clone(&hashes));
            logins.spawn(async move {
                let _turn = verified.turn(fingerprint).await;
                if verified.get(fingerprint).is_none() {
                    hashes.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(20)).await;
                    verified.insert(fingerprint, ());
                }
            });
        }
        while logins.join_next().await.is_some() {}
        assert_eq!(hashes.load(Ordering::Relaxed), 1);
        assert!(verified.entries().flights.is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_for_his_turn_leaves_nothing_behind() {
        let verified: Verified<()> = Verified::new(&Counting::default(), PASSWORDS_MAX);
        let fingerprint = verified.fingerprint(&[b"a"]);
        let first = verified.turn(fingerprint).await;
        let mut second = Box::pin(verified.turn(fingerprint));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(verified.entries().flights.len(), 1, "the second one still waits");
        drop(second);
        assert!(verified.entries().flights.is_empty());
    }
}
