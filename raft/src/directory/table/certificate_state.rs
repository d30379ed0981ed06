//! What is counted of certificates: one row.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::certificate::CertificateStateRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct CertificateState;

impl Table for CertificateState {
    const NAME: &'static str = "certificate state table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 0x33;
    type Key = ();
    type Value = CertificateStateRecord;
}

#[cfg(test)]
crate::table::row_tests!(CertificateState, Just(()), any_certificate_state());
