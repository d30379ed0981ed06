//! The steps one by one, and what holds after any of them in any order, on the directory's own state machine.

use std::sync::Arc;

use proptest::prelude::*;
use raft::directory::{Command, Directory, FirstAccess, NodeInfo, Response, View};
use raft::id::{RegionId, RequestId};
use raft::machine::{Machine, Stamp, Transaction};
use raft::time::Timestamp;
use storage::disk::RealFiles;
use storage::kv::{Bytes, Engine, EngineOptions, Engines, MemoryEngines};

use super::*;

const OLD: AuthorityId = AuthorityId([1; 32]);
const NEW: AuthorityId = AuthorityId([2; 32]);

fn held(trusts: &[AuthorityId], shows: AuthorityId) -> Held {
    Held { trusts: trusts.iter().copied().collect(), shows, is_due: false }
}

fn step(agreed: Agreed, held: &Held) -> Option<OwnStep> {
    own_step(&agreed, held, None)
}

fn say(held: &Held) -> OwnStep {
    OwnStep::Say(held.standing())
}

#[test]
fn a_node_trusts_before_it_says_so_and_shows_only_what_signs() {
    let both = || Some(OwnStep::Trust([OLD, NEW].into()));
    let introduced = Agreed { signer: OLD, other: Some((RotationPhase::Introduced, NEW)) };
    assert_eq!(step(introduced, &held(&[OLD], OLD)), both());
    let ready = held(&[OLD, NEW], OLD);
    assert_eq!(step(introduced, &ready), Some(say(&ready)));
    assert_eq!(own_step(&introduced, &ready, Some(&ready.standing())), None);

    let signing = Agreed { signer: NEW, other: Some((RotationPhase::Signing, OLD)) };
    assert_eq!(step(signing, &ready), Some(OwnStep::Renew));
    let renewed = held(&[OLD, NEW], NEW);
    assert_eq!(step(signing, &renewed), Some(say(&renewed)), "the old one is trusted until nobody shows it");
    assert_eq!(step(signing, &held(&[OLD], OLD)), both(), "it trusts before it shows");

    let over = Agreed { signer: NEW, other: None };
    assert_eq!(step(over, &renewed), Some(OwnStep::Trust([NEW].into())));
    assert_eq!(step(over, &held(&[NEW], NEW)), Some(say(&held(&[NEW], NEW))));
    let taken_back = Agreed { signer: OLD, other: None };
    assert_eq!(step(taken_back, &ready), Some(OwnStep::Trust([OLD].into())));
}

#[test]
fn a_certificate_is_renewed_for_its_age_too() {
    let stable = Agreed { signer: OLD, other: None };
    let aged = Held { is_due: true, ..held(&[OLD], OLD) };
    assert_eq!(step(stable, &aged), Some(OwnStep::Renew));
}

/// A cluster: its directory, and what each node really has.
struct World {
    engine: Arc<dyn Engine>,
    requests: u64,
    made: u8,
    nodes: BTreeMap<NodeId, Held>,
    /// What each node's replica showed when it last did something.
    seen: BTreeMap<NodeId, Agreed>,
    _directory: tempfile::TempDir,
}

fn info(name: String) -> NodeInfo {
    NodeInfo {
        peer_address: name.clone(),
        name,
        zone: String::new(),
        api_url: String::new(),
        disks: Vec::new(),
        feature_level: 1,
        version: String::new(),
    }
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = EngineOptions { columns: Directory::COLUMNS, journal: false };
        let engine = MemoryEngines::new(Arc::new(RealFiles)).open(&directory.path().join("state"), &options).unwrap();
        let (nodes, seen) = (BTreeMap::new(), BTreeMap::new());
        let mut world = Self { engine, requests: 0, made: 0, nodes, seen, _directory: directory };
        let found = Command::Found {
            cluster: [9; 16],
            ca_certificate: Bytes::from_static(&[0]),
            wrapped_ca_key: Bytes::from_static(b"key"),
            feature_level: 1,
            region: "main".to_owned(),
            node: info("first".to_owned()),
            access: FirstAccess::default(),
        };
        world.apply(found);
        let agreed = world.agreed();
        world.enter(NodeId(1), agreed);
        for _ in 0..2 {
            world.join(NodeId(1));
        }
        world
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        View::new(Arc::clone(&self.engine))
    }

    fn agreed(&self) -> Agreed {
        Agreed::new(&self.view().cluster().unwrap().unwrap(), self.view().rotation().unwrap().as_ref())
    }

    fn apply(&mut self, command: Command) -> Response {
        self.requests += 1;
        let mut transaction = Transaction::new(self.engine.as_ref());
        let request = RequestId(u128::from(self.requests).to_be_bytes());
        let response =
            Directory::apply(&mut transaction, command, Stamp { time: Timestamp(1_000_000), request }).unwrap();
        self.engine.write(transaction.into_batch()).unwrap();
        response
    }

    fn authority(&mut self, command: AuthorityCommand) -> Response {
        self.apply(Command::Authority(command))
    }

    /// A machine gets what the one that admits it knows, which may be behind.
    fn join(&mut self, host: NodeId) {
        let Some(known) = self.seen.get(&host).copied() else { return };
        let token = self.requests.to_be_bytes();
        self.apply(Command::AddJoinToken { token, secret_hash: [1; 32], lifetime_seconds: 60 });
        let node = info(format!("n{}", self.requests));
        let region = "main".to_owned();
        let admit = Command::AdmitNode { token, secret_hash: [1; 32], region, node, replaces: None };
        if let Response::Admitted { node, region: RegionId(1), .. } = self.apply(admit) {
            self.enter(node, known);
        }
    }

    fn enter(&mut self, node: NodeId, known: Agreed) {
        self.nodes.insert(node, Held { trusts: known.trusted(), shows: known.signer, is_due: false });
        self.seen.insert(node, known);
    }

    /// A node does its next step.
    fn act(&mut self, node: NodeId) {
        let agreed = self.agreed();
        let said = self.view().authority_standing(node).unwrap();
        let Some(held) = self.nodes.get_mut(&node) else { return };
        self.seen.insert(node, agreed);
        match own_step(&agreed, held, said.as_ref()) {
            Some(OwnStep::Trust(trusts)) => held.trusts = trusts,
            Some(OwnStep::Renew) => held.shows = agreed.signer,
            Some(OwnStep::Say(standing)) => {
                assert_eq!(self.authority(AuthorityCommand::Note { node, standing }), Response::Done);
            }
            None => {}
        }
    }

    fn lead(&mut self) {
        let standings = self.view().authority_standings().unwrap().into_iter().collect();
        if let Some(step) = lead_step(&self.agreed(), &self.view().nodes().unwrap(), &standings) {
            assert_eq!(self.authority(step), Response::Done, "what the plan says is taken");
        }
    }

    fn introduce(&mut self) {
        self.made += 1;
        let certificate = Bytes::from(vec![self.made]);
        let wrapped_key = Bytes::from_static(b"key");
        let replaces = self.agreed().signer;
        self.authority(AuthorityCommand::Introduce { certificate, wrapped_key, replaces });
    }

    fn remove(&mut self, node: NodeId) {
        let state = NodeState::Removed;
        if self.nodes.len() > 1 && self.apply(Command::SetNodeState { node, state }) == Response::Done {
            self.nodes.remove(&node);
            self.seen.remove(&node);
        }
    }

    /// Whoever shows a certificate is taken by everybody else.
    fn check(&self) {
        for (one, held) in &self.nodes {
            for (other, shown) in &self.nodes {
                assert!(held.trusts.contains(&shown.shows), "node {one} does not take node {other}: {:?}", self.nodes);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Introduce,
    Abort,
    Lead,
    /// Somebody tries what is too early.
    Force,
    Step(u64),
    Join(u64),
    Remove(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let node = || 1..7_u64;
    prop_oneof![
        2 => Just(Act::Introduce),
        1 => Just(Act::Abort),
        4 => Just(Act::Lead),
        2 => Just(Act::Force),
        20 => node().prop_map(Act::Step),
        1 => node().prop_map(Act::Join),
        1 => node().prop_map(Act::Remove),
    ]
}

fn perform(world: &mut World, act: Act) {
    match act {
        Act::Introduce => world.introduce(),
        Act::Lead => world.lead(),
        Act::Abort | Act::Force => {
            let Some((phase, authority)) = world.agreed().other else { return };
            world.authority(match (act, phase) {
                (Act::Abort, _) => AuthorityCommand::Abort { authority },
                (_, RotationPhase::Introduced) => AuthorityCommand::Promote { authority },
                (_, RotationPhase::Signing) => AuthorityCommand::Drop { authority },
            });
        }
        Act::Step(node) => world.act(NodeId(node)),
        Act::Join(host) => world.join(NodeId(host)),
        Act::Remove(node) => world.remove(NodeId(node)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn at_no_moment_does_a_node_refuse_another_and_every_change_ends(acts in prop::collection::vec(act(), 0..120)) {
        let mut world = World::new();
        for act in acts {
            perform(&mut world, act);
            world.check();
        }
        // Once all do what they are to do, nothing is left of a change.
        for _ in 0..12 {
            for node in world.nodes.keys().copied().collect::<Vec<_>>() {
                world.act(node);
                world.check();
            }
            world.lead();
        }
        let agreed = world.agreed();
        prop_assert_eq!(agreed.other, None);
        for held in world.nodes.values() {
            prop_assert_eq!((&held.trusts, held.shows), (&[agreed.signer].into(), agreed.signer));
        }
    }
}

#[test]
fn those_who_are_behind_are_named_with_what_they_lack() {
    let mut world = World::new();
    let lags = |world: &World| {
        let standings = world.view().authority_standings().unwrap().into_iter().collect();
        let awaited = awaited(&world.agreed(), &world.view().nodes().unwrap(), &standings);
        awaited.into_iter().map(|awaited| (awaited.node.0, awaited.lag)).collect::<Vec<_>>()
    };
    assert_eq!(lags(&world), []);
    world.introduce();
    assert_eq!(lags(&world), [(1, Lag::Trust), (2, Lag::Trust), (3, Lag::Trust)]);
    let follow = |world: &mut World, nodes: &[u64]| {
        for node in nodes {
            for _ in 0..4 {
                world.act(NodeId(*node));
            }
        }
    };
    follow(&mut world, &[1, 2]);
    assert_eq!(lags(&world), [(3, Lag::Trust)]);
    world.lead();
    assert_eq!(world.agreed().other.map(|(phase, _)| phase), Some(RotationPhase::Introduced), "it waits");
    follow(&mut world, &[3]);
    world.lead();
    assert_eq!(lags(&world), [(1, Lag::Certificate), (2, Lag::Certificate), (3, Lag::Certificate)]);
    follow(&mut world, &[1, 3]);
    world.remove(NodeId(2));
    world.lead();
    assert_eq!(world.agreed().other, None, "a node that was removed is not waited for");
    assert_eq!(lags(&world), [(1, Lag::Former), (3, Lag::Former)]);
    follow(&mut world, &[1, 3]);
    assert_eq!(lags(&world), []);
}
