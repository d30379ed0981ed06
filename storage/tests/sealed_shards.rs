//! Shard files under keys: both versions of the format, damage, other keys, and files that are sealed anew while they
//! are read.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use storage::codec::Profile;
use storage::disk::{File, Files, KnownDisks, RealFiles};
use storage::seal::Keys;
use storage::shard::{
    Geometry, ShardError, ShardFault, ShardReader, ShardWriter, checksum, read_header, reseal, seal_of,
};
use support::{
    NAME, StagedFiles, TestDisk, bytes, disk_under, golden, key_id, keyring, keys, open_sealed, overwrite, shard_file,
    write_shard,
};

const HEADER: usize = 128;
const BLOCK: usize = 64 + 48;

fn profile() -> Profile {
    Profile::new(2, 1).unwrap()
}

/// Three full blocks of 64 bytes and one of 10.
fn geometry() -> Geometry {
    Geometry { profile: profile(), block_size_bytes: 64, length_bytes: 2 * (64 * 3 + 10) }
}

fn blocks(geometry: &Geometry) -> Vec<Vec<u8>> {
    (0..geometry.stripes()).map(|stripe| bytes(stripe, geometry.block_length_bytes(stripe) as usize)).collect()
}

fn small(keys: &Keys) -> (TestDisk, Vec<Vec<u8>>) {
    let disk = disk_under(Arc::new(RealFiles), keys);
    let blocks = blocks(&geometry());
    write_shard(&disk.disk, NAME, profile(), 64, &blocks);
    (disk, blocks)
}

fn read_all(disk: &TestDisk) -> Result<Vec<Vec<u8>>, ShardError> {
    let reader = ShardReader::open(&disk.disk, NAME, profile(), 64)?;
    Ok(reader.read(&geometry(), 0..4)?.into_iter().map(Vec::from).collect())
}

fn content(disk: &TestDisk) -> Vec<u8> {
    RealFiles.read(&shard_file(&disk.disk, &NAME)).unwrap()
}

#[test]
fn a_sealed_shard_reads_back_whole_and_in_parts_and_shows_nothing() {
    let (disk, blocks) = small(&keys(&[1], Some(1)));
    let reader = ShardReader::open(&disk.disk, NAME, profile(), 64).unwrap();
    for start in 0..=4usize {
        for end in start..=4 {
            let read = reader.read_blocks(&geometry(), start as u64..end as u64).unwrap();
            for (found, number) in read.iter().zip(start..) {
                assert_eq!(found.bytes, blocks[number]);
                assert_eq!(found.checksum, checksum(&NAME, number as u64, &blocks[number]));
            }
            assert_eq!(read.len(), end - start);
        }
    }
    let content = content(&disk);
    assert_eq!(content.len(), HEADER + 3 * BLOCK + 10 + 48);
    for (block, number) in blocks.iter().zip(0..) {
        assert!(!content.windows(8).any(|window| window == &block[..8]));
        // A checksum would tell whether a block is one that somebody knows.
        assert!(!content.windows(8).any(|window| window == &checksum(&NAME, number, block).0[..8]));
    }
    let first: [u8; 64] = content[..64].try_into().unwrap();
    assert_eq!(read_header(&first), Some(NAME));
    assert_eq!(seal_of(&disk.disk, &NAME).unwrap(), Some(key_id(1)));
    assert_eq!(reader.key(), Some(key_id(1)));
}

#[test]
fn the_sealed_format_is_frozen() {
    let (disk, blocks) = small(&keys(&[1], Some(1)));
    golden("shard.v2", &content(&disk));
    assert_eq!(read_all(&disk).unwrap(), blocks);
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_sealed_shard_is_noticed() {
    let (disk, blocks) = small(&keys(&[1], Some(1)));
    let path = shard_file(&disk.disk, &NAME);
    let whole = content(&disk);
    for byte in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[byte] ^= 1 << (byte % 8);
        overwrite(&path, &damaged);
        let error = read_all(&disk).unwrap_err();
        // Another key, as far as anyone can tell.
        let is_key = (64..80).contains(&byte);
        assert_eq!(error.fault(), Some(if is_key { ShardFault::Unreadable } else { ShardFault::Corrupt }), "{byte}");
        if byte >= HEADER {
            let bad = (byte - HEADER) / BLOCK;
            let reader = ShardReader::open(&disk.disk, NAME, profile(), 64).unwrap();
            for block in (0..4).filter(|block| *block != bad) {
                let read = reader.read(&geometry(), block as u64..block as u64 + 1).unwrap();
                assert_eq!(read[0], blocks[block]);
            }
        }
    }
    for length in 0..whole.len() {
        overwrite(&path, &whole[..length]);
        let error = read_all(&disk).unwrap_err();
        assert_eq!(error.fault(), Some(ShardFault::Truncated), "{length}");
        let cut = length.checked_sub(HEADER).map(|rest| (rest / BLOCK) as u64);
        assert!(matches!(error, ShardError::Corrupt { block, .. } if block == cut), "{length}: {error}");
    }
}

#[test]
fn a_block_is_good_only_in_its_place_and_file() {
    let keys = keys(&[1], Some(1));
    let (disk, _) = small(&keys);
    let path = shard_file(&disk.disk, &NAME);
    let mut swapped = content(&disk);
    let (first, second) = swapped[HEADER..HEADER + 2 * BLOCK].split_at_mut(BLOCK);
    first.swap_with_slice(second);
    overwrite(&path, &swapped);
    assert!(matches!(read_all(&disk).unwrap_err(), ShardError::Corrupt { block: Some(0), .. }));

    // The same shard with the same bytes under the same key is another file.
    let (other, _) = small(&keys);
    let mut mixed = content(&other);
    mixed[HEADER..HEADER + BLOCK].copy_from_slice(&swapped[HEADER + BLOCK..HEADER + 2 * BLOCK]);
    overwrite(&shard_file(&other.disk, &NAME), &mixed);
    assert!(matches!(read_all(&other).unwrap_err(), ShardError::Corrupt { block: Some(0), .. }));
}

#[test]
fn a_shard_without_its_key_is_said_to_need_it_and_is_not_called_damaged() {
    let keys = keys(&[1], Some(1));
    let (disk, blocks) = small(&keys);
    for ring in [keyring(&[], None), keyring(&[2], Some(2))] {
        keys.swap(ring);
        let error = read_all(&disk).unwrap_err();
        assert!(error.to_string().contains(&key_id(1).to_string()), "{error}");
        assert_eq!((error.is_corrupt(), error.fault()), (false, Some(ShardFault::Unreadable)));
        assert_eq!(seal_of(&disk.disk, &NAME).unwrap(), Some(key_id(1)), "its header says so without the key");
    }
    assert_eq!(disk.disk.errors().corrupt, 0);
    keys.swap(keyring(&[2, 1], Some(2)));
    assert_eq!(read_all(&disk).unwrap(), blocks);
}

#[test]
fn a_shard_goes_from_key_to_key_and_in_and_out_of_the_clear() {
    let keys = keys(&[1, 2], None);
    let (disk, blocks) = small(&keys);
    let clear = content(&disk);
    assert_eq!(seal_of(&disk.disk, &NAME).unwrap(), None);
    assert!(!reseal(&disk.disk, &NAME).unwrap(), "it is as it should be");
    let mut files = vec![clear.clone()];
    for current in [Some(1), Some(2), Some(1)] {
        keys.swap(keyring(&[1, 2], current));
        let reader = ShardReader::open(&disk.disk, NAME, profile(), 64).unwrap();
        assert!(reseal(&disk.disk, &NAME).unwrap());
        assert!(!reseal(&disk.disk, &NAME).unwrap());
        assert_eq!(seal_of(&disk.disk, &NAME).unwrap(), current.map(key_id));
        assert_eq!(read_all(&disk).unwrap(), blocks);
        // Who had it open goes on with the old one.
        assert_eq!(reader.read(&geometry(), 0..4).unwrap(), blocks);
        files.push(content(&disk));
    }
    // The same bytes under the same key again are not the same file.
    assert_ne!(files[1], files[3]);
    keys.swap(keyring(&[1, 2], None));
    assert!(reseal(&disk.disk, &NAME).unwrap());
    assert_eq!(content(&disk), clear);
    assert_eq!(disk.disk.list_shards(0xab).unwrap().len(), 1, "nothing is left beside it");
}

#[test]
fn what_is_damaged_or_gone_is_not_sealed_anew() {
    let keys = keys(&[1, 2], Some(1));
    let (disk, _) = small(&keys);
    keys.swap(keyring(&[1, 2], Some(2)));
    let path = shard_file(&disk.disk, &NAME);
    let whole = content(&disk);
    for position in [70, 100, 130, HEADER + BLOCK + 5, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[position] ^= 1;
        overwrite(&path, &damaged);
        assert!(reseal(&disk.disk, &NAME).is_err(), "{position}");
        assert_eq!(content(&disk), damaged, "it stays as it is, for the scrub to find");
    }
    RealFiles.remove(&path).unwrap();
    assert!(reseal(&disk.disk, &NAME).unwrap_err().is_missing());
    overwrite_new(&path, &whole);
    assert!(reseal(&disk.disk, &NAME).unwrap());
}

fn overwrite_new(path: &std::path::Path, content: &[u8]) {
    RealFiles.create(path).unwrap().write_all_at(content, 0).unwrap();
}

#[test]
fn an_unfinished_one_is_gone_when_the_disk_is_opened_again() {
    let keys = keys(&[1], Some(1));
    let (disk, _) = small(&keys);
    let left = disk.disk.path().join("state/reseal");
    RealFiles.create_directory_all(left.parent().unwrap()).unwrap();
    overwrite_new(&left, b"half of a shard");
    let path = disk.disk.path().to_owned();
    let directory = disk.directory;
    drop(disk.disk);
    let disks = open_sealed(Arc::new(RealFiles), std::slice::from_ref(&path), &KnownDisks::default(), &keys).unwrap();
    assert!(RealFiles.open(&left).is_err());
    assert_eq!(seal_of(&disks.all()[0], &NAME).unwrap(), Some(key_id(1)));
    drop(directory);
}

#[test]
fn the_reserve_counts_what_sealing_adds() {
    for (keys, fits) in [(Keys::clear(), true), (keys(&[1], Some(1)), false)] {
        let files = Arc::new(StagedFiles::default());
        files.free_bytes.store(51_000, Ordering::Relaxed);
        let disk = disk_under(files.clone(), &keys);
        let block = [7; 400];
        let sum = checksum(&NAME, 0, &block);
        let mut writer = ShardWriter::create(&disk.disk, NAME, profile(), 400).unwrap();
        writer.append(sum, &block).unwrap();
        // Enough above the reserve for a block and its checksum, not for its tag.
        files.free_bytes.store(50_000 + 432 + 8, Ordering::Relaxed);
        assert_eq!(writer.append(sum, &block).is_ok(), fits);
    }
}

#[test]
fn a_shard_is_not_sealed_anew_without_space_for_both() {
    let files = Arc::new(StagedFiles::default());
    files.free_bytes.store(900_000, Ordering::Relaxed);
    let keys = keys(&[1, 2], Some(1));
    let disk = disk_under(files.clone(), &keys);
    let block = [7; 400];
    write_shard(&disk.disk, NAME, profile(), 400, &[block.to_vec()]);
    keys.swap(keyring(&[1, 2], Some(2)));
    files.free_bytes.store(50_000, Ordering::Relaxed);
    while disk.disk.reserve(1000).unwrap().is_ok() {}
    assert!(reseal(&disk.disk, &NAME).unwrap_err().is_no_space());
    assert_eq!(seal_of(&disk.disk, &NAME).unwrap(), Some(key_id(1)));
    files.free_bytes.store(900_000, Ordering::Relaxed);
    assert!(reseal(&disk.disk, &NAME).unwrap());
}

#[test]
fn no_block_is_sealed_twice_under_one_number() {
    let files = Arc::new(StagedFiles::default());
    files.free_bytes.store(900_000, Ordering::Relaxed);
    let disk = disk_under(files.clone(), &keys(&[1], Some(1)));
    let mut writer = ShardWriter::create(&disk.disk, NAME, profile(), 8).unwrap();
    files.full.store(true, Ordering::Relaxed);
    let append = |writer: &mut ShardWriter, byte: u8| writer.append(checksum(&NAME, 0, &[byte; 8]), &[byte; 8]);
    assert!(append(&mut writer, 1).unwrap_err().is_no_space());
    // A part of it may be on the disk.
    assert!(matches!(append(&mut writer, 2), Err(ShardError::Misuse { .. })));
}

#[test]
fn an_open_writer_shows_its_key_before_its_first_block() {
    let keys = keys(&[1, 2], Some(1));
    let disk = disk_under(Arc::new(RealFiles), &keys);
    let mut writer = ShardWriter::create(&disk.disk, NAME, profile(), 64).unwrap();
    keys.swap(keyring(&[1, 2], Some(2)));
    assert_eq!(seal_of(&disk.disk, &NAME).unwrap(), Some(key_id(1)));
    for (number, block) in blocks(&geometry()).iter().enumerate() {
        writer.append(checksum(&NAME, number as u64, block), block).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), content(&disk).len() as u64);
    assert_eq!(read_all(&disk).unwrap(), blocks(&geometry()));
}

#[test]
fn a_file_without_a_header_yet_is_no_damage() {
    let disk = disk_under(Arc::new(RealFiles), &Keys::clear());
    let writer = ShardWriter::create(&disk.disk, NAME, profile(), 64).unwrap();
    assert!(matches!(seal_of(&disk.disk, &NAME), Err(ShardError::Corrupt { truncated: true, .. })));
    assert_eq!(disk.disk.errors().corrupt, 0);
    drop(writer);
    let files = Arc::new(StagedFiles::default());
    files.free_bytes.store(900_000, Ordering::Relaxed);
    let full = disk_under(files.clone(), &keys(&[1], Some(1)));
    files.full.store(true, Ordering::Relaxed);
    assert!(ShardWriter::create(&full.disk, NAME, profile(), 64).unwrap_err().is_no_space());
    assert!(seal_of(&full.disk, &NAME).unwrap_err().is_missing(), "what could not be begun is removed");
}

/// Real files that write down, in order, what makes a change durable.
#[derive(Debug, Default)]
struct Journal {
    steps: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct JournalFile {
    inner: Box<dyn File>,
    name: String,
    steps: Arc<Mutex<Vec<String>>>,
}

impl File for JournalFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_all_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.steps.lock().unwrap().push(format!("sync {}", self.name));
        self.inner.sync()
    }
    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }
}

fn last_name(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

impl Files for Journal {
    fn create(&self, path: &std::path::Path) -> io::Result<Box<dyn File>> {
        let inner = RealFiles.create(path)?;
        Ok(Box::new(JournalFile { inner, name: last_name(path), steps: Arc::clone(&self.steps) }))
    }
    fn open(&self, path: &std::path::Path) -> io::Result<Box<dyn File>> {
        RealFiles.open(path)
    }
    fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> io::Result<()> {
        self.steps.lock().unwrap().push(format!("rename {}", last_name(from)));
        RealFiles.rename(from, to)
    }
    fn remove(&self, path: &std::path::Path) -> io::Result<()> {
        RealFiles.remove(path)
    }
    fn create_directory_all(&self, path: &std::path::Path) -> io::Result<()> {
        RealFiles.create_directory_all(path)
    }
    fn remove_directory_all(&self, path: &std::path::Path) -> io::Result<()> {
        RealFiles.remove_directory_all(path)
    }
    fn list(&self, path: &std::path::Path) -> io::Result<Vec<storage::disk::Entry>> {
        RealFiles.list(path)
    }
    fn sync_directory(&self, path: &std::path::Path) -> io::Result<()> {
        self.steps.lock().unwrap().push(format!("sync directory {}", last_name(path)));
        RealFiles.sync_directory(path)
    }
    fn space(&self, path: &std::path::Path) -> io::Result<storage::disk::Space> {
        RealFiles.space(path)
    }
    fn lock(&self, directory: &std::path::Path) -> io::Result<Box<dyn Send + Sync>> {
        RealFiles.lock(directory)
    }
}

#[test]
fn a_new_file_is_durable_before_it_takes_the_name_of_the_old_one() {
    let files = Journal::default();
    let steps = Arc::clone(&files.steps);
    let keys = keys(&[1, 2], Some(1));
    let disk = disk_under(Arc::new(files), &keys);
    write_shard(&disk.disk, NAME, profile(), 64, &blocks(&geometry()));
    keys.swap(keyring(&[1, 2], Some(2)));
    steps.lock().unwrap().clear();
    reseal(&disk.disk, &NAME).unwrap();
    let steps = steps.lock().unwrap().clone();
    let place =
        |step: &str| steps.iter().rposition(|other| other == step).unwrap_or_else(|| panic!("{step}: {steps:?}"));
    assert!(place("sync reseal") < place("rename reseal"), "{steps:?}");
    assert!(place("rename reseal") < place("sync directory ab"), "{steps:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_shape_is_sealed_and_sealed_anew(
        half in 1u32..100_000, full in 0u64..20, last_half in 0u32..100_000, to in prop::option::of(2u8..3),
    ) {
        let last = (last_half % half) * 2;
        let length_bytes = 2 * (u64::from(half * 2) * full + u64::from(last));
        let geometry = Geometry { profile: profile(), block_size_bytes: half * 2, length_bytes };
        let blocks = blocks(&geometry);
        let keys = keys(&[1, 2], Some(1));
        let disk = disk_under(Arc::new(RealFiles), &keys);
        let length = write_shard(&disk.disk, NAME, profile(), half * 2, &blocks);
        prop_assert_eq!(length, 128 + blocks.iter().map(|block| 48 + block.len() as u64).sum::<u64>());
        prop_assert_eq!(content(&disk).len() as u64, length);
        keys.swap(keyring(&[1, 2], to));
        prop_assert!(reseal(&disk.disk, &NAME).unwrap());
        let reader = ShardReader::open(&disk.disk, NAME, profile(), half * 2).unwrap();
        prop_assert_eq!(reader.key(), to.map(key_id));
        let read = reader.read(&geometry, 0..geometry.stripes()).unwrap();
        prop_assert_eq!(read, blocks);
    }
}

#[test]
fn keys_of_files_differ() {
    let (disk, _) = small(&keys(&[1], Some(1)));
    let mut seen = BTreeMap::new();
    for attempt in 0..4 {
        let name = storage::shard::ShardName { attempt: storage::shard::Attempt(attempt), ..NAME };
        write_shard(&disk.disk, name, profile(), 64, &[vec![0; 64]]);
        let content = RealFiles.read(&shard_file(&disk.disk, &name)).unwrap();
        // Its checksum differs with its name; under one key its bytes would not.
        let block = content[HEADER + 32..HEADER + 32 + 64].to_vec();
        assert_eq!(seen.insert(block, attempt), None, "the same bytes, another key");
    }
}
