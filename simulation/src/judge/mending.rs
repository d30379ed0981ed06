//! Damage that was noticed is mended: a shard whose bad bytes a process has read, or that it did not find, is written
//! anew. Source: section 1 of the design, number 4 ("a bad one is rebuilt from the others, repaired, counted and
//! logged").
//!
//! After a forced scrub of all disks no shard in use is damaged, whoever has read it. Without one, what nobody read is
//! excused: a scrub comes to it in days. What was read is known to the simulated disk, and that a
//! gateway has heard of it must be certain: a client hangs up, a node dies, a reader has asked others meanwhile and does
//! not wait for this answer. So only the final reading counts, which nobody interrupts and in which every blob is read to
//! its end; and only if no reader lost its patience in it, since who waits for all the shards that it asked hears what
//! each of them says. What was read then must have been mended by the end of the run, on whatever list it may be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use storage::shard::ShardName;

use super::Court;
use super::holdings::{Holdings, spelled};
use crate::disk::Condition;

const JUDGE: &str = "mending";

/// Accuses of every shard that is damaged or gone although all disks were scrubbed and the redundancy is full.
pub fn judge_scrubbed(holdings: &BTreeMap<usize, Holdings>, court: &Court) {
    for (number, holdings) in holdings {
        let bad = |condition: &Condition| condition.damaged || !condition.exists;
        let bad = holdings.placed.iter().filter(|(_, condition)| bad(condition));
        let names: Vec<&ShardName> = bad.map(|(name, _)| name).collect();
        if !names.is_empty() {
            let spelled = spelled(names.iter().copied());
            let count = names.len();
            court.accuse(
                JUDGE,
                format!("node {number}: {count} damaged shards are still in use after a scrub: {spelled}"),
            );
        }
    }
}

/// Damaged shards, with the number of the node whose disk they are on.
pub type Noticed = BTreeSet<(usize, ShardName)>;

/// The shards of a node whose damage was read at `since` or later.
pub fn noticed(number: usize, shards: BTreeMap<ShardName, Condition>, since: Duration) -> Noticed {
    let read = shards.into_iter().filter(|(_, condition)| condition.damage_read_at >= Some(since));
    read.map(|(name, _)| (number, name)).collect()
}

/// Accuses of every shard whose damage was noticed, and that the catalog still places where it is.
pub fn judge(holdings: &BTreeMap<usize, Holdings>, noticed: &Noticed, court: &Court) {
    for (number, holdings) in holdings {
        let names = holdings.placed.keys().filter(|name| noticed.contains(&(*number, **name)));
        let names: Vec<&ShardName> = names.collect();
        if let Some(first) = names.first() {
            let listed =
                if holdings.knows_missing(first) { "is on the list and not mended" } else { "was not reported" };
            let spelled = spelled(names.iter().copied());
            court.accuse(
                JUDGE,
                format!(
                    "node {number}: {} damaged shards were read in the final reading and are still in use, the first \
                     {listed}: {spelled}",
                    names.len(),
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::holdings::testing::{GOOD, shard};
    use super::*;

    /// What is accused of a shard whose damage was last read at this second, if it is still in use; the final reading
    /// began at the hundredth.
    fn judged(read_at: Option<u64>, placed: bool) -> Option<String> {
        let condition = Condition { damage_read_at: read_at.map(Duration::from_secs), ..GOOD };
        let shards = BTreeMap::from([(shard(1, 0), GOOD), (shard(2, 0), condition)]);
        let noticed = noticed(3, shards.clone(), Duration::from_secs(100));
        let placed = shards.into_iter().take(if placed { 2 } else { 1 }).collect();
        let court = Court::default();
        judge(&BTreeMap::from([(3, Holdings { placed, ..Holdings::default() })]), &noticed, &court);
        court.first().map(|violation| violation.text)
    }

    #[test]
    fn damage_that_nobody_read_in_the_end_is_not_accused() {
        assert_eq!(judged(None, true), None);
        assert_eq!(judged(Some(99), true), None, "who read it then may have been interrupted");
    }

    #[test]
    fn after_a_scrub_all_damage_is_accused() {
        let judged = |condition| {
            let placed = BTreeMap::from([(shard(1, 0), GOOD), (shard(2, 0), condition)]);
            let court = Court::default();
            judge_scrubbed(&BTreeMap::from([(3, Holdings { placed, ..Holdings::default() })]), &court);
            court.first().map(|violation| violation.text)
        };
        assert_eq!(judged(GOOD), None);
        assert!(judged(Condition { damaged: true, ..GOOD }).unwrap().contains("1 damaged shards"));
        assert!(judged(Condition { exists: false, ..GOOD }).unwrap().contains("node 3"));
    }

    #[test]
    fn damage_that_was_read_and_is_still_there_is_accused() {
        assert!(judged(Some(100), true).unwrap().contains("node 3: 1 damaged shards were read"));
        assert!(judged(Some(120), true).unwrap().contains("was not reported"));
        assert_eq!(judged(Some(120), false), None);
    }
}
