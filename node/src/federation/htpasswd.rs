//! People of an htpasswd file: names and bcrypt hashes, a line each, as Apache's `htpasswd -B` writes them.
//!
//! The file is looked at again a few seconds after the last look, and what it says then counts: who is taken out of it
//! does not log in any more. A file that cannot be read lets nobody in. Lines that cannot be used are named in the log,
//! the others go on.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use raft::directory::is_user_name;
use storage::disk::Files;
use storage::exec::Exec;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::environment::{BoxFuture, Environment};
use crate::login::{Outsider, PasswordSource, SourceError};

/// Time between two looks at the file.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// Most bytes of the file.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// Most cost of a hash, as the power of two of its rounds: a check with it takes some seconds.
const COST_MAX: u32 = 16;

/// Least cost of a hash: bcrypt has no less.
const COST_MIN: u32 = 4;

/// Letters of a hash that are its salt; 31 follow.
const SALT_LETTERS: usize = 22;

/// The letters of hashes.
const BASE_64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD);

/// Passwords that are checked at the same time.
const CHECKS_MAX: usize = 2;

/// Logins that wait for a check, together with those that are checked.
const WAITING_MAX: usize = 64;

/// Lines that are complained of one by one; of more only the number is told.
const COMPLAINTS_MAX: usize = 20;

/// The people of one file.
#[derive(Debug)]
pub struct Htpasswd {
    path: PathBuf,
    files: Arc<dyn Files>,
    exec: Exec,
    known: Mutex<Known>,
    checks: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Known {
    looked: Option<Instant>,
    /// Of what `list` was read from.
    hash: Option<blake3::Hash>,
    list: Result<Arc<List>, String>,
}

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct List {
    hashes: BTreeMap<String, String>,
    complaints: Vec<Complaint>,
}

/// A line that cannot be used. The hash is never told.
#[derive(Debug, PartialEq, Eq)]
struct Complaint {
    line: usize,
    reason: &'static str,
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.reason)
    }
}

impl Htpasswd {
    /// The people of this file. It is read when the first of them logs in.
    #[must_use]
    pub fn new(path: &Path, environment: &Environment) -> Self {
        Self {
            path: path.to_owned(),
            files: Arc::clone(&environment.files),
            exec: environment.exec,
            known: Mutex::new(Known { looked: None, hash: None, list: Err(String::new()) }),
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
            places: Arc::new(Semaphore::new(WAITING_MAX)),
        }
    }

    async fn check(&self, name: &str, password: &str) -> Result<Option<Outsider>, SourceError> {
        let busy = || SourceError("too many logins are being checked at the same time".to_owned());
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let list = self.list().await?;
        let turn = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| busy())?;
        let known = list.hashes.get(name).cloned();
        let is_known = known.is_some();
        // Who is not in the file takes as long as the slowest who is.
        let hash = known.unwrap_or_else(|| list.decoy());
        let password = password.to_owned();
        // The work goes on when its caller has gone away, and its place is taken for as long.
        let work = move || {
            let _taken = (place, turn);
            bcrypt::verify(password.as_bytes(), &hash).unwrap_or(false)
        };
        let is_right = self.exec.run(work).await;
        Ok((is_known && is_right).then(Outsider::default))
    }

    /// What the file says now, or said a moment ago.
    async fn list(&self) -> Result<Arc<List>, SourceError> {
        let mut known = self.known.lock().await;
        if known.looked.is_none_or(|looked| looked.elapsed() >= LOOK_INTERVAL) {
            let (files, path) = (Arc::clone(&self.files), self.path.clone());
            let content = self.exec.run(move || read(files.as_ref(), &path)).await;
            known.looked = Some(Instant::now());
            self.learn(&mut known, content);
        }
        known.list.clone().map_err(SourceError)
    }

    /// Takes over what was read, and says it once.
    fn learn(&self, known: &mut Known, content: io::Result<Vec<u8>>) {
        let path = self.path.display();
        match content {
            Ok(content) => {
                let hash = blake3::hash(&content);
                if known.hash == Some(hash) && known.list.is_ok() {
                    return;
                }
                let list = List::read(&content);
                info!(%path, people = list.hashes.len(), "htpasswd file read");
                for complaint in list.complaints.iter().take(COMPLAINTS_MAX) {
                    warn!(%path, %complaint, "a line of the htpasswd file cannot be used");
                }
                if list.complaints.len() > COMPLAINTS_MAX {
                    warn!(%path, lines = list.complaints.len(), "many lines of the htpasswd file cannot be used");
                }
                known.hash = Some(hash);
                known.list = Ok(Arc::new(list));
            }
            Err(error) => {
                let text = format!("access.htpasswd = \"{path}\" cannot be read: {error}");
                if known.list.as_ref().err() != Some(&text) {
                    warn!(%path, %error, "the htpasswd file cannot be read, its people cannot log in");
                    known.list = Err(text);
                }
            }
        }
    }
}

impl PasswordSource for Htpasswd {
    fn name(&self) -> &'static str {
        "htpasswd"
    }

    fn verify<'a>(&'a self, name: &'a str, password: &'a str) -> BoxFuture<'a, Result<Option<Outsider>, SourceError>> {
        Box::pin(self.check(name, password))
    }
}

fn read(files: &dyn Files, path: &Path) -> io::Result<Vec<u8>> {
    let file = files.open(path)?;
    let length = file.length()?;
    if length > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 8 MiB"));
    }
    file.read_vec_at(usize::try_from(length).unwrap_or(usize::MAX), 0)
}

impl List {
    fn read(content: &[u8]) -> Self {
        let mut list = Self::default();
        for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let line = String::from_utf8_lossy(line);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(reason) = list.take(line) {
                list.complaints.push(Complaint { line: index + 1, reason });
            }
        }
        list
    }

    fn take(&mut self, line: &str) -> Result<(), &'static str> {
        let (name, hash) = line.split_once(':').ok_or("NAME:HASH is expected")?;
        if !is_user_name(name) {
            return Err("its name cannot be a user's: 1 to 127 of a-z, 0-9, and '.', '_', '-', '@' inside are");
        }
        let cost = cost(hash).ok_or("its hash is not bcrypt ($2a$, $2b$ or $2y$); make it with htpasswd -B")?;
        if cost > COST_MAX {
            return Err("its hash costs too much: at most 16 is taken");
        }
        // As with Apache, the first of several counts.
        if self.hashes.contains_key(name) {
            return Err("its name stands in the file already; the first counts");
        }
        self.hashes.insert(name.to_owned(), hash.to_owned());
        Ok(())
    }

    /// A hash of no password that takes as long to check as the slowest here.
    fn decoy(&self) -> String {
        let most = self.hashes.values().filter_map(|hash| cost(hash)).max().unwrap_or(COST_MIN);
        format!("$2b${most:02}${}", ".".repeat(53))
    }
}

/// The cost of a bcrypt hash; none if it is no such hash.
fn cost(hash: &str) -> Option<u32> {
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| hash.strip_prefix(prefix))?;
    let (cost, body) = rest.split_once('$')?;
    let is_body = body.len() == 53 && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte));
    let is_cost = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    let cost = (is_body && is_cost).then(|| cost.parse::<u32>().ok()).flatten()?;
    // What the library cannot take apart would let nobody in, without a word.
    let (salt, hash) = body.split_at(SALT_LETTERS);
    let is_readable = BASE_64.decode(salt).is_ok() && BASE_64.decode(hash).is_ok();
    (cost >= COST_MIN && is_readable).then_some(cost)
}

#[cfg(test)]
mod tests {
    use storage::disk::RealFiles;
    use storage::kv::RocksEngines;
    use storage::seal::Keys;
    use tokio::time::advance;

    use super::*;
    use crate::environment::real;

    fn hash(password: &str) -> String {
        bcrypt::hash_with_salt(password, COST_MIN, [7; 16]).unwrap().format_for_version(bcrypt::Version::TwoY)
    }

    struct Fixture {
        directory: tempfile::TempDir,
        people: Htpasswd,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let mut environment = real(Arc::new(RealFiles), Arc::new(RocksEngines::new(Keys::clear())));
            environment.exec = Exec::inline();
            let people = Htpasswd::new(&directory.path().join("htpasswd"), &environment);
            Self { directory, people }
        }

        fn write(&self, content: &str) {
            RealFiles.replace(&self.directory.path().join("htpasswd"), content.as_bytes()).unwrap();
        }

        async fn lets_in(&self, name: &str, password: &str) -> bool {
            self.people.verify(name, password).await.unwrap().is_some()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_in_the_file_logs_in_with_his_password() {
        let fixture = Fixture::new();
        fixture.write(&format!("# people\n\nann:{}\r\nbob:{}\n", hash("secret"), hash("other")));
        assert!(fixture.lets_in("ann", "secret").await);
        assert!(fixture.lets_in("bob", "other").await);
        for (name, password) in [("ann", "other"), ("ann", ""), ("Ann", "secret"), ("eve", "secret"), ("", "secret")] {
            assert!(!fixture.lets_in(name, password).await, "{name}:{password}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_counts_after_a_moment() {
        let fixture = Fixture::new();
        fixture.write(&format!("ann:{}\n", hash("old")));
        assert!(fixture.lets_in("ann", "old").await);
        fixture.write(&format!("ann:{}\n", hash("new")));
        advance(LOOK_INTERVAL).await;
        assert!(!fixture.lets_in("ann", "old").await);
        assert!(fixture.lets_in("ann", "new").await);
        fixture.write("");
        advance(LOOK_INTERVAL).await;
        assert!(!fixture.lets_in("ann", "new").await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_cannot_be_read_lets_nobody_in_and_says_so() {
        let fixture = Fixture::new();
        let missing = fixture.people.verify("ann", "secret").await.unwrap_err();
        assert!(missing.0.contains("access.htpasswd"), "{missing}");
        fixture.write(&format!("ann:{}\n", hash("secret")));
        advance(LOOK_INTERVAL).await;
        assert!(fixture.lets_in("ann", "secret").await);
        RealFiles.remove(&fixture.directory.path().join("htpasswd")).unwrap();
        advance(LOOK_INTERVAL).await;
        assert!(fixture.people.verify("ann", "secret").await.is_err());
    }

    #[tokio::test]
    async fn a_check_whose_caller_went_away_keeps_its_place_until_it_is_done() {
        let mut fixture = Fixture::new();
        fixture.people.exec = Exec::threads();
        fixture.write(&format!("ann:$2y$10${}\n", ".".repeat(53)));
        // Looks at the file, so that the check itself begins at once.
        fixture.people.list().await.unwrap();
        let mut check = fixture.people.verify("ann", "guess");
        assert!(futures_util::poll!(&mut check).is_pending());
        drop(check);
        assert_eq!(fixture.people.checks.available_permits(), CHECKS_MAX - 1);
        assert_eq!(fixture.people.places.available_permits(), WAITING_MAX - 1);
        let all = u32::try_from(CHECKS_MAX).unwrap();
        drop(fixture.people.checks.acquire_many(all).await.unwrap());
    }

    #[test]
    fn lines_that_cannot_be_used_are_named_and_others_go_on() {
        let good = hash("x");
        let content = [
            format!("ann:{good}"),
            "no colon".to_owned(),
            "md5:$apr1$1k$abcdefghijklmnopqrstuv".to_owned(),
            "sha:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".to_owned(),
            format!("Capital:{good}"),
            format!("old:{}", good.replace("$2y$", "$2x$")),
            format!("short:{}", &good[..59]),
            format!("slow:{}", good.replace("$04$", "$17$")),
            format!("fast:{}", good.replace("$04$", "$03$")),
            format!("ann:{}", hash("second")),
            format!("trailing:{good}:more"),
            format!("zoe:{}", good.replace("$2y$", "$2a$")),
            format!("yan:{}", good.replace("$2y$", "$2b$")),
        ]
        .join("\n");
        let list = List::read(content.as_bytes());
        assert_eq!(list.hashes.keys().collect::<Vec<_>>(), ["ann", "yan", "zoe"]);
        assert_eq!(list.hashes["ann"], good);
        let lines: Vec<usize> = list.complaints.iter().map(|complaint| complaint.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert!(list.complaints.iter().all(|complaint| !complaint.to_string().contains("$04$")));
    }

    #[test]
    fn who_is_unknown_costs_as_much_as_the_slowest_who_is_known() {
        let list = List::read(format!("ann:{}", hash("x").replace("$04$", "$11$")).as_bytes());
        assert_eq!(cost(&list.decoy()), Some(11));
        // It is a hash that can be checked, not an error that comes at once.
        assert_eq!(bcrypt::verify("x", &List::default().decoy()).ok(), Some(false));
    }

    #[test]
    fn who_is_in_the_list_stands_in_the_file() {
        const WORDS: &[&str] = &[
            "ann",
            "bob.x",
            "Ann",
            ":",
            "$2y$04$",
            "$2b$31$",
            "$apr1$",
            "#",
            "\n",
            "\r\n",
            " ",
            "é",
            ".....................................................",
            "abcdefghijklmnopqrstuuO1234567890123456789012345678901",
        ];
        crate::fuzz::explore!("htpasswd", |input: &[u8]| {
            let text = crate::fuzz::spelled(input, WORDS);
            let list = List::read(text.as_bytes());
            let lines: Vec<&str> = text.split('\n').map(str::trim).collect();
            assert!(list.hashes.len() + list.complaints.len() <= lines.len(), "{text:?}");
            for (name, hash) in &list.hashes {
                assert!(lines.contains(&&*format!("{name}:{hash}")), "{name}:{hash} is not in {text:?}");
                assert!(is_user_name(name) && cost(hash).is_some_and(|cost| cost <= COST_MAX), "{name} {hash}");
                // The library takes it apart as well, so that a right password could be found right.
                assert!(hash.parse::<bcrypt::HashParts>().is_ok(), "{hash}");
            }
            assert!(cost(&list.decoy()).is_some());
        });
    }

    proptest::proptest! {
        #[test]
        fn no_file_panics(content in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), tail in ".{0,70}") {
            List::read(&content);
            List::read(format!("ann:$2y$04${tail}").as_bytes());
        }
    }
}
