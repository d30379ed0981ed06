//! Which authorities the nodes trust and show: node → what it has said.

use storage::kv::Column;

use super::DIRECTORY;
use crate::directory::authority::AuthorityStanding;
use crate::id::NodeId;
use crate::table::Table;

/// The table.
#[derive(Debug)]
pub(crate) struct AuthorityStandings;

impl Table for AuthorityStandings {
    const NAME: &'static str = "authority standing table";
    const COLUMN: Column = DIRECTORY;
    const KIND: u8 = 0x36;
    type Key = NodeId;
    type Value = AuthorityStanding;
}

#[cfg(test)]
crate::table::row_tests!(AuthorityStandings, node(), any_authority_standing());
