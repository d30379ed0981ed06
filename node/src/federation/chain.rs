//! Roots that are trusted to sign tokens, or to sign certificates of those who do: the root bundle of distribution's token
//! authentication.
//!
//! A token carries its signer's certificate and the chain to a root (`x5c`), or names a key of the bundle itself by the
//! id that token servers make of it: the thumbprint of RFC 7638, or the older one of libtrust.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use raft::time::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest as _, Sha256};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::algorithm::PublicKey;

/// Most certificates of a bundle.
const ROOTS_MAX: usize = 64;

/// Why a bundle cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no PEM with 1 to 64 certificates")]
pub struct BundleError;

/// Certificates that are trusted.
#[derive(Clone, Debug)]
pub(super) struct Roots {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    /// Keys of the bundle with the ids that tokens may name them by.
    keys: Vec<RootKey>,
}

#[derive(Clone, Debug)]
struct RootKey {
    ids: [String; 2],
    public: PublicKey,
    /// Index of its certificate.
    certificate: usize,
}

/// What a certificate is otherwise for does not matter: distribution asks no more of it.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _iter: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

impl Roots {
    /// Reads a bundle.
    pub(super) fn read(pem: &str) -> Result<Self, BundleError> {
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(pem.as_bytes()).take(ROOTS_MAX + 1).collect();
        let certificates: Vec<CertificateDer<'static>> = certificates.map_err(|_| BundleError)?;
        if certificates.is_empty() || certificates.len() > ROOTS_MAX {
            return Err(BundleError);
        }
        let (mut anchors, mut keys) = (Vec::new(), Vec::new());
        for (index, certificate) in certificates.iter().enumerate() {
            anchors.push(webpki::anchor_from_trusted_cert(certificate).map_err(|_| BundleError)?.to_owned());
            let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| BundleError)?;
            // A key of a kind that is not known signs no token, but may sign certificates.
            if let Some(public) = public_key(parsed.public_key()) {
                let ids = [thumbprint(&public), libtrust_id(parsed.public_key().raw)];
                keys.push(RootKey { ids, public, certificate: index });
            }
        }
        Ok(Self { certificates, anchors, keys })
    }

    /// The key of the bundle that a token names, if its certificate is valid now.
    pub(super) fn named(&self, id: &str, now: Timestamp) -> Option<&PublicKey> {
        let key = self.keys.iter().find(|key| key.ids.iter().any(|known| known == id))?;
        is_valid(&self.certificates[key.certificate], now).then_some(&key.public)
    }

    /// The key of the first of these certificates, if they lead to a root and all are valid now.
    pub(super) fn leads(&self, chain: &[Vec<u8>], now: Timestamp) -> Option<PublicKey> {
        let chain: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let (signer, others) = chain.split_first()?;
        // A root that signs tokens itself needs no chain; as the end of one it would be refused for being a CA.
        let trusted = if self.certificates.iter().any(|root| root == signer) {
            is_valid(signer, now)
        } else {
            let time = UnixTime::since_unix_epoch(Duration::from_millis(now.0));
            // The library does not ask whether an anchor itself is still valid.
            let valid = |(root, _): &(&CertificateDer<'_>, _)| is_valid(root, now);
            let pairs = self.certificates.iter().zip(&self.anchors);
            let anchors: Vec<TrustAnchor<'_>> = pairs.filter(valid).map(|(_, anchor)| anchor.clone()).collect();
            EndEntityCert::try_from(signer).is_ok_and(|signer| {
                let algorithms = webpki::ALL_VERIFICATION_ALGS;
                signer.verify_for_usage(algorithms, &anchors, others, time, AnyUse, None, None).is_ok()
            })
        };
        if !trusted {
            return None;
        }
        let (_, parsed) = X509Certificate::from_der(signer).ok()?;
        public_key(parsed.public_key())
    }
}

fn is_valid(certificate: &CertificateDer<'_>, now: Timestamp) -> bool {
    let seconds = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX);
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| {
        let validity = parsed.validity();
        (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&seconds)
    })
}

/// The key of a certificate, if it is of a kind that tokens are signed with.
fn public_key(info: &SubjectPublicKeyInfo<'_>) -> Option<PublicKey> {
    let bytes = info.subject_public_key.data.as_ref();
    match info.algorithm.algorithm.to_id_string().as_str() {
        "1.3.101.112" => PublicKey::ed25519(bytes),
        "1.2.840.113549.1.1.1" => match info.parsed().ok()? {
            Parsed::RSA(key) => PublicKey::rsa(key.modulus, key.exponent),
            _ => None,
        },
        "1.2.840.10045.2.1" => {
            let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
            let (name, width) = match curve.as_str() {
                "1.2.840.10045.3.1.7" => ("P-256", 32),
                "1.3.132.0.34" => ("P-384", 48),
                _ => return None,
            };
            let point = bytes.strip_prefix(&[4]).filter(|point| point.len() == 2 * width)?;
            PublicKey::elliptic(name, &point[..width], &point[width..])
        }
        _ => None,
    }
}

/// The id of a key by RFC 7638: SHA-256 over its JSON in a fixed form.
fn thumbprint(key: &PublicKey) -> String {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let curve = |name: &str, point: &[u8]| {
        let (x, y) = point[1..].split_at((point.len() - 1) / 2);
        format!(r#"{{"crv":"{name}","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
    };
    let json = match key {
        PublicKey::Rsa { modulus, exponent } => {
            format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(exponent), text(modulus))
        }
        PublicKey::P256(point) => curve("P-256", point),
        PublicKey::P384(point) => curve("P-384", point),
        PublicKey::Ed25519(bytes) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(bytes)),
    };
    text(&Sha256::digest(json.as_bytes()))
}

/// The id of a key as libtrust makes it: the first 240 bits of SHA-256 over its PKIX form, in base 32, twelve groups.
fn libtrust_id(pkix: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = Sha256::digest(pkix);
    let mut groups = Vec::new();
    // Twenty bits make four letters; five bytes make two groups.
    for bytes in hash[..30].chunks_exact(5) {
        let bits = bytes.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        for group in [bits >> 20, bits & 0xF_FFFF] {
            let letter = |shift: u32| char::from(ALPHABET[usize::try_from((group >> shift) & 31).unwrap_or(0)]);
            groups.push([letter(15), letter(10), letter(5), letter(0)].iter().collect::<String>());
        }
    }
    groups.join(":")
}

/// Whether a text is a bundle of roots that can be used: for checks before it is kept.
pub fn check_roots(pem: &str) -> Result<(), BundleError> {
    Roots::read(pem).map(drop)
}
