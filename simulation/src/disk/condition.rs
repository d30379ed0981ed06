//! What a judge sees of a shard file: whether it is there, what a power loss would leave of it, and whether the process
//! has read what is damaged of it. Looking changes nothing and meets no fault.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use storage::shard::ShardName;

use super::{SimulatedDisk, hold};

/// The condition of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// It has a name.
    pub exists: bool,
    /// A power loss would leave all of it, its name included, and none has taken a part of it before.
    pub durable: bool,
    /// It holds other bytes than were written, or was lost behind the back of the process.
    pub damaged: bool,
    /// Virtual time at which a process last read bytes of it that are damaged, or did not find it after it was lost.
    pub damage_read_at: Option<Duration>,
}

fn shard_name(path: &Path) -> Option<ShardName> {
    path.file_name()?.to_str()?.parse().ok()
}

impl SimulatedDisk {
    /// The shard files below a directory, those included that were lost behind the back of the process.
    #[must_use]
    pub fn shards_below(&self, directory: &Path) -> BTreeMap<ShardName, Condition> {
        let state = hold(&self.state);
        let lost = state.lost.iter().map(|(path, missed_at)| {
            (path.clone(), Condition { exists: false, durable: false, damaged: true, damage_read_at: *missed_at })
        });
        let present = state.tree.files().into_iter().map(|(path, content)| {
            let content = hold(&content);
            let durable = content.is_durable() && state.tree.is_durable(&path);
            let damaged = content.is_damaged();
            (path, Condition { exists: true, durable, damaged, damage_read_at: content.damage_read_at() })
        });
        let below = lost.chain(present).filter(|(path, _)| path.starts_with(directory));
        below.filter_map(|(path, condition)| Some((shard_name(&path)?, condition))).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use storage::disk::Files;
    use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex};

    use super::*;
    use crate::seed::Seed;

    const SHARDS: &str = "/disk/shards";

    fn name(attempt: u64) -> ShardName {
        ShardName { object: ObjectId([1; 16]), extent: ExtentIndex(0), attempt: Attempt(attempt), shard: ShardIndex(0) }
    }

    fn path(attempt: u64) -> std::path::PathBuf {
        Path::new(SHARDS).join(name(attempt).to_string())
    }

    fn condition(disk: &SimulatedDisk, attempt: u64) -> Option<Condition> {
        disk.shards_below(Path::new(SHARDS)).get(&name(attempt)).copied()
    }

    #[test]
    fn a_shard_is_durable_when_its_bytes_and_its_name_are() {
        let disk = SimulatedDisk::new(1 << 20, Seed(1));
        disk.create_directory_durable(Path::new(SHARDS)).unwrap();
        let file = disk.create(&path(1)).unwrap();
        file.write_all_at(b"bytes", 0).unwrap();
        let seen = || condition(&disk, 1).unwrap();
        assert_eq!(seen(), Condition { exists: true, ..Condition::default() });
        disk.sync_directory(Path::new(SHARDS)).unwrap();
        assert!(!seen().durable, "its bytes are not");
        file.sync().unwrap();
        assert!(seen().durable);
        let file = disk.create(&path(2)).unwrap();
        file.write_all_at(b"bytes", 0).unwrap();
        file.sync().unwrap();
        assert!(!condition(&disk, 2).unwrap().durable, "its name is not");
        assert_eq!(condition(&disk, 3), None);
    }

    #[test]
    fn damage_is_noticed_by_who_reads_it() {
        let disk = SimulatedDisk::new(1 << 20, Seed(1));
        disk.create_directory_durable(Path::new(SHARDS)).unwrap();
        for attempt in 1..=3 {
            disk.replace(&path(attempt), &[0; 1000]).unwrap();
        }
        disk.rot(&path(1), &mut StdRng::seed_from_u64(1)).unwrap();
        disk.lose(&path(2)).unwrap();
        let read = |attempt| condition(&disk, attempt).unwrap().damage_read_at.is_some();
        let damaged = [1, 2, 3].map(|attempt| condition(&disk, attempt).unwrap().damaged);
        assert_eq!(damaged, [true, true, false]);
        assert!(!read(1) && !read(2) && !condition(&disk, 2).unwrap().exists);
        for attempt in 1..=3 {
            let _ = disk.read(&path(attempt));
        }
        assert!(read(1) && read(2) && !read(3));
    }
}
