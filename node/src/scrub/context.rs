//! What the tasks of all disks share: the shards, the catalog, and the report of a shard that has to be rebuilt.

use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{CodedExtent, Command, DiskLocation, Shortfall, ShortfallReason};
use raft::id::RequestId;
use raft::time::Timestamp;
use storage::disk::{Disk, DiskHealth};
use storage::exec::Exec;
use storage::shard::{Attempt, DiskId, ShardName};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::metrics::Metrics;
use super::options::Options;
use super::work::Work;
use crate::environment::Entropy;
use crate::gateway::catalog::{CatalogError, Records};
use crate::shards::LocalShards;

/// Pause before the catalog is asked again that did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// What they share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) local: LocalShards,
    pub(super) records: Arc<dyn Records>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) exec: Exec,
    pub(super) options: Options,
    pub(super) metrics: Metrics,
}

impl Context {
    /// A disk of this node, as the catalog names it.
    pub(super) fn location(&self, disk: DiskId) -> DiskLocation {
        DiskLocation { node: self.local.own(), disk }
    }

    /// The disk, if it can be read.
    pub(super) fn usable(&self, disk: DiskId) -> Option<Arc<Disk>> {
        let usable =
            |disk: &Arc<Disk>| matches!(disk.health(), DiskHealth::Healthy | DiskHealth::Full | DiskHealth::ReadOnly);
        self.local.disks().get(disk).filter(usable)
    }

    /// Whether the disk is there at this moment: its silence about a file says something then.
    pub(super) async fn is_present(&self, disk: DiskId) -> bool {
        let Some(disk) = self.usable(disk) else { return false };
        self.exec.run(move || disk.is_present()).await
    }

    /// The catalog's clock.
    pub(super) fn now(&self) -> Result<Timestamp, CatalogError> {
        Ok(self.records.view().clock()?)
    }

    /// The extent of a shard, if its layout refers to this file on this disk.
    pub(super) fn placed(&self, disk: DiskId, name: &ShardName) -> Result<Option<CodedExtent>, CatalogError> {
        let record = self.records.view().extent(name.object, name.extent)?;
        let coded = record.and_then(|record| record.body.into_coded());
        Ok(coded.filter(|coded| coded.refers_to(self.location(disk), name)))
    }

    /// Whether the catalog has heard already that this very shard is bad.
    pub(super) fn is_listed(&self, name: &ShardName, layout: Attempt) -> Result<bool, CatalogError> {
        let Some(listed) = self.records.view().shortfall(name.object, name.extent)? else { return Ok(false) };
        // That its node or disk was given up says nothing about the shard itself.
        let found = |cause: ShortfallReason| !cause.is_of_location();
        let missing = listed.missing.iter().any(|missing| missing.shard == name.shard && found(missing.cause));
        Ok(listed.attempt == layout && missing)
    }

    /// Waits until the local replica holds everything that was acknowledged before, however long that takes.
    pub(super) async fn catch_up(&self) {
        while let Err(error) = self.records.barrier().await {
            debug!(%error, "the scrub waits for the catalog");
            sleep(RETRY).await;
        }
    }

    /// Tells the catalog of a shard that has to be rebuilt, once for each layout, however long it takes to be heard. The
    /// caller has caught up, and found the shard in the layout.
    pub(super) async fn report(&self, name: &ShardName, layout: Attempt, reason: ShortfallReason) {
        let request = RequestId(self.entropy.id());
        loop {
            match self.is_listed(name, layout) {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => debug!(%error, "the list of shortfalls cannot be read"),
            }
            let command = Command::ReportShortfall {
                object: name.object,
                extent: name.extent,
                attempt: layout,
                shortfall: Shortfall { missing: vec![name.shard], reason },
            };
            match self.records.propose(request, command).await {
                Ok(_) => return,
                Err(error) => debug!(%error, "a bad shard cannot be reported yet"),
            }
            sleep(RETRY).await;
        }
    }

    /// Writes the notes to their disk. One that cannot be written to loses them with the next restart, and no more.
    pub(super) async fn save(&self, work: &Work) {
        let Some(disk) = self.local.disks().get(work.disk).filter(|disk| disk.health().takes_notes()) else { return };
        let notes = work.notes().clone();
        let id = work.disk;
        if let Err(error) = self.exec.run(move || notes.save(&disk)).await {
            warn!(disk = %id, %error, "notes of the scrub cannot be written");
        }
    }
}
