//! What a seed decides before a run begins: the cluster, its settings, the workload, the faults and how many of them, and
//! what an operator does meanwhile.
//!
//! Swarm testing (Groce et al., ISSTA 2012): each run leaves out a random half of what could happen, so that rare
//! combinations are not drowned by the common ones. Everything here is printed first and is part of a failure's report.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde::Serialize;

use crate::fault::FaultKind;
use crate::garbage::{GarbageConfiguration, SHORT_UPLOAD_LIFETIME_SECONDS};
use crate::operator::OrderKind;
use crate::seed::Seed;
use crate::workload::OperationKind;

/// Share of the kinds of faults and operations that a run leaves out.
const LEFT_OUT: f64 = 0.4;
/// Share of the runs in which nobody orders anything.
const WITHOUT_OPERATOR: f64 = 0.4;
/// Share of the runs in which rights are given and taken away.
const CLOSED: f64 = 0.5;
/// Share of the runs in which what nodes keep is encrypted.
const SEALED: f64 = 0.5;
/// The shortest grace of orphans that may be set, in seconds.
pub const SHORT_ORPHAN_GRACE_SECONDS: u64 = 60;

/// How long an upload lives without progress unless a run says otherwise, in seconds.
pub const UPLOAD_LIFETIME_SECONDS: u64 = 7 * 24 * 3600;

/// The configuration of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Configuration {
    /// The seed it follows from.
    pub seed: Seed,
    /// The computers.
    pub cluster: ClusterConfiguration,
    /// Settings of every node.
    pub settings: NodeConfiguration,
    /// What the clients do.
    pub workload: WorkloadConfiguration,
    /// What goes wrong.
    pub faults: FaultConfiguration,
    /// What an operator does meanwhile.
    pub operator: OperatorConfiguration,
    /// When garbage goes.
    pub garbage: GarbageConfiguration,
    /// Rare paths that are taken, with the percentage of the times at which they could be.
    pub rare: BTreeMap<&'static str, u8>,
}

/// The computers of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterConfiguration {
    /// Nodes, 3 to 7.
    pub nodes: usize,
    /// Regions to which they belong, the first ones to the first region and so on.
    pub regions: usize,
    /// Whether nobody may anything that he was not given. Everybody may everything otherwise.
    pub closed: bool,
    /// Whether what nodes keep is encrypted.
    pub sealed: bool,
    /// Zones over which they are spread in turn, 1 to 3.
    pub zones: usize,
    /// Disks of every node, 1 to 3.
    pub disks_per_node: usize,
    /// Capacity of a disk, in bytes.
    pub disk_capacity_bytes: u64,
    /// Longest delay of a message while nothing is wrong, in milliseconds.
    pub latency_milliseconds_max: u64,
}

/// Settings of every node, within their legal ranges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeConfiguration {
    /// `raft.heartbeat_milliseconds`.
    pub heartbeat_milliseconds: u64,
    /// `raft.election_min_milliseconds`.
    pub election_min_milliseconds: u64,
    /// `raft.election_max_milliseconds`.
    pub election_max_milliseconds: u64,
    /// `raft.snapshot_after_entries`.
    pub snapshot_after_entries: u64,
    /// `storage.block_size_bytes`.
    pub block_size_bytes: u32,
    /// `api.idle_body_timeout_seconds`.
    pub idle_body_timeout_seconds: u64,
    /// `repair.node_grace_seconds`.
    pub node_grace_seconds: u64,
    /// `scrub.orphan_grace_seconds`.
    pub orphan_grace_seconds: u64,
    /// `upload.lifetime_seconds`.
    pub upload_lifetime_seconds: u64,
}

/// What the clients do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkloadConfiguration {
    /// Clients that work at the same time.
    pub clients: usize,
    /// Repositories that they share.
    pub repositories: usize,
    /// Tags in each.
    pub tags: usize,
    /// Different layers that there are; few, so that pushes meet.
    pub layers: usize,
    /// Length of the longest layer, in bytes.
    pub layer_bytes_max: usize,
    /// Longest pause of a client between two operations, in milliseconds.
    pub pause_milliseconds_max: u64,
    /// How often a client tries again.
    pub tries: Tries,
    /// Weight of each kind of operation.
    pub operations: BTreeMap<OperationKind, u32>,
    /// Share of requests that a client breaks off in mid-body, in percent.
    pub disconnect_percent: u8,
    /// Share of requests that a client sends a second time although they were answered, in percent.
    pub repeat_percent: u8,
}

/// How often clients try a request again that failed; each client has a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tries {
    /// The least patient client's number.
    pub min: u32,
    /// The most patient client's number.
    pub max: u32,
}

impl Tries {
    /// The number of a client.
    pub(crate) fn draw(self, random: &mut StdRng) -> u32 {
        random.random_range(self.min..=self.max)
    }
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultConfiguration {
    /// How long faults are injected, in seconds of virtual time.
    pub phase_seconds: u64,
    /// Longest pause between two faults, in milliseconds.
    pub pause_milliseconds_max: u64,
    /// Longest time that a fault lasts, in milliseconds.
    pub lasts_milliseconds_max: u64,
    /// Weight of each kind of fault.
    pub kinds: BTreeMap<FaultKind, u32>,
}

/// What an operator does while things go wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OperatorConfiguration {
    /// Computers that are not switched on until a node is to join.
    pub spares: usize,
    /// Longest pause between two orders, in milliseconds.
    pub pause_milliseconds_max: u64,
    /// Whether the new node of a wiped computer takes the place of the old one.
    pub replaces: bool,
    /// Whether all disks are scrubbed in the end, after which nothing may be damaged.
    pub scrubs_in_the_end: bool,
    /// Weight of each kind of order; none if nobody orders anything.
    pub orders: BTreeMap<OrderKind, u32>,
}

impl Configuration {
    /// What a seed decides.
    #[must_use]
    pub fn from_seed(seed: Seed) -> Self {
        let mut random = seed.stream("configuration");
        let configuration = Self {
            seed,
            cluster: ClusterConfiguration::draw(&mut random),
            settings: NodeConfiguration::draw(&mut random),
            workload: WorkloadConfiguration::draw(&mut random),
            faults: FaultConfiguration::draw(&mut random),
            operator: OperatorConfiguration::default(),
            garbage: GarbageConfiguration::default(),
            rare: rare(&mut random),
        };
        let garbage = GarbageConfiguration::draw(&mut seed.stream("garbage"));
        let closed = seed.stream("closed").random_bool(CLOSED);
        let sealed = seed.stream("sealed").random_bool(SEALED);
        let cluster = ClusterConfiguration { closed, sealed, ..configuration.cluster };
        let configuration = Self { cluster, ..configuration };
        let configuration = configuration.with_operator(&mut seed.stream("operator"));
        configuration.with_rotation(&mut seed.stream("rotation")).with_garbage(garbage)
    }

    /// The same with an operator, if there is one.
    fn with_operator(mut self, random: &mut StdRng) -> Self {
        self.operator = OperatorConfiguration::draw(random, self.cluster.disks_per_node);
        let orphan_grace_seconds = *[SHORT_ORPHAN_GRACE_SECONDS, 24 * 3600].choose(random).unwrap_or(&(24 * 3600));
        self.settings.orphan_grace_seconds = orphan_grace_seconds;
        if !self.operator.orders.is_empty() {
            // What a cluster that grew has outgrown is looked for after so long a calm: not after the end of the run.
            self.settings.node_grace_seconds = self.settings.node_grace_seconds.min(20);
        }
        self
    }

    /// The same with new data keys, if somebody orders anything and there are data keys.
    fn with_rotation(mut self, random: &mut StdRng) -> Self {
        if self.cluster.sealed && !self.operator.orders.is_empty() {
            self.operator.orders.insert(OrderKind::RotateKey, random.random_range(1..=8));
        }
        self
    }

    /// The same with these rules for what garbage there is.
    #[must_use]
    pub fn with_garbage(mut self, garbage: GarbageConfiguration) -> Self {
        if garbage.grace_seconds.is_some() {
            self.settings.upload_lifetime_seconds = SHORT_UPLOAD_LIFETIME_SECONDS;
            // A clock that steps takes a grace of seconds away at once, as it must. It drifts instead.
            if let Some(weight) = self.faults.kinds.remove(&FaultKind::ClockStep) {
                self.faults.kinds.entry(FaultKind::ClockDrift).or_insert(weight);
            }
            if garbage.emptied_in_the_end {
                self.settings.orphan_grace_seconds = SHORT_ORPHAN_GRACE_SECONDS;
            }
        }
        self.garbage = garbage;
        self
    }

    /// Computers, those included that are switched on later.
    #[must_use]
    pub const fn computers(&self) -> usize {
        self.cluster.nodes + self.operator.spares
    }

    /// How long faults are injected, in virtual time.
    #[must_use]
    pub const fn fault_phase(&self) -> Duration {
        Duration::from_secs(self.faults.phase_seconds)
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, cluster, settings, workload, faults, operator, garbage, rare } = self;
        writeln!(formatter, "seed {seed}")?;
        writeln!(
            formatter,
            "cluster: {}, {}, {} nodes in {} zones, {} disks of {} MiB each, messages take up to {} ms",
            if cluster.closed { "closed" } else { "open" },
            if cluster.sealed { "encrypted" } else { "in the clear" },
            cluster.nodes,
            cluster.zones,
            cluster.disks_per_node,
            cluster.disk_capacity_bytes >> 20,
            cluster.latency_milliseconds_max
        )?;
        writeln!(
            formatter,
            "settings: heartbeat {} ms, election {} to {} ms, snapshot after {} entries, blocks of {} KiB, idle bodies {} s, \
             repair after {} s, orphans stay {} s",
            settings.heartbeat_milliseconds,
            settings.election_min_milliseconds,
            settings.election_max_milliseconds,
            settings.snapshot_after_entries,
            settings.block_size_bytes >> 10,
            settings.idle_body_timeout_seconds,
            settings.node_grace_seconds,
            settings.orphan_grace_seconds
        )?;
        writeln!(
            formatter,
            "workload: {} clients, {} repositories, {} tags each, {} layers up to {} KiB, pauses up to {} ms, \
             {}% disconnects, {}% repeats; {}",
            workload.clients,
            workload.repositories,
            workload.tags,
            workload.layers,
            workload.layer_bytes_max >> 10,
            workload.pause_milliseconds_max,
            workload.disconnect_percent,
            workload.repeat_percent,
            weights(&workload.operations)
        )?;
        writeln!(
            formatter,
            "faults: for {} s, pauses up to {} ms, each up to {} ms; {}",
            faults.phase_seconds,
            faults.pause_milliseconds_max,
            faults.lasts_milliseconds_max,
            weights(&faults.kinds)
        )?;
        writeln!(
            formatter,
            "operator: {} spare computers, pauses up to {} ms, {}, {}; {}",
            operator.spares,
            operator.pause_milliseconds_max,
            if operator.replaces { "wiped nodes are replaced" } else { "wiped nodes join anew" },
            if operator.scrubs_in_the_end { "all is scrubbed in the end" } else { "nothing is scrubbed in the end" },
            weights(&operator.orders)
        )?;
        writeln!(formatter, "garbage: {garbage}")?;
        write!(formatter, "rare paths: {}", weights(rare))
    }
}

fn weights<K: fmt::Display, V: fmt::Display>(weights: &BTreeMap<K, V>) -> String {
    if weights.is_empty() {
        return "none".to_owned();
    }
    let entries: Vec<String> = weights.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
    entries.join(", ")
}

impl ClusterConfiguration {
    /// Number of the region that a node belongs to, from 1.
    #[must_use]
    pub const fn region_of(&self, number: usize) -> usize {
        (number - 1) * self.regions / self.nodes + 1
    }

    /// The nodes of a region.
    pub fn nodes_of(&self, region: usize) -> impl Iterator<Item = usize> {
        (1..=self.nodes).filter(move |number| self.region_of(*number) == region)
    }

    fn draw(random: &mut StdRng) -> Self {
        // Small clusters are the common ones, and the quick ones.
        const NODES: [usize; 8] = [3, 3, 3, 3, 4, 5, 6, 7];
        let nodes = *NODES.choose(random).unwrap_or(&3);
        Self {
            nodes,
            regions: 1,
            closed: false,
            sealed: false,
            zones: random.random_range(1..=3),
            disks_per_node: random.random_range(1..=3),
            // More than clients can fill in a run: disks are full by a fault.
            disk_capacity_bytes: random.random_range(1..=4) << 30,
            latency_milliseconds_max: *[1, 2, 5, 20, 60].choose(random).unwrap_or(&2),
        }
    }
}

impl NodeConfiguration {
    fn draw(random: &mut StdRng) -> Self {
        let heartbeat = random.random_range(100..=400);
        let election_min = heartbeat * random.random_range(3..=5);
        Self {
            heartbeat_milliseconds: heartbeat,
            election_min_milliseconds: election_min,
            election_max_milliseconds: election_min * random.random_range(3..=6) / 2,
            snapshot_after_entries: *[100, 100, 150, 400, 20_000].choose(random).unwrap_or(&100),
            block_size_bytes: *[64 << 10, 64 << 10, 128 << 10, 256 << 10].choose(random).unwrap_or(&(64 << 10)),
            idle_body_timeout_seconds: random.random_range(5..=60),
            node_grace_seconds: *[5, 20, 600].choose(random).unwrap_or(&20),
            orphan_grace_seconds: 24 * 3600,
            upload_lifetime_seconds: UPLOAD_LIFETIME_SECONDS,
        }
    }
}

impl OperatorConfiguration {
    fn draw(random: &mut StdRng, disks: usize) -> Self {
        let (replaces, scrubs_in_the_end) = (random.random_bool(0.5), random.random_bool(0.5));
        let quiet = Self { replaces, scrubs_in_the_end, ..Self::default() };
        if random.random_bool(WITHOUT_OPERATOR) {
            return quiet;
        }
        let spares = random.random_range(1..=2);
        let mut orders = draw_weights(random, OrderKind::EVERYWHERE);
        if disks < 2 {
            // The only disk of a node is drained with its node.
            orders.remove(&OrderKind::DrainDisk);
        }
        let pause_milliseconds_max = *[5_000, 15_000, 40_000].choose(random).unwrap_or(&15_000);
        Self { spares, pause_milliseconds_max, orders, ..quiet }
    }
}

impl WorkloadConfiguration {
    fn draw(random: &mut StdRng) -> Self {
        Self {
            clients: random.random_range(2..=6),
            repositories: random.random_range(1..=3),
            tags: random.random_range(1..=4),
            layers: random.random_range(4..=24),
            layer_bytes_max: *[8 << 10, 100 << 10, 400 << 10, 1200 << 10].choose(random).unwrap_or(&(100 << 10)),
            pause_milliseconds_max: *[20, 100, 500, 2000].choose(random).unwrap_or(&100),
            tries: Tries { min: 2, max: 6 },
            operations: draw_weights(random, OperationKind::ALL),
            disconnect_percent: if random.random_bool(0.5) { random.random_range(1..=20) } else { 0 },
            repeat_percent: if random.random_bool(0.5) { random.random_range(1..=20) } else { 0 },
        }
    }
}

impl FaultConfiguration {
    fn draw(random: &mut StdRng) -> Self {
        Self {
            phase_seconds: random.random_range(30..=120),
            pause_milliseconds_max: *[1_000, 4_000, 10_000, 20_000].choose(random).unwrap_or(&4_000),
            lasts_milliseconds_max: *[500, 3_000, 10_000, 30_000].choose(random).unwrap_or(&3_000),
            kinds: draw_weights(random, FaultKind::ALL),
        }
    }
}

fn draw_weights<K: Ord + Copy>(random: &mut StdRng, kinds: &[K]) -> BTreeMap<K, u32> {
    let mut weights = BTreeMap::new();
    for kind in kinds {
        if !random.random_bool(LEFT_OUT) {
            weights.insert(*kind, random.random_range(1..=10));
        }
    }
    // Something always happens.
    if weights.is_empty()
        && let Some(kind) = kinds.choose(random)
    {
        weights.insert(*kind, 1);
    }
    weights
}

fn rare(random: &mut StdRng) -> BTreeMap<&'static str, u8> {
    let mut rare = BTreeMap::new();
    for switch in crate::rare::RARE {
        if random.random_bool(0.25) {
            rare.insert(switch.name, random.random_range(1..=40));
        }
    }
    rare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_decides_the_same() {
        assert_eq!(Configuration::from_seed(Seed(7)), Configuration::from_seed(Seed(7)));
        assert_ne!(Configuration::from_seed(Seed(7)), Configuration::from_seed(Seed(8)));
    }

    #[test]
    fn every_kind_of_fault_and_operation_appears_in_some_run_and_is_left_out_of_another() {
        let runs: Vec<_> = (0..200).map(|seed| Configuration::from_seed(Seed(seed))).collect();
        for kind in FaultKind::ALL {
            let with = runs.iter().filter(|run| run.faults.kinds.contains_key(kind)).count();
            assert!((1..runs.len()).contains(&with), "{kind} appears in {with} of {} runs", runs.len());
        }
        for kind in OrderKind::ALL {
            let with = runs.iter().filter(|run| run.operator.orders.contains_key(kind)).count();
            assert!((1..runs.len()).contains(&with), "{kind} appears in {with} of {} runs", runs.len());
        }
        for kind in OperationKind::ALL {
            let with = runs.iter().filter(|run| run.workload.operations.contains_key(kind)).count();
            assert!((1..runs.len()).contains(&with), "{kind} appears in {with} of {} runs", runs.len());
        }
    }
}
