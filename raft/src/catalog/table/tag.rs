//! Tags: repository, tag → manifest. A listing of tags is a scan, in lexical order.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::name::{RepositoryName, Tag};
use crate::catalog::record::TagRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Tags;

impl Table for Tags {
    const NAME: &'static str = "tag table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 4;
    type Key = (RepositoryName, Tag);
    type Value = TagRecord;
}

#[cfg(test)]
crate::table::row_tests!(Tags, (repository(), tag()), any_tag_record());
