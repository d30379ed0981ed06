//! What would be lost with a node that goes although it holds something: extents of which too little would be left.

use raft::catalog::{ExtentBody, PlacementKey, StateError, View};
use raft::id::NodeId;
use raft::machine::State;

/// Placements read at once.
const PAGE: usize = 1000;
/// Shards that are looked at. A node that holds more is not looked through to its end.
const SHARDS_MAX: u64 = 1_000_000;

/// What would be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Shards that the node holds, as far as they were looked at.
    pub shards: u64,
    /// Extents that could not be read any more.
    pub extents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether not all of the node's shards were looked at: there may be more.
    pub at_least: bool,
}

/// Looks through what a node holds. `is_left` says of the other nodes whether their shards still count. Blocks, for as
/// long as the node has shards.
///
/// # Errors
/// When the catalog cannot be read.
pub fn loss<S: State>(view: &View<S>, node: NodeId, is_left: impl Fn(NodeId) -> bool) -> Result<Loss, StateError> {
    let mut loss = Loss::default();
    let mut after: Option<PlacementKey> = None;
    loop {
        let page = view.placements_of(node, after.as_ref(), PAGE)?;
        for (key, _) in &page {
            loss.shards += 1;
            if let Some(bytes) = lost_bytes(view, node, key, &is_left)? {
                loss.extents += 1;
                loss.bytes += bytes;
            }
        }
        after = match page.last() {
            Some((last, _)) if page.len() == PAGE => Some(*last),
            _ => return Ok(loss),
        };
        if loss.shards >= SHARDS_MAX {
            return Ok(Loss { at_least: true, ..loss });
        }
    }
}

/// Bytes of the extent that this shard belongs to, if it could not be read without the node. Two shards of one extent on
/// one node count for the first of them.
fn lost_bytes<S: State>(
    view: &View<S>,
    node: NodeId,
    key: &PlacementKey,
    is_left: &impl Fn(NodeId) -> bool,
) -> Result<Option<u64>, StateError> {
    // Gone when it was deleted between the two reads.
    let Some(extent) = view.extent(key.object, key.extent)? else { return Ok(None) };
    let ExtentBody::Coded(coded) = extent.body else { return Ok(None) };
    let first = coded.numbered().find(|(_, location)| location.node == node).map(|(shard, _)| shard);
    if first != Some(key.shard) {
        return Ok(None);
    }
    let shortfall = view.shortfall(key.object, key.extent)?;
    let missing = |shard| shortfall.as_ref().is_some_and(|shortfall| shortfall.is_missing(shard));
    let counts = |of: NodeId| of == node || is_left(of);
    let sound = coded.numbered().filter(|(shard, location)| !missing(*shard) && counts(location.node));
    let (own, others): (Vec<_>, Vec<_>) = sound.partition(|(_, location)| location.node == node);
    let needed = coded.geometry.profile.data();
    // What cannot be read with the node either is not lost by its going.
    let lost = others.len() < needed && own.len() + others.len() >= needed;
    Ok(lost.then_some(coded.geometry.length_bytes))
}
