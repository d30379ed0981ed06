//! Decisions about single extents, one situation after the other.

use raft::catalog::MissingShard;
use raft::id::NodeId;
use storage::shard::{Attempt, Geometry};

use super::*;
use crate::gateway::placement::{Holder, HolderDisk, Standing};

const DISK_BYTES: u64 = 1 << 40;

fn at(node: u8) -> DiskLocation {
    DiskLocation { node: NodeId(node.into()), disk: DiskId([node; 16]) }
}

/// Nodes with a disk each.
fn nodes(count: u8) -> Survey {
    let holder = |node: u8| {
        let disk = HolderDisk {
            id: at(node).disk,
            capacity_bytes: DISK_BYTES,
            available_bytes: DISK_BYTES,
            writable: true,
            standing: Standing::Serving,
            ailing: false,
        };
        let id = NodeId(node.into());
        (id, Holder { node: id, zone: "one".to_owned(), live: true, draining: false, disks: vec![disk] })
    };
    Survey { confirmed: true, sole: count == 1, holders: (1..=count).map(holder).collect() }
}

fn change(survey: &mut Survey, node: u8, change: impl FnOnce(&mut Holder)) {
    change(survey.holders.get_mut(&NodeId(node.into())).unwrap());
}

/// An extent whose shards lie on nodes 1, 2, ….
fn extent(profile: &str) -> CodedExtent {
    let geometry = Geometry { profile: profile.parse().unwrap(), block_size_bytes: 8, length_bytes: 100 };
    let disks: Vec<DiskLocation> = (1..).take(geometry.profile.shards()).map(at).collect();
    CodedExtent::written(geometry, Attempt(1), &disks)
}

fn lacks(missing: &[(u8, ShortfallReason)], weak: Option<ShortfallReason>) -> ShortfallRecord {
    let missing = missing.iter().map(|(shard, cause)| MissingShard { shard: ShardIndex(*shard), cause: *cause });
    ShortfallRecord { attempt: Attempt(1), missing: missing.collect(), weak, since: Timestamp(0) }
}

struct Situation {
    coded: CodedExtent,
    shortfall: Option<ShortfallRecord>,
    survey: Survey,
    offered: Option<(&'static str, bool)>,
    avoided: BTreeSet<DiskId>,
    now: Timestamp,
}

impl Situation {
    fn of(coded: CodedExtent, survey: Survey, offered: (&'static str, bool)) -> Self {
        let offered = Some(offered);
        Self { coded, shortfall: None, survey, offered, avoided: BTreeSet::new(), now: Timestamp(1000) }
    }

    fn lacking(mut self, missing: &[(u8, ShortfallReason)], weak: Option<ShortfallReason>) -> Self {
        self.shortfall = Some(lacks(missing, weak));
        self
    }

    fn with(mut self, node: u8, how: impl FnOnce(&mut Holder)) -> Self {
        change(&mut self.survey, node, how);
        self
    }

    fn step(&self) -> Step {
        let placement = self.offered.map(|(profile, degraded)| Placement {
            profile: profile.parse().unwrap(),
            shards: Vec::new(),
            degraded,
        });
        plan(&Case {
            object: ObjectId([7; 16]),
            index: ExtentIndex(0),
            coded: &self.coded,
            shortfall: self.shortfall.as_ref(),
            placement: placement.as_ref(),
            survey: &self.survey,
            avoided: &self.avoided,
            now: self.now,
            rewrite_grace_seconds: 3600,
        })
    }
}

fn moves(step: Step) -> Vec<(u8, DiskLocation, How)> {
    match step {
        Step::Move(transfers) => transfers.iter().map(|it| (it.shard.0, it.to, it.how)).collect(),
        other => panic!("{other:?}"),
    }
}

use ShortfallReason::{DegradedWrite, DiskFailed, NodeAway, Outgrown, ReadCorrupt, ReadMissing};

#[test]
fn a_lost_shard_is_rebuilt_alone_on_the_node_that_is_left() {
    let situation = Situation::of(extent("2+1"), nodes(4), ("2+1", true));
    let situation = situation.with(2, |node| node.live = false).lacking(&[(1, NodeAway)], None);
    assert_eq!(moves(situation.step()), [(1, at(4), How::Rebuild)]);
}

#[test]
fn a_damaged_shard_is_made_anew_where_it_was() {
    for cause in [ReadCorrupt, ReadMissing] {
        let situation = Situation::of(extent("2+1"), nodes(4), ("2+2", false)).lacking(&[(0, cause)], None);
        assert_eq!(moves(situation.step()), [(0, at(1), How::Rebuild)]);
    }
}

#[test]
fn a_shard_of_a_failed_disk_never_goes_back_to_it() {
    let situation = Situation::of(extent("2+1"), nodes(4), ("2+1", false)).lacking(&[(0, DiskFailed)], None);
    let situation = situation.with(1, |node| node.disks[0].ailing = true);
    assert_eq!(moves(situation.step()), [(0, at(4), How::Rebuild)]);
}

#[test]
fn what_is_back_is_not_rebuilt() {
    let situation = Situation::of(extent("2+1"), nodes(4), ("2+1", false)).lacking(&[(1, NodeAway)], None);
    assert_eq!(situation.step(), Step::Keep);
    let situation = situation.lacking(&[(1, NodeAway), (2, ReadMissing)], None);
    assert_eq!(moves(situation.step()), [(2, at(3), How::Rebuild)]);
}

#[test]
fn a_lost_shard_that_fits_nowhere_is_waited_for_and_then_the_extent_is_written_anew() {
    let situation = Situation::of(extent("2+1"), nodes(3), ("1+1", true));
    let mut situation = situation.with(3, |node| node.live = false).lacking(&[(2, NodeAway)], None);
    assert_eq!(situation.step(), Step::Wait);
    situation.now = Timestamp(0).plus_seconds(3600);
    assert_eq!(situation.step(), Step::Rewrite);
    situation.offered = None;
    assert_eq!(situation.step(), Step::Wait);
}

#[test]
fn when_the_lost_node_was_removed_nothing_is_waited_for() {
    let mut situation = Situation::of(extent("2+1"), nodes(3), ("1+1", false)).lacking(&[(2, NodeAway)], None);
    situation.survey.holders.remove(&NodeId(3));
    assert_eq!(situation.step(), Step::Rewrite);
}

#[test]
fn an_extent_of_which_too_little_can_be_reached_is_waited_for() {
    let situation =
        Situation::of(extent("2+1"), nodes(5), ("2+1", true)).lacking(&[(0, NodeAway), (1, NodeAway)], None);
    let situation = situation.with(1, |node| node.live = false).with(2, |node| node.live = false);
    assert_eq!(situation.step(), Step::Wait);
}

#[test]
fn a_draining_node_is_copied_from_and_rebuilt_if_it_is_dead() {
    let situation = Situation::of(extent("2+1"), nodes(4), ("2+1", false)).with(2, |node| node.draining = true);
    assert_eq!(moves(situation.step()), [(1, at(4), How::Copy)]);
    let situation = situation.with(2, |node| node.live = false);
    assert_eq!(moves(situation.step()), [(1, at(4), How::Rebuild)]);
}

#[test]
fn a_draining_disk_gives_its_shard_to_its_neighbour_or_another_node() {
    let situation = Situation::of(extent("2+1"), nodes(3), ("2+1", false)).with(2, |node| {
        node.disks[0].standing = Standing::Leaving;
        node.disks.push(HolderDisk { id: DiskId([99; 16]), standing: Standing::Serving, ..node.disks[0] });
    });
    let neighbour = DiskLocation { node: NodeId(2), disk: DiskId([99; 16]) };
    assert_eq!(moves(situation.step()), [(1, neighbour, How::Copy)]);
}

#[test]
fn when_the_nodes_that_stay_cannot_carry_the_profile_the_extent_is_written_anew() {
    let situation = Situation::of(extent("2+1"), nodes(3), ("1+1", false)).with(3, |node| node.draining = true);
    assert_eq!(situation.step(), Step::Rewrite);
    // Not while a node is away that could.
    let degraded = Situation::of(extent("2+1"), nodes(4), ("1+1", true));
    let degraded = degraded.with(3, |node| node.draining = true).with(4, |node| node.live = false);
    assert_eq!(degraded.step(), Step::Wait);
}

#[test]
fn a_weak_extent_waits_for_a_better_cluster_and_is_accepted_by_a_smaller_one() {
    for (offered, expected) in [
        (Some(("1+1", true)), Step::Wait),
        (Some(("2+1", true)), Step::Rewrite),
        (Some(("2+1", false)), Step::Rewrite),
        (Some(("1+1", false)), Step::Settle),
        (None, Step::Wait),
    ] {
        let mut situation = Situation::of(extent("1+1"), nodes(3), ("1+1", true)).lacking(&[], Some(DegradedWrite));
        situation.offered = offered;
        assert_eq!(situation.step(), expected, "{offered:?}");
    }
}

#[test]
fn shards_that_share_a_node_are_spread() {
    let mut coded = extent("2+1");
    coded.shards =
        (1..=3).map(|disk| DiskLocation { node: NodeId(1), disk: DiskId([disk; 16]) }.shard(Attempt(1))).collect();
    let mut survey = nodes(3);
    change(&mut survey, 1, |node| {
        let disk = node.disks[0];
        node.disks = (1..=3).map(|id| HolderDisk { id: DiskId([id; 16]), ..disk }).collect();
    });
    let situation = Situation::of(coded, survey, ("2+1", false)).lacking(&[], Some(Outgrown));
    let moved = moves(situation.step());
    assert_eq!(
        moved.iter().map(|(shard, _, how)| (*shard, *how)).collect::<Vec<_>>(),
        [(1, How::Copy), (2, How::Copy)]
    );
    assert_eq!(moved.iter().map(|(_, to, _)| to.node).collect::<BTreeSet<_>>(), BTreeSet::from([NodeId(2), NodeId(3)]));
}

#[test]
fn disks_that_failed_a_write_and_full_ones_are_avoided() {
    let mut situation = Situation::of(extent("2+1"), nodes(5), ("2+1", true))
        .with(2, |node| node.live = false)
        .lacking(&[(1, NodeAway)], None);
    situation.avoided.insert(at(4).disk);
    assert_eq!(moves(situation.step()), [(1, at(5), How::Rebuild)]);
    let situation = situation.with(5, |node| node.disks[0].available_bytes = 10);
    assert_eq!(situation.step(), Step::Wait);
}

#[test]
fn what_the_list_says_of_another_layout_counts_for_nothing() {
    let mut situation = Situation::of(extent("2+1"), nodes(3), ("2+1", false)).lacking(&[(1, ReadMissing)], None);
    situation.coded.attempt = Attempt(2);
    assert_eq!(situation.step(), Step::Keep);
}
