//! The pass: every block of every shard that the catalog places on a disk is read from it and checked.
//!
//! It follows the catalog's placements and not the directory's files, so that a file that is gone is found as well. Where
//! it stands is noted every half minute; after a restart it goes on from there, and reads at worst half a minute again.

use std::time::Duration;

use raft::catalog::{CodedExtent, ShortfallReason};
use storage::shard::{ShardFault, ShardName};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::context::Context;
use super::pace;
use super::report::ScrubState;
use super::work::{Next, Seen, Work, next};
use crate::gateway::catalog::CatalogError;
use crate::shards::VerifyError;

/// Time between two looks whether a pass is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Time between two looks whether a disk that is out of use is back.
const USABLE_INTERVAL: Duration = Duration::from_secs(5);
/// Time between two savings of the notes.
const SAVE_INTERVAL: Duration = Duration::from_secs(30);
/// Placements read at a time.
const PAGE_SHARDS: usize = 64;
/// Bytes read at a time, unless a block is larger.
const RUN_BYTES: u64 = 4 << 20;
/// Attempts to read what a disk could not read, or did not in time.
const ATTEMPTS: u32 = 3;
/// Pause between two of them.
const ATTEMPT_PAUSE: Duration = Duration::from_secs(1);

/// Scrubs a disk for ever.
pub(super) async fn keep(context: &Context, work: &Work) {
    let mut saved = Instant::now();
    loop {
        let turn = turn(context, work).await;
        let due = matches!(turn, Ok(Turn::Finished)) || saved.elapsed() >= SAVE_INTERVAL;
        if due && !matches!(turn, Ok(Turn::Rested)) {
            context.save(work).await;
            saved = Instant::now();
        }
        if let Err(error) = turn {
            debug!(disk = %work.disk, %error, "the scrub cannot read the catalog");
            work.set_state(ScrubState::Waiting);
            work.rest(USABLE_INTERVAL).await;
        }
    }
}

/// What one turn came to.
enum Turn {
    /// Shards were read.
    Read,
    /// The pass has ended.
    Finished,
    /// Nothing was to be done.
    Rested,
}

async fn turn(context: &Context, work: &Work) -> Result<Turn, CatalogError> {
    work.settle();
    let plan = next(&work.notes(), work.is_asked(), context.now()?, context.options.period);
    if plan == Next::Rest {
        work.set_state(ScrubState::Resting);
        work.rest(LOOK_INTERVAL).await;
        return Ok(Turn::Rested);
    }
    if context.usable(work.disk).is_none() {
        work.set_state(ScrubState::Waiting);
        work.rest(USABLE_INTERVAL).await;
        return Ok(Turn::Rested);
    }
    if let Next::Begin { forced } = plan {
        // A replica that has not caught up yet knows of no shards, and the pass would be over at once.
        context.records.barrier().await?;
        work.begin(context.now()?, forced);
        debug!(disk = %work.disk, forced, "scrub of a disk begins");
    }
    page(context, work).await
}

/// Reads the shards of one page of placements.
async fn page(context: &Context, work: &Work) -> Result<Turn, CatalogError> {
    let Some(pass) = work.notes().pass else { return Ok(Turn::Rested) };
    work.set_state(if pass.forced { ScrubState::Forced } else { ScrubState::Running });
    let location = context.location(work.disk);
    let read = || context.records.view().placements(location.node, location.disk, pass.after.as_ref(), PAGE_SHARDS);
    let mut names = read()?;
    if names.is_empty() {
        context.records.barrier().await?;
        names = read()?;
    }
    if names.is_empty() {
        finish(context, work)?;
        return Ok(Turn::Finished);
    }
    for name in names {
        let interrupted = work.is_asked() && !pass.forced;
        if interrupted || context.usable(work.disk).is_none() {
            break;
        }
        let Some(seen) = shard(context, work, name).await? else { break };
        work.passed(name, &seen);
        context.metrics.shards.inc();
    }
    Ok(Turn::Read)
}

fn finish(context: &Context, work: &Work) -> Result<(), CatalogError> {
    let Some(finished) = work.finish(context.now()?) else { return Ok(()) };
    context.metrics.passes.inc();
    let (found, bad) = (finished.found, finished.found.bad());
    let (disk, shards, bytes) = (work.disk, finished.shards, finished.bytes);
    if bad == 0 {
        info!(%disk, shards, bytes, skipped = found.skipped, "disk scrubbed, every shard is whole");
    } else {
        warn!(%disk, shards, bytes, bad, ?found, "disk scrubbed, bad shards are being rebuilt");
    }
    Ok(())
}

/// Reads one shard. `None`: it has to be looked at again, since the disk went out of use meanwhile.
async fn shard(context: &Context, work: &Work, name: ShardName) -> Result<Option<Seen>, CatalogError> {
    let Some(coded) = context.placed(work.disk, &name)? else { return Ok(Some(Seen::Replaced)) };
    match verify(context, work, &name, &coded).await? {
        Ok(()) => Ok(Some(Seen::Whole { bytes: coded.geometry.shard_length_bytes() })),
        Err(VerifyError::Undecided { message }) => {
            warn!(disk = %work.disk, object = %name.object, extent = name.extent.0, shard = name.shard.0, message,
                "shard cannot be scrubbed, the disk does not answer");
            Ok(context.usable(work.disk).map(|_| Seen::Skipped))
        }
        Err(VerifyError::Faulty { fault, message }) => bad(context, work, &name, fault, &message).await,
    }
}

/// Reads all blocks of a shard, at the pace of the pass.
async fn verify(
    context: &Context,
    work: &Work,
    name: &ShardName,
    coded: &CodedExtent,
) -> Result<Result<(), VerifyError>, CatalogError> {
    let geometry = coded.geometry;
    let run = (RUN_BYTES / u64::from(geometry.block_size_bytes.max(1))).max(1);
    let (mut start, mut attempts) = (0, 0);
    while start < geometry.stripes() {
        let end = geometry.stripes().min(start + run);
        let began = Instant::now();
        match context.local.verify(work.disk, *name, geometry, start..end).await {
            Ok(()) => {}
            Err(VerifyError::Undecided { .. } | VerifyError::Faulty { fault: ShardFault::Unreadable, .. })
                if attempts + 1 < ATTEMPTS =>
            {
                attempts += 1;
                sleep(ATTEMPT_PAUSE).await;
                continue;
            }
            Err(error) => return Ok(Err(error)),
        }
        attempts = 0;
        let bytes = (start..end).map(|stripe| u64::from(geometry.block_length_bytes(stripe))).sum();
        work.read(bytes);
        context.metrics.bytes.inc_by(bytes);
        start = end;
        rest(context, work, bytes, began.elapsed()).await?;
    }
    Ok(Ok(()))
}

async fn rest(context: &Context, work: &Work, bytes: u64, took: Duration) -> Result<(), CatalogError> {
    let Some(pass) = work.notes().pass else { return Ok(()) };
    let rest = if pass.forced {
        pace::forced_rest(took)
    } else {
        let total = context.records.view().disk_totals(context.location(work.disk))?.bytes;
        let elapsed = Duration::from_millis(context.now()?.0.saturating_sub(pass.started.0));
        pace::rest(bytes, took, pace::rate(total.saturating_sub(pass.bytes), elapsed, context.options.period))
    };
    work.rest(rest).await;
    Ok(())
}

/// A shard is bad: it counts, and is reported, if the catalog still places it here and the disk is still there.
async fn bad(
    context: &Context,
    work: &Work,
    name: &ShardName,
    fault: ShardFault,
    message: &str,
) -> Result<Option<Seen>, CatalogError> {
    // Without its directory all of a disk's files are missing; that is for the disk's health to say.
    if fault == ShardFault::Missing && !context.is_present(work.disk).await {
        return Ok(None);
    }
    context.catch_up().await;
    let Some(coded) = context.placed(work.disk, name)? else { return Ok(Some(Seen::Replaced)) };
    context.metrics.fault(fault);
    warn!(
        disk = %work.disk, object = %name.object, extent = name.extent.0, shard = name.shard.0,
        fault = fault.name(), message, "scrub found a bad shard, it is to be rebuilt"
    );
    context.report(name, coded.attempt, ShortfallReason::Scrub).await;
    Ok(Some(Seen::Bad { bytes: coded.geometry.shard_length_bytes(), fault }))
}
