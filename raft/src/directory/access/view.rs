//! Reads of who may do what. What is much comes by pages; what the limits keep small is whole.

use super::audit_head::AuditHead;
use super::binding::{BindingId, BindingRecord};
use super::group::GroupRecord;
use super::issuer::IssuerRecord;
use super::robot::RobotRecord;
use super::role::RoleRecord;
use super::signing_key::SigningKeyRecord;
use super::user::UserRecord;
use crate::directory::domain::DomainRecord;
use crate::directory::table::{
    AccessState, AuditHeads, Bindings, Domains, Groups, Issuers, Robots, Roles, SigningKeys, Users,
};
use crate::directory::view::View;
use crate::id::NodeId;
use crate::machine::State;
use crate::table::{StateError, Table};

impl<S: State> View<S> {
    /// Grows with each change of users, robots, groups, roles, bindings, issuers, signing keys and domains; 0 before the cluster is
    /// founded. That a secret was used, or an audit log has come further, is no such change.
    pub fn access_version(&self) -> Result<u64, StateError> {
        Ok(AccessState::get(&self.state, ())?.unwrap_or_default().version)
    }

    /// A user.
    pub fn user(&self, name: &str) -> Result<Option<UserRecord>, StateError> {
        Users::get(&self.state, &name.to_owned())
    }

    /// Users by name, behind `after`.
    pub fn users(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, UserRecord)>, StateError> {
        let after = after.map(ToOwned::to_owned);
        Users::scan::<()>(&self.state, (), after.as_ref(), limit)
    }

    /// A robot.
    pub fn robot(&self, name: &str) -> Result<Option<RobotRecord>, StateError> {
        Robots::get(&self.state, &name.to_owned())
    }

    /// Robots by name, behind `after`.
    pub fn robots(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, RobotRecord)>, StateError> {
        let after = after.map(ToOwned::to_owned);
        Robots::scan::<()>(&self.state, (), after.as_ref(), limit)
    }

    /// A group.
    pub fn group(&self, name: &str) -> Result<Option<GroupRecord>, StateError> {
        Groups::get(&self.state, &name.to_owned())
    }

    /// All groups by name.
    pub fn groups(&self) -> Result<Vec<(String, GroupRecord)>, StateError> {
        Groups::scan::<()>(&self.state, (), None, usize::MAX)
    }

    /// A role that is not built in.
    pub fn role(&self, name: &str) -> Result<Option<RoleRecord>, StateError> {
        Roles::get(&self.state, &name.to_owned())
    }

    /// All roles that are not built in, by name.
    pub fn roles(&self) -> Result<Vec<(String, RoleRecord)>, StateError> {
        Roles::scan::<()>(&self.state, (), None, usize::MAX)
    }

    /// A binding.
    pub fn binding(&self, id: BindingId) -> Result<Option<BindingRecord>, StateError> {
        Ok(Bindings::get(&self.state, &id)?.map(|stored| stored.binding))
    }

    /// Bindings by id, behind `after`.
    pub fn bindings(
        &self,
        after: Option<BindingId>,
        limit: usize,
    ) -> Result<Vec<(BindingId, BindingRecord)>, StateError> {
        let stored = Bindings::scan::<()>(&self.state, (), after.as_ref(), limit)?;
        Ok(stored.into_iter().map(|(id, stored)| (id, stored.binding)).collect())
    }

    /// An issuer.
    pub fn issuer(&self, name: &str) -> Result<Option<IssuerRecord>, StateError> {
        Issuers::get(&self.state, &name.to_owned())
    }

    /// All issuers by name.
    pub fn issuers(&self) -> Result<Vec<(String, IssuerRecord)>, StateError> {
        Issuers::scan::<()>(&self.state, (), None, usize::MAX)
    }

    /// All domains, and what they stand for.
    pub fn domains(&self) -> Result<Vec<(String, DomainRecord)>, StateError> {
        Domains::scan::<()>(&self.state, (), None, usize::MAX)
    }

    /// All signing keys by id, those included that do not sign yet or any more.
    pub fn signing_keys(&self) -> Result<Vec<([u8; 8], SigningKeyRecord)>, StateError> {
        SigningKeys::scan::<()>(&self.state, (), None, usize::MAX)
    }

    /// How far the audit log of each node had come when it last told.
    pub fn audit_heads(&self) -> Result<Vec<(NodeId, AuditHead)>, StateError> {
        AuditHeads::scan::<()>(&self.state, (), None, usize::MAX)
    }
}
