//! Changes of tags: repository, tag, revision → what it pointed to before and after, who, when, why.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::history::TagChange;
use crate::catalog::name::{RepositoryName, Tag};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct TagHistory;

impl Table for TagHistory {
    const NAME: &'static str = "tag history table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 31;
    type Key = (RepositoryName, Tag, u64);
    type Value = TagChange;
}

#[cfg(test)]
crate::table::row_tests!(TagHistory, (repository(), tag(), any::<u64>()), any_tag_change());
