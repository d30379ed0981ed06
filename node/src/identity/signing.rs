//! Keys that sign tokens, as bytes: made here, since the libraries that make keys and read their forms are used nowhere
//! else. What becomes of them is for `login`.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::AuthorityError;

/// Length of a public key's point on P-256: one byte that says that it is not compressed, and two coordinates.
pub(crate) const POINT_BYTES: usize = 65;

/// A key of ECDSA on P-256.
pub(crate) struct SigningKey {
    /// Public half, PKIX DER.
    pub(crate) public: Vec<u8>,
    /// Private half, PKCS #8 DER.
    pub(crate) private: Vec<u8>,
}

impl SigningKey {
    /// A fresh key.
    pub(crate) fn generate() -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Ok(Self { public: key.subject_public_key_info(), private: key.serialize_der() })
    }
}

/// The point of a public key (PKIX DER) on P-256; `None` for any other key.
pub(crate) fn signing_point(public: &[u8]) -> Option<[u8; POINT_BYTES]> {
    let (rest, info) = SubjectPublicKeyInfo::from_der(public).ok()?;
    let point: [u8; POINT_BYTES] = info.subject_public_key.data.as_ref().try_into().ok()?;
    // A key of another curve or of another kind is not taken for one of this: nothing verifies with it then.
    let parsed = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).parse();
    (rest.is_empty() && parsed.is_ok()).then_some(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_point_and_no_other_kind_of_key_is_taken() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(signing_point(&key.public).unwrap()[0], 4);
        for kind in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
            assert!(signing_point(&KeyPair::generate_for(kind).unwrap().subject_public_key_info()).is_none());
        }
        assert!(signing_point(&[key.public.as_slice(), b"x"].concat()).is_none());
        let mut elsewhere = key.public.clone();
        *elsewhere.last_mut().unwrap() ^= 1;
        assert!(signing_point(&elsewhere).is_none(), "it is no point of the curve");
        assert!(signing_point(b"").is_none());
        assert!(signing_point(&[0x30; 91]).is_none());
    }
}
