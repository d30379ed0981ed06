//! Reads from the directory what it says about access: all of one version, page by page.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft::directory::{StateError, View};
use storage::kv::Engine;

use super::rights::{Records, Rights};
use crate::tenant::Domains;

/// Rows read at once.
const PAGE_ROWS: usize = 512;
/// How often all is read again when it changes meanwhile.
const ATTEMPTS: usize = 8;

/// What the directory says.
pub(super) enum Reading {
    /// What is known already. Before the cluster is founded that is nothing.
    Known,
    /// Something else.
    Changed(Arc<Rights>),
    /// It changes faster than it can be read.
    Restless,
}

/// Reads what the directory says, unless it is what is known.
pub(super) fn read(view: &View<Arc<dyn Engine>>, present: &Rights) -> Result<Reading, StateError> {
    if view.cluster()?.is_none() {
        return Ok(Reading::Known);
    }
    for _ in 0..ATTEMPTS {
        let version = view.access_version()?;
        if present.is_known() && version == present.version() {
            return Ok(Reading::Known);
        }
        let records = Records {
            version,
            users: pages(|after: Option<&String>| view.users(after.map(String::as_str), PAGE_ROWS))?,
            robots: pages(|after: Option<&String>| view.robots(after.map(String::as_str), PAGE_ROWS))?,
            groups: view.groups()?.into_iter().map(|(name, _)| name).collect(),
            roles: view.roles()?.into_iter().collect(),
            bindings: pages(|after| view.bindings(after.copied(), PAGE_ROWS))?,
            issuers: view.issuers()?.into_iter().collect(),
            signing_keys: view.signing_keys()?.into_iter().collect(),
            domains: Domains::new(view.domains()?),
        };
        if view.access_version()? == version {
            let rights = Rights::new(records).with_people_keys(present.people_keys_seconds());
            return Ok(Reading::Changed(Arc::new(rights)));
        }
    }
    Ok(Reading::Restless)
}

/// All rows of a table.
fn pages<K: Ord, V>(
    read: impl Fn(Option<&K>) -> Result<Vec<(K, V)>, StateError>,
) -> Result<BTreeMap<K, V>, StateError> {
    let mut rows = BTreeMap::new();
    loop {
        let page = read(rows.last_key_value().map(|(key, _)| key))?;
        let end = page.len() < PAGE_ROWS;
        rows.extend(page);
        if end {
            return Ok(rows);
        }
    }
}
