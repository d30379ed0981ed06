//! Audits of residency: time and region → what was found.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::audit::ResidencyAudit;
use crate::id::RegionId;
use crate::table::Table;
use crate::time::Timestamp;

/// The table.
#[derive(Debug)]
pub(crate) struct ResidencyAudits;

impl Table for ResidencyAudits {
    const NAME: &'static str = "residency audit table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 9;
    type Key = (Timestamp, RegionId);
    type Value = ResidencyAudit;
}

#[cfg(test)]
crate::table::row_tests!(ResidencyAudits, (timestamp(), region()), any_residency_audit());
