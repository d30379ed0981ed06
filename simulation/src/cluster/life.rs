//! The life of one process on a simulated computer: set up if need be, then serve until it is crashed or ends by itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use node::cluster::{self, Certificates, InitAccess, RegionError};
use node::config::Settings;
use node::environment::Environment;
use node::identity::Store;
use node::start::Node;
use raft::directory::Refusal;
use tokio::time::{sleep, timeout};

use super::Inspector;
use super::control::{Control, POLL};
use crate::configuration::{ClusterConfiguration, NodeConfiguration};
use crate::tpm::UNSEAL;

/// Data directory on every computer.
pub const DATA_DIR: &str = "/data";
/// Port of each node's API.
pub const API_PORT: u16 = 5000;
/// Port of a node for its peers. A wiped computer takes the next one: whoever still dials the lost node does not
/// reach the new one, which certificates see to outside the simulator.
const PEER_PORT: u16 = 5080;
/// Seconds that a join token is good for.
const TOKEN_LIFETIME_SECONDS: u64 = 3600;
/// Longest time that a node takes to make a token before another one is asked.
const TOKEN_DEADLINE: Duration = Duration::from_secs(10);
/// Pause of an operator between two tries to join.
const JOIN_PAUSE: Duration = Duration::from_secs(1);
/// How often a node is looked at.
const INSPECTION: Duration = Duration::from_millis(100);

/// Name of a node's host on the network.
pub(super) fn host(number: usize) -> String {
    format!("node-{number}")
}

/// Name of a region by its number.
pub(super) fn region_name(number: usize) -> String {
    format!("region-{number}")
}

/// Name of the node on a computer that was wiped so often.
pub(super) fn name(number: usize, generation: u64) -> String {
    if generation == 0 { host(number) } else { format!("{}-{generation}", host(number)) }
}

/// How a process ended by itself.
#[derive(Debug)]
enum End {
    /// It was told to.
    InOrder,
    /// It could never serve again, for this reason.
    Failed(String),
}

/// What all lives share.
pub(super) struct Life {
    pub(super) cluster: ClusterConfiguration,
    pub(super) settings: NodeConfiguration,
    pub(super) witness: Option<Arc<dyn raft::group::Witness>>,
    pub(super) inspector: Option<Inspector>,
}

impl Life {
    /// One life, from the start of the process to its end. A crash ends it anywhere.
    pub(super) async fn live(&self, number: usize, control: &Control) {
        control.shared().reports[number - 1].running = true;
        let end = self.serve(number, control).await.unwrap_or_else(|error| End::Failed(format!("{error:#}")));
        control.trace.note(&format!("node {number}: its process ended: {end:?}"));
        match end {
            End::InOrder => control.ended(number, None),
            End::Failed(reason) => {
                if !control.computer(number).is_failed_by_a_disk(turmoil::sim_elapsed().unwrap_or_default()) {
                    let text = format!("node {number} ended, although no disk failed it: {reason}");
                    control.court.accuse("process", text);
                }
                control.ended(number, Some(reason));
            }
        }
        // turmoil does not run a host any more whose software has returned, so that its connections would hang instead
        // of being closed. Whoever starts the process again kills this one first.
        std::future::pending::<()>().await;
    }

    /// Serves until the node fails for good, or is told to end.
    async fn serve(&self, number: usize, control: &Control) -> Result<End> {
        let generation = control.report(number).generation;
        let mut environment = control.computer(number).environment();
        environment.witness.clone_from(&self.witness);
        let settings = self.settings(number, generation, control)?;
        if !is_set_up(&environment).await? {
            self.set_up(number, control, &environment, &settings).await?;
        }
        let node = Node::start(environment, settings, Certificates::None).await.context("starting")?;
        {
            let failed = node.failed();
            tokio::pin!(failed);
            while !control.shared().stopping.contains(&number) {
                self.look(number, control, &node).await;
                let orders = control.shared().orders.remove(&number).unwrap_or_default();
                let rest = async {
                    for order in orders {
                        order(&node).await;
                    }
                    sleep(INSPECTION).await;
                };
                tokio::select! {
                    biased;
                    reason = &mut failed => {
                        return Ok(if node.is_dismissed() { End::InOrder } else { End::Failed(reason) });
                    }
                    () = rest => {}
                }
            }
        }
        node.shutdown().await;
        Ok(End::InOrder)
    }

    /// Founds the cluster on the first node, and joins it on the others, as an operator would: again until it works. The
    /// first node of a region founds that.
    async fn set_up(
        &self,
        number: usize,
        control: &Control,
        environment: &Environment,
        settings: &Settings,
    ) -> Result<()> {
        let founds = number == 1 && !control.shared().founded;
        let region = region_name(self.cluster.region_of(number));
        if founds {
            let closed = InitAccess { operator: None, anonymous: None };
            let access = if self.cluster.closed { closed } else { InitAccess::open("owner") };
            cluster::init(environment, settings, &region, Certificates::None, access).await.context("founding")?;
            let mut shared = control.shared();
            shared.founded = true;
            shared.regions.insert(region);
            return Ok(());
        }
        wait_for_region(&region, control).await;
        loop {
            let token = wait_for_token(number, control).await;
            let first: Vec<String> = self.peers(number, control);
            let replaces = control.shared().replaces.get(&number).cloned();
            let joined =
                cluster::join(environment, settings, &first, &token, &region, Certificates::None, replaces.as_deref());
            match joined.await {
                Ok(_) => return Ok(()),
                Err(error @ cluster::SetupError::Io { .. }) => return Err(error.into()),
                Err(error) => {
                    control.trace.note(&format!("node {number}: joining is tried again: {error:#}"));
                    if matches!(error, cluster::SetupError::Refused { .. }) {
                        control.shared().tokens.remove(&number);
                    }
                    sleep(JOIN_PAUSE).await;
                }
            }
        }
    }

    /// Peer addresses of the other nodes.
    fn peers(&self, number: usize, control: &Control) -> Vec<String> {
        let others = (1..=self.cluster.nodes).filter(|other| *other != number);
        others.map(|other| format!("{}:{}", host(other), peer_port(control.report(other).generation))).collect()
    }

    /// Looks at a running node, and lets it make a token for somebody who waits for one.
    async fn look(&self, number: usize, control: &Control, node: &Node) {
        if let Some(inspector) = &self.inspector {
            inspector(number, node);
        }
        let ready = node.readiness().is_ready();
        let status = node.status().await;
        let (wanted, region) = {
            let mut shared = control.shared();
            let report = &mut shared.reports[number - 1];
            report.ready = ready;
            report.under_replicated = status.under_replicated;
            report.members = status.nodes.into_iter().map(|node| node.name).collect();
            report.groups = node.group_statuses();
            // One at a time: whoever takes the wish sees to it.
            if ready { (shared.token_wanted.pop_first(), shared.region_wanted.pop_first()) } else { (None, None) }
        };
        if let Some(region) = region {
            let added = timeout(TOKEN_DEADLINE, node.admin().region_changes.add(&region)).await;
            let exists = matches!(added, Ok(Ok(_) | Err(RegionError::Refused(Refusal::RegionExists(_)))));
            let mut shared = control.shared();
            if exists {
                shared.regions.insert(region)
            } else {
                shared.region_wanted.insert(region)
            };
        }
        if let Some(joiner) = wanted {
            let made = timeout(TOKEN_DEADLINE, node.create_token(TOKEN_LIFETIME_SECONDS)).await;
            if let Ok(Ok(answer)) = made {
                control.shared().tokens.insert(joiner, answer.token);
            } else {
                control.shared().token_wanted.insert(joiner);
            }
        }
    }

    fn settings(&self, number: usize, generation: u64, control: &Control) -> Result<Settings> {
        let (cluster, node) = (&self.cluster, &self.settings);
        let disks: Vec<String> = control
            .computer(number)
            .disk_paths()
            .iter()
            .map(|path| path.to_str().map(str::to_owned).context("a path that is not text"))
            .collect::<Result<_>>()?;
        let mut flags = vec![
            ("data_dir", DATA_DIR.to_owned()),
            ("node.name", name(number, generation)),
            ("node.zone", format!("zone-{}", number % cluster.zones)),
            ("api.listen", format!("0.0.0.0:{API_PORT}")),
            ("api.allow_plaintext", "true".to_owned()),
            ("api.idle_body_timeout_seconds", node.idle_body_timeout_seconds.to_string()),
            ("peer.listen", format!("{}:{}", host(number), peer_port(generation))),
            ("storage.directories", disks.join(",")),
            ("storage.block_size_bytes", node.block_size_bytes.to_string()),
            ("repair.node_grace_seconds", node.node_grace_seconds.to_string()),
            ("scrub.orphan_grace_seconds", node.orphan_grace_seconds.to_string()),
            ("upload.lifetime_seconds", node.upload_lifetime_seconds.to_string()),
            ("raft.heartbeat_milliseconds", node.heartbeat_milliseconds.to_string()),
            ("raft.election_min_milliseconds", node.election_min_milliseconds.to_string()),
            ("raft.election_max_milliseconds", node.election_max_milliseconds.to_string()),
            ("raft.snapshot_after_entries", node.snapshot_after_entries.to_string()),
        ];
        if cluster.sealed {
            flags.push(("encryption.key_command", UNSEAL.to_owned()));
        }
        let flags = flags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(node::config::resolve(&node::config::Sources { flags, ..node::config::Sources::default() })?.settings)
    }
}

fn peer_port(generation: u64) -> u16 {
    PEER_PORT + u16::try_from(generation).unwrap_or(u16::MAX - PEER_PORT)
}

/// A join token for a node, made by any node that is ready.
async fn wait_for_token(number: usize, control: &Control) -> String {
    loop {
        {
            let mut shared = control.shared();
            if let Some(token) = shared.tokens.get(&number) {
                return token.clone();
            }
            shared.token_wanted.insert(number);
        }
        sleep(POLL).await;
    }
}

/// Waits until a region exists, added through any node that is ready.
async fn wait_for_region(region: &str, control: &Control) {
    loop {
        {
            let mut shared = control.shared();
            if shared.regions.contains(region) {
                return;
            }
            shared.region_wanted.insert(region.to_owned());
        }
        sleep(POLL).await;
    }
}

async fn is_set_up(environment: &Environment) -> Result<bool> {
    let files = environment.files.clone();
    let identity = environment.exec.run(move || Store::new(files, Path::new(DATA_DIR)).identity()).await;
    Ok(identity?.is_some())
}
