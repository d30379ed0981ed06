//! Names of registry content: repositories, tags, digests, upload sessions. Parsed once, at the edge.
//!
//! Grammar: OCI distribution-spec 1.1, "Pulling manifests" (`<name>`, `<reference>`) and image-spec 1.1, "Digests".

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not a valid name. `Display` says what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} is not valid: {rule}")]
pub struct InvalidName {
    what: &'static str,
    text: String,
    rule: &'static str,
}

impl InvalidName {
    fn new(what: &'static str, text: &str, rule: &'static str) -> Self {
        Self { what, text: text.chars().take(300).collect(), rule }
    }
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $check:path, $what:literal, $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if $check(text) { Ok(Self(text.into())) } else { Err(InvalidName::new($what, text, $rule)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

text_name! {
    /// A repository's name: path components of lower-case letters, digits and separators, at most 255 characters.
    RepositoryName, is_repository, "repository name",
    "path components of a-z, 0-9 separated by '.', '_', '__' or '-', joined by '/', at most 255 characters"
}

text_name! {
    /// A tag: at most 128 characters.
    Tag, is_tag, "tag", "a letter, digit or '_', then at most 127 letters, digits, '.', '_' or '-'"
}

fn is_repository(text: &str) -> bool {
    text.len() <= 255 && text.split('/').all(is_component)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    if !(bytes.first().copied().is_some_and(alphanumeric) && bytes.last().copied().is_some_and(alphanumeric)) {
        return false;
    }
    bytes
        .split(|byte| alphanumeric(*byte))
        .all(|separator| matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-'))
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().copied().is_some_and(word)
        && bytes.iter().all(|byte| word(*byte) || matches!(byte, b'.' | b'-'))
}

/// Digest algorithms that are accepted (image-spec 1.1, "Registered algorithms").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// SHA-256, the default.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Bytes of a digest.
    #[must_use]
    pub const fn length_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Name as it stands in a digest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

impl FromStr for Algorithm {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(InvalidName::new("digest algorithm", text, "sha256 and sha512 are accepted")),
        }
    }
}

/// A content digest, `sha256:<hex>` or `sha512:<hex>` in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Digest {
    algorithm: Algorithm,
    /// The digest's bytes, zeros behind them.
    bytes: [u8; 64],
}

const DIGEST_RULE: &str = "sha256:<64 lower-case hexadecimal digits> or sha512:<128> is expected";

impl Digest {
    /// A digest from its raw bytes.
    ///
    /// # Errors
    /// [`InvalidName`] when the number of bytes does not fit the algorithm.
    pub fn from_bytes(algorithm: Algorithm, raw: &[u8]) -> Result<Self, InvalidName> {
        if raw.len() != algorithm.length_bytes() {
            return Err(InvalidName::new("digest", &hex::encode(raw), DIGEST_RULE));
        }
        let mut bytes = [0; 64];
        bytes[..raw.len()].copy_from_slice(raw);
        Ok(Self { algorithm, bytes })
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its raw bytes, 32 or 64.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.length_bytes()]
    }

    /// The form in keys and records: one byte for the algorithm, then the raw bytes.
    #[must_use]
    pub fn to_key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(1 + self.algorithm.length_bytes());
        key.push(match self.algorithm {
            Algorithm::Sha256 => 1,
            Algorithm::Sha512 => 2,
        });
        key.extend_from_slice(self.as_bytes());
        key
    }

    /// The inverse of [`to_key`](Self::to_key).
    ///
    /// # Errors
    /// [`InvalidName`] for an unknown algorithm or a wrong length.
    pub fn from_key(key: &[u8]) -> Result<Self, InvalidName> {
        match key.split_first() {
            Some((1, raw)) => Self::from_bytes(Algorithm::Sha256, raw),
            Some((2, raw)) => Self::from_bytes(Algorithm::Sha512, raw),
            _ => Err(InvalidName::new("digest key", &hex::encode(key), DIGEST_RULE)),
        }
    }
}

impl From<Digest> for Vec<u8> {
    fn from(digest: Digest) -> Self {
        digest.to_key()
    }
}

impl TryFrom<Vec<u8>> for Digest {
    type Error = InvalidName;

    fn try_from(key: Vec<u8>) -> Result<Self, InvalidName> {
        Self::from_key(&key)
    }
}

impl FromStr for Digest {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName::new("digest", text, DIGEST_RULE);
        let (algorithm, digits) = text.split_once(':').ok_or_else(invalid)?;
        let algorithm: Algorithm = algorithm.parse().map_err(|_| invalid())?;
        if digits.len() != 2 * algorithm.length_bytes() || digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(invalid());
        }
        let raw = hex::decode(digits).map_err(|_| invalid())?;
        Self::from_bytes(algorithm, &raw)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.algorithm.name(), hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// An upload session. Random, 128 bits; shown to clients as `Docker-Upload-UUID`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Display for SessionId {
    /// The 8-4-4-4-12 form of a UUID.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = hex::encode(self.0);
        write!(formatter, "{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl FromStr for SessionId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName::new("upload session", text, "a UUID that this registry handed out is expected");
        let groups: Vec<usize> = text.split('-').map(str::len).collect();
        if groups != [8, 4, 4, 4, 12] {
            return Err(invalid());
        }
        let mut id = [0; 16];
        hex::decode_to_slice(text.replace('-', ""), &mut id).map_err(|_| invalid())?;
        Ok(Self(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_names_follow_the_grammar() {
        for good in ["a", "library/alpine", "a.b_c__d---e/f0", "0"] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in ["", "/", "a//b", "A", "a..b", "a___b", "-a", "a-", "a/", "a._b", "ä", "a b", "../etc", &long] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_follow_the_grammar() {
        for good in ["latest", "_", "1.0-rc.1", &"a".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a/b", "a:b", "é", &"a".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn digests_round_trip_and_refuse_upper_case() {
        let text = format!("sha256:{}", "0a".repeat(32));
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.to_string(), text);
        assert_eq!(Digest::from_key(&digest.to_key()).unwrap(), digest);
        assert!(format!("sha256:{}", "0A".repeat(32)).parse::<Digest>().is_err());
        assert!(format!("sha512:{}", "0a".repeat(32)).parse::<Digest>().is_err());
        assert!("md5:00".parse::<Digest>().is_err());
    }

    #[test]
    fn sessions_round_trip() {
        let session = SessionId([7; 16]);
        assert_eq!(session.to_string().parse::<SessionId>().unwrap(), session);
        assert!("07070707".parse::<SessionId>().is_err());
    }
}
