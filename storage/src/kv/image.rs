//! The content of an in-memory engine: columns of ordered keys, and what a batch and a scan do to them.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::{Batch, Change, Direction, Pair, Scan};

/// One column's keys and values.
pub(super) type Keys = BTreeMap<Bytes, Bytes>;

/// All columns by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) columns: BTreeMap<String, Keys>,
}

impl Image {
    /// Value of a key.
    pub(super) fn get(&self, column: &str, key: &[u8]) -> Option<Bytes> {
        self.columns.get(column)?.get(key).cloned()
    }

    /// Applies a batch, in order.
    pub(super) fn apply(&mut self, batch: &Batch) {
        for change in &batch.changes {
            match change {
                Change::Put(column, key, value) => {
                    self.column(column.0).insert(key.clone(), value.clone());
                }
                Change::Delete(column, key) => {
                    self.column(column.0).remove(key);
                }
                Change::DeleteRange(column, start, end) => {
                    let column = self.column(column.0);
                    let doomed: Vec<Bytes> = range(column, start, Some(end)).map(|(key, _)| key.clone()).collect();
                    for key in doomed {
                        column.remove(&key);
                    }
                }
            }
        }
    }

    /// The pairs of a scan.
    pub(super) fn scan(&self, scan: &Scan) -> Vec<Pair> {
        let Some(keys) = self.columns.get(scan.column.0) else { return Vec::new() };
        let pairs = range(keys, &scan.start, scan.end.as_ref()).map(|(key, value)| (key.clone(), value.clone()));
        match scan.direction {
            Direction::Forward => pairs.take(scan.limit).collect(),
            Direction::Reverse => pairs.rev().take(scan.limit).collect(),
        }
    }

    fn column(&mut self, name: &str) -> &mut Keys {
        if !self.columns.contains_key(name) {
            self.columns.insert(name.to_owned(), Keys::new());
        }
        self.columns.get_mut(name).expect("it was just put there")
    }
}

/// The keys in `start..end`; none if the end is not behind the start.
fn range<'a>(
    keys: &'a Keys,
    start: &Bytes,
    end: Option<&Bytes>,
) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a Bytes)> + use<'a> {
    let end = match end {
        // `BTreeMap::range` panics on a range that ends before it starts.
        Some(end) if end <= start => Bound::Excluded(start.clone()),
        Some(end) => Bound::Excluded(end.clone()),
        None => Bound::Unbounded,
    };
    keys.range((Bound::Included(start.clone()), end))
}
