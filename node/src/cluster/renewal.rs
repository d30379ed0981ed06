//! Renewing this node's certificate long before it expires: any node can sign, so each signs its own.

use std::sync::Arc;
use std::time::Duration;

use raft::directory::{Directory, View};
use raft::group::Group;
use raft::time::Timestamp;
use tracing::{info, warn};

use crate::environment::Environment;
use crate::identity::{
    Authority, AuthorityError, CertificateError, Credentials, Identity, IdentityError, NodeCertificate, PeerTls,
    PeerTlsError, Store,
};

/// Time between two looks at the certificate.
const INTERVAL: Duration = Duration::from_hours(1);
/// Time between two looks while a renewal is due but fails.
const RETRY: Duration = Duration::from_mins(1);

/// Renews the certificate of one node.
#[derive(Debug)]
pub struct Renewal {
    /// Who it is.
    pub identity: Identity,
    /// Where its certificate is kept.
    pub store: Store,
    /// Where it is shown.
    pub tls: PeerTls,
    /// Where the CA's wrapped key is.
    pub directory: Arc<Group<Directory>>,
    /// Clock and files.
    pub environment: Environment,
}

#[derive(Debug, thiserror::Error)]
enum RenewalError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Tls(#[from] PeerTlsError),
    #[error(transparent)]
    State(#[from] raft::directory::StateError),
    #[error("the directory does not know the cluster yet")]
    NotFounded,
    #[error("the node has no certificate")]
    NoCertificate,
}

impl Renewal {
    /// Looks at the certificate now and then. Never ends.
    pub async fn keep(self) {
        let this = Arc::new(self);
        loop {
            let worker = Arc::clone(&this);
            let pause = match this.environment.exec.run(move || worker.renew_if_due()).await {
                Ok(None) => INTERVAL,
                Ok(Some(until)) => {
                    info!(node = %this.identity.node, until_milliseconds = until.0, "certificate renewed");
                    INTERVAL
                }
                Err(error) => {
                    warn!(%error, "the node's certificate cannot be renewed");
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Renews it if little of its life is left, and says until when the new one is valid. Blocks.
    fn renew_if_due(&self) -> Result<Option<Timestamp>, RenewalError> {
        let credentials = self.store.credentials()?.ok_or(RenewalError::NoCertificate)?;
        let now = self.environment.clock.now();
        if !NodeCertificate::read(&credentials.certificate)?.is_due(now) {
            return Ok(None);
        }
        let cluster = View::new(self.directory.state()).cluster()?.ok_or(RenewalError::NotFounded)?;
        let authority = Authority::unwrap(
            self.identity.cluster,
            &credentials.cluster_key,
            &cluster.ca_certificate,
            &cluster.wrapped_ca_key,
        )?;
        let certificate = authority.renew((self.identity.node, self.identity.region), &credentials.key, now)?;
        let until = NodeCertificate::read(&certificate)?.not_after;
        self.store.write_certificate(&certificate)?;
        self.tls.replace(&Credentials { certificate, ..credentials })?;
        Ok(Some(until))
    }
}
