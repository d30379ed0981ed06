//! The registry's certificates as the local socket tells of them.

use serde::{Deserialize, Serialize};

use super::access_types::Confirmation;

/// The certificates of the authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatesAnswer {
    /// Version of the answer's form.
    pub version: u32,
    /// Whether a quorum confirms it.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// URL of the authority's directory; empty when none is asked.
    pub authority: String,
    /// How the authority is shown that domains are ours.
    pub challenge: String,
    /// The domains.
    pub certificates: Vec<CertificateEntry>,
}

/// What there is of a domain's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateEntry {
    /// The domain.
    pub name: String,
    /// Whether it is to have one. Otherwise it is shown to its end and not renewed.
    pub wanted: bool,
    /// In one word.
    pub state: CertificateState,
    /// Not valid before this time.
    pub not_before_milliseconds: Option<u64>,
    /// Not valid after this time.
    pub not_after_milliseconds: Option<u64>,
    /// When it is to be renewed.
    pub renews_milliseconds: Option<u64>,
    /// URL of the directory of the authority that issued it.
    pub issuer: Option<String>,
    /// The order that is under way.
    pub order: Option<String>,
    /// Why the last attempt came to nothing.
    pub failure: Option<CertificateFailureEntry>,
}

/// Why an attempt came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFailureEntry {
    /// When.
    pub time_milliseconds: u64,
    /// Why.
    pub reason: String,
    /// Failures since the last success.
    pub count: u32,
    /// When it is tried again.
    pub retry_milliseconds: u64,
}

/// What there is to say of a certificate in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateState {
    /// It is there and holds.
    Valid,
    /// There is none yet.
    Missing,
    /// It is over.
    Expired,
}

impl CertificateState {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Missing => "missing",
            Self::Expired => "expired",
        }
    }
}
