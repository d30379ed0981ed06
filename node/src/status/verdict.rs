//! What to make of a status: a word, a sentence, and what there is to do. A pure function.

use crate::admin::{DiskStatus, GroupStatus, NodeStatus, Verdict};

/// State of a node that was admitted and has yet to show that it runs.
const JOINING: &str = "joining";

/// Share of a disk that is left when it is reported, in percent of its capacity.
const LOW_SPACE_PERCENT: u64 = 10;

/// What is known when a verdict is asked for.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Whether the quorum confirmed this.
    pub confirmed: bool,
    /// Nodes.
    pub nodes: &'a [NodeStatus],
    /// Ids of those that have been joining for suspiciously long.
    pub stalled: &'a [u64],
    /// Groups.
    pub groups: &'a [GroupStatus],
    /// Extents below their redundancy.
    pub under_replicated: u64,
}

/// The verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// In one word.
    pub verdict: Verdict,
    /// In one sentence.
    pub summary: String,
    /// What there is to know or to do, most important first.
    pub findings: Vec<String>,
}

/// Judges.
#[must_use]
pub fn judge(facts: &Facts<'_>) -> Judgement {
    let mut findings = Findings::default();
    for group in facts.groups {
        judge_group(group, &mut findings);
    }
    if !facts.confirmed && findings.verdict != Verdict::NotServing {
        findings.add(
            Verdict::NotServing,
            "no leader with a quorum has confirmed this: it is what this node knows alone".to_owned(),
        );
    }
    judge_nodes(facts.nodes, facts.stalled, &mut findings);
    for node in facts.nodes {
        for disk in &node.disks {
            judge_disk(node, disk, &mut findings);
        }
    }
    if facts.under_replicated > 0 {
        findings.add(
            Verdict::NeedsAttention,
            match facts.under_replicated {
                1 => "1 extent is below full redundancy; it is rebuilt as soon as enough nodes are live".to_owned(),
                many => {
                    format!(
                        "{many} extents are below full redundancy; they are rebuilt as soon as enough nodes are live"
                    )
                }
            },
        );
    }
    let joined = || facts.nodes.iter().filter(|node| node.state != JOINING);
    let live = joined().filter(|node| node.live).count() as u64;
    let redundancy = match joined().count() {
        1 => "; one node has no redundancy: add two more with regnode join",
        2 => "; two nodes keep all bytes when one is lost, but both are needed to serve: add a third with regnode join",
        _ => "",
    };
    let summary = match findings.verdict {
        Verdict::Healthy => format!("healthy: {} live{redundancy}", count(live, "node")),
        Verdict::NeedsAttention => {
            format!("serves, but needs attention: {} of {} live", live, count(joined().count() as u64, "node"))
        }
        Verdict::NotServing => {
            format!("does not serve: {} of {} live", live, count(joined().count() as u64, "node"))
        }
    };
    Judgement { verdict: findings.verdict, summary, findings: findings.sorted() }
}

fn judge_group(group: &GroupStatus, findings: &mut Findings) {
    let missing: Vec<&str> =
        group.voters.iter().filter(|voter| !group.live_voters.contains(voter)).map(String::as_str).collect();
    if !group.quorum {
        findings.add(
            Verdict::NotServing,
            format!(
                "group {} has no quorum: {} of {} answer, {} must; bring back {}",
                group.name,
                group.live_voters.len(),
                count(group.voters.len() as u64, "voter"),
                group.voters.len() / 2 + 1,
                missing.join(" or ")
            ),
        );
    } else if group.leader.is_none() {
        findings.add(
            Verdict::NotServing,
            format!("group {} has no leader; one is elected within seconds while a quorum answers", group.name),
        );
    } else if !missing.is_empty() {
        let spare = group.live_voters.len() - (group.voters.len() / 2 + 1);
        let bears = match spare {
            0 => "if one more fails, it stops serving".to_owned(),
            spare => format!("it bears the loss of {spare} more"),
        };
        findings.add(
            Verdict::NeedsAttention,
            format!(
                "group {}: {} of {} {} not answer ({}); {bears}",
                group.name,
                missing.len(),
                count(group.voters.len() as u64, "voter"),
                if missing.len() == 1 { "does" } else { "do" },
                missing.join(", ")
            ),
        );
    } else if (group.voters.len() as u64) < group.seats {
        findings.add(
            Verdict::NeedsAttention,
            format!(
                "group {} has {} of {} so far; new nodes vote as soon as they have caught up",
                group.name,
                group.voters.len(),
                count(group.seats, "voter")
            ),
        );
    }
}

fn judge_nodes(nodes: &[NodeStatus], stalled: &[u64], findings: &mut Findings) {
    for node in nodes {
        if stalled.contains(&node.id) {
            findings.add(
                Verdict::NeedsAttention,
                format!(
                    "node {} ({}) was admitted long ago and never ran: repeat regnode join on its machine, then start \
                     it with regnode serve",
                    node.id, node.name
                ),
            );
        } else if node.state == JOINING {
            findings.add(Verdict::Healthy, format!("node {} ({}) is joining", node.id, node.name));
        } else if !node.live {
            findings.add(
                Verdict::NeedsAttention,
                format!("node {} ({}) does not answer at {}", node.id, node.name, node.peer_address),
            );
        }
        if node.state == "draining" {
            findings.add(Verdict::Healthy, format!("node {} ({}) is being emptied", node.id, node.name));
        }
    }
    let mut versions: Vec<&str> = nodes.iter().map(|node| node.version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    if versions.len() > 1 {
        findings.add(Verdict::Healthy, format!("nodes run different versions: {}", versions.join(", ")));
    }
}

fn judge_disk(node: &NodeStatus, disk: &DiskStatus, findings: &mut Findings) {
    let short = disk.id.get(..8).unwrap_or(&disk.id);
    if !node.live {
        return;
    }
    if disk.available_bytes == Some(0) {
        findings.add(
            Verdict::NeedsAttention,
            format!(
                "disk {short} of node {} is full up to its reserve (storage.reserve_percent): free space or add a disk",
                node.name
            ),
        );
    } else if disk.writable == Some(false) {
        findings.add(Verdict::NeedsAttention, format!("disk {short} of node {} takes no writes", node.name));
    } else if let Some(available) = disk.available_bytes
        && available < disk.capacity_bytes / 100 * LOW_SPACE_PERCENT
    {
        let percent = available * 100 / disk.capacity_bytes.max(1);
        findings.add(
            Verdict::NeedsAttention,
            format!("disk {short} of node {} is nearly full: {percent}% left above the reserve", node.name),
        );
    }
}

/// Findings with the worst verdict among them.
struct Findings {
    verdict: Verdict,
    list: Vec<(Verdict, String)>,
}

impl Default for Findings {
    fn default() -> Self {
        Self { verdict: Verdict::Healthy, list: Vec::new() }
    }
}

impl Findings {
    fn add(&mut self, verdict: Verdict, sentence: String) {
        self.verdict = self.verdict.max(verdict);
        self.list.push((verdict, sentence));
    }

    fn sorted(mut self) -> Vec<String> {
        self.list.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
        self.list.into_iter().map(|(_, sentence)| sentence).collect()
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            }],
        }
    }

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
        }
    }

    fn judged(nodes: &[NodeStatus], group: GroupStatus, under_replicated: u64) -> Judgement {
        judge(&Facts { confirmed: group.quorum, nodes, stalled: &[], groups: &[group], under_replicated })
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
        let judgement =
            judge(&Facts { confirmed: true, nodes: &nodes, stalled: &[4], groups: &groups, under_replicated: 0 });
        assert_eq!(judgement.verdict, Verdict::NeedsAttention);
        assert!(judgement.findings[0].starts_with("node 4 (n4) was admitted long ago"), "{judgement:?}");
    }

    #[test]
    fn what_is_not_confirmed_is_not_called_healthy() {
        let nodes = [node(1, true), node(2, true), node(3, true)];
        let groups = [group(3, 3)];
        let judgement =
            judge(&Facts { confirmed: false, nodes: &nodes, stalled: &[], groups: &groups, under_replicated: 0 });
        assert_eq!(judgement.verdict, Verdict::NotServing);
    }

    #[test]
    fn full_disks_are_named() {
        let mut nodes = [node(1, true), node(2, true), node(3, true)];
        nodes[1].disks[0].available_bytes = Some(50);
        let judgement = judged(&nodes, group(3, 3), 0);
        assert_eq!(judgement.findings, ["disk 01234567 of node n2 is nearly full: 5% left above the reserve"]);
        nodes[1].disks[0].available_bytes = Some(0);
        let judgement = judged(&nodes, group(3, 3), 0);
        assert_eq!(judgement.verdict, Verdict::NeedsAttention);
        assert!(judgement.findings[0].contains("full up to its reserve"));
    }
}
