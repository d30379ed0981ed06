//! Residency proved: where the bytes of each namespace rest, looked for on every disk of every region and in every catalog.
//!
//! Nobody is believed by what the catalogs say alone: each node lists the files of its disks and reads their headers
//! (`inventory`), each region goes through its catalog (`holdings`), and what a region does not know is asked for in the
//! others (`trace`). What may rest where follows from the directory, and is judged by pure functions (`judge`). A `run`
//! puts the questions and gathers the answers in a `report`; `audit` runs it by itself, writes down what came of it and
//! raises the alarm. `leaving` remembers for how long a region has held what it has to let go.
//!
//! What holds: an inventory costs memory for one page of a disk at a time, and every answer is bounded; nothing is changed
//! or removed here. Names of repositories do not go into the record, which every region keeps: prefixes that are in the
//! directory do.

mod alarm;
mod answer;
mod audit;
mod discarded;
mod enter;
mod holdings;
mod inventory;
mod judge;
mod leaving;
mod metrics;
mod question;
mod reach;
mod report;
mod run;
#[cfg(test)]
mod tests;
mod trace;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use raft::directory::ResidencyAudit;
use raft::id::{NodeId, RegionId};
use storage::disk::{Disks, Files};
use storage::exec::Exec;
use tokio_util::task::AbortOnDropHandle;

use crate::deletion::DirectoryRecords;
use crate::environment::Entropy;
use crate::gateway::catalog::Records;
use crate::members::Source;
use crate::peer::Peers;
use crate::regions::Regions;

pub use alarm::Alarm;
pub(crate) use alarm::{AUDITS_LOOKED_AT, alarms};
pub(crate) use answer::AnswerError;
use answer::Answerer;
use leaving::Leaving;
pub use metrics::Metrics;
pub(crate) use question::{HoldingsQuestion, InventoryQuestion, TraceQuestion};
pub use report::{DiskReport, Finding, FindingKind, NodeReport, Progress, RegionReport, Report, Row, Tally};
use run::Run;
pub use run::RunError;

/// What the proof of residency is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The own node.
    pub(crate) node: NodeId,
    /// Its region.
    pub(crate) region: RegionId,
    /// Its disks.
    pub(crate) disks: Arc<Disks>,
    /// The file system that its data directory lies on.
    pub(crate) files: Arc<dyn Files>,
    /// Where it keeps its groups.
    pub(crate) groups: PathBuf,
    /// The region's catalog.
    pub(crate) records: Arc<dyn Records>,
    /// The cluster's directory.
    pub(crate) directory: Arc<dyn DirectoryRecords>,
    /// Places, and the way to other regions.
    pub(crate) regions: Regions,
    /// Who belongs to the catalog's group.
    pub(crate) source: Arc<dyn Source>,
    /// The way to other nodes.
    pub(crate) peers: Peers,
    /// Names of proposals.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Blocking work.
    pub(crate) exec: Exec,
    /// Hours between two audits; none without any.
    pub(crate) audit_hours: u32,
    /// Gauges and counters.
    pub(crate) metrics: Metrics,
}

/// The proof of residency at one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Residency {
    answerer: Arc<Answerer>,
    /// The verification that an operator has asked for last.
    asked: Arc<Mutex<Option<Asked>>>,
}

#[derive(Debug)]
struct Asked {
    run: Arc<Run>,
    _task: AbortOnDropHandle<()>,
}

impl Residency {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { answerer: Arc::new(Answerer { parts, leaving: Leaving::default() }), asked: Arc::default() }
    }

    /// Answers questions of other nodes.
    pub(crate) fn answerer(&self) -> &Answerer {
        &self.answerer
    }

    /// Audits the own region again and again while this node leads its catalog, and keeps the alarm. Never ends.
    pub(crate) fn keep(&self) -> impl Future<Output = ()> + Send + use<> {
        audit::keep(Arc::clone(&self.answerer))
    }

    /// Begins to verify all regions, or what is below one prefix. One that runs already for the same goes on.
    ///
    /// # Errors
    /// When one for something else runs.
    pub(crate) fn verify(&self, namespace: Option<String>) -> Result<Progress, RunError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = asked.as_ref().filter(|present| !present.run.progress().ended) {
            return if present.run.namespace() == namespace.as_deref() {
                Ok(present.run.progress())
            } else {
                Err(RunError::Another { namespace: present.run.namespace().map(str::to_owned) })
            };
        }
        let run = Arc::new(Run::new(Arc::clone(&self.answerer), namespace, None));
        let progress = run.progress();
        let (task, answerer) = (Arc::clone(&run), Arc::clone(&self.answerer));
        let task = tokio::spawn(async move {
            let report = task.carry_out().await;
            // A part of the whole is no audit.
            if task.namespace().is_none() {
                audit::record(&answerer, &report).await;
            }
            task.end(report);
        });
        *asked = Some(Asked { run, _task: AbortOnDropHandle::new(task) });
        Ok(progress)
    }

    /// How far the verification is that was asked for last; `None` if there was none.
    pub(crate) fn progress(&self) -> Option<Progress> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.as_ref().map(|asked| asked.run.progress())
    }

    /// What came of it; `None` before its end.
    pub(crate) fn report(&self) -> Option<Report> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.as_ref().and_then(|asked| asked.run.report())
    }

    /// What audits have found, the newest first.
    ///
    /// # Errors
    /// When the directory's state cannot be read.
    pub(crate) fn history(&self, limit: usize) -> Result<Vec<ResidencyAudit>, raft::directory::StateError> {
        self.answerer.parts.directory.view().residency_audits(limit)
    }

    /// Regions in which something rests that may not, as far as their last audits tell.
    ///
    /// # Errors
    /// When the directory's state cannot be read.
    pub(crate) fn alarms(&self) -> Result<Vec<Alarm>, raft::directory::StateError> {
        let view = self.answerer.parts.directory.view();
        let (audits, regions) = (view.residency_audits(AUDITS_LOOKED_AT)?, view.regions()?);
        let name = |id| regions.iter().find(|(region, _)| *region == id).map(|(_, record)| record.name.clone());
        Ok(alarms(&audits, name))
    }
}
