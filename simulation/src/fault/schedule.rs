//! What goes wrong next, to whom and for how long: drawn from the seed, before anything is done.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::FaultKind;
use super::clock::Wrong;
use super::computer::{Down, OUTAGE_MILLISECONDS};
use super::disk::{Damage, Failing};
use super::network::Trouble;
use super::target::Target;
use crate::configuration::{Configuration, FaultConfiguration};

/// Kinds that are drawn before another moment is waited for.
const KINDS_TRIED: usize = 4;
/// Targets that are drawn for a kind.
const TARGETS_TRIED: usize = 8;
/// Shortest fault and shortest pause, in milliseconds.
const MILLISECONDS_MIN: u64 = 50;

/// What there is to be hit.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// Numbers of the nodes that are members.
    pub(super) members: Vec<usize>,
    /// Whether the new node of a wiped computer takes the place of the old one.
    pub(super) replaces: bool,
    /// Data disks of each, numbered from 1; the system disk is 0.
    pub(super) disks: usize,
    /// Clients, numbered from 1.
    pub(super) clients: usize,
    /// Length of a block of a shard.
    pub(super) block_bytes: usize,
    /// Longest delay of a message while nothing is wrong.
    pub(super) latency_max: Duration,
}

/// A fault with all that is needed to do it and to end it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mischief {
    Network(Trouble),
    Computer(Down),
    Clock(Wrong),
    Disk(Failing),
    Damage(Damage),
}

/// A fault that is to be injected.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    pub(super) kind: FaultKind,
    pub(super) mischief: Mischief,
    pub(super) lasts: Duration,
}

impl Scene {
    /// One of the nodes.
    pub(super) fn node(&self, random: &mut StdRng) -> usize {
        self.members.choose(random).copied().unwrap_or(1)
    }
}

impl Planned {
    /// Whom it hits while it lasts; nobody if it is done in a moment.
    pub(super) fn target(&self, scene: &Scene) -> Option<Target> {
        match &self.mischief {
            Mischief::Network(trouble) => Some(trouble.target()),
            Mischief::Computer(down) => Some(down.target(scene)),
            Mischief::Clock(wrong) => Some(wrong.target()),
            Mischief::Disk(failing) => Some(failing.target()),
            Mischief::Damage(_) => None,
        }
    }
}

/// Draws the faults of a run.
#[derive(Debug)]
pub(super) struct Schedule {
    random: StdRng,
    scene: Scene,
    kinds: BTreeMap<FaultKind, u32>,
    pause_milliseconds_max: u64,
    lasts_milliseconds_max: u64,
}

impl Schedule {
    pub(super) fn new(configuration: &Configuration) -> Self {
        let FaultConfiguration { pause_milliseconds_max, lasts_milliseconds_max, ref kinds, .. } = configuration.faults;
        let cluster = &configuration.cluster;
        Self {
            random: configuration.seed.stream("nemesis"),
            scene: Scene {
                members: (1..=cluster.nodes).collect(),
                replaces: configuration.operator.replaces,
                disks: cluster.disks_per_node,
                clients: configuration.workload.clients,
                block_bytes: configuration.settings.block_size_bytes as usize,
                latency_max: Duration::from_millis(cluster.latency_milliseconds_max),
            },
            kinds: kinds.clone(),
            pause_milliseconds_max,
            lasts_milliseconds_max,
        }
    }

    pub(super) const fn scene(&self) -> &Scene {
        &self.scene
    }

    /// From now on these nodes are there to be hit.
    pub(super) fn observe(&mut self, members: Vec<usize>) {
        self.scene.members = members;
    }

    /// The pause before the next fault.
    pub(super) fn pause(&mut self) -> Duration {
        let most = self.pause_milliseconds_max.max(MILLISECONDS_MIN);
        Duration::from_millis(self.random.random_range(MILLISECONDS_MIN..=most))
    }

    /// The next fault; `None` when nothing that was drawn may be.
    pub(super) fn draw(&mut self, may: impl Fn(&Planned) -> bool) -> Option<Planned> {
        for _ in 0..KINDS_TRIED {
            let kind = self.kind()?;
            let plan = (0..TARGETS_TRIED).map(|_| self.plan(kind)).find(&may);
            if plan.is_some() {
                return plan;
            }
        }
        None
    }

    fn kind(&mut self) -> Option<FaultKind> {
        let total: u32 = self.kinds.values().sum();
        if total == 0 {
            return None;
        }
        let mut rest = self.random.random_range(0..total);
        for (kind, weight) in &self.kinds {
            match rest.checked_sub(*weight) {
                Some(left) => rest = left,
                None => return Some(*kind),
            }
        }
        None
    }

    fn plan(&mut self, kind: FaultKind) -> Planned {
        let most = self.lasts_milliseconds_max.max(MILLISECONDS_MIN);
        let milliseconds = match kind {
            FaultKind::Outage => self.random.random_range(OUTAGE_MILLISECONDS),
            _ => self.random.random_range(MILLISECONDS_MIN..=most),
        };
        let lasts = Duration::from_millis(milliseconds);
        let (random, scene) = (&mut self.random, &self.scene);
        let mischief = match kind {
            FaultKind::MessageLoss => Mischief::Network(Trouble::loss(random, scene)),
            FaultKind::MessageDelay => Mischief::Network(Trouble::delay(random, scene)),
            FaultKind::Partition => Mischief::Network(Trouble::partition(random, scene)),
            FaultKind::OnewayPartition => Mischief::Network(Trouble::oneway(random, scene)),
            FaultKind::Hold => Mischief::Network(Trouble::hold(random, scene)),
            FaultKind::Crash | FaultKind::PowerLoss | FaultKind::Outage | FaultKind::Wipe => {
                Mischief::Computer(Down::one(kind, random, scene))
            }
            FaultKind::Blackout => Mischief::Computer(Down::all(scene)),
            FaultKind::ClockStep => Mischief::Clock(Wrong::step(random, scene)),
            FaultKind::ClockDrift => Mischief::Clock(Wrong::drift(random, scene)),
            FaultKind::ReadErrors
            | FaultKind::WriteErrors
            | FaultKind::SyncErrors
            | FaultKind::FullDisk
            | FaultKind::SlowDisk
            | FaultKind::HungDisk => Mischief::Disk(Failing::draw(kind, lasts, random, scene)),
            FaultKind::BitRot | FaultKind::Misdirection | FaultKind::MissingShard => {
                Mischief::Damage(Damage::draw(kind, random, scene))
            }
        };
        Planned { kind, mischief, lasts }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::chart::{Bounds, Chart, Seen};
    use super::*;
    use crate::seed::Seed;

    /// Goes through the fault phase of a run; all nodes are always ready again at once.
    fn rage(seed: u64) -> (Bounds, Vec<(Duration, Planned)>) {
        let configuration = Configuration::from_seed(Seed(seed));
        let bounds = Bounds::draw(&configuration, &mut Seed(seed).stream("atlas"));
        let mut chart = Chart::new(bounds.clone());
        let mut schedule = Schedule::new(&configuration);
        let mut done = Vec::new();
        let mut ends = Vec::new();
        let mut now = Duration::ZERO;
        while now < configuration.fault_phase() {
            now += schedule.pause();
            ends.retain(|(end, id)| {
                if *end <= now {
                    chart.end(*id);
                }
                *end > now
            });
            chart.observe(now, &vec![Seen { ready: true, under_replicated: 0 }; configuration.cluster.nodes]);
            let scene = schedule.scene().clone();
            let may = |plan: &Planned| plan.target(&scene).is_none_or(|target| chart.may(plan.kind, &target));
            let Some(plan) = schedule.draw(may) else { continue };
            if let Some(target) = plan.target(&scene) {
                let id = chart.begin(plan.kind, &target).expect("it may");
                if plan.kind == FaultKind::Wipe {
                    chart.wipe(*target.impairs.first().expect("one node"), false, []);
                }
                ends.push((now + plan.lasts, id));
            }
            assert!(bounds.beyond_promise || chart.is_promised(), "seed {seed}: {plan:?}");
            done.push((now, plan));
        }
        (bounds, done)
    }

    #[test]
    fn the_same_seed_plans_the_same() {
        for seed in 0..20 {
            assert_eq!(rage(seed), rage(seed));
        }
        assert_ne!(rage(1), rage(2));
    }

    #[test]
    fn every_kind_happens_and_only_what_the_configuration_names() {
        let mut kinds = BTreeSet::new();
        for seed in 0..300 {
            let (_, done) = rage(seed);
            let configured = Configuration::from_seed(Seed(seed)).faults.kinds;
            assert!(done.iter().all(|(_, plan)| configured.contains_key(&plan.kind)));
            kinds.extend(done.into_iter().map(|(_, plan)| plan.kind));
        }
        assert_eq!(kinds, FaultKind::ALL.iter().copied().collect());
    }
}
