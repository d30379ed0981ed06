//! Challenges that are to be answered: token → answer.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::certificate::ChallengeRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Challenges;

impl Table for Challenges {
    const NAME: &'static str = "challenge table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 0x32;
    type Key = String;
    type Value = ChallengeRecord;
}

#[cfg(test)]
crate::table::row_tests!(Challenges, text(), any_challenge());
