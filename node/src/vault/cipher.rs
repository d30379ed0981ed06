//! What the vault seals with: AES-256-GCM under keys that are derived by HKDF-SHA256 (RFC 5869), each used once.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use crate::environment::Entropy;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a salt.
pub(super) const SALT_BYTES: usize = 32;

/// A key; its memory is overwritten when it is dropped.
pub(super) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// The length of what is derived.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Bytes that follow from a key, a salt and what they are for.
pub(super) fn derive<const BYTES: usize>(key: &[u8], salt: &[u8], purpose: &str) -> Zeroizing<[u8; BYTES]> {
    let mut derived = Zeroizing::new([0; BYTES]);
    Salt::new(HKDF_SHA256, salt)
        .extract(key)
        .expand(&[purpose.as_bytes()], Length(BYTES))
        .and_then(|material| material.fill(derived.as_mut()))
        .expect("so few bytes are within the limit of HKDF");
    derived
}

/// A fresh salt.
pub(super) fn salt(entropy: &dyn Entropy) -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    entropy.fill(&mut salt);
    salt
}

fn cipher(key: &Key) -> (LessSafeKey, Nonce) {
    let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("the key has the algorithm's length");
    // Each key seals one thing only: it is derived with a salt of its own.
    (LessSafeKey::new(key), Nonce::assume_unique_for_key([0; NONCE_LEN]))
}

/// Ciphertext and tag, bound to a context. The key is never used again for anything else.
pub(super) fn seal(key: &Key, context: &[u8], plain: &[u8]) -> Vec<u8> {
    let (cipher, nonce) = cipher(key);
    let mut sealed = plain.to_vec();
    cipher
        .seal_in_place_append_tag(nonce, Aad::from(context), &mut sealed)
        .expect("what a node keeps of itself is below the cipher's limit");
    sealed
}

/// Opens what was sealed in this context. `None`: another key, another context, or damage.
pub(super) fn open(key: &Key, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (cipher, nonce) = cipher(key);
    let mut plain = Zeroizing::new(sealed.to_vec());
    let length = cipher.open_in_place(nonce, Aad::from(context), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_keys_are_those_of_the_rfc() {
        // RFC 5869, A.1; the label is text there too when its bytes are taken as they are.
        let key = [0x0b; 22];
        let salt: Vec<u8> = (0..=0x0c).collect();
        let purpose: Vec<u8> = (0xf0..=0xf9).collect();
        let mut derived = [0; 42];
        Salt::new(HKDF_SHA256, &salt)
            .extract(&key)
            .expand(&[purpose.as_slice()], Length(42))
            .and_then(|material| material.fill(&mut derived))
            .unwrap();
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(hex::encode(derived), expected);
        assert_ne!(*derive::<32>(&key, &salt, "one"), *derive::<32>(&key, &salt, "two"));
        assert_ne!(*derive::<32>(&key, &salt, "one"), *derive::<32>(&key, b"", "one"));
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_in_its_context_only() {
        let key = Zeroizing::new([1; KEY_BYTES]);
        let sealed = seal(&key, b"here", b"secret");
        assert_eq!(open(&key, b"here", &sealed).unwrap().as_slice(), b"secret");
        assert!(open(&key, b"there", &sealed).is_none());
        assert!(open(&Zeroizing::new([2; KEY_BYTES]), b"here", &sealed).is_none());
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, b"here", &damaged).is_none(), "{bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&key, b"here", &sealed[..length]).is_none(), "{length}");
        }
    }
}
