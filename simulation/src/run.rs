//! One run of one seed: boot, faults and an operator's orders under load, healing, recovery, the final reading, the
//! verdict; in some runs a scrub of everything, and another verdict.
//!
//! This file is the order of it. What goes wrong is [`fault`](crate::fault)'s, what clients do
//! [`workload`](crate::workload)'s, what must hold the [`judges`](crate::judge)'.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use raft::policy::NamespacePolicy;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing_subscriber::layer::SubscriberExt;

use crate::cluster::{self, Client, Control, Inspector, World};
use crate::configuration::{ClusterConfiguration, Configuration, SHORT_ORPHAN_GRACE_SECONDS};
use crate::fault::target::WrittenExtent;
use crate::fault::{Atlas, Injected, Nemesis, supervise};
use crate::history::History;
use crate::judge::availability::{Promise, probe};
use crate::judge::inspection::{Demands, Ground, Inspection};
use crate::judge::liveness::{self, Facts, NodeFacts};
use crate::judge::log::{Expected, LogJudge};
use crate::judge::raft_safety::RaftSafety;
use crate::judge::{Court, authority, lease, linearizability};
use crate::mutation::Mutation;
use crate::operator::authority::Authority;
use crate::operator::garbage::{empty, set_policies};
use crate::operator::{Operator, OrderKind};
use crate::outcome::Outcome;
use crate::seed::Seed;
use crate::switches::Switches;
use crate::trace::Trace;
use crate::workload::{Workload, client_task, verify_all};

/// Longest virtual time until a cluster has booted.
const BOOT: Duration = Duration::from_mins(3);
/// Rest after the boot, in which nobody asks anything.
const REST: Duration = Duration::from_secs(5);
/// How long the clients go on after everything was healed.
const AFTERMATH: Duration = Duration::from_secs(5);
/// Longest time until each client has ended what it was at.
const LAST_REQUESTS: Duration = Duration::from_mins(5);
/// Longest time of the final reading.
const READING: Duration = Duration::from_mins(10);
/// Quiet at the end, after which every queue has drained: leftovers, discards and idle connections have their delays.
const QUIET: Duration = Duration::from_secs(75);
/// The same if a disk's orphans are to be gone, whose grace is a minute: they are noted by one inventory, which takes a
/// third of that, and removed by another one. The catalog's clock, by which the grace is counted, lags by as much at rest.
const STRAYS_GONE: Duration = Duration::from_secs(150);
/// In which what a scrub has found reaches the catalog, and all nodes.
const REPORTED: Duration = Duration::from_secs(10);
/// In which what a changed cluster has outgrown is found, once it has been calm for the grace of nodes.
const OUTGROWN: Duration = Duration::from_secs(15);
/// In which each node is looked at several times.
const SETTLING: Duration = Duration::from_millis(500);
/// Longest time until every node could be looked into at rest.
const LAST_LOOK: Duration = Duration::from_secs(30);
/// What a node says that was removed.
const REMOVED: &str = "was removed from cluster";
/// Writes that may be interrupted in any run so that all of their shards stay.
const ORPHANED_WRITES: usize = 2;
/// Faults of which one may do that besides. Seen were 49 orphaned shards after 2,057 faults in 36 runs, 16 at most in one.
const FAULTS_PER_ORPHANED_WRITE: usize = 8;
/// Longest virtual time of everything but the faults.
const ALL_ELSE: Duration = Duration::from_hours(1);
/// How often waiters look.
const POLL: Duration = Duration::from_millis(50);

/// What a run does besides what its seed decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// The fault that is planted to test the judges, one of [`MUTATIONS`](crate::mutation::MUTATIONS).
    pub mutation: Option<&'static str>,
}

/// What only becomes known in the course of a run.
#[derive(Clone, Debug, Default)]
struct Findings {
    injected: Injected,
    orders: BTreeMap<OrderKind, u64>,
    orphans: usize,
}

/// Everything that one run consists of.
#[derive(Clone)]
struct Run {
    configuration: Configuration,
    work: Workload,
    atlas: Atlas,
    inspection: Arc<Inspection>,
    findings: Arc<Mutex<Findings>>,
}

/// Runs a seed.
#[must_use]
pub fn run_seed(seed: Seed, options: &RunOptions, trace: &Trace, court: &Court) -> Outcome {
    let configuration = Configuration::from_seed(seed);
    let switches = Switches::install(&configuration, options.mutation.and_then(Mutation::named));
    let atlas = Atlas::of(&configuration);
    let history = History::default();
    let held: Arc<OnceLock<Control>> = Arc::default();
    let log = LogJudge::new(court.clone(), expected(&held));
    let _panics = log.watch_panics();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(trace.clone()).with(log));

    let surroundings = cluster::surroundings(configuration.computers());
    let work = Workload::new(surroundings, &configuration, history.clone(), court.clone())
        .with_garbage(&configuration.garbage);
    let terms = work.terms.clone();
    work.serve(1..=configuration.cluster.nodes);
    let run = Run {
        inspection: Arc::new(inspection(&configuration, &atlas, court, &held)),
        configuration,
        work,
        atlas,
        findings: Arc::default(),
    };
    let ended = run.clone().world(court).run_with_clients(trace, court, run.clients(), {
        let run = run.clone();
        move |control| {
            // It is set once.
            let _ = held.set(control.clone());
            async move { run.story(control).await }
        }
    });
    if let Err(error) = ended
        && court.first().is_none()
    {
        court.accuse_at(trace.reached(), "run", format!("{error:#}"));
    }
    lease::judge(&history, &terms, court);
    let undecided = linearizability::judge(&lease::without_lapses(&history, &terms), court).undecided;
    drop(switches);
    run.outcome(trace, court, undecided.len())
}

/// Errors in a log are expected where a disk fails its node, or has just done so, and of a node that was told to leave when
/// it says so and ends.
fn expected(held: &Arc<OnceLock<Control>>) -> Expected {
    let held = Arc::clone(held);
    Arc::new(move |line| {
        let now = turmoil::sim_elapsed().unwrap_or_default();
        let node = line.node.zip(held.get());
        node.is_some_and(|(node, control)| {
            let leaves = control.is_dismissed(node) && line.text.contains(REMOVED);
            leaves || control.computer(node).is_failed_by_a_disk(now)
        })
    })
}

fn inspection(
    configuration: &Configuration,
    atlas: &Atlas,
    court: &Court,
    held: &Arc<OnceLock<Control>>,
) -> Inspection {
    let ground = Ground::of(held, configuration.settings.snapshot_after_entries);
    let atlas = atlas.clone();
    Inspection::new(
        court,
        &ground,
        Arc::new(move |number, name| atlas.is_damaged(number, &WrittenExtent(name.object, name.extent, name.attempt))),
    )
}

impl Run {
    fn world(self, court: &Court) -> World {
        let inspection = self.inspection;
        let inspector: Inspector = Arc::new(move |number, node| inspection.inspect(number, node));
        World {
            seed: self.configuration.seed,
            cluster: ClusterConfiguration {
                nodes: self.configuration.computers(),
                ..self.configuration.cluster.clone()
            },
            settings: self.configuration.settings.clone(),
            founders: self.configuration.cluster.nodes,
            limit: ALL_ELSE + self.configuration.fault_phase(),
            witness: Some(Arc::new(RaftSafety::new(court.clone()))),
            inspector: Some(inspector),
        }
    }

    /// The clients, which wait until the story lets them begin.
    fn clients(&self) -> Vec<Client> {
        let client = |number| {
            let work = self.work.clone();
            let client: Client = Box::pin(async move {
                while !work.is_begun() {
                    sleep(POLL).await;
                }
                client_task(number, work.clone()).await;
                work.ended();
            });
            client
        };
        (1..=self.configuration.workload.clients).map(client).collect()
    }

    async fn story(self, control: Control) -> Result<()> {
        let all: Vec<usize> = control.members().into_iter().collect();
        control.ready(&all, BOOT).await.context("the cluster boots")?;
        sleep(REST).await;
        self.inspection.booted();
        if !set_policies(&control, self.policies()).await {
            return Ok(());
        }
        let mut authority = None;
        if self.configuration.cluster.closed {
            let repositories = &self.work.library.repositories;
            authority = Authority::establish(&control, self.configuration.seed, repositories).await;
            if authority.is_none() {
                return Ok(());
            }
        }

        let _supervisor = AbortOnDropHandle::new(tokio::spawn(supervise(control.clone(), self.atlas.clone())));
        self.work.begin();
        let prober = tokio::spawn(probe(self.work.clone(), self.promise()));
        let authority =
            authority.map(|operator| tokio::spawn(authority::watch(control.clone(), self.work.clone(), operator)));
        let mut nemesis = Nemesis::new(&self.configuration, control.clone(), self.atlas.clone());
        self.findings().injected = nemesis.injected();
        let mut operator = Operator::new(&self.configuration, control.clone(), self.atlas.clone(), self.work.clone());
        tokio::join!(nemesis.rage(), operator.rage());
        control.trace.note("all faults end");
        nemesis.heal_all().await;
        sleep(AFTERMATH).await;
        self.work.stop();
        self.wait_for_clients().await?;
        let _succeeded = prober.await;
        let authority = match authority {
            Some(watch) => Some(watch.await.context("the judge of authority ends")?),
            None => None,
        };

        control.trace.note("recovery");
        let completed = operator.complete().await;
        self.findings().orders = operator.done();
        if !completed {
            return Ok(());
        }
        if !self.configuration.operator.orders.is_empty() {
            sleep(Duration::from_secs(self.configuration.settings.node_grace_seconds) + OUTGROWN).await;
        }
        let facts = self.facts(&control);
        if liveness::revive(&self.work, &facts, liveness::BOUND).await.is_none() {
            return Ok(());
        }
        if let Some(mut operator) = authority {
            authority::settle(&control, self.configuration.seed, &mut operator).await;
        }
        control.trace.note("the final reading");
        self.inspection.reading_begins();
        let verified = verify_all(&self.work, READING).await;
        // Until each node was looked at.
        sleep(SETTLING).await;
        self.inspection.reading_ended();
        control.trace.note(&format!("{verified:?}"));
        // What the reading found damaged is written anew.
        if liveness::revive(&self.work, &facts, liveness::BOUND).await.is_none() {
            return Ok(());
        }
        let whole = self.atlas.lost_voters() == 0;
        let demands = Demands { orphans_max: self.orphans_max(), whole, ..Demands::default() };
        self.look(&control, QUIET, demands).await;
        if self.configuration.operator.scrubs_in_the_end
            && self.work.court.first().is_none()
            && !self.scrub(&control, &operator, &facts, demands).await
        {
            return Ok(());
        }
        if self.configuration.garbage.emptied_in_the_end && whole && self.work.court.first().is_none() {
            self.empty(&control, &operator).await;
        }
        Ok(())
    }

    /// Has everything scrubbed, and judges that nothing is damaged any more. Whether it came to that.
    async fn scrub(&self, control: &Control, operator: &Operator, facts: &Facts, demands: Demands) -> bool {
        control.trace.note("all is scrubbed");
        if !operator.scrub_all().await {
            return false;
        }
        sleep(REPORTED).await;
        if liveness::revive(&self.work, facts, liveness::BOUND).await.is_none() {
            return false;
        }
        let no_strays = self.configuration.settings.orphan_grace_seconds <= SHORT_ORPHAN_GRACE_SECONDS;
        let demands = Demands { scrubbed: demands.whole, no_strays, ..demands };
        self.look(control, if no_strays { STRAYS_GONE } else { QUIET }, demands).await;
        true
    }

    /// Has everything deleted, and judges that nothing is left: what no catalog names a scrub finds.
    async fn empty(&self, control: &Control, operator: &Operator) {
        control.trace.note("all is deleted");
        if !empty(control, self.policies()).await || !operator.scrub_all().await {
            return;
        }
        let demands = Demands { whole: true, emptied: true, ..Demands::default() };
        self.look(control, STRAYS_GONE, demands).await;
    }

    /// What the operator sets before the clients begin.
    fn policies(&self) -> Vec<(String, NamespacePolicy)> {
        self.configuration.garbage.policies(&self.work.library.repositories)
    }

    /// Looks into all nodes after some quiet, and judges what they hold.
    async fn look(&self, control: &Control, quiet: Duration, demands: Demands) {
        if demands.no_strays {
            self.look_into_all().await;
            self.inspection.grace_begins();
        }
        sleep(quiet).await;
        self.look_into_all().await;
        let conclusion = self.inspection.conclude(demands);
        control.trace.note(&format!("{conclusion:?}"));
        self.findings().orphans = conclusion.orphans;
    }

    /// Looks into all nodes. Whoever could not be looked into by then is accused in the end.
    async fn look_into_all(&self) {
        self.inspection.settled();
        let looked = async {
            while !self.inspection.is_complete() {
                sleep(POLL).await;
            }
        };
        let _complete = tokio::time::timeout(LAST_LOOK, looked).await;
    }

    /// What is known of the nodes. As long as a wiped node's former self is a member, extents wait for it: full redundancy
    /// is not to be had then, what is written stays at that of the nodes that live.
    fn facts(&self, control: &Control) -> Facts {
        let (control, atlas) = (control.clone(), self.atlas.clone());
        Arc::new(move || {
            let waits = atlas.lost_voters() > 0;
            let facts = |number| {
                let facts = NodeFacts::of(&control.report(number))?;
                Some(NodeFacts { under_replicated: if waits { 0 } else { facts.under_replicated }, ..facts })
            };
            control.members().into_iter().map(|number| (number, facts(number))).collect()
        })
    }

    fn promise(&self) -> Promise {
        let (holds, impaired) = (self.atlas.clone(), self.atlas.clone());
        let impaired = move || &impaired.impaired_nodes() | &impaired.joining_nodes();
        Promise { holds: Arc::new(move || holds.is_promised()), impaired: Arc::new(impaired) }
    }

    async fn wait_for_clients(&self) -> Result<()> {
        let clients = self.configuration.workload.clients;
        let ended = async {
            while self.work.ended_clients() < clients {
                sleep(POLL).await;
            }
        };
        let waited = tokio::time::timeout(LAST_REQUESTS, ended).await;
        waited.with_context(|| format!("{} of {clients} clients ended", self.work.ended_clients()))
    }

    /// Shards that may be left of writes that were interrupted. A fault may interrupt what every client is writing, but
    /// few do, and what they leave is removed at once unless its holder or the gateway died. A write leaves two shards for
    /// each block of its data at most, as no profile has more parity than data, and those of its last extent.
    fn orphans_max(&self) -> usize {
        let Configuration { settings, workload, .. } = &self.configuration;
        let faults: u64 = self.findings().injected.counts().values().sum();
        let orders: u64 = self.findings().orders.values().sum();
        let interruptions = usize::try_from(faults + orders).unwrap_or(usize::MAX);
        let writes = ORPHANED_WRITES + interruptions / FAULTS_PER_ORPHANED_WRITE;
        let blocks = workload.layer_bytes_max.div_ceil(settings.block_size_bytes as usize);
        writes * (2 * blocks + self.configuration.computers())
    }

    fn findings(&self) -> std::sync::MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcome(&self, trace: &Trace, court: &Court, undecided: usize) -> Outcome {
        let statistics = self.work.statistics();
        let findings = self.findings().clone();
        Outcome {
            operations: statistics.begun.values().sum(),
            requests: statistics.requests,
            retries: statistics.retries,
            faults: findings.injected.counts(),
            orders: findings.orders,
            orphans: findings.orphans as u64,
            undecided: undecided as u64,
            ..Outcome::cut_short(self.configuration.clone(), trace, court.all())
        }
    }
}
