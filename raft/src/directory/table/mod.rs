//! The directory's schema: one file per persisted key kind. Listing this folder reads like the schema.
//!
//! All of it is small and stands in one column; kind bytes are unique and never given to another kind.

mod clock;
mod cluster;
mod join_token;
mod namespace;
mod node;
mod node_name;
mod policy_version;
mod region;
mod residency_audit;

use storage::kv::Column;

pub(crate) use clock::DirectoryClock;
pub(crate) use cluster::Cluster;
pub(crate) use join_token::JoinTokens;
pub(crate) use namespace::Namespaces;
pub(crate) use node::Nodes;
pub(crate) use node_name::NodeNames;
pub(crate) use policy_version::PolicyVersion;
pub(crate) use region::Regions;
pub(crate) use residency_audit::ResidencyAudits;

/// The one column.
const DIRECTORY: Column = Column("directory");

/// All columns of the directory.
pub(super) const COLUMNS: &[Column] = &[DIRECTORY];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    #[test]
    fn kind_bytes_are_unique() {
        let kinds = [
            Cluster::KIND,
            Regions::KIND,
            Nodes::KIND,
            NodeNames::KIND,
            JoinTokens::KIND,
            Namespaces::KIND,
            DirectoryClock::KIND,
            PolicyVersion::KIND,
            ResidencyAudits::KIND,
        ];
        let unique: std::collections::BTreeSet<u8> = kinds.into_iter().collect();
        assert_eq!(unique.len(), kinds.len());
    }
}
