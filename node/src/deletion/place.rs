//! Where namespaces rest, as operators are told: with the names of regions, and how sure it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::directory::{NamespaceRecord, Place, Residency, StateError, View};
use raft::id::RegionId;
use raft::policy::Role;
use storage::kv::Engine;

use super::{Deletion, DeletionError};
use crate::cluster::{Reading, confirm_directory};

/// How long the directory's quorum is waited for before the own replica is told as it is.
const CONFIRM: Duration = Duration::from_secs(6);
/// Namespaces read at once.
const PAGE_NAMESPACES: usize = 512;

/// Where a namespace rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What was set at the prefix itself.
    pub own: NamespaceRecord,
    /// What holds.
    pub place: Place,
    /// Names of all regions.
    pub names: BTreeMap<RegionId, String>,
    /// Region that answers.
    pub region: RegionId,
}

impl Placed {
    /// Name of a region.
    #[must_use]
    pub fn name(&self, region: RegionId) -> String {
        self.names.get(&region).cloned().unwrap_or_else(|| region.to_string())
    }

    /// What the region that answers is for the namespace.
    #[must_use]
    pub fn role(&self) -> Role {
        self.place.role(self.region)
    }
}

/// All that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What is set, by prefix, the root first. Prefixes that set nothing are left out, and the root where it says no
    /// more than every root does.
    pub namespaces: Vec<(String, NamespaceRecord)>,
    /// Names of all regions.
    pub names: BTreeMap<RegionId, String>,
    /// How sure it is.
    pub reading: Reading,
}

impl Deletion {
    /// All that is set.
    pub async fn namespaces(&self) -> Result<Listing, DeletionError> {
        let reading = self.reading().await;
        let view = self.directory.view();
        let read = self.core.exec.run(move || -> Result<_, StateError> {
            let mut all: Vec<(String, NamespaceRecord)> = Vec::new();
            loop {
                let after = all.last().map(|(prefix, _)| prefix.clone());
                let page = view.namespaces(after.as_deref(), PAGE_NAMESPACES)?;
                let end = page.len() < PAGE_NAMESPACES;
                all.extend(page);
                if end {
                    return Ok((all, names(&view)?));
                }
            }
        });
        let (mut namespaces, names) = read.await?;
        namespaces.retain(|(prefix, record)| says_something(prefix, record, names.len() > 1));
        Ok(Listing { namespaces, names, reading })
    }

    /// Where a prefix rests, as this node knows.
    pub async fn placed_now(&self, prefix: &str) -> Result<Placed, DeletionError> {
        let (this, prefix) = (self.clone(), prefix.to_owned());
        self.core.exec.run(move || this.placed(&this.directory.view(), &prefix)).await
    }

    /// How sure the own replica of the directory is from now on.
    pub(super) async fn reading(&self) -> Reading {
        confirm_directory(self.directory.as_ref(), CONFIRM).await
    }

    /// Where a prefix rests.
    pub(super) fn placed(&self, view: &View<Arc<dyn Engine>>, prefix: &str) -> Result<Placed, DeletionError> {
        let place = view.place_at(prefix)?.ok_or_else(not_founded)?;
        let own = view.namespace(prefix)?.unwrap_or_default();
        Ok(Placed { own, place, names: names(view)?, region: self.regions.own() })
    }
}

/// Nothing is known of the cluster yet.
pub(super) fn not_founded() -> DeletionError {
    DeletionError::Unavailable("this node has not heard from the cluster's directory yet: try again".to_owned())
}

fn names(view: &View<Arc<dyn Engine>>) -> Result<BTreeMap<RegionId, String>, StateError> {
    Ok(view.regions()?.into_iter().map(|(id, region)| (id, region.name)).collect())
}

fn says_something(prefix: &str, record: &NamespaceRecord, several: bool) -> bool {
    let is_common = prefix.is_empty() && !several && record.residency == Some(Residency::Home);
    let says_home = (record.home.is_some() || record.residency.is_some()) && !is_common;
    let says_copies = record.replication.is_some() || record.moving.is_some() || !record.aside.is_empty();
    says_home || says_copies || record.elsewhere.is_some() || !record.policy.is_empty()
}
