//! Edges from a manifest to the tags that point to it: repository, manifest, tag.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct ManifestTags;

impl Table for ManifestTags {
    const NAME: &'static str = "manifest tag table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 5;
    type Key = (RepositoryName, Digest, Tag);
    type Value = ();
}

#[cfg(test)]
crate::table::row_tests!(ManifestTags, (repository(), digest(), tag()), Just(()));
