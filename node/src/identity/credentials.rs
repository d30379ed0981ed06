//! What a node shows of itself and what it knows others by, as its files hold it.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::ClusterKey;

/// Key and certificates of a node.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The node's private key, PEM.
    pub key: String,
    /// The node's certificate.
    pub certificate: CertificateDer<'static>,
    /// Certificate of the CA that has signed it.
    pub authority: CertificateDer<'static>,
    /// Other CAs whose certificates are taken too, while the cluster changes from one to the next.
    pub also: Vec<CertificateDer<'static>>,
    /// What unwraps the CA's key.
    pub cluster_key: ClusterKey,
}

impl Credentials {
    /// All CAs whose certificates are taken.
    pub fn authorities(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        std::iter::once(&self.authority).chain(&self.also)
    }

    /// The private key as TLS wants it. `None` when it is damaged.
    #[must_use]
    pub fn private_key(&self) -> Option<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).ok()
    }
}
