//! What holds after any commands, in any order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use storage::shard::DiskId;

use super::store::*;
use crate::directory::*;
use crate::id::{NodeId, RegionId};
use crate::policy::{NamespacePolicy, Role};

const PREFIXES: [&str; 4] = ["", "acme", "acme/app", "acme-x"];

/// A command of an operator or of a node.
#[derive(Clone, Debug)]
enum Act {
    Join { region: u8, name: u8, replaces: Option<u64> },
    Update { node: u64, name: u8 },
    Drain { node: u64, leave: bool },
    State { node: u64, state: NodeState },
    Disk { node: u64, state: DiskState },
    SetNamespace { prefix: usize, grace_seconds: u64, home: Option<u32>, moving: Option<Moving>, copy: Option<u32> },
    RemoveNamespace { prefix: usize },
    ForceHome { prefix: usize, to: u32 },
    SettleAside { prefix: usize, region: u32 },
    AddRegion { name: u8 },
    SetPrimary { region: u32 },
    RetireRegion { region: u32 },
}

fn act() -> impl Strategy<Value = Act> {
    let node = || 1..6_u64;
    let region = || 1..5_u32;
    let state = prop_oneof![Just(NodeState::Active), Just(NodeState::Draining), Just(NodeState::Removed)];
    let copies = prop::option::weighted(0.2, region());
    let moving = (region(), prop::bool::weighted(0.7)).prop_map(|(to, fenced)| Moving { to: RegionId(to), fenced });
    let wish = prop_oneof![
        Just(DiskState::Active),
        Just(DiskState::Draining),
        Just(DiskState::Failed),
        Just(DiskState::Removed)
    ];
    prop_oneof![
        3 => (0..3_u8, 0..4_u8, prop::option::of(node()))
            .prop_map(|(region, name, replaces)| Act::Join { region, name, replaces }),
        3 => (node(), 0..4_u8).prop_map(|(node, name)| Act::Update { node, name }),
        2 => (node(), any::<bool>()).prop_map(|(node, leave)| Act::Drain { node, leave }),
        2 => (node(), state).prop_map(|(node, state)| Act::State { node, state }),
        1 => (node(), wish).prop_map(|(node, state)| Act::Disk { node, state }),
        3 => ((0..PREFIXES.len(), 0..2_u64), prop::option::of(region()), prop::option::of(moving), copies).prop_map(
            |((prefix, grace_seconds), home, moving, copy)| Act::SetNamespace {
                prefix,
                grace_seconds,
                home,
                moving,
                copy,
            }
        ),
        2 => (0..3_u8).prop_map(|name| Act::AddRegion { name }),
        1 => region().prop_map(|region| Act::SetPrimary { region }),
        1 => region().prop_map(|region| Act::RetireRegion { region }),
        1 => (0..PREFIXES.len()).prop_map(|prefix| Act::RemoveNamespace { prefix }),
        1 => (0..PREFIXES.len(), region()).prop_map(|(prefix, to)| Act::ForceHome { prefix, to }),
        1 => (0..PREFIXES.len(), region()).prop_map(|(prefix, region)| Act::SettleAside { prefix, region }),
    ]
}

fn region(name: u8) -> &'static str {
    ["home", "us", "asia"][usize::from(name)]
}

fn perform(store: &mut Store, act: &Act) {
    let name = |name: u8| info(&format!("n{name}"));
    match *act {
        Act::Join { region: of, name: called, replaces } => {
            let token = store.token();
            store.apply(admit_to(region(of), token, name(called), replaces.map(NodeId)))
        }
        Act::Update { node, name: of } => store.apply(Command::UpdateNode { node: NodeId(node), info: name(of) }),
        Act::Drain { node, leave } => {
            store.apply(Command::DrainNode { node: NodeId(node), shards: 1, bytes: 1, leave })
        }
        Act::State { node, state } => store.apply(Command::SetNodeState { node: NodeId(node), state }),
        Act::Disk { node, state } => {
            store.apply(Command::SetDiskState { node: NodeId(node), disk: DiskId([1; 16]), state })
        }
        Act::SetNamespace { prefix, grace_seconds, home, moving, copy } => {
            let policy = NamespacePolicy { grace_seconds: Some(grace_seconds), ..NamespacePolicy::default() };
            let residency = copy.map(|copy| Residency::Replicated(vec![RegionId(copy)]));
            let home = home.map(RegionId);
            store.set(
                PREFIXES[prefix],
                NamespaceRecord { home, residency, moving, policy, ..NamespaceRecord::default() },
            )
        }
        Act::AddRegion { name } => store.apply(Command::AddRegion { name: region(name).to_owned() }),
        Act::SetPrimary { region } => store.apply(Command::SetPrimary { region: RegionId(region) }),
        Act::RetireRegion { region } => store.apply(Command::RetireRegion { region: RegionId(region) }),
        Act::RemoveNamespace { prefix } => {
            store.apply(Command::RemoveNamespace { prefix: PREFIXES[prefix].to_owned() })
        }
        Act::ForceHome { prefix, to } => {
            let made_from = store.view().policy_version().unwrap();
            store.apply(Command::ForceHome { prefix: PREFIXES[prefix].to_owned(), to: RegionId(to), made_from })
        }
        Act::SettleAside { prefix, region } => {
            let made_from = store.view().policy_version().unwrap();
            let prefix = PREFIXES[prefix].to_owned();
            store.apply(Command::SettleAside { prefix, region: RegionId(region), made_from })
        }
    };
}

/// What must hold between two moments.
fn check(store: &Store, before: &BTreeMap<NodeId, NodeRecord>) -> BTreeMap<NodeId, NodeRecord> {
    let view = store.view();
    let nodes: BTreeMap<NodeId, NodeRecord> = view.nodes().unwrap().into_iter().collect();
    for (id, old) in before {
        let new = &nodes[id];
        if old.state == NodeState::Removed {
            assert_eq!(new, old, "a removed node never changes");
        }
        for disk in old.disks.iter().filter(|disk| disk.state == DiskState::Removed) {
            assert_eq!(new.disk_state(disk.id), DiskState::Removed);
        }
        assert_eq!((new.admitted_by, new.replaces), (old.admitted_by, old.replaces), "an id is one machine's");
    }
    let present: Vec<_> = nodes.iter().filter(|(_, node)| node.state != NodeState::Removed).collect();
    for (id, node) in &present {
        assert_eq!(view.node_by_name(&node.info.name).unwrap().unwrap().0, **id, "a name has one node");
        assert_eq!(node.state == NodeState::Draining, node.drain.is_some());
        assert!(node.replaced_by.is_none() || node.state == NodeState::Draining);
    }
    let primary = view.primary().unwrap().unwrap();
    let votes = |node: &NodeRecord| node.region == primary && node.state == NodeState::Active;
    assert!(present.iter().any(|(_, node)| votes(node)), "somebody stays in the primary");
    nodes
}

/// Regions and where data rests.
struct Places {
    version: u64,
    namespaces: Vec<(String, NamespaceRecord)>,
    regions: BTreeMap<RegionId, RegionRecord>,
    rests: Vec<Place>,
}

impl Places {
    fn of(store: &Store) -> Self {
        let view = store.view();
        let longer = ["acme/app/x", "acme-x/y", "other"];
        Self {
            version: view.policy_version().unwrap(),
            namespaces: view.namespaces(None, 100).unwrap(),
            regions: view.regions().unwrap().into_iter().collect(),
            rests: PREFIXES.iter().chain(&longer).map(|prefix| view.place_at(prefix).unwrap().unwrap()).collect(),
        }
    }

    /// What must hold at any time.
    fn check(&self, nodes: &BTreeMap<NodeId, NodeRecord>) {
        let names: BTreeSet<&str> = self.regions.values().map(|region| region.name.as_str()).collect();
        assert_eq!(names.len(), self.regions.len(), "a name has one region");
        for (prefix, record) in &self.namespaces {
            let copies = match &record.residency {
                Some(Residency::Replicated(copies)) => copies.as_slice(),
                _ => &[],
            };
            let moving = record.moving.as_ref().map(|moving| &moving.to);
            let aside = record.aside.iter().map(|aside| &aside.region);
            for region in record.home.iter().chain(moving).chain(copies).chain(aside) {
                assert!(self.regions.contains_key(region), "{prefix:?} names region {region}, which is retired");
            }
        }
        let present = |node: &&NodeRecord| node.state != NodeState::Removed;
        for node in nodes.values().filter(present) {
            assert!(self.regions.contains_key(&node.region), "a node is in a region that is retired");
        }
        for (id, region) in &self.regions {
            let here: Vec<_> = nodes.values().filter(present).filter(|node| node.region == *id).collect();
            let founder = region.founder.map(|founder| &nodes[&founder]);
            assert!(founder.is_none_or(|founder| founder.region == *id));
            assert!(founder.is_some() || here.is_empty(), "somebody founds each region that has nodes");
            let waits = founder.is_some_and(|founder| founder.state == NodeState::Joining);
            assert!(!waits || here.len() == 1, "nobody joins a region that is not founded");
        }
    }

    /// What must hold between two moments.
    fn follows(&self, before: &Self, act: &Act) {
        let same = (&self.namespaces, &self.regions) == (&before.namespaces, &before.regions);
        // The founder of a region concerns no namespace.
        assert!(same || self.version > before.version || self.namespaces == before.namespaces);
        assert!(!same || self.version == before.version, "the version tells no other change");
        for (place, old) in self.rests.iter().zip(&before.rests) {
            let fenced = old.moving.is_some_and(|moving| moving.fenced && moving.to == place.home);
            let lost = matches!(act, Act::ForceHome { .. }) && place.is_aside(old.home);
            assert!(place.home == old.home || fenced || lost, "a home changed while clients wrote there");
            for former in old.aside.iter().filter(|_| !matches!(act, Act::SettleAside { .. })) {
                assert_eq!(place.role(former.region), Role::Fenced, "what stands aside is written or goes");
            }
            let homes = self.regions.keys().filter(|region| place.role(**region) == Role::Home).count();
            assert!(homes <= 1 && place.role(place.home) != Role::Foreign);
        }
        for (id, region) in &self.regions {
            if let Some(old) = before.regions.get(id) {
                assert_eq!((&region.name, region.added_by), (&old.name, old.added_by), "an id is one region's");
            } else {
                assert!(before.regions.keys().all(|older| older < id), "an id is never used again");
            }
        }
        assert!(self.namespaces[0].0.is_empty() && self.namespaces[0].1.home.is_some(), "the root stays, with a home");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn members_regions_and_homes_stay_consistent(acts in prop::collection::vec(act(), 0..40)) {
        let mut store = Store::founded();
        let mut nodes = check(&store, &BTreeMap::new());
        for act in acts {
            let before = Places::of(&store);
            perform(&mut store, &act);
            nodes = check(&store, &nodes);
            let after = Places::of(&store);
            after.check(&nodes);
            after.follows(&before, &act);
        }
    }
}
