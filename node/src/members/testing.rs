//! A directory that a test writes by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use raft::directory::{NodeInfo, NodeRecord, NodeState};
use raft::id::{GroupId, NodeId, RegionId, RequestId};
use raft::time::Timestamp;
use tokio::sync::watch;

use super::{Source, SourceError};
use crate::environment::BoxFuture;

/// Nodes as a test has set them.
#[derive(Clone, Debug)]
pub(crate) struct FixedSource {
    nodes: Arc<Mutex<BTreeMap<NodeId, NodeRecord>>>,
    changes: Arc<watch::Sender<u64>>,
    confirmed: Arc<watch::Sender<bool>>,
    /// Region whose catalog's members are asked for; all nodes are its members otherwise.
    region: Option<RegionId>,
}

impl FixedSource {
    /// These nodes, active, in region 1.
    pub(crate) fn of(nodes: &[u64]) -> Self {
        let record = |id: &u64| {
            let info = NodeInfo {
                name: format!("n{id}"),
                zone: "zone".to_owned(),
                peer_address: crate::peer::testing::address(NodeId(*id)),
                api_url: format!("http://n{id}"),
                disks: Vec::new(),
                feature_level: 1,
                version: "recorded".to_owned(),
            };
            let record = NodeRecord::new(info, RegionId(1), NodeState::Active, Timestamp(0), RequestId([0; 16]));
            (NodeId(*id), record)
        };
        Self {
            nodes: Arc::new(Mutex::new(nodes.iter().map(record).collect())),
            changes: Arc::new(watch::channel(0).0),
            confirmed: Arc::new(watch::channel(true).0),
            region: None,
        }
    }

    /// The same nodes, seen by one of this region.
    pub(crate) fn seen_from(&self, region: RegionId) -> Self {
        Self { region: Some(region), ..self.clone() }
    }

    /// Region of a node.
    pub(crate) fn region_of(&self, node: NodeId) -> RegionId {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)[&node].region
    }

    /// Whether a quorum confirms the nodes, as it does at first.
    pub(crate) fn confirms(&self, confirms: bool) {
        self.confirmed.send_replace(confirms);
    }

    /// Changes one node.
    pub(crate) fn change(&self, node: u64, change: impl FnOnce(&mut NodeRecord)) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        change(nodes.get_mut(&NodeId(node)).unwrap());
        drop(nodes);
        self.changes.send_modify(|version| *version += 1);
    }
}

impl Source for FixedSource {
    fn nodes(&self) -> Result<Vec<(NodeId, NodeRecord)>, SourceError> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(nodes.iter().map(|(node, record)| (*node, record.clone())).collect())
    }

    fn confirm(&self) -> BoxFuture<'_, Result<(), SourceError>> {
        Box::pin(async {
            let waited = self.confirmed.subscribe().wait_for(|confirms| *confirms).await.map(drop);
            waited.map_err(|error| SourceError(error.to_string()))
        })
    }

    fn catalog_members(&self) -> BTreeSet<NodeId> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let members = nodes.iter().filter(|(_, record)| self.region.is_none_or(|region| record.region == region));
        members.map(|(node, _)| *node).collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn applied(&self) -> BTreeMap<GroupId, u64> {
        BTreeMap::from([(GroupId::Directory, 42)])
    }
}
