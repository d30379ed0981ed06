//! Copies in the model: what is owed of a prefix, and what leaves with a repository.

use std::collections::BTreeMap;

use super::super::replication::{SOURCE, position, surveying};
use super::super::store::*;
use super::{Model, REPOSITORIES, ROLED};
use crate::catalog::*;
use crate::policy::Role;
use crate::time::Timestamp;

/// What is owed: whether each debt has failed, by its number.
#[derive(Clone, Debug, Default)]
pub(super) struct Owed {
    debts: BTreeMap<u64, bool>,
    last: u64,
    heard: u64,
    synced: Option<u64>,
    follows: bool,
}

impl Model {
    pub(super) fn evict(&mut self, store: &mut Store, name: usize, limit: u32) {
        let roled = REPOSITORIES[name].starts_with(ROLED);
        let foreign = roled && self.rules.role == Some(Role::Foreign) && self.owed.is_none();
        let policy_version = store.view().policy_version().unwrap();
        loop {
            let evict = Command::Evict { repository: repository(REPOSITORIES[name]), limit, policy_version };
            match store.apply(evict) {
                Response::Stale => return assert!(!foreign),
                Response::Evicted { items, more, .. } => {
                    assert!(foreign && items <= u64::from(limit) && (items > 0 || !more));
                    if !more {
                        break;
                    }
                }
                response => panic!("{response:?}"),
            }
        }
        let view = store.view();
        assert!(!view.evictable(None, 9).unwrap().contains(&repository(REPOSITORIES[name])));
        self.uploads.retain(|_, upload| upload.repository != name);
        self.links.retain(|(of, _)| *of != name);
        self.promised.retain(|(of, _), _| *of != name);
        self.kept.retain(|(of, _), _| *of != name);
        self.manifests.retain(|(of, _), _| *of != name);
        self.tags.retain(|(of, _), _| *of != name);
        self.tombstones.retain(|(of, _), _| *of != name);
        self.deletions.retain(|(of, _), _| *of != name);
    }

    pub(super) fn hear(&mut self, store: &mut Store, debts: usize, follow: bool) {
        let record = store.view().replication(SOURCE, ROLED).unwrap();
        let going = record.as_ref().filter(|record| record.stage != ReplicationStage::Void);
        let (round, begins) = (going.map_or(0, |record| record.round), going.is_none());
        let expected = record.map(|record| record.position());
        assert_eq!(expected.is_some(), self.owed.is_some());
        let heard = self.owed.as_ref().map_or(0, |owed| owed.heard) + 1;
        let item = || DebtItem::Manifest { digest: digest(10) };
        let new = || NewDebt { repository: repository("lib/base"), item: item(), time: Timestamp(1), length_bytes: 1 };
        let follow = follow && !begins;
        let stage = if follow { ReplicationStage::Following } else { surveying() };
        let next = ReplicationPosition { round, ..position(stage, heard) };
        let debts: Vec<NewDebt> = (0..debts).map(|_| new()).collect();
        let number = debts.len();
        let (source, prefix, heard_at) = (SOURCE, ROLED.to_owned(), Timestamp(heard));
        let policy_version = store.view().policy_version().unwrap();
        let advance = AdvanceReplication { source, prefix, expected, next, policy_version, heard: heard_at, debts };
        let response = store.apply(Command::AdvanceReplication(advance));
        if self.rules.role != Some(Role::Replica) {
            assert_eq!(response, Response::Stale);
            return;
        }
        assert_eq!(response, Response::Done);
        let owed = self.owed.get_or_insert_default();
        owed.heard = heard;
        owed.follows = follow;
        let new = store.view().debts(SOURCE, ROLED, Some(owed.last), 1000).unwrap();
        assert_eq!(new.len(), number, "numbers rise");
        owed.debts.extend(new.iter().map(|(number, _)| (*number, false)));
        owed.last = owed.debts.keys().next_back().copied().unwrap_or(0).max(owed.last);
        owed.look();
        self.compare_owed(store);
    }

    /// Strikes debts off, counted from the first.
    pub(super) fn settle(&mut self, store: &mut Store, settled: &[u64], failed: &[u64]) {
        let known: Vec<u64> = self.owed.iter().flat_map(|owed| owed.debts.keys().copied()).collect();
        let number = |nth: &u64| known.get(usize::try_from(*nth).unwrap()).copied().unwrap_or(u64::MAX);
        let (settled, failed): (Vec<u64>, Vec<u64>) =
            (settled.iter().map(number).collect(), failed.iter().map(number).collect());
        let round = store.view().replication(SOURCE, ROLED).unwrap().map_or(0, |record| record.round);
        let paid = settled.iter().map(|number| SettledDebt { number: *number, bytes: 1 }).collect();
        let failure = |number: &u64| FailedDebt { number: *number, error: String::new(), retry_seconds: 1 };
        let unpaid = failed.iter().map(failure).collect();
        let settle = SettleDebts { source: SOURCE, prefix: ROLED.to_owned(), round, settled: paid, failed: unpaid };
        let response = store.apply(Command::SettleDebts(settle));
        if self.rules.role != Some(Role::Replica) {
            assert_eq!(response, Response::Stale);
            return;
        }
        let Some(owed) = &mut self.owed else { return assert_eq!(response, Response::Count { count: 0 }) };
        let mut count = 0;
        for number in &settled {
            count += u64::from(owed.debts.remove(number).is_some());
        }
        for number in &failed {
            if let Some(failing) = owed.debts.get_mut(number) {
                *failing = true;
                count += 1;
            }
        }
        assert_eq!(response, Response::Count { count });
        owed.look();
        self.compare_owed(store);
    }

    pub(super) fn forget(&mut self, store: &mut Store, limit: u32) {
        let drop = Command::DropReplication { source: SOURCE, prefix: ROLED.to_owned(), limit };
        let response = store.apply(drop);
        let Some(owed) = &mut self.owed else { return assert_eq!(response, Response::Count { count: 0 }) };
        let gone: Vec<u64> = owed.debts.keys().copied().take(limit as usize).collect();
        owed.debts.retain(|number, _| !gone.contains(number));
        let whole = owed.debts.is_empty();
        (owed.follows, owed.synced) = (false, None);
        assert_eq!(response, Response::Count { count: gone.len() as u64 + u64::from(whole) });
        if whole {
            self.owed = None;
        }
        self.compare_owed(store);
    }

    /// The role has changed: what was found to be here is not known any more. What is owed stays.
    pub(super) fn survey_anew(&mut self) {
        if let Some(owed) = &mut self.owed {
            (owed.follows, owed.synced) = (false, None);
        }
    }

    fn compare_owed(&self, store: &Store) {
        let record = store.view().replication(SOURCE, ROLED).unwrap();
        let found = record.map(|record| (record.debts, record.failing, record.heard.0, record.synced.map(|at| at.0)));
        let known = self.owed.as_ref().map(|owed| {
            let failing = owed.debts.values().filter(|failing| **failing).count() as u64;
            (owed.debts.len() as u64, failing, owed.heard, owed.synced)
        });
        assert_eq!(found, known);
        let numbers = store.view().debts(SOURCE, ROLED, None, 1000).unwrap().into_iter().map(|(number, _)| number);
        let known = self.owed.iter().flat_map(|owed| owed.debts.keys().copied());
        assert_eq!(numbers.collect::<Vec<_>>(), known.collect::<Vec<_>>());
    }
}

impl Owed {
    /// In sync while it follows and owes nothing.
    fn look(&mut self) {
        if self.follows && self.debts.is_empty() {
            self.synced = Some(self.heard);
        }
    }
}
