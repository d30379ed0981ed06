//! How many vote in a group, and how many of them each region may have: a pure function from the nodes that can vote.
//!
//! With three or more regions no region has so many seats that its loss would be the loss of the quorum. With two that
//! cannot be had: the primary region has the majority, so that the loss of the other one is borne, and it is known which
//! region goes on when the line between the two is cut. A primary of one node cannot: one vote alone would be lost with its
//! node, so that nodes of the other region vote too, and status says which losses are borne. A catalog's nodes are all of
//! one region.

use std::collections::BTreeMap;

use raft::id::RegionId;

/// Numbers of voters that are spread over regions, the better ones first.
const SPREAD: [usize; 2] = [5, 3];

/// The seats of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats {
    /// Voters in all.
    pub total: usize,
    /// Most that one region may have; a region that is not named may have all.
    most: BTreeMap<RegionId, usize>,
}

impl Seats {
    /// Most seats that a region may have.
    pub(super) fn most(&self, region: RegionId) -> usize {
        self.most.get(&region).copied().unwrap_or(self.total)
    }
}

/// Number of voters out of so many nodes that could vote. Two vote together although both are then needed: one vote
/// alone would be lost with its node.
#[must_use]
pub const fn voters_of(available: usize) -> usize {
    match available {
        0..=3 => available,
        4 => 3,
        _ => 5,
    }
}

/// The seats of a group, from the nodes of each region that can vote. `taken` seats are those of voters of which it is
/// not known where they are.
#[must_use]
pub fn seats(able: &BTreeMap<RegionId, usize>, primary: RegionId, taken: usize) -> Seats {
    let regions: Vec<(RegionId, usize)> =
        able.iter().filter(|(_, nodes)| **nodes > 0).map(|(region, nodes)| (*region, *nodes)).collect();
    let all: usize = regions.iter().map(|(_, nodes)| nodes).sum();
    match regions.len() {
        0 | 1 => {}
        2 => {
            let of_primary = able.get(&primary).copied().unwrap_or(0);
            let fits = |total: &usize| of_primary > total / 2 && all + taken >= *total;
            if let Some(total) = SPREAD.into_iter().find(fits) {
                let other = regions.iter().filter(|(region, _)| *region != primary);
                return Seats { total, most: other.map(|(region, _)| (*region, total / 2)).collect() };
            }
        }
        _ => {
            let within = |most: usize| regions.iter().map(|(_, nodes)| (*nodes).min(most)).sum::<usize>();
            let fits = |total: &usize| within(total / 2) + taken >= *total;
            if let Some(total) = SPREAD.into_iter().find(fits) {
                return Seats { total, most: regions.iter().map(|(region, _)| (*region, total / 2)).collect() };
            }
        }
    }
    Seats { total: voters_of(all + taken), most: BTreeMap::new() }
}

/// How many regions may be lost, whichever they are, before too few voters are left; from the voters of each region.
#[must_use]
pub fn regions_borne(voters: &BTreeMap<RegionId, usize>) -> usize {
    let total: usize = voters.values().sum();
    let mut largest: Vec<usize> = voters.values().copied().collect();
    largest.sort_unstable_by(|one, two| two.cmp(one));
    let lost = largest.iter().scan(0, |sum, votes| {
        *sum += votes;
        Some(*sum)
    });
    lost.take_while(|lost| total - lost > total / 2).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(nodes: &[usize]) -> BTreeMap<RegionId, usize> {
        nodes.iter().enumerate().map(|(index, nodes)| (RegionId(u32::try_from(index + 1).unwrap()), *nodes)).collect()
    }

    #[test]
    fn losses_of_regions_that_are_borne_are_counted() {
        for (voters, borne) in
            [(vec![3], 0), (vec![3, 2], 0), (vec![2, 2, 1], 1), (vec![1, 1, 1], 1), (vec![1; 5], 2), (vec![3, 1, 1], 0)]
        {
            assert_eq!(regions_borne(&counts(&voters)), borne, "{voters:?}");
        }
        assert_eq!(regions_borne(&BTreeMap::new()), 0);
    }

    #[test]
    fn seats_follow_the_nodes_that_can_vote() {
        let total = |nodes: &[usize]| seats(&counts(nodes), RegionId(1), 0).total;
        assert_eq!([total(&[]), total(&[1]), total(&[2]), total(&[4]), total(&[9])], [0, 1, 2, 3, 5]);
        assert_eq!([total(&[3, 3]), total(&[2, 3]), total(&[1, 3]), total(&[1, 1])], [5, 3, 3, 2]);
        assert_eq!([total(&[3, 3, 3]), total(&[1, 1, 1]), total(&[9, 1, 1]), total(&[0, 2, 0])], [5, 3, 3, 2]);
    }

    proptest! {
        #[test]
        fn there_are_enough_nodes_for_the_seats(nodes in prop::collection::vec(0..6usize, 0..8)) {
            let able = counts(&nodes);
            let seats = seats(&able, RegionId(1), 0);
            let taken: usize = able.iter().map(|(region, nodes)| (*nodes).min(seats.most(*region))).sum();
            prop_assert!(taken >= seats.total, "{seats:?}");
        }
    }
}
