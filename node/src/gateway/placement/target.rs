//! Where single shards of an extent go that are rebuilt or moved: on nodes that hold none of its other shards, in the
//! zones that hold the fewest, by weighted rendezvous.

use std::collections::BTreeSet;

use raft::catalog::DiskLocation;
use storage::shard::{DiskId, ExtentIndex, ObjectId};

use super::rendezvous::Ranking;
use super::survey::Survey;

/// What a place is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Object of the extent.
    pub(crate) object: ObjectId,
    /// The extent.
    pub(crate) extent: ExtentIndex,
    /// Bytes of its shards.
    pub(crate) shard_bytes: u64,
    /// Disks that failed a write of late.
    pub(crate) avoided: &'a BTreeSet<DiskId>,
}

impl Wanted<'_> {
    /// Whether a shard may go there beside those in `kept`.
    pub(crate) fn fits(&self, survey: &Survey, kept: &[DiskLocation], spot: DiskLocation) -> bool {
        survey.takes(spot, self.shard_bytes)
            && !self.avoided.contains(&spot.disk)
            && kept.iter().all(|other| if survey.sole { other.disk != spot.disk } else { other.node != spot.node })
    }

    /// The best place for a shard beside those in `kept`. `home`, where the shard was, is taken if it still can be:
    /// that changes nothing of the spread.
    pub(crate) fn target(
        &self,
        survey: &Survey,
        kept: &[DiskLocation],
        home: Option<DiskLocation>,
    ) -> Option<DiskLocation> {
        if let Some(home) = home.filter(|home| self.fits(survey, kept, *home)) {
            return Some(home);
        }
        let in_zone = |zone: &str| kept.iter().filter(|spot| survey.zone(spot.node) == Some(zone)).count();
        let ranking = Ranking::new(self.object, self.extent);
        let mut best: Option<(usize, f64, DiskLocation)> = None;
        for (holder, disk) in survey.targets(self.shard_bytes) {
            let spot = DiskLocation { node: holder.node, disk: disk.id };
            if !self.fits(survey, kept, spot) {
                continue;
            }
            let (crowd, score) = (in_zone(&holder.zone), ranking.disk(disk.id, disk.available_bytes));
            let better = |(least, highest, _): &(usize, f64, DiskLocation)| {
                crowd < *least || crowd == *least && score > *highest
            };
            if best.as_ref().is_none_or(better) {
                best = Some((crowd, score, spot));
            }
        }
        best.map(|(_, _, spot)| spot)
    }
}

#[cfg(test)]
mod tests {
    use raft::id::NodeId;

    use super::super::survey::{Holder, HolderDisk, Standing};
    use super::*;

    fn survey(zones: &[&str]) -> Survey {
        let holder = |(node, zone): (u64, &&str)| {
            let disk = HolderDisk {
                id: disk(node),
                capacity_bytes: 1 << 40,
                available_bytes: 1 << 40,
                writable: true,
                standing: Standing::Serving,
                ailing: false,
            };
            let node = NodeId(node);
            (node, Holder { node, zone: (*zone).to_owned(), live: true, draining: false, disks: vec![disk] })
        };
        Survey { confirmed: true, sole: false, holders: (1..).zip(zones).map(holder).collect() }
    }

    fn disk(node: u64) -> DiskId {
        DiskId([u8::try_from(node).unwrap(); 16])
    }

    fn spot(node: u64) -> DiskLocation {
        DiskLocation { node: NodeId(node), disk: disk(node) }
    }

    fn wanted(avoided: &BTreeSet<DiskId>, number: u8) -> Wanted<'_> {
        Wanted { object: ObjectId([number; 16]), extent: ExtentIndex(0), shard_bytes: 1000, avoided }
    }

    #[test]
    fn the_emptiest_zone_is_taken_and_no_node_twice() {
        let survey = survey(&["a", "a", "b", "b"]);
        let avoided = BTreeSet::new();
        for number in 0..20 {
            let chosen = wanted(&avoided, number).target(&survey, &[spot(1), spot(3)], None).unwrap();
            assert!([spot(2), spot(4)].contains(&chosen));
            let chosen = wanted(&avoided, number).target(&survey, &[spot(3)], None).unwrap();
            assert!([spot(1), spot(2)].contains(&chosen));
        }
        assert_eq!(wanted(&avoided, 0).target(&survey, &[spot(1), spot(2), spot(3), spot(4)], None), None);
    }

    #[test]
    fn a_shard_stays_at_home_if_it_can() {
        let mut survey = survey(&["a", "a", "a"]);
        let avoided = BTreeSet::new();
        for number in 0..20 {
            assert_eq!(wanted(&avoided, number).target(&survey, &[spot(1)], Some(spot(3))), Some(spot(3)));
        }
        let failed = BTreeSet::from([disk(3)]);
        assert_eq!(wanted(&failed, 1).target(&survey, &[spot(1)], Some(spot(3))), Some(spot(2)));
        survey.holders.get_mut(&NodeId(3)).unwrap().draining = true;
        assert_eq!(wanted(&avoided, 1).target(&survey, &[spot(1)], Some(spot(3))), Some(spot(2)));
    }

    #[test]
    fn on_the_only_node_the_disk_is_the_domain() {
        let mut survey = survey(&["a"]);
        survey.sole = true;
        let holder = survey.holders.get_mut(&NodeId(1)).unwrap();
        let other = HolderDisk { id: disk(2), ..holder.disks[0] };
        holder.disks.push(other);
        let avoided = BTreeSet::new();
        let chosen = wanted(&avoided, 1).target(&survey, &[spot(1)], None);
        assert_eq!(chosen, Some(DiskLocation { node: NodeId(1), disk: disk(2) }));
    }
}
