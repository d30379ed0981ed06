//! Policies of namespaces: set in the directory, in force once the catalog has taken them up, and explained.

use std::time::Duration;

use raft::catalog::{Digest, RepositoryName, StateError, Tag, UsageRecord};
use raft::directory::{Command, NamespaceRecord, Refusal as DirectoryRefusal, Response};
use raft::id::RequestId;
use raft::policy::{NamespacePolicy, Policy, Sources, is_prefix, prefixes};
use storage::kv::Engine;
use tokio::time::{Instant, sleep};

use super::judge::{Verdict, by_retention};
use super::{Bound, Deletion, DeletionError, Placed};
use crate::cluster::Reading;

/// How long a change is waited for until it is in force.
const IN_FORCE: Duration = Duration::from_secs(10);
/// Between two looks whether it is.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How often a change is made, while others change policies too.
pub(super) const EDITS_MAX: usize = 16;

type View = raft::catalog::View<std::sync::Arc<dyn Engine>>;

/// A change of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Version of the policies that it made.
    pub version: u64,
    /// Whether it is in force, in this region and at the home. If not, a catalog had no leader for some time or does not
    /// answer, and it will be by itself.
    pub in_force: bool,
}

/// What is set at a prefix, and what holds there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceStatus {
    /// The prefix, empty for the root.
    pub prefix: String,
    /// What was set there; `None` if nothing was.
    pub own: Option<NamespacePolicy>,
    /// Where it rests.
    pub placed: Placed,
    /// How sure the directory's part of this is.
    pub reading: Reading,
    /// What holds there, inherited and default values included.
    pub policy: Policy,
    /// Who decided it.
    pub sources: Sources,
    /// All that bounds it, the root first.
    pub bounds: Vec<Bound>,
    /// What is in use there.
    pub usage: UsageRecord,
    /// Version of the policies.
    pub version: u64,
    /// Whether the catalog has taken that version up.
    pub in_force: bool,
}

/// What holds for a repository, and a tag of it, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The repository, which need not exist.
    pub repository: RepositoryName,
    /// Where it rests.
    pub placed: Placed,
    /// How sure the directory's part of this is.
    pub reading: Reading,
    /// What is in force.
    pub policy: Policy,
    /// Who decided it.
    pub sources: Sources,
    /// All that bounds it, the root first.
    pub bounds: Vec<Bound>,
    /// About the tag, if one was named.
    pub tag: Option<TagExplanation>,
    /// Version of the policies.
    pub version: u64,
    /// Whether the catalog has taken that version up.
    pub in_force: bool,
}

/// What holds for a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagExplanation {
    /// The tag.
    pub tag: Tag,
    /// What it points to; `None` if it does not exist.
    pub digest: Option<Digest>,
    /// The pattern that makes it immutable.
    pub immutable: Option<String>,
    /// What retention would do with it now; `None` if it does not exist or no retention is set.
    pub retention: Option<Verdict>,
}

/// Refuses what cannot be a prefix.
pub(super) fn check_prefix(prefix: &str) -> Result<(), DeletionError> {
    if is_prefix(prefix) {
        return Ok(());
    }
    Err(DeletionError::Invalid(format!(
        "{prefix:?} is not a namespace: components as in a repository name are expected, with '/' between them; \"\" is \
         the root"
    )))
}

impl Deletion {
    /// Sets the whole policy of a prefix, and waits until it is in force. Where its data rests stays as it is.
    pub async fn set_namespace(&self, prefix: &str, policy: NamespacePolicy) -> Result<Applied, DeletionError> {
        self.edit_namespace(prefix, |present| Ok(NamespaceRecord { policy: policy.clone(), ..present })).await
    }

    /// Changes what is set at a prefix, but for its home, and waits until it is in force. What others change meanwhile is
    /// not undone: the edit is made again, from what they have left.
    pub async fn edit_namespace(
        &self,
        prefix: &str,
        edit: impl Fn(NamespaceRecord) -> Result<NamespaceRecord, DeletionError>,
    ) -> Result<Applied, DeletionError> {
        check_prefix(prefix)?;
        let mut attempts = 1;
        loop {
            self.directory.barrier().await?;
            let view = self.directory.view();
            // The version first: what changes between the two reads is noticed.
            let made_from = view.policy_version()?;
            let record = edit(view.namespace(prefix)?.unwrap_or_default())?;
            let command = Command::SetNamespace { prefix: prefix.to_owned(), record, made_from };
            match self.change(command).await {
                Err(DeletionError::Conflict(_)) if attempts < EDITS_MAX => attempts += 1,
                Ok(()) => return self.applied(prefix).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Forgets what is set at a prefix, and waits until that is in force. A home of its own it has lost before.
    pub async fn remove_namespace(&self, prefix: &str) -> Result<Applied, DeletionError> {
        check_prefix(prefix)?;
        self.change(Command::RemoveNamespace { prefix: prefix.to_owned() }).await?;
        self.applied(prefix).await
    }

    /// Changes the directory.
    pub(super) async fn change(&self, command: Command) -> Result<(), DeletionError> {
        let request = RequestId(self.core.entropy.id());
        match self.directory.propose(request, command).await? {
            Response::Done => Ok(()),
            Response::Refused(refusal @ DirectoryRefusal::NamespaceUnknown(_)) => {
                Err(DeletionError::Unknown(refusal.to_string()))
            }
            Response::Refused(refusal @ DirectoryRefusal::NamespacesChanged { .. }) => {
                Err(DeletionError::Conflict(refusal.to_string()))
            }
            Response::Refused(refusal @ DirectoryRefusal::NotFounded) => {
                Err(DeletionError::Unavailable(refusal.to_string()))
            }
            Response::Refused(refusal) => Err(DeletionError::Invalid(refusal.to_string())),
            response @ (Response::Admitted { .. } | Response::Bound { .. }) => {
                Err(DeletionError::Internal(format!("unexpected response {response:?}")))
            }
        }
    }

    /// Waits until the catalog has taken up a version of the policies, for some seconds. Says whether it has.
    pub async fn wait_in_force(&self, version: u64) -> Result<bool, DeletionError> {
        let begun = Instant::now();
        loop {
            if self.core.records.view().policy_version()? >= version {
                return Ok(true);
            }
            if begun.elapsed() >= IN_FORCE {
                return Ok(false);
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// What is set at a prefix and what holds there, as the directory says; what is in use is what this region holds.
    pub async fn namespace(&self, prefix: &str) -> Result<NamespaceStatus, DeletionError> {
        check_prefix(prefix)?;
        let reading = self.reading().await;
        let view = self.directory.view();
        let version = view.policy_version()?;
        let placed = self.placed(&view, prefix)?;
        let mut layers = Vec::new();
        for prefix in prefixes_of(prefix) {
            if let Some(record) = view.namespace(&prefix)? {
                layers.push((prefix, record.policy));
            }
        }
        let own = layers.iter().find(|(at, policy)| at == prefix && !policy.is_empty());
        let own = own.map(|(_, policy)| policy.clone());
        let (policy, sources) = Policy::resolve(layers.iter().map(|(prefix, policy)| (prefix.as_str(), policy)));
        let (prefix, quotas) = (prefix.to_owned(), policy.clone());
        self.read(move |view| {
            let bounds = bounds(view, &quotas)?;
            let usage = view.usage(&prefix)?;
            let in_force = view.policy_version()? >= version;
            Ok(NamespaceStatus { prefix, own, placed, reading, policy, sources, bounds, usage, version, in_force })
        })
        .await
    }

    /// What is in force for a repository, and a tag of it, in this region, and why.
    pub async fn explain(&self, repository: &RepositoryName, tag: Option<&Tag>) -> Result<Explanation, DeletionError> {
        let reading = self.reading().await;
        let view = self.directory.view();
        let version = view.policy_version()?;
        let placed = self.placed(&view, repository.as_str())?;
        let (repository, tag) = (repository.clone(), tag.cloned());
        self.read(move |view| {
            let (policy, sources) = view.policy(&repository)?;
            let tag = tag.map(|tag| explain_tag(view, &repository, &policy, tag)).transpose()?;
            let bounds = bounds(view, &policy)?;
            let in_force = view.policy_version()? >= version;
            Ok(Explanation { repository, placed, reading, policy, sources, bounds, tag, version, in_force })
        })
        .await
    }
}

fn explain_tag(
    view: &View,
    repository: &RepositoryName,
    policy: &Policy,
    tag: Tag,
) -> Result<TagExplanation, StateError> {
    let digest = view.tag(repository, &tag)?.map(|record| record.digest);
    let immutable = policy.immutable(tag.as_str(), None).map(ToString::to_string);
    let plan = by_retention(view, repository, usize::MAX)?;
    let retention = plan.and_then(|plan| plan.of(&tag).map(super::judge::Judged::verdict));
    Ok(TagExplanation { tag, digest, immutable, retention })
}

/// All that bounds what a policy holds for.
fn bounds(view: &View, policy: &Policy) -> Result<Vec<Bound>, StateError> {
    let bound = |(namespace, quota): &(String, raft::policy::Quota)| {
        Ok(Bound { usage: view.usage(namespace)?, namespace: namespace.clone(), quota: *quota })
    };
    policy.quotas.iter().map(bound).collect()
}

/// A prefix with all shorter ones, the root first.
fn prefixes_of(prefix: &str) -> Vec<String> {
    match prefix.parse::<RepositoryName>() {
        Ok(name) => prefixes(&name).map(ToOwned::to_owned).collect(),
        Err(_) => vec![String::new()],
    }
}
