//! The registry's certificates from an ACME authority (RFC 8555): made and renewed by one node, shown by all.
//!
//! The directory keeps everything: account, orders, challenges, certificates, failures. Its leader works on it (`lead`,
//! `orders`, `order`), so the next leader goes on where the last one stopped; every node answers the authority's questions
//! (`answer`, `alpn`) and shows the certificates (`share`). `plan` decides, and is pure.
//!
//! Architecture invariants: private keys rest wrapped in the directory and nowhere else; no certificate is stored that is
//! not of its domain and its key; strangers' questions cost the directory's leader next to nothing, however many they are,
//! and keep nobody else's from being answered; a few domains that hang hold up no other one;
//! nothing is asked of the authority before the pause after a failure is over, unless an operator wants it.

mod account;
mod alpn;
mod answer;
mod error;
mod hook;
mod http;
mod keys;
mod lead;
mod metrics;
mod options;
mod order;
mod orders;
mod plan;
mod redirect;
mod share;
mod state;
#[cfg(test)]
mod tests;
mod wanted;

use std::fmt;
use std::sync::Arc;

use instant_acme::Account;
use raft::directory::{CertificateCommand, Command, Response};
use raft::id::{NodeId, RequestId};
use tokio::sync::Mutex;

pub(crate) use answer::Answers;
use error::AcmeError;
use keys::Keys;
pub use metrics::Metrics;
pub(crate) use options::AcmeOptions;
pub(crate) use plan::due;
pub(crate) use redirect::{https_port, redirecting};
pub(crate) use share::Issued;
pub(crate) use state::{CertificateTrouble, troubles, wanted};

use crate::audit::Audit;
use crate::deletion::DirectoryRecords;
use crate::environment::Environment;
use crate::identity::{ClusterId, ClusterKey};
use crate::limit::Throttle;
use crate::web::WebClient;

/// Whether this node leads the directory.
#[derive(Clone)]
pub(crate) struct Leads(pub(crate) Arc<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for Leads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Leads")
    }
}

/// What the room is made of.
pub(crate) struct AcmeParts {
    pub(crate) options: AcmeOptions,
    pub(crate) directory: Arc<dyn DirectoryRecords>,
    pub(crate) leads: Leads,
    pub(crate) environment: Environment,
    pub(crate) cluster: ClusterId,
    pub(crate) cluster_key: ClusterKey,
    pub(crate) node: NodeId,
    pub(crate) audit: Audit,
    pub(crate) metrics: Metrics,
    /// Counts what strangers ask.
    pub(crate) throttle: Throttle,
}

/// The room. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Acme {
    options: Arc<AcmeOptions>,
    directory: Arc<dyn DirectoryRecords>,
    leads: Leads,
    environment: Environment,
    web: WebClient,
    keys: Keys,
    node: NodeId,
    audit: Audit,
    metrics: Metrics,
    throttle: Throttle,
    account: Arc<Mutex<account::Kept>>,
}

/// The account as it was opened last.
#[derive(Clone)]
struct Known {
    /// As the directory has it.
    wrapped: bytes::Bytes,
    account: Account,
}

impl fmt::Debug for Known {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Known({})", self.account.id())
    }
}

impl Acme {
    pub(crate) fn new(parts: AcmeParts) -> Self {
        let AcmeParts { options, directory, leads, environment, cluster, cluster_key, node, audit, metrics, throttle } =
            parts;
        let web = WebClient::new(&environment);
        let (options, keys) = (Arc::new(options), Keys { cluster, cluster_key });
        Self {
            options,
            directory,
            leads,
            environment,
            web,
            keys,
            node,
            audit,
            metrics,
            throttle,
            account: Arc::default(),
        }
    }

    /// The challenges, to be answered on this node.
    pub(crate) fn answers(&self) -> Answers {
        let (directory, clock) = (Arc::clone(&self.directory), Arc::clone(&self.environment.clock));
        Answers::new(directory, self.metrics.clone(), self.environment.exec, clock, self.throttle.clone())
    }

    /// Notes something in the directory.
    async fn note(&self, command: CertificateCommand) -> Result<(), AcmeError> {
        let request = RequestId(self.environment.entropy.id());
        match self.directory.propose(request, Command::Certificate(command)).await? {
            Response::Refused(refusal) => Err(AcmeError::Interrupted(refusal.to_string())),
            _ => Ok(()),
        }
    }
}
