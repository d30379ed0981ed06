//! How far a change of the authority is, as this node's replica of the directory has it: for operators.

use std::collections::BTreeMap;

use raft::directory::{AuthorityStanding, ClusterRecord, NodeRecord, NodeState, RotationRecord, StateError, View};
use raft::id::NodeId;
use raft::machine::State;

use super::plan::{Agreed, Awaited, awaited};

/// The authorities, and what each node says of them.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    /// The cluster, whose authority signs.
    pub(crate) cluster: ClusterRecord,
    /// The change, while there is one.
    pub(crate) running: Option<RotationRecord>,
    /// Nodes that were not removed, by id.
    pub(crate) nodes: Vec<(NodeId, NodeRecord)>,
    /// What they have said.
    pub(crate) standings: BTreeMap<NodeId, AuthorityStanding>,
    /// Those that are behind.
    pub(crate) awaited: Vec<Awaited>,
}

impl Rotation {
    /// What all nodes are to agree on.
    pub(crate) fn agreed(&self) -> Agreed {
        Agreed::new(&self.cluster, self.running.as_ref())
    }
}

/// Reads it; `None` before the cluster is founded.
pub(crate) fn rotation<S: State>(view: &View<S>) -> Result<Option<Rotation>, StateError> {
    let Some(cluster) = view.cluster()? else { return Ok(None) };
    let running = view.rotation()?;
    let mut nodes = view.nodes()?;
    nodes.retain(|(_, record)| record.state != NodeState::Removed);
    let standings: BTreeMap<NodeId, AuthorityStanding> = view.authority_standings()?.into_iter().collect();
    let awaited = awaited(&Agreed::new(&cluster, running.as_ref()), &nodes, &standings);
    Ok(Some(Rotation { cluster, running, nodes, standings, awaited }))
}
