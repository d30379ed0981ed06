//! The registry's certificates: by domain, each with its key.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::client::ClientCertificate;

/// Why a pair of PEM files cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PairError {
    /// The one with the certificate holds none.
    #[error("no usable certificate: PEM expected")]
    Certificate,
    /// The one with the key holds none.
    #[error("no usable key: PEM expected")]
    Key,
    /// They do not work together.
    #[error("certificate and key cannot be used together: {0}")]
    Unusable(rustls::Error),
}

/// A certificate with its key, and the domains that it is for.
#[derive(Clone, Debug)]
pub struct Pair {
    certified: Arc<CertifiedKey>,
    /// In small letters; a wildcard as `*.example.org`.
    names: Vec<String>,
}

impl Pair {
    /// Reads both from PEM.
    pub(super) fn read(certificate: &[u8], key: &[u8]) -> Result<Self, PairError> {
        let private = PrivateKeyDer::from_pem_slice(key).map_err(|_malformed| PairError::Key);
        Self::of(certificate, private)
    }

    /// A chain, PEM, the domain's own certificate first, and its key, PKCS #8 DER.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, PairError> {
        Self::of(chain, Ok(PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()))))
    }

    /// Whether the certificate names a domain, in small letters, or a wildcard as it is written.
    #[must_use]
    pub fn is_for(&self, domain: &str) -> bool {
        self.names.iter().any(|name| name == domain)
    }

    /// The domain's own certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.certified.cert.first().map_or(&[], |certificate| certificate.as_ref())
    }

    fn of(certificate: &[u8], private: Result<PrivateKeyDer<'static>, PairError>) -> Result<Self, PairError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|_malformed| PairError::Certificate)?;
        let own = chain.first().ok_or(PairError::Certificate)?;
        let names = ClientCertificate::read(own).sans.into_iter();
        let names = names.filter_map(|name| name.strip_prefix("dns:").map(str::to_owned)).collect();
        let private = private?;
        let provider = aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(chain, private, &provider).map_err(PairError::Unusable)?;
        Ok(Self { certified: Arc::new(certified), names })
    }
}

/// All of them, by domain.
pub(super) struct Certificates {
    /// `None` while there is none at all: then every handshake fails.
    default: Option<Arc<CertifiedKey>>,
    by_name: BTreeMap<String, Vec<Arc<CertifiedKey>>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Certificates").field("names", &self.by_name.keys()).finish_non_exhaustive()
    }
}

impl Certificates {
    /// The first is the default. Of several for a domain the first goes before the others.
    pub(super) fn new<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Self {
        let mut pairs = pairs.into_iter().peekable();
        let default = pairs.peek().map(|pair| Arc::clone(&pair.certified));
        let mut by_name: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for pair in pairs {
            for name in &pair.names {
                by_name.entry(name.clone()).or_default().push(Arc::clone(&pair.certified));
            }
        }
        Self { default, by_name }
    }

    /// The certificate for a domain: its own before that of its wildcard; of several the first that the client can
    /// check. A wildcard stands for one label (RFC 6125 §6.4.3).
    pub(super) fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let name = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let exact = name.as_ref().and_then(|name| self.by_name.get(name));
        let wildcard = || self.by_name.get(&format!("*.{}", name.as_ref()?.split_once('.')?.1));
        let Some(fitting) = exact.or_else(wildcard) else { return self.default.clone() };
        let usable = fitting.iter().find(|certified| certified.key.choose_scheme(schemes).is_some());
        usable.or(fitting.first()).or(self.default.as_ref()).map(Arc::clone)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::serve::tests::pem;

    fn pair(names: &[&str]) -> Pair {
        let (certificate, key) = pem(names);
        Pair::read(certificate.as_bytes(), key.as_bytes()).unwrap()
    }

    #[test]
    fn names_go_before_wildcards_and_these_before_the_default() {
        let pairs = [pair(&["one.example"]), pair(&["*.example.org", "Two.Example"]), pair(&["a.example.org"])];
        let certificates = Certificates::new(&pairs);
        for (name, index) in [
            (Some("one.example"), 0),
            (Some("two.example"), 1),
            (Some("TWO.example."), 1),
            (Some("b.example.org"), 1),
            (Some("a.example.org"), 2),
            (Some("x.b.example.org"), 0),
            (Some("example.org"), 0),
            (Some("org"), 0),
            (Some("*.example"), 0),
            (Some(""), 0),
            (None, 0),
        ] {
            let chosen = certificates.choose(name, &[]).unwrap();
            assert!(Arc::ptr_eq(&chosen, &pairs[index].certified), "{name:?}");
        }
        assert!(Certificates::new([]).choose(Some("one.example"), &[]).is_none(), "there is none yet");
    }

    #[test]
    fn of_several_for_a_domain_the_client_gets_one_that_it_can_check() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let edwards = CertificateParams::new(vec!["one.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        let edwards = Pair::read(edwards.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let pairs = [edwards, pair(&["one.example"])];
        let certificates = Certificates::new(&pairs);
        for (scheme, index) in [(SignatureScheme::ED25519, 0), (SignatureScheme::ECDSA_NISTP256_SHA256, 1)] {
            let chosen = certificates.choose(Some("one.example"), &[scheme]).unwrap();
            assert!(Arc::ptr_eq(&chosen, &pairs[index].certified));
        }
    }

    #[test]
    fn a_chain_and_its_key_are_for_the_domains_that_the_first_certificate_names() {
        let key = KeyPair::generate().unwrap();
        let names = vec!["one.example".to_owned(), "*.example.org".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let read = Pair::new(certificate.pem().as_bytes(), &key.serialize_der()).unwrap();
        assert!(read.is_for("one.example") && read.is_for("*.example.org") && !read.is_for("a.example.org"));
        assert_eq!(read.certificate(), certificate.der().as_ref());
        let foreign = KeyPair::generate().unwrap().serialize_der();
        assert!(matches!(Pair::new(certificate.pem().as_bytes(), &foreign), Err(PairError::Unusable(_))));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let ((certificate, key), (_, foreign)) = (pem(&["a"]), pem(&["a"]));
        let read = |certificate: &str, key: &str| Pair::read(certificate.as_bytes(), key.as_bytes()).err();
        assert_eq!(read("nonsense", &key), Some(PairError::Certificate));
        assert_eq!(read(&certificate, "nonsense"), Some(PairError::Key));
        assert!(matches!(read(&certificate, &foreign), Some(PairError::Unusable(_))));
    }
}
