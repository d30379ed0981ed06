//! The change of the certificate authority that is under way: one record, while there is one.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::authority::RotationRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Rotation;

impl Table for Rotation {
    const NAME: &'static str = "rotation table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 0x35;
    type Key = ();
    type Value = RotationRecord;
}

#[cfg(test)]
crate::table::row_tests!(Rotation, Just(()), any_rotation());
