//! Signatures of tokens: which algorithms there are, and which keys each goes with.
//!
//! Architecture invariant: an algorithm is tried only on a key of its own kind and curve, whatever a token says; there is
//! no symmetric one and no `none` (RFC 8725, 3.1 and 3.2).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};

/// An algorithm of RFC 7518 or RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// A public key, as the verification takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// A point of P-256, uncompressed: 65 bytes.
    P256(Vec<u8>),
    /// A point of P-384, uncompressed: 97 bytes.
    P384(Vec<u8>),
    /// 32 bytes.
    Ed25519(Vec<u8>),
}

impl Algorithm {
    /// The algorithm of this name; names are compared exactly.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    /// Whether a key is of this algorithm's kind.
    pub(super) const fn fits(self, key: &PublicKey) -> bool {
        match self {
            Self::Es256 => matches!(key, PublicKey::P256(_)),
            Self::Es384 => matches!(key, PublicKey::P384(_)),
            Self::EdDsa => matches!(key, PublicKey::Ed25519(_)),
            _ => matches!(key, PublicKey::Rsa { .. }),
        }
    }

    /// Whether the signature of the message is this key's.
    pub(super) fn verifies(self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let verified = match (self, key) {
            (Self::Es256, PublicKey::P256(point)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Self::Es384, PublicKey::P384(point)) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature)
            }
            (Self::EdDsa, PublicKey::Ed25519(bytes)) => {
                UnparsedPublicKey::new(&ED25519, bytes).verify(message, signature)
            }
            (_, PublicKey::Rsa { modulus, exponent }) => match self.rsa() {
                Some(parameters) => {
                    RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, message, signature)
                }
                None => return false,
            },
            _ => return false,
        };
        verified.is_ok()
    }

    const fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }
}

impl PublicKey {
    /// An RSA key of 2048 to 8192 bits.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let usable = (256..=1024).contains(&modulus.len()) && (1..=8).contains(&exponent.len());
        usable.then(|| Self::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    /// A key of a curve by its name in JOSE and the coordinates, each of the curve's full length.
    pub(super) fn elliptic(curve: &str, x: &[u8], y: &[u8]) -> Option<Self> {
        let point = || [&[4], x, y].concat();
        match (curve, x.len(), y.len()) {
            ("P-256", 32, 32) => Some(Self::P256(point())),
            ("P-384", 48, 48) => Some(Self::P384(point())),
            _ => None,
        }
    }

    /// An Ed25519 key.
    pub(super) fn ed25519(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == 32).then(|| Self::Ed25519(bytes.to_vec()))
    }
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

#[cfg(test)]
mod tests {
    use raft::directory::SIGNATURE_ALGORITHMS;

    use super::*;

    #[test]
    fn all_algorithms_of_issuer_records_are_known_and_no_symmetric_one() {
        for name in SIGNATURE_ALGORITHMS {
            assert!(Algorithm::named(name).is_some(), "{name}");
        }
        for name in ["none", "None", "", "HS256", "HS384", "HS512", "rs256", "RS256 ", "ES256K", "ES512"] {
            assert!(Algorithm::named(name).is_none(), "{name}");
        }
    }

    #[test]
    fn each_algorithm_fits_keys_of_one_kind() {
        let keys = [
            PublicKey::rsa(&[1; 256], &[1, 0, 1]).unwrap(),
            PublicKey::elliptic("P-256", &[1; 32], &[1; 32]).unwrap(),
            PublicKey::elliptic("P-384", &[1; 48], &[1; 48]).unwrap(),
            PublicKey::ed25519(&[1; 32]).unwrap(),
        ];
        for name in SIGNATURE_ALGORITHMS {
            let algorithm = Algorithm::named(name).unwrap();
            assert_eq!(keys.iter().filter(|key| algorithm.fits(key)).count(), 1, "{name}");
            for key in &keys {
                assert!(!algorithm.verifies(key, b"message", &[0; 64]), "{name}");
            }
        }
    }

    #[test]
    fn small_and_odd_keys_are_no_keys() {
        assert!(PublicKey::rsa(&[1; 128], &[1, 0, 1]).is_none());
        assert!(PublicKey::rsa(&[0; 256], &[1, 0, 1]).is_none());
        assert!(PublicKey::rsa(&[1; 256], &[]).is_none());
        assert!(PublicKey::rsa(&[1; 1025], &[3]).is_none());
        assert!(PublicKey::elliptic("P-256", &[1; 31], &[1; 32]).is_none());
        assert!(PublicKey::elliptic("P-384", &[1; 32], &[1; 32]).is_none());
        assert!(PublicKey::elliptic("P-521", &[1; 66], &[1; 66]).is_none());
        assert!(PublicKey::ed25519(&[1; 31]).is_none());
    }
}
