//! An extent to read from, which may be written anew elsewhere meanwhile.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use raft::catalog::{CodedExtent, ExtentBody};
use storage::shard::{ExtentIndex, ObjectId};

use super::plan::{self, Window};
use super::window::{self, FetchError};
use crate::gateway::budget::Share;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;
use crate::gateway::error::ReadError;

/// Times that a reader follows an extent to its new place.
const REPLACEMENTS_MAX: usize = 4;

/// An extent and its object.
#[derive(Clone, Debug)]
pub(crate) struct ExtentSource {
    /// The object.
    pub(crate) object: ObjectId,
    /// The extent's index.
    pub(crate) index: ExtentIndex,
    /// Its shards, as far as is known.
    pub(crate) coded: Arc<CodedExtent>,
}

impl ExtentSource {
    /// Windows of the whole extent, in order.
    pub(crate) fn windows(&self, core: &Core) -> impl Iterator<Item = Window> + Send + use<> {
        let geometry = self.coded.geometry;
        plan::windows(geometry, 0..geometry.length_bytes, self.stripes_per_window(core))
    }

    /// The first window of a range.
    pub(super) fn first_window(&self, core: &Core, range: Range<u64>) -> Option<Window> {
        plan::first_window(&self.coded.geometry, range, self.stripes_per_window(core))
    }

    /// Verified bytes of a window, in order, to be worked on by this node itself.
    pub(crate) async fn fetch(&self, core: &Arc<Core>, window: &Window) -> Result<Vec<Bytes>, ReadError> {
        let share = core.copies.share(self.cost_bytes(window)).await;
        self.fetch_within(core, window, share).await
    }

    /// Bytes in memory while a window is fetched and until it is used.
    pub(super) fn cost_bytes(&self, window: &Window) -> usize {
        let geometry = &self.coded.geometry;
        let blocks = window.stripes.clone().map(|stripe| geometry.block_length_bytes(stripe) as usize);
        blocks.sum::<usize>() * geometry.profile.data()
    }

    /// Verified bytes of a window, in order, which own the share.
    pub(super) async fn fetch_within(
        &self,
        core: &Arc<Core>,
        window: &Window,
        share: Share,
    ) -> Result<Vec<Bytes>, ReadError> {
        Ok(share.own(self.fetch_uncounted(core, window).await?))
    }

    async fn fetch_uncounted(&self, core: &Arc<Core>, window: &Window) -> Result<Vec<Bytes>, ReadError> {
        let mut source = self.clone();
        let mut refreshed = false;
        for _ in 0..REPLACEMENTS_MAX {
            match source.fetch_as_known(core, window, &self.coded).await {
                Ok(bytes) => return Ok(bytes),
                Err(FetchError::Replaced(body)) => match body {
                    ExtentBody::Inline(bytes) => return Ok(vec![cut(&bytes, &window.bytes)]),
                    ExtentBody::Coded(coded) => source.coded = Arc::new(coded),
                },
                Err(FetchError::Unreadable(message)) => {
                    // This replica may not know yet that the extent was replaced, or that the object is gone.
                    if refreshed || core.records.barrier().await.is_err() {
                        return Err(self.unreadable(message));
                    }
                    refreshed = true;
                    match source.current(core)? {
                        Some(ExtentBody::Coded(coded)) if coded.attempt != source.coded.attempt => {
                            source.coded = Arc::new(coded);
                        }
                        Some(ExtentBody::Inline(bytes)) => return Ok(vec![cut(&bytes, &window.bytes)]),
                        // A push of the same bytes may have put another object in its place.
                        None if self.is_gone(core)? => return Err(ReadError::Gone { object: self.object }),
                        _ => return Err(self.unreadable(message)),
                    }
                }
                Err(FetchError::Failed(error)) => return Err(error),
            }
        }
        Err(self.unreadable("the extent is written anew again and again".to_owned()))
    }

    /// Fetches from the shards known now; the window was planned for `planned`, and is planned again if those differ.
    async fn fetch_as_known(
        &self,
        core: &Arc<Core>,
        window: &Window,
        planned: &CodedExtent,
    ) -> Result<Vec<Bytes>, FetchError> {
        if self.coded.geometry == planned.geometry {
            return window::fetch(core, self, window).await;
        }
        let mut bytes = Vec::new();
        for part in plan::windows(self.coded.geometry, window.bytes.clone(), self.stripes_per_window(core)) {
            bytes.extend(window::fetch(core, self, &part).await?);
        }
        Ok(bytes)
    }

    /// What the catalog says of this extent now, as far as this replica knows.
    pub(super) fn current(&self, core: &Core) -> Result<Option<ExtentBody>, ReadError> {
        let record = core.records.view().extent(self.object, self.index);
        let record = record.map_err(CatalogError::from)?;
        Ok(record.map(|record| record.body))
    }

    /// Whole stripes of about the wished size. With many readers each gets less, so that their sum stays bounded.
    fn stripes_per_window(&self, core: &Core) -> u64 {
        // Besides the window that the client takes, two are fetched ahead.
        const WINDOWS_PER_READER: u64 = 3;
        let readers = u64::try_from(core.metrics.reads_active.get()).unwrap_or(0).max(1);
        let fair = core.reads.total_bytes() as u64 / (WINDOWS_PER_READER * readers);
        fair.min(core.options.window_size_bytes) / self.coded.geometry.stripe_size_bytes().max(1)
    }

    /// Whether the object exists no more, as far as this replica knows. Extents that are not committed yet have one.
    fn is_gone(&self, core: &Core) -> Result<bool, ReadError> {
        let object = core.records.view().object(self.object);
        Ok(object.map_err(CatalogError::from)?.is_none())
    }

    fn unreadable(&self, message: String) -> ReadError {
        ReadError::Unreadable { object: self.object, extent: self.index.0, message }
    }
}

fn cut(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let clamp = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(clamp(range.start)..clamp(range.end))
}
