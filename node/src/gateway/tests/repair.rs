//! Nodes and disks that are lost, return, are emptied, come and go: what is moved, where to, and how little of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{CodedExtent, Digest, DiskLocation};
use raft::id::NodeId;
use storage::shard::ObjectId;
use tokio::time::{Instant, sleep};

use super::world::*;
use crate::background::{Background, Cause, Metrics, Options};
use crate::deletion::testing::directory;
use crate::gateway::Gateway;
use crate::gateway::placement::Standing;

const GRACE_SECONDS: u64 = 60;

fn options() -> Options {
    Options { node_grace_seconds: GRACE_SECONDS, bytes_per_second: 0, ..Options::default() }
}

fn start(gateway: &Gateway, options: &Options, metrics: &Metrics) -> Background {
    Background::start(gateway, &directory(), Arc::new(|| None), options, metrics)
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

/// Pushes some blobs.
async fn fill(gateway: &Gateway, count: usize) -> Vec<(Digest, Vec<u8>)> {
    let mut blobs = Vec::new();
    for number in 0..count {
        let bytes = content(600 + 40 * number);
        blobs.push((push(gateway, &bytes).await.unwrap(), bytes));
    }
    blobs
}

fn coded(world: &World, blobs: &[(Digest, Vec<u8>)]) -> Vec<(ObjectId, CodedExtent)> {
    let objects = blobs.iter().map(|(digest, _)| world.object_of(digest));
    let extents = objects.flat_map(|object| world.extents(object).into_iter().map(move |(_, record)| (object, record)));
    extents.filter_map(|(object, record)| Some((object, record.body.into_coded()?))).collect()
}

/// Bytes of the shards that the catalog places on a node.
fn bytes_on(world: &World, node: u64) -> u64 {
    world.view().disks_of(NodeId(node)).unwrap().iter().map(|(_, totals)| totals.bytes).sum()
}

fn shards_on(world: &World, node: u64) -> u64 {
    world.view().disks_of(NodeId(node)).unwrap().iter().map(|(_, totals)| totals.shards).sum()
}

fn shortfalls(world: &World) -> u64 {
    world.view().totals().unwrap().shortfalls
}

/// Every blob is what it was, no extent has two shards on one node, and every shard is where the catalog says.
async fn assert_whole(world: &World, gateway: &Gateway, blobs: &[(Digest, Vec<u8>)]) {
    let before = gateway.core.metrics.degraded_reads.get();
    for (digest, bytes) in blobs {
        assert_eq!(&pull(gateway, digest, 0..u64::MAX).await.unwrap(), bytes);
    }
    assert_eq!(gateway.core.metrics.degraded_reads.get(), before);
    let present: BTreeSet<_> = world.shards().into_iter().collect();
    for (object, record) in blobs
        .iter()
        .map(|(digest, _)| world.object_of(digest))
        .flat_map(|object| world.extents(object).into_iter().map(move |extent| (object, extent)))
    {
        let (index, record) = record;
        let Some(coded) = record.body.into_coded() else { continue };
        let nodes: BTreeSet<NodeId> = coded.shards.iter().map(|location| location.node).collect();
        assert_eq!(nodes.len(), coded.shards.len());
        for name in coded.names(object, storage::shard::ExtentIndex(index)) {
            assert!(present.contains(&name), "{name:?}");
        }
    }
}

fn moved(metrics: &Metrics) -> (u64, u64) {
    (metrics.written_bytes.sum(), metrics.necessary_bytes.sum())
}

#[tokio::test(start_paused = true)]
async fn the_shards_of_a_lost_node_are_rebuilt_alone_after_its_grace() {
    let world = World::new(&[1; 7]);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 8).await;
    let lost = bytes_on(&world, 3);
    assert!(lost > 0);
    let background = start(&gateway, &options(), &metrics);
    seconds(5).await;
    world.kill(3);
    seconds(GRACE_SECONDS - 10).await;
    assert_eq!((moved(&metrics), shortfalls(&world)), ((0, 0), 0), "it may come back");
    seconds(60).await;
    assert_eq!(shortfalls(&world), 0);
    assert_eq!(bytes_on(&world, 3), 0);
    assert_eq!(moved(&metrics), (lost, lost));
    assert_eq!(metrics.necessary_bytes.of(Cause::NodeAway).get(), lost);
    assert_eq!(metrics.reencoded_extents.get(), 0);
    assert!(coded(&world, &blobs).iter().all(|(_, coded)| coded.geometry.profile.to_string() == "4+2"));
    assert_whole(&world, &gateway, &blobs).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_returns_in_time_costs_nothing() {
    let world = World::new(&[1; 7]);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 4).await;
    let background = start(&gateway, &options(), &metrics);
    for _ in 0..5 {
        world.kill(3);
        seconds(GRACE_SECONDS - 5).await;
        world.revive(3);
        seconds(5).await;
    }
    assert_eq!((moved(&metrics), shortfalls(&world)), ((0, 0), 0));
    assert!(world.commands().iter().all(|command| command != "ReportLocation"));
    assert_whole(&world, &gateway, &blobs).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_rebuilt_when_the_node_returns_stays() {
    let world = World::new(&[1; 7]);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 10).await;
    let lost = bytes_on(&world, 3);
    let slow = Options { bytes_per_second: 40, ..options() };
    let background = start(&gateway, &slow, &metrics);
    world.kill(3);
    while metrics.moved_shards.get() < 2 {
        seconds(1).await;
    }
    assert!(shortfalls(&world) > 0);
    world.revive(3);
    seconds(120).await;
    assert_eq!(shortfalls(&world), 0);
    let (written, _) = moved(&metrics);
    assert!(written > 0 && written < lost / 2, "{written} of {lost}");
    assert!(bytes_on(&world, 3) > 0);
    assert_whole(&world, &gateway, &blobs).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_leader_goes_on_where_the_first_one_stopped() {
    let world = World::new(&[1; 7]);
    let (gateway, other) = (world.gateway(1, small()), world.gateway(2, small()));
    let blobs = fill(&gateway, 10).await;
    let lost = bytes_on(&world, 3);
    let (metrics, other_metrics) = (Metrics::default(), Metrics::default());
    let slow = Options { bytes_per_second: 200, ..options() };
    let background = start(&gateway, &slow, &metrics);
    world.kill(3);
    while metrics.moved_shards.get() < 2 {
        seconds(1).await;
    }
    background.stop().await;
    let background = start(&other, &options(), &other_metrics);
    seconds(GRACE_SECONDS + 60).await;
    assert_eq!((shortfalls(&world), bytes_on(&world, 3)), (0, 0));
    let necessary = metrics.necessary_bytes.sum() + other_metrics.necessary_bytes.sum();
    assert_eq!(necessary, lost);
    assert_eq!(other_metrics.written_bytes.sum(), other_metrics.necessary_bytes.sum());
    assert_whole(&world, &other, &blobs).await;
    settle(&gateway).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_disk_is_rebuilt_elsewhere_and_one_that_was_given_up_at_once() {
    for given_up in [false, true] {
        let world = World::new(&[2; 7]);
        let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
        let blobs = fill(&gateway, 12).await;
        let disk = DiskLocation { node: NodeId(3), disk: world.disk(3, 0) };
        let lost = world.view().disk_totals(disk).unwrap().bytes;
        assert!(lost > 0);
        let background = start(&gateway, &options(), &metrics);
        if given_up {
            world.set_standing(3, 0, Standing::Failed);
        } else {
            world.break_disk(3, 0);
        }
        seconds(30).await;
        assert_eq!(metrics.moved_shards.get() > 0, given_up);
        seconds(GRACE_SECONDS).await;
        assert_eq!(world.view().disk_totals(disk).unwrap().bytes, 0);
        assert_eq!((shortfalls(&world), moved(&metrics)), (0, (lost, lost)));
        assert_eq!(metrics.necessary_bytes.of(Cause::DiskFailed).get(), lost);
        assert_whole(&world, &gateway, &blobs).await;
        background.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_draining_node_is_emptied_by_copies_until_it_is_to_stay_after_all() {
    let world = World::new(&[1; 7]);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 10).await;
    let held = bytes_on(&world, 3);
    let slow = Options { bytes_per_second: 40, ..options() };
    let background = start(&gateway, &slow, &metrics);
    world.drain(3);
    seconds(10).await;
    assert_eq!(background.overview().drains.iter().map(|drain| drain.node).collect::<Vec<_>>(), [3]);
    world.undrain(3);
    // What is being copied is brought to its end.
    seconds(60).await;
    let left = bytes_on(&world, 3);
    assert!(left > 0 && left < held, "{left} of {held}");
    seconds(60).await;
    assert_eq!(bytes_on(&world, 3), left);
    assert!(background.overview().drains.is_empty());
    background.stop().await;
    let before = moved(&metrics);
    let background = start(&gateway, &options(), &metrics);
    world.drain(3);
    seconds(30).await;
    assert_eq!((bytes_on(&world, 3), shortfalls(&world)), (0, 0));
    assert_eq!(moved(&metrics).0 - before.0, left);
    assert_eq!(metrics.read_bytes.sum(), metrics.written_bytes.sum(), "copied, not rebuilt");
    assert_whole(&world, &gateway, &blobs).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_shard_of_a_draining_node_is_rebuilt_and_a_dead_one_is_not_waited_for() {
    let world = World::new(&[1; 7]);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 6).await;
    for place in world.shards().iter().filter(|(location, _)| location.node.0 == 3) {
        world.corrupt(place);
    }
    let background = start(&gateway, &options(), &metrics);
    world.drain(3);
    seconds(40).await;
    settle(&gateway).await;
    assert_eq!((shards_on(&world, 3), shortfalls(&world)), (0, 0));
    world.undrain(3);
    world.kill(4);
    world.drain(4);
    seconds(40).await;
    assert_eq!((shards_on(&world, 4), shortfalls(&world)), (0, 0));
    assert_whole(&world, &gateway, &blobs).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn when_the_others_cannot_carry_the_profile_a_drain_writes_anew() {
    let world = World::new(&[1, 1, 1]);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 4).await;
    let background = start(&gateway, &options(), &metrics);
    world.drain(2);
    seconds(60).await;
    assert_eq!((shards_on(&world, 2), shortfalls(&world)), (0, 0));
    assert!(coded(&world, &blobs).iter().all(|(_, coded)| coded.geometry.profile.to_string() == "1+1"));
    assert_whole(&world, &gateway, &blobs).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_grows_and_shrinks_and_its_data_follows() {
    let world = World::new(&[1; 6]);
    (2..=6).for_each(|node| world.keep_out(node));
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 4).await;
    let background = start(&gateway, &options(), &metrics);
    let profiles =
        || coded(&world, &blobs).iter().map(|(_, it)| it.geometry.profile.to_string()).collect::<BTreeSet<_>>();
    let only = |profile: &str| BTreeSet::from([profile.to_owned()]);
    seconds(GRACE_SECONDS * 2).await;
    assert_eq!(profiles(), only("1+0"));
    for (joining, profile) in [(2..=3, "2+1"), (4..=6, "4+2")] {
        joining.for_each(|node| world.join(node));
        seconds(GRACE_SECONDS - 10).await;
        assert_ne!(profiles(), only(profile), "the next node may be on its way");
        seconds(60).await;
        assert_eq!((profiles(), shortfalls(&world)), (only(profile), 0));
        assert_whole(&world, &gateway, &blobs).await;
    }
    (4..=6).for_each(|node| world.drain(node));
    seconds(120).await;
    assert_eq!((profiles(), shortfalls(&world)), (only("2+1"), 0));
    for node in 4..=6 {
        assert_eq!(shards_on(&world, node), 0);
        world.undrain(node);
        world.keep_out(node);
    }
    seconds(120).await;
    assert_eq!((profiles(), shortfalls(&world)), (only("2+1"), 0));
    assert_whole(&world, &gateway, &blobs).await;
    assert_eq!(metrics.reencode_failures.get(), 0);
    let (written, necessary) = moved(&metrics);
    assert_eq!(written, necessary);
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_shards_of_a_node_that_wrote_to_its_own_disks_are_spread_when_others_join() {
    let world = World::new(&[3, 1, 1]);
    world.keep_out(2);
    world.keep_out(3);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 4).await;
    let background = start(&gateway, &options(), &metrics);
    world.join(2);
    world.join(3);
    seconds(GRACE_SECONDS * 3).await;
    assert_eq!((metrics.reencoded_extents.get(), shortfalls(&world)), (0, 0), "two of three shards are copied");
    assert_eq!(metrics.read_bytes.sum(), metrics.written_bytes.sum());
    assert_whole(&world, &gateway, &blobs).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_fails_is_avoided() {
    // Three nodes hold nothing of an extent: one of them at least can take its shard.
    let world = World::new(&[1; 9]);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 8).await;
    let background = start(&gateway, &options(), &metrics);
    world.kill(3);
    world.fill(5, 0);
    world.break_syncs(6, 0);
    seconds(GRACE_SECONDS + 200).await;
    settle(&gateway).await;
    assert!(metrics.reencode_failures.get() > 0);
    assert_eq!((shards_on(&world, 3), shortfalls(&world)), (0, 0));
    assert_whole(&world, &gateway, &blobs).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_node_of_three_is_waited_for_before_everything_is_written_anew() {
    let world = World::new(&[1, 1, 1]);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 4).await;
    let background = start(&gateway, &options(), &metrics);
    world.kill(3);
    seconds(GRACE_SECONDS * 5).await;
    assert!(shortfalls(&world) > 0);
    assert_eq!(moved(&metrics), (0, 0));
    assert_eq!(background.overview().repair.by_spare.get(&0).copied(), Some(shortfalls(&world)));
    // Replaced by removal: two nodes are what there is.
    world.keep_out(3);
    seconds(60).await;
    assert_eq!((shards_on(&world, 3), shortfalls(&world)), (0, 0));
    assert!(coded(&world, &blobs).iter().all(|(_, coded)| coded.geometry.profile.to_string() == "1+1"));
    assert_whole(&world, &gateway, &blobs).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_node_that_is_replaced_costs_its_own_bytes() {
    let world = World::new(&[1; 4]);
    world.keep_out(4);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 6).await;
    let lost = bytes_on(&world, 3);
    let background = start(&gateway, &options(), &metrics);
    world.kill(3);
    seconds(GRACE_SECONDS * 2).await;
    world.keep_out(3);
    world.join(4);
    seconds(60).await;
    assert_eq!((shards_on(&world, 3), shortfalls(&world)), (0, 0));
    assert_eq!(moved(&metrics), (lost, lost));
    assert_whole(&world, &gateway, &blobs).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn work_keeps_to_its_budgets() {
    let world = World::new(&[1; 7]);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    let blobs = fill(&gateway, 10).await;
    settle(&gateway).await;
    let paced = Options { bytes_per_second: 100, ..options() };
    let background = start(&gateway, &paced, &metrics);
    world.kill(3);
    while shards_on(&world, 3) > 0 && metrics.moved_shards.get() == 0 {
        seconds(1).await;
    }
    let began = Instant::now();
    let before = metrics.read_bytes.sum() + metrics.written_bytes.sum();
    while shards_on(&world, 3) > 0 {
        seconds(1).await;
        let load = gateway.load();
        assert!(load.read_budget_used_bytes <= small().read_budget_bytes);
        assert!(load.write_budget_used_bytes <= small().write_budget_bytes as u64);
    }
    let bytes = metrics.read_bytes.sum() + metrics.written_bytes.sum() - before;
    // What four jobs have taken out before they rest is counted when they end.
    let least = Duration::from_secs((bytes / 100).saturating_sub(30));
    assert!(began.elapsed() >= least, "{bytes} bytes in {:?}", began.elapsed());
    settle(&gateway).await;
    assert_eq!((gateway.load().read_budget_used_bytes, gateway.load().write_budget_used_bytes), (0, 0));
    assert_whole(&world, &gateway, &blobs).await;
    background.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_taken_for_gone_by_a_replica_that_may_be_behind() {
    let world = World::new(&[1; 7]);
    let (gateway, metrics) = (world.gateway(1, small()), Metrics::default());
    fill(&gateway, 3).await;
    world.state().wishes.unconfirmed = true;
    world.keep_out(3);
    let background = start(&gateway, &options(), &metrics);
    seconds(GRACE_SECONDS * 3).await;
    assert_eq!((shortfalls(&world), moved(&metrics)), (0, (0, 0)));
    background.stop().await;
}
