//! Where the members come from: the directory's state, and the progress of this node's groups.
//!
//! The members are confirmed by a read barrier of the directory. A region that is cut off has none, and its nodes must be
//! able to start all the same. Then its catalog stands in: behind a read barrier of the catalog, its membership is the
//! one that its quorum agreed on last. If the directory's replica has exactly those nodes in the region, it is not one of
//! long ago: the catalog's leader makes each node of the region a member as soon as it answers, and takes none out that
//! the directory does not call removed. A node that was admitted and that the catalog had not let in when the cut came is
//! in neither; the region goes on as it was before that node came. What can be wrong is a node's state: one that is to be
//! emptied may get a few shards more, and stays until the catalog places nothing on it. Nodes that have yet to run are
//! members that the replica may not have followed up: while the catalog has any, the two differ, and the node waits.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::Catalog;
use raft::directory::{Directory, NodeRecord, NodeState, View};
use raft::group::Group;
use raft::id::{GroupId, NodeId, RegionId};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;

use crate::environment::BoxFuture;

/// How long the directory is waited for before the catalog is asked: its voters may be far away.
const DIRECTORY_PATIENCE: Duration = Duration::from_secs(6);

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

/// Whether the directory's replica has exactly these members of a catalog as the nodes of its region.
fn is_same(nodes: &[(NodeId, NodeRecord)], region: RegionId, catalog_members: &BTreeSet<NodeId>) -> bool {
    let takes_part = |record: &NodeRecord| matches!(record.state, NodeState::Active | NodeState::Draining);
    let of_region = nodes.iter().filter(|(_, record)| record.region == region && takes_part(record));
    let known: BTreeSet<NodeId> = of_region.map(|(node, _)| *node).collect();
    !known.is_empty() && known == *catalog_members
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
        Box::pin(async move {
            let failure = match timeout(DIRECTORY_PATIENCE, self.directory.read_barrier()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => "the directory has no quorum that answers".to_owned(),
            };
            // Only what a quorum of the catalog has after the question was put counts.
            self.catalog.read_barrier().await.map_err(|error| SourceError(format!("{failure}; {error}")))?;
            let GroupId::Catalog(region) = self.catalog.id() else { return Err(SourceError(failure)) };
            if is_same(&self.nodes()?, region, &self.catalog_members()) {
                info!("the directory does not answer: the region's catalog confirms the members");
                return Ok(());
            }
            Err(SourceError(format!("{failure}; the region's catalog has other members than the directory's replica")))
        })
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

#[cfg(test)]
mod tests {
    use raft::directory::NodeInfo;
    use raft::id::RequestId;
    use raft::time::Timestamp;

    use super::*;

    fn node(id: u64, region: u32, state: NodeState) -> (NodeId, NodeRecord) {
        let info = NodeInfo {
            name: format!("n{id}"),
            zone: String::new(),
            peer_address: String::new(),
            api_url: String::new(),
            disks: Vec::new(),
            feature_level: 1,
            version: String::new(),
        };
        (NodeId(id), NodeRecord::new(info, RegionId(region), state, Timestamp(0), RequestId([0; 16])))
    }

    #[test]
    fn the_catalog_confirms_only_the_very_same_nodes() {
        let mut nodes = vec![
            node(1, 2, NodeState::Active),
            node(2, 2, NodeState::Draining),
            node(3, 1, NodeState::Active),
            node(4, 2, NodeState::Removed),
        ];
        let same = |nodes: &[(NodeId, NodeRecord)], members: &[u64]| {
            is_same(nodes, RegionId(2), &members.iter().copied().map(NodeId).collect())
        };
        assert!(same(&nodes, &[1, 2]));
        assert!(!same(&nodes, &[1]), "the catalog has let one go of which the replica does not know");
        assert!(!same(&nodes, &[1, 2, 5]), "the replica is behind: it would place too little");
        assert!(!same(&nodes, &[1, 2, 4]), "a removed one is still a member");
        nodes.push(node(6, 2, NodeState::Joining));
        assert!(!same(&nodes, &[1, 2, 6]), "it may run by now");
        assert!(same(&nodes, &[1, 2]));
        assert!(!same(&[], &[]), "nothing is known");
    }
}
