//! Removal of shards that nothing will ever refer to. Best effort: what is missed here is found by the inventory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use raft::catalog::{CodedExtent, DiskLocation, ExtentBody};
use raft::id::NodeId;
use storage::shard::{DiskId, ExtentIndex, ObjectId, ShardName};
use tracing::debug;

use crate::gateway::core::Core;

/// Removes the shards of an extent that was never proposed to the catalog, in the background.
pub(crate) fn discard(core: &Arc<Core>, object: ObjectId, index: ExtentIndex, coded: &CodedExtent) {
    discard_shards(core, coded.names(object, index));
}

/// Removes shards that were never proposed to the catalog, in the background.
pub(crate) fn discard_shards(core: &Arc<Core>, shards: impl IntoIterator<Item = (DiskLocation, ShardName)>) {
    let mut by_node: BTreeMap<NodeId, Vec<(DiskId, ShardName)>> = BTreeMap::new();
    for (location, name) in shards {
        by_node.entry(location.node).or_default().push((location.disk, name));
    }
    for (node, shards) in by_node {
        let core = Arc::clone(core);
        core.tasks.clone().spawn(async move {
            if let Err(error) = core.store.delete(node, shards).await {
                debug!(%node, %error, "leftover shards stay for now");
            }
        });
    }
}

/// Removes the shards of extents that were proposed and refused, unless the catalog refers to them after all: a
/// repeated proposal is refused when its first copy had its effect and another request came between.
pub(super) async fn discard_unless_current(
    core: Arc<Core>,
    object: ObjectId,
    extents: Vec<(ExtentIndex, CodedExtent)>,
) {
    let shards = extents.iter().flat_map(|(index, coded)| coded.names(object, *index)).collect();
    discard_shards_unless_current(&core, shards).await;
}

/// The same for single shards: a layout that has changed since may refer to them still.
pub(crate) async fn discard_shards_unless_current(core: &Arc<Core>, shards: Vec<(DiskLocation, ShardName)>) {
    if shards.is_empty() {
        return;
    }
    if let Err(error) = core.records.barrier().await {
        debug!(%error, "leftover shards stay for now");
        return;
    }
    let mut layouts: BTreeMap<(ObjectId, ExtentIndex), Option<CodedExtent>> = BTreeMap::new();
    let mut unused = Vec::with_capacity(shards.len());
    for (location, name) in shards {
        let key = (name.object, name.extent);
        let layout = match layouts.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => match core.records.view().extent(name.object, name.extent) {
                Ok(record) => place.insert(record.map(|record| record.body).and_then(ExtentBody::into_coded)),
                Err(error) => {
                    debug!(object = %name.object, extent = name.extent.0, %error, "leftover shards stay for now");
                    continue;
                }
            },
        };
        if layout.as_ref().is_none_or(|layout| !layout.refers_to(location, &name)) {
            unused.push((location, name));
        }
    }
    discard_shards(core, unused);
}
