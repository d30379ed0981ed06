//! An extent written anew, under the profile and on the nodes of now: before an acknowledgement, and to repair.

use std::sync::Arc;

use raft::catalog::CodedExtent;
use storage::shard::{ExtentIndex, ObjectId};

use super::extent::{Avoided, ExtentWriter};
use super::gather::Gather;
use super::stripes::Cutter;
use super::{Stint, WriteError, Written, leftovers};
use crate::gateway::core::Core;
use crate::gateway::read::ExtentSource;

/// Times that a rewrite begins again because a holder failed meanwhile.
const REWRITES_MAX: usize = 4;

/// Reads an extent from what is left of it, verified, and writes it anew as a whole extent of the same bytes, as fast
/// as the stint allows. Disks that fail on the way are avoided from then on. The caller makes the catalog refer to it, or discards it.
pub(crate) async fn rewrite(
    core: &Arc<Core>,
    object: ObjectId,
    index: ExtentIndex,
    source: &CodedExtent,
    avoided: &mut Avoided,
    stint: &mut Stint,
) -> Result<Written, WriteError> {
    let source = ExtentSource { object, index, coded: Arc::new(source.clone()) };
    let mut rewrites = 0;
    loop {
        let mut extent = ExtentWriter::begin(core, object, index, avoided).await?;
        let outcome = match copy(core, &source, &mut extent, avoided, stint).await {
            Ok(()) if !extent.has_lost() => extent.finish().await,
            outcome => {
                let profile = extent.profile();
                extent.abandon();
                outcome.and(Err(WriteError::Lost { object, extent: index.0, profile, failure: None }))
            }
        };
        let error = match outcome {
            Ok(written) if written.lost.is_empty() => return Ok(written),
            Ok(written) => {
                avoided.learn(&written);
                let profile = written.coded.geometry.profile;
                leftovers::discard(core, object, index, &written.coded);
                WriteError::Lost { object, extent: index.0, profile, failure: None }
            }
            Err(error) => error,
        };
        rewrites += 1;
        if rewrites == REWRITES_MAX || !matches!(error, WriteError::Lost { .. }) {
            return Err(error);
        }
    }
}

/// Copies until the end, or until a holder is lost.
async fn copy(
    core: &Arc<Core>,
    source: &ExtentSource,
    extent: &mut ExtentWriter,
    avoided: &mut Avoided,
    stint: &mut Stint,
) -> Result<(), WriteError> {
    let profile = extent.profile();
    let coded_bytes = |data: usize| (data * profile.shards()).div_ceil(profile.data()) as u64;
    let stripe_bytes = extent.stripe_bytes();
    let batch_bytes = (core.options.batch_size_bytes / stripe_bytes).max(1) * stripe_bytes;
    let mut cutter = Cutter::default();
    let mut gather = Gather::default();
    for window in source.windows(core) {
        let mut read = 0;
        for mut piece in source.fetch(core, &window).await? {
            read += piece.len();
            while let Some(batch) = gather.take(&mut piece, batch_bytes) {
                cutter.push(core.budget.count(batch, batch_bytes).await);
                while let Some(stripes) = cutter.cut(stripe_bytes, usize::MAX, false) {
                    extent.append(stripes, avoided).await?;
                }
                if extent.has_lost() {
                    return Ok(());
                }
            }
        }
        stint.moved(core, read as u64, coded_bytes(read)).await;
    }
    let rest = gather.rest();
    if !rest.is_empty() {
        let overhead_bytes = rest.len();
        cutter.push(core.budget.count(rest, overhead_bytes).await);
    }
    while let Some(stripes) = cutter.cut(stripe_bytes, usize::MAX, true) {
        extent.append(stripes, avoided).await?;
    }
    Ok(())
}
