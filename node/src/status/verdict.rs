//! What to make of a status: a word, a sentence, and what there is to do. A pure function.

use super::verdict_audit::judge_audit;
use super::verdict_authority::{Rotating, judge_authority};
use super::verdict_certificates::judge_certificates;
use super::verdict_copies::judge_copies;
use super::verdict_disks::judge_disk;
use super::verdict_encryption::judge_encryption;
use super::verdict_regions::{directory_without_quorum, judge_regions, judge_removals};
use super::verdict_residency::judge_residency;
use crate::acme::CertificateTrouble;
use crate::admin::{CopyStatus, DirectoryReading, GroupStatus, NodeStatus, RegionState, RegionStatus, Verdict};
use crate::audit::AuditState;
use crate::residency::Alarm;

/// Name of the directory's group.
const DIRECTORY: &str = "directory";

/// State of a node that was admitted and has yet to show that it runs.
const JOINING: &str = "joining";

/// What is known when a verdict is asked for.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Whether the quorum of the region's catalog confirmed this.
    pub confirmed: bool,
    /// Whether the quorum of the directory did.
    pub directory: DirectoryReading,
    /// Regions.
    pub regions: &'a [RegionStatus],
    /// Nodes.
    pub nodes: &'a [NodeStatus],
    /// Ids of those that have been joining for suspiciously long.
    pub stalled: &'a [u64],
    /// Groups.
    pub groups: &'a [GroupStatus],
    /// Extents below their redundancy.
    pub under_replicated: u64,
    /// Those of them of which too much is lost to read them.
    pub lost: u64,
    /// Copies in this region of namespaces whose home is another one.
    pub copies: &'a [CopyStatus],
    /// Regions in which something rests that may not.
    pub residency: &'a [Alarm],
    /// This node's audit log, if it has lost records of late or cannot be written.
    pub audit: Option<&'a AuditState>,
    /// Why this node cannot bring its files under its newest data key, if that has been so for a while.
    pub resealing: Option<&'a str>,
    /// Seconds since a takeover of the directory if nothing is taken away from any region since then.
    pub removals_held: Option<u64>,
    /// Share of a disk, in percent of its capacity, below which it is nearly full.
    pub low_space_percent: u8,
    /// Domains whose certificates need an operator.
    pub(crate) certificates: &'a [CertificateTrouble],
    /// The change of the cluster's certificate authority that is under way.
    pub(crate) rotating: Option<&'a Rotating>,
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
        if group.name == DIRECTORY && facts.confirmed && !facts.directory.confirmed {
            findings.add(Verdict::NeedsAttention, directory_without_quorum(group, facts.directory));
        } else {
            judge_group(group, &mut findings);
        }
    }
    if !facts.confirmed && findings.verdict != Verdict::NotServing {
        findings.add(
            Verdict::NotServing,
            "no leader with a quorum has confirmed this: it is what this node knows alone".to_owned(),
        );
    }
    judge_regions(facts.regions, facts.copies, &mut findings);
    judge_removals(facts.removals_held, &mut findings);
    judge_residency(facts.residency, &mut findings);
    judge_audit(facts.audit, &mut findings);
    judge_encryption(facts.resealing, &mut findings);
    judge_certificates(facts.certificates, &mut findings);
    judge_authority(facts.rotating, &mut findings);
    judge_copies(facts.copies, &mut findings);
    judge_nodes(facts, &mut findings);
    for node in facts.nodes {
        for disk in &node.disks {
            judge_disk(node, disk, facts.low_space_percent, &mut findings);
        }
    }
    if facts.lost > 0 {
        findings.add(
            Verdict::NeedsAttention,
            format!(
                "{} cannot be read: more is lost than {} redundancy bears; regnode fsck names the repositories and tags, \
                 and pushing the same content again heals them",
                count(facts.lost, "extent"),
                if facts.lost == 1 { "its" } else { "their" }
            ),
        );
    }
    let repairable = facts.under_replicated.saturating_sub(facts.lost);
    if repairable > 0 {
        findings.add(
            Verdict::NeedsAttention,
            match repairable {
                1 => "1 extent is below full redundancy; it is rebuilt as soon as enough nodes are live".to_owned(),
                many => {
                    format!(
                        "{many} extents are below full redundancy; they are rebuilt as soon as enough nodes are live"
                    )
                }
            },
        );
    }
    let summary = summary(findings.verdict, facts);
    Judgement { verdict: findings.verdict, summary, findings: findings.sorted() }
}

fn summary(verdict: Verdict, facts: &Facts<'_>) -> String {
    // In one region it goes without saying.
    let own = facts.regions.iter().find(|region| region.own && facts.regions.len() > 1).map(|region| &region.name);
    let joined = || facts.nodes.iter().filter(|node| node.state != JOINING);
    let here = || joined().filter(|node| own.is_none_or(|own| node.region == *own));
    let live = joined().filter(|node| node.live).count() as u64;
    let nodes = count(joined().count() as u64, "node");
    let over = own.map_or_else(String::new, |_| format!(" in {}", count(facts.regions.len() as u64, "region")));
    match verdict {
        Verdict::Healthy => {
            let (region, join) = own.map_or_else(
                || (String::new(), String::new()),
                |own| (format!("region {own}: "), format!(" --region {own}")),
            );
            let redundancy = match here().count() {
                1 => format!("; {region}one node has no redundancy: add two more with regnode join{join}"),
                2 => format!(
                    "; {region}two nodes keep all bytes when one is lost, but both are needed to serve: add a third with \
                     regnode join{join}"
                ),
                _ => String::new(),
            };
            format!("healthy: {} live{over}{redundancy}", count(live, "node"))
        }
        Verdict::NeedsAttention => format!("serves, but needs attention: {live} of {nodes} live{over}"),
        Verdict::NotServing => match own {
            None => format!("does not serve: {live} of {nodes} live"),
            Some(own) => {
                let live = here().filter(|node| node.live).count();
                let nodes = count(here().count() as u64, "node");
                format!("region {own} does not serve: {live} of its {nodes} live")
            }
        },
    }
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
            0 if group.name == DIRECTORY => "if one more fails, policies and membership cannot be changed".to_owned(),
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

fn judge_nodes(facts: &Facts<'_>, findings: &mut Findings) {
    let Facts { nodes, stalled, regions, .. } = facts;
    let is_silent = |name: &str| regions.iter().any(|one| one.name == name && one.state == RegionState::Silent);
    for node in *nodes {
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
        } else if !node.live && !is_silent(&node.region) {
            findings.add(
                Verdict::NeedsAttention,
                format!("node {} ({}) does not answer at {}", node.id, node.name, node.peer_address),
            );
        }
        if node.state == "draining" {
            findings.add(Verdict::Healthy, leaving(node));
        }
    }
    let mut versions: Vec<&str> = nodes.iter().map(|node| node.version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    if versions.len() > 1 {
        findings.add(Verdict::Healthy, format!("nodes run different versions: {}", versions.join(", ")));
    }
}

/// What a node that is being emptied still has before it.
fn leaving(node: &NodeStatus) -> String {
    let NodeStatus { id, name, .. } = node;
    let end = match (node.replaced_by, node.drain.as_ref().is_some_and(|drain| drain.leaves)) {
        (Some(successor), _) => format!("; it is removed then: node {successor} takes its place"),
        (None, true) => "; it is removed then".to_owned(),
        (None, false) => String::new(),
    };
    match node.shards {
        0 if end.is_empty() => {
            format!(
                "node {id} ({name}) is emptied: let it go with regnode leave {name}, or use it again with regnode drain {name} --undo"
            )
        }
        shards => format!("node {id} ({name}) is being emptied, {} left{end}", count(shards, "shard")),
    }
}

/// Findings with the worst verdict among them.
pub(super) struct Findings {
    verdict: Verdict,
    list: Vec<(Verdict, String)>,
}

impl Default for Findings {
    fn default() -> Self {
        Self { verdict: Verdict::Healthy, list: Vec::new() }
    }
}

impl Findings {
    pub(super) fn add(&mut self, verdict: Verdict, sentence: String) {
        self.verdict = self.verdict.max(verdict);
        self.list.push((verdict, sentence));
    }

    pub(super) fn sorted(mut self) -> Vec<String> {
        self.list.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
        self.list.into_iter().map(|(_, sentence)| sentence).collect()
    }
}

pub(super) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
