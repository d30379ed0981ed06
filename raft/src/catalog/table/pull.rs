//! Last pulls: repository, manifest → when it was last pulled, roughly: pulls are told of in batches.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::name::{Digest, RepositoryName};
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct Pulls;

impl Table for Pulls {
    const NAME: &'static str = "pull table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 32;
    type Key = (RepositoryName, Digest);
    type Value = Timestamp;
}

#[cfg(test)]
crate::table::row_tests!(Pulls, (repository(), digest()), timestamp());
