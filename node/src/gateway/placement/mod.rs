//! Where the shards of an extent go: a pure function of the nodes as they are now.
//!
//! Holds: one shard to a node, unless the region is known to have one node; one shard to a disk, always; only live nodes, and
//! disks that are writable and above their reserve; never a profile that would make an acknowledgement mean less
//! than it does in the whole cluster. The result is recorded in the extent, so nodes need not agree on it.

mod profile;
mod rendezvous;
mod survey;
mod target;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use raft::catalog::DiskLocation;
use raft::id::NodeId;
use storage::codec::Profile;
use storage::shard::{DiskId, ExtentIndex, ObjectId};
use storage::switch;

pub(crate) use profile::{for_disks, for_nodes};
use rendezvous::Ranking;
pub(crate) use survey::{Holder, HolderDisk, Standing, Survey};
pub(crate) use target::Wanted;

/// Bytes that a disk must have above its reserve to be given a new shard.
pub(crate) const AVAILABLE_BYTES_MIN: u64 = 4 << 20;

/// A node that may hold shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The node.
    pub(crate) node: NodeId,
    /// Its zone.
    pub(crate) zone: String,
    /// Whether it answers.
    pub(crate) live: bool,
    /// Its disks.
    pub(crate) disks: Vec<CandidateDisk>,
}

/// A disk of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CandidateDisk {
    /// The disk.
    pub(crate) id: DiskId,
    /// Bytes above its reserve.
    pub(crate) available_bytes: u64,
    /// Whether it takes writes.
    pub(crate) writable: bool,
}

impl CandidateDisk {
    fn usable(&self, avoided: &BTreeSet<DiskId>) -> bool {
        self.writable && self.available_bytes >= AVAILABLE_BYTES_MIN && !avoided.contains(&self.id)
    }
}

/// Where an extent goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Its profile.
    pub(crate) profile: Profile,
    /// Location of each shard, by shard index.
    pub(crate) shards: Vec<DiskLocation>,
    /// Whether the profile is below what the registered nodes would give if all of them could be used.
    pub(crate) degraded: bool,
}

/// Why there is no safe place. Texts are for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// Enough nodes live, but their disks are full or take no writes.
    #[error("{message}")]
    NoSpace {
        /// Which disks are in the way.
        message: String,
    },
    /// Too few nodes live.
    #[error("{live} of {registered} nodes can be reached, a safe write needs {needed}")]
    TooFewNodes {
        /// Live nodes.
        live: usize,
        /// Registered nodes.
        registered: usize,
        /// Live nodes that a write needs.
        needed: usize,
    },
}

/// Chooses profile and locations of an extent.
///
/// `candidates` are the registered nodes that are not draining, dead ones included. `sole` says that the region is
/// known to have one node: one candidate alone does not, since the others may be draining, or not be heard of yet.
/// Disks in `avoided` just failed a write and are left out.
pub(crate) fn place(
    candidates: &[Candidate],
    sole: bool,
    avoided: &BTreeSet<DiskId>,
    object: ObjectId,
    extent: ExtentIndex,
) -> Result<Placement, PlacementError> {
    let ranking = Ranking::new(object, extent);
    match candidates {
        [node] if sole => over_disks(node, avoided, &ranking),
        nodes => over_nodes(nodes, avoided, &ranking),
    }
}

/// Parity that an extent must have to be acknowledged now: that of the place where it would go; if there is none, at
/// least the loss of one disk or node must be borne, unless there is only one disk.
pub(crate) fn parity(
    candidates: &[Candidate],
    sole: bool,
    avoided: &BTreeSet<DiskId>,
    object: ObjectId,
    extent: ExtentIndex,
) -> u8 {
    let least = match candidates {
        [node] if sole => usize::from(node.disks.len() > 1),
        _ => 1,
    };
    let parity = place(candidates, sole, avoided, object, extent).map_or(least, |it| it.profile.parity());
    u8::try_from(parity).unwrap_or(u8::MAX)
}

/// The only node: its disks are the failure domain. A node with several disks never writes to one alone.
fn over_disks(
    candidate: &Candidate,
    avoided: &BTreeSet<DiskId>,
    ranking: &Ranking,
) -> Result<Placement, PlacementError> {
    if !candidate.live {
        return Err(PlacementError::TooFewNodes { live: 0, registered: 1, needed: 1 });
    }
    let usable: Vec<CandidateDisk> = candidate.disks.iter().filter(|disk| disk.usable(avoided)).copied().collect();
    let needed = candidate.disks.len().clamp(1, 2);
    if usable.len() < needed {
        return Err(PlacementError::NoSpace {
            message: format!(
                "{} of the node's {} disks can take writes, a safe write needs {needed}: free space or add a disk",
                usable.len(),
                candidate.disks.len()
            ),
        });
    }
    let profile = for_disks(usable.len());
    let shards = ranking
        .disks(&usable)
        .into_iter()
        .take(profile.shards())
        .map(|disk| DiskLocation { node: candidate.node, disk })
        .collect();
    Ok(Placement { profile, shards, degraded: profile != for_disks(candidate.disks.len()) })
}

/// The disk that a node gives, of those that it has in their rank.
fn choice(ranked: &[DiskId]) -> Option<DiskId> {
    let second = ranked.get(1).filter(|_| switch::rare("gateway.placement.second_disk"));
    second.or(ranked.first()).copied()
}

/// Several registered nodes: the node is the failure domain, zones spread.
fn over_nodes(
    candidates: &[Candidate],
    avoided: &BTreeSet<DiskId>,
    ranking: &Ranking,
) -> Result<Placement, PlacementError> {
    const NEEDED: usize = 2;
    let live = candidates.iter().filter(|candidate| candidate.live);
    let usable: Vec<(&Candidate, Vec<CandidateDisk>)> = live
        .clone()
        .map(|candidate| (candidate, candidate.disks.iter().filter(|disk| disk.usable(avoided)).copied().collect()))
        .filter(|(_, disks): &(_, Vec<CandidateDisk>)| !disks.is_empty())
        .collect();
    if usable.len() < NEEDED {
        let live = live.count();
        return Err(if live < NEEDED {
            PlacementError::TooFewNodes { live, registered: candidates.len(), needed: NEEDED }
        } else {
            PlacementError::NoSpace {
                message: format!(
                    "{} of {live} live nodes have a disk that can take writes, a safe write needs {NEEDED}: free \
                     space or add a disk",
                    usable.len()
                ),
            }
        });
    }
    let profile = for_nodes(usable.len());
    let mut zones: BTreeMap<&str, Vec<(NodeId, &[CandidateDisk])>> = BTreeMap::new();
    for (candidate, disks) in &usable {
        zones.entry(&candidate.zone).or_default().push((candidate.node, disks));
    }
    // Round after round, each zone in its rank gives its next best node: shards spread as evenly as the zones allow.
    let mut ranked: Vec<std::vec::IntoIter<(NodeId, &[CandidateDisk])>> =
        ranking.zones(zones).into_iter().map(|nodes| ranking.nodes(nodes).into_iter()).collect();
    let mut shards = Vec::with_capacity(profile.shards());
    while shards.len() < profile.shards() {
        let before = shards.len();
        for zone in &mut ranked {
            let Some((node, disks)) = zone.next() else { continue };
            if shards.len() < profile.shards()
                && let Some(disk) = choice(&ranking.disks(disks))
            {
                shards.push(DiskLocation { node, disk });
            }
        }
        assert!(shards.len() > before, "a profile never has more shards than there are usable nodes");
    }
    Ok(Placement { profile, shards, degraded: profile != for_nodes(candidates.len()) })
}
