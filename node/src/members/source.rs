//! Where the members come from: the directory's state, and the progress of this node's groups.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use raft::catalog::Catalog;
use raft::directory::{Directory, NodeRecord, View};
use raft::group::Group;
use raft::id::{GroupId, NodeId};
use tokio::sync::watch;

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
