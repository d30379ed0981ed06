//! Where the members come from: the directory's state, and the progress of this node's groups.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use raft::catalog::Catalog;
use raft::directory::{Directory, NodeRecord, View};
use raft::group::Group;
use raft::id::{GroupId, NodeId};
use tokio::sync::watch;

use crate::environment::BoxFuture;

/// The nodes cannot be read now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory cannot be read: {0}")]
pub struct SourceError(pub String);

/// What the members are made from.
pub trait Source: Debug + Send + Sync + 'static {
    /// Every node of the cluster, removed ones included. Blocks.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn nodes(&self) -> Result<Vec<(NodeId, NodeRecord)>, SourceError>;

    /// Waits until [`nodes`](Self::nodes) shows everything that was acknowledged before the call.
    ///
    /// # Errors
    /// When no quorum confirmed that in time.
    fn confirm(&self) -> BoxFuture<'_, Result<(), SourceError>>;

    /// Members of the region's catalog group, voters and learners, as this node's replica has them.
    fn catalog_members(&self) -> BTreeSet<NodeId>;

    /// Tells when [`nodes`](Self::nodes) may have changed.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Applied index of each group of this node.
    fn applied(&self) -> BTreeMap<GroupId, u64>;
}

/// The groups of this node as the source.
#[derive(Clone, Debug)]
pub struct GroupSource {
    /// The cluster's directory.
    pub directory: Arc<Group<Directory>>,
    /// The region's catalog.
    pub catalog: Arc<Group<Catalog>>,
}

impl Source for GroupSource {
    fn nodes(&self) -> Result<Vec<(NodeId, NodeRecord)>, SourceError> {
        View::new(self.directory.state()).nodes().map_err(|error| SourceError(error.to_string()))
    }

    fn confirm(&self) -> BoxFuture<'_, Result<(), SourceError>> {
        Box::pin(async move { self.directory.read_barrier().await.map_err(|error| SourceError(error.to_string())) })
    }

    fn catalog_members(&self) -> BTreeSet<NodeId> {
        let status = self.catalog.status();
        status.voters.into_iter().chain(status.learners).collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.directory.applied()
    }

    fn applied(&self) -> BTreeMap<GroupId, u64> {
        let (directory, catalog) = (self.directory.status(), self.catalog.status());
        let index = |applied: Option<u64>| applied.unwrap_or(0);
        BTreeMap::from([
            (directory.group, index(directory.applied_index)),
            (catalog.group, index(catalog.applied_index)),
        ])
    }
}
