//! Links: repository, blob → visibility of the blob in the repository.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::record::LinkRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Links;

impl Table for Links {
    const NAME: &'static str = "link table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 7;
    type Key = (RepositoryName, Digest);
    type Value = LinkRecord;
}

#[cfg(test)]
crate::table::row_tests!(Links, (repository(), digest()), any_link_record());
