//! Certificates for servers and clients of a test, signed by authorities that nobody else knows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Who signs certificates.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// Files of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Authority {
    /// An authority of this name.
    ///
    /// # Errors
    /// When no certificate can be made, which only a broken build can cause.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)?))
    }

    /// Its own certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes its own certificate to a file.
    ///
    /// # Errors
    /// When that fails.
    pub fn write(&self, path: PathBuf) -> Result<PathBuf> {
        std::fs::write(&path, self.pem())?;
        Ok(path)
    }

    /// A certificate for these hosts: domains and IP addresses.
    ///
    /// # Errors
    /// When a name is none.
    pub fn issue(&self, hosts: &[&str]) -> Result<Pair> {
        self.sign(CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())?)
    }

    /// A certificate for a program that is called by a URI.
    ///
    /// # Errors
    /// When it is none.
    pub fn issue_uri(&self, uri: &str) -> Result<Pair> {
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Pair> {
        // Its own name would be the authority's otherwise, and GnuTLS would take it for signed by itself.
        params.distinguished_name.push(DnType::CommonName, "a leaf of a test");
        params.is_ca = IsCa::ExplicitNoCa;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// TLS for a client that trusts this authority alone.
    ///
    /// # Errors
    /// When its certificate is not taken.
    pub fn client(&self) -> Result<TlsConnector> {
        trusting(&self.pem())
    }

    /// The certificate, its bytes in hex, that a server shows to a client who asks for a domain, trusts this authority
    /// alone and has checked the certificate.
    ///
    /// # Errors
    /// When there is no connection, or the certificate is not good.
    pub async fn shown_by(&self, server: std::net::SocketAddr, domain: &str) -> Result<String> {
        shown_to(&self.client()?, server, domain).await
    }
}

/// TLS for a client that trusts one authority alone, PEM.
///
/// # Errors
/// When its certificate is not taken.
pub fn trusting(authority: &str) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The certificate, its bytes in hex, that a server shows to a client who asks for a domain and has checked it.
///
/// # Errors
/// When there is no connection, or the certificate is not good.
pub async fn shown_to(client: &TlsConnector, server: std::net::SocketAddr, domain: &str) -> Result<String> {
    let stream = TcpStream::connect(server).await?;
    let name = ServerName::try_from(domain.to_owned())?;
    let stream = client.connect(name, stream).await?;
    let chain = stream.get_ref().1.peer_certificates().context("a server without a certificate")?;
    Ok(hex::encode(chain.first().context("an empty chain")?))
}

/// A certificate for these hosts that nobody else has signed.
///
/// # Errors
/// When a name is none.
pub fn self_made(hosts: &[&str]) -> Result<Pair> {
    let params = CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok(Pair { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

impl Pair {
    /// Writes both as `NAME.crt` and `NAME.key`; each is there as a whole or not at all.
    ///
    /// # Errors
    /// When that fails.
    pub fn write(&self, folder: &Path, name: &str) -> Result<PairFiles> {
        let [certificate, key] = ["crt", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
        for (path, text) in [(&key, &self.key), (&certificate, &self.certificate)] {
            let fresh = path.with_extension("fresh");
            std::fs::write(&fresh, text)?;
            std::fs::rename(&fresh, path)?;
        }
        Ok(PairFiles { certificate, key })
    }

    /// The certificate as [`Authority::shown_by`] tells it.
    ///
    /// # Errors
    /// When it is no PEM.
    pub fn shown(&self) -> Result<String> {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes())?;
        Ok(hex::encode(der))
    }

    /// TLS for a server with this certificate.
    ///
    /// # Errors
    /// When both do not go together.
    pub fn server(&self) -> Result<Arc<ServerConfig>> {
        self.server_with("")
    }

    /// The same for one that shows other certificates (PEM) besides.
    ///
    /// # Errors
    /// As [`server`](Self::server).
    pub fn server_with(&self, more: &str) -> Result<Arc<ServerConfig>> {
        let chain = format!("{}{more}", self.certificate);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain?, key)?;
        Ok(Arc::new(config))
    }
}
