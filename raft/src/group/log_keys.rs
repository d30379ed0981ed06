//! Keys of the shared log: which bytes belong to which group.
//!
//! `log`: group, then the entry's index, big-endian, so that a group's entries lie together in order.
//! `meta`: group, then what it is. A group's prefix is `0`, or `1` and the region, big-endian; none is a prefix of
//! another. Whom the log belongs to stands in `meta`, beside the groups.

use bytes::Bytes;
use storage::kv::{Column, successor};

use crate::id::GroupId;

/// Log entries.
pub(super) const LOG: Column = Column("log");
/// Votes, commit positions, purge positions and incarnations.
pub(super) const META: Column = Column("meta");
/// Key in `meta` of whom the log belongs to. No group's prefix begins like it.
pub(super) const OWNER: &[u8] = &[0xff];
/// All columns of the log's engine.
pub(super) const COLUMNS: &[Column] = &[LOG, META];

/// Keys of one group.
#[derive(Clone, Debug)]
pub(super) struct LogKeys {
    prefix: Vec<u8>,
}

impl LogKeys {
    pub(super) fn new(group: GroupId) -> Self {
        let prefix = match group {
            GroupId::Directory => vec![0],
            GroupId::Catalog(region) => {
                let mut prefix = vec![1];
                prefix.extend_from_slice(&region.0.to_be_bytes());
                prefix
            }
        };
        Self { prefix }
    }

    /// Key of an entry.
    pub(super) fn entry(&self, index: u64) -> Bytes {
        let mut key = Vec::with_capacity(self.prefix.len() + 8);
        key.extend_from_slice(&self.prefix);
        key.extend_from_slice(&index.to_be_bytes());
        Bytes::from(key)
    }

    /// Index of an entry's key; `None` when it is not one of this group.
    pub(super) fn index(&self, key: &[u8]) -> Option<u64> {
        let index = key.strip_prefix(self.prefix.as_slice())?;
        Some(u64::from_be_bytes(index.try_into().ok()?))
    }

    /// Lower bound of the group's keys.
    pub(super) fn start(&self) -> Bytes {
        Bytes::copy_from_slice(&self.prefix)
    }

    /// Upper bound of the group's keys, exclusive.
    pub(super) fn end(&self) -> Bytes {
        successor(&self.prefix).expect("a prefix begins with 0 or 1, so something is greater")
    }

    /// Key of the vote.
    pub(super) fn vote(&self) -> Bytes {
        self.meta(b'v')
    }

    /// Key of the position up to which the log is known to be committed.
    pub(super) fn committed(&self) -> Bytes {
        self.meta(b'c')
    }

    /// Key of the position up to which the log was purged.
    pub(super) fn purged(&self) -> Bytes {
        self.meta(b'p')
    }

    /// Key of the incarnation that the log is of.
    pub(super) fn incarnation(&self) -> Bytes {
        self.meta(b'i')
    }

    /// Key of what is to be done to the replica before it goes on.
    pub(super) fn pending(&self) -> Bytes {
        self.meta(b'n')
    }

    fn meta(&self, what: u8) -> Bytes {
        let mut key = self.prefix.clone();
        key.push(what);
        Bytes::from(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RegionId;

    #[test]
    fn keys_of_groups_do_not_mix_and_keep_their_order() {
        let groups = [GroupId::Directory, GroupId::Catalog(RegionId(0)), GroupId::Catalog(RegionId(u32::MAX))];
        let keys: Vec<LogKeys> = groups.into_iter().map(LogKeys::new).collect();
        let mut all = Vec::new();
        for group in &keys {
            for index in [0, 1, 255, 256, u64::MAX] {
                let key = group.entry(index);
                assert_eq!(group.index(&key), Some(index));
                assert!(group.start() <= key && key < group.end());
                all.push(key);
            }
        }
        assert!(all.is_sorted());
        assert_eq!(keys[1].index(&keys[2].entry(1)), None);
        assert_eq!(keys[0].index(&keys[1].entry(1)), None);
    }
}
