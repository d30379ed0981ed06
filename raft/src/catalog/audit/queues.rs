//! What waits for someone, and the totals.

use super::Audit;
use super::names::Counts;
use crate::catalog::garbage::GarbageItem;
use crate::catalog::name::{RepositoryName, Tag};
use crate::catalog::record::TotalsRecord;
use crate::catalog::table::{
    Blobs, Discards, Feed, GarbageDeadlines, GarbageQueue, Links, Manifests, RequestExpiries, Requests, ShortfallOrder,
    Shortfalls, TagHistory, Tombstones, Totals, Uploads,
};
use crate::machine::State;
use crate::table::StateError;

const GARBAGE: &str = "the garbage queue holds exactly what nothing holds";
const FEED: &str = "the feed has no gaps";
const REQUESTS: &str = "every remembered request has its time";

pub(super) fn audit<S: State>(audit: &mut Audit<'_, S>, counts: &Counts) -> Result<(), StateError> {
    garbage(audit)?;
    feed(audit)?;
    requests(audit)?;
    totals(audit, counts)
}

/// The other tables see to it that what should be queued is. Here: nothing else is, and both orders agree.
fn garbage<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    audit.each::<GarbageQueue>(|audit, (deadline, item), ()| {
        let same = audit.get::<GarbageDeadlines>(&item)? == Some(deadline);
        audit.expect(same, GARBAGE, || format!("{item:?} is queued at {}, and its deadline is not that", deadline.0));
        let first = audit.clock.first_garbage;
        audit.expect(deadline >= first, "a scan of the garbage queue begins before its first item", || {
            format!("{item:?} is queued at {}, scans begin at {}", deadline.0, first.0)
        });
        Ok(())
    })?;
    audit.each::<GarbageDeadlines>(|audit, item, deadline| {
        let queued = audit.contains::<GarbageQueue>((&deadline, &item))?;
        audit.expect(queued, GARBAGE, || format!("{item:?} has the deadline {} and is not queued", deadline.0));
        let there = match &item {
            GarbageItem::Blob { digest, generation } => {
                audit.get::<Blobs>(digest)?.is_some_and(|blob| blob.generation == *generation)
            }
            GarbageItem::Link { repository, digest } => audit.contains::<Links>((repository, digest))?,
            GarbageItem::Manifest { repository, digest, generation } => {
                audit.get::<Manifests>((repository, digest))?.is_some_and(|manifest| manifest.generation == *generation)
            }
            GarbageItem::Tombstone { repository, digest } => audit.contains::<Tombstones>((repository, digest))?,
            GarbageItem::TagHistory { repository, tag } => {
                audit.count::<TagHistory, (RepositoryName, Tag)>((repository, tag))? > 0
            }
        };
        audit.expect(there, GARBAGE, || format!("{item:?} is queued and not there"));
        Ok(())
    })
}

fn feed<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    let clock = audit.clock;
    let (mut next, mut time) = (clock.first_sequence, clock.first_event);
    audit.each::<Feed>(|audit, sequence, event| {
        audit.expect(sequence == next, FEED, || format!("event {sequence} follows where {next} should"));
        let first = sequence == clock.first_sequence;
        let in_time = if first { event.time == time } else { event.time >= time };
        audit.expect(in_time, "the feed is in order of time", || {
            format!("event {sequence} is of {}, the one before of {}", event.time.0, time.0)
        });
        next = sequence + 1;
        time = event.time;
        Ok(())
    })?;
    audit.expect(next == clock.next_sequence, FEED, || {
        format!("it ends before {next}, the next event is {}", clock.next_sequence)
    });
    Ok(())
}

fn requests<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    let (mut first, mut expiries) = (None, 0);
    audit.each::<RequestExpiries>(|audit, (expires, request), ()| {
        first = first.or(Some(expires));
        expiries += 1;
        let remembered = audit.contains::<Requests>(&request)?;
        audit.expect(remembered, REQUESTS, || format!("{request:?} expires and is not remembered"));
        Ok(())
    })?;
    let remembered = audit.count::<Requests, ()>(())?;
    audit.expect(remembered == expiries, REQUESTS, || format!("{remembered} are remembered, {expiries} expire"));
    let told = audit.clock.first_request_expiry;
    audit.expect(told == first, REQUESTS, || format!("the first expires at {first:?}, not at {told:?}"));
    Ok(())
}

fn totals<S: State>(audit: &mut Audit<'_, S>, counts: &Counts) -> Result<(), StateError> {
    let Counts { repositories, manifests, tags } = *counts;
    let mut found = TotalsRecord { repositories, manifests, tags, ..TotalsRecord::default() };
    audit.each::<Blobs>(|_, _, blob| {
        found.blobs += 1;
        found.blob_bytes += blob.length_bytes;
        if blob.references == 0 {
            found.unreferenced_blobs += 1;
            found.unreferenced_bytes += blob.length_bytes;
        }
        Ok(())
    })?;
    audit.each::<Uploads>(|_, _, upload| {
        found.uploads += u64::from(upload.finished.is_none());
        Ok(())
    })?;
    found.shortfalls = audit.count::<Shortfalls, ()>(())?;
    audit.each::<ShortfallOrder>(|_, (spare, ..), ()| {
        *found.shortfalls_by_spare.entry(spare).or_default() += 1;
        Ok(())
    })?;
    audit.each::<Discards>(|_, _, discard| {
        found.discards += 1;
        found.discarded_bytes += discard.bytes;
        Ok(())
    })?;
    audit.each::<GarbageDeadlines>(|_, item, _| {
        *found.garbage.of(&item) += 1;
        Ok(())
    })?;
    let kept = audit.get::<Totals>(())?.unwrap_or_default();
    // What was ever collected cannot be found out any more.
    found.collected_items = kept.collected_items;
    found.collected_bytes = kept.collected_bytes;
    found.last_collected = kept.last_collected;
    audit.expect(kept == found, "the totals are exact", || format!("they say {kept:?}, there are {found:?}"));
    Ok(())
}
