//! The catalog's copy of the namespaces' policies is brought up to the directory's whenever their versions differ, and
//! manifests that nothing holds are looked at again where the policy of them has changed.
//!
//! A sync begins with a page without changes, so that no delayed page of an older version comes after what it read, and
//! compares then: pages that were proposed by an earlier leader are found done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{Command, POLICIES_PER_COMMAND, Response, StateError, View, WALKED_PER_COMMAND};
use raft::directory;
use raft::policy::NamespacePolicy;
use storage::kv::Engine;
use storage::switch;
use tracing::info;

use super::leader::{Duty, Left};
use crate::deletion::DirectoryRecords;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::{Core, unexpected};
use crate::gateway::write::Pace;

/// Rest between two looks at the versions. Two reads each.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Rest between two rounds when more is to be done.
const ROUND_REST: Duration = Duration::from_millis(20);
/// Namespaces read at once.
const PAGE_NAMESPACES: usize = 512;

/// Policies by prefix; what sets nothing is left out.
type Set = BTreeMap<String, NamespacePolicy>;
/// What becomes of the policy at a prefix.
type Change = (String, Option<NamespacePolicy>);

/// What makes `present` to `wanted`.
fn changes(wanted: &Set, present: &Set) -> Vec<Change> {
    let gone = present.keys().filter(|prefix| !wanted.contains_key(*prefix)).map(|prefix| (prefix.clone(), None));
    let new = wanted.iter().filter(|(prefix, policy)| present.get(*prefix) != Some(*policy));
    gone.chain(new.map(|(prefix, policy)| (prefix.clone(), Some(policy.clone())))).collect()
}

/// All that is set in the directory, if it is of this version from the first row to the last.
fn wanted(view: &directory::View<Arc<dyn Engine>>, version: u64) -> Result<Option<Set>, StateError> {
    let mut set = Set::new();
    let mut after: Option<String> = None;
    loop {
        let page = view.namespaces(after.as_deref(), PAGE_NAMESPACES)?;
        let end = page.len() < PAGE_NAMESPACES;
        after = page.last().map(|(prefix, _)| prefix.clone());
        let policies = page.into_iter().map(|(prefix, record)| (prefix, record.policy));
        set.extend(policies.filter(|(_, policy)| !policy.is_empty()));
        if end {
            return Ok((view.policy_version()? == version).then_some(set));
        }
    }
}

/// The catalog's copy.
fn present(view: &View<Arc<dyn Engine>>) -> Result<Set, StateError> {
    let mut set = Set::new();
    loop {
        let after = set.last_key_value().map(|(prefix, _)| prefix.clone());
        let page = view.policies(after.as_deref(), PAGE_NAMESPACES)?;
        let end = page.len() < PAGE_NAMESPACES;
        set.extend(page);
        if end {
            return Ok(set);
        }
    }
}

/// The work.
#[derive(Debug)]
pub(super) struct Policies {
    directory: Arc<dyn DirectoryRecords>,
    pace: Arc<Pace>,
}

impl Policies {
    /// Work within a budget of manifests that are looked at in each second; zero is without limit.
    pub(super) fn new(directory: Arc<dyn DirectoryRecords>, items_per_second: u64) -> Self {
        Self { directory, pace: Pace::new(items_per_second) }
    }

    /// Brings the copy up to a version of the directory.
    async fn sync(&self, core: &Arc<Core>, version: u64) -> Result<Left, CatalogError> {
        if !propose(core, version, Vec::new(), false).await? {
            return Ok(Left::Nothing);
        }
        let (directory, catalog) = (self.directory.view(), core.records.view());
        let compared = core.exec.run(move || -> Result<Option<Vec<Change>>, StateError> {
            let Some(wanted) = wanted(&directory, version)? else { return Ok(None) };
            Ok(Some(changes(&wanted, &present(&catalog)?)))
        });
        // Changed meanwhile: the next round reads the version that it is of then.
        let Some(mut changes) = compared.await? else { return Ok(Left::More) };
        let changed = changes.len();
        while changes.len() > POLICIES_PER_COMMAND {
            let rest = changes.split_off(POLICIES_PER_COMMAND);
            if !propose(core, version, changes, false).await? {
                return Ok(Left::Nothing);
            }
            changes = rest;
        }
        if propose(core, version, changes, true).await? && changed > 0 {
            info!(version, changed, "namespace policies are in force");
        }
        Ok(Left::More)
    }

    /// Looks again at some manifests that nothing holds.
    async fn walk(&self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let mut stint = self.pace.stint();
        while core.records.is_leader() && core.records.view().has_policy_walks()? {
            match core.propose(Command::WalkPolicies { limit: WALKED_PER_COMMAND }).await? {
                Response::Count { count } => stint.done(core, count).await,
                response => return Err(unexpected(&response)),
            }
        }
        Ok(Left::Nothing)
    }
}

/// Proposes one page. False if it came too late: another leader is at a newer version.
async fn propose(core: &Core, version: u64, changes: Vec<Change>, complete: bool) -> Result<bool, CatalogError> {
    match core.propose(Command::SyncPolicies { version, changes, complete }).await? {
        Response::Done => Ok(true),
        Response::Stale => Ok(false),
        response => Err(unexpected(&response)),
    }
}

impl Duty for Policies {
    const NAME: &'static str = "policies";
    const LOOK_INTERVAL: Duration = LOOK_INTERVAL;
    const ROUND_REST: Duration = ROUND_REST;

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let version = self.directory.view().policy_version()?;
        // A replica of the directory that is behind knows an older version than the catalog has.
        if version > core.records.view().policy_version()? {
            return self.sync(core, version).await;
        }
        self.walk(core).await
    }

    fn retire(&mut self) {}

    fn hurried(&self) -> bool {
        switch::rare("background.policies.hurry")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(grace_seconds: u64) -> NamespacePolicy {
        NamespacePolicy { grace_seconds: Some(grace_seconds), ..NamespacePolicy::default() }
    }

    #[test]
    fn only_what_differs_is_changed() {
        let set = |rows: &[(&str, u64)]| -> Set {
            rows.iter().map(|(prefix, grace)| ((*prefix).to_owned(), policy(*grace))).collect()
        };
        let wanted = set(&[("", 1), ("a", 2), ("c", 3)]);
        let present = set(&[("", 1), ("a", 9), ("b", 3)]);
        let expected = [("b".to_owned(), None), ("a".to_owned(), Some(policy(2))), ("c".to_owned(), Some(policy(3)))];
        assert_eq!(changes(&wanted, &present), expected);
        assert!(changes(&wanted, &wanted).is_empty());
    }
}
