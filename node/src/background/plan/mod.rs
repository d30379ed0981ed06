//! What is to be done about one extent, decided from the extent, what it lacks, and the nodes as they are now.
//!
//! A shard that is lost or on its way out is rebuilt or copied alone, if there is a place for it. Only when there is
//! none, or when the cluster can give a better profile, the extent is written anew. What will come back by itself is
//! waited for.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use raft::catalog::{CodedExtent, DiskLocation, ShortfallReason, ShortfallRecord};
use raft::time::Timestamp;
use storage::codec::Profile;
use storage::shard::{DiskId, ExtentIndex, ObjectId, ShardIndex};

use crate::gateway::placement::{Placement, Survey, Wanted};
use crate::gateway::write::{How, Transfer};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is as it should be, or is another one by now.
    Keep,
    /// Bring these shards elsewhere.
    Move(Vec<Transfer>),
    /// Write all of it anew, where and as it would be written now.
    Rewrite,
    /// It is whole, and of the profile that the cluster gives now: it is to leave the list.
    Settle,
    /// Nothing can be done at present.
    Wait,
}

/// Everything that the decision hangs on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    /// Object of the extent.
    pub(super) object: ObjectId,
    /// Its index.
    pub(super) index: ExtentIndex,
    /// The extent as it is.
    pub(super) coded: &'a CodedExtent,
    /// What it lacks, if it is on the list.
    pub(super) shortfall: Option<&'a ShortfallRecord>,
    /// Where it would be written now.
    pub(super) placement: Option<&'a Placement>,
    /// The nodes.
    pub(super) survey: &'a Survey,
    /// Disks that failed a write of late.
    pub(super) avoided: &'a BTreeSet<DiskId>,
    /// The catalog's clock.
    pub(super) now: Timestamp,
    /// For so long a lost shard that fits nowhere is waited for before its extent is written anew under a weaker
    /// profile.
    pub(super) rewrite_grace_seconds: u64,
}

/// How much a profile is worth: what it bears first, then what it costs.
pub(super) fn strength(profile: Profile) -> (usize, usize) {
    (profile.parity(), profile.data())
}

/// A shard that cannot stay where it is.
#[derive(Clone, Copy, Debug)]
struct Bad {
    shard: ShardIndex,
    at: DiskLocation,
    /// Why it is lost; `None` if it is only to leave.
    lost: Option<ShortfallReason>,
}

/// Decides.
pub(super) fn plan(case: &Case<'_>) -> Step {
    let shortfall = case.shortfall.filter(|shortfall| shortfall.attempt == case.coded.attempt);
    let bad = bad(case, shortfall);
    let weak = shortfall.is_some_and(|shortfall| shortfall.weak.is_some());
    let own = case.coded.geometry.profile;
    if bad.is_empty() && !weak {
        return Step::Keep;
    }
    if !is_readable(case) {
        return Step::Wait;
    }
    let offered = case.placement.map(|placement| (strength(placement.profile), placement.degraded));
    if weak && offered.is_some_and(|(offered, _)| offered > strength(own)) {
        return Step::Rewrite;
    }
    let (transfers, homeless) = transfers(case, &bad);
    if homeless.is_empty() {
        return match offered {
            _ if !transfers.is_empty() => Step::Move(transfers),
            Some((_, false)) if weak => Step::Settle,
            _ => Step::Wait,
        };
    }
    let impatient = |bad: &Bad| bad.lost.is_some() && shortfall.is_some_and(|it| is_overdue(case, it));
    if let Some((_, degraded)) = offered
        && (!degraded || homeless.iter().any(impatient))
    {
        return Step::Rewrite;
    }
    if transfers.is_empty() { Step::Wait } else { Step::Move(transfers) }
}

/// Whether a shard shares its node with one before it, although there are several nodes.
pub(super) fn is_crowded(coded: &CodedExtent, survey: &Survey, shard: ShardIndex, at: DiskLocation) -> bool {
    !survey.sole && coded.shards.iter().take(usize::from(shard.0)).any(|other| other.node == at.node)
}

/// Shards that are lost or to leave, the lost ones first. What is only away and is back is not lost.
fn bad(case: &Case<'_>, shortfall: Option<&ShortfallRecord>) -> Vec<Bad> {
    let mut lost = Vec::new();
    let mut leaving = Vec::new();
    for (shard, location) in case.coded.numbered() {
        let at = location.on();
        let missing = shortfall.and_then(|it| it.missing.iter().find(|missing| missing.shard == shard));
        let is_back = |cause: &ShortfallReason| cause.is_of_location() && case.survey.is_sound(at);
        let cause = missing.map(|missing| missing.cause).filter(|cause| !is_back(cause));
        if cause.is_some() {
            lost.push(Bad { shard, at, lost: cause });
        } else if case.survey.is_leaving(at) || is_crowded(case.coded, case.survey, shard, at) {
            leaving.push(Bad { shard, at, lost: None });
        }
    }
    lost.append(&mut leaving);
    lost
}

/// Whether enough shards may give something: those that were found damaged may have good blocks.
fn is_readable(case: &Case<'_>) -> bool {
    let reachable = case.coded.shards.iter().filter(|location| case.survey.is_live(location.node)).count();
    reachable >= case.coded.geometry.profile.data()
}

fn is_overdue(case: &Case<'_>, shortfall: &ShortfallRecord) -> bool {
    case.now >= shortfall.since.plus_seconds(case.rewrite_grace_seconds)
}

/// Finds a place for each; those that have none are returned apart.
fn transfers(case: &Case<'_>, bad: &[Bad]) -> (Vec<Transfer>, Vec<Bad>) {
    let is_bad = |shard: ShardIndex| bad.iter().any(|bad| bad.shard == shard);
    let mut kept: Vec<DiskLocation> =
        case.coded.numbered().filter(|(shard, _)| !is_bad(*shard)).map(|(_, location)| location.on()).collect();
    let shard_bytes = case.coded.geometry.shard_length_bytes();
    let wanted = Wanted { object: case.object, extent: case.index, shard_bytes, avoided: case.avoided };
    let (mut transfers, mut homeless) = (Vec::new(), Vec::new());
    for bad in bad {
        // What failed with its disk never goes back to it; a damaged file may be made anew beside its neighbours.
        let home = (bad.lost.is_some() && bad.lost != Some(ShortfallReason::DiskFailed)).then_some(bad.at);
        let Some(to) = wanted.target(case.survey, &kept, home) else {
            homeless.push(*bad);
            // It stays where it is, and nothing may be put beside it.
            kept.push(bad.at);
            continue;
        };
        let how = if bad.lost.is_none() && case.survey.is_readable(bad.at) { How::Copy } else { How::Rebuild };
        kept.push(to);
        transfers.push(Transfer { shard: bad.shard, to, how });
    }
    (transfers, homeless)
}
