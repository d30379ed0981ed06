//! People's passwords: argon2id, a bounded number of hashes at one time, the same work for a name that does not exist.
//!
//! Every hash takes 19 MiB and some 20 ms (OWASP's first choice for argon2id). So few run at one time, some more wait, and
//! what is beyond that is told to come again: guesses must not use up a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use storage::exec::Exec;
use tokio::sync::Semaphore;

use super::LoginError;
use crate::environment::Entropy;

/// Fewest characters of a new password.
pub const PASSWORD_CHARACTERS_MIN: usize = 8;
/// Most characters of a new password.
pub const PASSWORD_CHARACTERS_MAX: usize = 256;
/// Most bytes that are hashed: no password is longer.
const HASHED_BYTES_MAX: usize = 4 * PASSWORD_CHARACTERS_MAX;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Most memory that a stored hash may ask for.
const MEMORY_KIB_MAX: u32 = 1 << 18;
/// Most passes that a stored hash may ask for.
const PASSES_MAX: u32 = 16;
const SALT_BYTES: usize = 16;

/// Hashes at one time.
const AT_ONCE: usize = 4;
/// Hashes that wait for their turn.
const WAITING_MAX: usize = 64;

/// Why a new password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRule {
    /// It is short or very long.
    #[error("a password has {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters")]
    Length,
    /// It is the name.
    #[error("a password is not the user's name")]
    Name,
}

/// Whether a user may have this password.
///
/// # Errors
/// The rule that it breaks.
pub fn check_password(name: &str, password: &str) -> Result<(), PasswordRule> {
    if !(PASSWORD_CHARACTERS_MIN..=PASSWORD_CHARACTERS_MAX).contains(&password.chars().count()) {
        return Err(PasswordRule::Length);
    }
    if password.eq_ignore_ascii_case(name) {
        return Err(PasswordRule::Name);
    }
    Ok(())
}

/// What the directory keeps of a password: argon2id in PHC form, salted from the entropy. Takes some 20 ms of a processor:
/// run it on `exec`.
#[must_use]
pub fn hash_password(password: &str, entropy: &dyn Entropy) -> String {
    let mut salt = [0; SALT_BYTES];
    entropy.fill(&mut salt);
    hash(password.as_bytes(), &salt)
}

fn hash(password: &[u8], salt: &[u8; SALT_BYTES]) -> String {
    let hash = hasher().hash_password_with_salt(password, salt);
    hash.expect("salt and password are within argon2's limits").to_string()
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Whether a password belongs to a stored hash. Without one the same work is done, and the answer is no.
fn verify(password: &[u8], stored: Option<&str>) -> bool {
    let stored = stored.and_then(|text| PasswordHash::new(text).ok()).filter(is_affordable);
    let (Some(stored), true) = (stored, password.len() <= HASHED_BYTES_MAX) else {
        let _as_long = hash(&password[..password.len().min(HASHED_BYTES_MAX)], &[0; SALT_BYTES]);
        return false;
    };
    hasher().verify_password(password, &stored).is_ok()
}

/// Whether the work that a stored hash asks for is within reason: it comes from the directory, but may be of an import.
fn is_affordable(stored: &PasswordHash) -> bool {
    Params::try_from(stored).is_ok_and(|params| params.m_cost() <= MEMORY_KIB_MAX && params.t_cost() <= PASSES_MAX)
}

/// Verifies passwords. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    exec: Exec,
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// One that waits or runs.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Passwords {
    pub(super) fn new(exec: Exec) -> Self {
        Self { exec, running: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::default() }
    }

    /// Whether a password belongs to a stored hash; without one the same work is done. `may` is asked when its turn has
    /// come: those before it may have failed meanwhile.
    pub(super) async fn verify(
        &self,
        password: &str,
        stored: Option<&str>,
        may: impl FnOnce() -> Result<(), LoginError>,
    ) -> Result<bool, LoginError> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= AT_ONCE + WAITING_MAX {
            return Err(LoginError::Unavailable("too many logins at this moment: try again".to_owned()));
        }
        let running = Arc::clone(&self.running).acquire_owned().await;
        let permit = running.map_err(|_closed| LoginError::Unavailable("the node is shutting down".to_owned()))?;
        may()?;
        let (password, stored) = (password.to_owned(), stored.map(str::to_owned));
        // The work goes on when its caller has gone away, and its place is taken for as long.
        let work = move || {
            let _permit = permit;
            verify(password.as_bytes(), stored.as_deref())
        };
        Ok(self.exec.run(work).await)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::login::testing::Counting;

    #[test]
    fn a_password_is_recognised_by_its_hash_and_no_other_is() {
        let entropy = Counting::default();
        let stored = hash_password("correct horse", &entropy);
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify(b"correct horse", Some(&stored)));
        assert!(!verify(b"correct horsf", Some(&stored)));
        assert!(!verify(b"", Some(&stored)));
        assert_ne!(stored, hash_password("correct horse", &entropy), "each has a salt of its own");
    }

    #[test]
    fn nothing_belongs_to_a_hash_that_is_missing_broken_or_too_dear() {
        for stored in [
            None,
            Some(""),
            Some("secret"),
            Some("$argon2id$v=19$m=19456,t=2,p=1$"),
            Some("$2b$12$abcdefghijklmnopqrstuuE4y1U7ZzJ0Xq3o4XSqV5p7xW7eJ5Zcy"),
            Some("$argon2id$v=19$m=4194304,t=2,p=1$MTIzNDU2Nzg5MDEyMzQ1Ng$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI"),
        ] {
            assert!(!verify(b"secret", stored), "{stored:?}");
        }
        let stored = hash_password("correct horse", &Counting::default());
        assert!(!verify(&vec![b'x'; 1 << 20], Some(&stored)));
    }

    #[test]
    fn a_password_has_a_length_and_is_not_the_name() {
        assert_eq!(check_password("ann", "1234567"), Err(PasswordRule::Length));
        assert_eq!(check_password("ann", "12345678"), Ok(()));
        assert_eq!(check_password("ann", &"ü".repeat(256)), Ok(()));
        assert_eq!(check_password("ann", &"ü".repeat(257)), Err(PasswordRule::Length));
        assert_eq!(check_password("ann.smith", "Ann.Smith"), Err(PasswordRule::Name));
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_costs_a_whole_hash() {
        let stored = hash_password("correct horse", &Counting::default());
        let passwords = Passwords::new(Exec::threads());
        let mut took = Vec::new();
        for stored in [Some(stored.as_str()), None] {
            // The best of some: other tests run beside this one.
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let begun = tokio::time::Instant::now();
                assert!(!passwords.verify("wrong horse", stored, || Ok(())).await.unwrap());
                best = best.min(begun.elapsed());
            }
            took.push(best);
        }
        assert!(took[1] > took[0] / 3, "{took:?}: a name that does not exist is told by its time");
    }

    #[tokio::test]
    async fn what_is_beyond_the_queue_is_told_to_come_again() {
        let passwords = Passwords::new(Exec::threads());
        let turns = Arc::clone(&passwords.running).acquire_many_owned(4).await.unwrap();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE + WAITING_MAX + 3 {
            let (passwords, answers) = (passwords.clone(), Arc::clone(&answers));
            tasks.spawn(async move {
                if let Err(error) = passwords.verify("wrong horse", None, || Ok(())).await {
                    answers.lock().unwrap().push(error);
                }
            });
        }
        while answers.lock().unwrap().len() < 3 {
            tokio::task::yield_now().await;
        }
        tasks.shutdown().await;
        assert_eq!(answers.lock().unwrap().len(), 3);
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), 0, "who went away does not wait any more");
        drop(turns);
        assert_eq!(passwords.verify("wrong horse", None, || Ok(())).await, Ok(false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn no_stored_text_makes_it_panic(stored in "(\\$argon2id?\\$v=[0-9]{1,3}\\$m=[0-9]{1,2},t=[0-9]{1,2},p=[0-9]{1,12}\\$)?\\PC{0,60}") {
            let _ = verify(b"p", Some(&stored));
        }
    }
}
