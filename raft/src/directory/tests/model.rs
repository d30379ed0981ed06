//! What holds after any commands, in any order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use storage::shard::DiskId;

use super::store::*;
use crate::directory::*;
use crate::id::NodeId;
use crate::policy::NamespacePolicy;

const PREFIXES: [&str; 4] = ["", "acme", "acme/app", "acme-x"];

/// A command of an operator or of a node.
#[derive(Clone, Debug)]
enum Act {
    Join { name: u8, replaces: Option<u64> },
    Update { node: u64, name: u8 },
    Drain { node: u64, leave: bool },
    State { node: u64, state: NodeState },
    Disk { node: u64, state: DiskState },
    SetNamespace { prefix: usize, grace_seconds: u64 },
    RemoveNamespace { prefix: usize },
}

fn act() -> impl Strategy<Value = Act> {
    let node = || 1..6_u64;
    let state = prop_oneof![Just(NodeState::Active), Just(NodeState::Draining), Just(NodeState::Removed)];
    let wish = prop_oneof![
        Just(DiskState::Active),
        Just(DiskState::Draining),
        Just(DiskState::Failed),
        Just(DiskState::Removed)
    ];
    prop_oneof![
        3 => (0..4_u8, prop::option::of(node())).prop_map(|(name, replaces)| Act::Join { name, replaces }),
        3 => (node(), 0..4_u8).prop_map(|(node, name)| Act::Update { node, name }),
        2 => (node(), any::<bool>()).prop_map(|(node, leave)| Act::Drain { node, leave }),
        2 => (node(), state).prop_map(|(node, state)| Act::State { node, state }),
        1 => (node(), wish).prop_map(|(node, state)| Act::Disk { node, state }),
        1 => (0..PREFIXES.len(), 0..2_u64)
            .prop_map(|(prefix, grace_seconds)| Act::SetNamespace { prefix, grace_seconds }),
        1 => (0..PREFIXES.len()).prop_map(|prefix| Act::RemoveNamespace { prefix }),
    ]
}

fn perform(store: &mut Store, act: &Act) {
    let name = |name: u8| info(&format!("n{name}"));
    match *act {
        Act::Join { name: of, replaces } => store.join_as(name(of), replaces),
        Act::Update { node, name: of } => store.apply(Command::UpdateNode { node: NodeId(node), info: name(of) }),
        Act::Drain { node, leave } => {
            store.apply(Command::DrainNode { node: NodeId(node), shards: 1, bytes: 1, leave })
        }
        Act::State { node, state } => store.apply(Command::SetNodeState { node: NodeId(node), state }),
        Act::Disk { node, state } => {
            store.apply(Command::SetDiskState { node: NodeId(node), disk: DiskId([1; 16]), state })
        }
        Act::SetNamespace { prefix, grace_seconds } => {
            let policy = NamespacePolicy { grace_seconds: Some(grace_seconds), ..NamespacePolicy::default() };
            let record = NamespaceRecord { policy, ..NamespaceRecord::default() };
            store.set(PREFIXES[prefix], record)
        }
        Act::RemoveNamespace { prefix } => {
            store.apply(Command::RemoveNamespace { prefix: PREFIXES[prefix].to_owned() })
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
    assert!(present.iter().any(|(_, node)| node.state == NodeState::Active), "somebody stays");
    nodes
}

/// The version and all namespaces.
fn namespaces(store: &Store) -> (u64, Vec<(String, NamespaceRecord)>) {
    (store.view().policy_version().unwrap(), store.view().namespaces(None, 100).unwrap())
}

proptest! {
    #[test]
    fn members_stay_consistent(acts in prop::collection::vec(act(), 0..40)) {
        let mut store = Store::founded();
        let mut nodes = check(&store, &BTreeMap::new());
        for act in acts {
            let before = namespaces(&store);
            perform(&mut store, &act);
            nodes = check(&store, &nodes);
            let after = namespaces(&store);
            prop_assert_eq!(before.1 == after.1, before.0 == after.0, "the version tells every change, and no other");
            prop_assert!(before.0 <= after.0);
            prop_assert!(after.1[0].0.is_empty() && after.1[0].1.home.is_some(), "the root stays, with a home");
        }
    }
}
