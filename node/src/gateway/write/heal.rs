//! Before an acknowledgement: every extent of the session is whole on live nodes, with the parity that the nodes of now
//! allow, earlier ones included.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft::catalog::{CodedExtent, ExtentBody};
use storage::shard::{ExtentIndex, ObjectId};
use storage::switch;
use tracing::info;

use super::object::ObjectWriter;
use super::{Avoided, Stint, WriteError, Written, leftovers, rewrite};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;

/// Times that the extents are looked at: nodes may go on dying meanwhile.
const ROUNDS_MAX: usize = 5;
/// Extents read from the catalog at a time.
const PAGE_EXTENTS: usize = 256;

/// Earlier extents of the session that were written anew, by index.
pub(super) type Replaced = BTreeMap<ExtentIndex, Written>;

/// Writes anew what has lost a shard, or has less parity than is possible by now, until nothing has. `before` is the
/// parity that every earlier extent had when they were looked at last. Returns the parity that all have at least. What
/// was replaced stays in `replaced` even if this fails.
pub(super) async fn heal(
    core: &Arc<Core>,
    writer: &mut ObjectWriter,
    before: u8,
    replaced: &mut Replaced,
) -> Result<u8, WriteError> {
    if switch::broken("gateway.heal.skip") {
        return Ok(before);
    }
    // Shared by all extents, so that what fails the one is avoided by the others, and asked of none.
    let mut avoided = writer.avoided().clone();
    for _ in 0..ROUNDS_MAX {
        // Taken before the extents are looked at: if nodes come meanwhile, the next request looks again.
        let parity = avoided.parity(core, writer.object(), writer.next());
        let healed = heal_new(core, writer, parity, &mut avoided).await?;
        if !heal_earlier(core, writer.object(), parity, before, &mut avoided, replaced).await? && !healed {
            return Ok(parity);
        }
    }
    Err(WriteError::internal("nodes come and go too fast to write anywhere"))
}

async fn heal_new(
    core: &Arc<Core>,
    writer: &mut ObjectWriter,
    parity: u8,
    avoided: &mut Avoided,
) -> Result<bool, WriteError> {
    let mut healed = false;
    for position in 0..writer.written().len() {
        let written = &writer.written()[position];
        if !written.lost.is_empty() || is_weak(core, &written.coded, parity) {
            let coded = written.coded.clone();
            let anew = heal_one(core, writer.object(), written.index, &coded, avoided).await?;
            writer.replace(position, anew);
            healed = true;
        }
    }
    Ok(healed)
}

async fn heal_earlier(
    core: &Arc<Core>,
    object: ObjectId,
    parity: u8,
    before: u8,
    avoided: &mut Avoided,
    replaced: &mut Replaced,
) -> Result<bool, WriteError> {
    // A look at every earlier extent costs more the longer the upload is, so it is taken only when a node is away, or
    // when more is possible than was before.
    if core.roster.all_live() && parity <= before {
        return Ok(false);
    }
    let mut healed = false;
    let mut from = ExtentIndex(0);
    loop {
        let page = core.records.view().extents(object, from, PAGE_EXTENTS).map_err(CatalogError::from)?;
        let Some((last, _)) = page.last() else { return Ok(healed) };
        from = ExtentIndex(last.0.saturating_add(1));
        for (index, record) in page {
            let ExtentBody::Coded(committed) = record.body else { continue };
            let earlier = replaced.get(&index).map(|written| written.coded.clone());
            let coded = earlier.as_ref().unwrap_or(&committed);
            if is_weak(core, coded, parity) {
                let anew = heal_one(core, object, index, coded, avoided).await?;
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
    avoided: &mut Avoided,
) -> Result<Written, WriteError> {
    let anew = rewrite(core, object, index, coded, avoided, &mut Stint::urgent()).await?;
    core.metrics.healed_extents.inc();
    info!(
        %object,
        extent = index.0,
        before = %coded.geometry.profile,
        now = %anew.coded.geometry.profile,
        "extent written anew before its acknowledgement, since it had lost a shard or more parity is possible by now"
    );
    Ok(anew)
}

fn is_weak(core: &Core, coded: &CodedExtent, parity: u8) -> bool {
    coded.geometry.profile.parity() < usize::from(parity)
        || coded.shards.iter().any(|location| !core.roster.is_live(location.node))
}
