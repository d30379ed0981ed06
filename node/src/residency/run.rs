//! One run: every region's catalog, every node's disks, and what no region of its own knows asked for in all others.
//!
//! Nodes are gone through side by side, each at a bounded pace; what they answer is entered at once, so that a run keeps
//! no more than its report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use raft::directory::{NodeRecord, NodeState, Residency, View};
use raft::id::{NodeId, RegionId};
use storage::kv::Engine;
use tokio::time::{Instant, sleep, timeout};

use super::answer::{AnswerError, Answerer};
use super::enter::{enter_holdings, enter_inventory, enter_stray, not_looked_at};
use super::question::{HoldingsQuestion, InventoryQuestion, StrayFile, TraceQuestion, TracedObject};
use super::reach::{OverPeers, Reach};
use super::report::{NodeReport, OTHERS, Progress, RegionReport, Report, Tally};
use crate::environment::BoxFuture;
use crate::regions::Places;

/// Nodes that are gone through side by side.
const NODES_AT_ONCE: usize = 16;
/// How long the directory's quorum is waited for.
const CONFIRMATION: Duration = Duration::from_secs(6);
/// An answer that does not come is asked for again so often.
const ATTEMPTS: usize = 3;
/// After this long.
const AGAIN: Duration = Duration::from_secs(2);
/// Shortest rest of a node between two answers while nobody waits for them.
const REST_MIN: Duration = Duration::from_millis(50);

/// What is always to be known of the result.
const NOTES: [&str; 4] = [
    "Raft's logs, and snapshots of earlier states, keep commands that are no longer in force, manifests and small blobs \
     among them, until they are purged: after some thousands of further commands, or when the next snapshot replaces the \
     last. They are those of the region's own catalog, and are not looked into",
    "bytes that were deleted can still be on the medium until they are overwritten: this proves what files there are, and \
     not what a disk can be made to give back",
    "files outside the nodes' disks and group directories are not looked at: copies and backups that people have made, \
     swap, crash dumps, what an orchestrator keeps of logs; nor are files whose names are not valid UTF-8",
    "machines that were removed from the cluster, and disks that were taken out, are not asked any more: empty them",
];

/// Why a verification was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// One for something else runs.
    #[error("residency is being verified already{}: wait for its end", .namespace.as_ref().map(|name| format!(" for {name:?}")).unwrap_or_default())]
    Another {
        /// What it is for; all without it.
        namespace: Option<String>,
    },
}

/// A run.
#[derive(Debug)]
pub(super) struct Run {
    answerer: Arc<Answerer>,
    reach: Arc<dyn Reach>,
    namespace: Option<String>,
    /// The one region that is looked at; all without it.
    only: Option<RegionId>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    progress: Progress,
    report: Option<Report>,
}

/// A node that is asked.
#[derive(Clone, Debug)]
struct Asked {
    id: NodeId,
    region: RegionId,
    record: NodeRecord,
}

/// What everything is judged by.
#[derive(Clone, Debug)]
struct Ground {
    places: Arc<Places>,
    version: u64,
    nodes: Vec<Asked>,
}

impl Run {
    pub(super) fn new(answerer: Arc<Answerer>, namespace: Option<String>, only: Option<RegionId>) -> Self {
        let reach: Arc<dyn Reach> = Arc::new(OverPeers(Arc::clone(&answerer)));
        Self { answerer, reach, namespace, only, state: Mutex::default() }
    }

    /// The same with another way to those who are asked.
    #[cfg(test)]
    pub(super) fn through(self, reach: Arc<dyn Reach>) -> Self {
        Self { reach, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub(super) fn progress(&self) -> Progress {
        self.state().progress.clone()
    }

    pub(super) fn report(&self) -> Option<Report> {
        self.state().report.clone()
    }

    /// It is over.
    pub(super) fn end(&self, report: Report) {
        let mut state = self.state();
        state.report = Some(report);
        state.progress.ended = true;
    }

    /// Carries it out.
    pub(super) async fn carry_out(&self) -> Report {
        let mut report = Report { namespace: self.namespace.clone(), ..Report::default() };
        report.notes = NOTES.map(str::to_owned).to_vec();
        let ground = match self.ground(&mut report).await {
            Ok(ground) => ground,
            Err(error) => {
                report.misses(None, format!("the directory cannot be read: {error}"));
                return report;
            }
        };
        self.state().progress.nodes = ground.nodes.len() as u64;
        let regions: Vec<RegionId> = report.regions.iter().map(|region| RegionId(region.id)).collect();
        let report = Mutex::new(report);
        for region in regions {
            self.region(region, &ground, &report).await;
        }
        let looks = ground.nodes.iter().map(|node| self.node(node, &ground, &report));
        stream::iter(looks.map(Box::pin).collect::<Vec<_>>()).for_each_concurrent(NODES_AT_ONCE, |look| look).await;
        let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
        Self::describe(&ground, &mut report);
        report.ended_milliseconds = self.clock();
        report
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        self.answerer.parts.directory.view()
    }

    /// Tells how far it is.
    fn went_on(&self, files: u64, violations: u64) {
        let mut state = self.state();
        state.progress.files += files;
        state.progress.violations = violations;
    }

    /// The directory's clock. One that cannot be read says nothing.
    fn clock(&self) -> u64 {
        self.view().clock().map_or(0, |clock| clock.0)
    }

    /// Reads the directory, with what was set anywhere before.
    async fn ground(&self, report: &mut Report) -> Result<Ground, AnswerError> {
        let confirmed = timeout(CONFIRMATION, self.answerer.parts.directory.barrier()).await;
        let view = self.view();
        let version = view.policy_version()?;
        let places = self.answerer.places(version).await?;
        report.began_milliseconds = self.clock();
        report.policy_version = places.version();
        for region in places.regions().filter(|region| self.only.is_none_or(|only| only == region.id)) {
            let (id, name) = (region.id.0, region.name.clone());
            report.regions.push(RegionReport { id, name, ..RegionReport::default() });
        }
        if !matches!(confirmed, Ok(Ok(()))) {
            report
                .misses(None, "the directory has no quorum that answers: what was set of late is not known".to_owned());
        }
        let takes_part = |record: &NodeRecord| matches!(record.state, NodeState::Active | NodeState::Draining);
        let nodes = view.nodes()?.into_iter().filter(|(_, record)| takes_part(record));
        let nodes = nodes.map(|(id, record)| Asked { id, region: record.region, record });
        let nodes = nodes.filter(|node| self.only.is_none_or(|only| only == node.region)).collect();
        Ok(Ground { version: places.version(), places, nodes })
    }

    /// Goes through the catalog of a region.
    async fn region(&self, region: RegionId, ground: &Ground, report: &Mutex<Report>) {
        let name = ground.places.region(region).map_or_else(|| region.to_string(), |region| region.name.clone());
        let mut after = None;
        loop {
            let question = HoldingsQuestion {
                policy_version: ground.version,
                namespace: self.namespace.clone(),
                after: after.take(),
            };
            let begun = Instant::now();
            match patiently(|| self.reach.holdings(region, question.clone())).await {
                Ok(answer) => {
                    let mut report = locked(report);
                    after = enter_holdings(&mut report, region, &name, answer);
                    self.state().progress.violations = report.violations_total;
                }
                Err(error) => {
                    let mut report = locked(report);
                    report
                        .misses(Some(region), format!("the catalog of region {name} was not looked through: {error}"));
                    if let Some(report) = report.region(region) {
                        report.error = Some(error);
                    }
                    return;
                }
            }
            if after.is_none() {
                return;
            }
            self.rest(begun.elapsed()).await;
        }
    }

    /// Goes through the disks of a node.
    async fn node(&self, node: &Asked, ground: &Ground, report: &Mutex<Report>) {
        let name = &node.record.info.name;
        let region = ground.places.region(node.region).map_or_else(|| node.region.to_string(), |one| one.name.clone());
        let mut told = NodeReport { id: node.id.0, name: name.clone(), ..NodeReport::default() };
        let mut after = None;
        loop {
            let question = InventoryQuestion {
                policy_version: ground.version,
                namespace: self.namespace.clone(),
                after: after.take(),
            };
            let begun = Instant::now();
            let mut answer = match patiently(|| self.reach.inventory(node.id, question.clone())).await {
                Ok(answer) => answer,
                Err(error) => {
                    let sentence = format!("node {} ({name}) was not looked through: {error}", node.id);
                    locked(report).misses(Some(node.region), sentence);
                    told.error = Some(error);
                    break;
                }
            };
            after = answer.next.take();
            let strays = std::mem::take(&mut answer.strays);
            let files = answer.shards.files + answer.others.files;
            enter_inventory(&mut locked(report), (node.region, &region), &mut told, answer);
            self.trace(node, &region, ground, strays, &mut told, report).await;
            self.went_on(files, locked(report).violations_total);
            if after.is_none() {
                break;
            }
            self.rest(begun.elapsed()).await;
        }
        let mut report = locked(report);
        for sentence in not_looked_at(&node.record, &told) {
            report.misses(Some(node.region), sentence);
        }
        if let Some(report) = report.region(node.region) {
            report.nodes.push(told);
            report.nodes.sort_unstable_by_key(|node| node.id);
        }
        drop(report);
        self.state().progress.nodes_done += 1;
    }

    /// Asks all other regions for what a region does not know.
    async fn trace(
        &self,
        node: &Asked,
        region: &str,
        ground: &Ground,
        strays: Vec<StrayFile>,
        told: &mut NodeReport,
        report: &Mutex<Report>,
    ) {
        if strays.is_empty() {
            return;
        }
        let mut objects: Vec<String> = strays.iter().map(|stray| stray.object.clone()).collect();
        objects.sort_unstable();
        objects.dedup();
        let mut known: BTreeMap<String, (String, TracedObject)> = BTreeMap::new();
        for other in ground.places.regions().filter(|other| other.id != node.region) {
            let question = TraceQuestion {
                policy_version: ground.version,
                namespace: self.namespace.clone(),
                found_in: node.region.0,
                objects: objects.clone(),
            };
            match patiently(|| self.reach.trace(other.id, question.clone())).await {
                Ok(answer) => {
                    for traced in answer.known {
                        known.entry(traced.object.clone()).or_insert((other.name.clone(), traced));
                    }
                }
                Err(error) => {
                    let sentence = format!(
                        "whether {} files on node {} ({}) that its region does not know are of region {} was not found \
                         out: {error}",
                        strays.len(),
                        node.id,
                        told.name,
                        other.name
                    );
                    locked(report).misses(Some(node.region), sentence);
                }
            }
        }
        let mut report = locked(report);
        for stray in strays {
            enter_stray(&mut report, (node.region, region), told, known.get(&stray.object), stray);
        }
    }

    /// Says of each row what holds for its namespace.
    fn describe(ground: &Ground, report: &mut Report) {
        for row in &mut report.rows {
            let place = ground.places.place(&row.namespace).filter(|_| row.namespace != OTHERS);
            let Some(place) = place else { continue };
            row.home = ground.places.region(place.home).map(|region| region.name.clone()).unwrap_or_default();
            let residency = match &place.residency {
                Residency::Home => "home",
                Residency::Pinned => "pinned",
                Residency::Replicated(_) => "replicated",
            };
            residency.clone_into(&mut row.residency);
        }
        report.rows.sort_by(|one, other| (&one.namespace, &one.region).cmp(&(&other.namespace, &other.region)));
        let unknown = report.regions.iter().flat_map(|region| &region.nodes).fold(Tally::default(), |sum, node| {
            Tally { files: sum.files + node.unknown.files, bytes: sum.bytes + node.unknown.bytes }
        });
        if unknown.files > 0 {
            report.notes.push(format!(
                "{} shard files ({} bytes) are of objects that no catalog knows: they were deleted, or their upload was \
                 given up, and whose they were is not known; the scrub removes them after scrub.orphan_grace_seconds",
                unknown.files, unknown.bytes
            ));
        }
    }

    /// Rests as long as an answer has taken, if nobody waits for the run.
    async fn rest(&self, taken: Duration) {
        if self.only.is_some() {
            sleep(taken.max(REST_MIN)).await;
        }
    }
}

/// Asks again what was not answered.
async fn patiently<'a, A>(ask: impl Fn() -> BoxFuture<'a, Result<A, String>>) -> Result<A, String> {
    let mut attempt = 1;
    loop {
        match ask().await {
            Err(_) if attempt < ATTEMPTS => {
                attempt += 1;
                sleep(AGAIN).await;
            }
            outcome => return outcome,
        }
    }
}

fn locked(report: &Mutex<Report>) -> MutexGuard<'_, Report> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}
