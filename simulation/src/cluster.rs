//! A simulated cluster: computers on turmoil's network that run the real node code, and the control of their fate.
//!
//! turmoil crashes hosts from outside the simulation, scenarios run inside it. [`Control`] is the bridge: a scenario
//! asks, the loop that steps the simulation carries out.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use node::cluster::{self, Certificates};
use node::config::Settings;
use node::environment::Environment;
use node::identity::Store;
use node::start::Node;
use tokio::time::sleep;
use turmoil::Sim;

use crate::client::Client;
use crate::computer::Computer;
use crate::trace::Trace;

/// Data directory on every computer.
pub const DATA_DIR: &str = "/data";
/// Name of the host that runs the scenario.
const SCENARIO: &str = "scenario";
const API_PORT: u16 = 5000;
const PEER_PORT: u16 = 5080;
/// How often waiters look, in virtual time.
const POLL: Duration = Duration::from_millis(20);
/// Wall clock at which every run begins, since the Unix epoch.
const EPOCH: Duration = Duration::from_hours(500_000);
/// Seconds that a join token is good for.
const TOKEN_LIFETIME_SECONDS: u64 = 3600;

/// What may be done to a computer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The process dies; everything written stays.
    Crash,
    /// Power is lost; what was not synced goes.
    PowerLoss,
    /// The process is started again.
    Start,
}

#[derive(Debug)]
struct Shared {
    computers: Vec<Computer>,
    ready: Vec<bool>,
    token: Option<String>,
    fates: Vec<(usize, Fate)>,
    under_replicated: Vec<u64>,
}

/// A scenario's hold on the cluster. Nodes are numbered from 1.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Mutex<Shared>>,
    /// The run's trace.
    pub trace: Trace,
}

fn host(number: usize) -> String {
    format!("node-{number}")
}

impl Control {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of a node's API.
    #[must_use]
    pub fn client(&self, number: usize) -> Client {
        Client::new(&format!("{}:{API_PORT}", host(number)))
    }

    /// A node's computer.
    #[must_use]
    pub fn computer(&self, number: usize) -> Computer {
        self.shared().computers[number - 1].clone()
    }

    /// Does something to a computer, and returns once it is done.
    pub async fn fate(&self, number: usize, fate: Fate) {
        self.trace.note(&format!("node {number}: {fate:?}"));
        {
            let mut shared = self.shared();
            shared.ready[number - 1] = false;
            shared.fates.push((number, fate));
        }
        while !self.shared().fates.is_empty() {
            sleep(POLL).await;
        }
    }

    /// Cuts or mends the network between a node and all others. The scenario's own connections stay.
    pub fn isolate(&self, number: usize, cut: bool) {
        self.trace.note(&format!("node {number}: {}", if cut { "isolated" } else { "connected" }));
        let count = self.shared().computers.len();
        for other in (1..=count).filter(|other| *other != number) {
            if cut {
                turmoil::partition(host(number), host(other));
            } else {
                turmoil::repair(host(number), host(other));
            }
        }
    }

    /// Waits until these nodes are ready.
    ///
    /// # Errors
    /// When it takes longer than `deadline`.
    pub async fn ready(&self, numbers: &[usize], deadline: Duration) -> Result<()> {
        self.until(deadline, "nodes that are ready", |shared| numbers.iter().all(|number| shared.ready[number - 1]))
            .await
    }

    /// Waits until no extent is below its redundancy, as a node sees it.
    ///
    /// # Errors
    /// When it takes longer than `deadline`.
    pub async fn redundant(&self, number: usize, deadline: Duration) -> Result<()> {
        self.until(deadline, "full redundancy", |shared| shared.under_replicated[number - 1] == 0).await
    }

    async fn until(&self, deadline: Duration, what: &str, reached: impl Fn(&Shared) -> bool) -> Result<()> {
        let poll = async {
            while !reached(&self.shared()) {
                sleep(POLL).await;
            }
        };
        tokio::time::timeout(deadline, poll).await.with_context(|| format!("waited {deadline:?} for {what}"))
    }
}

/// Runs a scenario on a cluster of `count` nodes, all of it decided by the seed.
///
/// # Errors
/// What the scenario returned, or the first host that failed.
pub fn run<F, Fut>(seed: u64, count: usize, limit: Duration, trace: &Trace, scenario: F) -> Result<()>
where
    F: FnOnce(Control) -> Fut,
    Fut: Future<Output = Result<()>> + 'static,
{
    raft::group::seed_randomness(seed);
    let computers: Vec<Computer> =
        (0..count as u64).map(|index| Computer::new(seed.wrapping_mul(1000).wrapping_add(index))).collect();
    let shared = Shared {
        computers,
        ready: vec![false; count],
        token: None,
        fates: Vec::new(),
        under_replicated: vec![0; count],
    };
    let control = Control { shared: Arc::new(Mutex::new(shared)), trace: trace.clone() };
    let mut simulation = turmoil::Builder::new()
        .rng_seed(seed)
        .epoch(std::time::UNIX_EPOCH + EPOCH)
        .simulation_duration(limit)
        .tcp_capacity(1 << 16)
        .build();
    for number in 1..=count {
        let control = control.clone();
        simulation.host(host(number), move || {
            let control = control.clone();
            async move {
                let Err(error) = live(number, &control).await;
                Err(format!("node {number}: {error:#}").into())
            }
        });
    }
    let outcome = Arc::new(Mutex::new(None));
    let future = scenario(control.clone());
    let result = Arc::clone(&outcome);
    simulation.client(SCENARIO, async move {
        *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(future.await);
        Ok(())
    });
    loop {
        let finished = simulation.step().map_err(|error| anyhow!("{error}"))?;
        trace.between_steps(|| carry_out(&mut simulation, &control));
        if finished {
            break;
        }
    }
    let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    outcome.unwrap_or_else(|| Err(anyhow!("the scenario did not end within {limit:?} of virtual time")))
}

fn carry_out(simulation: &mut Sim<'_>, control: &Control) {
    let fates = std::mem::take(&mut control.shared().fates);
    for (number, fate) in fates {
        let computer = control.computer(number);
        match fate {
            Fate::Crash => {
                simulation.crash(host(number));
                computer.process_crash();
            }
            Fate::PowerLoss => {
                simulation.crash(host(number));
                computer.power_loss();
            }
            Fate::Start => simulation.bounce(host(number)),
        }
    }
}

/// The life of one process: set up if need be, then serve until it is crashed.
async fn live(number: usize, control: &Control) -> Result<Infallible> {
    let environment = control.computer(number).environment();
    let settings = settings(number)?;
    if !is_set_up(&environment).await? {
        if number == 1 {
            cluster::init(&environment, &settings, "main", Certificates::None).await?;
        } else {
            let token = loop {
                let token = control.shared().token.clone();
                match token {
                    Some(token) => break token,
                    None => sleep(POLL).await,
                }
            };
            // One at a time and one token each.
            control.shared().token = None;
            let first = [format!("{}:{PEER_PORT}", host(1))];
            cluster::join(&environment, &settings, &first, &token, "main", Certificates::None).await?;
        }
    }
    let node = Node::start(environment, settings, Certificates::None).await?;
    node.wait_ready().await;
    loop {
        let missing_token = {
            let mut shared = control.shared();
            shared.ready[number - 1] = node.readiness().is_ready();
            number == 1 && shared.token.is_none() && shared.ready.iter().any(|ready| !ready)
        };
        if missing_token && let Ok(answer) = node.create_token(TOKEN_LIFETIME_SECONDS).await {
            control.shared().token = Some(answer.token);
        }
        control.shared().under_replicated[number - 1] = node.status().await.under_replicated;
        sleep(POLL * 10).await;
    }
}

async fn is_set_up(environment: &Environment) -> Result<bool> {
    let files = environment.files.clone();
    let identity = environment.exec.run(move || Store::new(files, Path::new(DATA_DIR)).identity()).await;
    Ok(identity?.is_some())
}

fn settings(number: usize) -> Result<Settings> {
    let text = |value: &str| value.to_owned();
    let flags = vec![
        (text("data_dir"), text(DATA_DIR)),
        (text("node.name"), host(number)),
        (text("node.zone"), format!("zone-{number}")),
        (text("api.listen"), format!("0.0.0.0:{API_PORT}")),
        (text("api.allow_plaintext"), text("true")),
        (text("peer.listen"), format!("{}:{PEER_PORT}", host(number))),
        (text("storage.block_size_bytes"), text("65536")),
    ];
    Ok(node::config::resolve(&node::config::Sources { flags, ..node::config::Sources::default() })?.settings)
}
