//! Why a node did not start. Each names what to look at.

use std::io;
use std::path::PathBuf;

use raft::group::GroupError;
use raft::id::NodeId;
use storage::disk::DiskError;

use crate::cluster::NoPeerAddress;
use crate::identity::{IdentityError, PeerTlsError};
use crate::serve::{CertificateFilesError, PlaintextRefused};
use crate::vault::VaultError;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory belongs to no node.
    #[error("data directory {0:?} is not set up: found a cluster with regnode init, or join one with regnode join")]
    NotSetUp(PathBuf),
    /// Another process uses the data directory.
    #[error("data directory {0:?} is in use by another process")]
    InUse(PathBuf),
    /// The data directory cannot be used.
    #[error("data directory {path:?} cannot {action}")]
    DataDirectory {
        /// The directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// An identity file cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The node's keys cannot be opened or made.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The node has no certificate, but others will ask for one.
    #[error("the node in {0:?} has no certificate in identity/: it was set up for a simulation")]
    NoCertificate(PathBuf),
    /// The certificate for peers cannot be used.
    #[error(transparent)]
    PeerTls(#[from] PeerTlsError),
    /// A disk cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log or a group cannot be opened.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The log that this node wrote is gone.
    #[error(
        "the log of node {node} is not in {path:?} any more: bring the directory back as it was; if it is lost, this \
         node has forgotten how it voted and cannot go on under its id: remove the node's whole data directory and let \
         the machine join anew, under a new id, with regnode join --replace {node}"
    )]
    LogLost {
        /// Directory of the log.
        path: PathBuf,
        /// The node.
        node: NodeId,
    },
    /// The log is another node's.
    #[error("the log in {path:?} is not that of node {node}: another node wrote it, bring back this node's own")]
    LogForeign {
        /// Directory of the log.
        path: PathBuf,
        /// The node.
        node: NodeId,
    },
    /// Clients would be served without TLS.
    #[error(transparent)]
    Plaintext(#[from] PlaintextRefused),
    /// The registry's certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateFilesError),
    /// Other nodes could not find this one.
    #[error(transparent)]
    PeerAddress(#[from] NoPeerAddress),
    /// An address cannot be listened on.
    #[error("{key} = {address:?} cannot be listened on")]
    Listen {
        /// Configuration key that names it.
        key: &'static str,
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
}
