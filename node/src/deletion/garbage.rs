//! What waits to be collected: how much, until when, and what comes back by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft::catalog::{Digest, GarbageItem, GarbageTotals, StateError, TotalsRecord, View};
use raft::time::Timestamp;
use serde::{Deserialize, Serialize};
use storage::kv::Engine;

use super::{Deletion, DeletionError};

/// Items of the queue that are looked at for a forecast.
const FORECAST_ITEMS: usize = 10_000;
/// Times of the forecast: now, an hour, a day, a week.
const FORECAST_SECONDS: [u64; 4] = [0, 3600, 86_400, 604_800];

/// What waits to be collected, and what was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GarbageStatus {
    /// Things in the queue by kind: `blob`, `link`, `manifest`, `tombstone`, `tag_history`.
    pub queued: BTreeMap<String, u64>,
    /// Those of them that are due.
    pub due: u64,
    /// Whether more are due than were counted.
    pub due_more: bool,
    /// When the first of them is due, milliseconds since the Unix epoch.
    pub next_deadline_milliseconds: Option<u64>,
    /// The catalog's time, milliseconds since the Unix epoch.
    pub now_milliseconds: u64,
    /// Blobs that no manifest uses.
    pub unreferenced_blobs: u64,
    /// Their bytes: what comes back in time unless somebody takes it up.
    pub unreferenced_bytes: u64,
    /// How much of it comes back when, as far as the first things in the queue tell.
    pub forecast: Vec<Reclaimable>,
    /// Sets of shards that were collected and wait to be unlinked: for readers, and for nodes that are away.
    pub discards: u64,
    /// Their bytes.
    pub discarded_bytes: u64,
    /// Things collected ever.
    pub collected_items: u64,
    /// Bytes of the blobs among them.
    pub collected_bytes: u64,
    /// When something was last collected, milliseconds since the Unix epoch.
    pub last_collected_milliseconds: Option<u64>,
    /// Things collected in each second of late.
    pub items_per_second: f64,
    /// Bytes collected in each second of late.
    pub bytes_per_second: f64,
    /// Most things that are collected in each second; 0 is without limit.
    pub pace_items_per_second: u64,
}

/// Bytes that come back within a time, unless somebody takes them up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reclaimable {
    /// The time, from now.
    pub within_seconds: u64,
    /// The bytes.
    pub bytes: u64,
}

/// What is in the queue, by the names of its kinds.
pub(crate) const fn queued(totals: &GarbageTotals) -> [(&'static str, u64); 5] {
    [
        ("blob", totals.blobs),
        ("link", totals.links),
        ("manifest", totals.manifests),
        ("tombstone", totals.tombstones),
        ("tag_history", totals.histories),
    ]
}

impl Deletion {
    /// What waits to be collected, and what was.
    pub async fn garbage(&self) -> Result<GarbageStatus, DeletionError> {
        let of_late = self.overviews.borrow().garbage.clone();
        let status = self
            .read(|view| {
                let (totals, now) = (view.totals()?, view.clock()?);
                let items = view.garbage(Timestamp(u64::MAX), FORECAST_ITEMS)?;
                Ok(status(&totals, now, &items, &forecast(view, now, &items)?))
            })
            .await?;
        Ok(GarbageStatus {
            items_per_second: of_late.items_per_second,
            bytes_per_second: of_late.bytes_per_second,
            pace_items_per_second: of_late.pace_items_per_second,
            ..status
        })
    }
}

fn status(
    totals: &TotalsRecord,
    now: Timestamp,
    items: &[(Timestamp, GarbageItem)],
    forecast: &[Reclaimable],
) -> GarbageStatus {
    let due = items.iter().take_while(|(deadline, _)| *deadline <= now).count();
    GarbageStatus {
        queued: queued(&totals.garbage).into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect(),
        due: due as u64,
        due_more: due == FORECAST_ITEMS,
        next_deadline_milliseconds: items.first().map(|(deadline, _)| deadline.0),
        now_milliseconds: now.0,
        unreferenced_blobs: totals.unreferenced_blobs,
        unreferenced_bytes: totals.unreferenced_bytes,
        forecast: forecast.to_vec(),
        discards: totals.discards,
        discarded_bytes: totals.discarded_bytes,
        collected_items: totals.collected_items,
        collected_bytes: totals.collected_bytes,
        last_collected_milliseconds: totals.last_collected.map(|time| time.0),
        ..GarbageStatus::default()
    }
}

/// How much comes back when. A blob goes with its last link.
fn forecast(
    view: &View<Arc<dyn Engine>>,
    now: Timestamp,
    items: &[(Timestamp, GarbageItem)],
) -> Result<Vec<Reclaimable>, StateError> {
    let mut forecast = FORECAST_SECONDS.map(|within_seconds| Reclaimable { within_seconds, bytes: 0 });
    let mut links_gone: BTreeMap<Digest, u64> = BTreeMap::new();
    let mut counted = BTreeSet::new();
    for (deadline, item) in items {
        let (digest, gone) = match item {
            GarbageItem::Blob { digest, .. } => (digest, 0),
            GarbageItem::Link { digest, .. } => {
                let gone = links_gone.entry(*digest).or_default();
                *gone += 1;
                (digest, *gone)
            }
            _ => continue,
        };
        // Gone when it was collected between the two reads.
        let Some(blob) = view.blob(digest)?.filter(|blob| blob.links <= gone) else { continue };
        if counted.insert(*digest) {
            for part in &mut forecast {
                if *deadline <= now.plus_seconds(part.within_seconds) {
                    part.bytes += blob.length_bytes;
                }
            }
        }
    }
    Ok(forecast.to_vec())
}
