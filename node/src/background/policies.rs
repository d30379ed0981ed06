//! The catalog's copy of the namespaces' policies is brought up to the directory's whenever their versions differ, and
//! manifests that nothing holds are looked at again where the policy of them has changed.
//!
//! A sync begins with a page without changes, so that no delayed page of an older version comes after what it read, and
//! compares then: pages that were proposed by an earlier leader are found done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{Command, NamespaceCopy, POLICIES_PER_COMMAND, Response, StateError, View, WALKED_PER_COMMAND};
use raft::directory::{self, NamespaceRecord, Place};
use raft::id::{NodeId, RegionId};
use raft::policy::Role;
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

/// What is said of namespaces, by prefix; prefixes of which nothing is said are left out.
type Set = BTreeMap<String, NamespaceCopy>;
/// What becomes of what is said at a prefix.
type Change = (String, Option<NamespaceCopy>);

/// What makes `present` to `wanted`.
fn changes(wanted: &Set, present: &Set) -> Vec<Change> {
    let gone = present.keys().filter(|prefix| !wanted.contains_key(*prefix)).map(|prefix| (prefix.clone(), None));
    let new = wanted.iter().filter(|(prefix, copy)| present.get(*prefix) != Some(*copy));
    gone.chain(new.map(|(prefix, copy)| (prefix.clone(), Some(copy.clone())))).collect()
}

/// What a region is for what is below a prefix that says something of where data rests. Of the root nothing is said where
/// it is the home, which a region is unless it hears otherwise.
fn role(records: &BTreeMap<String, NamespaceRecord>, prefix: &str, region: RegionId) -> Option<Role> {
    let record = records.get(prefix)?;
    let silent = record.home.is_none() && record.residency.is_none() && record.moving.is_none();
    if silent && record.aside.is_empty() {
        return None;
    }
    let inner = prefix.match_indices('/').map(|(end, _)| &prefix[..end]);
    let own = (!prefix.is_empty()).then_some(prefix);
    let layers = std::iter::once("").chain(inner).chain(own).filter_map(|at| Some((at, records.get(at)?)));
    let role = Place::resolve(layers)?.role(region);
    (!prefix.is_empty() || role != Role::Home).then_some(role)
}

/// What the directory says, as far as it matters to the catalog of a region.
fn copies(records: &BTreeMap<String, NamespaceRecord>, region: RegionId) -> Set {
    let copy = |(prefix, record): (&String, &NamespaceRecord)| {
        let copy = NamespaceCopy { role: role(records, prefix, region), policy: record.policy.clone() };
        (!copy.is_empty()).then(|| (prefix.clone(), copy))
    };
    records.iter().filter_map(copy).collect()
}

/// All that is said in the directory, if it is of this version from the first row to the last, and if it knows already of
/// which region this node is.
fn wanted(view: &directory::View<Arc<dyn Engine>>, own: NodeId, version: u64) -> Result<Option<Set>, StateError> {
    let Some(node) = view.node(own)? else { return Ok(None) };
    let mut records = BTreeMap::new();
    loop {
        let after = records.last_key_value().map(|(prefix, _): (&String, _)| prefix.clone());
        let page = view.namespaces(after.as_deref(), PAGE_NAMESPACES)?;
        let end = page.len() < PAGE_NAMESPACES;
        records.extend(page);
        if end {
            return Ok((view.policy_version()? == version).then(|| copies(&records, node.region)));
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
        let own = core.roster.own();
        let compared = core.exec.run(move || -> Result<Option<Vec<Change>>, StateError> {
            let Some(wanted) = wanted(&directory, own, version)? else { return Ok(None) };
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
    use raft::directory::{Aside, Moving, Residency};
    use raft::policy::NamespacePolicy;
    use raft::time::Timestamp;

    use super::*;

    fn policy(grace_seconds: u64) -> NamespaceCopy {
        NamespacePolicy { grace_seconds: Some(grace_seconds), ..NamespacePolicy::default() }.into()
    }

    const EU: RegionId = RegionId(1);
    const US: RegionId = RegionId(2);

    #[test]
    fn each_region_learns_what_it_is_for_a_namespace() {
        let record = |home: Option<RegionId>, residency, moving| NamespaceRecord {
            home,
            residency,
            moving,
            ..NamespaceRecord::default()
        };
        let aside = vec![Aside { region: EU, since: Timestamp(7) }];
        let graced = NamespaceRecord { policy: policy(7).policy, ..NamespaceRecord::default() };
        let records: BTreeMap<String, NamespaceRecord> = [
            ("", record(Some(EU), Some(Residency::Home), None)),
            ("acme", record(None, Some(Residency::Replicated(vec![US])), None)),
            ("acme/us", record(Some(US), Some(Residency::Pinned), None)),
            ("graced", graced),
            ("leaving", record(None, None, Some(Moving { to: US, fenced: true }))),
            ("lost", NamespaceRecord { aside, ..record(Some(US), None, None) }),
        ]
        .map(|(prefix, record)| (prefix.to_owned(), record))
        .into();
        let roles = |region: RegionId| -> Vec<(String, Option<Role>)> {
            copies(&records, region).into_iter().map(|(prefix, copy)| (prefix, copy.role)).collect()
        };
        let named = |roles: &[(&str, Option<Role>)]| -> Vec<(String, Option<Role>)> {
            roles.iter().map(|(prefix, role)| ((*prefix).to_owned(), *role)).collect()
        };
        let eu = [
            ("acme", Some(Role::Home)),
            ("acme/us", Some(Role::Foreign)),
            ("graced", None),
            ("leaving", Some(Role::Fenced)),
            ("lost", Some(Role::Fenced)),
        ];
        assert_eq!(roles(EU), named(&eu), "nothing has to be said of a root that is at home");
        let us = [
            ("", Some(Role::Foreign)),
            ("acme", Some(Role::Replica)),
            ("acme/us", Some(Role::Home)),
            ("graced", None),
            ("leaving", Some(Role::Replica)),
            ("lost", Some(Role::Home)),
        ];
        assert_eq!(roles(US), named(&us));
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
