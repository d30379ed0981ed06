//! Removal of shards that nothing will ever refer to. Best effort: what is missed here is found by the inventory.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft::catalog::{CodedExtent, ExtentBody};
use raft::id::NodeId;
use storage::shard::{DiskId, ExtentIndex, ObjectId, ShardIndex, ShardName};
use tracing::debug;

use crate::gateway::core::Core;

/// Removes the shards of an extent that was never proposed to the catalog, in the background.
pub(crate) fn discard(core: &Arc<Core>, object: ObjectId, index: ExtentIndex, coded: &CodedExtent) {
    let mut by_node: BTreeMap<NodeId, Vec<(DiskId, ShardName)>> = BTreeMap::new();
    for (shard, location) in (0..).zip(&coded.shards) {
        let name = ShardName { object, extent: index, attempt: coded.attempt, shard: ShardIndex(shard) };
        by_node.entry(location.node).or_default().push((location.disk, name));
    }
    for (node, shards) in by_node {
        let core = Arc::clone(core);
        core.tasks.clone().spawn(async move {
            if let Err(error) = core.store.delete(node, shards).await {
                debug!(%object, extent = index.0, %node, %error, "leftover shards stay for now");
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
    if extents.is_empty() {
        return;
    }
    if let Err(error) = core.records.barrier().await {
        debug!(%object, %error, "leftover shards stay for now");
        return;
    }
    for (index, coded) in extents {
        match core.records.view().extent(object, index) {
            Ok(Some(record)) => {
                let current = matches!(&record.body, ExtentBody::Coded(body) if body.attempt == coded.attempt);
                if !current {
                    discard(&core, object, index, &coded);
                }
            }
            Ok(None) => discard(&core, object, index, &coded),
            Err(error) => debug!(%object, extent = index.0, %error, "leftover shards stay for now"),
        }
    }
}
