//! A scrub over real files in a temporary directory and a catalog without Raft.

mod world;

use std::sync::atomic::Ordering;

use raft::catalog::{Command, ShortfallReason};
use storage::disk::{DiskHealth, Files, RealFiles};
use storage::shard::{Attempt, ExtentIndex, ShardIndex, ShardName};
use tokio::time::sleep;

use self::world::*;
use super::*;

/// Waits until the last pass of a disk is another one than before.
async fn finished(scrub: &Scrub, disk: u8, passes: u64) -> FinishedPass {
    for _ in 0..100_000 {
        let all = scrub.shared.context.metrics.passes.get();
        let id = DiskId([disk; 16]).to_string();
        let status = scrub.status().into_iter().find(|status| status.disk == id);
        if let Some(last) = status.and_then(|status| status.last)
            && all >= passes
        {
            return last;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("no pass ends: {:#?}", scrub.status());
}

#[tokio::test(start_paused = true)]
async fn rot_in_a_third_of_a_disks_shards_is_found_and_counted_exactly() {
    let world = World::new();
    for number in 0..60 {
        world.push(number);
    }
    let rotten: Vec<u8> = (0..60).filter(|number| number % 3 == 1).collect();
    for number in &rotten {
        world.rot(1, &name(*number, 0));
    }
    let scrub = world.scrub();
    let passes = [finished(&scrub, 1, 2).await, finished(&scrub, 2, 2).await];
    let found = Findings { corrupt: 20, ..Findings::default() };
    assert_eq!((passes[0].shards, passes[0].found), (60, found));
    assert_eq!((passes[1].shards, passes[1].found), (60, Findings::default()));
    assert_eq!(passes[0].bytes, 60 * geometry().shard_length_bytes());
    assert_eq!(world.books.view().disk_totals(World::location(1)).unwrap().bytes, passes[0].bytes);
    let mut expected: Vec<_> = rotten.iter().map(|number| (object(*number), 0, ShortfallReason::Scrub)).collect();
    expected.sort();
    assert_eq!(world.listed(), expected);
    assert_eq!(world.reports(), 20);

    // Read on command once more: found again, but not reported again.
    assert_eq!(scrub.start(&[DiskId([1; 16])]), Ok(1));
    let again = finished(&scrub, 1, 3).await;
    assert_eq!((again.forced, again.found, world.reports()), (true, found, 20));
    scrub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_damage_has_its_name() {
    let world = World::new();
    for number in 0..6 {
        world.push(number);
    }
    world.rot(1, &name(0, 0));
    world.cut(1, &name(1, 0));
    world.remove(1, &name(2, 0));
    world.remove(1, &name(3, 0));
    let scrub = world.scrub();
    let found = finished(&scrub, 1, 2).await.found;
    assert_eq!(found, Findings { corrupt: 1, truncated: 1, missing: 2, unreadable: 0, skipped: 0 });
    assert_eq!(world.listed().len(), 4);
    scrub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pass_goes_on_after_a_restart_where_it_was() {
    let world = World::new();
    for number in 0..10 {
        world.push(number);
        world.rot(1, &name(number, 0));
    }
    // Five shards of the disk were read before the restart.
    let names = world.books.view().placements(NODE, DiskId([1; 16]), None, 100).unwrap();
    let found = Findings { corrupt: 5, ..Findings::default() };
    let started = world.books.view().clock().unwrap();
    let pass = notes::Pass { started, forced: false, after: Some(names[4]), shards: 5, bytes: 375, found };
    let disk = world.disks.get(DiskId([1; 16])).unwrap();
    Notes { pass: Some(pass), ..Notes::default() }.save(&disk).unwrap();
    let scrub = world.scrub();
    let last = finished(&scrub, 1, 2).await;
    assert_eq!((last.shards, last.found.corrupt, world.reports()), (10, 10, 5));
    scrub.stop().await;

    // It is noted that the pass is over: nothing is read until the next one is due.
    let before = world.metrics.shards.get();
    let scrub = world.scrub();
    sleep(PERIOD / 100).await;
    assert_eq!(world.metrics.shards.get(), before);
    assert_eq!(scrub.status()[0].last, Some(last));
    scrub.stop().await;

    // Torn notes are no loss.
    disk.write_note("scrub", b"{\"version\":1,\"pa").unwrap();
    let scrub = world.scrub();
    assert_eq!(finished(&scrub, 1, 3).await.shards, 10);
    scrub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_found_while_the_catalog_is_away_is_reported_when_it_is_back() {
    let world = World::new();
    world.push(1);
    let scrub = world.scrub();
    finished(&scrub, 1, 2).await;
    world.rot(1, &name(1, 0));
    world.books.unavailable.store(true, Ordering::Relaxed);
    scrub.start(&[]).unwrap();
    sleep(Duration::from_secs(100)).await;
    assert_eq!((world.listed().len(), scrub.status()[0].state), (0, ScrubState::Waiting));
    world.books.unavailable.store(false, Ordering::Relaxed);
    assert_eq!(finished(&scrub, 1, 4).await.found.corrupt, 1);
    assert_eq!(world.listed().len(), 1);
    let unknown = scrub.start(&[DiskId([9; 16])]).unwrap_err();
    assert!(unknown.to_string().contains("regnode disk list"), "{unknown}");
    scrub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_vanished_is_not_taken_for_one_that_lost_its_shards() {
    let world = World::new();
    for number in 0..4 {
        world.push(number);
    }
    let (there, aside) = (world.directory.path().join("one"), world.directory.path().join("aside"));
    RealFiles.rename(&there, &aside).unwrap();
    let (context, work) = (world.context(), Work::new(DiskId([1; 16]), Notes::default()));
    for page in 0..=255 {
        let _out_of_use = inventory::take(&context, &work, page..=page).await;
    }
    let scrub = world.scrub();
    sleep(Duration::from_secs(100)).await;
    assert_eq!((world.listed(), work.inventory().missing), (Vec::new(), 0));
    assert!(RealFiles.list(&there).is_err(), "nothing is created where it was");
    let disk = world.disks.get(DiskId([1; 16])).unwrap();
    assert_eq!(disk.examine().health, DiskHealth::Vanished);
    RealFiles.rename(&aside, &there).unwrap();
    // All the calls that failed meanwhile have fenced it.
    while disk.examine().health != DiskHealth::Healthy {
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(finished(&scrub, 1, 2).await.found, Findings::default());
    scrub.stop().await;
}

/// Takes the inventory of a whole disk.
async fn take(world: &World, work: &Work) {
    let context = world.context();
    for page in (0..=255).step_by(16) {
        inventory::take(&context, work, page..=page + 15).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_inventory_reports_what_is_missing_once() {
    let world = World::new();
    for number in 0..10 {
        world.push(number);
    }
    world.remove(1, &name(3, 0));
    world.remove(1, &name(0, 0));
    let work = Work::new(DiskId([1; 16]), Notes::default());
    take(&world, &work).await;
    take(&world, &work).await;
    let mut expected = [0, 3].map(|number| (object(number), 0, ShortfallReason::Inventory));
    expected.sort();
    assert_eq!((world.listed(), world.reports()), (expected.to_vec(), 2));
    assert_eq!((work.inventory().missing, work.inventory().orphans), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn only_files_that_nobody_can_ask_for_go_and_only_after_their_grace() {
    let world = World::new();
    world.push(1);
    world.upload(2, false);
    let other = |number, shard| ShardName { attempt: Attempt(7), ..name(number, shard) };
    // Of an object that is gone, of a published one's replaced layout, and of an upload that is going on.
    let (unknown, replaced, uploading) = (name(9, 0), other(1, 0), other(2, 0));
    for strange in [unknown, replaced, uploading] {
        world.write(1, strange);
    }
    let work = Work::new(DiskId([1; 16]), Notes::default());
    take(&world, &work).await;
    assert_eq!((work.inventory().orphans, work.inventory().orphans_removed), (2, 0));
    take(&world, &work).await;
    assert!(world.exists(1, &unknown), "before its grace is over");

    // While an extent is not whole, nothing of it goes.
    let extent = ExtentIndex(0);
    let shortfall = raft::catalog::Shortfall { missing: vec![ShardIndex(1)], reason: ShortfallReason::ReadMissing };
    world.books.apply(Command::ReportShortfall { object: object(1), extent, attempt: attempt(1), shortfall });
    world.books.wait(GRACE * 2);
    take(&world, &work).await;
    assert!(!world.exists(1, &unknown));
    for kept in [replaced, uploading, name(1, 0), name(2, 0)] {
        assert!(world.exists(1, &kept), "{kept}");
    }
    assert_eq!((work.inventory().orphans, work.inventory().orphans_removed), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_grace_of_an_orphan_survives_a_restart() {
    let world = World::new();
    world.push(1);
    world.write(1, name(9, 0));
    let work = Work::new(DiskId([1; 16]), Notes::default());
    take(&world, &work).await;
    let disk = world.disks.get(DiskId([1; 16])).unwrap();
    work.notes().save(&disk).unwrap();
    world.books.wait(GRACE * 2);
    let work = Work::new(DiskId([1; 16]), Notes::load(&disk));
    take(&world, &work).await;
    assert!(!world.exists(1, &name(9, 0)) && world.exists(1, &name(1, 0)));
}

#[tokio::test(start_paused = true)]
async fn an_inventory_needs_a_catalog_that_has_caught_up() {
    let world = World::new();
    world.push(1);
    world.remove(1, &name(1, 0));
    world.write(1, name(9, 0));
    world.books.unavailable.store(true, Ordering::Relaxed);
    let (context, work) = (world.context(), Work::new(DiskId([1; 16]), Notes::default()));
    for page in 0..=255 {
        assert!(inventory::take(&context, &work, page..=page).await.is_err());
    }
    assert_eq!((world.listed().len(), work.notes().orphans.len()), (0, 0));
}
