//! Secrets of the node in files of their own, sealed: its private key, the cluster key.
//!
//! Text: a line with the version and the id of the data key, a line with salt and ciphertext in base64. Each file has a
//! key of its own, derived from the data key and the salt, and opens under its own name only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use storage::seal::{DataKey, KeyId};
use zeroize::Zeroizing;

use super::cipher::{self, SALT_BYTES};
use crate::environment::Entropy;

/// How a sealed file begins. No PEM, no TOML and no hexadecimal number does.
const HEAD: &str = "regnode-sealed 1 ";
/// What the key of a file is derived for.
const PURPOSE: &str = "regnode identity file 1";

/// Why a sealed file does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It lies under a key that is not at hand.
    NoKey(KeyId),
    /// It is not what was written.
    Damaged,
}

/// The key that a file lies under. `None`: it is in the clear.
pub(super) fn lies_under(content: &[u8]) -> Option<Result<KeyId, Refused>> {
    let rest = content.strip_prefix(HEAD.as_bytes())?;
    let id = rest.get(..32).and_then(|id| str::from_utf8(id).ok()).and_then(|id| id.parse().ok());
    Some(id.ok_or(Refused::Damaged))
}

/// Seals the content of the file of this name.
pub(super) fn seal(key: &DataKey, name: &str, content: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
    let salt = cipher::salt(entropy);
    let own = cipher::derive(key.secret(), &salt, PURPOSE);
    let sealed = cipher::seal(&own, name.as_bytes(), content);
    let body = STANDARD.encode([salt.as_slice(), &sealed].concat());
    format!("{HEAD}{}\n{body}\n", key.id()).into_bytes()
}

/// Opens the file of this name; one in the clear is returned as it is.
pub(super) fn open<'a>(
    find: impl FnOnce(KeyId) -> Option<&'a DataKey>,
    name: &str,
    content: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let Some(id) = lies_under(content) else { return Ok(Zeroizing::new(content.to_vec())) };
    let key = id.and_then(|id| find(id).ok_or(Refused::NoKey(id)))?;
    let body = content.get(HEAD.len() + 32..).ok_or(Refused::Damaged)?;
    let body = body.strip_prefix(b"\n").and_then(|body| body.strip_suffix(b"\n")).ok_or(Refused::Damaged)?;
    let bytes = STANDARD.decode(body).map_err(|_| Refused::Damaged)?;
    let (salt, sealed) = bytes.split_at_checked(SALT_BYTES).ok_or(Refused::Damaged)?;
    let own = cipher::derive(key.secret(), salt, PURPOSE);
    cipher::open(&own, name.as_bytes(), sealed).ok_or(Refused::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::testing::Counting;

    fn key(number: u8) -> DataKey {
        DataKey::new(KeyId([number; 16]), [number; 32])
    }

    fn written() -> String {
        String::from_utf8(seal(&key(3), "node.key", b"-----BEGIN", &Counting::default())).unwrap()
    }

    fn golden() -> String {
        super::super::tests::golden("sealed-node.key", written)
    }

    fn opened(content: &[u8], name: &str, held: &DataKey) -> Result<Vec<u8>, Refused> {
        open(|id| (id == held.id()).then_some(held), name, content).map(|plain| plain.to_vec())
    }

    #[test]
    fn the_form_of_the_file_is_frozen() {
        let golden = golden();
        assert_eq!(written(), golden);
        assert_eq!(opened(golden.as_bytes(), "node.key", &key(3)), Ok(b"-----BEGIN".to_vec()));
        assert_eq!(lies_under(golden.as_bytes()), Some(Ok(KeyId([3; 16]))));
    }

    #[test]
    fn it_opens_under_its_name_and_key_only() {
        let golden = golden();
        assert_eq!(opened(golden.as_bytes(), "cluster.key", &key(3)), Err(Refused::Damaged));
        assert_eq!(opened(golden.as_bytes(), "node.key", &key(4)), Err(Refused::NoKey(KeyId([3; 16]))));
        let other = DataKey::new(KeyId([3; 16]), [4; 32]);
        assert_eq!(opened(golden.as_bytes(), "node.key", &other), Err(Refused::Damaged));
    }

    #[test]
    fn no_damage_opens() {
        let golden = golden();
        for length in HEAD.len()..golden.len() {
            assert!(opened(&golden.as_bytes()[..length], "node.key", &key(3)).is_err(), "{length}");
        }
        for position in HEAD.len()..golden.len() {
            let mut bytes = golden.as_bytes().to_vec();
            bytes[position] ^= 1;
            assert!(opened(&bytes, "node.key", &key(3)).is_err(), "{position}");
        }
    }

    #[test]
    fn what_is_in_the_clear_is_read_as_it_is() {
        for content in ["", "-----BEGIN PRIVATE KEY-----", "regnode-sealed"] {
            assert_eq!(opened(content.as_bytes(), "node.key", &key(3)), Ok(content.as_bytes().to_vec()));
            assert_eq!(lies_under(content.as_bytes()), None);
        }
    }
}
