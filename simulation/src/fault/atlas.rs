//! The fault atlas: what is broken right now, per node, disk and link, and what may be broken further so that the run
//! stays winnable. The model is TigerBeetle's (`src/testing/cluster/…` and `storage.zig`, "fault atlas").
//!
//! Safety has to hold whatever happens. Availability is promised only while no more nodes are impaired than the contract
//! bears; judges ask [`Atlas::is_promised`] before they demand it. Data is never damaged beyond what the redundancy of
//! every extent bears. The rules are in [`Chart`].

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::chart::{Bounds, Chart, Seen};
use super::target::WrittenExtent;
use crate::cluster::Control;
use crate::configuration::Configuration;

/// Share of the runs whose faults exceed at times what the contract bears.
const BEYOND_PROMISE: f64 = 0.5;
/// The smallest cluster of which two nodes may be damaged.
const TWO_VICTIMS_FROM: usize = 5;

impl Bounds {
    /// The bounds of a run.
    #[must_use]
    pub fn draw(configuration: &Configuration, random: &mut StdRng) -> Self {
        let nodes = configuration.cluster.nodes;
        let mut numbers: Vec<usize> = (1..=nodes).collect();
        numbers.shuffle(random);
        let victims = if nodes < TWO_VICTIMS_FROM { 1 } else { random.random_range(1..=2) };
        Self {
            nodes,
            victims: numbers.into_iter().take(victims).collect(),
            beyond_promise: random.random_bool(BEYOND_PROMISE),
            damage_after: configuration.fault_phase().mul_f64(random.random_range(0.0..1.0)),
        }
    }
}

/// The fault atlas of a run. Clones share it.
#[derive(Clone, Debug)]
pub struct Atlas {
    chart: Arc<Mutex<Chart>>,
}

impl Atlas {
    /// The atlas of a run in which nothing is broken yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { chart: Arc::new(Mutex::new(Chart::new(bounds))) }
    }

    /// The atlas of a configuration's run.
    #[must_use]
    pub fn of(configuration: &Configuration) -> Self {
        Self::new(Bounds::draw(configuration, &mut configuration.seed.stream("atlas")))
    }

    pub(crate) fn chart(&self) -> MutexGuard<'_, Chart> {
        self.chart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was decided about the run before it began.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.chart().bounds().clone()
    }

    /// Nodes that cannot be relied on: down, cut off, restarting, on a broken disk or a clock that is far off, with
    /// damaged data, or not yet settled after such a thing. Numbered from 1.
    #[must_use]
    pub fn impaired_nodes(&self) -> BTreeSet<usize> {
        self.chart().impaired_nodes()
    }

    /// Whether the contract promises service through the nodes that are not impaired.
    #[must_use]
    pub fn is_promised(&self) -> bool {
        self.chart().is_promised()
    }

    /// Nodes that have yet to join, or to settle after that. Numbered from 1.
    #[must_use]
    pub fn joining_nodes(&self) -> BTreeSet<usize> {
        self.chart().joining_nodes()
    }

    /// Voters that are lost for good: their groups go on with a smaller spare.
    #[must_use]
    pub fn lost_voters(&self) -> usize {
        self.chart().lost_voters()
    }

    /// Whether a node's shard of an extent was damaged or lost.
    #[must_use]
    pub fn is_damaged(&self, number: usize, extent: &WrittenExtent) -> bool {
        self.chart().is_damaged(number, extent)
    }

    /// Takes in how the nodes are at this moment of the run.
    pub(super) fn observe(&self, now: Duration, control: &Control) {
        let seen: Vec<Seen> = (1..=control.nodes())
            .map(|number| control.report(number))
            .map(|report| Seen { ready: report.ready, under_replicated: report.under_replicated })
            .collect();
        self.chart().observe(now, &seen);
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::tolerated;
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn bounds_follow_from_the_seed_and_fit_the_cluster() {
        let of =
            |seed| (Configuration::from_seed(Seed(seed)), Atlas::of(&Configuration::from_seed(Seed(seed))).bounds());
        let mut beyond = 0;
        for seed in 0..200 {
            let (configuration, bounds) = of(seed);
            assert_eq!(bounds, of(seed).1);
            assert!((1..=tolerated(configuration.cluster.nodes)).contains(&bounds.victims.len()));
            assert!(bounds.damage_after < configuration.fault_phase());
            beyond += usize::from(bounds.beyond_promise);
        }
        assert!((50..150).contains(&beyond), "{beyond} of 200 runs exceed the promise");
    }
}
