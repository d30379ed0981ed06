//! Disks that fail, fill up, vanish and come back; disks that come and go while they are used.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use storage::codec::Profile;
use storage::disk::{DiskError, DiskHealth, DiskOwner, Disks, Files, KnownDisks, RealFiles};
use storage::shard::{DiskId, Geometry, ShardError, ShardFault, ShardReader, ShardWriter};
use support::{
    NAME, StagedFiles, TestDisk, bytes, disk, disk_on, open, open_known, overwrite, shard_file, write_shard,
};

fn profile() -> Profile {
    Profile::new(2, 1).unwrap()
}

fn staged() -> (Arc<StagedFiles>, TestDisk) {
    let files = Arc::new(StagedFiles::default());
    files.free_bytes.store(500_000, Ordering::Relaxed);
    let disk = disk_on(files.clone());
    assert_eq!(disk.disk.examine().health, DiskHealth::Healthy);
    (files, disk)
}

fn create(disk: &TestDisk) -> Result<(), ShardError> {
    ShardWriter::create(&disk.disk, NAME, profile(), 64).map(drop)
}

#[test]
fn a_full_disk_is_named_and_not_fenced() {
    let (files, disk) = staged();
    files.free_bytes.store(40_000, Ordering::Relaxed);
    for _ in 0..100 {
        assert!(create(&disk).unwrap_err().is_no_space());
    }
    assert_eq!(disk.disk.examine().health, DiskHealth::Full);
    files.free_bytes.store(500_000, Ordering::Relaxed);
    assert_eq!(disk.disk.examine().health, DiskHealth::Healthy);
    create(&disk).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_read_only_remount_is_noticed_by_the_first_write_and_its_end_by_a_trial() {
    let (files, disk) = staged();
    files.read_only.store(true, Ordering::Relaxed);
    assert!(matches!(create(&disk), Err(ShardError::Io { .. })));
    assert_eq!(disk.disk.health(), DiskHealth::ReadOnly);
    let refused = create(&disk).unwrap_err();
    assert!(matches!(refused, ShardError::Unfit { health: DiskHealth::ReadOnly, .. }), "{refused}");
    assert_eq!(disk.disk.examine().health, DiskHealth::ReadOnly);
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(disk.disk.examine().health, DiskHealth::ReadOnly);
    files.read_only.store(false, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(disk.disk.examine().health, DiskHealth::Healthy);
    create(&disk).unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_disk_that_became_read_only_is_noticed_within_a_minute() {
    let (files, disk) = staged();
    files.read_only.store(true, Ordering::Relaxed);
    assert_eq!(disk.disk.examine().health, DiskHealth::Healthy);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(disk.disk.examine().health, DiskHealth::ReadOnly);
}

#[tokio::test(start_paused = true)]
async fn repeated_errors_fence_a_disk_until_it_was_quiet_for_a_while() {
    let (files, disk) = staged();
    write_shard(&disk.disk, NAME, profile(), 64, &[bytes(1, 64)]);
    let read = || ShardReader::open(&disk.disk, NAME, profile(), 64).map(drop);
    read().unwrap();
    files.failing.store(true, Ordering::Relaxed);
    let mut failures = 0;
    while disk.disk.health() == DiskHealth::Healthy {
        assert_eq!(read().unwrap_err().fault(), Some(ShardFault::Unreadable));
        failures += 1;
        assert!(failures < 100);
    }
    assert_eq!((disk.disk.health(), disk.disk.errors().io), (DiskHealth::Failing, failures));
    assert!(matches!(create(&disk), Err(ShardError::Unfit { .. })), "a fenced disk takes no shards");
    files.failing.store(false, Ordering::Relaxed);
    read().unwrap();
    for _ in 0..2 {
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(disk.disk.examine().health, DiskHealth::Failing);
    }
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(disk.disk.examine().health, DiskHealth::Healthy);
}

#[test]
fn damaged_blocks_do_not_fence() {
    let disk = disk();
    write_shard(&disk.disk, NAME, profile(), 64, &[bytes(1, 64)]);
    overwrite(&shard_file(&disk.disk, &NAME), &bytes(3, 160));
    for _ in 0..100 {
        assert!(ShardReader::open(&disk.disk, NAME, profile(), 64).unwrap_err().is_corrupt());
    }
    assert_eq!(disk.disk.examine().health, DiskHealth::Healthy);
    assert_eq!(disk.disk.errors().corrupt, 100);
}

#[test]
fn verifying_tells_what_is_the_matter() {
    let disk = disk();
    let blocks = [bytes(1, 64), bytes(2, 64), bytes(3, 64)];
    write_shard(&disk.disk, NAME, profile(), 64, &blocks);
    let geometry = Geometry { profile: profile(), block_size_bytes: 64, length_bytes: 2 * 3 * 64 };
    let verify = || ShardReader::open(&disk.disk, NAME, profile(), 64)?.verify(&geometry, 0..3);
    assert_eq!(verify().unwrap(), 3 * (32 + 64));
    let path = shard_file(&disk.disk, &NAME);
    let whole = RealFiles.read(&path).unwrap();

    let mut rotten = whole.clone();
    rotten[64 + 96 + 32 + 5] ^= 4;
    overwrite(&path, &rotten);
    assert_eq!(verify().unwrap_err().fault(), Some(ShardFault::Corrupt));
    for cut in [0, 63, 64, 100, whole.len() - 1] {
        overwrite(&path, &whole[..cut]);
        assert_eq!(verify().unwrap_err().fault(), Some(ShardFault::Truncated), "{cut}");
    }
    RealFiles.remove(&path).unwrap();
    assert_eq!(verify().unwrap_err().fault(), Some(ShardFault::Missing));
}

#[test]
fn a_disk_that_vanishes_and_one_that_takes_its_place_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [directory.path().join("a"), directory.path().join("b")];
    let disks = open(Arc::new(RealFiles), &paths).unwrap();
    let aside = directory.path().join("aside");
    RealFiles.rename(&paths[0], &aside).unwrap();
    let disk = disks.get(DiskId([1; 16])).unwrap();
    assert_eq!(disk.examine().health, DiskHealth::Vanished);
    assert!(!disk.is_present());
    let refused = ShardWriter::create(&disk, NAME, profile(), 64).unwrap_err();
    assert!(matches!(refused, ShardError::Unfit { health: DiskHealth::Vanished, .. }), "{refused}");
    RealFiles.rename(&paths[1], &paths[0]).unwrap();
    assert_eq!(disk.examine().health, DiskHealth::Foreign);
    RealFiles.rename(&paths[0], &paths[1]).unwrap();
    RealFiles.rename(&aside, &paths[0]).unwrap();
    assert_eq!(disk.examine().health, DiskHealth::Healthy);
}

#[test]
fn a_disk_of_another_node_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [directory.path().join("a")];
    let owned = |node| KnownDisks { owner: Some(DiskOwner { cluster: [9; 16], node }), ..KnownDisks::default() };
    // One that nobody has claimed yet is taken.
    drop(open(Arc::new(RealFiles), &paths).unwrap());
    drop(open_known(Arc::new(RealFiles), &paths, &owned(3)).unwrap());
    drop(open_known(Arc::new(RealFiles), &paths, &owned(3)).unwrap());
    let error = open_known(Arc::new(RealFiles), &paths, &owned(4)).unwrap_err();
    assert!(matches!(error, DiskError::Elsewhere { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("node 3") && text.contains("node 4") && text.contains("empty the directory"), "{text}");

    // A claim that cannot be read is believed only of a disk that the node knows.
    overwrite(&paths[0].join("owner"), b"rubbish");
    assert!(matches!(open_known(Arc::new(RealFiles), &paths, &owned(4)), Err(DiskError::Damaged { .. })));
    let known = KnownDisks { disks: [(paths[0].clone(), DiskId([1; 16]))].into(), ..owned(4) };
    drop(open_known(Arc::new(RealFiles), &paths, &known).unwrap());
    drop(open_known(Arc::new(RealFiles), &paths, &owned(4)).unwrap());
}

#[test]
fn disks_come_and_go_while_others_are_used() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [directory.path().join("a"), directory.path().join("b")];
    let disks = open(Arc::new(RealFiles), &paths[..1]).unwrap();
    let mut known = KnownDisks { disks: disks.by_directory(), ..KnownDisks::default() };
    let add = |known: &KnownDisks, id| disks.add(&paths[1], known, &mut || [id; 16]).map(|disk| disk.id());
    let generation = disks.generation();
    assert_eq!(add(&known, 7).unwrap(), DiskId([7; 16]));
    assert!(matches!(add(&known, 8), Err(DiskError::Locked { .. })));
    assert!(disks.generation() > generation && disks.get(DiskId([7; 16])).is_some());
    known.added.insert(paths[1].clone());
    known.disks = disks.by_directory();
    assert_eq!(known.directories(&paths[..1]), paths);
    assert_eq!(known.directories(&paths), paths);

    assert!(disks.remove(DiskId([7; 16])) && !disks.remove(DiskId([7; 16])));
    known.added.clear();
    known.disks = disks.by_directory();
    known.removed.insert(DiskId([7; 16]), paths[1].clone());
    assert_eq!(known.directories(&paths), paths[..1], "the configuration may still name it");
    let refused = add(&known, 8).unwrap_err();
    assert!(matches!(refused, DiskError::Retired { .. }), "it comes back with its old identity: {refused}");
    RealFiles.remove_directory_all(&paths[1]).unwrap();
    assert_eq!(add(&known, 8).unwrap(), DiskId([8; 16]));
    known.added.insert(paths[1].clone());
    assert_eq!(known.directories(&paths), paths, "another disk may take its place");
}

#[test]
fn an_absent_disk_is_taken_into_use_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [directory.path().join("a"), directory.path().join("b")];
    let known =
        KnownDisks { disks: open(Arc::new(RealFiles), &paths).unwrap().by_directory(), ..KnownDisks::default() };
    let aside = directory.path().join("aside");
    RealFiles.rename(&paths[1], &aside).unwrap();
    let disks: Disks = open_known(Arc::new(RealFiles), &paths, &known).unwrap();
    assert_eq!((disks.all().len(), disks.ids().len()), (1, 2));
    RealFiles.create_directory_all(&paths[1]).unwrap();
    assert!(disks.reopen(&known).is_empty(), "an empty mount point is not the disk");
    assert_eq!(RealFiles.list(&paths[1]).unwrap(), []);
    RealFiles.remove_directory_all(&paths[1]).unwrap();
    RealFiles.rename(&aside, &paths[1]).unwrap();
    assert_eq!(disks.reopen(&known)[0].id(), DiskId([2; 16]));
    assert!(disks.absent().is_empty() && disks.all().len() == 2);
}
