//! One round: a cluster is founded, struck under load, left to heal, and judged.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use node::environment::real_network;
use rand::Rng;
use simulation::configuration::Configuration;
use simulation::history::History;
use simulation::judge::{Court, linearizability};
use simulation::seed::Seed;
use simulation::surroundings::Surroundings;
use simulation::workload::{OperationKind, Workload, client_task, new_work, verify_all};
use tests::cluster::{Cluster, Node, Settings};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::killer::{strike_until, wait_ready};
use crate::schedule::Schedule;
use crate::summary::{Summary, say};

/// Nodes: the smallest cluster that bears the loss of one.
const NODES: usize = 3;
/// Fewest clients, so that there is load at every moment.
const CLIENTS_MIN: usize = 5;
/// Longest pause of a client between two operations, in milliseconds: real time is dear.
const PAUSE_MILLISECONDS_MAX: u64 = 200;
/// Share of the rounds with long layers.
const LONG_SHARE: f64 = 0.5;
/// Length of the longest layer in these rounds, in bytes.
const LONG_BYTES_MAX: usize = 8 << 20;
/// Most layers in these rounds: all of them are read through every node at the end.
const LONG_LAYERS_MAX: usize = 8;
/// How long clients go on after the last blow.
const AFTERMATH: Duration = Duration::from_secs(3);
/// Longest time for a client to end the request that it is at: the longest deadline of one, and its retries' pauses.
const CLIENT_END: Duration = Duration::from_mins(1);
/// Longest time for the final reading, and for new work.
const VERIFICATION: Duration = Duration::from_mins(2);

/// Runs the round of a seed.
///
/// # Panics
/// When the cluster cannot be founded, and when a promise was broken; the cluster's folder is kept then, with the history of what clients saw.
pub(crate) async fn round(seed: Seed, lasts: Duration) -> Summary {
    let configuration = configuration(seed);
    let mut cluster =
        Cluster::start_with(NODES, settings(&configuration)).await.expect("a cluster that nobody strikes comes up");
    let history = History::default();
    match story(&mut cluster, &configuration, &history, lasts).await {
        Ok(summary) => {
            say(&format!("seed {seed}: {summary}"));
            summary
        }
        Err(error) => {
            // Beside the nodes' folders, all of which the end of a failed test keeps.
            let path = cluster.node(0).data().with_file_name("history");
            let written = write_history(&path, &history)
                .map_or_else(|error| format!("{error:#}"), |()| path.display().to_string());
            panic!(
                "seed {seed}: {error:#}\nhistory: {written}\nthe same schedule again: \
                 REGNODE_CRASH_SEED={seed} REGNODE_CRASH_SECONDS={} cargo test -p tests --test crash -- --nocapture",
                lasts.as_secs(),
            );
        }
    }
}

/// What the seed decides about clients and settings. The timing of elections stays the product's own, since it is about
/// real computers; everything else is the simulator's draw.
fn configuration(seed: Seed) -> Configuration {
    let mut configuration = Configuration::from_seed(seed);
    let workload = &mut configuration.workload;
    workload.clients = workload.clients.max(CLIENTS_MIN);
    workload.pause_milliseconds_max = workload.pause_milliseconds_max.min(PAUSE_MILLISECONDS_MAX);
    // Real disks and sockets are quick: only a long body is likely to be under way when a process dies.
    if seed.stream("crash workload").random_bool(LONG_SHARE) {
        workload.layer_bytes_max = LONG_BYTES_MAX;
        workload.layers = workload.layers.min(LONG_LAYERS_MAX);
    }
    // What is deleted, or may have been, cannot be verified at the end.
    for kind in [OperationKind::DeleteTag, OperationKind::DeleteManifest, OperationKind::DeleteBlob] {
        workload.operations.entry(kind).and_modify(|weight| *weight = 1);
    }
    // A round without pushes and pulls verifies nothing.
    for kind in [OperationKind::PushDocker, OperationKind::PushChunked, OperationKind::Pull] {
        workload.operations.entry(kind).or_insert(5);
    }
    configuration
}

fn settings(configuration: &Configuration) -> Settings {
    let node = &configuration.settings;
    let keys = [
        ("raft.snapshot_after_entries", node.snapshot_after_entries.to_string()),
        ("storage.block_size_bytes", node.block_size_bytes.to_string()),
        ("repair.node_grace_seconds", node.node_grace_seconds.to_string()),
        ("api.idle_body_timeout_seconds", node.idle_body_timeout_seconds.to_string()),
    ];
    Settings { keys: keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(), ..Settings::default() }
}

async fn story(
    cluster: &mut Cluster,
    configuration: &Configuration,
    history: &History,
    lasts: Duration,
) -> Result<Summary> {
    let court = Court::default();
    let begin = Instant::now();
    let surroundings = Surroundings {
        network: real_network(),
        nodes: cluster.nodes().iter().map(|node| node.address().to_string()).collect(),
        elapsed: Arc::new(move || begin.elapsed()),
    };
    let work = Workload::new(surroundings, configuration, history.clone(), court.clone());
    let mut clients = JoinSet::new();
    for number in 1..=configuration.workload.clients {
        clients.spawn(client_task(number, work.clone()));
    }

    let mut schedule = Schedule::new(configuration.seed, NODES);
    let blows = strike_until(begin + lasts, cluster, &mut schedule, |step| {
        say(&format!("{:8.3} s  {step}", begin.elapsed().as_secs_f64()));
        acquitted(&court)
    })
    .await?;
    tokio::time::sleep(AFTERMATH).await;
    work.stop();
    let ends = async {
        while clients.join_next().await.transpose().context("a client panicked")?.is_some() {}
        anyhow::Ok(())
    };
    timeout(CLIENT_END, ends).await.context("a client did not end the request that it was at")??;

    wait_ready(cluster).await.context("after the last blow")?;
    cluster.wait_whole().await.context("after the last blow")?;
    let verified = verify_all(&work, VERIFICATION).await;
    acquitted(&court)?;
    new_work(&work, VERIFICATION).await;
    acquitted(&court)?;
    let weighed = linearizability::judge(history, &court);
    acquitted(&court)?;
    cluster.check_sound()?;
    cluster.nodes().iter().try_for_each(Node::check_quiet)?;
    Ok(Summary { blows, work: work.statistics().into(), verified, weighed })
}

/// Fails with all accusations if there is one.
fn acquitted(court: &Court) -> Result<()> {
    let violations = court.all();
    if violations.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = violations.iter().map(|found| format!("{}: {}", found.judge, found.text)).collect();
    bail!("{}", texts.join("\n"));
}

fn write_history(path: &Path, history: &History) -> Result<()> {
    let mut text = String::new();
    for operation in history.operations() {
        writeln!(text, "{operation:?}")?;
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
