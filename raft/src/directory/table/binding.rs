//! Bindings: id → what holds.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::access::{BindingId, StoredBinding};
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct Bindings;

impl Table for Bindings {
    const NAME: &'static str = "binding table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 15;
    type Key = BindingId;
    type Value = StoredBinding;
}

#[cfg(test)]
crate::table::row_tests!(Bindings, binding_id(), any_stored_binding());
