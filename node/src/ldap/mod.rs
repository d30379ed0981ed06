//! People who have their passwords in an LDAP directory.
//!
//! A login finds the person's entry with the node's own account, binds as the person to have the password checked, and asks
//! for his groups with the node's own account again. `options` is what the operator has set, `filter` fills names into
//! filters, `connection` speaks with one server, `groups` turns their groups into ours.
//!
//! Architecture invariants: nothing goes over the wire without TLS; what a person types reaches a filter only escaped; a
//! password that is empty is never sent, since a server takes it for no password at all (RFC 4513, 5.1.2).
//!
//! The library opens its own sockets: this room has no place in the simulator, where no servers are set.

mod connection;
mod filter;
mod groups;
mod options;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use raft::directory::is_user_name;
use raft::time::Clock;
use rustls::ClientConfig;
use storage::disk::Files;
use storage::exec::Exec;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::warn;

pub use options::{InvalidLdap, LdapOptions};

use crate::environment::{BoxFuture, Environment};
use crate::login::{Outsider, PasswordSource, SourceError};
use crate::web::{tls_with_authorities, tls_with_system};
use connection::{Connection, Failure};

/// Logins that are asked about at the same time.
const LOGINS_MAX: usize = 16;

/// Most bytes of the file with the password, and of the file with the authorities.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The people of an LDAP directory.
pub struct Ldap {
    options: LdapOptions,
    files: Arc<dyn Files>,
    exec: Exec,
    clock: Arc<dyn Clock>,
    /// Authorities as they were read, and what was made of them.
    tls: Mutex<Option<(Vec<u8>, Arc<ClientConfig>)>>,
    /// Index of the server that answered last; the next login begins with it.
    preferred: AtomicUsize,
    logins: Semaphore,
}

impl fmt::Debug for Ldap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ldap").field("servers", &self.options.servers).finish_non_exhaustive()
    }
}

impl Ldap {
    /// The people of the directory that these options name. Nothing is asked yet.
    #[must_use]
    pub fn new(options: LdapOptions, environment: &Environment) -> Self {
        Self {
            options,
            files: Arc::clone(&environment.files),
            exec: environment.exec,
            clock: Arc::clone(&environment.clock),
            tls: Mutex::default(),
            preferred: AtomicUsize::new(0),
            logins: Semaphore::new(LOGINS_MAX),
        }
    }

    async fn check(&self, name: &str, password: &str) -> Result<Option<Outsider>, SourceError> {
        if password.is_empty() || !is_user_name(name) {
            return Ok(None);
        }
        let busy = || SourceError("too many logins wait for the LDAP directory".to_owned());
        let _place = self.logins.try_acquire().map_err(|_| busy())?;
        let (tls, own_password) = (self.tls().await?, self.own_password().await?);
        let servers = &self.options.servers;
        let first = self.preferred.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for index in (0..servers.len()).map(|step| (first + step) % servers.len()) {
            let server = &servers[index];
            let asked = self.ask(server, Arc::clone(&tls), &own_password, name, password);
            // The library panics at answers that it cannot read; that ends the question, and nothing else.
            let asked = AssertUnwindSafe(asked).catch_unwind();
            let asked = timeout(self.options.timeout, asked).await;
            let failure = match asked.map(|answer| answer.unwrap_or(Err(Failure::Unreadable))) {
                Ok(Ok(found)) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(found);
                }
                Ok(Err(Failure::Ambiguous)) => {
                    warn!(server, name, "the LDAP filter of users finds several people, none of them logs in");
                    return Ok(None);
                }
                Ok(Err(failure)) => failure.to_string(),
                Err(_elapsed) => {
                    format!("no answer within {} s (ldap.timeout_seconds)", self.options.timeout.as_secs())
                }
            };
            warn!(server, failure, "an LDAP server cannot be asked");
            failures.push(format!("{server}: {failure}"));
        }
        Err(SourceError(format!("no LDAP server can be asked: {}", failures.join("; "))))
    }

    /// Asks one server about one person.
    async fn ask(
        &self,
        server: &str,
        tls: Arc<ClientConfig>,
        own_password: &str,
        name: &str,
        password: &str,
    ) -> Result<Option<Outsider>, Failure> {
        let options = &self.options;
        let mut connection = Connection::open(server, tls, options.timeout).await?;
        connection.bind_as_node(&options.bind_dn, own_password).await?;
        let found = connection.person(options, name).await?;
        // Who is not there is asked for his password as well: the time tells nobody who is there.
        let dn = found.as_ref().map_or_else(|| options.nobody(), |person| person.dn.clone());
        let is_right = connection.is_password(&dn, password).await?;
        let Some(person) = found.filter(|_| is_right) else { return Ok(None) };
        let groups = if options.asks_for_groups() {
            connection.bind_as_node(&options.bind_dn, own_password).await?;
            let theirs = groups::all_of(&mut connection, options, name, &person.dn).await?;
            Some(groups::ours(&options.groups, &theirs))
        } else {
            None
        };
        Ok(Some(Outsider { display: person.display, groups }))
    }

    async fn read(&self, key: &'static str, path: PathBuf) -> Result<Vec<u8>, SourceError> {
        let files = Arc::clone(&self.files);
        let shown = path.display().to_string();
        let read = self.exec.run(move || {
            let file = files.open(&path)?;
            let length = file.length()?;
            if length > FILE_BYTES_MAX {
                return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "more than 1 MiB"));
            }
            file.read_vec_at(usize::try_from(length).unwrap_or(usize::MAX), 0)
        });
        read.await.map_err(|error| SourceError(format!("{key} = \"{shown}\" cannot be read: {error}")))
    }

    /// The password of the node's own account, as the file has it now; without the end of its line.
    async fn own_password(&self) -> Result<String, SourceError> {
        let Some(path) = self.options.bind_password_file.clone() else { return Ok(String::new()) };
        let content = self.read("ldap.bind_password_file", path).await?;
        let text =
            String::from_utf8(content).map_err(|_| SourceError("ldap.bind_password_file is no text".to_owned()))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// TLS that trusts what `ldap.authority` has now, or the system's authorities.
    async fn tls(&self) -> Result<Arc<ClientConfig>, SourceError> {
        let bad = |error: crate::web::WebError| SourceError(format!("ldap.authority: {error}"));
        let pem = match self.options.authority.clone() {
            Some(path) => self.read("ldap.authority", path).await?,
            None => Vec::new(),
        };
        if let Some((_, tls)) = self.known_tls().as_ref().filter(|(known, _)| *known == pem) {
            return Ok(Arc::clone(tls));
        }
        let tls = if self.options.authority.is_some() {
            tls_with_authorities(&String::from_utf8_lossy(&pem), &self.clock).map_err(bad)?
        } else {
            let clock = Arc::clone(&self.clock);
            self.exec.run(move || tls_with_system(&clock)).await.map_err(bad)?
        };
        *self.known_tls() = Some((pem, Arc::clone(&tls)));
        Ok(tls)
    }

    fn known_tls(&self) -> std::sync::MutexGuard<'_, Option<(Vec<u8>, Arc<ClientConfig>)>> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PasswordSource for Ldap {
    fn name(&self) -> &'static str {
        "ldap"
    }

    fn verify<'a>(&'a self, name: &'a str, password: &'a str) -> BoxFuture<'a, Result<Option<Outsider>, SourceError>> {
        Box::pin(self.check(name, password))
    }
}

#[cfg(test)]
mod tests {
    use storage::disk::RealFiles;
    use storage::kv::RocksEngines;
    use storage::seal::Keys;

    use super::*;
    use crate::config::LdapSettings;
    use crate::environment::real;

    /// People of a directory whose servers nobody runs.
    fn silent(change: impl FnOnce(&mut LdapSettings)) -> (Ldap, tempfile::TempDir) {
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let authority = directory.path().join("ca.pem");
        RealFiles.replace(&authority, own.cert.pem().as_bytes()).unwrap();
        let mut settings = LdapSettings {
            servers: vec!["ldaps://127.0.0.1:1".to_owned(), "ldap://127.0.0.1:2".to_owned()],
            authority: Some(authority),
            user_base: "dc=test".to_owned(),
            ..LdapSettings::default()
        };
        change(&mut settings);
        let environment = real(Arc::new(RealFiles), Arc::new(RocksEngines::new(Keys::clear())));
        (Ldap::new(LdapOptions::new(&settings).unwrap().unwrap(), &environment), directory)
    }

    #[tokio::test]
    async fn servers_that_do_not_answer_are_all_named() {
        let (people, _directory) = silent(|_| {});
        let error = people.verify("ann", "secret").await.unwrap_err();
        assert!(error.0.contains("127.0.0.1:1: ") && error.0.contains("127.0.0.1:2: "), "{error}");
    }

    #[tokio::test]
    async fn an_empty_password_and_an_odd_name_are_wrong_without_asking_anybody() {
        let (people, _directory) = silent(|_| {});
        for (name, password) in
            [("ann", ""), ("", "secret"), ("*", "secret"), ("ann)(uid=*", "secret"), ("robot+a", "x")]
        {
            assert_eq!(people.verify(name, password).await, Ok(None), "{name}");
        }
    }

    #[tokio::test]
    async fn files_that_cannot_be_read_are_named() {
        let (missing, _directory) = silent(|settings| settings.authority = Some("/nowhere/ca.pem".into()));
        let error = missing.verify("ann", "secret").await.unwrap_err();
        assert!(error.0.starts_with("ldap.authority = \"/nowhere/ca.pem\" cannot be read"), "{error}");
        let (missing, _directory) = silent(|settings| {
            settings.bind_dn = "cn=node".to_owned();
            settings.bind_password_file = Some("/nowhere/password".into());
        });
        let error = missing.verify("ann", "secret").await.unwrap_err();
        assert!(error.0.starts_with("ldap.bind_password_file = "), "{error}");
    }
}
