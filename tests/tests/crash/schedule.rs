//! What is done to the processes and when: an endless list of steps that follows from the seed alone.
//!
//! The steps repeat with the seed; what the processes are doing when a step meets them does not, since they are real.

use std::fmt;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use simulation::seed::Seed;

/// One step: a pause, a blow, and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// How long the cluster is left alone before.
    pub(crate) pause: Duration,
    /// What is done.
    pub(crate) blow: Blow,
    /// To which nodes, from 0, all at the same moment; they are started again in this order.
    pub(crate) victims: Vec<Victim>,
    /// Whether the next step waits until all nodes are ready. Otherwise it meets them while they recover.
    pub(crate) recovers: bool,
}

/// What is done to processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// `SIGKILL`.
    Kill,
    /// `SIGSTOP` for this long, then `SIGCONT`: what was under way goes on as if no time had passed.
    Freeze(Duration),
    /// `SIGSTOP` for this long, then `SIGKILL`.
    FreezeAndKill(Duration),
}

/// A node that is hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Victim {
    /// Its number, from 0.
    pub(crate) node: usize,
    /// How long it stays down.
    pub(crate) away: Duration,
    /// How long after each start it is killed again, while it still starts; then it is started for good.
    pub(crate) again: Vec<Duration>,
}

/// The steps of one seed.
#[derive(Debug)]
pub(crate) struct Schedule {
    random: StdRng,
    nodes: usize,
}

impl Schedule {
    /// The schedule of a seed for so many nodes.
    pub(crate) fn new(seed: Seed, nodes: usize) -> Self {
        Self { random: seed.stream("crash schedule"), nodes }
    }

    fn milliseconds(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }

    fn step(&mut self) -> Step {
        // A cluster that recovers wants other moments than one at work.
        let pause =
            if self.random.random_bool(0.3) { self.milliseconds(0..300) } else { self.milliseconds(500..4_000) };
        let blow = match self.random.random_range(0..100) {
            0..70 => Blow::Kill,
            70..85 => Blow::Freeze(self.milliseconds(500..6_000)),
            _ => Blow::FreezeAndKill(self.milliseconds(100..4_000)),
        };
        let count = match self.random.random_range(0..100) {
            0..55 => 1,
            55..80 => 2,
            _ => self.nodes,
        };
        let mut order: Vec<usize> = (0..self.nodes).collect();
        order.shuffle(&mut self.random);
        order.truncate(count);
        let victims = order.into_iter().map(|node| self.victim(node)).collect();
        Step { pause, blow, victims, recovers: self.random.random_bool(0.6) }
    }

    fn victim(&mut self, node: usize) -> Victim {
        let away = if self.random.random_bool(0.5) { Duration::ZERO } else { self.milliseconds(100..3_000) };
        let times = if self.random.random_bool(0.3) { self.random.random_range(1..=3) } else { 0 };
        let again = (0..times).map(|_| self.milliseconds(1..1_200)).collect();
        Victim { node, away, again }
    }
}

impl Iterator for Schedule {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        Some(self.step())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.blow {
            Blow::Kill => write!(formatter, "kill")?,
            Blow::Freeze(lasts) => write!(formatter, "freeze for {lasts:?}")?,
            Blow::FreezeAndKill(lasts) => write!(formatter, "freeze for {lasts:?}, then kill")?,
        }
        for Victim { node, away, again } in &self.victims {
            write!(formatter, " node {}", node + 1)?;
            if self.blow.kills() {
                match *away {
                    Duration::ZERO => write!(formatter, " (back at once")?,
                    away => write!(formatter, " (back after {away:?}")?,
                }
                again.iter().try_for_each(|after| write!(formatter, ", killed {after:?} later"))?;
                write!(formatter, ")")?;
            }
        }
        Ok(())
    }
}

impl Blow {
    /// Whether the processes are dead afterwards.
    pub(crate) const fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::FreezeAndKill(_))
    }
}

#[test]
fn the_schedule_follows_from_the_seed_and_holds_every_blow() {
    let steps = |seed| Schedule::new(Seed(seed), 3).take(200).collect::<Vec<_>>();
    assert_eq!(steps(1), steps(1));
    assert_ne!(steps(1), steps(2));
    let steps = steps(1);
    for count in 1..=3 {
        assert!(steps.iter().any(|step| step.victims.len() == count && step.blow == Blow::Kill));
    }
    assert!(steps.iter().any(|step| matches!(step.blow, Blow::Freeze(_))));
    assert!(steps.iter().any(|step| matches!(step.blow, Blow::FreezeAndKill(_))));
    assert!(steps.iter().flat_map(|step| &step.victims).any(|victim| !victim.again.is_empty()));
}
