//! A key computed from a passphrase: argon2id again, as dear as a node's start may be.
//!
//! Unlike a password's hash, the parameters are kept beside the salt by whoever needs the key again.

use argon2::{Algorithm, Argon2, Params, Version};

use crate::environment::Entropy;

/// RFC 9106, second choice, with one lane instead of four: some 150 ms.
const MEMORY_KIB: u32 = 65_536;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// Most memory that kept parameters may ask for.
const MEMORY_KIB_MAX: u32 = 1 << 20;
/// Most passes that they may ask for.
const PASSES_MAX: u32 = 16;
const SALT_BYTES: usize = 16;

/// How a key is computed from a passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Random bytes of its own.
    pub(crate) salt: [u8; SALT_BYTES],
    /// Memory.
    pub(crate) memory_kib: u32,
    /// Passes over it.
    pub(crate) passes: u32,
    /// Lanes.
    pub(crate) lanes: u32,
}

impl Stretch {
    /// What new keys are computed with.
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let mut salt = [0; SALT_BYTES];
        entropy.fill(&mut salt);
        Self { salt, memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES }
    }
}

/// Fills `key` with what follows from a passphrase. `None` if the parameters are not within reason. Takes some 150 ms of a
/// processor: run it on `exec`.
pub(crate) fn stretch(passphrase: &[u8], with: &Stretch, key: &mut [u8]) -> Option<()> {
    if with.memory_kib > MEMORY_KIB_MAX || with.passes > PASSES_MAX {
        return None;
    }
    let params = Params::new(with.memory_kib, with.passes, with.lanes, Some(key.len())).ok()?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(passphrase, &with.salt, key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::testing::Counting;

    fn key(passphrase: &str, with: &Stretch) -> Option<[u8; 32]> {
        let mut key = [0; 32];
        stretch(passphrase.as_bytes(), with, &mut key)?;
        Some(key)
    }

    #[test]
    fn the_same_passphrase_gives_the_same_key_with_its_salt_only() {
        let entropy = Counting::default();
        let small = |with: Stretch| Stretch { memory_kib: 64, ..with };
        let (one, two) = (small(Stretch::new(&entropy)), small(Stretch::new(&entropy)));
        let made = key("correct horse battery", &one).unwrap();
        assert_eq!(key("correct horse battery", &one), Some(made));
        assert_ne!(key("correct horse batterz", &one), Some(made));
        assert_ne!(key("correct horse battery", &two), Some(made));
        assert_ne!(key("correct horse battery", &Stretch { passes: 4, ..one }), Some(made));
    }

    #[test]
    fn parameters_beyond_reason_are_refused() {
        let with = |memory_kib, passes, lanes| Stretch { salt: [1; 16], memory_kib, passes, lanes };
        for bad in [with(u32::MAX, 1, 1), with(64, u32::MAX, 1), with(0, 1, 1), with(64, 0, 1), with(64, 1, 0)] {
            assert_eq!(key("correct horse battery", &bad), None, "{bad:?}");
        }
    }
}
