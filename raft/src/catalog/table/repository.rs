//! Repositories: name → counts of its content. Only repositories with content have a row, so a listing is a scan.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::name::RepositoryName;
use crate::catalog::record::RepositoryRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Repositories;

impl Table for Repositories {
    const NAME: &'static str = "repository table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 1;
    type Key = RepositoryName;
    type Value = RepositoryRecord;
}

#[cfg(test)]
crate::table::row_tests!(Repositories, repository(), any_repository_record());
