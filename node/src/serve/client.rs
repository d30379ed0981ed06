//! Who is at the other end of a request, as far as the connection and trusted proxies tell it.

use std::net::IpAddr;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::tenant::Tenant;

/// The client of a request. Every request carries one as an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address: that of the connection, or what a trusted proxy says. An IPv4 address is never written as IPv6.
    pub address: IpAddr,
    /// Whether the way to the client is TLS: here, or at a trusted proxy that ends it.
    pub secure: bool,
    /// The `host[:port]` that the client asked for: what a trusted proxy says, else the request's own.
    pub host: Option<String>,
    /// The certificate that the client has shown here, verified. Never one that a proxy tells of, nor
    /// the proxy's own.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The name that the TLS handshake was made for, in small letters, where the client made it itself. Never one that a
    /// proxy's was made for.
    pub server_name: Option<Arc<str>>,
    /// The tenant by whose domain the client asks: noted where the request enters.
    pub tenant: Option<Tenant>,
}

/// A client's certificate that one of the trusted authorities has signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its names, each with its kind: `dns:NAME`, `email:ADDRESS`, `uri:URI`, `ip:ADDRESS`. The subject counts for
    /// nothing.
    pub sans: Vec<String>,
}

impl Client {
    /// The client of a connection about which nothing but its address is known.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, secure: false, host: None, certificate: None, server_name: None, tenant: None }
    }
}

/// Most names that are read from one certificate.
const NAMES_MAX: usize = 256;
/// Longest name that is read.
const NAME_MAX_BYTES: usize = 512;

impl ClientCertificate {
    /// Reads the names of a certificate whose chain was verified. What is odd in it, or too much, is left out: such a
    /// name grants nothing.
    #[must_use]
    pub fn read(certificate: &CertificateDer<'_>) -> Self {
        let mut sans = Vec::new();
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Self::default() };
        let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Self::default() };
        for name in extension.value.general_names.iter().take(NAMES_MAX) {
            let (kind, text) = match name {
                GeneralName::DNSName(name) => ("dns", name.to_ascii_lowercase()),
                GeneralName::RFC822Name(address) => ("email", (*address).to_owned()),
                GeneralName::URI(uri) => ("uri", (*uri).to_owned()),
                GeneralName::IPAddress(bytes) => {
                    let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
                    let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
                    let Ok(address) = address else { continue };
                    ("ip", address.to_canonical().to_string())
                }
                _ => continue,
            };
            if !text.is_empty() && text.len() <= NAME_MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic()) {
                sans.push(format!("{kind}:{text}"));
            }
        }
        Self { sans }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(sans: Vec<SanType>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = sans;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn several() -> CertificateDer<'static> {
        certificate(vec![
            SanType::DnsName("CI.example.org".try_into().unwrap()),
            SanType::Rfc822Name("ada@example.org".try_into().unwrap()),
            SanType::URI("spiffe://example.org/ns/build".try_into().unwrap()),
            SanType::IpAddress("10.0.0.7".parse().unwrap()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
        ])
    }

    #[test]
    fn names_are_read_with_their_kinds() {
        assert_eq!(
            ClientCertificate::read(&several()).sans,
            [
                "dns:ci.example.org",
                "email:ada@example.org",
                "uri:spiffe://example.org/ns/build",
                "ip:10.0.0.7",
                "ip:2001:db8::7"
            ]
        );
        assert_eq!(ClientCertificate::read(&certificate(vec![])), ClientCertificate::default());
    }

    #[test]
    fn odd_names_and_too_many_are_left_out() {
        let odd = ["a\0b", "with space", "new\nline", &"x".repeat(NAME_MAX_BYTES + 1)];
        let mut sans: Vec<_> = odd.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect();
        sans.push(SanType::DnsName("good.example".try_into().unwrap()));
        assert_eq!(ClientCertificate::read(&certificate(sans)).sans, ["dns:good.example"]);
        let many = (0..500).map(|number| SanType::DnsName(format!("n{number}").try_into().unwrap())).collect();
        assert_eq!(ClientCertificate::read(&certificate(many)).sans.len(), NAMES_MAX);
    }

    proptest! {
        #[test]
        fn no_certificate_makes_it_panic(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
            cut in any::<prop::sample::Index>(), noise in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = several().to_vec();
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            let cut = cut.index(bytes.len());
            for bytes in [&bytes[..], &bytes[..cut], &noise] {
                for name in ClientCertificate::read(&CertificateDer::from(bytes)).sans {
                    prop_assert!(name.len() <= NAME_MAX_BYTES + 6 && name.bytes().all(|byte| byte.is_ascii_graphic()));
                }
            }
        }
    }
}
