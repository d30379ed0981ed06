//! The answer to `acme-tls/1` handshakes (RFC 8737): a certificate that carries the challenge's digest, and no other
//! protocol on that connection.

use std::sync::Arc;

use ::aws_lc_rs::digest::{SHA256, digest};
use raft::time::Clock;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tracing::warn;

use super::Answers;
use super::error::chain;
use crate::identity::{TlsClock, challenge_certificate};
use crate::serve::{ACME_TLS, AlpnAnswers};

impl Answers {
    /// The same for handshakes.
    pub(crate) fn of_handshakes(self, clock: Arc<dyn Clock>) -> AlpnAnswers {
        AlpnAnswers::new(move |domain, address| {
            let (answers, clock) = (self.clone(), Arc::clone(&clock));
            Box::pin(async move {
                // Whoever asks for too much is told nothing.
                let key_authorization = answers.by_domain(&domain, address).await.ok().flatten()?;
                let made = answers.exec.run(move || config(&domain, &key_authorization, &clock)).await;
                made.inspect_err(|error| warn!(error, "a challenge by TLS cannot be answered")).ok()
            })
        })
    }
}

/// The configuration of one such handshake.
fn config(domain: &str, key_authorization: &str, clock: &Arc<dyn Clock>) -> Result<Arc<ServerConfig>, String> {
    let hash = digest(&SHA256, key_authorization.as_bytes());
    let hash: &[u8; 32] = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
    let (certificate, key) = challenge_certificate(domain, hash).map_err(|error| chain(&error))?;
    let time = Arc::new(TlsClock::new(clock));
    let provider = aws_lc_rs::default_provider();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
    let key = provider.key_provider.load_private_key(key).map_err(|error| error.to_string())?;
    // Not looked at before it is shown: rustls knows nothing of the extension, which is critical by the protocol.
    let certified = CertifiedKey::new(vec![CertificateDer::from(certificate)], key);
    let mut config = ServerConfig::builder_with_details(Arc::new(provider), time)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use raft::time::Timestamp;

    use super::*;
    use crate::serve::tests::Fixed;

    #[test]
    fn a_handshake_has_an_answer_and_one_protocol() {
        let clock: Arc<dyn Clock> = Arc::new(Fixed(Timestamp(1_800_000_000_000)));
        let made = config("a.example", "token.thumbprint", &clock).unwrap();
        assert_eq!(made.alpn_protocols, [ACME_TLS]);
        assert!(config("no name \u{e9}", "token.thumbprint", &clock).is_err());
    }
}
