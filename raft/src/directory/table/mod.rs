//! The directory's schema: one file per persisted key kind. Listing this folder reads like the schema.
//!
//! All of it is small and stands in one column; kind bytes are unique and never given to another kind.

mod access_state;
mod acme_account;
mod audit_head;
mod authority_standing;
mod binding;
mod binding_request;
mod certificate;
mod certificate_state;
mod challenge;
mod clock;
mod cluster;
mod domain;
mod group;
mod issuer;
mod join_token;
mod namespace;
mod node;
mod node_name;
mod policy_version;
mod region;
mod removed_binding;
mod residency_audit;
mod robot;
mod role;
mod rotation;
mod signing_key;
mod user;

use storage::kv::Column;

pub(crate) use access_state::AccessState;
pub(crate) use acme_account::AcmeAccounts;
pub(crate) use audit_head::AuditHeads;
pub(crate) use authority_standing::AuthorityStandings;
pub(crate) use binding::Bindings;
pub(crate) use binding_request::BindingRequests;
pub(crate) use certificate::Certificates;
pub(crate) use certificate_state::CertificateState;
pub(crate) use challenge::Challenges;
pub(crate) use clock::DirectoryClock;
pub(crate) use cluster::Cluster;
pub(crate) use domain::Domains;
pub(crate) use group::Groups;
pub(crate) use issuer::Issuers;
pub(crate) use join_token::JoinTokens;
pub(crate) use namespace::Namespaces;
pub(crate) use node::Nodes;
pub(crate) use node_name::NodeNames;
pub(crate) use policy_version::PolicyVersion;
pub(crate) use region::Regions;
pub(crate) use removed_binding::RemovedBindings;
pub(crate) use residency_audit::ResidencyAudits;
pub(crate) use robot::Robots;
pub(crate) use role::Roles;
pub(crate) use rotation::Rotation;
pub(crate) use signing_key::SigningKeys;
pub(crate) use user::Users;

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
            AccessState::KIND,
            Users::KIND,
            Robots::KIND,
            Groups::KIND,
            Roles::KIND,
            Bindings::KIND,
            BindingRequests::KIND,
            Issuers::KIND,
            SigningKeys::KIND,
            AuditHeads::KIND,
            AcmeAccounts::KIND,
            Certificates::KIND,
            Challenges::KIND,
            CertificateState::KIND,
            RemovedBindings::KIND,
            Domains::KIND,
            Rotation::KIND,
            AuthorityStandings::KIND,
        ];
        let unique: std::collections::BTreeSet<u8> = kinds.into_iter().collect();
        assert_eq!(unique.len(), kinds.len());
    }
}
