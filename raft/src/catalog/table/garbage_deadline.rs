//! Deadline of each queued garbage item, so that it can be moved or taken out without a search.

use storage::kv::Column;

use super::QUEUES;
use super::garbage::{LINK, TAG_HISTORY};
use crate::catalog::garbage::GarbageItem;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::machine::State;
use crate::table::{StateError, Table};
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct GarbageDeadlines;

impl Table for GarbageDeadlines {
    const NAME: &'static str = "garbage deadline table";
    const COLUMN: Column = QUEUES;
    const KIND: u8 = 20;
    type Key = GarbageItem;
    type Value = Timestamp;
}

impl GarbageDeadlines {
    /// Tags of a repository that do not exist and whose history is kept, in lexical order, behind `after`.
    pub(crate) fn deleted_tags(
        state: &impl State,
        repository: &RepositoryName,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>, StateError> {
        let item = |tag: &Tag| GarbageItem::TagHistory { repository: repository.clone(), tag: tag.clone() };
        let after = after.map(item);
        let rows = Self::scan::<(u8, RepositoryName)>(state, (&TAG_HISTORY, repository), after.as_ref(), limit)?;
        let tag = |item| if let GarbageItem::TagHistory { tag, .. } = item { Some(tag) } else { None };
        Ok(rows.into_iter().filter_map(|(item, _)| tag(item)).collect())
    }

    /// Blobs that a repository links and no manifest of it uses, by digest, behind `after`.
    pub(crate) fn unused_links(
        state: &impl State,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<Digest>, StateError> {
        let after = after.map(|digest| GarbageItem::Link { repository: repository.clone(), digest: *digest });
        let rows = Self::scan::<(u8, RepositoryName)>(state, (&LINK, repository), after.as_ref(), limit)?;
        let digest = |item| if let GarbageItem::Link { digest, .. } = item { Some(digest) } else { None };
        Ok(rows.into_iter().filter_map(|(item, _)| digest(item)).collect())
    }
}

#[cfg(test)]
crate::table::row_tests!(GarbageDeadlines, garbage_item(), timestamp());
