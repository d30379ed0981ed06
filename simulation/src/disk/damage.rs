//! Damage behind the back of the process: bits that rot, writes that went astray, files that are gone.
//!
//! It strikes what a process reads and what a power loss leaves alike. Whoever does it sees to it that enough of the
//! redundancy stays whole.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rand::Rng;
use storage::shard::ShardName;

use super::{SimulatedDisk, hold};

/// Most bits that rot at once.
const BITS_MAX: usize = 8;

fn too_short(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} is too short for it", path.display()))
}

/// A random block of a file that lies on a multiple of the block's size; the last one may be shorter.
fn block(length: usize, block_bytes: usize, random: &mut impl Rng) -> Range<usize> {
    let start = random.random_range(0..length.div_ceil(block_bytes)) * block_bytes;
    start..(start + block_bytes).min(length)
}

impl SimulatedDisk {
    /// Paths of all shard files on the disk, in order.
    #[must_use]
    pub fn shard_files(&self) -> Vec<PathBuf> {
        let is_shard = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.parse::<ShardName>().is_ok())
        };
        self.files_below(Path::new("/")).into_iter().filter(is_shard).collect()
    }

    /// Flips one to eight bits of a file at random places. Says which.
    ///
    /// # Errors
    /// When there is no such file, or nothing in it.
    pub fn rot(&self, path: &Path, random: &mut impl Rng) -> io::Result<String> {
        let content = hold(&self.state).tree.file(path)?;
        let mut content = hold(&content);
        if content.length() == 0 {
            return Err(too_short(path));
        }
        let mut flipped = Vec::new();
        for _ in 0..random.random_range(1..=BITS_MAX) {
            let (at, bit) = (random.random_range(0..content.length()), random.random_range(0..8_u8));
            if !flipped.contains(&(at, bit)) {
                content.damage(at..at + 1, |_, byte| *byte ^= 1 << bit);
                flipped.push((at, bit));
            }
        }
        let places: Vec<String> = flipped.iter().map(|(at, bit)| format!("{at}.{bit}")).collect();
        Ok(format!("bits of {} flipped at {}", path.display(), places.join(" ")))
    }

    /// Overwrites a block of a file with bytes of another block, of the same file or of another one on this disk, as if
    /// a write had gone to the wrong place. Says what went where.
    ///
    /// # Errors
    /// When a file is missing or empty, or when both are one that has no second block.
    pub fn misdirect(&self, from: &Path, to: &Path, block_bytes: usize, random: &mut impl Rng) -> io::Result<String> {
        let (source, target) = {
            let state = hold(&self.state);
            (state.tree.file(from)?, state.tree.file(to)?)
        };
        let source_length = hold(&source).length();
        let target_length = hold(&target).length();
        let block_bytes = block_bytes.max(1);
        if source_length.min(target_length) == 0 || (from == to && source_length <= block_bytes) {
            return Err(too_short(to));
        }
        let destination = block(target_length, block_bytes, random);
        let mut origin = block(source_length, block_bytes, random);
        while from == to && origin.start == destination.start {
            origin = block(source_length, block_bytes, random);
        }
        let length = origin.len().min(destination.len());
        let bytes = hold(&source).slice(origin.start..origin.start + length).to_vec();
        let start = destination.start;
        hold(&target).damage(start..start + length, |position, byte| *byte = bytes[position - start]);
        Ok(format!("{length} bytes of {} at {} written to {} at {start}", from.display(), origin.start, to.display()))
    }

    /// A file is gone. Says which.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn lose(&self, path: &Path) -> io::Result<String> {
        let mut state = hold(&self.state);
        let lost = state.tree.lose(path)?;
        state.unlink(&lost);
        state.lost.insert(path.to_owned(), None);
        Ok(format!("{} lost", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use storage::disk::Files;

    use super::*;
    use crate::seed::Seed;

    const A: &str = "/shards/a";
    const B: &str = "/shards/b";

    fn disk() -> SimulatedDisk {
        let disk = SimulatedDisk::new(1 << 20, Seed(1));
        disk.create_directory_all(Path::new("/shards")).unwrap();
        disk.replace(Path::new(A), &[0; 10_000]).unwrap();
        disk.replace(Path::new(B), &[255; 10_000]).unwrap();
        disk
    }

    fn read(disk: &SimulatedDisk, path: &str) -> Vec<u8> {
        disk.read(Path::new(path)).unwrap()
    }

    #[test]
    fn rot_flips_a_few_bits_for_good() {
        for seed in 0..50 {
            let disk = disk();
            let told = disk.rot(Path::new(A), &mut StdRng::seed_from_u64(seed)).unwrap();
            disk.power_loss();
            let flipped: u32 = read(&disk, A).iter().map(|byte| byte.count_ones()).sum();
            assert!((1..=8).contains(&flipped), "{told}");
            assert_eq!(read(&disk, B), [255; 10_000]);
        }
    }

    #[test]
    fn a_write_that_goes_astray_hits_one_block_for_good() {
        for seed in 0..50 {
            let disk = disk();
            let told = disk.misdirect(Path::new(B), Path::new(A), 1000, &mut StdRng::seed_from_u64(seed)).unwrap();
            disk.power_loss();
            let content = read(&disk, A);
            let hit = content.iter().position(|byte| *byte == 255).unwrap();
            assert_eq!(hit % 1000, 0, "{told}");
            assert!(content[hit..hit + 1000].iter().all(|byte| *byte == 255));
            let hits: u32 = content.iter().map(|byte| u32::from(*byte == 255)).sum();
            assert_eq!(hits, 1000);
        }
    }

    #[test]
    fn a_block_of_the_same_file_is_another_one() {
        let disk = disk();
        let content: Vec<u8> = (0..10_u8).flat_map(|block| [block; 1000]).collect();
        disk.replace(Path::new(A), &content).unwrap();
        let mut random = StdRng::seed_from_u64(1);
        disk.misdirect(Path::new(A), Path::new(A), 1000, &mut random).unwrap();
        assert_ne!(read(&disk, A), content);
        assert!(disk.misdirect(Path::new(A), Path::new(A), 10_000, &mut random).is_err());
    }

    #[test]
    fn a_lost_file_stays_lost() {
        let disk = disk();
        disk.lose(Path::new(A)).unwrap();
        assert!(disk.open(Path::new(A)).is_err() && disk.lose(Path::new(A)).is_err());
        disk.power_loss();
        assert!(disk.open(Path::new(A)).is_err());
        assert_eq!(disk.space(Path::new("/")).unwrap().available_bytes, (1 << 20) - 10_000);
    }
}
