//! One connection to one server: TLS, binds and searches.

use std::sync::Arc;
use std::time::Duration;

use ldap3::{Ldap as Handle, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, SearchOptions};
use rustls::ClientConfig;
use tokio::task::JoinHandle;

use super::filter::fill;
use super::groups::{FindGroups, Group};
use super::options::LdapOptions;

/// Most entries of one search for groups.
const ENTRIES_MAX: i32 = 1001;

/// Why a server could not say whether somebody is who he says. Answers that say no are no failures.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The connection or the exchange.
    #[error("{0}")]
    Exchange(#[from] LdapError),
    /// The node's own account.
    #[error("ldap.bind_dn {dn:?} was refused: result {code} {text}")]
    OwnBind { dn: String, code: u32, text: String },
    /// The server cannot check a password now.
    #[error("a password could not be checked: result {code} {text}")]
    Bind { code: u32, text: String },
    /// A search.
    #[error("the search below {base:?} failed: result {code} {text}")]
    Search { base: String, code: u32, text: String },
    /// The filter of users fits several.
    #[error("several people have the name")]
    Ambiguous,
    /// More groups than are counted.
    #[error("the person is in more than 1000 groups")]
    TooManyGroups,
    /// What the server sent could not be read.
    #[error("the server's answer cannot be read")]
    Unreadable,
}

/// Somebody's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) dn: String,
    pub(super) display: String,
}

/// A connection; it ends when it is dropped.
pub(super) struct Connection {
    handle: Handle,
    driver: JoinHandle<()>,
    timeout: Duration,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Connects; `ldap://` is upgraded by StartTLS before anything else is said.
    pub(super) async fn open(server: &str, tls: Arc<ClientConfig>, timeout: Duration) -> Result<Self, Failure> {
        let settings = LdapConnSettings::new()
            .set_conn_timeout(timeout)
            .set_starttls(server.starts_with("ldap://"))
            .set_config(tls);
        let (connection, handle) = LdapConnAsync::with_settings(settings, server).await?;
        let driver = tokio::spawn(async move {
            // How it ended is told to whoever waits for an answer.
            let _ = connection.drive().await;
        });
        Ok(Self { handle, driver, timeout })
    }

    /// Speaks for the node's own account from now on; without one, for nobody.
    pub(super) async fn bind_as_node(&mut self, dn: &str, password: &str) -> Result<(), Failure> {
        let answer = self.handle.with_timeout(self.timeout).simple_bind(dn, password).await?;
        if answer.rc != 0 {
            return Err(Failure::OwnBind { dn: dn.to_owned(), code: answer.rc, text: answer.text });
        }
        Ok(())
    }

    /// Whether the password is that of the entry. The connection speaks for the entry afterwards.
    pub(super) async fn is_password(&mut self, dn: &str, password: &str) -> Result<bool, Failure> {
        let answer = self.handle.with_timeout(self.timeout).simple_bind(dn, password).await?;
        match answer.rc {
            0 => Ok(true),
            code if says_nothing(code) => Err(Failure::Bind { code, text: answer.text }),
            _ => Ok(false),
        }
    }

    /// The one entry that the filter of users finds for a name.
    pub(super) async fn person(&mut self, options: &LdapOptions, name: &str) -> Result<Option<Person>, Failure> {
        let filter = fill(&options.user_filter, name, "");
        let mut entries = self.search(&options.user_base, &filter, &options.display_attribute, 2).await?;
        let first = entries.pop();
        if !entries.is_empty() {
            return Err(Failure::Ambiguous);
        }
        Ok(first.map(|(dn, values)| {
            let name = values.into_iter().next().unwrap_or_default();
            Person { dn, display: name.chars().filter(|letter| !letter.is_control()).take(100).collect() }
        }))
    }

    /// Entries below a base with the values of one attribute. More than `most` are no error: there are then as many or more.
    async fn search(
        &mut self,
        base: &str,
        filter: &str,
        attribute: &str,
        most: i32,
    ) -> Result<Vec<(String, Vec<String>)>, Failure> {
        let bounds = SearchOptions::new().sizelimit(most);
        let handle = self.handle.with_timeout(self.timeout).with_search_options(bounds);
        let found = handle.search(base, Scope::Subtree, filter, vec![attribute]).await?;
        let (entries, answer) = (found.0, found.1);
        // 4: there are more than were asked for.
        if answer.rc != 0 && answer.rc != 4 {
            return Err(Failure::Search { base: base.to_owned(), code: answer.rc, text: answer.text });
        }
        let entry = |entry| {
            let SearchEntry { dn, attrs, .. } = SearchEntry::construct(entry);
            // Servers answer in letters of their own choice.
            let asked = attrs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
            (dn, asked.map(|(_, values)| values).unwrap_or_default())
        };
        Ok(entries.into_iter().map(entry).collect())
    }
}

/// Results of a bind that tell nothing of the password: busy, unavailable, loops, errors, or TLS that is not enough for the
/// server (RFC 4511, appendix A).
const fn says_nothing(code: u32) -> bool {
    matches!(code, 1 | 2 | 3 | 7 | 8 | 10 | 11 | 12 | 13 | 51 | 52 | 54 | 80)
}

impl FindGroups for Connection {
    async fn groups_of(&mut self, options: &LdapOptions, name: &str, dn: &str) -> Result<Vec<Group>, Failure> {
        let filter = fill(&options.group_filter, name, dn);
        let found = self.search(&options.group_base, &filter, &options.group_attribute, ENTRIES_MAX).await?;
        if found.len() >= usize::try_from(ENTRIES_MAX).unwrap_or(usize::MAX) {
            return Err(Failure::TooManyGroups);
        }
        Ok(found.into_iter().map(|(dn, names)| Group { dn, names }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_password_is_an_answer_and_a_busy_server_is_none() {
        for code in [49, 32, 48, 50, 53, 19] {
            assert!(!says_nothing(code), "{code}");
        }
        for code in [51, 52, 80, 13, 8] {
            assert!(says_nothing(code), "{code}");
        }
    }
}
