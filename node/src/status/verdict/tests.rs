//! What is made of a status.

use super::*;
use crate::admin::{DiskStatus, DrainStatus};

fn node(id: u64, live: bool) -> NodeStatus {
    NodeStatus {
        id,
        name: format!("n{id}"),
        region: "main".to_owned(),
        zone: "default".to_owned(),
        live,
        state: "active".to_owned(),
        version: "1".to_owned(),
        api_url: String::new(),
        peer_address: format!("10.0.0.{id}:7000"),
        disks: vec![DiskStatus {
            id: "0123456789abcdef".to_owned(),
            capacity_bytes: 1000,
            available_bytes: Some(900),
            writable: Some(true),
            state: "active".to_owned(),
            health: Some("healthy".to_owned()),
            advice: String::new(),
            shards: 3,
            bytes: 300,
        }],
        shards: 3,
        bytes: 300,
        drain: None,
        replaced_by: None,
    }
}

const CONFIRMED: DirectoryReading = DirectoryReading { confirmed: true, as_of_milliseconds: 1, age_seconds: 0 };

fn group(voters: u64, live: u64) -> GroupStatus {
    let names = |count| (1..=count).map(|id| format!("n{id}")).collect::<Vec<_>>();
    let quorum = live > voters / 2;
    GroupStatus {
        name: "catalog-1".to_owned(),
        leader: quorum.then(|| "n1".to_owned()),
        term: 1,
        applied: 7,
        voters: names(voters),
        seats: voters,
        live_voters: names(live),
        learners: Vec::new(),
        lag: Vec::new(),
        quorum,
        regions_borne: None,
    }
}

fn facts(nodes: &[NodeStatus]) -> Facts<'_> {
    Facts {
        confirmed: true,
        directory: CONFIRMED,
        regions: &[],
        nodes,
        stalled: &[],
        groups: &[],
        under_replicated: 0,
        lost: 0,
        copies: &[],
        residency: &[],
        audit: None,
        resealing: None,
        removals_held: None,
        low_space_percent: 10,
        certificates: &[],
        rotating: None,
    }
}

fn judged(nodes: &[NodeStatus], group: GroupStatus, under_replicated: u64) -> Judgement {
    judge(&Facts { confirmed: group.quorum, under_replicated, groups: &[group], ..facts(nodes) })
}

#[test]
fn three_live_nodes_are_healthy() {
    let judgement = judged(&[node(1, true), node(2, true), node(3, true)], group(3, 3), 0);
    assert_eq!(judgement.verdict, Verdict::Healthy);
    assert_eq!(judgement.summary, "healthy: 3 nodes live");
    assert!(judgement.findings.is_empty());
}

#[test]
fn one_node_is_healthy_without_redundancy() {
    let judgement = judged(&[node(1, true)], group(1, 1), 0);
    assert_eq!(judgement.verdict, Verdict::Healthy);
    assert!(judgement.summary.contains("one node has no redundancy"), "{}", judgement.summary);
}

#[test]
fn a_dead_node_needs_attention() {
    let judgement = judged(&[node(1, true), node(2, true), node(3, false)], group(3, 2), 2);
    assert_eq!(judgement.verdict, Verdict::NeedsAttention);
    assert_eq!(
        judgement.findings,
        [
            "group catalog-1: 1 of 3 voters does not answer (n3); if one more fails, it stops serving",
            "node 3 (n3) does not answer at 10.0.0.3:7000",
            "2 extents are below full redundancy; they are rebuilt as soon as enough nodes are live",
        ]
    );
}

#[test]
fn without_a_quorum_nothing_is_served() {
    let judgement = judged(&[node(1, true), node(2, false), node(3, false)], group(3, 1), 0);
    assert_eq!(judgement.verdict, Verdict::NotServing);
    assert_eq!(
        judgement.findings[0],
        "group catalog-1 has no quorum: 1 of 3 voters answer, 2 must; bring back n2 or n3"
    );
    assert_eq!(judgement.summary, "does not serve: 1 of 3 nodes live");
}

#[test]
fn a_group_without_leader_does_not_serve() {
    let mut leaderless = group(3, 3);
    leaderless.leader = None;
    let judgement = judged(&[node(1, true), node(2, true), node(3, true)], leaderless, 0);
    assert_eq!(judgement.verdict, Verdict::NotServing);
    assert!(judgement.findings[0].starts_with("group catalog-1 has no leader"));
}

#[test]
fn a_group_without_all_its_voters_is_not_called_healthy() {
    let nodes = [node(1, true), node(2, true), node(3, true)];
    let judgement = judged(&nodes, GroupStatus { seats: 3, ..group(1, 1) }, 0);
    assert_eq!(judgement.verdict, Verdict::NeedsAttention);
    assert!(judgement.findings[0].starts_with("group catalog-1 has 1 of 3 voters so far"), "{judgement:?}");
}

#[test]
fn a_joining_node_is_named_and_counts_only_once_it_takes_too_long() {
    let joining = NodeStatus { state: JOINING.to_owned(), ..node(4, false) };
    let nodes = [node(1, true), node(2, true), node(3, true), joining];
    let judgement = judged(&nodes, group(3, 3), 0);
    assert_eq!((judgement.verdict, judgement.summary.as_str()), (Verdict::Healthy, "healthy: 3 nodes live"));
    assert_eq!(judgement.findings, ["node 4 (n4) is joining"]);
    let groups = [group(3, 3)];
    let judgement = judge(&Facts { stalled: &[4], groups: &groups, ..facts(&nodes) });
    assert_eq!(judgement.verdict, Verdict::NeedsAttention);
    assert!(judgement.findings[0].starts_with("node 4 (n4) was admitted long ago"), "{judgement:?}");
}

#[test]
fn what_is_not_confirmed_is_not_called_healthy() {
    let nodes = [node(1, true), node(2, true), node(3, true)];
    let groups = [group(3, 3)];
    let judgement = judge(&Facts { confirmed: false, groups: &groups, ..facts(&nodes) });
    assert_eq!(judgement.verdict, Verdict::NotServing);
}

#[test]
fn full_disks_are_named() {
    let mut nodes = [node(1, true), node(2, true), node(3, true)];
    nodes[1].disks[0].available_bytes = Some(50);
    let judgement = judged(&nodes, group(3, 3), 0);
    assert_eq!(judgement.findings, ["disk 01234567 of node n2 is nearly full: 5% left above the reserve"]);
    for (percent, findings) in [(6, 1), (5, 0), (0, 0)] {
        let judgement = judge(&Facts { low_space_percent: percent, ..facts(&nodes) });
        assert_eq!(judgement.findings.len(), findings, "below {percent}%");
    }
    nodes[1].disks[0].available_bytes = Some(0);
    let judgement = judged(&nodes, group(3, 3), 0);
    assert_eq!(judgement.verdict, Verdict::NeedsAttention);
    assert!(judgement.findings[0].contains("full up to its reserve"));
}

#[test]
fn a_leaving_node_says_what_it_still_holds() {
    let mut nodes = [node(1, true), node(2, true), node(3, true)];
    nodes[2].state = "draining".to_owned();
    let drain = |leaves| {
        let (seconds, bytes_done, bytes_total, bytes_per_second) = (1, 0, 300, 0);
        Some(DrainStatus { leaves, seconds, bytes_done, bytes_total, bytes_per_second, eta_seconds: None })
    };
    nodes[2].drain = drain(true);
    let judgement = judged(&nodes, group(3, 3), 0);
    assert_eq!(judgement.verdict, Verdict::Healthy);
    assert_eq!(judgement.findings, ["node 3 (n3) is being emptied, 3 shards left; it is removed then"]);
    (nodes[2].drain, nodes[2].shards) = (drain(false), 0);
    let judgement = judged(&nodes, group(3, 3), 0);
    assert!(judgement.findings[0].contains("let it go with regnode leave n3"), "{judgement:?}");
    nodes[2].replaced_by = Some(4);
    let judgement = judged(&nodes, group(3, 3), 0);
    assert!(judgement.findings[0].contains("node 4 takes its place"), "{judgement:?}");
}

#[test]
fn sick_disks_are_named_with_what_to_do() {
    let mut nodes = [node(1, true), node(2, true), node(3, true)];
    nodes[1].disks[0].health = Some("vanished".to_owned());
    nodes[1].disks[0].advice = "mount it again".to_owned();
    nodes[1].disks[0].writable = Some(false);
    let judgement = judged(&nodes, group(3, 3), 0);
    assert_eq!(judgement.verdict, Verdict::NeedsAttention);
    assert_eq!(judgement.findings, ["disk 01234567 of node n2: mount it again"]);
    nodes[1].disks[0].health = None;
    let judgement = judged(&nodes, group(3, 3), 0);
    assert!(judgement.findings[0].contains("does not name disk 01234567 any more"), "{judgement:?}");
    nodes[1].disks[0].state = "failed".to_owned();
    let judgement = judged(&nodes, group(3, 3), 0);
    assert_eq!(judgement.findings, ["disk 01234567 of node n2 was given up, 3 shards are yet to be rebuilt"]);
}

#[test]
fn lost_extents_are_told_apart_from_those_that_can_be_rebuilt() {
    let nodes = [node(1, true), node(2, true), node(3, true)];
    let groups = [group(3, 3)];
    let judgement = judge(&Facts { groups: &groups, under_replicated: 3, lost: 2, ..facts(&nodes) });
    assert!(judgement.findings[0].starts_with("2 extents cannot be read"), "{judgement:?}");
    assert!(judgement.findings[1].starts_with("1 extent is below"), "{judgement:?}");
}
