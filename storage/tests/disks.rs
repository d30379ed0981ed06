//! Data directories: formatting, recognising, refusing, the reserve.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use storage::codec::Profile;
use storage::disk::{DiskError, DiskHealth, Files, KnownDisks, RealFiles};
use storage::shard::{DiskId, ShardWriter, checksum};
use support::{NAME, StagedFiles, disk, disk_on, golden, open, open_known};

fn real() -> Arc<dyn Files> {
    Arc::new(RealFiles)
}

fn write(path: &Path, content: &[u8]) {
    RealFiles.create(path).unwrap().write_all_at(content, 0).unwrap();
}

#[test]
fn an_empty_directory_becomes_a_disk_and_stays_it() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [directory.path().join("a/b"), directory.path().join("c")];
    let first = open(real(), &paths).unwrap();
    assert_eq!(first.all()[0].id(), DiskId([1; 16]));
    assert_eq!(first.get(DiskId([2; 16])).unwrap().path(), paths[1]);
    assert!(first.get(DiskId([3; 16])).is_none());
    drop(first);
    let again = open(real(), &[paths[1].clone(), paths[0].clone()]).unwrap();
    assert_eq!(again.all()[0].id(), DiskId([2; 16]));
    assert_eq!(RealFiles.list(&paths[0].join("shards")).unwrap().len(), 256);
    let space = again.all()[0].space().unwrap();
    assert!(space.available_bytes < space.free_bytes && space.free_bytes <= space.capacity_bytes);
}

#[test]
fn the_identity_file_is_frozen() {
    let disk = disk();
    golden("identity.v1", &RealFiles.read(&disk.disk.path().join("identity")).unwrap());
}

#[test]
fn an_interrupted_formatting_is_completed() {
    let directory = tempfile::tempdir().unwrap();
    RealFiles.create_directory_all(&directory.path().join("shards/00")).unwrap();
    RealFiles.create_directory_all(&directory.path().join("lost+found")).unwrap();
    write(&directory.path().join("identity.tmp"), b"regn");
    assert!(open(real(), &[directory.path().to_owned()]).is_ok());
}

#[test]
fn a_directory_with_other_files_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("holiday.jpg"), b"x");
    let error = open(real(), &[directory.path().to_owned()]).unwrap_err();
    assert!(matches!(error, DiskError::Foreign { .. }));
    let text = error.to_string();
    assert!(text.contains("holiday.jpg") && text.contains(directory.path().to_str().unwrap()), "{text}");
}

#[test]
fn shards_without_an_identity_are_refused() {
    let disk = disk();
    let path = disk.disk.path().to_owned();
    let writer = ShardWriter::create(&disk.disk, NAME, Profile::new(2, 1).unwrap(), 8).unwrap();
    writer.finish().unwrap();
    drop(disk.disk);
    RealFiles.remove(&path.join("identity")).unwrap();
    let error = open(real(), &[path]).unwrap_err();
    assert!(matches!(error, DiskError::Damaged { .. }), "{error}");
}

#[test]
fn a_directory_whose_disk_is_not_mounted_is_refused_and_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [directory.path().join("a"), directory.path().join("b")];
    let disks = open(real(), &paths).unwrap().by_directory();
    let known = KnownDisks { disks, list: "identity/disks.toml".into(), ..KnownDisks::default() };
    assert!(open_known(real(), &paths, &known).is_ok());

    RealFiles.rename(&paths[1], &directory.path().join("unmounted")).unwrap();
    let missing = || {
        let error = open_known(real(), &paths[1..], &known).unwrap_err();
        assert!(matches!(error, DiskError::Gone { expected: DiskId([2, ..]), .. }), "{error}");
        let text = error.to_string();
        for part in [paths[1].to_str().unwrap(), &DiskId([2; 16]).to_string(), "disks.toml"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        // With another disk the node does without it.
        let disks = open_known(real(), &paths, &known).unwrap();
        let absent = disks.absent();
        assert_eq!((disks.all().len(), absent.len()), (1, 1));
        assert_eq!((absent[0].id, absent[0].health), (DiskId([2; 16]), DiskHealth::Vanished));
        assert_eq!((&absent[0].reason, disks.by_directory()), (&text, known.disks.clone()));
    };
    missing();
    assert!(RealFiles.list(&paths[1]).is_err(), "nothing was created");
    RealFiles.create_directory_all(&paths[1]).unwrap();
    missing();
    assert_eq!(RealFiles.list(&paths[1]).unwrap(), []);

    // Elsewhere it is the same disk.
    let moved = [paths[0].clone(), directory.path().join("unmounted")];
    let disks = open_known(real(), &moved, &known).unwrap();
    assert_eq!(disks.all()[1].id(), DiskId([2; 16]));
    drop(disks);
    // Two disks that changed places are known by their identities.
    RealFiles.remove_directory_all(&paths[1]).unwrap();
    RealFiles.rename(&paths[0], &paths[1]).unwrap();
    RealFiles.rename(&moved[1], &paths[0]).unwrap();
    let disks = open_known(real(), &paths, &known).unwrap();
    assert_eq!(disks.all()[0].id(), DiskId([2; 16]));
}

#[test]
fn a_copied_disk_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [directory.path().join("a"), directory.path().join("b")];
    drop(open(real(), &paths[..1]).unwrap());
    RealFiles.create_directory_all(&paths[1]).unwrap();
    write(&paths[1].join("identity"), &RealFiles.read(&paths[0].join("identity")).unwrap());
    let error = open(real(), &paths).unwrap_err();
    assert!(matches!(error, DiskError::Duplicate { id: DiskId([1, ..]), .. }), "{error}");
}

#[test]
fn a_disk_in_use_is_refused() {
    let disk = disk();
    let path = disk.disk.path().to_owned();
    let error = open(real(), std::slice::from_ref(&path)).unwrap_err();
    assert!(matches!(error, DiskError::Locked { .. }), "{error}");
    drop(disk.disk);
    assert!(open(real(), &[path]).is_ok());
    assert!(matches!(open(real(), &[]).unwrap_err(), DiskError::None));
}

#[test]
fn writes_stop_before_the_reserve() {
    let files = Arc::new(StagedFiles::default());
    files.free_bytes.store(51_000, Ordering::Relaxed);
    let staged = disk_on(files.clone());
    let disk = &staged.disk;
    let profile = Profile::new(2, 1).unwrap();
    let block = [7; 400];
    let sum = checksum(&NAME, 0, &block);
    {
        let mut writer = ShardWriter::create(disk, NAME, profile, 400).unwrap();
        writer.append(sum, &block).unwrap();
        writer.append(sum, &block).unwrap();
        files.free_bytes.store(50_072, Ordering::Relaxed);
        let error = writer.append(sum, &block).unwrap_err();
        assert!(error.is_no_space());
        assert!(
            error.to_string().contains("95% full, uploads are refused above 95% (storage.reserve_percent)"),
            "{error}"
        );
    }
    assert!(disk.list_shards(0xab).unwrap().is_empty(), "the unfinished file is gone");
    files.free_bytes.store(50_000, Ordering::Relaxed);
    let error = ShardWriter::create(disk, NAME, profile, 400).unwrap_err();
    assert!(error.is_no_space(), "a full disk begins no shard");
    assert_eq!(disk.errors().io, 0, "a full disk is not a failing one");
}

#[test]
fn a_disk_that_fills_up_below_us_is_full_too() {
    let files = Arc::new(StagedFiles::default());
    files.free_bytes.store(900_000, Ordering::Relaxed);
    let staged = disk_on(files.clone());
    let disk = &staged.disk;
    files.full.store(true, Ordering::Relaxed);
    let mut writer = ShardWriter::create(disk, NAME, Profile::new(2, 1).unwrap(), 8).unwrap();
    let error = writer.append(checksum(&NAME, 0, &[1; 8]), &[1; 8]).unwrap_err();
    assert!(error.is_no_space(), "{error}");
}
