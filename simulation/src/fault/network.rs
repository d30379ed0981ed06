//! What happens to links: loss, delay, partitions, one-way partitions, held messages.
//!
//! A fault belongs to the cable of one node, or to one side of a partition: the nodes that it does not impair hear each
//! other. turmoil never sends a segment again. A lost one, like one that was under way when a link was cut, leaves its
//! connection stuck until a deadline gives it up, which is how a firewall that forgets connections looks; so every call
//! needs one. A loss also takes along whatever else is under way on the link: losses come in bursts. Held messages come
//! all at once on release.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::schedule::Scene;
use super::target::{Part, Target};
use crate::cluster::{Control, client_host};

/// Shares of the messages that a bad link loses.
const LOSS: [f64; 4] = [0.001, 0.005, 0.02, 0.1];
/// Longest delays of a slow link, in milliseconds.
const DELAY_MILLISECONDS: [u64; 4] = [200, 500, 2_000, 10_000];

/// Who stands at an end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Node(usize),
    Client(usize),
}

impl End {
    fn host(self) -> String {
        match self {
            Self::Node(number) => Control::host(number),
            Self::Client(number) => client_host(number),
        }
    }
}

/// What is wrong with links.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Manner {
    /// This share of messages is lost.
    Loss(f64),
    /// Messages take up to so long.
    Delay(Duration),
    /// Nothing comes through.
    Cut,
    /// Nothing comes through from the first end to the second.
    CutOneWay,
    /// Everything waits.
    Hold,
}

/// Links that something is wrong with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    manner: Manner,
    links: Vec<(End, End)>,
    impairs: BTreeSet<usize>,
}

impl Trouble {
    /// A share of the messages of some links is lost.
    pub(super) fn loss(random: &mut StdRng, scene: &Scene) -> Self {
        let share = *LOSS.choose(random).unwrap_or(&LOSS[0]);
        Self::cable(Manner::Loss(share), random, scene)
    }

    /// Some links are slow.
    pub(super) fn delay(random: &mut StdRng, scene: &Scene) -> Self {
        let most = *DELAY_MILLISECONDS.choose(random).unwrap_or(&DELAY_MILLISECONDS[0]);
        Self::cable(Manner::Delay(Duration::from_millis(most)), random, scene)
    }

    /// Links of one client or one node.
    fn cable(manner: Manner, random: &mut StdRng, scene: &Scene) -> Self {
        if scene.clients > 0 && random.random_bool(0.3) {
            let client = random.random_range(1..=scene.clients);
            let links = some(random, scene.members.clone()).into_iter();
            let links = links.map(|node| (End::Client(client), End::Node(node))).collect();
            return Self { manner, links, impairs: BTreeSet::new() };
        }
        Self::one_node(manner, random, scene)
    }

    fn one_node(manner: Manner, random: &mut StdRng, scene: &Scene) -> Self {
        let node = scene.node(random);
        let others = scene.members.iter().copied().filter(|other| *other != node).collect();
        let links = some(random, others).into_iter().map(|other| (End::Node(node), End::Node(other))).collect();
        Self { manner, links, impairs: BTreeSet::from([node]) }
    }

    /// Two sides do not hear each other.
    pub(super) fn partition(random: &mut StdRng, scene: &Scene) -> Self {
        let mut nodes = scene.members.clone();
        nodes.shuffle(random);
        let rest = nodes.split_off(random.random_range(1..=scene.members.len() / 2));
        let link = |node: &usize| {
            let node = *node;
            rest.iter().map(move |other| (End::Node(node), End::Node(*other)))
        };
        let links = nodes.iter().flat_map(link).collect();
        Self { manner: Manner::Cut, links, impairs: nodes.into_iter().collect() }
    }

    /// One node is not heard by some others, or does not hear them.
    pub(super) fn oneway(random: &mut StdRng, scene: &Scene) -> Self {
        let mut trouble = Self::one_node(Manner::CutOneWay, random, scene);
        if random.random_bool(0.5) {
            for (from, to) in &mut trouble.links {
                std::mem::swap(from, to);
            }
        }
        trouble
    }

    /// Messages between one node and some others wait.
    pub(super) fn hold(random: &mut StdRng, scene: &Scene) -> Self {
        Self::one_node(Manner::Hold, random, scene)
    }

    pub(super) fn target(&self) -> Target {
        let part = |(one, other): &(End, End)| match (*one, *other) {
            (End::Node(one), End::Node(other)) => Part::link(one, other),
            (End::Client(client), End::Node(node) | End::Client(node)) | (End::Node(node), End::Client(client)) => {
                Part::ClientLink(client, node)
            }
        };
        Target { parts: self.links.iter().map(part).collect(), impairs: self.impairs.clone() }
    }

    pub(super) async fn inject(&self, control: &Control) {
        for (one, other) in self.hosts() {
            match self.manner {
                Manner::Loss(share) => set_loss(control, one, other, share).await,
                Manner::Delay(most) => set_delay(control, one, other, most).await,
                Manner::Cut => turmoil::partition(one, other),
                Manner::CutOneWay => turmoil::partition_oneway(one, other),
                Manner::Hold => turmoil::hold(one, other),
            }
        }
    }

    pub(super) async fn end(&self, control: &Control, scene: &Scene) {
        for (one, other) in self.hosts() {
            match self.manner {
                Manner::Loss(_) => set_loss(control, one, other, 0.0).await,
                Manner::Delay(_) => set_delay(control, one, other, scene.latency_max).await,
                Manner::Cut => turmoil::repair(one, other),
                Manner::CutOneWay => turmoil::repair_oneway(one, other),
                Manner::Hold => turmoil::release(one, other),
            }
        }
    }

    fn hosts(&self) -> impl Iterator<Item = (String, String)> {
        self.links.iter().map(|(one, other)| (one.host(), other.host()))
    }
}

/// At least one of them, in order.
fn some(random: &mut StdRng, mut all: Vec<usize>) -> Vec<usize> {
    all.shuffle(random);
    all.truncate(random.random_range(1..=all.len().max(1)));
    all.sort_unstable();
    all
}

async fn set_loss(control: &Control, one: String, other: String, share: f64) {
    control.outside(move |simulation| simulation.set_link_fail_rate(one, other, share)).await;
}

async fn set_delay(control: &Control, one: String, other: String, most: Duration) {
    control.outside(move |simulation| simulation.set_link_max_message_latency(one, other, most)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn the_nodes_that_are_not_impaired_hear_each_other() {
        let mut random = Seed(1).stream("test");
        for nodes in 3..=7 {
            let members = (1..=nodes).collect();
            let scene = Scene {
                members,
                replaces: false,
                disks: 1,
                clients: 3,
                block_bytes: 1,
                latency_max: Duration::from_millis(2),
            };
            for _ in 0..200 {
                for draw in [Trouble::loss, Trouble::delay, Trouble::partition, Trouble::oneway, Trouble::hold] {
                    let trouble = draw(&mut random, &scene);
                    let target = trouble.target();
                    assert!(!target.parts.is_empty() && target.impairs.len() <= nodes / 2);
                    for part in target.parts {
                        match part {
                            Part::Link(one, other) => {
                                assert!(one < other && other <= nodes);
                                assert!(target.impairs.contains(&one) || target.impairs.contains(&other));
                            }
                            Part::ClientLink(client, node) => assert!(client <= 3 && node <= nodes),
                            other => panic!("{other:?} is no link"),
                        }
                    }
                }
            }
        }
    }
}
