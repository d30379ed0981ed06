//! What a node shows of itself and what it knows others by, as its files hold it.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::ClusterKey;

/// Key and certificates of a node.
#[derive(Debug)]
pub struct Credentials {
    /// The node's private key, PEM.
    pub key: String,
    /// The node's certificate.
    pub certificate: CertificateDer<'static>,
    /// The CA's certificate.
    pub authority: CertificateDer<'static>,
    /// What unwraps the CA's key.
    pub cluster_key: ClusterKey,
}

impl Credentials {
    /// The private key as TLS wants it. `None` when it is damaged.
    #[must_use]
    pub fn private_key(&self) -> Option<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).ok()
    }
}
