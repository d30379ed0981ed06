//! A simulated cluster: computers on turmoil's network that run the real node code, and the hold on them that scenarios,
//! faults and judges have.
//!
//! `life` is what one computer does; `control` is the hold; this file puts the world together and steps it. turmoil
//! crashes hosts and changes links from outside the simulation, everything else runs inside it: [`Control::outside`] is
//! the bridge.

mod control;
mod life;

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use turmoil::Sim;

use crate::computer::Computer;
use crate::configuration::{ClusterConfiguration, NodeConfiguration, UPLOAD_LIFETIME_SECONDS};
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;

pub use control::{Answer, Control, Fate, Report, surroundings};
pub use life::{API_PORT, DATA_DIR};

/// What a client does, on a host of its own.
pub type Client = Pin<Box<dyn Future<Output = ()>>>;

/// Name of the host that runs the scenario.
const SCENARIO: &str = "scenario";
/// Wall clock at which every run begins, since the Unix epoch.
const EPOCH: Duration = Duration::from_hours(500_000);

/// Looks at a running node from inside its process, several times a second of virtual time.
pub type Inspector = Arc<dyn Fn(usize, &node::start::Node) + Send + Sync>;

/// What a world consists of.
#[derive(Clone)]
pub struct World {
    /// Decides everything random.
    pub seed: Seed,
    /// The computers.
    pub cluster: ClusterConfiguration,
    /// Settings of every node.
    pub settings: NodeConfiguration,
    /// Nodes that run from the beginning, the first ones; the others are started when they are to join.
    pub founders: usize,
    /// Longest virtual time of the run.
    pub limit: Duration,
    /// Sees what the replicas do; nobody when `None`.
    pub witness: Option<Arc<dyn raft::group::Witness>>,
    /// Looks at each running node.
    pub inspector: Option<Inspector>,
}

impl World {
    /// A quiet world for a scenario: nodes in zones of their own with one disk each, default settings, small blocks.
    #[must_use]
    pub fn quiet(seed: Seed, nodes: usize, limit: Duration) -> Self {
        let cluster = ClusterConfiguration {
            nodes,
            regions: 1,
            closed: false,
            sealed: false,
            zones: nodes,
            disks_per_node: 1,
            disk_capacity_bytes: 1 << 30,
            latency_milliseconds_max: 100,
        };
        let settings = NodeConfiguration {
            heartbeat_milliseconds: 250,
            election_min_milliseconds: 1000,
            election_max_milliseconds: 2000,
            snapshot_after_entries: 20_000,
            block_size_bytes: 64 << 10,
            idle_body_timeout_seconds: 60,
            node_grace_seconds: 20,
            orphan_grace_seconds: 24 * 3600,
            upload_lifetime_seconds: UPLOAD_LIFETIME_SECONDS,
        };
        Self { seed, cluster, settings, founders: nodes, limit, witness: None, inspector: None }
    }

    /// Runs a scenario in this world. It ends with the scenario, or with the first accusation before the court.
    ///
    /// # Errors
    /// What the scenario returned, the first violation, or that the limit was reached.
    pub fn run<F, Fut>(self, trace: &Trace, court: &Court, scenario: F) -> Result<()>
    where
        F: FnOnce(Control) -> Fut,
        Fut: Future<Output = Result<()>> + 'static,
    {
        self.run_with_clients(trace, court, Vec::new(), scenario)
    }

    /// The same with clients on hosts `client-1`, `client-2` and so on. It ends once they have ended too.
    ///
    /// # Errors
    /// What the scenario returned, the first violation, or that the limit was reached.
    pub fn run_with_clients<F, Fut>(self, trace: &Trace, court: &Court, clients: Vec<Client>, scenario: F) -> Result<()>
    where
        F: FnOnce(Control) -> Fut,
        Fut: Future<Output = Result<()>> + 'static,
    {
        let Self { seed, cluster, settings, founders, limit, witness, inspector } = self;
        raft::group::seed_randomness(seed.derive("raft").0);
        let computers = (1..=cluster.nodes).map(|number| {
            let seed = seed.derive(&format!("computer {number}"));
            let make = if cluster.sealed { Computer::with_tpm } else { Computer::new };
            make(seed, cluster.disks_per_node, cluster.disk_capacity_bytes)
        });
        let computers: Vec<Computer> = computers.collect();
        let control = Control::new(computers, founders, trace.clone(), court.clone());
        let life = Arc::new(life::Life { cluster: cluster.clone(), settings, witness, inspector });
        let mut simulation = turmoil::Builder::new()
            .rng_seed(seed.derive("network").0)
            .epoch(std::time::UNIX_EPOCH + EPOCH)
            .simulation_duration(limit)
            .max_message_latency(Duration::from_millis(cluster.latency_milliseconds_max))
            .enable_random_order()
            // A port whose connection was never answered is not given back.
            .ephemeral_ports(10_000..=65_535)
            .tcp_capacity(1 << 16)
            .build();
        for number in 1..=cluster.nodes {
            let (control, life) = (control.clone(), Arc::clone(&life));
            simulation.host(life::host(number), move || {
                let (control, life) = (control.clone(), Arc::clone(&life));
                async move {
                    if number > founders && !control.report(number).running {
                        // Nobody has switched it on yet.
                        std::future::pending::<()>().await;
                    }
                    life.live(number, &control).await;
                    Ok(())
                }
            });
        }
        for (number, client) in (1_usize..).zip(clients) {
            simulation.client(client_host(number), async move {
                client.await;
                Ok(())
            });
        }
        let outcome = Arc::new(Mutex::new(None));
        let future = scenario(control.clone());
        let result = Arc::clone(&outcome);
        simulation.client(SCENARIO, async move {
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(future.await);
            Ok(())
        });
        step_to_the_end(&mut simulation, &control, trace, court, limit)?;
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.unwrap_or_else(|| Err(anyhow!("the scenario did not end within {limit:?} of virtual time")))
    }
}

/// Name of a client's host on the network.
#[must_use]
pub fn client_host(number: usize) -> String {
    format!("client-{number}")
}

fn step_to_the_end(
    simulation: &mut Sim<'_>,
    control: &Control,
    trace: &Trace,
    court: &Court,
    limit: Duration,
) -> Result<()> {
    loop {
        let finished = simulation.step().map_err(|error| anyhow!("{error} (the limit is {limit:?})"))?;
        if let Some(violation) = court.first() {
            return Err(violation.into());
        }
        if finished {
            return Ok(());
        }
        trace.between_steps(|| control.carry_out(simulation));
    }
}
