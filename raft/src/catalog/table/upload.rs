//! Upload sessions: id → where the upload stands.

use storage::kv::Column;

use super::BLOBS;
use crate::catalog::name::SessionId;
use crate::catalog::record::UploadRecord;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Uploads;

impl Table for Uploads {
    const NAME: &'static str = "upload table";
    const COLUMN: Column = BLOBS;
    const KIND: u8 = 17;
    type Key = SessionId;
    type Value = UploadRecord;
}

#[cfg(test)]
crate::table::row_tests!(Uploads, session(), any_upload_record());
