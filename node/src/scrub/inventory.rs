//! The inventory: the files of a disk against what the catalog places there, both ways.
//!
//! Pages are listed first, then the replica catches up with everything that was acknowledged, and only then is the
//! catalog read. So a file whose object the catalog does not know belonged to an object that is gone, and not to one that
//! is yet to come. A placement without a file is looked at once more; a file without a placement waits for its grace,
//! counted by the catalog's clock, which no wrong clock can push ahead.

use std::collections::BTreeSet;
use std::time::Duration;

use raft::catalog::ShortfallReason;
use raft::time::Timestamp;
use storage::disk::Disk;
use storage::shard::{Attempt, DiskId, ExtentIndex, ObjectId, ShardFault, ShardIndex, ShardName};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::compare::{Strange, compare, judge};
use super::context::Context;
use super::notes::ORPHANS_MAX;
use super::work::Work;
use crate::gateway::catalog::CatalogError;
use crate::shards::VerifyError;

/// Pages listed at a time.
const PAGES_AT_ONCE: u16 = 4;
/// Placements read at a time.
const PLACEMENTS_AT_ONCE: usize = 1024;
/// Files unlinked at a time.
const UNLINKED_AT_ONCE: usize = 256;

/// Takes inventories of a disk for ever.
pub(super) async fn keep(context: &Context, work: &Work) {
    let batches = Disk::SHARD_PAGES.div_ceil(PAGES_AT_ONCE);
    let pause = context.options.inventory_interval() / u32::from(batches);
    loop {
        let orphans = work.notes().orphans.clone();
        for batch in 0..batches {
            sleep(pause).await;
            let first = batch * PAGES_AT_ONCE;
            let pages = first..Disk::SHARD_PAGES.min(first + PAGES_AT_ONCE);
            let pages = u8::try_from(pages.start).unwrap_or(u8::MAX)..=u8::try_from(pages.end - 1).unwrap_or(u8::MAX);
            if let Err(error) = take(context, work, pages.clone()).await {
                debug!(disk = %work.disk, ?pages, %error, "an inventory cannot be taken");
            }
        }
        work.note_inventory(|inventory| inventory.rounds += 1);
        if work.notes().orphans != orphans {
            context.save(work).await;
        }
    }
}

/// Why pages were not compared.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeError {
    #[error("the disk is out of use")]
    Disk,
    #[error("the disk cannot be listed")]
    List(#[source] std::io::Error),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Takes the inventory of some pages, and does what follows from it.
pub(super) async fn take(context: &Context, work: &Work, pages: std::ops::RangeInclusive<u8>) -> Result<(), TakeError> {
    let disk = context.usable(work.disk).ok_or(TakeError::Disk)?;
    let files = {
        let pages = pages.clone();
        let listed = move || {
            let listed = pages.map(|page| disk.list_shards(page)).collect::<Result<Vec<_>, _>>();
            listed.map(|pages| pages.into_iter().flatten().map(|shard| shard.name).collect::<Vec<_>>())
        };
        context.exec.run(listed).await.map_err(TakeError::List)?
    };
    context.records.barrier().await?;
    let placed = placed(context, work.disk, &pages)?;
    let difference = compare(&files, &placed);
    if !difference.missing.is_empty() && !context.is_present(work.disk).await {
        return Err(TakeError::Disk);
    }
    for name in &difference.missing {
        missing(context, work, name).await?;
    }
    strange(context, work, &pages, &difference.strange).await?;
    Ok(())
}

/// What the catalog places on these pages of a disk.
fn placed(
    context: &Context,
    disk: DiskId,
    pages: &std::ops::RangeInclusive<u8>,
) -> Result<Vec<ShardName>, CatalogError> {
    let (view, here) = (context.records.view(), context.location(disk));
    // The last name that a page before the first one can hold.
    let mut after = pages.start().checked_sub(1).map(|page| {
        let mut object = [0xff; 16];
        object[0] = page;
        ShardName {
            object: ObjectId(object),
            extent: ExtentIndex(u32::MAX),
            attempt: Attempt(u64::MAX),
            shard: ShardIndex(u8::MAX),
        }
    });
    let mut placed = Vec::new();
    loop {
        let names = view.placements(here.node, here.disk, after.as_ref(), PLACEMENTS_AT_ONCE)?;
        let more = names.len() == PLACEMENTS_AT_ONCE;
        after = names.last().copied();
        let before = placed.len() + names.len();
        placed.extend(names.into_iter().filter(|name| pages.contains(&name.object.0[0])));
        if !more || placed.len() < before {
            return Ok(placed);
        }
    }
}

/// A placement has no file: reported, if the file is still not there and still placed here.
async fn missing(context: &Context, work: &Work, name: &ShardName) -> Result<(), CatalogError> {
    let Some(coded) = context.placed(work.disk, name)? else { return Ok(()) };
    if context.is_listed(name, coded.attempt)? {
        return Ok(());
    }
    // Written after the listing, and committed before the look at the catalog.
    let looked = context.local.verify(work.disk, *name, coded.geometry, 0..0).await;
    if !matches!(looked, Err(VerifyError::Faulty { fault: ShardFault::Missing, .. })) {
        return Ok(());
    }
    context.catch_up().await;
    let Some(coded) = context.placed(work.disk, name)? else { return Ok(()) };
    context.metrics.missing.inc();
    work.note_inventory(|inventory| inventory.missing += 1);
    warn!(
        disk = %work.disk, object = %name.object, extent = name.extent.0, shard = name.shard.0,
        "inventory did not find a shard, it is to be rebuilt"
    );
    context.report(name, coded.attempt, ShortfallReason::Inventory).await;
    Ok(())
}

/// Files without a placement: those whose grace is over are unlinked, the others noted.
async fn strange(
    context: &Context,
    work: &Work,
    pages: &std::ops::RangeInclusive<u8>,
    names: &[ShardName],
) -> Result<(), CatalogError> {
    let (now, here) = (context.now()?, context.location(work.disk));
    let mut orphans = BTreeSet::new();
    for name in names {
        let view = context.records.view();
        let (object, extent) = (view.object(name.object)?, view.extent(name.object, name.extent)?);
        let whole = view.shortfall(name.object, name.extent)?.is_none_or(|listed| listed.missing.is_empty());
        if judge(here, name, object.as_ref(), extent.as_ref(), whole) == Strange::Orphan {
            orphans.insert(*name);
        }
    }
    let due = note(work, pages, &orphans, now, context.options.orphan_grace);
    let waiting = work.notes().orphans.len() as u64;
    work.note_inventory(|inventory| inventory.orphans = waiting);
    context.metrics.set_orphans(&work.disk.to_string(), waiting);
    for names in due.chunks(UNLINKED_AT_ONCE) {
        let removed = context.local.delete(names.iter().map(|name| (work.disk, *name)).collect()).await;
        if let Err(error) = removed {
            warn!(disk = %work.disk, %error, "orphans cannot be unlinked");
            continue;
        }
        let mut notes = work.notes();
        for name in names {
            notes.orphans.remove(name);
        }
        drop(notes);
        let count = names.len() as u64;
        context.metrics.orphans_removed.inc_by(count);
        work.note_inventory(|inventory| {
            inventory.orphans_removed += count;
            inventory.orphans = inventory.orphans.saturating_sub(count);
        });
        info!(disk = %work.disk, count, "shard files that the catalog does not know were unlinked");
    }
    Ok(())
}

/// Notes the orphans of these pages, forgets those that are none any more, and names those whose grace is over.
fn note(
    work: &Work,
    pages: &std::ops::RangeInclusive<u8>,
    orphans: &BTreeSet<ShardName>,
    now: Timestamp,
    grace: Duration,
) -> Vec<ShardName> {
    let mut notes = work.notes();
    notes.orphans.retain(|name, _| !pages.contains(&name.object.0[0]) || orphans.contains(name));
    let mut due = Vec::new();
    for name in orphans {
        if let Some(since) = notes.orphans.get(name) {
            if now >= since.plus_seconds(grace.as_secs()) {
                due.push(*name);
            }
        } else if notes.orphans.len() < ORPHANS_MAX {
            notes.orphans.insert(*name, now);
        }
    }
    due
}
