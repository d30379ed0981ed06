//! Accounts by key, bounded: in two generations, of which the older one is dropped when the younger is full or old.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::account::Account;

/// Age of a generation. Longer than any bucket takes to be full again.
const GENERATION_TIME: Duration = Duration::from_mins(1);

/// Accounts by key.
#[derive(Debug)]
pub(super) struct Table<K> {
    young: BTreeMap<K, Arc<Account>>,
    old: BTreeMap<K, Arc<Account>>,
    begun: Instant,
    /// Accounts of one generation.
    limit: usize,
}

impl<K: Ord + Clone> Table<K> {
    /// An empty one, for at most twice as many as `limit`, and those that are in use besides.
    pub(super) fn new(limit: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), begun: Instant::now(), limit }
    }

    /// The account of a key, made if there is none.
    pub(super) fn account(&mut self, key: &K, make: impl FnOnce() -> Account) -> Arc<Account> {
        if self.young.len() >= self.limit || self.begun.elapsed() >= GENERATION_TIME {
            self.turn();
        }
        if let Some(account) = self.young.get(key) {
            return Arc::clone(account);
        }
        let account = self.old.remove(key).unwrap_or_else(|| Arc::new(make()));
        self.young.insert(key.clone(), Arc::clone(&account));
        account
    }

    /// Forgets the older generation, but for what is in use: its uploads are still counted.
    fn turn(&mut self) {
        let gone = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        self.old.extend(gone.into_iter().filter(|(_, account)| Arc::strong_count(account) > 1));
        self.begun = Instant::now();
    }

    /// How many it keeps.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
