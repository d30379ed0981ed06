//! The key of one file: AES-256-GCM under a key that HKDF-SHA256 (RFC 5869) derives from a data key.
//!
//! Random bytes of the file are the derivation's salt, so that no two files share a key; then positions within a file
//! can be its nonces. A domain separates kinds of files whose positions mean other things.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

use super::DataKey;

/// Bytes that sealing adds.
pub(crate) const TAG_BYTES: usize = 16;
/// Random bytes of a file.
pub(crate) const SALT_BYTES: usize = 32;
/// Number of the seal of a file's header: no position within a file.
pub(crate) const HEADER_NUMBER: u64 = u64::MAX;

/// What was opened is not what was sealed: other bytes, another place, another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// The key of one file.
pub(crate) struct FileKey(LessSafeKey);

impl FileKey {
    /// The key of the file with these random bytes.
    pub(crate) fn derive(key: &DataKey, salt: &[u8; SALT_BYTES], domain: &'static str) -> Self {
        let secret = Salt::new(HKDF_SHA256, salt).extract(key.secret());
        let domain = [domain.as_bytes()];
        let derived = secret.expand(&domain, &AES_256_GCM).expect("a key is far shorter than what may be derived");
        Self(LessSafeKey::new(UnboundKey::from(derived)))
    }

    /// Encrypts in place and returns the tag. A number is used once in the life of a file: who seals two contents
    /// under one number gives both away.
    pub(crate) fn seal(&self, number: u64, context: &[u8], content: &mut [u8]) -> [u8; TAG_BYTES] {
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(number), Aad::from(context), content)
            .expect("what is sealed is far below 64 GiB");
        tag.as_ref().try_into().expect("AES-GCM has tags of 16 bytes")
    }

    /// Decrypts in place what is followed by its tag, and returns it without the tag.
    pub(crate) fn open<'a>(&self, number: u64, context: &[u8], sealed: &'a mut [u8]) -> Result<&'a mut [u8], Damaged> {
        self.0.open_in_place(nonce(number), Aad::from(context), sealed).map_err(|_| Damaged)
    }
}

impl fmt::Debug for FileKey {
    /// Nothing of the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileKey").finish_non_exhaustive()
    }
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::super::KeyId;
    use super::*;

    fn sealed(secret: u8, salt: u8, domain: &'static str, number: u64, context: &[u8]) -> Vec<u8> {
        let key = DataKey::new(KeyId([0; 16]), [secret; 32]);
        let mut bytes = b"content".to_vec();
        let tag = FileKey::derive(&key, &[salt; 32], domain).seal(number, context, &mut bytes);
        bytes.extend_from_slice(&tag);
        bytes
    }

    #[test]
    fn everything_that_a_seal_is_bound_to_counts() {
        let whole = sealed(1, 2, "domain", 3, b"context");
        let key = DataKey::new(KeyId([9; 16]), [1; 32]);
        let opens = |salt: u8, domain, number, context: &[u8], bytes: &[u8]| {
            FileKey::derive(&key, &[salt; 32], domain)
                .open(number, context, &mut bytes.to_vec())
                .map(|open| open.to_vec())
        };
        assert_eq!(opens(2, "domain", 3, b"context", &whole).unwrap(), b"content");
        assert!(opens(4, "domain", 3, b"context", &whole).is_err());
        assert!(opens(2, "other", 3, b"context", &whole).is_err());
        assert!(opens(2, "domain", 4, b"context", &whole).is_err());
        assert!(opens(2, "domain", 3, b"contexT", &whole).is_err());
        assert!(opens(2, "domain", 3, b"context", &sealed(2, 2, "domain", 3, b"context")).is_err());
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(opens(2, "domain", 3, b"context", &damaged).is_err(), "{bit}");
        }
    }

    #[test]
    fn the_derivation_is_frozen() {
        let frozen = "838f8274b127d7803cb1e94ac02117218293c950b9f633";
        assert_eq!(hex::encode(sealed(1, 2, "domain", 3, b"context")), frozen);
    }
}
