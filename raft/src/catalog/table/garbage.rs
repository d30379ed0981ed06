//! The garbage queue: deadline, item. An item is in it exactly while nothing holds it.

use storage::kv::Column;

use super::QUEUES;
use crate::catalog::record::GarbageItem;
use crate::key::Part;
use crate::table::Table;
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
                key.push(2);
                repository.write(key);
                digest.write(key);
            }
            Self::Manifest { repository, digest, generation } => {
                key.push(3);
                repository.write(key);
                digest.write(key);
                generation.write(key);
            }
        }
    }

    fn read(key: &mut &[u8]) -> Option<Self> {
        Some(match u8::read(key)? {
            1 => Self::Blob { digest: Part::read(key)?, generation: Part::read(key)? },
            2 => Self::Link { repository: Part::read(key)?, digest: Part::read(key)? },
            3 => {
                let (repository, digest) = (Part::read(key)?, Part::read(key)?);
                Self::Manifest { repository, digest, generation: Part::read(key)? }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
crate::table::row_tests!(GarbageQueue, (timestamp(), garbage_item()), Just(()));
