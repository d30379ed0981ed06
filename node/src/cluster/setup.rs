//! What init and join share: an exclusive hold on a data directory that belongs to no node yet, and their errors.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::disk::Files;

use crate::config::Settings;
use crate::environment::{Entropy, Environment};
use crate::identity::{AuthorityError, Identity, IdentityError, InvalidToken, Store};
use crate::login::PasswordRule;
use crate::vault::{Vault, VaultError};

/// Whether nodes know each other by certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// Yes, from the cluster's own CA.
    Issued,
    /// No: the simulator only, whose network is plaintext.
    None,
}

/// Why a data directory could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A node runs on it.
    #[error("data directory {0:?} is in use: stop the node that runs on it first")]
    InUse(PathBuf),
    /// It belongs to a node.
    #[error(
        "data directory {directory:?} belongs to node {node} ({name}) of cluster {cluster} already: run it with \
         regnode serve, or use an empty directory"
    )]
    AlreadySetUp {
        /// The directory.
        directory: PathBuf,
        /// The node.
        node: u64,
        /// Its name.
        name: String,
        /// Its cluster.
        cluster: String,
    },
    /// The file system failed.
    #[error("data directory {directory:?} cannot {action}")]
    Io {
        /// The directory.
        directory: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// An identity file failed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The node's keys cannot be opened or made.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The region's name is malformed.
    #[error(
        "{0:?} is not a name of a region (--region): 1 to 63 lower-case letters, digits and '-' are expected, '-' inside only"
    )]
    RegionName(String),
    /// The operator's name is malformed.
    #[error(
        "{0:?} is not a name of a user (--operator): lower-case letters, digits, '.', '_', '-' and, inside, '@' are expected"
    )]
    OperatorName(String),
    /// The operator's password is none.
    #[error("the operator's password cannot be used: {0}")]
    OperatorPassword(#[from] PasswordRule),
    /// What everybody is to have is no role.
    #[error("there is no role {0:?} (--anonymous): reader, writer, maintainer, owner, auditor and operator are there")]
    AnonymousRole(String),
    /// Keys or certificates failed.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The token is malformed.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] crate::identity::PeerTlsError),
    /// Other nodes could not find this one.
    #[error(transparent)]
    PeerAddress(#[from] NoPeerAddress),
    /// The cluster said no.
    #[error("{address}: {message}")]
    Refused {
        /// Node that was asked.
        address: String,
        /// Its answer.
        message: String,
    },
    /// No node of the cluster could admit this one. Repeating it is harmless.
    #[error("no node of the cluster could admit this one, try again: {0}")]
    Unavailable(String),
    /// The cluster's answer makes no sense.
    #[error("{address}: the answer cannot be used: {message}")]
    BadAnswer {
        /// Node that was asked.
        address: String,
        /// What is wrong.
        message: String,
    },
}

/// A data directory under exclusive hold.
pub(super) struct Held {
    pub(super) store: Store,
    pub(super) present: Option<Identity>,
    /// Held for as long as the rest is used.
    lock: Box<dyn Send + Sync>,
}

/// Creates and locks the data directory, and opens its vault.
pub(super) async fn hold(environment: &Environment, settings: &Settings) -> Result<Held, SetupError> {
    let (files, directory) = (Arc::clone(&environment.files), settings.data_dir.clone());
    let Held { store, present, lock } = environment.exec.run(move || take(&files, &directory)).await?;
    let vault = Vault::open(environment, settings, present.is_none()).await?;
    Ok(Held { store: store.with_vault(vault), present, lock })
}

fn take(files: &Arc<dyn Files>, directory: &Path) -> Result<Held, SetupError> {
    let failed = |action| {
        let directory = directory.to_owned();
        move |source| SetupError::Io { directory, action, source }
    };
    files.create_directory_all(directory).map_err(failed("be created"))?;
    let lock = files.lock(directory).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => SetupError::InUse(directory.to_owned()),
        _ => failed("be locked")(error),
    })?;
    let store = Store::new(Arc::clone(files), directory);
    store.prepare()?;
    let present = store.identity()?;
    Ok(Held { store, present, lock })
}

/// The configured name, or one that is made up.
pub(super) fn name(settings: &Settings, entropy: &dyn Entropy) -> String {
    if settings.node.name.is_empty() {
        let mut random = [0; 3];
        entropy.fill(&mut random);
        format!("node-{}", hex::encode(random))
    } else {
        settings.node.name.clone()
    }
}

/// Other nodes could not find this one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{key} = {address:?} does not say where other nodes reach this one: name an address of this machine in \
     peer.listen, or set peer.advertise"
)]
pub struct NoPeerAddress {
    key: &'static str,
    address: String,
}

/// Where other nodes reach this one, refused when it says nothing.
pub(crate) fn peer_address(settings: &Settings) -> Result<String, NoPeerAddress> {
    let address = settings.peer_address();
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    if ["0.0.0.0", "[::]"].contains(&host) || port == "0" {
        let key = if settings.peer.advertise.is_empty() { "peer.listen" } else { "peer.advertise" };
        return Err(NoPeerAddress { key, address: address.to_owned() });
    }
    Ok(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_address_names_a_host_and_a_port() {
        let mut settings = Settings::default();
        assert_eq!(peer_address(&settings).unwrap(), "127.0.0.1:7000");
        settings.peer.listen = "0.0.0.0:7000".to_owned();
        assert!(peer_address(&settings).unwrap_err().to_string().starts_with("peer.listen = \"0.0.0.0:7000\""));
        settings.peer.advertise = "node1.example.org:7000".to_owned();
        assert_eq!(peer_address(&settings).unwrap(), "node1.example.org:7000");
        settings.peer.advertise = "node1.example.org:0".to_owned();
        assert!(peer_address(&settings).is_err());
    }
}
