//! What operators ask about deleting: the policies of namespaces, what they use, garbage, deletion jobs, what tags
//! pointed to, what was deleted and can be restored. Where a namespace rests is set here too, as a part of its policy
//! (`place`), and its home changed: with all that is below it (`home`, `family`, `arrival`), or without the present one's
//! consent (`seizure`), whose content stays aside until somebody has looked at it (`aside`).
//!
//! Any node of the region answers. Policies are set in the directory, everything else is the catalog's; what takes long is done by the
//! background work of the catalog's leader (`background::{collect, policies, jobs, retention}`), by the same judgement
//! (`judge`) that is shown here beforehand. Who may ask is not decided here.

mod arrival;
mod aside;
mod collect;
mod directory;
mod distant;
mod error;
mod family;
mod garbage;
mod history;
mod home;
mod jobs;
mod judge;
mod metrics;
mod namespace;
mod place;
mod preview;
mod refusal;
mod seizure;
#[cfg(test)]
pub(crate) mod testing;
mod usage;

use std::sync::{Arc, Mutex};

use raft::catalog::{StateError, View};
use raft::directory::Directory;
use raft::group::Group;
use storage::kv::Engine;
use tokio::sync::watch;

use crate::background::Overview;
use crate::gateway::Gateway;
use crate::gateway::core::Core;
use crate::regions::Regions;

pub use arrival::Held;
pub use collect::Collected;
pub(crate) use collect::collect_some;
pub(crate) use directory::DirectoryRecords;
pub use error::DeletionError;
pub(crate) use garbage::queued;
pub use garbage::{GarbageStatus, Reclaimable};
pub use history::{DeletedTags, Restored};
pub use home::HomeChange;
pub use jobs::BulkDeletion;
pub use judge::Verdict;
pub(crate) use judge::{Judge, Page as JudgedPage, Plan};
pub use metrics::DeletionMetrics;
pub use namespace::{Applied, Explanation, NamespaceStatus, TagExplanation};
pub use place::{Listing, Placed};
pub use preview::{Preview, PreviewEntry};
pub use refusal::Refusal;
pub use usage::Bound;

use preview::Kept;

/// What operators ask about deleting. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Deletion {
    core: Arc<Core>,
    directory: Arc<dyn DirectoryRecords>,
    overviews: watch::Receiver<Arc<Overview>>,
    regions: Regions,
    /// The judgement of the repository that was looked at last, so that its next page costs nothing.
    kept: Arc<Mutex<Option<Kept>>>,
}

impl Deletion {
    /// Asks the catalog of this gateway and this directory.
    #[must_use]
    pub fn new(
        gateway: &Gateway,
        directory: Arc<Group<Directory>>,
        overviews: watch::Receiver<Arc<Overview>>,
        regions: Regions,
    ) -> Self {
        Self::over(gateway, directory, overviews, regions)
    }

    /// The same over any directory.
    pub(crate) fn over(
        gateway: &Gateway,
        directory: Arc<dyn DirectoryRecords>,
        overviews: watch::Receiver<Arc<Overview>>,
        regions: Regions,
    ) -> Self {
        Self { core: Arc::clone(gateway.core()), directory, overviews, regions, kept: Arc::default() }
    }

    /// The cluster's regions.
    pub(crate) const fn regions(&self) -> &Regions {
        &self.regions
    }

    /// Reads the catalog as of now, off the asynchronous threads.
    async fn read<T, F>(&self, work: F) -> Result<T, DeletionError>
    where
        T: Send + 'static,
        F: FnOnce(&View<Arc<dyn Engine>>) -> Result<T, StateError> + Send + 'static,
    {
        self.core.records.barrier().await?;
        let view = self.core.records.view();
        Ok(self.core.exec.run(move || work(&view)).await?)
    }
}
