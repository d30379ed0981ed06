//! Reads of what waits for someone: shortfalls, discards, expiring uploads, garbage, the change feed.

use std::ops::Range;

use storage::shard::{ExtentIndex, ObjectId};

use super::View;
use crate::catalog::apply;
use crate::catalog::command::DiscardKey;
use crate::catalog::event::Event;
use crate::catalog::garbage::{GarbageItem, is_touch_due, unheld_deadline};
use crate::catalog::layout::DiscardRecord;
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::shortfall::{ShortfallKey, ShortfallRecord};
use crate::catalog::table::{
    CatalogClock, Discards, Feed, GarbageDeadlines, GarbageQueue, ShortfallOrder, Shortfalls, UnheldManifests,
    UploadExpiries,
};
use crate::machine::State;
use crate::table::{StateError, Table};
use crate::time::Timestamp;

impl<S: State> View<S> {
    /// What one extent lacks of its redundancy; `None` when it is whole.
    pub fn shortfall(&self, object: ObjectId, extent: ExtentIndex) -> Result<Option<ShortfallRecord>, StateError> {
        Shortfalls::get(&self.state, (&object, &extent))
    }

    /// What extents of an object lack, by extent.
    pub fn shortfalls_of(&self, object: ObjectId) -> Result<Vec<(ExtentIndex, ShortfallRecord)>, StateError> {
        let rows = Shortfalls::scan::<ObjectId>(&self.state, &object, None, usize::MAX)?;
        Ok(rows.into_iter().map(|((_, extent), record)| (extent, record)).collect())
    }

    /// Extents below their redundancy, the most dangerous first, behind `after`.
    pub fn shortfalls(
        &self,
        after: Option<&ShortfallKey>,
        limit: usize,
    ) -> Result<Vec<(ShortfallKey, ShortfallRecord)>, StateError> {
        let after = after.map(|key| (&key.spare, &key.since, &key.object, &key.extent));
        let mut shortfalls = Vec::new();
        for ((spare, since, object, extent), ()) in ShortfallOrder::scan::<()>(&self.state, (), after, limit)? {
            // Gone when it was worked off between the two reads.
            if let Some(record) = Shortfalls::get(&self.state, (&object, &extent))? {
                shortfalls.push((ShortfallKey { spare, since, object, extent }, record));
            }
        }
        Ok(shortfalls)
    }

    /// Shard sets that may be unlinked at `now`, the oldest first, behind `after`.
    pub fn discards(
        &self,
        now: Timestamp,
        after: Option<&DiscardKey>,
        limit: usize,
    ) -> Result<Vec<(DiscardKey, DiscardRecord)>, StateError> {
        let after = after.map(|key| (&key.not_before, &key.object, &key.extent, &key.attempt));
        let rows = Discards::scan_between::<Timestamp>(&self.state, after, &behind(now), limit)?;
        let name = |(not_before, object, extent, attempt)| DiscardKey { not_before, object, extent, attempt };
        Ok(rows.into_iter().map(|(key, record)| (name(key), record)).collect())
    }

    /// When the first upload session expires, so that nobody proposes an expiry in vain.
    pub fn next_upload_expiry(&self) -> Result<Option<Timestamp>, StateError> {
        let first = UploadExpiries::scan::<()>(&self.state, (), None, 1)?;
        Ok(first.into_iter().next().map(|((expires, _), ())| expires))
    }

    /// Garbage whose deadline has passed at `until`, the oldest first.
    pub fn garbage(&self, until: Timestamp, limit: usize) -> Result<Vec<(Timestamp, GarbageItem)>, StateError> {
        let from = CatalogClock::get(&self.state, ())?.map_or(Timestamp(0), |clock| clock.first_garbage);
        let rows = GarbageQueue::between(&self.state, from, behind(until), limit)?;
        Ok(rows.into_iter().map(|(key, ())| key).collect())
    }

    /// The first deadline in the garbage queue, passed or not, so that nobody proposes a collection in vain; `None` when
    /// nothing waits.
    pub fn garbage_next(&self) -> Result<Option<Timestamp>, StateError> {
        Ok(self.garbage(Timestamp(u64::MAX), 1)?.into_iter().next().map(|(deadline, _)| deadline))
    }

    /// When an item goes; `None` if it is not garbage.
    pub fn garbage_deadline(&self, item: &GarbageItem) -> Result<Option<Timestamp>, StateError> {
        GarbageDeadlines::get(&self.state, item)
    }

    /// Whether a client may only be told at `now` that a repository links a blob after a touch was committed: without it
    /// the blob would not stay for a whole grace. `now` is the asker's time, if that is ahead of the catalog's.
    pub fn needs_touch(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<bool, StateError> {
        let item = GarbageItem::Link { repository: repository.clone(), digest: *digest };
        let Some(deadline) = self.garbage_deadline(&item)? else { return Ok(false) };
        let (policy, _) = self.policy(repository)?;
        Ok(is_touch_due(deadline, now.max(self.clock()?), policy.grace_seconds))
    }

    /// The same of a manifest that nothing holds.
    pub fn manifest_needs_touch(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<bool, StateError> {
        let Some(unheld) = UnheldManifests::get(&self.state, (repository, digest))? else { return Ok(false) };
        if apply::keeps_unheld(&self.state, repository)? {
            return Ok(false);
        }
        let (policy, _) = self.policy(repository)?;
        let deadline = unheld_deadline(&unheld, &policy);
        let now = now.max(self.clock()?);
        Ok(deadline.is_some_and(|deadline| is_touch_due(deadline, now, policy.grace_seconds)))
    }

    /// Events from a sequence number on, in order. A consumer whose cursor is below the kept range has lost events.
    pub fn events(&self, from_sequence: u64, limit: usize) -> Result<Vec<(u64, Event)>, StateError> {
        Feed::scan_from::<()>(&self.state, (), &from_sequence, limit)
    }

    /// Sequence numbers of the events that are kept.
    pub fn event_sequences(&self) -> Result<Range<u64>, StateError> {
        Ok(CatalogClock::get(&self.state, ())?.map_or(1..1, |clock| clock.first_sequence..clock.next_sequence))
    }
}

/// The first moment behind this one: scans end before their bound.
fn behind(moment: Timestamp) -> Timestamp {
    Timestamp(moment.0.saturating_add(1))
}
