//! Whose disk a data directory is: a small text file beside the identity that names cluster and node.
//!
//! A disk that was carried over from another machine, or from another cluster, must not be taken for an own one: its
//! shards would be strangers here, and go as garbage. The file is written when a node first uses the disk.

use std::io;
use std::path::Path;

use super::{DiskError, Files};
use crate::shard::DiskId;

/// File name of the owner.
pub(super) const FILE: &str = "owner";
/// Version of the file that this program writes and reads.
const VERSION: u32 = 1;
/// Domain of the file's checksum.
const CONTEXT: &str = "regnode 2026-11 disk owner v1";

/// The node that a disk belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskOwner {
    /// Id of its cluster.
    pub cluster: [u8; 16],
    /// Number of the node in it.
    pub node: u64,
}

impl DiskOwner {
    fn encode(self) -> String {
        let body = format!(
            "regnode disk owner\nversion {VERSION}\ncluster {}\nnode {}\n",
            hex::encode(self.cluster),
            self.node
        );
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(body.as_bytes());
        format!("{body}checksum {}\n", hex::encode(&hasher.finalize().as_bytes()[..16]))
    }

    fn decode(content: &[u8]) -> Option<Self> {
        let text = str::from_utf8(content).ok()?;
        let mut lines = text.lines().skip(2);
        let mut cluster = [0; 16];
        hex::decode_to_slice(lines.next()?.strip_prefix("cluster ")?, &mut cluster).ok()?;
        let node = lines.next()?.strip_prefix("node ")?.parse().ok()?;
        let owner = Self { cluster, node };
        // The text is one of a kind: comparing it whole checks the checksum and everything else.
        (owner.encode() == text).then_some(owner)
    }
}

/// Sees to it that the disk in `directory` is `own`: claims one that nobody has claimed, refuses another's. A damaged
/// claim on a disk that the node is `known` to have had is written anew. The caller holds the directory's lock.
pub(super) fn claim(
    files: &dyn Files,
    directory: &Path,
    disk: DiskId,
    own: DiskOwner,
    known: bool,
) -> Result<(), DiskError> {
    let io = |action| move |source| DiskError::Io { path: directory.to_owned(), action, source };
    let path = directory.join(FILE);
    match files.read(&path) {
        Ok(content) => match DiskOwner::decode(&content) {
            Some(owner) if owner == own => return Ok(()),
            Some(owner) => return Err(DiskError::Elsewhere { path: directory.to_owned(), disk, owner, own }),
            None if known => {
                tracing::warn!(path = %path.display(), %disk, "the owner of a disk is not readable, it is written anew");
            }
            None => {
                let detail = format!("its file {FILE:?}, which says whose disk it is, is not readable");
                return Err(DiskError::Damaged { path: directory.to_owned(), detail });
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(io("read its owner")(source)),
    }
    files.replace(&path, own.encode().as_bytes()).map_err(io("be claimed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_reads_back_and_no_flipped_bit_passes() {
        let owner = DiskOwner { cluster: [7; 16], node: 42 };
        let content = owner.encode().into_bytes();
        assert_eq!(DiskOwner::decode(&content), Some(owner));
        for bit in 0..content.len() * 8 {
            let mut damaged = content.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(DiskOwner::decode(&damaged), None, "bit {bit}");
        }
        assert_eq!(DiskOwner::decode(b""), None);
    }
}
