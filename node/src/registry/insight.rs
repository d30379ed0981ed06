//! What became of a tag, and what a namespace holds, for clients.

use raft::catalog::{RepositoryName, Tag, TagChange, UsageRecord, View};
use raft::machine::State;
use raft::policy::Quota;

use super::{Registry, RegistryError};
use crate::deletion::Bound;

impl Registry {
    /// Changes of a tag, the newest first, at most `limit`. A deleted tag's are kept for a while.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`] if nothing is known of the tag, or that the catalog cannot be reached.
    pub async fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        limit: usize,
    ) -> Result<Vec<TagChange>, RegistryError> {
        self.barrier().await?;
        let (name, named) = (repository.clone(), tag.clone());
        let read = move |view: &View<_>| view.tag_history(&name, &named, limit.max(1)).map_err(RegistryError::state);
        let mut changes: Vec<TagChange> = self.scan(read).await?.into_iter().map(|(_, change)| change).collect();
        if changes.is_empty() {
            return Err(RegistryError::ManifestUnknown { repository: repository.clone(), reference: tag.to_string() });
        }
        changes.truncate(limit);
        Ok(changes)
    }

    /// What is in use at and below a prefix, and all that bounds it, the root first. The root's prefix is empty.
    ///
    /// # Errors
    /// That the catalog cannot be reached.
    pub async fn usage(&self, prefix: &str) -> Result<(UsageRecord, Vec<Bound>), RegistryError> {
        self.barrier().await?;
        let prefix = prefix.to_owned();
        self.scan(move |view| usage(view, &prefix).map_err(RegistryError::state)).await
    }
}

fn usage<S: State>(view: &View<S>, prefix: &str) -> Result<(UsageRecord, Vec<Bound>), raft::catalog::StateError> {
    let quotas: Vec<(String, Quota)> = match prefix.parse::<RepositoryName>() {
        Ok(name) => view.policy(&name)?.0.quotas,
        // The root comes before every other prefix.
        Err(_) => view
            .policies(None, 1)?
            .into_iter()
            .filter(|(first, copy)| first.is_empty() && !copy.policy.quota.is_empty())
            .map(|(first, copy)| (first, copy.policy.quota))
            .collect(),
    };
    let bound = |(namespace, quota): (String, Quota)| {
        let usage = view.usage(&namespace)?;
        Ok(Bound { namespace, quota, usage })
    };
    Ok((view.usage(prefix)?, quotas.into_iter().map(bound).collect::<Result<_, raft::catalog::StateError>>()?))
}
