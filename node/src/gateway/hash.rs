//! The digest of an upload as it grows: a hash whose state can be stored and taken up again on another node.
//!
//! A stored state is `[version 1][algorithm: 1 SHA-256, 2 SHA-512][state]`. For SHA-256 the state is the eight words
//! and the number of whole blocks, little-endian, then the length of the last partial block and its bytes padded with
//! zeros; for SHA-512 alike. Golden tests freeze it.

use raft::catalog::{Algorithm, Digest};
use sha2::digest::Update;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};

const VERSION: u8 = 1;
const SHA256: u8 = 1;
const SHA512: u8 = 2;

/// A stored state that cannot be taken up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored hash state is not one that this program reads: {message}")]
pub(crate) struct InvalidState {
    message: &'static str,
}

/// A digest that is being computed.
#[derive(Clone, Debug)]
pub(crate) enum RunningDigest {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl RunningDigest {
    /// The digest of no bytes yet.
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// Its algorithm.
    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Takes bytes in.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => Update::update(hash, bytes),
            Self::Sha512(hash) => Update::update(hash, bytes),
        }
    }

    /// The digest of all bytes taken in.
    pub(crate) fn digest(&self) -> Digest {
        let digest = match self {
            Self::Sha256(hash) => Digest::from_bytes(Algorithm::Sha256, &hash.clone().finalize()),
            Self::Sha512(hash) => Digest::from_bytes(Algorithm::Sha512, &hash.clone().finalize()),
        };
        digest.expect("a hash function yields as many bytes as its algorithm has")
    }

    /// The state, to be taken up by [`resume`](Self::resume).
    pub(crate) fn state(&self) -> Vec<u8> {
        let (algorithm, state) = match self {
            Self::Sha256(hash) => (SHA256, hash.serialize().to_vec()),
            Self::Sha512(hash) => (SHA512, hash.serialize().to_vec()),
        };
        let mut bytes = vec![VERSION, algorithm];
        bytes.extend(state);
        bytes
    }

    /// Takes up a stored state.
    pub(crate) fn resume(bytes: &[u8]) -> Result<Self, InvalidState> {
        match bytes {
            [VERSION, SHA256, state @ ..] => Ok(Self::Sha256(deserialize(state)?)),
            [VERSION, SHA512, state @ ..] => Ok(Self::Sha512(deserialize(state)?)),
            [VERSION, ..] => Err(InvalidState { message: "unknown algorithm" }),
            _ => Err(InvalidState { message: "unknown version" }),
        }
    }
}

fn deserialize<H: SerializableState>(state: &[u8]) -> Result<H, InvalidState> {
    let state = SerializedState::<H>::try_from(state).map_err(|_| InvalidState { message: "wrong length" })?;
    H::deserialize(&state).map_err(|_| InvalidState { message: "damaged" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hash = RunningDigest::new(algorithm);
        hash.update(bytes);
        hash.digest()
    }

    #[test]
    fn digests_are_those_of_the_standard() {
        assert_eq!(
            whole(Algorithm::Sha256, b"abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(whole(Algorithm::Sha512, b"abc").to_string().starts_with("sha512:ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn the_stored_form_is_frozen() {
        let mut hash = RunningDigest::new(Algorithm::Sha256);
        hash.update(b"abc");
        let golden = format!(
            "0101{}{}{}{}",
            "67e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b",
            "0000000000000000",
            "03616263",
            "00".repeat(60)
        );
        assert_eq!(hex::encode(hash.state()), golden);

        let mut hash = RunningDigest::new(Algorithm::Sha512);
        hash.update(b"abc");
        let golden = format!(
            "0102{}{}{}{}{}",
            "08c9bcf367e6096a3ba7ca8485ae67bb2bf894fe72f36e3cf1361d5f3af54fa5",
            "d182e6ad7f520e511f6c3e2b8c68059b6bbd41fbabd9831f79217e1319cde05b",
            "00".repeat(16),
            "03616263",
            "00".repeat(124)
        );
        assert_eq!(hex::encode(hash.state()), golden);
    }

    #[test]
    fn a_foreign_state_is_refused() {
        let state = RunningDigest::new(Algorithm::Sha256).state();
        assert!(RunningDigest::resume(&[]).is_err());
        assert!(RunningDigest::resume(&state[..state.len() - 1]).is_err());
        for (position, value) in [(0, 2), (1, 3), (42, 64)] {
            let mut damaged = state.clone();
            damaged[position] = value;
            assert!(RunningDigest::resume(&damaged).is_err(), "{position}");
        }
    }

    proptest! {
        #[test]
        fn a_resumed_hash_is_the_same_hash(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..5),
            wide in any::<bool>(),
        ) {
            let algorithm = if wide { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let mut hash = RunningDigest::new(algorithm);
            for part in &parts {
                hash = RunningDigest::resume(&hash.state()).unwrap();
                hash.update(part);
            }
            prop_assert_eq!(hash.digest(), whole(algorithm, &parts.concat()));
        }
    }
}
