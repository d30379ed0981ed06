//! Clients that push and pull all the while that a scenario's story goes on, by the retry rules of ordinary clients, with
//! the judges of every run: what they were told is true, and everything acknowledged is there at the end.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use raft::policy::NamespacePolicy;
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::{self, Client, Control, World};
use crate::configuration::{ClusterConfiguration, Configuration, Tries, WorkloadConfiguration};
use crate::garbage::GarbageConfiguration;
use crate::history::History;
use crate::judge::inspection::{Demands, Ground, Inspection};
use crate::judge::raft_safety::RaftSafety;
use crate::judge::residency::tap;
use crate::judge::{Court, lease, linearizability};
use crate::operator::garbage::{empty, set_home, set_policies};
use crate::operator::scrub_all;
use crate::seed::Seed;
use crate::trace::Trace;
use crate::workload::{OperationKind, Statistics, Workload, client_task, new_work, verify_all};

/// Longest virtual time until nodes serve.
const READY: Duration = Duration::from_mins(2);
/// How long clients work before and after the story.
const WARM_UP: Duration = Duration::from_secs(10);
/// Longest time until each client has ended what it was at.
const LAST_REQUESTS: Duration = Duration::from_mins(2);
/// Longest time of the final reading, and of new work after it.
const READING: Duration = Duration::from_mins(10);
/// Longest time until every member could be looked into.
const LAST_LOOK: Duration = Duration::from_secs(30);
/// Time between two looks at what the members hold.
const PAUSE: Duration = Duration::from_secs(2);
/// In which the files that no catalog names are gone after a scrub: their grace, and the pause between two inventories.
const STRAYS_GONE: Duration = Duration::from_mins(2);
/// What is demanded of a rest. A power loss may interrupt what the background writes: four extents at a time.
const AT_REST: Demands = Demands { orphans_max: 64, whole: true, scrubbed: true, no_strays: false, emptied: false };
/// How often waiters look.
const POLL: Duration = Duration::from_millis(100);

/// The stage of a story.
#[derive(Clone)]
pub(super) struct Stage {
    /// The hold on the cluster.
    pub(super) control: Control,
    work: Workload,
    clients: usize,
    inspection: Arc<Inspection>,
}

/// What there is besides the story.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// Regions over which the nodes are spread; each workload's repository has its home in the next one.
    pub(super) regions: usize,
    /// Computers, those included that are switched on later.
    pub(super) nodes: usize,
    /// Nodes that run from the beginning; the clients know these.
    pub(super) founders: usize,
    /// Disks of every node.
    pub(super) disks: usize,
    /// Clients that work at the same time.
    pub(super) clients: usize,
    /// After so long, in seconds, a node that is away is rebuilt, and what a grown cluster has outgrown is written anew.
    pub(super) grace_seconds: u64,
    /// Longest virtual time of it all.
    pub(super) limit: Duration,
}

/// What the clients do, and when garbage goes.
#[derive(Clone, Debug)]
pub(super) struct Customs {
    pub(super) workload: WorkloadConfiguration,
    pub(super) garbage: GarbageConfiguration,
}

impl Stage {
    /// What the clients did so far.
    pub(super) fn statistics(&self) -> Statistics {
        self.work.statistics()
    }

    /// A repository in which the clients work, counted from 0; its home is the region of the next number.
    pub(super) fn busy_repository(&self, number: usize) -> Result<String> {
        self.work.library.repositories.get(number).map(ToString::to_string).context("there are fewer repositories")
    }

    /// From now on clients ask these nodes, which must serve everything, and no others.
    pub(super) fn serving(&self, nodes: &[usize]) {
        self.work.serve(nodes.iter().copied());
    }

    /// Lets the clients rest, once each has ended what it was at, or go on.
    pub(super) async fn pause(&self, paused: bool) -> Result<()> {
        self.work.pause(paused);
        let at_rest = async {
            while paused && self.work.resting_clients() < self.clients {
                sleep(POLL).await;
            }
        };
        timeout(LAST_REQUESTS, at_rest).await.context("the clients rest")
    }

    /// Lets the clients rest until the redundancy is full, and judges what the members hold then.
    pub(super) async fn rest(&self, patience: Duration) -> Result<()> {
        self.pause(true).await?;
        let begun = Instant::now();
        while let Some(weakness) = self.look().await? {
            ensure!(begun.elapsed() < patience, "after {patience:?}: {weakness}");
            sleep(PAUSE).await;
        }
        let took = begun.elapsed();
        self.note(&format!("at rest, {} s later: {:?}", took.as_secs(), self.inspection.conclude(AT_REST)));
        self.pause(false).await
    }

    /// Has everything deleted, and judges that nothing is left.
    async fn emptied(&self, policies: Vec<(String, NamespacePolicy)>) -> Result<()> {
        ensure!(empty(&self.control, policies).await && scrub_all(&self.control).await, "not everything goes");
        sleep(STRAYS_GONE).await;
        ensure!(self.look().await?.is_none(), "nothing is left, and yet it is weak");
        let demands = Demands { orphans_max: 0, emptied: true, ..AT_REST };
        self.note(&format!("empty: {:?}", self.inspection.conclude(demands)));
        Ok(())
    }

    /// Looks into all members. What is weaker than the whole cluster makes it.
    async fn look(&self) -> Result<Option<String>> {
        for number in self.control.members() {
            let listed = self.control.report(number).under_replicated;
            if listed > 0 {
                return Ok(Some(format!("node {number} knows {listed} extents below their redundancy")));
            }
        }
        self.inspection.settled();
        let looked = async {
            while !self.inspection.is_complete() {
                sleep(POLL).await;
            }
        };
        timeout(LAST_LOOK, looked).await.context("looking into all nodes")?;
        Ok(self.inspection.weakness())
    }

    /// Waits until these nodes are ready.
    pub(super) async fn ready(&self, nodes: &[usize]) -> Result<()> {
        self.control.ready(nodes, READY).await
    }

    /// Writes a line of the trace.
    pub(super) fn note(&self, text: &str) {
        self.control.trace.note(text);
    }
}

/// Runs a story while clients push and pull and delete nothing. Returns what they did, once everything that was acknowledged
/// was read through every node that serves in the end, and new work succeeded.
pub(super) fn play<F, Fut>(seed: Seed, setting: Setting, trace: &Trace, court: &Court, story: F) -> Result<Statistics>
where
    F: FnOnce(Stage) -> Fut + 'static,
    Fut: Future<Output = Result<()>> + 'static,
{
    let customs = Customs { workload: ordinary(setting.clients), garbage: GarbageConfiguration::default() };
    play_as(seed, setting, customs, trace, court, story)
}

/// Runs a story while clients work as the customs say. Returns what they did, once everything that was acknowledged was read through every
/// node that serves in the end, and new work succeeded.
pub(super) fn play_as<F, Fut>(
    seed: Seed,
    setting: Setting,
    customs: Customs,
    trace: &Trace,
    court: &Court,
    story: F,
) -> Result<Statistics>
where
    F: FnOnce(Stage) -> Fut + 'static,
    Fut: Future<Output = Result<()>> + 'static,
{
    let mut world = World::quiet(seed, setting.nodes, setting.limit);
    world.founders = setting.founders;
    world.cluster.regions = setting.regions;
    world.cluster.disks_per_node = setting.disks;
    world.cluster.latency_milliseconds_max = 2;
    world.settings.node_grace_seconds = setting.grace_seconds;
    world.witness = Some(Arc::new(RaftSafety::new(court.clone())));
    let mut configuration = Configuration::from_seed(seed);
    configuration.cluster = world.cluster.clone();
    configuration.settings = world.settings.clone();
    configuration.workload = customs.workload;
    let configuration = configuration.with_garbage(customs.garbage);
    world.settings = configuration.settings.clone();
    let history = History::default();
    let surroundings = cluster::surroundings(setting.nodes);
    let work = Workload::new(surroundings, &configuration, history.clone(), court.clone())
        .with_garbage(&configuration.garbage);
    work.serve(1..=setting.founders);
    let held: Arc<OnceLock<Control>> = Arc::default();
    let ground = Ground::of(&held, world.settings.snapshot_after_entries);
    let inspection = Arc::new(Inspection::new(court, &ground, Arc::new(|_, _| false)));
    let looks = Arc::clone(&inspection);
    world.inspector = Some(Arc::new(move |number, node| looks.inspect(number, node)));
    let clients = (1..=setting.clients).map(|number| client(number, work.clone())).collect();
    let told = work.clone();
    let garbage = configuration.garbage;
    let places = configuration.cluster.clone();
    world.run_with_clients(trace, court, clients, move |control| {
        // Before anybody has dialled: who was connected already would not be heard.
        if setting.regions > 1 {
            listen_in(&control, setting.regions, &places);
        }
        async move {
            // It is set once.
            let _ = held.set(control.clone());
            let stage = Stage { control, work, clients: setting.clients, inspection };
            let ended = act(&stage, setting, &garbage, story).await;
            // Clients that go on would keep a failed run from ending.
            stage.work.stop();
            ended
        }
    })?;
    lease::judge(&history, &told.terms, court);
    linearizability::judge(&lease::without_lapses(&history, &told.terms), court);
    if let Some(violation) = court.first() {
        bail!(violation);
    }
    Ok(told.statistics())
}

/// Judges what nodes of different regions say to each other.
fn listen_in(control: &Control, regions: usize, cluster: &ClusterConfiguration) {
    let places = (1..=control.nodes()).map(|number| (Control::host(number), cluster.region_of(number)));
    let places: BTreeMap<String, usize> = places.collect();
    for number in 1..=control.nodes() {
        let places = places.clone();
        let tap = tap(control.court.clone(), regions, move |host| places.get(host).copied());
        control.computer(number).network().listen_in(&Control::host(number), tap);
    }
}

async fn act<F, Fut>(stage: &Stage, setting: Setting, garbage: &GarbageConfiguration, story: F) -> Result<()>
where
    F: FnOnce(Stage) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let founders: Vec<usize> = (1..=setting.founders).collect();
    stage.ready(&founders).await.context("the cluster comes up")?;
    if setting.regions > 1 {
        let homes = (0..).zip(&stage.work.library.repositories);
        for (number, repository) in homes {
            let home = number % setting.regions + 1;
            ensure!(set_home(&stage.control, repository, home).await, "{repository} has no home in region {home}");
        }
    }
    let policies = garbage.policies(&stage.work.library.repositories);
    ensure!(set_policies(&stage.control, policies.clone()).await, "the policies are not in force");
    stage.work.begin();
    sleep(WARM_UP).await;
    story(stage.clone()).await?;
    sleep(WARM_UP).await;
    stage.work.stop();
    let ended = async {
        while stage.work.ended_clients() < setting.clients {
            sleep(POLL).await;
        }
    };
    timeout(LAST_REQUESTS, ended).await.context("the clients end")?;
    let verified = verify_all(&stage.work, READING).await;
    stage.note(&format!("{verified:?}"));
    ensure!(verified.contents > 0, "nothing was there to be read");
    new_work(&stage.work, READING).await;
    if garbage.emptied_in_the_end {
        stage.emptied(policies).await?;
    }
    Ok(())
}

fn client(number: usize, work: Workload) -> Client {
    Box::pin(async move {
        while !work.is_begun() && !work.is_stopped() {
            sleep(POLL).await;
        }
        client_task(number, work.clone()).await;
        work.ended();
    })
}

/// Pushes and pulls in every dialect, nothing deleted, by clients that try for about ten seconds.
pub(super) fn ordinary(clients: usize) -> WorkloadConfiguration {
    let operations = [
        (OperationKind::PushDocker, 4),
        (OperationKind::PushContainerd, 3),
        (OperationKind::PushChunked, 2),
        (OperationKind::Pull, 8),
        (OperationKind::PullRange, 3),
        (OperationKind::MoveTag, 2),
        (OperationKind::ResolveTag, 3),
        (OperationKind::HeadBlob, 2),
        (OperationKind::Mount, 1),
    ];
    WorkloadConfiguration {
        clients,
        repositories: 2,
        tags: 4,
        layers: 24,
        layer_bytes_max: 400 << 10,
        pause_milliseconds_max: 1000,
        tries: Tries { min: 6, max: 6 },
        operations: BTreeMap::from(operations),
        disconnect_percent: 0,
        repeat_percent: 0,
    }
}
