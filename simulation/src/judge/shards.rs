//! Every shard that the catalog places on a disk is there and durable, unless the catalog lists it as missing. Source:
//! section 5 of the design ("at the end of each PATCH or PUT every shard is synced, then one catalog command commits").
//! What lies on a disk beside that is counted.
//!
//! Looked at when the run is at rest. Durable means that a power loss would leave all of the file and its name, and that
//! none has taken a part of it; the simulated disk knows. It is excused that a file is missing which was destroyed on
//! purpose, and nothing else. A shard that nobody refers to is an orphan: the attempt that wrote it was interrupted
//! before its command was committed. Orphans cost space and nothing else; inventories remove them after a day, so they are
//! counted, and bounded by the number of interruptions. Where the grace is short, none is left after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use storage::shard::ShardName;

use super::Court;
use super::holdings::{Holdings, spelled};

const JUDGE: &str = "shards";

/// Whether a shard of a node was destroyed on purpose.
pub type Excused = Arc<dyn Fn(usize, &ShardName) -> bool + Send + Sync>;

/// Accuses of what is missing or not durable, and of more than `orphans_max` orphans. Returns the number of orphans.
pub fn judge(holdings: &BTreeMap<usize, Holdings>, excused: &Excused, orphans_max: usize, court: &Court) -> usize {
    for (number, holdings) in holdings {
        let unknown = |name: &&ShardName| !holdings.knows_missing(name) && !excused(*number, name);
        let missing = holdings.placed.iter().filter(|(_, condition)| !condition.exists).map(|(name, _)| name);
        let missing: Vec<&ShardName> = missing.filter(unknown).collect();
        accuse(court, *number, "lacks", &missing, "that nobody has noticed");
        let uncertain = holdings.placed.iter().filter(|(_, condition)| condition.exists && !condition.durable);
        let uncertain: Vec<&ShardName> =
            uncertain.map(|(name, _)| name).filter(|name| !holdings.knows_missing(name)).collect();
        accuse(court, *number, "holds", &uncertain, "that are acknowledged and not durable");
    }
    let orphans = holdings.values().map(|holdings| holdings.orphans.len()).sum();
    if orphans > orphans_max {
        let names = spelled(holdings.values().filter_map(|holdings| holdings.orphans.first()));
        court.accuse(JUDGE, format!("{orphans} orphans are left, at most {orphans_max} are explained: {names}"));
    }
    orphans
}

/// Strays by node.
pub type Strays = BTreeMap<usize, BTreeSet<ShardName>>;

/// Accuses of files that nobody will ever ask for, although their grace is over: they were such files before it began. A
/// file becomes one at any time, such as when the upload expires that its object belongs to.
pub fn judge_strays(holdings: &BTreeMap<usize, Holdings>, before: &Strays, court: &Court) {
    for (number, holdings) in holdings {
        let Some(before) = before.get(number) else { continue };
        let strays: Vec<&ShardName> = holdings.strays.intersection(before).collect();
        accuse(court, *number, "still holds", &strays, "that the catalog does not know, although their grace is over");
    }
}

fn accuse(court: &Court, number: usize, verb: &str, names: &[&ShardName], what: &str) {
    if !names.is_empty() {
        let spelled = spelled(names.iter().copied());
        court.accuse(JUDGE, format!("node {number} {verb} {} shards {what}: {spelled}", names.len()));
    }
}

#[cfg(test)]
mod tests {
    use storage::shard::{ExtentIndex, ObjectId, ShardIndex};

    use super::super::holdings::testing::{GOOD, shard};
    use super::*;
    use crate::disk::Condition;

    const MISSING: Condition = Condition { exists: false, durable: false, ..GOOD };
    const UNCERTAIN: Condition = Condition { durable: false, ..GOOD };

    fn judged(placed: &[(ShardName, Condition)], orphans: &[ShardName], orphans_max: usize) -> Option<String> {
        // Shard 1 of every object is known to be missing, object 3 was destroyed.
        let known = |object: u8| ((ObjectId([object; 16]), ExtentIndex(0)), BTreeSet::from([ShardIndex(1)]));
        let holdings = Holdings {
            placed: placed.iter().copied().collect(),
            orphans: orphans.iter().copied().collect(),
            shortfalls: (0..=9).map(known).collect(),
            ..Holdings::default()
        };
        let court = Court::default();
        let excused: Excused = Arc::new(|number, name| (number, name.object) == (2, ObjectId([3; 16])));
        assert_eq!(judge(&BTreeMap::from([(2, holdings)]), &excused, orphans_max, &court), orphans.len());
        court.first().map(|violation| violation.text)
    }

    #[test]
    fn a_shard_that_is_missing_and_nobody_noticed_is_accused() {
        assert_eq!(judged(&[(shard(1, 0), GOOD), (shard(1, 1), MISSING), (shard(3, 0), MISSING)], &[], 0), None);
        assert!(judged(&[(shard(4, 0), MISSING)], &[], 0).unwrap().contains("node 2 lacks 1 shards"));
    }

    #[test]
    fn a_shard_that_a_power_loss_would_take_is_accused_whatever_was_destroyed() {
        assert_eq!(judged(&[(shard(1, 1), UNCERTAIN)], &[], 0), None, "it is about to be written anew");
        assert!(judged(&[(shard(4, 0), UNCERTAIN)], &[], 0).unwrap().contains("node 2 holds 1 shards"));
        assert!(judged(&[(shard(3, 0), UNCERTAIN)], &[], 0).unwrap().contains("not durable"));
    }

    #[test]
    fn strays_are_accused_that_were_there_before_the_grace() {
        let judged = |strays: &[ShardName], before: &[ShardName]| {
            let court = Court::default();
            let holdings = Holdings { strays: strays.iter().copied().collect(), ..Holdings::default() };
            let before = BTreeMap::from([(2, before.iter().copied().collect())]);
            judge_strays(&BTreeMap::from([(2, holdings)]), &before, &court);
            court.first().map(|violation| violation.text)
        };
        let (old, new) = (shard(4, 0), shard(5, 0));
        assert_eq!(judged(&[], &[old]), None);
        assert_eq!(judged(&[new], &[old]), None, "its upload has just expired");
        let text = judged(&[old, new], &[old]).unwrap();
        assert!(text.contains("node 2 still holds 1 shards") && text.contains(&old.to_string()), "{text}");
    }

    #[test]
    fn more_orphans_than_are_explained_are_accused() {
        assert_eq!(judged(&[], &[shard(4, 0), shard(5, 0)], 2), None);
        assert!(judged(&[], &[shard(4, 0), shard(5, 0)], 1).unwrap().contains("2 orphans are left"));
    }
}
