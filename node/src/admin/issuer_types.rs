//! What the local socket says of issuers of tokens, and of the cluster's own keys for tokens, as JSON. Shared with the
//! command line; fields are only ever added.

use serde::{Deserialize, Serialize};

use super::access_types::Confirmation;

/// What an issuer's tokens are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedPurpose {
    /// Programs, as robots.
    Workload,
    /// People, by their ID tokens.
    People {
        /// The id that this cluster has there.
        client_id: String,
        /// The claim that is a user's name here.
        user_claim: String,
        /// The claim that lists his groups there.
        groups_claim: Option<String>,
        /// Groups there, and those here that they stand for.
        groups: Vec<(String, String)>,
    },
    /// Tokens that say themselves what they allow.
    Tokens,
}

impl NamedPurpose {
    /// In one word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::People { .. } => "people",
            Self::Tokens => "tokens",
        }
    }
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedKeys {
    /// Where OpenID Connect discovery says.
    Discover,
    /// At this URL.
    JwksUrl(String),
    /// These: a JSON Web Key Set.
    Jwks(String),
    /// In the tokens, as certificates that lead to these (PEM).
    Certificates(String),
}

impl NamedKeys {
    /// In a few words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Discover => "discovered".to_owned(),
            Self::JwksUrl(url) => url.clone(),
            Self::Jwks(_) => "a key set kept here".to_owned(),
            Self::Certificates(_) => "certificates kept here".to_owned(),
        }
    }
}

/// An issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerEntry {
    /// Its name.
    pub name: String,
    /// What its tokens say in `iss`.
    pub issuer: String,
    /// What its tokens must say in `aud`, any of these.
    pub audiences: Vec<String>,
    /// What its tokens are for.
    pub purpose: NamedPurpose,
    /// Where its keys are.
    pub keys: NamedKeys,
    /// Authority of its HTTPS certificate (PEM), if it is none that the systems of the nodes know.
    pub authority: Option<String>,
    /// Algorithms that its signatures may have.
    pub algorithms: Vec<String>,
    /// When it was added, milliseconds since the Unix epoch. Said, never asked for.
    #[serde(default)]
    pub created_milliseconds: u64,
}

/// All issuers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuersAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// The issuers, by name.
    pub issuers: Vec<IssuerEntry>,
}

/// What a key is for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKeyState {
    /// It is made known, and signs later.
    Next,
    /// It signs.
    Signs,
    /// What it has signed is believed; it signs no more.
    Believed,
    /// What it has signed is not believed any more.
    Retired,
}

impl TokenKeyState {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Next => "signs later",
            Self::Signs => "signs",
            Self::Believed => "is believed",
            Self::Retired => "has retired",
        }
    }
}

/// A key that the cluster's own tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKeyEntry {
    /// Its id, hexadecimal: the `kid` of tokens.
    pub id: String,
    /// What it is for at the moment.
    pub state: TokenKeyState,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_milliseconds: u64,
    /// From when on it signs.
    pub signs_from_milliseconds: u64,
    /// From when on it is not believed any more; `None` while that is not decided.
    pub retires_milliseconds: Option<u64>,
}

/// All keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKeysAnswer {
    /// Version of this form.
    pub version: u32,
    /// How sure it is.
    #[serde(flatten)]
    pub reading: Confirmation,
    /// The keys, the oldest first.
    pub keys: Vec<TokenKeyEntry>,
}

/// Makes a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateTokenKeyRequest {
    /// Seconds until it signs.
    pub signs_after_seconds: u64,
    /// Seconds for which the others are still believed; `None`: until all that they have signed is over.
    #[serde(default)]
    pub others_retire_after_seconds: Option<u64>,
}
