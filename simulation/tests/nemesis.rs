//! The nemesis at work on a real cluster without clients: after healing every node is ready again. That the same seed gives
//! the same faults is shown by the meta-test, over processes: some randomness of a library is one process's.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use simulation::cluster::{Control, World};
use simulation::configuration::Configuration;
use simulation::fault::{Atlas, Nemesis, supervise};
use simulation::judge::Court;
use simulation::seed::Seed;
use simulation::trace::Trace;

const LIMIT: Duration = Duration::from_mins(20);
/// Longest virtual time until nodes serve.
const RECOVERY: Duration = Duration::from_mins(4);

/// A short life under all kinds of faults.
fn configuration(seed: u64) -> Configuration {
    let mut configuration = Configuration::from_seed(Seed(seed));
    configuration.cluster.nodes = 3;
    configuration.workload.clients = 0;
    configuration.faults.phase_seconds = 40;
    configuration.faults.pause_milliseconds_max = 3_000;
    configuration.faults.lasts_milliseconds_max = 5_000;
    configuration
}

fn run(seed: u64, trace: &Trace) -> Result<()> {
    let configuration = configuration(seed);
    let world = World {
        seed: configuration.seed,
        cluster: configuration.cluster.clone(),
        settings: configuration.settings.clone(),
        founders: configuration.cluster.nodes,
        limit: LIMIT,
        witness: None,
        inspector: None,
    };
    world.run(trace, &Court::default(), |control| story(configuration, control))
}

async fn story(configuration: Configuration, control: Control) -> Result<()> {
    let all: Vec<usize> = (1..=control.nodes()).collect();
    control.ready(&all, RECOVERY).await.context("the cluster comes up")?;
    let atlas = Atlas::of(&configuration);
    tokio::spawn(supervise(control.clone(), atlas.clone()));
    let mut nemesis = Nemesis::new(&configuration, control.clone(), atlas.clone());
    nemesis.rage().await;
    nemesis.heal_all().await;
    control.ready(&all, RECOVERY).await.context("all are back")?;
    let settled = async {
        while !atlas.impaired_nodes().is_subset(&atlas.bounds().victims) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(RECOVERY, settled).await.context("all settle")?;
    let lost: BTreeSet<usize> = atlas.impaired_nodes();
    anyhow::ensure!(atlas.is_promised(), "{lost:?} are impaired for good");
    Ok(())
}

#[test]
fn after_the_nemesis_every_node_is_ready_again() {
    for seed in 1..=6 {
        let trace = Trace::default();
        if let Err(error) = run(seed, &trace) {
            panic!("seed {seed}: {error:#}\n{}", trace.digest());
        }
    }
}
