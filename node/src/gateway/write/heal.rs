//! Before an acknowledgement: every extent of the session is whole on live nodes, earlier ones included.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft::catalog::{CodedExtent, ExtentBody};
use storage::shard::{ExtentIndex, ObjectId};
use tracing::info;

use super::object::ObjectWriter;
use super::{Avoided, WriteError, Written, leftovers, rewrite};
use crate::gateway::core::Core;

/// Times that the extents are looked at: nodes may go on dying meanwhile.
const ROUNDS_MAX: usize = 5;
/// Extents read from the catalog at a time.
const PAGE_EXTENTS: usize = 256;

/// Earlier extents of the session that were written anew, by index.
pub(super) type Replaced = BTreeMap<ExtentIndex, Written>;

/// Writes anew what has lost a shard, until nothing has. What was replaced stays in `replaced` even if this fails.
pub(super) async fn heal(
    core: &Arc<Core>,
    writer: &mut ObjectWriter,
    replaced: &mut Replaced,
) -> Result<(), WriteError> {
    for _ in 0..ROUNDS_MAX {
        if !heal_new(core, writer).await?
            & !heal_earlier(core, writer.object(), writer.avoided().clone(), replaced).await?
        {
            return Ok(());
        }
    }
    Err(WriteError::internal("nodes come and go too fast to write anywhere"))
}

async fn heal_new(core: &Arc<Core>, writer: &mut ObjectWriter) -> Result<bool, WriteError> {
    let mut healed = false;
    for position in 0..writer.written().len() {
        let written = &writer.written()[position];
        if !written.lost.is_empty() || has_lost(core, &written.coded) {
            let coded = written.coded.clone();
            let anew = heal_one(core, writer.object(), written.index, &coded, writer.avoided().clone()).await?;
            writer.replace(position, anew);
            healed = true;
        }
    }
    Ok(healed)
}

async fn heal_earlier(
    core: &Arc<Core>,
    object: ObjectId,
    avoided: Avoided,
    replaced: &mut Replaced,
) -> Result<bool, WriteError> {
    // A look at every earlier extent costs more the longer the upload is, so it is taken only when a node is away.
    if core.roster.all_live() {
        return Ok(false);
    }
    let mut healed = false;
    let mut from = ExtentIndex(0);
    loop {
        let page = core.records.view().extents(object, from, PAGE_EXTENTS).map_err(WriteError::internal)?;
        let Some((last, _)) = page.last() else { return Ok(healed) };
        from = ExtentIndex(last.0.saturating_add(1));
        for (index, record) in page {
            let ExtentBody::Coded(committed) = record.body else { continue };
            let earlier = replaced.get(&index).map(|written| written.coded.clone());
            let coded = earlier.as_ref().unwrap_or(&committed);
            if has_lost(core, coded) {
                let anew = heal_one(core, object, index, coded, avoided.clone()).await?;
                if let Some(earlier) = replaced.insert(index, anew) {
                    leftovers::discard(core, object, index, &earlier.coded);
                }
                healed = true;
            }
        }
    }
}

async fn heal_one(
    core: &Arc<Core>,
    object: ObjectId,
    index: ExtentIndex,
    coded: &CodedExtent,
    avoided: Avoided,
) -> Result<Written, WriteError> {
    let anew = rewrite(core, object, index, coded, avoided).await?;
    core.metrics.healed_extents.inc();
    info!(
        %object,
        extent = index.0,
        before = %coded.geometry.profile,
        now = %anew.coded.geometry.profile,
        "extent written anew before its acknowledgement, since it had lost a shard"
    );
    Ok(anew)
}

fn has_lost(core: &Core, coded: &CodedExtent) -> bool {
    coded.shards.iter().any(|location| !core.roster.is_live(location.node))
}
