//! The registry's certificates from an ACME authority (RFC 8555), and what is under way to get them: an account, orders,
//! challenges, failures. Frozen by golden files.
//!
//! All of it is in the directory, so that whichever node leads goes on where the one before it stopped, and every node
//! answers challenges and shows the certificates. Keys are wrapped with the cluster key that each node has.

use serde::{Deserialize, Serialize};
use storage::kv::Bytes;

use crate::id::NodeId;
use crate::time::Timestamp;

/// An account at an authority. Key: URL of the authority's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeAccountRecord {
    /// Its id and its key, wrapped.
    pub credentials: Bytes,
    /// When it was noted.
    pub created: Timestamp,
}

/// What there is of a domain's certificate. Key: the domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// The one that is shown.
    pub issued: Option<IssuedCertificate>,
    /// The next one, while it is asked for.
    pub order: Option<CertificateOrder>,
    /// Why the last attempt came to nothing. Gone after the next success.
    pub failure: Option<CertificateFailure>,
    /// Since when an operator wants a new one, whatever is left of the present one.
    pub asked: Option<Timestamp>,
}

/// A certificate that the authority has issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    /// The chain, PEM, the domain's own first.
    pub chain: Bytes,
    /// Its private key, wrapped.
    pub wrapped_key: Bytes,
    /// Not valid before this time.
    pub not_before: Timestamp,
    /// Not valid after this time.
    pub not_after: Timestamp,
    /// When it was noted.
    pub issued: Timestamp,
    /// URL of the authority's directory.
    pub authority: String,
    /// The node that got it.
    pub node: NodeId,
    /// How much earlier than others it is renewed, in thousandths of the time that is left then: drawn by lot, so that
    /// certificates of the same day are not all renewed at the same moment.
    pub spread_per_mille: u16,
}

/// An order that is not done yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateOrder {
    /// Its URL at the authority.
    pub url: String,
    /// URL of the authority's directory.
    pub authority: String,
    /// The private key that the certificate is asked for, wrapped.
    pub wrapped_key: Bytes,
    /// When it was noted.
    pub begun: Timestamp,
    /// The node that began it.
    pub node: NodeId,
}

/// Why there is no new certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFailure {
    /// When it failed last.
    pub time: Timestamp,
    /// What the authority, or the way to it, says.
    pub reason: String,
    /// Failures since the last success.
    pub count: u32,
    /// When it is tried again.
    pub retry: Timestamp,
}

/// What proves to the authority that a domain is ours. Key: its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeRecord {
    /// The domain.
    pub domain: String,
    /// The token and the account key's thumbprint (RFC 8555 §8.1).
    pub key_authorization: String,
    /// When it is forgotten at the latest.
    pub expires: Timestamp,
}

/// How often certificates have changed, and how many domains there are. One record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStateRecord {
    /// Grows with each change of what the nodes show.
    pub version: u64,
    /// Domains with a record.
    pub domains: u64,
}

/// A change of the registry's certificates. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateCommand {
    /// Notes the account at an authority if the present one is still `replaces`, and changes nothing otherwise: of two
    /// nodes that made one at the same time, the first one's stays.
    SetAccount {
        /// URL of the authority's directory.
        authority: String,
        /// Id and key, wrapped.
        credentials: Bytes,
        /// What is known of the present one.
        replaces: Option<Bytes>,
    },
    /// Notes an order for a domain's certificate. Refused while there is another one at the same authority.
    Begin {
        /// The domain.
        domain: String,
        /// The order; its time is that of the command.
        order: CertificateOrder,
    },
    /// Notes the certificate that an order has led to. Refused when it is not the domain's order any more.
    Finish {
        /// The domain.
        domain: String,
        /// URL of the order.
        order: String,
        /// The certificate; its time of issue is that of the command.
        certificate: IssuedCertificate,
    },
    /// Notes that an attempt came to nothing.
    Fail {
        /// The domain.
        domain: String,
        /// Why.
        reason: String,
        /// Seconds until it is tried again.
        retry_after_seconds: u64,
        /// URL of the order that is given up, if that is the domain's.
        order: Option<String>,
        /// What the attempt knew of an operator's wish. One that came while it was under way stays.
        asked: Option<Timestamp>,
    },
    /// An operator wants a new certificate now. Refused for a domain of which nothing is known.
    Ask {
        /// The domain.
        domain: String,
    },
    /// Forgets a domain with its certificate. Done also if there is none.
    Remove {
        /// The domain.
        domain: String,
    },
    /// Notes a challenge, so that every node can answer it. What has expired goes.
    AddChallenge {
        /// Its token.
        token: String,
        /// The domain.
        domain: String,
        /// What is answered.
        key_authorization: String,
        /// Seconds until it is forgotten.
        lifetime_seconds: u64,
    },
    /// Forgets a challenge. Done also if there is none.
    RemoveChallenge {
        /// Its token.
        token: String,
    },
}

/// Why a change of the registry's certificates is refused. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum CertificateRefusal {
    /// The domain is none.
    #[error("{0:?} is no domain: a DNS name in small letters, or *. before one, is expected")]
    DomainInvalid(String),
    /// Nothing is known of the domain.
    #[error("there is no certificate for {0:?}: regnode certificate list shows those that there are")]
    Unknown(String),
    /// The domain has another order.
    #[error("the certificate of {0:?} is asked for by another order")]
    OtherOrder(String),
    /// Some part has no usable length.
    #[error("a certificate's {part} of {bytes} bytes: 1 to {most} are expected")]
    Length {
        /// Which part.
        part: String,
        /// Its length.
        bytes: u64,
        /// The greatest.
        most: u64,
    },
    /// There are as many domains as may be.
    #[error("there are certificates for {0} domains already, the most that may be")]
    TooMany(u64),
    /// There are as many challenges as may be.
    #[error("{0} challenges are waiting already, the most that may")]
    TooManyChallenges(u64),
}

/// Whether a name can have a certificate: labels of small letters, digits, `-` and `_`, at least two, the first may be
/// `*`; at most 253 characters (RFC 1035 §2.3.4). Names in other scripts are written in their ASCII form (RFC 5891).
#[must_use]
pub fn is_certificate_domain(name: &str) -> bool {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(letter)
    };
    let all_digits = rest.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && rest.contains('.') && rest.split('.').all(label) && !all_digits
}

crate::versioned! {
    AcmeAccountRecord = 1, "acme account record";
    CertificateRecord = 1, "certificate record";
    ChallengeRecord = 1, "challenge record";
    CertificateStateRecord = 1, "certificate state record";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_dns_names_and_wildcards_of_them() {
        for good in ["registry.example.org", "*.example.org", "a.b", "xn--bcher-kva.example", "1.example", "_a.b.c"] {
            assert!(is_certificate_domain(good), "{good}");
        }
        let (long, label) = (format!("{}.org", "a.".repeat(126)), format!("{}.org", "a".repeat(64)));
        for bad in
            ["", "localhost", "*", "*.org.", "Example.org", "a..b", ".a.b", "a.b.", "-a.b", "a-.b", "a b.c", "a/b.c"]
        {
            assert!(!is_certificate_domain(bad), "{bad}");
        }
        for bad in ["127.0.0.1", "a.*.b", "**.a.b", "b\u{fc}cher.example", "a.b:443", &long, &label] {
            assert!(!is_certificate_domain(bad), "{bad}");
        }
    }
}
