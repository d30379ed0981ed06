//! The one-time join token: one string that lets a machine recognise the cluster, and the cluster the machine.
//!
//! `rj1.` and, in base64url, the token's id (8 bytes), its secret (32) and the SHA-256 fingerprint of the cluster's CA
//! (32). The cluster stores only a hash of the secret.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::environment::Entropy;

const PREFIX: &str = "rj1.";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const FINGERPRINT_BYTES: usize = 32;
const LENGTH_BYTES: usize = ID_BYTES + SECRET_BYTES + FINGERPRINT_BYTES;

/// A join token. Shown only by `Display`; `Debug` keeps the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Names the token within the cluster.
    pub id: [u8; ID_BYTES],
    /// What the joining machine shows.
    secret: [u8; SECRET_BYTES],
    /// SHA-256 of the certificate of the cluster's CA, DER.
    pub authority_fingerprint: [u8; FINGERPRINT_BYTES],
}

/// A text that is not a join token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It does not begin like one.
    #[error("this is not a join token: it begins with \"rj1.\", make one with: regnode token")]
    Prefix,
    /// It comes from another version of the program.
    #[error("the join token has version {0:?}, this program knows \"rj1\": use the same version on all nodes")]
    Version(String),
    /// Characters are wrong.
    #[error("the join token is damaged: it holds characters that no token has")]
    Characters,
    /// Characters are missing, or there are too many.
    #[error("the join token is damaged: it is too {}", if *.0 < LENGTH_BYTES { "short" } else { "long" })]
    Length(usize),
}

impl JoinToken {
    /// A fresh token for a cluster with this CA certificate (DER).
    #[must_use]
    pub fn generate(entropy: &dyn Entropy, authority_certificate: &[u8]) -> Self {
        let mut id = [0; ID_BYTES];
        let mut secret = [0; SECRET_BYTES];
        entropy.fill(&mut id);
        entropy.fill(&mut secret);
        Self { id, secret, authority_fingerprint: Sha256::digest(authority_certificate).into() }
    }

    /// What the directory keeps instead of the secret.
    #[must_use]
    pub fn secret_hash(&self) -> [u8; 32] {
        *blake3::hash(&self.secret).as_bytes()
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(LENGTH_BYTES);
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.secret);
        bytes.extend_from_slice(&self.authority_fingerprint);
        write!(formatter, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JoinToken({}, ..)", hex::encode(self.id))
    }
}

impl FromStr for JoinToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let Some(body) = text.strip_prefix(PREFIX) else {
            let version = text.split('.').next().unwrap_or_default();
            let digits = version.strip_prefix("rj").unwrap_or_default();
            let versioned = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if versioned { InvalidToken::Version(version.to_owned()) } else { InvalidToken::Prefix });
        };
        if body.len() > 2 * LENGTH_BYTES {
            return Err(InvalidToken::Length(body.len()));
        }
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|error| match error {
            base64::DecodeError::InvalidLength(_) => InvalidToken::Length(0),
            _ => InvalidToken::Characters,
        })?;
        if bytes.len() != LENGTH_BYTES {
            return Err(InvalidToken::Length(bytes.len()));
        }
        let mut token =
            Self { id: [0; ID_BYTES], secret: [0; SECRET_BYTES], authority_fingerprint: [0; FINGERPRINT_BYTES] };
        token.id.copy_from_slice(&bytes[..ID_BYTES]);
        token.secret.copy_from_slice(&bytes[ID_BYTES..ID_BYTES + SECRET_BYTES]);
        token.authority_fingerprint.copy_from_slice(&bytes[ID_BYTES + SECRET_BYTES..]);
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for (index, byte) in buffer.iter_mut().enumerate() {
                *byte = u8::try_from(index % 251).unwrap();
            }
        }
    }

    #[test]
    fn a_token_survives_being_written_and_read() {
        let token = JoinToken::generate(&Counting, b"certificate");
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert_eq!(format!("  {token}\n").parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains("1011"), "the secret stays out of logs");
    }

    #[test]
    fn damage_is_named() {
        let text = JoinToken::generate(&Counting, b"certificate").to_string();
        assert_eq!("hello".parse::<JoinToken>(), Err(InvalidToken::Prefix));
        assert_eq!(text.replace("rj1", "rj2").parse::<JoinToken>(), Err(InvalidToken::Version("rj2".to_owned())));
        assert!(matches!(text[..text.len() - 4].parse::<JoinToken>(), Err(InvalidToken::Length(_))));
        assert!(matches!(format!("{text}AAAA").parse::<JoinToken>(), Err(InvalidToken::Length(_))));
        assert_eq!(text.replacen('A', "$", 1).parse::<JoinToken>(), Err(InvalidToken::Characters));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(rj1\\.)?\\PC*") {
            let _ = text.parse::<JoinToken>();
        }

        #[test]
        fn what_parses_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), LENGTH_BYTES)) {
            let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
            prop_assert_eq!(text.parse::<JoinToken>().unwrap().to_string(), text);
        }
    }
}
