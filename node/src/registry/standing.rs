//! What the region is for a repository, as its catalog goes by it: the order of its log decides, not what this node has
//! heard from the directory.

use raft::catalog::{ReplicationScope, ReplicationStage, RepositoryName};
use raft::id::RegionId;
use raft::policy::Role;

use super::{Registry, RegistryError};

impl Registry {
    /// What this region is for a repository, by the order of its catalog's log.
    ///
    /// # Errors
    /// When the catalog's state cannot be read.
    pub fn role(&self, repository: &RepositoryName) -> Result<Role, RegistryError> {
        self.view().role(repository).map_err(RegistryError::state)
    }

    /// Version of the namespaces' policies that the catalog goes by.
    ///
    /// # Errors
    /// When the catalog's state cannot be read.
    pub fn policy_version(&self) -> Result<u64, RegistryError> {
        self.view().policy_version().map_err(RegistryError::state)
    }

    /// Whether the copy that is to be made of a prefix has everything: its source is followed, and all that was there at
    /// some moment has come.
    ///
    /// # Errors
    /// When the catalog's state cannot be read.
    pub fn has_whole_copy(
        &self,
        source: RegionId,
        prefix: &str,
        wanted: &ReplicationScope,
    ) -> Result<bool, RegistryError> {
        let record = self.view().replication(source, prefix).map_err(RegistryError::state)?;
        Ok(record.is_some_and(|record| {
            let follows = record.stage == ReplicationStage::Following && record.synced.is_some();
            follows && record.scope == *wanted && wanted.tags.is_empty()
        }))
    }
}
