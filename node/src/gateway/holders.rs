//! What the gateway and the background work ask of the nodes: their shards, and whether they live.
//!
//! Traits, so that the tests have several nodes, with injected faults, in one process.

use std::fmt::Debug;
use std::ops::Range;

use bytes::Bytes;
use raft::catalog::DiskLocation;
use raft::directory::DiskState;
use raft::id::NodeId;
use storage::codec::Profile;
use storage::shard::{DiskId, Geometry, ShardName};

use super::placement::{Candidate, CandidateDisk, Holder, HolderDisk, Standing, Survey};
use crate::environment::BoxFuture;
use crate::members::{Clients, Member, Members};
use crate::shards::{Block, ShardError, ShardSink, Shards};

/// Shards on all nodes of the region.
pub(crate) trait ShardStore: Debug + Send + Sync + 'static {
    /// Begins to write a shard.
    fn create(
        &self,
        location: DiskLocation,
        name: ShardName,
        profile: Profile,
        block_size_bytes: u32,
    ) -> BoxFuture<'_, Result<Box<dyn Sink>, ShardError>>;

    /// Verified blocks of a shard.
    fn read(
        &self,
        location: DiskLocation,
        name: ShardName,
        geometry: Geometry,
        blocks: Range<u64>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ShardError>>;

    /// Removes shards of one node; missing ones are no error.
    fn delete(&self, node: NodeId, shards: Vec<(DiskId, ShardName)>) -> BoxFuture<'_, Result<(), ShardError>>;
}

/// One shard being written. Dropped without [`finish`](Self::finish), it leaves nothing behind.
pub(crate) trait Sink: Debug + Send {
    /// Adds blocks in order.
    fn append(&mut self, blocks: Vec<Block>) -> BoxFuture<'_, Result<(), ShardError>>;

    /// Makes the shard durable.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), ShardError>>;
}

/// The nodes of the region.
pub(crate) trait Roster: Debug + Send + Sync + 'static {
    /// This node.
    fn own(&self) -> NodeId;

    /// Registered nodes that are not draining, dead ones too.
    fn candidates(&self) -> Vec<Candidate>;

    /// Every registered node with all its disks: what repair, drain and rebalance decide by.
    fn survey(&self) -> Survey;

    /// Whether this node is known to be the only one of its region, so that its disks are all there is.
    fn is_sole(&self) -> bool;

    /// Whether a node can be used now. Nodes that are not registered cannot.
    fn is_live(&self, node: NodeId) -> bool;

    /// Whether a node is registered, dead or alive, draining or not.
    fn is_registered(&self, node: NodeId) -> bool;

    /// Whether every registered node is live.
    fn all_live(&self) -> bool;

    /// The clients that this node serves.
    fn clients(&self) -> &Clients;

    /// Whether any node serves clients at present.
    fn clients_are_served(&self) -> bool;

    /// A call to a node just failed at the transport level.
    fn report_failure(&self, node: NodeId);

    /// Completes when the node is not live.
    fn died(&self, node: NodeId) -> BoxFuture<'_, ()>;
}

impl ShardStore for Shards {
    fn create(
        &self,
        location: DiskLocation,
        name: ShardName,
        profile: Profile,
        block_size_bytes: u32,
    ) -> BoxFuture<'_, Result<Box<dyn Sink>, ShardError>> {
        Box::pin(async move {
            let sink = Self::create(self, location, name, profile, block_size_bytes).await?;
            Ok(Box::new(sink) as Box<dyn Sink>)
        })
    }

    fn read(
        &self,
        location: DiskLocation,
        name: ShardName,
        geometry: Geometry,
        blocks: Range<u64>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ShardError>> {
        Box::pin(Self::read(self, location, name, geometry, blocks))
    }

    fn delete(&self, node: NodeId, shards: Vec<(DiskId, ShardName)>) -> BoxFuture<'_, Result<(), ShardError>> {
        Box::pin(Self::delete(self, node, shards))
    }
}

impl Sink for ShardSink {
    fn append(&mut self, blocks: Vec<Block>) -> BoxFuture<'_, Result<(), ShardError>> {
        Box::pin(Self::append(self, blocks))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), ShardError>> {
        Box::pin(async move { Self::finish(*self).await.map(drop) })
    }
}

impl Roster for Members {
    fn own(&self) -> NodeId {
        Self::own(self)
    }

    fn candidates(&self) -> Vec<Candidate> {
        let members = self.all().into_iter().filter(|member| !member.draining);
        members
            .map(|member| Candidate {
                node: member.id,
                zone: member.zone,
                live: member.live,
                disks: member
                    .disks
                    .iter()
                    .map(|disk| CandidateDisk {
                        id: disk.id,
                        available_bytes: disk.available_bytes,
                        writable: disk.writable,
                    })
                    .collect(),
            })
            .collect()
    }

    fn survey(&self) -> Survey {
        let holders = self.all().into_iter().map(|member| (member.id, holder(&member)));
        Survey { confirmed: self.is_confirmed(), sole: Self::is_sole(self), holders: holders.collect() }
    }

    fn is_sole(&self) -> bool {
        Self::is_sole(self)
    }

    fn is_live(&self, node: NodeId) -> bool {
        Self::is_live(self, node)
    }

    fn is_registered(&self, node: NodeId) -> bool {
        // A replica of the directory that may be behind does not know who is gone.
        !self.is_confirmed() || self.all().iter().any(|member| member.id == node)
    }

    fn all_live(&self) -> bool {
        self.all().iter().all(|member| member.live)
    }

    fn clients(&self) -> &Clients {
        Self::clients(self)
    }

    fn clients_are_served(&self) -> bool {
        Self::clients_are_served(self)
    }

    fn report_failure(&self, node: NodeId) {
        Self::report_failure(self, node);
    }

    fn died(&self, node: NodeId) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut changes = self.changes();
            while Self::is_live(self, node) {
                if changes.changed().await.is_err() {
                    // The watcher of the members is gone: the node shuts down, and nobody will be declared dead.
                    std::future::pending::<()>().await;
                }
            }
        })
    }
}

/// A member as a holder of shards. A disk that it names no more, but that an operator has taken out of use, is one of
/// its disks still.
fn holder(member: &Member) -> Holder {
    let standing = |disk| match member.disk_state(disk) {
        DiskState::Active => Standing::Serving,
        DiskState::Draining => Standing::Leaving,
        DiskState::Failed | DiskState::Removed => Standing::Failed,
    };
    let named = member.disks.iter().map(|disk| HolderDisk {
        id: disk.id,
        capacity_bytes: disk.capacity_bytes,
        available_bytes: disk.available_bytes,
        writable: disk.writable,
        standing: standing(disk.id),
        ailing: disk.health.is_failed(),
    });
    let unnamed = member.disk_states.keys().filter(|disk| member.disk(**disk).is_none()).map(|disk| HolderDisk {
        id: *disk,
        capacity_bytes: 0,
        available_bytes: 0,
        writable: false,
        standing: standing(*disk),
        ailing: true,
    });
    Holder {
        node: member.id,
        zone: member.zone.clone(),
        live: member.live,
        draining: member.draining,
        disks: named.chain(unnamed).collect(),
    }
}
