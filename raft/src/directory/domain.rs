//! Domains: names of the registry that stand for a namespace. A client that asks for the registry by such a name sees and
//! names only what is below the namespace, and says its names without it. Frozen by golden files.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What a domain stands for. Key: the domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRecord {
    /// Prefix of the names that its clients mean. Empty: none, it is one of the names of the whole registry.
    pub namespace: String,
    /// When it was set.
    pub created: Timestamp,
}

/// Why a change of the domains is refused. Append-only; golden files freeze it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DomainRefusal {
    /// The text is no domain.
    #[error(
        "{0:?} is no domain: a DNS name of two labels or more is expected, in small letters, without a port and without \
         wildcards; names in other scripts in their ASCII form (xn--...)"
    )]
    Invalid(String),
    /// The domain stands for something else.
    #[error(
        "the domain {domain:?} stands for {at:?} already: take it out of use first with: regnode domain remove {domain}",
        at = written(namespace)
    )]
    Taken {
        /// The domain.
        domain: String,
        /// What it stands for, empty for the whole registry.
        namespace: String,
    },
    /// Clients that mean the whole registry ask by that name.
    #[error(
        "{domain:?} is how clients reach {whom}: everybody who asks by that name would mean {namespace:?} from now on; give the \
         namespace a name of its own"
    )]
    Own {
        /// The domain.
        domain: String,
        /// What it was to stand for.
        namespace: String,
        /// The node or the region whose name it is.
        whom: String,
    },
    /// As many as may be.
    #[error("there are {0} domains already, the most that may be: remove some with: regnode domain remove")]
    TooMany(u64),
    /// A domain stands for the namespace that was to be removed.
    #[error(
        "the domain {domain:?} stands for the namespace {namespace:?}: take it out of use first with: regnode domain \
         remove {domain}"
    )]
    Named {
        /// The namespace.
        namespace: String,
        /// One such domain.
        domain: String,
    },
}

/// A prefix as operators write it.
fn written(prefix: &str) -> &str {
    if prefix.is_empty() { "/" } else { prefix }
}

/// Whether a text can be a domain: two or more labels of small letters, digits and `-` (RFC 1123 §2.1), at most 253
/// characters. The last label is no number, so that no address of IPv4 is a domain. Names in other scripts are written in
/// their ASCII form (RFC 5891).
#[must_use]
pub fn is_domain(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inside)
    };
    let ends_in_number = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label) && !ends_in_number
}

crate::versioned! {
    DomainRecord = 1, "domain record";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_dns_names_in_small_letters() {
        let (label, longest) = ("a".repeat(63), format!("{}.example", vec!["a".repeat(59); 4].join(".")));
        assert!(longest.len() < 254);
        for good in
            ["registry.acme.example", "a.b", "xn--bcher-kva.example", "1.example", "a-b.c", &format!("{label}.b")]
        {
            assert!(is_domain(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "registry",
            "a..b",
            ".a.b",
            "a.b.",
            "A.example",
            "a.b:5000",
            "*.example.org",
            "bücher.example",
            "a_b.example",
            "-a.b",
            "a-.b",
            "127.0.0.1",
            "a.7",
            "[::1]",
            "a b.c",
            "a/b.c",
            "a.b\0",
            "a@b.c",
            &format!("{label}a.b"),
            &format!("{longest}.{longest}"),
        ] {
            assert!(!is_domain(bad), "{bad}");
        }
    }
}
