//! Referrers: repository, subject, referrer → what the list of referrers says. The subject may be missing.

use storage::kv::Column;

use super::NAMES;
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::record::ReferrerRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Referrers;

impl Table for Referrers {
    const NAME: &'static str = "referrer table";
    const COLUMN: Column = NAMES;
    const KIND: u8 = 6;
    type Key = (RepositoryName, Digest, Digest);
    type Value = ReferrerRecord;
}

#[cfg(test)]
crate::table::row_tests!(Referrers, (repository(), digest(), digest()), any_referrer_record());
