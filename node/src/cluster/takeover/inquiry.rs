//! What the nodes of a region have answered, and what follows from it: a pure function.

use std::collections::{BTreeMap, BTreeSet};

use raft::group::Incarnation;
use raft::id::NodeId;
use serde::{Deserialize, Serialize};

use super::{Outlook, ReplicaStanding, TakeoverRefused};

/// A node of the own region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownNode {
    /// The node.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Where it is reached.
    pub address: String,
}

/// A voter of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownVoter {
    /// The node.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its region's name.
    pub region: String,
    /// Whether that is another region.
    pub elsewhere: bool,
}

/// Whom a replica of the directory knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownMembers {
    /// Nodes of the own region that are, or were, at work.
    pub nodes: Vec<KnownNode>,
    /// Voters, wherever they are.
    pub voters: Vec<KnownVoter>,
}

/// What was heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Inquiry {
    /// Whether the region's catalog has a quorum.
    pub(super) serves: bool,
    /// Nodes of the region that any of the answers names.
    pub(super) nodes: BTreeMap<NodeId, KnownNode>,
    /// Voters that any of them names.
    pub(super) voters: BTreeMap<NodeId, KnownVoter>,
    /// Answers.
    pub(super) standings: BTreeMap<NodeId, ReplicaStanding>,
}

/// How much a replica knows: of the latest lineage, as far as possible.
pub(super) const fn knowledge(standing: &ReplicaStanding) -> (Incarnation, Option<(u64, NodeId, u64)>) {
    (standing.incarnation, standing.last)
}

impl Inquiry {
    /// Takes in whom somebody knows.
    pub(super) fn hear(&mut self, members: KnownMembers) {
        for node in members.nodes {
            self.nodes.entry(node.id).or_insert(node);
        }
        for voter in members.voters {
            self.voters.entry(voter.id).or_insert(voter);
        }
    }

    /// How many nodes and voters were heard of.
    pub(super) fn heard(&self) -> (usize, usize) {
        (self.nodes.len(), self.voters.len())
    }

    /// Voters of other regions.
    pub(super) fn voters_elsewhere(&self) -> Vec<NodeId> {
        self.voters.values().filter(|voter| voter.elsewhere).map(|voter| voter.id).collect()
    }

    /// The nodes that are called so: by name, by id, by `#` and id.
    pub(super) fn named(&self, names: &[String]) -> Result<BTreeSet<NodeId>, TakeoverRefused> {
        let id_is = |node: &KnownNode, text: &str| node.id.to_string() == text;
        let find = |text: &String| {
            let by_name = self.nodes.values().find(|node| node.name == *text);
            let by_id = || self.nodes.values().find(|node| id_is(node, text.strip_prefix('#').unwrap_or(text)));
            let found = by_name.or_else(by_id).map(|node| node.id);
            found.ok_or_else(|| TakeoverRefused::UnknownNode(text.clone()))
        };
        names.iter().map(find).collect()
    }

    fn name(&self, id: NodeId) -> String {
        let node = self.nodes.get(&id).map(|node| &node.name);
        let name = node.or_else(|| self.voters.get(&id).map(|voter| &voter.name));
        name.cloned().unwrap_or_else(|| format!("node {id}"))
    }

    /// What a takeover by the region would do, as node `own` of it sees it, if nothing speaks against it.
    pub(super) fn outlook(
        self,
        own: NodeId,
        region: String,
        passed_over: &BTreeSet<NodeId>,
    ) -> Result<Outlook, TakeoverRefused> {
        // Of all that speaks against it, what is easiest understood comes first.
        let by = |node: &NodeId| if *node == own { "this node".to_owned() } else { self.name(*node) };
        if let Some((node, _)) = self.standings.iter().find(|(_, standing)| standing.confirmed) {
            return Err(TakeoverRefused::HasQuorum { by: by(node) });
        }
        if !self.serves {
            return Err(TakeoverRefused::NoCatalog { region });
        }
        for (node, standing) in &self.standings {
            if let Some(voter) = standing.answering.first() {
                let region = self.voters.get(voter).map_or_else(|| "unknown".to_owned(), |voter| voter.region.clone());
                return Err(TakeoverRefused::VoterAnswers { voter: self.name(*voter), region, by: by(node) });
            }
        }
        let founder = choose(&self.standings);
        let (elsewhere, here): (Vec<KnownVoter>, Vec<KnownVoter>) = founder
            .map(|(_, standing)| standing.replica.voters.clone())
            .unwrap_or_default()
            .into_iter()
            .partition(|voter| voter.elsewhere);
        let (there, gone): (Vec<KnownVoter>, Vec<KnownVoter>) =
            here.into_iter().partition(|voter| self.standings.contains_key(&voter.id));
        if elsewhere.is_empty() && there.len() > gone.len() {
            return Err(TakeoverRefused::NothingLost { region });
        }
        let silent: Vec<&KnownNode> =
            self.nodes.values().filter(|node| !self.standings.contains_key(&node.id)).collect();
        let names = |nodes: &[&KnownNode]| nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>();
        let unasked: Vec<&KnownNode> = silent.iter().copied().filter(|node| !passed_over.contains(&node.id)).collect();
        if !unasked.is_empty() {
            return Err(TakeoverRefused::Silent { nodes: names(&unasked) });
        }
        let (founder, standing) = founder.ok_or(TakeoverRefused::Empty)?;
        // Where no vote is elsewhere, those that are given up are the region's own.
        let given_up = if elsewhere.is_empty() { gone } else { elsewhere };
        let lost: BTreeSet<String> = given_up.into_iter().map(|voter| voter.region).collect();
        Ok(Outlook {
            region,
            lost: lost.into_iter().collect(),
            founder: (founder, self.name(founder)),
            standing: standing.clone(),
            floor: self.standings.values().map(|standing| standing.incarnation).max().unwrap_or_default(),
            silent: names(&silent),
        })
    }
}

/// The replica that knows the most.
fn choose(standings: &BTreeMap<NodeId, ReplicaStanding>) -> Option<(NodeId, &ReplicaStanding)> {
    let knows = standings.iter().filter(|(_, standing)| standing.last.is_some());
    // Of those that know the same, the first: a repetition chooses as before.
    let most = knows.max_by_key(|(node, standing)| (knowledge(standing), std::cmp::Reverse(**node)));
    most.map(|(node, standing)| (*node, standing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(number: u64, last: Option<(u64, u64)>) -> ReplicaStanding {
        ReplicaStanding {
            confirmed: false,
            incarnation: Incarnation { number, founder: NodeId(number) },
            last: last.map(|(term, index)| (term, NodeId(1), index)),
            as_of_milliseconds: 1,
            answering: Vec::new(),
            replica: KnownMembers::default(),
        }
    }

    fn chosen(standings: &[(u64, ReplicaStanding)]) -> Option<NodeId> {
        let standings = standings.iter().map(|(node, standing)| (NodeId(*node), standing.clone())).collect();
        choose(&standings).map(|(node, _)| node)
    }

    #[test]
    fn the_replica_that_knows_the_most_goes_on() {
        let replicas =
            [(4, standing(0, Some((3, 90)))), (5, standing(0, Some((2, 99)))), (6, standing(0, Some((3, 91))))];
        assert_eq!(chosen(&replicas), Some(NodeId(6)), "a later term outdoes a longer log");
        assert_eq!(chosen(&[(4, standing(0, Some((3, 7)))), (5, standing(0, Some((3, 7))))]), Some(NodeId(4)));
        assert_eq!(chosen(&[(4, standing(0, Some((9, 99)))), (5, standing(1, Some((1, 1))))]), Some(NodeId(5)));
        assert_eq!(chosen(&[(4, standing(1, None)), (5, standing(0, Some((1, 1))))]), Some(NodeId(5)));
        assert_eq!(chosen(&[(4, standing(1, None))]), None);
    }

    fn node(id: u64) -> KnownNode {
        KnownNode { id: NodeId(id), name: format!("us-{id}"), address: String::new() }
    }

    /// Nodes 4 and up are in the own region, the others in `eu`.
    fn voter(id: u64) -> KnownVoter {
        let region = if id >= 4 { "us" } else { "eu" };
        KnownVoter { id: NodeId(id), name: format!("{region}-{id}"), region: region.to_owned(), elsewhere: id < 4 }
    }

    fn members(nodes: &[u64], voters: &[u64]) -> KnownMembers {
        KnownMembers {
            nodes: nodes.iter().copied().map(node).collect(),
            voters: voters.iter().copied().map(voter).collect(),
        }
    }

    fn inquiry(standings: &[(u64, ReplicaStanding)]) -> Inquiry {
        let mut inquiry = Inquiry { serves: true, ..Inquiry::default() };
        for (id, standing) in standings {
            inquiry.hear(standing.replica.clone());
            inquiry.standings.insert(NodeId(*id), standing.clone());
        }
        inquiry
    }

    fn outlook(inquiry: &Inquiry, without: &[&str]) -> Result<Outlook, TakeoverRefused> {
        let without: Vec<String> = without.iter().map(|name| (*name).to_owned()).collect();
        let passed_over = inquiry.named(&without)?;
        inquiry.clone().outlook(NodeId(4), "us".to_owned(), &passed_over)
    }

    #[test]
    fn the_incarnation_is_above_those_of_replicas_that_have_nothing_of_theirs() {
        let knows = ReplicaStanding { replica: members(&[4, 5], &[1, 2, 4]), ..standing(0, Some((1, 1))) };
        let found = outlook(&inquiry(&[(4, knows), (5, standing(6, None))]), &[]).unwrap();
        assert_eq!((found.founder.0, found.standing.incarnation.number), (NodeId(4), 0));
        assert_eq!(found.floor, Incarnation { number: 6, founder: NodeId(6) });
        assert_eq!(found.lost, ["eu"]);
    }

    #[test]
    fn a_node_of_which_only_another_one_has_heard_counts() {
        let old = ReplicaStanding { replica: members(&[4, 5], &[1, 2, 4]), ..standing(0, Some((1, 1))) };
        let newer = ReplicaStanding { replica: members(&[4, 5, 6], &[1, 2, 4]), ..standing(0, Some((1, 9))) };
        let heard = inquiry(&[(4, old), (5, newer)]);
        let refused = outlook(&heard, &[]);
        assert!(matches!(&refused, Err(TakeoverRefused::Silent { nodes }) if *nodes == ["us-6"]), "{refused:?}");
        assert_eq!(outlook(&heard, &["us-6"]).unwrap().silent, ["us-6"]);
        assert!(outlook(&heard, &["#6"]).is_ok() && outlook(&heard, &["6"]).is_ok());
        assert!(matches!(outlook(&heard, &["us-7"]), Err(TakeoverRefused::UnknownNode(name)) if name == "us-7"));
    }

    #[test]
    fn votes_of_the_own_region_can_be_lost_too() {
        // The founder of a takeover was the only voter, and is destroyed.
        let left = ReplicaStanding { replica: members(&[4, 5, 6], &[6]), ..standing(7, Some((1, 1))) };
        let heard = inquiry(&[(4, left.clone()), (5, left)]);
        let refused = outlook(&heard, &[]);
        assert!(matches!(&refused, Err(TakeoverRefused::Silent { nodes }) if *nodes == ["us-6"]), "{refused:?}");
        let found = outlook(&heard, &["us-6"]).unwrap();
        assert_eq!((found.lost, found.founder.0), (vec!["us".to_owned()], NodeId(4)));
        // Two of three votes are enough for a quorum.
        let left = ReplicaStanding { replica: members(&[4, 5, 6], &[4, 5, 6]), ..standing(7, Some((1, 1))) };
        let heard = inquiry(&[(4, left.clone()), (5, left)]);
        assert!(matches!(outlook(&heard, &["us-6"]), Err(TakeoverRefused::NothingLost { .. })));
    }

    #[test]
    fn nothing_is_taken_over_from_a_quorum_or_past_a_voter_that_is_there() {
        let left = ReplicaStanding { replica: members(&[4], &[1, 2, 4]), ..standing(0, Some((1, 1))) };
        let confirmed = inquiry(&[(4, ReplicaStanding { confirmed: true, ..left.clone() })]);
        assert!(matches!(outlook(&confirmed, &[]), Err(TakeoverRefused::HasQuorum { by }) if by == "this node"));
        let answered = inquiry(&[(4, ReplicaStanding { answering: vec![NodeId(2)], ..left.clone() })]);
        let refused = outlook(&answered, &[]);
        assert!(matches!(&refused, Err(TakeoverRefused::VoterAnswers { voter, .. }) if voter == "eu-2"), "{refused:?}");
        let alone = Inquiry { serves: false, ..inquiry(&[(4, left)]) };
        assert!(matches!(outlook(&alone, &[]), Err(TakeoverRefused::NoCatalog { .. })));
    }
}
