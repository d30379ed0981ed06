//! Digests of whole byte strings: manifests.

use raft::catalog::{Algorithm, Digest};
use sha2::{Digest as _, Sha256, Sha512};

/// The digest of some bytes.
///
/// # Panics
/// Never: each algorithm yields as many bytes as its digests have.
#[must_use]
pub fn compute(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    match algorithm {
        Algorithm::Sha256 => Digest::from_bytes(algorithm, &Sha256::digest(bytes)),
        Algorithm::Sha512 => Digest::from_bytes(algorithm, &Sha512::digest(bytes)),
    }
    .expect("the hash has the length of its digest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let empty = compute(Algorithm::Sha256, b"");
        assert_eq!(empty.to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let empty_object = compute(Algorithm::Sha256, b"{}");
        assert_eq!(empty_object.to_string(), "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        let long = compute(Algorithm::Sha512, b"abc").to_string();
        assert!(long.starts_with("sha512:ddaf35a193617abacc417349ae204131") && long.len() == 7 + 128);
    }
}
