//! The home of every namespace, in memory: a request finds it by a few look-ups and reads no disk.
//!
//! It is this node's replica of the directory that says it, which may be a moment behind; a request that comes to the
//! wrong region by that is refused there, in the order of the catalog's log. In a cluster of one region nothing is looked
//! up.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use raft::directory::{NamespaceRecord, Place, StateError, View};
use raft::id::RegionId;
use storage::exec::Exec;
use storage::kv::Engine;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::deletion::DirectoryRecords;

/// Namespaces read at once.
const PAGE_NAMESPACES: usize = 512;
/// How often all is read again when namespaces change meanwhile.
const ATTEMPTS: usize = 8;
/// Rest between two readings.
const REST: Duration = Duration::from_millis(20);
/// Longest time between two readings.
const REREAD_AFTER: Duration = Duration::from_secs(5);

/// A region, as the directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its id.
    pub id: RegionId,
    /// Its name.
    pub name: String,
    /// URL at which clients reach it.
    pub public_url: Option<String>,
}

/// All that is known at one moment.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Version of the namespaces that it was read from.
    version: u64,
    regions: BTreeMap<RegionId, Region>,
    /// What holds at each prefix that says something about it.
    places: BTreeMap<String, Arc<Place>>,
    /// Whether nothing is to be removed for being foreign, since the directory was taken over.
    removals_held: bool,
}

impl Table {
    /// What was set, by prefix.
    pub(super) fn new(
        version: u64,
        regions: BTreeMap<RegionId, Region>,
        set: &BTreeMap<String, NamespaceRecord>,
    ) -> Self {
        let says = |record: &NamespaceRecord| {
            record.home.is_some()
                || record.residency.is_some()
                || record.elsewhere.is_some()
                || record.replication.is_some()
                || record.moving.is_some()
                || !record.aside.is_empty()
        };
        let place = |prefix: &String| {
            let layers = ancestors(prefix).collect::<Vec<_>>().into_iter().rev();
            let layers = layers.filter_map(|at| set.get(at).map(|record| (at, record)));
            Some((prefix.clone(), Arc::new(Place::resolve(layers)?)))
        };
        let speaking = set.iter().filter(|(_, record)| says(record)).map(|(prefix, _)| prefix);
        Self { version, regions, places: speaking.filter_map(place).collect(), removals_held: false }
    }

    /// What holds for a repository or a prefix.
    pub(crate) fn place(&self, prefix: &str) -> Option<&Arc<Place>> {
        self.place_at(prefix).map(|(_, place)| place)
    }

    /// The prefix that says what holds for a repository or a prefix, and what that is.
    pub(crate) fn place_at(&self, prefix: &str) -> Option<(&str, &Arc<Place>)> {
        ancestors(prefix).find_map(|at| self.places.get_key_value(at)).map(|(at, place)| (at.as_str(), place))
    }

    /// Version of the namespaces that it was read from.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Whether nothing is to be removed for being foreign, since the directory was taken over.
    pub(super) const fn removals_held(&self) -> bool {
        self.removals_held
    }

    /// A region.
    pub(crate) fn region(&self, region: RegionId) -> Option<&Region> {
        self.regions.get(&region)
    }

    /// All regions, by id.
    pub(crate) fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }

    /// All prefixes that say something about a place, the root first, each with what holds there.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, &Arc<Place>)> {
        self.places.iter().map(|(prefix, place)| (prefix.as_str(), place))
    }

    /// The shortest prefixes below one that say something themselves: what holds at the prefix holds for everything
    /// below it but not below these.
    pub(super) fn except(&self, prefix: &str) -> Vec<String> {
        let mut except: BTreeSet<&str> = BTreeSet::new();
        for (at, _) in self.below(prefix) {
            // What covers another one comes before it.
            if !ancestors(at).skip(1).any(|shorter| except.contains(shorter)) {
                except.insert(at);
            }
        }
        except.into_iter().map(str::to_owned).collect()
    }

    /// What is said at longer prefixes below one, in order.
    pub(super) fn below(&self, prefix: &str) -> impl Iterator<Item = (&str, &Arc<Place>)> {
        let inner = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let (begin, end) = (inner.clone(), inner);
        let rest = self.places.range::<String, _>((Bound::Included(begin), Bound::Unbounded));
        let inside = rest.take_while(move |(at, _)| at.starts_with(end.as_str()));
        inside.filter(|(at, _)| !at.is_empty()).map(|(at, place)| (at.as_str(), place))
    }

    /// Whether there is no other region than this one.
    pub(super) fn is_sole(&self, own: RegionId) -> bool {
        self.regions.len() == 1 && self.regions.contains_key(&own)
    }
}

/// A prefix and all shorter ones, the root last.
pub(super) fn ancestors(prefix: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(prefix), |at| {
        (!at.is_empty()).then(|| at.rsplit_once('/').map_or("", |(shorter, _)| shorter))
    })
}

/// The homes. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Homes {
    directory: Arc<dyn DirectoryRecords>,
    exec: Exec,
    table: Arc<ArcSwap<Table>>,
}

impl Homes {
    /// Reads the directory once.
    pub(super) async fn start(directory: Arc<dyn DirectoryRecords>, exec: Exec) -> Self {
        let homes = Self { directory, exec, table: Arc::default() };
        homes.reread().await;
        homes
    }

    /// The same at once, for tests.
    #[cfg(test)]
    pub(super) fn now(directory: Arc<dyn DirectoryRecords>, exec: Exec) -> Self {
        let table = read(&directory.view(), &Table::default()).unwrap().unwrap();
        Self { directory, exec, table: Arc::new(ArcSwap::from_pointee(table)) }
    }

    /// What is known now.
    pub(super) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Follows the directory, for ever.
    pub(super) async fn keep(self) {
        let mut changes = self.directory.changes();
        loop {
            changes.mark_unchanged();
            self.reread().await;
            sleep(REST).await;
            if let Ok(Err(_closed)) = timeout(REREAD_AFTER, changes.changed()).await {
                // The replica has stopped: the process is about to end.
                sleep(REREAD_AFTER).await;
            }
        }
    }

    async fn reread(&self) {
        let (view, present) = (self.directory.view(), self.table());
        match self.exec.run(move || read(&view, &present)).await {
            Ok(Some(table)) => self.table.store(Arc::new(table)),
            Ok(None) => {}
            Err(error) => warn!(%error, "the homes of namespaces cannot be read, those of before are used"),
        }
    }
}

/// What the directory says, if it is another thing than what is known.
fn read(view: &View<Arc<dyn Engine>>, present: &Table) -> Result<Option<Table>, StateError> {
    for _ in 0..ATTEMPTS {
        let version = view.policy_version()?;
        let region = |(id, record): (RegionId, raft::directory::RegionRecord)| {
            (id, Region { id, name: record.name, public_url: record.public_url })
        };
        let regions: BTreeMap<RegionId, Region> = view.regions()?.into_iter().map(region).collect();
        let removals_held = view.cluster()?.is_some_and(|cluster| cluster.evictions_held.is_some());
        if version == present.version && !present.places.is_empty() {
            let changed = regions != present.regions || removals_held != present.removals_held;
            let table = Table { version, regions, removals_held, places: present.places.clone() };
            return Ok(changed.then_some(table));
        }
        let set = namespaces(view)?;
        if view.policy_version()? == version {
            return Ok(Some(Table { removals_held, ..Table::new(version, regions, &set) }));
        }
    }
    Ok(None)
}

fn namespaces(view: &View<Arc<dyn Engine>>) -> Result<BTreeMap<String, NamespaceRecord>, StateError> {
    let mut set = BTreeMap::new();
    loop {
        let after = set.last_key_value().map(|(prefix, _): (&String, _)| prefix.clone());
        let page = view.namespaces(after.as_deref(), PAGE_NAMESPACES)?;
        let end = page.len() < PAGE_NAMESPACES;
        set.extend(page);
        if end {
            return Ok(set);
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::directory::{Elsewhere, Residency};

    use super::*;

    const EU: RegionId = RegionId(1);
    const US: RegionId = RegionId(2);

    fn table(set: &[(&str, NamespaceRecord)], regions: &[RegionId]) -> Table {
        let region = |id: &RegionId| (*id, Region { id: *id, name: format!("r{id}"), public_url: None });
        let root = NamespaceRecord { home: Some(EU), residency: Some(Residency::Home), ..NamespaceRecord::default() };
        let mut records = BTreeMap::from([(String::new(), root)]);
        records.extend(set.iter().map(|(prefix, record)| ((*prefix).to_owned(), record.clone())));
        Table::new(1, regions.iter().map(region).collect(), &records)
    }

    #[test]
    fn the_longest_prefix_that_says_something_decides() {
        let home = |region| NamespaceRecord { home: Some(region), ..NamespaceRecord::default() };
        let refuse = NamespaceRecord { elsewhere: Some(Elsewhere::Refuse), ..NamespaceRecord::default() };
        let silent = NamespaceRecord::default();
        let set = [("acme", home(US)), ("acme/app", refuse), ("acme/app/x", silent), ("acme/eu", home(EU))];
        let table = table(&set, &[EU, US]);
        let found = |name| table.place(name).map(|place| (place.home, place.elsewhere)).unwrap();
        assert_eq!(found("other"), (EU, Elsewhere::Proxy));
        assert_eq!(found(""), (EU, Elsewhere::Proxy));
        assert_eq!(found("acmex/app"), (EU, Elsewhere::Proxy));
        assert_eq!(found("acme"), (US, Elsewhere::Proxy));
        assert_eq!(found("acme/tool/x"), (US, Elsewhere::Proxy));
        assert_eq!(found("acme/app"), (US, Elsewhere::Refuse));
        assert_eq!(found("acme/app/x"), (US, Elsewhere::Refuse));
        assert_eq!(found("acme/eu/app"), (EU, Elsewhere::Proxy));
        assert!(!table.places.contains_key("acme/app/x"), "it says nothing itself");
    }

    #[test]
    fn one_region_alone_needs_no_look() {
        assert!(table(&[], &[EU]).is_sole(EU));
        assert!(!table(&[], &[EU]).is_sole(US), "the own one is not known yet");
        assert!(!table(&[], &[EU, US]).is_sole(EU));
        assert!(!Table::default().is_sole(EU), "nothing is known yet");
    }
}
