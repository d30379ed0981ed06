//! What happens to wall clocks: they step, and they run fast or slow.
//!
//! Most steps are small. Some are far beyond what nodes put up with (`clock.max_offset_seconds`): the node is then
//! impaired, and has to hand over what it leads. A fault ends as NTP ends it: the clock is set right.

use std::collections::BTreeSet;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::schedule::Scene;
use super::target::{Part, Target};
use crate::cluster::Control;

/// Steps up to this are within bounds whatever the other clocks do: two of them differ by less than 30 s, which is
/// what nodes put up with by default.
const NEAR_MILLISECONDS: i64 = 14_000;
/// Longest steps within bounds, in milliseconds.
const SMALL_MILLISECONDS: [i64; 4] = [20, 500, 5_000, NEAR_MILLISECONDS];
/// Longest steps out of bounds, in milliseconds: the last one is more than a day.
const LARGE_MILLISECONDS: [i64; 4] = [20_000, 60_000, 3_600_000, 100_000_000];
/// Share of the steps that are out of bounds.
const LARGE: f64 = 0.2;
/// Most that a clock runs fast or slow, in parts per million.
const DRIFT_PARTS_PER_MILLION: i64 = 40_000;

/// What is wrong with a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It steps by so many milliseconds.
    Step(i64),
    /// It runs fast by so many parts per million.
    Drift(i64),
}

/// A clock that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    node: usize,
    manner: Manner,
}

impl Wrong {
    pub(super) fn step(random: &mut StdRng, scene: &Scene) -> Self {
        let (least, longest) = if random.random_bool(LARGE) {
            (NEAR_MILLISECONDS + 1, LARGE_MILLISECONDS.choose(random))
        } else {
            (1, SMALL_MILLISECONDS.choose(random))
        };
        let size = random.random_range(least..=*longest.unwrap_or(&LARGE_MILLISECONDS[0]));
        let by = if random.random_bool(0.5) { size } else { -size };
        Self { node: scene.node(random), manner: Manner::Step(by) }
    }

    pub(super) fn drift(random: &mut StdRng, scene: &Scene) -> Self {
        let rate = random.random_range(-DRIFT_PARTS_PER_MILLION..=DRIFT_PARTS_PER_MILLION);
        Self { node: scene.node(random), manner: Manner::Drift(rate) }
    }

    pub(super) fn target(&self) -> Target {
        let far = matches!(self.manner, Manner::Step(by) if by.abs() > NEAR_MILLISECONDS);
        Target {
            parts: BTreeSet::from([Part::Clock(self.node)]),
            impairs: far.then_some(self.node).into_iter().collect(),
        }
    }

    pub(super) fn inject(&self, control: &Control) {
        let computer = control.computer(self.node);
        match self.manner {
            Manner::Step(by) => computer.clock().step_milliseconds(by),
            Manner::Drift(rate) => computer.clock().set_drift_parts_per_million(rate),
        }
    }

    pub(super) fn end(&self, control: &Control) {
        control.computer(self.node).clock().reset();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::seed::Seed;

    #[test]
    fn steps_are_mostly_small_and_sometimes_a_day() {
        let mut random = Seed(1).stream("test");
        let scene = Scene {
            members: vec![1, 2, 3],
            replaces: false,
            disks: 1,
            clients: 1,
            block_bytes: 1,
            latency_max: Duration::from_millis(2),
        };
        let steps: Vec<Wrong> = (0..500).map(|_| Wrong::step(&mut random, &scene)).collect();
        let far = steps.iter().filter(|step| !step.target().impairs.is_empty()).count();
        assert!((50..200).contains(&far), "{far} of 500 are far off");
        let day = |step: &&Wrong| matches!(step.manner, Manner::Step(by) if by.abs() > 86_400_000);
        assert!(steps.iter().any(|step| day(&step)));
        assert!(Wrong::drift(&mut random, &scene).target().impairs.is_empty());
    }
}
