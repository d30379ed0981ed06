//! Reads of policies and of what is in use below a prefix.

use storage::kv::Scan;

use super::View;
use crate::catalog::apply;
use crate::catalog::name::RepositoryName;
use crate::catalog::policies::{NamespaceCopy, PolicyVersionRecord};
use crate::catalog::table::{Policies, PolicyVersion, PolicyWalks, Usage};
use crate::catalog::usage::UsageRecord;
use crate::machine::State;
use crate::policy::{NamespacePolicy, Policy, Role, Sources};
use crate::table::{StateError, Table};

impl<S: State> View<S> {
    /// Version of the directory's policies that is here in whole; 0 before the first.
    pub fn policy_version(&self) -> Result<u64, StateError> {
        Ok(self.policy_versions()?.complete)
    }

    /// The same, with the newest version of which changes have come.
    pub fn policy_versions(&self) -> Result<PolicyVersionRecord, StateError> {
        Ok(PolicyVersion::get(&self.state, ())?.unwrap_or_default())
    }

    /// What is said of namespaces, by prefix, behind `after`. Prefixes of which nothing is said are left out.
    pub fn policies(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, NamespaceCopy)>, StateError> {
        let after = after.map(ToOwned::to_owned);
        Policies::scan::<()>(&self.state, (), after.as_ref(), limit)
    }

    /// What is set at each prefix of a repository, the root first; prefixes that set nothing are left out.
    pub fn policy_layers(&self, repository: &RepositoryName) -> Result<Vec<(String, NamespacePolicy)>, StateError> {
        apply::layers(&self.state, repository)
    }

    /// What holds for a repository, whether it exists or not, and which prefix decided it.
    pub fn policy(&self, repository: &RepositoryName) -> Result<(Policy, Sources), StateError> {
        apply::resolved(&self.state, repository)
    }

    /// What this region is for a repository, whether it exists or not.
    pub fn role(&self, repository: &RepositoryName) -> Result<Role, StateError> {
        apply::role_of(&self.state, repository)
    }

    /// Whether manifests wait to be looked at again because a policy has changed.
    pub fn has_policy_walks(&self) -> Result<bool, StateError> {
        Ok(!PolicyWalks::scan::<()>(&self.state, (), None, 1)?.is_empty())
    }

    /// What is in use below a prefix, the root's is empty. Exact.
    pub fn usage(&self, prefix: &str) -> Result<UsageRecord, StateError> {
        Ok(Usage::get(&self.state, &prefix.to_owned())?.unwrap_or_default())
    }

    /// What is in use below each prefix that is longer than this one and below it, in order, behind `after`.
    pub fn usages(
        &self,
        below: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, UsageRecord)>, StateError> {
        let inner = if below.is_empty() { String::new() } else { format!("{below}/") };
        // The root has the shortest key of all, and is not below itself.
        let after = after.unwrap_or_default().to_owned();
        let scan = Scan::prefix(Usage::COLUMN, &Usage::key::<String>(&inner), limit);
        Usage::rows(&self.state, &scan.after(&Usage::key::<String>(&after)))
    }
}
