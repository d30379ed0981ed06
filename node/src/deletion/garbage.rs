//! What waits to be collected: how much, until when, and what comes back by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft::catalog::{Digest, GarbageItem, GarbageTotals, StateError, View};
use raft::time::Timestamp;
use serde::{Deserialize, Serialize};
use storage::kv::Engine;

use super::{Deletion, DeletionError};
use crate::background::GarbageOverview;

/// Items of the queue that are looked at for a forecast.
const FORECAST_ITEMS: usize = 10_000;
/// Times of the forecast: now, an hour, a day, a week.
const FORECAST_SECONDS: [u64; 4] = [0, 3600, 86_400, 604_800];

/// What waits to be collected, and what was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GarbageStatus {
    /// All in all.
    #[serde(flatten)]
    pub overview: GarbageOverview,
    /// Things in the queue by kind: `blob`, `link`, `manifest`, `tombstone`, `tag_history`.
    pub queued_by_kind: BTreeMap<String, u64>,
    /// Those of them that are due.
    pub due: u64,
    /// Whether more are due than were counted.
    pub due_more: bool,
    /// The catalog's time, milliseconds since the Unix epoch.
    pub now_milliseconds: u64,
    /// Blobs that no manifest uses.
    pub unreferenced_blobs: u64,
    /// How much of their bytes comes back when, as far as the first things in the queue tell.
    pub forecast: Vec<Reclaimable>,
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
        self.read(|view| {
            let (totals, now) = (view.totals()?, view.clock()?);
            let items = view.garbage(Timestamp(u64::MAX), FORECAST_ITEMS)?;
            let due = items.iter().take_while(|(deadline, _)| *deadline <= now).count();
            Ok(GarbageStatus {
                overview: of_late.with(&totals, items.first().map(|(deadline, _)| *deadline)),
                queued_by_kind: queued(&totals.garbage)
                    .into_iter()
                    .map(|(kind, count)| (kind.to_owned(), count))
                    .collect(),
                due: due as u64,
                due_more: due == FORECAST_ITEMS,
                now_milliseconds: now.0,
                unreferenced_blobs: totals.unreferenced_blobs,
                forecast: forecast(view, now, &items)?,
            })
        })
        .await
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
