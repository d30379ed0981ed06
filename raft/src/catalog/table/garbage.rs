//! The garbage queue: deadline, item. An item is in it exactly while nothing holds it.

use storage::kv::{Column, Direction, Scan};

use super::QUEUES;
use crate::catalog::garbage::GarbageItem;
use crate::key::Part;
use crate::machine::State;
use crate::table::{Rows, StateError, Table};
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct GarbageQueue;

impl Table for GarbageQueue {
    const NAME: &'static str = "garbage table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 19;
    type Key = (Timestamp, GarbageItem);
    type Value = ();
}

impl GarbageQueue {
    /// Items with deadlines from `from` on and before `end`, in order. Begun at the oldest one that can be there, so that
    /// a scan does not pass what was taken out before.
    pub(crate) fn between(
        state: &impl State,
        from: Timestamp,
        end: Timestamp,
        limit: usize,
    ) -> Result<Rows<Self>, StateError> {
        let bound = |deadline: Timestamp| Self::key::<Timestamp>(&deadline).into();
        let (start, end) = (bound(from), Some(bound(end)));
        Self::rows(state, &Scan { column: Self::COLUMN, start, end, direction: Direction::Forward, limit })
    }
}

/// Kind of an item that is a link.
pub(super) const LINK: u8 = 2;

/// Kind of an item that is a tag's history.
pub(super) const TAG_HISTORY: u8 = 5;

/// A byte for the kind of item, then its parts.
impl Part for GarbageItem {
    fn write(&self, key: &mut Vec<u8>) {
        match self {
            Self::Blob { digest, generation } => {
                key.push(1);
                digest.write(key);
                generation.write(key);
            }
            Self::Link { repository, digest } => {
                key.push(LINK);
                repository.write(key);
                digest.write(key);
            }
            Self::Manifest { repository, digest, generation } => {
                key.push(3);
                repository.write(key);
                digest.write(key);
                generation.write(key);
            }
            Self::Tombstone { repository, digest } => {
                key.push(4);
                repository.write(key);
                digest.write(key);
            }
            Self::TagHistory { repository, tag } => {
                key.push(TAG_HISTORY);
                repository.write(key);
                tag.write(key);
            }
        }
    }

    fn read(key: &mut &[u8]) -> Option<Self> {
        Some(match u8::read(key)? {
            1 => Self::Blob { digest: Part::read(key)?, generation: Part::read(key)? },
            LINK => Self::Link { repository: Part::read(key)?, digest: Part::read(key)? },
            3 => {
                let (repository, digest) = (Part::read(key)?, Part::read(key)?);
                Self::Manifest { repository, digest, generation: Part::read(key)? }
            }
            4 => Self::Tombstone { repository: Part::read(key)?, digest: Part::read(key)? },
            TAG_HISTORY => Self::TagHistory { repository: Part::read(key)?, tag: Part::read(key)? },
            _ => return None,
        })
    }
}

#[cfg(test)]
crate::table::row_tests!(GarbageQueue, (timestamp(), garbage_item()), Just(()));
