//! Machines: name → what is known of them.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::access::RobotRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Robots;

impl Table for Robots {
    const NAME: &'static str = "robot table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 12;
    type Key = String;
    type Value = RobotRecord;
}

#[cfg(test)]
crate::table::row_tests!(Robots, text(), any_robot());
