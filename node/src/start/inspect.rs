//! What those who check a running node from within its process look at: the simulator's judges.
//!
//! Nothing here changes anything or asks another node. States are what this replica has applied.

use std::sync::Arc;

use raft::group::{GroupStatus, StateDigest};
use raft::id::GroupId;
use storage::codec::Profile;
use storage::disk::Disks;
use storage::kv::{Engine, EngineError};

use super::node::Node;
use crate::gateway::{Load, placement};

impl Node {
    /// This node's view of each of its Raft groups.
    #[must_use]
    pub fn group_statuses(&self) -> Vec<GroupStatus> {
        vec![self.groups.directory.status(), self.groups.catalog.status()]
    }

    /// The present state of a group, if this node has a replica of it. Let go of it soon: while it is held, a state that
    /// a snapshot has replaced stays on the disk.
    #[must_use]
    pub fn group_state(&self, group: GroupId) -> Option<Arc<dyn Engine>> {
        if group == self.groups.directory.id() {
            Some(self.groups.directory.state())
        } else if group == self.groups.catalog.id() {
            Some(self.groups.catalog.state())
        } else {
            None
        }
    }

    /// Hash of the whole state of each group. Blocks, and costs as much as the states are large.
    ///
    /// # Errors
    /// When an engine fails.
    pub fn state_digests(&self) -> Result<Vec<(GroupId, StateDigest)>, EngineError> {
        let (directory, catalog) = (&self.groups.directory, &self.groups.catalog);
        Ok(vec![(directory.id(), directory.state_digest()?), (catalog.id(), catalog.state_digest()?)])
    }

    /// The node's disks.
    #[must_use]
    pub fn disks(&self) -> &Disks {
        &self.disks
    }

    /// What the gateway has in hand.
    #[must_use]
    pub fn load(&self) -> Load {
        self.gateway.load()
    }

    /// Times since the start that a reader asked other shards because one had not answered in time. Whoever does so may
    /// never hear the answer that is late.
    #[must_use]
    pub fn hedged_reads(&self) -> u64 {
        self.gateway.core().metrics.hedged_reads.get()
    }

    /// The profile of an extent in a region of so many nodes, two or more, when all of them live and have space.
    #[must_use]
    pub fn whole_profile(nodes: usize) -> Profile {
        placement::for_nodes(nodes)
    }
}
