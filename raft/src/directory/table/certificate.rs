//! The registry's certificates from an ACME authority: domain → what there is of it.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::certificate::CertificateRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Certificates;

impl Table for Certificates {
    const NAME: &'static str = "certificate table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 0x31;
    type Key = String;
    type Value = CertificateRecord;
}

#[cfg(test)]
crate::table::row_tests!(Certificates, text(), any_certificate());
