//! What a scrub remembers over restarts, in a file on the disk that it reads: how far the present pass has come, when the
//! last one was, and since when which files are orphans.
//!
//! JSON with a checksum behind it, replaced as a whole. A file that is torn, damaged or of another version is no loss:
//! the scrub starts over, and says so.

use std::collections::BTreeMap;

use raft::time::Timestamp;
use serde::{Deserialize, Serialize};
use storage::disk::Disk;
use storage::shard::ShardName;
use tracing::warn;

use super::report::{Findings, FinishedPass};

/// Version that this program writes and reads.
const VERSION: u32 = 1;
/// Name of the note on the disk.
const NAME: &str = "scrub";
/// Domain of the checksum.
const CONTEXT: &str = "regnode 2026-11 scrub notes v1";
/// Most orphans that are remembered. What is above is remembered when others have gone.
pub(super) const ORPHANS_MAX: usize = 16_384;

/// A pass that is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    /// When it began, by the catalog's clock.
    pub(super) started: Timestamp,
    /// Whether somebody asked for it.
    pub(super) forced: bool,
    /// The last shard that was read.
    pub(super) after: Option<ShardName>,
    /// Shards read.
    pub(super) shards: u64,
    /// Bytes of their blocks.
    pub(super) bytes: u64,
    /// What was found.
    pub(super) found: Findings,
}

/// All that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// The present pass.
    pub(super) pass: Option<Pass>,
    /// The last one that was finished.
    pub(super) last: Option<FinishedPass>,
    /// Files that the catalog does not know, each with when it was first found, by the catalog's clock.
    pub(super) orphans: BTreeMap<ShardName, Timestamp>,
}

/// The form on the disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    pass: Option<StoredPass>,
    last: Option<FinishedPass>,
    orphans: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPass {
    started_milliseconds: u64,
    forced: bool,
    after: Option<String>,
    shards: u64,
    bytes: u64,
    found: Findings,
}

impl Notes {
    /// The notes on a disk; fresh ones if there are none, or none that can be read. Blocks.
    pub(super) fn load(disk: &Disk) -> Self {
        let read = match disk.read_note(NAME) {
            Ok(None) => return Self::default(),
            Ok(Some(content)) => {
                Self::decode(&content).ok_or_else(|| "it is damaged, or of another version".to_owned())
            }
            Err(error) => Err(error.to_string()),
        };
        read.unwrap_or_else(|reason| {
            warn!(disk = %disk.id(), path = %disk.path().display(), reason, "notes of the scrub cannot be used, it starts over");
            Self::default()
        })
    }

    /// Writes them to the disk. Blocks.
    pub(super) fn save(&self, disk: &Disk) -> std::io::Result<()> {
        disk.write_note(NAME, &self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let pass = self.pass.as_ref().map(|pass| StoredPass {
            started_milliseconds: pass.started.0,
            forced: pass.forced,
            after: pass.after.map(|name| name.to_string()),
            shards: pass.shards,
            bytes: pass.bytes,
            found: pass.found,
        });
        let orphans = self.orphans.iter().map(|(name, since)| (name.to_string(), since.0)).collect();
        let stored = Stored { version: VERSION, pass, last: self.last, orphans };
        let mut content = serde_json::to_vec(&stored).expect("texts and numbers are valid JSON");
        let checksum = checksum(&content);
        content.push(b'\n');
        content.extend_from_slice(checksum.as_bytes());
        content
    }

    fn decode(content: &[u8]) -> Option<Self> {
        let split = content.iter().rposition(|byte| *byte == b'\n')?;
        let (body, sum) = (&content[..split], &content[split + 1..]);
        if sum != checksum(body).as_bytes() {
            return None;
        }
        let stored: Stored = serde_json::from_slice(body).ok().filter(|stored: &Stored| stored.version == VERSION)?;
        let pass = match stored.pass {
            None => None,
            Some(pass) => Some(Pass {
                started: Timestamp(pass.started_milliseconds),
                forced: pass.forced,
                after: pass.after.map(|name| name.parse()).transpose().ok()?,
                shards: pass.shards,
                bytes: pass.bytes,
                found: pass.found,
            }),
        };
        let orphans = stored.orphans.into_iter().map(|(name, since)| Some((name.parse().ok()?, Timestamp(since))));
        Some(Self { pass, last: stored.last, orphans: orphans.collect::<Option<_>>()? })
    }
}

fn checksum(body: &[u8]) -> String {
    hex::encode(&blake3::derive_key(CONTEXT, body)[..16])
}

#[cfg(test)]
mod tests {
    use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex};

    use super::*;

    fn notes() -> Notes {
        let name = |shard| ShardName {
            object: ObjectId([3; 16]),
            extent: ExtentIndex(1),
            attempt: Attempt(9),
            shard: ShardIndex(shard),
        };
        let found = Findings { corrupt: 1, truncated: 2, missing: 3, unreadable: 4, skipped: 5 };
        let pass = Pass { started: Timestamp(7), forced: true, after: Some(name(0)), shards: 10, bytes: 1000, found };
        let last = FinishedPass {
            started_milliseconds: 1,
            finished_milliseconds: 2,
            forced: false,
            shards: 3,
            bytes: 4,
            found: Findings::default(),
        };
        Notes { pass: Some(pass), last: Some(last), orphans: [(name(1), Timestamp(5)), (name(2), Timestamp(6))].into() }
    }

    #[test]
    fn what_is_noted_reads_back() {
        for notes in [notes(), Notes::default(), Notes { pass: Some(Pass::default()), ..Notes::default() }] {
            assert_eq!(Notes::decode(&notes.encode()), Some(notes));
        }
    }

    #[test]
    fn torn_and_damaged_notes_are_refused() {
        let content = notes().encode();
        for length in 0..content.len() {
            assert_eq!(Notes::decode(&content[..length]), None, "{length}");
        }
        for bit in 0..content.len() * 8 {
            let mut damaged = content.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Notes::decode(&damaged), None, "{bit}");
        }
    }
}
