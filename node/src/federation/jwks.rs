//! Key sets: the public keys of an issuer, as JSON (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::{Algorithm, PublicKey};
use super::json;

/// Most bytes of a key set.
pub(super) const KEY_SET_BYTES_MAX: usize = 1 << 20;

/// Most keys of a key set.
pub(super) const KEYS_MAX: usize = 64;

/// Why a key set cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// No JSON of the right form.
    #[error("it is no JSON Web Key Set of at most 1 MiB")]
    Form,
    /// More than 64.
    #[error("it has more than 64 keys")]
    TooMany,
    /// Nothing that could be used.
    #[error(
        "it has no public key for signatures of a kind that is known here (RSA from 2048 bits, P-256, P-384, Ed25519)"
    )]
    Empty,
}

/// One key of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Its id.
    pub(super) id: Option<String>,
    /// The only algorithm that it is for, if the set says so.
    pub(super) only: Option<String>,
    /// The key.
    pub(super) public: PublicKey,
}

/// The keys of an issuer that can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeySet {
    pub(super) keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys of other kinds and for other purposes are passed over: sets carry them for others.
    pub(super) fn read(text: &[u8]) -> Result<Self, KeySetError> {
        if text.len() > KEY_SET_BYTES_MAX {
            return Err(KeySetError::Form);
        }
        let document: Document = json::read(text).ok_or(KeySetError::Form)?;
        if document.keys.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        let keys: Vec<Key> = document.keys.into_iter().filter_map(key).collect();
        if keys.is_empty() {
            return Err(KeySetError::Empty);
        }
        Ok(Self { keys })
    }

    /// Whether there is a key of this id. Without an id nothing is missing.
    pub(super) fn knows(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| self.keys.iter().any(|key| key.id.as_deref() == Some(id)))
    }

    /// Keys that may have made a signature: of the id, and fit for the algorithm. Without an id there must be no choice.
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm, name: &str) -> Vec<&PublicKey> {
        let fits = |key: &&Key| algorithm.fits(&key.public) && key.only.as_deref().is_none_or(|only| only == name);
        let fitting = self.keys.iter().filter(fits);
        match id {
            Some(id) => fitting.filter(|key| key.id.as_deref() == Some(id)).map(|key| &key.public).collect(),
            None => match fitting.map(|key| &key.public).collect::<Vec<_>>() {
                only if only.len() == 1 => only,
                _ => Vec::new(),
            },
        }
    }
}

fn key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    if jwk.usage.is_some_and(|usage| usage != "sig") {
        return None;
    }
    if jwk.key_ops.is_some_and(|operations| !operations.iter().any(|operation| operation == "verify")) {
        return None;
    }
    let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?.trim_end_matches('=')).ok();
    let public = match jwk.kty.as_str() {
        "RSA" => PublicKey::rsa(&bytes(jwk.n)?, &bytes(jwk.e)?)?,
        "EC" => PublicKey::elliptic(&jwk.crv?, &bytes(jwk.x)?, &bytes(jwk.y)?)?,
        "OKP" if jwk.crv.as_deref() == Some("Ed25519") => PublicKey::ed25519(&bytes(jwk.x)?)?,
        _ => return None,
    };
    Some(Key { id: jwk.kid, only: jwk.alg, public })
}

/// Whether a text is a key set that can be used: for checks before it is kept.
pub fn check_key_set(text: &str) -> Result<(), KeySetError> {
    KeySet::read(text.as_bytes()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ec(id: &str, more: &str) -> String {
        let coordinate = URL_SAFE_NO_PAD.encode([1; 32]);
        format!(r#"{{"kty":"EC","crv":"P-256","kid":"{id}","x":"{coordinate}","y":"{coordinate}"{more}}}"#)
    }

    fn set(keys: &[String]) -> Result<KeySet, KeySetError> {
        KeySet::read(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
    }

    #[test]
    fn keys_for_other_purposes_are_passed_over() {
        let all = [
            ec("good", r#","use":"sig","key_ops":["verify"]"#),
            ec("encrypts", r#","use":"enc""#),
            ec("signs", r#","key_ops":["sign"]"#),
            r#"{"kty":"oct","kid":"secret","k":"AAAA"}"#.to_owned(),
            r#"{"kty":"OKP","crv":"X25519","x":"AAAA"}"#.to_owned(),
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
            "7".to_owned(),
        ];
        let set = set(&all).unwrap();
        assert_eq!(set.keys.iter().map(|key| key.id.as_deref()).collect::<Vec<_>>(), [Some("good")]);
    }

    #[test]
    fn a_key_is_found_by_its_id_and_kind() {
        let set = set(&[ec("a", ""), ec("b", r#","alg":"ES256""#), ec("c", r#","alg":"RS256""#)]).unwrap();
        let found = |id, algorithm| set.candidates(id, Algorithm::named(algorithm).unwrap(), algorithm).len();
        assert_eq!(found(Some("a"), "ES256"), 1);
        assert_eq!(found(Some("b"), "ES256"), 1);
        assert_eq!(found(Some("c"), "ES256"), 0);
        assert_eq!(found(Some("a"), "RS256"), 0);
        assert_eq!(found(Some("a"), "ES384"), 0);
        assert_eq!(found(Some("A"), "ES256"), 0);
        assert_eq!(found(Some(""), "ES256"), 0);
        assert!(set.knows(Some("a")) && set.knows(None) && !set.knows(Some("d")));
    }

    #[test]
    fn without_an_id_there_must_be_one_key_only() {
        let es256 = Algorithm::named("ES256").unwrap();
        assert_eq!(set(&[ec("a", "")]).unwrap().candidates(None, es256, "ES256").len(), 1);
        assert_eq!(set(&[ec("a", ""), ec("b", "")]).unwrap().candidates(None, es256, "ES256").len(), 0);
    }

    #[test]
    fn sets_are_bounded() {
        assert_eq!(set(&vec![ec("a", ""); KEYS_MAX]).map(|set| set.keys.len()), Ok(KEYS_MAX));
        assert_eq!(set(&vec![ec("a", ""); KEYS_MAX + 1]), Err(KeySetError::TooMany));
        assert_eq!(set(&[]), Err(KeySetError::Empty));
        let long = format!("{}{}", set_text(), " ".repeat(KEY_SET_BYTES_MAX));
        assert_eq!(KeySet::read(long.as_bytes()), Err(KeySetError::Form));
        for text in ["", "[]", "{}", r#"{"keys":7}"#, "<html>"] {
            assert_eq!(check_key_set(text), Err(KeySetError::Form), "{text}");
        }
    }

    fn set_text() -> String {
        format!(r#"{{"keys":[{}]}}"#, ec("a", ""))
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = KeySet::read(&bytes);
        }
    }
}
