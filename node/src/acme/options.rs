//! What the settings say about the authority, as the room wants it.

use std::path::PathBuf;

use raft::directory::is_certificate_domain;

use crate::config::{AcmeChallenge, AcmeSettings};
use crate::web::{Plaintext, check_url};

/// Settings that were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AcmeOptions {
    /// URL of the authority's directory.
    pub(super) directory: String,
    /// What signs the authority's own certificate, PEM; `None`: what the system trusts.
    pub(super) authority: Option<PathBuf>,
    /// URLs at which the authority reaches the operator.
    pub(super) contact: Vec<String>,
    /// Domains that the settings name.
    pub(super) domains: Vec<String>,
    /// How the authority sees that a domain is ours.
    pub(super) challenge: AcmeChallenge,
    /// Whose customer the account is, by the authority's own name for it, and the file with the key for that.
    pub(super) external: Option<(String, PathBuf)>,
    /// Program that changes the DNS.
    pub(super) dns_hook: Option<String>,
    /// Seconds before its end at which a certificate is renewed; `None`: when a third of its life is left.
    pub(super) renew_before_seconds: Option<u64>,
}

/// A setting that cannot stand as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AcmeInvalid {
    /// The key.
    pub(crate) key: &'static str,
    /// What is expected.
    pub(crate) expected: &'static str,
}

impl AcmeOptions {
    /// Seconds before its end at which a certificate is renewed; `None`: when a third of its life is left.
    pub(crate) const fn renew_before_seconds(&self) -> Option<u64> {
        self.renew_before_seconds
    }

    /// Reads the settings; `None` when no authority is named.
    pub(crate) fn new(settings: &AcmeSettings) -> Result<Option<Self>, AcmeInvalid> {
        let invalid = |key, expected| Err(AcmeInvalid { key, expected });
        if settings.directory.is_empty() {
            if !settings.domains.is_empty() {
                return invalid("acme.domains", "[] without acme.directory");
            }
            return Ok(None);
        }
        if check_url(&settings.directory, Plaintext::Refused).is_err() {
            return invalid("acme.directory", "https://host[:port]/path, or \"\"");
        }
        if !settings.terms_agreed {
            return invalid("acme.terms_agreed", "true: the authority's terms of service must be agreed to");
        }
        if !settings.domains.iter().all(|domain| is_certificate_domain(domain)) {
            return invalid("acme.domains", "DNS names in small letters, also *.example.org");
        }
        let wildcard = settings.domains.iter().any(|domain| domain.starts_with('*'));
        if wildcard && settings.challenge != AcmeChallenge::Dns01 {
            return invalid("acme.domains", "names without * unless acme.challenge = \"dns-01\"");
        }
        if settings.challenge == AcmeChallenge::Dns01 && settings.dns_hook.is_none() {
            return invalid("acme.dns_hook", "a program with acme.challenge = \"dns-01\"");
        }
        let external = match (settings.eab_key_id.as_str(), &settings.eab_key_file) {
            ("", None) => None,
            ("", Some(_)) => return invalid("acme.eab_key_id", "the id of the key in acme.eab_key_file"),
            (_, None) => return invalid("acme.eab_key_file", "the file with the key of acme.eab_key_id"),
            (id, Some(path)) => Some((id.to_owned(), path.clone())),
        };
        let contact = |given: &String| if given.contains(':') { given.clone() } else { format!("mailto:{given}") };
        Ok(Some(Self {
            directory: settings.directory.clone(),
            authority: settings.authority.clone(),
            contact: settings.contact.iter().map(contact).collect(),
            domains: settings.domains.clone(),
            challenge: settings.challenge,
            external,
            dns_hook: settings.dns_hook.as_ref().map(|path| path.display().to_string()),
            renew_before_seconds: (settings.renew_before_days > 0)
                .then(|| u64::from(settings.renew_before_days) * 86_400),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> AcmeSettings {
        AcmeSettings {
            directory: "https://acme.example/directory".to_owned(),
            domains: vec!["registry.example.org".to_owned()],
            contact: vec!["ops@example.org".to_owned(), "mailto:two@example.org".to_owned()],
            terms_agreed: true,
            ..crate::config::Settings::default().acme
        }
    }

    #[test]
    fn addresses_become_urls_and_days_seconds() {
        let options = AcmeOptions::new(&AcmeSettings { renew_before_days: 2, ..settings() }).unwrap().unwrap();
        assert_eq!(options.contact, ["mailto:ops@example.org", "mailto:two@example.org"]);
        assert_eq!(options.renew_before_seconds, Some(172_800));
        assert_eq!(AcmeOptions::new(&settings()).unwrap().unwrap().renew_before_seconds, None);
        assert_eq!(AcmeOptions::new(&crate::config::Settings::default().acme), Ok(None));
    }

    #[test]
    fn what_cannot_stand_is_named() {
        let refused = |change: fn(&mut AcmeSettings)| {
            let mut changed = settings();
            change(&mut changed);
            AcmeOptions::new(&changed).unwrap_err().key
        };
        assert_eq!(refused(|settings| settings.directory.clear()), "acme.domains");
        assert_eq!(refused(|settings| settings.directory = "http://acme.example/".to_owned()), "acme.directory");
        assert_eq!(refused(|settings| settings.terms_agreed = false), "acme.terms_agreed");
        assert_eq!(refused(|settings| settings.domains.push("Not A Name".to_owned())), "acme.domains");
        assert_eq!(refused(|settings| settings.domains.push("*.example.org".to_owned())), "acme.domains");
        assert_eq!(refused(|settings| settings.challenge = AcmeChallenge::Dns01), "acme.dns_hook");
        assert_eq!(refused(|settings| settings.eab_key_id = "id".to_owned()), "acme.eab_key_file");
        assert_eq!(refused(|settings| settings.eab_key_file = Some("key".into())), "acme.eab_key_id");
    }
}
