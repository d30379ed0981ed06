//! Reads of what nodes and their disks should hold.

use storage::shard::{DiskId, ShardName};

use super::View;
use crate::catalog::layout::{DiskLocation, PlacementKey, PlacementRecord, PlacementTotals as Totals};
use crate::catalog::table::{PlacementTotals, ShardPlacements};
use crate::id::NodeId;
use crate::machine::State;
use crate::table::{StateError, Table};

impl<S: State> View<S> {
    /// Names of the shards that a disk of a node should hold, by object, extent and shard, behind `after`.
    pub fn placements(
        &self,
        node: NodeId,
        disk: DiskId,
        after: Option<&ShardName>,
        limit: usize,
    ) -> Result<Vec<ShardName>, StateError> {
        let after = after.map(|name| (&node, &disk, &name.object, &name.extent, &name.shard));
        let rows = ShardPlacements::scan::<(NodeId, DiskId)>(&self.state, (&node, &disk), after, limit)?;
        let name =
            |((_, _, object, extent, shard), PlacementRecord { attempt })| ShardName { object, extent, attempt, shard };
        Ok(rows.into_iter().map(name).collect())
    }

    /// The same of all disks of a node, by disk, object, extent and shard, behind `after`.
    pub fn placements_of(
        &self,
        node: NodeId,
        after: Option<&PlacementKey>,
        limit: usize,
    ) -> Result<Vec<(PlacementKey, PlacementRecord)>, StateError> {
        let after = after.map(|key| (&node, &key.disk, &key.object, &key.extent, &key.shard));
        let rows = ShardPlacements::scan::<NodeId>(&self.state, &node, after, limit)?;
        let key = |(_, disk, object, extent, shard)| PlacementKey { disk, object, extent, shard };
        Ok(rows.into_iter().map(|(parts, record)| (key(parts), record)).collect())
    }

    /// What a disk should hold in all; nothing if it is not known.
    pub fn disk_totals(&self, disk: DiskLocation) -> Result<Totals, StateError> {
        Ok(PlacementTotals::get(&self.state, (&disk.node, &disk.disk))?.unwrap_or_default())
    }

    /// Disks of a node that should hold anything, with what they should hold in all. As many rows as it has disks.
    pub fn disks_of(&self, node: NodeId) -> Result<Vec<(DiskId, Totals)>, StateError> {
        let rows = PlacementTotals::scan::<NodeId>(&self.state, &node, None, usize::MAX)?;
        Ok(rows.into_iter().map(|((_, disk), totals)| (disk, totals)).collect())
    }

    /// All disks that should hold anything, by node and disk. As many rows as the region has disks.
    pub fn disks(&self) -> Result<Vec<(DiskLocation, Totals)>, StateError> {
        let rows = PlacementTotals::scan::<()>(&self.state, (), None, usize::MAX)?;
        Ok(rows.into_iter().map(|((node, disk), totals)| (DiskLocation { node, disk }, totals)).collect())
    }
}
