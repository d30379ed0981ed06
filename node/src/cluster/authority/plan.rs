//! What is to be done next, by a node with its own files and by the one that leads: pure functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use raft::directory::{
    AuthorityCommand, AuthorityId, AuthorityStanding, ClusterRecord, NodeRecord, NodeState, RotationPhase,
    RotationRecord,
};
use raft::id::NodeId;

/// What the directory says of authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The one that signs.
    pub signer: AuthorityId,
    /// The other one, while there is a change, and how far that is.
    pub other: Option<(RotationPhase, AuthorityId)>,
}

/// What a node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Authorities that it trusts.
    pub trusts: BTreeSet<AuthorityId>,
    /// The one that has signed its certificate.
    pub shows: AuthorityId,
    /// Whether its certificate is to be renewed for its age.
    pub is_due: bool,
}

/// What a node is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnStep {
    /// Trust these, and no others.
    Trust(BTreeSet<AuthorityId>),
    /// Have its certificate renewed by the authority that signs.
    Renew,
    /// Say what it trusts and shows.
    Say(AuthorityStanding),
}

/// How a node is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lag {
    /// It has yet to trust the new authority.
    Trust,
    /// It has yet to show a certificate of the new authority.
    Certificate,
    /// It still trusts an authority that was dropped or taken back.
    Former,
}

/// A node that a change waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The node.
    pub node: NodeId,
    /// What for.
    pub lag: Lag,
}

impl fmt::Display for Lag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Trust => "has yet to trust the new authority",
            Self::Certificate => "has yet to get a certificate of the new authority",
            Self::Former => "still trusts an authority that is none any more",
        })
    }
}

impl Agreed {
    /// What these records say.
    #[must_use]
    pub fn new(cluster: &ClusterRecord, rotation: Option<&RotationRecord>) -> Self {
        let other = |rotation: &RotationRecord| (rotation.phase, AuthorityId::of(&rotation.certificate));
        Self { signer: AuthorityId::of(&cluster.ca_certificate), other: rotation.map(other) }
    }

    /// Authorities that every node is to trust.
    fn trusted(&self) -> BTreeSet<AuthorityId> {
        std::iter::once(self.signer).chain(self.other.map(|(_, other)| other)).collect()
    }
}

impl Held {
    /// The same as it is said to the directory.
    fn standing(&self) -> AuthorityStanding {
        AuthorityStanding { trusts: self.trusts.iter().copied().collect(), shows: self.shows }
    }
}

/// What a node with these files is to do next; nothing, if it is as it should be and has said so.
#[must_use]
pub fn own_step(agreed: &Agreed, held: &Held, said: Option<&AuthorityStanding>) -> Option<OwnStep> {
    let trusted = agreed.trusted();
    if !trusted.is_subset(&held.trusts) {
        return Some(OwnStep::Trust(held.trusts.union(&trusted).copied().collect()));
    }
    let is_outdated = match agreed.other {
        Some((RotationPhase::Introduced, _)) => !trusted.contains(&held.shows),
        Some((RotationPhase::Signing, _)) | None => held.shows != agreed.signer,
    };
    if is_outdated || held.is_due {
        return Some(OwnStep::Renew);
    }
    if held.trusts != trusted {
        return Some(OwnStep::Trust(trusted));
    }
    let standing = held.standing();
    (said != Some(&standing)).then_some(OwnStep::Say(standing))
}

/// Nodes that are behind, by id.
#[must_use]
pub fn awaited(
    agreed: &Agreed,
    nodes: &[(NodeId, NodeRecord)],
    standings: &BTreeMap<NodeId, AuthorityStanding>,
) -> Vec<Awaited> {
    let lag = |node: NodeId| {
        let standing = standings.get(&node);
        match agreed.other {
            Some((RotationPhase::Introduced, new)) => {
                standing.is_none_or(|standing| !standing.trusts.contains(&new)).then_some(Lag::Trust)
            }
            Some((RotationPhase::Signing, _)) => {
                standing.is_none_or(|standing| standing.shows != agreed.signer).then_some(Lag::Certificate)
            }
            // One that has said nothing yet was given what holds now.
            None => standing.filter(|standing| standing.trusts != [agreed.signer]).map(|_| Lag::Former),
        }
    };
    let present = nodes.iter().filter(|(_, record)| record.state != NodeState::Removed);
    present.filter_map(|(node, _)| Some(Awaited { node: *node, lag: lag(*node)? })).collect()
}

/// What the one that leads is to propose: nothing while a node is awaited.
#[must_use]
pub fn lead_step(
    agreed: &Agreed,
    nodes: &[(NodeId, NodeRecord)],
    standings: &BTreeMap<NodeId, AuthorityStanding>,
) -> Option<AuthorityCommand> {
    let (phase, other) = agreed.other?;
    if !awaited(agreed, nodes, standings).is_empty() {
        return None;
    }
    Some(match phase {
        RotationPhase::Introduced => AuthorityCommand::Promote { authority: other },
        RotationPhase::Signing => AuthorityCommand::Drop { authority: other },
    })
}

#[cfg(test)]
mod tests;
