//! What the tests of this crate share: a disk in a temporary directory, bytes that are easy to tell apart, golden files,
//! and a file system that reports the free space it is told.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses a part")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use storage::codec::Profile;
use storage::disk::{Disk, Disks, File, Files, KnownDisks, Layer, RealFiles, Reserve, Space};
use storage::seal::{DataKey, KeyId, Keyring, Keys};
use storage::shard::{Attempt, Checksum, ExtentIndex, ObjectId, ShardIndex, ShardName, ShardWriter, checksum};

/// A shard that tests use.
pub const NAME: ShardName =
    ShardName { object: ObjectId([0xab; 16]), extent: ExtentIndex(3), attempt: Attempt(0x1234), shard: ShardIndex(1) };

/// Id of a test's data key.
pub fn key_id(number: u8) -> KeyId {
    KeyId([number; 16])
}

/// A keyring of test keys.
pub fn keyring(numbers: &[u8], current: Option<u8>) -> Keyring {
    let keys = numbers.iter().map(|number| DataKey::new(key_id(*number), [*number; 32]));
    Keyring::new(keys, current.map(key_id)).unwrap()
}

/// Keys of a test, whose files all have other random bytes.
pub fn keys(numbers: &[u8], current: Option<u8>) -> Keys {
    let next = AtomicU64::new(0);
    Keys::new(keyring(numbers, current), move |bytes| {
        bytes.fill(0);
        bytes[..8].copy_from_slice(&next.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    })
}

/// A disk, and the directory that vanishes with it.
pub struct TestDisk {
    pub disk: Arc<Disk>,
    pub directory: tempfile::TempDir,
}

/// A freshly formatted disk.
pub fn disk() -> TestDisk {
    disk_on(Arc::new(RealFiles))
}

/// A freshly formatted disk on these files.
pub fn disk_on(files: Arc<dyn Files>) -> TestDisk {
    disk_under(files, &Keys::clear())
}

/// The same, with keys.
pub fn disk_under(files: Arc<dyn Files>, keys: &Keys) -> TestDisk {
    let directory = tempfile::tempdir().unwrap();
    let known = KnownDisks::default();
    let disks = open_sealed(files, &[directory.path().join("disk")], &known, keys).unwrap();
    TestDisk { disk: Arc::clone(&disks.all()[0]), directory }
}

/// Opens disks with ids 1, 2, 3, …
pub fn open(files: Arc<dyn Files>, directories: &[PathBuf]) -> Result<Disks, storage::disk::DiskError> {
    open_known(files, directories, &KnownDisks::default())
}

/// Opens disks some of which are known.
pub fn open_known(
    files: Arc<dyn Files>,
    directories: &[PathBuf],
    known: &KnownDisks,
) -> Result<Disks, storage::disk::DiskError> {
    open_sealed(files, directories, known, &Keys::clear())
}

/// The same, with keys.
pub fn open_sealed(
    files: Arc<dyn Files>,
    directories: &[PathBuf],
    known: &KnownDisks,
    keys: &Keys,
) -> Result<Disks, storage::disk::DiskError> {
    let mut next = 0;
    Disks::open(files, directories, known, Reserve::default(), keys, &mut || {
        next += 1;
        [next; 16]
    })
}

/// `length` bytes that differ from place to place and from seed to seed.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| step(&mut state)).collect()
}

/// Writes a whole shard.
pub fn write_shard(disk: &Arc<Disk>, name: ShardName, profile: Profile, block_size: u32, blocks: &[Vec<u8>]) -> u64 {
    let mut writer = ShardWriter::create(disk, name, profile, block_size).unwrap();
    let sums: Vec<Checksum> = (0..).zip(blocks).map(|(index, block)| checksum(&name, index, block)).collect();
    let blocks: Vec<(Checksum, &[u8])> = sums.iter().copied().zip(blocks.iter().map(Vec::as_slice)).collect();
    writer.append_all(&blocks).unwrap();
    writer.finish().unwrap()
}

/// File of a shard on a test disk.
pub fn shard_file(disk: &Disk, name: &ShardName) -> PathBuf {
    let object = name.object.to_string();
    disk.path().join("shards").join(&object[..2]).join(name.to_string())
}

/// Overwrites a whole file.
pub fn overwrite(path: &Path, content: &[u8]) {
    RealFiles.remove(path).unwrap();
    RealFiles.create(path).unwrap().write_all_at(content, 0).unwrap();
}

/// Compares bytes with a golden file. `UPDATE_GOLDEN=1` writes it instead: only for a new format version.
pub fn golden(name: &str, actual: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    #[expect(clippy::disallowed_methods, reason = "a tool of the test's author")]
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        RealFiles.create_directory_all(path.parent().unwrap()).unwrap();
        RealFiles.replace(&path, actual).unwrap();
        return;
    }
    let expected = RealFiles.read(&path).unwrap();
    assert!(expected == actual, "{name} changed: bytes on disks are frozen, a new form needs a new version");
}

/// Real files whose free space, and whose failures, the test decides.
#[derive(Debug, Default)]
pub struct StagedFiles {
    /// Free bytes of 1,000,000.
    pub free_bytes: AtomicU64,
    /// Calls of [`Files::space`].
    pub looks: AtomicU64,
    /// Whether files that it has created fail their writes with "no space left on device".
    pub full: Arc<AtomicBool>,
    /// Whether whatever changes something is refused, as on a file system that was mounted read-only.
    pub read_only: AtomicBool,
    /// Whether files cannot be opened for an error of the device.
    pub failing: AtomicBool,
}

#[derive(Debug)]
struct FullFile(Box<dyn File>, Arc<AtomicBool>);

impl File for FullFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if !self.1.load(Ordering::Relaxed) {
            return self.0.write_all_at(bytes, offset);
        }
        // Half of it arrives, as it may on a real disk.
        self.0.write_all_at(&bytes[..bytes.len() / 2], offset)?;
        Err(io::ErrorKind::StorageFull.into())
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
}

impl StagedFiles {
    fn check_writable(&self) -> io::Result<()> {
        if self.read_only.load(Ordering::Relaxed) { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }
}

impl Layer for StagedFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.check_writable()?;
        let file = RealFiles.create(path)?;
        Ok(Box::new(FullFile(file, Arc::clone(&self.full))))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        if self.failing.load(Ordering::Relaxed) && path.components().any(|part| part.as_os_str() == "shards") {
            return Err(io::Error::other("input/output error"));
        }
        RealFiles.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check_writable()?;
        RealFiles.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check_writable()?;
        RealFiles.remove(path)
    }
    fn space(&self, _path: &Path) -> io::Result<Space> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        Ok(Space { total_bytes: 1_000_000, available_bytes: self.free_bytes.load(Ordering::Relaxed) })
    }
}
