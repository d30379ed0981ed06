//! Secrets that are made here and shown once: personal access keys of users (`rnk_`), secrets of robots (`rnr_`).
//!
//! Prefix, then in base64url the id (8 bytes) and the secret (32), then six characters that tell a mistyped or cut one from
//! a wrong one, and let scanners of source code recognise them with certainty. The secret is as good as a key: the
//! directory keeps its plain BLAKE3, and nobody need be locked out for guessing.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::environment::Entropy;

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const BODY_BYTES: usize = ID_BYTES + SECRET_BYTES;
/// Characters of the body in base64url.
const BODY_CHARACTERS: usize = 54;
const CHECK_CHARACTERS: usize = 6;

/// Whose secret it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// A user's personal access key.
    Key,
    /// A robot's.
    Robot,
}

impl SecretKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Key => "rnk_",
            Self::Robot => "rnr_",
        }
    }
}

/// A secret that was just made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSecret {
    /// What its owner is shown, once.
    pub text: String,
    /// Names it among its owner's.
    pub id: [u8; ID_BYTES],
    /// What the directory keeps.
    pub hash: [u8; 32],
}

impl fmt::Debug for NewSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NewSecret({}, ..)", hex::encode(self.id))
    }
}

/// A fresh secret.
#[must_use]
pub fn new_secret(kind: SecretKind, entropy: &dyn Entropy) -> NewSecret {
    let mut shown = ShownSecret { kind, id: [0; ID_BYTES], secret: [0; SECRET_BYTES] };
    entropy.fill(&mut shown.id);
    entropy.fill(&mut shown.secret);
    NewSecret { text: shown.text(), id: shown.id, hash: *shown.hash().as_bytes() }
}

/// A secret that somebody shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ShownSecret {
    /// Whose it says it is.
    pub(super) kind: SecretKind,
    /// Which of his it says it is.
    pub(super) id: [u8; ID_BYTES],
    secret: [u8; SECRET_BYTES],
}

impl ShownSecret {
    /// Reads one; `None`: the text is something else, or damaged.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let kind = [SecretKind::Key, SecretKind::Robot].into_iter().find(|kind| text.starts_with(kind.prefix()))?;
        let rest = text.strip_prefix(kind.prefix())?;
        if rest.len() != BODY_CHARACTERS + CHECK_CHARACTERS || !rest.is_ascii() {
            return None;
        }
        let (body, check) = rest.split_at(BODY_CHARACTERS);
        if check != checksum(kind, body) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(body).ok().filter(|bytes| bytes.len() == BODY_BYTES)?;
        let (id, secret) = bytes.split_at(ID_BYTES);
        Some(Self { kind, id: id.try_into().ok()?, secret: secret.try_into().ok()? })
    }

    /// Whether it is the one of which the directory keeps this hash. In constant time.
    pub(super) fn matches(&self, kept: &[u8; 32]) -> bool {
        self.hash() == blake3::Hash::from_bytes(*kept)
    }

    fn hash(&self) -> blake3::Hash {
        blake3::hash(&self.secret)
    }

    fn text(&self) -> String {
        let body = URL_SAFE_NO_PAD.encode([self.id.as_slice(), &self.secret].concat());
        format!("{}{body}{}", self.kind.prefix(), checksum(self.kind, &body))
    }
}

impl fmt::Debug for ShownSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ShownSecret({}, ..)", hex::encode(self.id))
    }
}

/// Six characters that tell a whole secret from a damaged one. No secret itself.
fn checksum(kind: SecretKind, body: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind.prefix().as_bytes());
    hasher.update(body.as_bytes());
    let mut text = URL_SAFE_NO_PAD.encode(&hasher.finalize().as_bytes()[..5]);
    text.truncate(CHECK_CHARACTERS);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::login::testing::Counting;

    #[test]
    fn a_secret_is_shown_once_and_recognised_by_its_hash() {
        let entropy = Counting::default();
        for (kind, prefix) in [(SecretKind::Key, "rnk_"), (SecretKind::Robot, "rnr_")] {
            let made = new_secret(kind, &entropy);
            assert!(made.text.starts_with(prefix));
            assert_eq!(made.text.len(), 64);
            let shown = ShownSecret::parse(&made.text).unwrap();
            assert_eq!((shown.kind, shown.id), (kind, made.id));
            assert!(shown.matches(&made.hash));
            let other = new_secret(kind, &entropy);
            assert!(!shown.matches(&other.hash));
            assert_ne!((made.id, &made.text), (other.id, &other.text));
            assert!(!format!("{made:?}{shown:?}").contains(&made.text[20..40]), "secrets stay out of logs");
        }
    }

    #[test]
    fn a_damaged_one_is_none() {
        let text = new_secret(SecretKind::Key, &Counting::default()).text;
        for place in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[place] = if damaged[place] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert_eq!(ShownSecret::parse(&damaged), None, "{damaged}");
        }
        assert_eq!(ShownSecret::parse(&text.replace("rnk_", "rnr_")), None, "a key is no robot's secret");
        assert_eq!(ShownSecret::parse(&text[..63]), None);
        assert_eq!(ShownSecret::parse(&format!("{text}A")), None);
        assert_eq!(ShownSecret::parse(""), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(rn[kr]_)?\\PC{0,80}") {
            let _ = ShownSecret::parse(&text);
        }

        #[test]
        fn bytes_of_any_kind_behind_the_prefix_are_no_secret(text in "rnk_[\\x00-\\x7fü]{55,62}") {
            let _ = ShownSecret::parse(&text);
        }
    }
}
