//! What the operator has set, checked.

use std::path::PathBuf;
use std::time::Duration;

use super::filter::{DN, NAME};
use crate::config::LdapSettings;

/// Settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value:?} is not valid: {expected} expected")]
pub struct InvalidLdap {
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What a person must write.
    pub expected: &'static str,
}

/// How the people of an LDAP directory are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LdapOptions {
    pub(super) servers: Vec<String>,
    pub(super) authority: Option<PathBuf>,
    pub(super) bind_dn: String,
    pub(super) bind_password_file: Option<PathBuf>,
    pub(super) user_base: String,
    pub(super) user_filter: String,
    pub(super) display_attribute: String,
    pub(super) group_base: String,
    pub(super) group_filter: String,
    pub(super) group_attribute: String,
    pub(super) group_depth: u32,
    pub(super) groups: GroupNames,
    pub(super) timeout: Duration,
}

/// Which of their groups is which of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GroupNames {
    /// A group of ours is theirs of the same name.
    Same,
    /// Theirs (a distinguished name, or a plain name), ours.
    Listed(Vec<(String, String)>),
}

impl LdapOptions {
    /// Checks the settings; none if no servers are set.
    pub fn new(settings: &LdapSettings) -> Result<Option<Self>, InvalidLdap> {
        if settings.servers.is_empty() {
            return Ok(None);
        }
        let refuse = |key, value: &str, expected| Err(InvalidLdap { key, value: value.to_owned(), expected });
        if let Some(server) = settings.servers.iter().find(|server| !is_server(server)) {
            return refuse("ldap.servers", server, "a list of ldaps://host[:port] or ldap://host[:port]");
        }
        if settings.user_base.is_empty() {
            return refuse("ldap.user_base", "", "the distinguished name below which people are");
        }
        if !is_filter(&settings.user_filter) || !settings.user_filter.contains(NAME) {
            return refuse("ldap.user_filter", &settings.user_filter, "a filter in brackets with {name} in it");
        }
        let has_place = settings.group_filter.contains(DN) || settings.group_filter.contains(NAME);
        if !is_filter(&settings.group_filter) || !has_place {
            return refuse(
                "ldap.group_filter",
                &settings.group_filter,
                "a filter in brackets with {dn} or {name} in it",
            );
        }
        if settings.bind_dn.is_empty() != settings.bind_password_file.is_none() {
            return refuse("ldap.bind_dn", &settings.bind_dn, "both ldap.bind_dn and ldap.bind_password_file, or none");
        }
        let Some(groups) = group_names(&settings.groups) else {
            return refuse("ldap.groups", &settings.groups.join("; "), "a list of THEIRS=OURS, or only \"*\"");
        };
        Ok(Some(Self {
            servers: settings.servers.clone(),
            authority: settings.authority.clone(),
            bind_dn: settings.bind_dn.clone(),
            bind_password_file: settings.bind_password_file.clone(),
            user_base: settings.user_base.clone(),
            user_filter: settings.user_filter.clone(),
            display_attribute: settings.display_attribute.clone(),
            group_base: settings.group_base.clone(),
            group_filter: settings.group_filter.clone(),
            group_attribute: settings.group_attribute.clone(),
            group_depth: settings.group_depth,
            groups,
            timeout: Duration::from_secs(settings.timeout_seconds),
        }))
    }

    /// Whether anybody's groups matter.
    pub(super) fn asks_for_groups(&self) -> bool {
        !self.group_base.is_empty() && self.groups != GroupNames::Listed(Vec::new())
    }

    /// A name that no entry has, to ask for a password in vain.
    pub(super) fn nobody(&self) -> String {
        format!("cn=regnode-nobody,{}", self.user_base)
    }
}

/// `ldap://` is upgraded by StartTLS, `ldaps://` begins with TLS. A path would be a search, which others than us would say.
fn is_server(url: &str) -> bool {
    let rest = url.strip_prefix("ldaps://").or_else(|| url.strip_prefix("ldap://"));
    let Some(rest) = rest else { return false };
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, "389"));
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_filter(text: &str) -> bool {
    let count = |letter| text.matches(letter).count();
    text.starts_with('(') && text.ends_with(')') && count('(') == count(')')
}

fn group_names(list: &[String]) -> Option<GroupNames> {
    if list == ["*"] {
        return Some(GroupNames::Same);
    }
    let pair = |text: &String| {
        // Ours has no '='; a distinguished name has some.
        let (theirs, ours) = text.rsplit_once('=')?;
        let good = !theirs.is_empty() && raft::directory::is_access_name(ours);
        good.then(|| (theirs.to_owned(), ours.to_owned()))
    };
    list.iter().map(pair).collect::<Option<Vec<_>>>().map(GroupNames::Listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> LdapSettings {
        LdapSettings {
            servers: vec!["ldaps://a.test".to_owned(), "ldap://b.test:3890".to_owned()],
            user_base: "ou=people,dc=test".to_owned(),
            ..LdapSettings::default()
        }
    }

    #[test]
    fn without_servers_there_is_no_directory() {
        assert_eq!(LdapOptions::new(&LdapSettings::default()), Ok(None));
        assert!(LdapOptions::new(&good()).unwrap().is_some());
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_their_key() {
        let refused = |change: fn(&mut LdapSettings)| {
            let mut settings = good();
            change(&mut settings);
            LdapOptions::new(&settings).unwrap_err().key
        };
        assert_eq!(refused(|settings| settings.servers.push("https://c.test".to_owned())), "ldap.servers");
        assert_eq!(refused(|settings| settings.servers.push("ldap:c".to_owned())), "ldap.servers");
        assert_eq!(refused(|settings| settings.servers.push("ldap://".to_owned())), "ldap.servers");
        assert_eq!(refused(|settings| settings.servers.push("ldaps://c.test/dc=x".to_owned())), "ldap.servers");
        assert_eq!(refused(|settings| settings.servers.push("ldaps://u:p@c.test".to_owned())), "ldap.servers");
        assert_eq!(refused(|settings| settings.user_base.clear()), "ldap.user_base");
        assert_eq!(refused(|settings| settings.user_filter = "(uid=*)".to_owned()), "ldap.user_filter");
        assert_eq!(refused(|settings| settings.user_filter = "uid={name}".to_owned()), "ldap.user_filter");
        assert_eq!(refused(|settings| settings.group_filter = "(member={dn}".to_owned()), "ldap.group_filter");
        assert_eq!(refused(|settings| settings.bind_dn = "cn=a".to_owned()), "ldap.bind_dn");
        assert_eq!(refused(|settings| settings.bind_password_file = Some("/p".into())), "ldap.bind_dn");
        assert_eq!(refused(|settings| settings.groups = vec!["devs".to_owned()]), "ldap.groups");
        assert_eq!(refused(|settings| settings.groups = vec!["devs=Developers".to_owned()]), "ldap.groups");
        assert_eq!(refused(|settings| settings.groups = vec!["*".to_owned(), "a=b".to_owned()]), "ldap.groups");
    }

    #[test]
    fn groups_are_pairs() {
        let list = ["cn=devs,ou=groups,dc=x=developers".to_owned(), "ops=operators".to_owned()];
        let pairs = vec![
            ("cn=devs,ou=groups,dc=x".to_owned(), "developers".to_owned()),
            ("ops".to_owned(), "operators".to_owned()),
        ];
        assert_eq!(group_names(&list), Some(GroupNames::Listed(pairs)));
        assert_eq!(group_names(&["*".to_owned()]), Some(GroupNames::Same));
        assert_eq!(group_names(&[]), Some(GroupNames::Listed(Vec::new())));
    }
}
