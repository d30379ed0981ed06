//! Typed tables over the columns of an engine: a kind byte, then the key's parts; the value in its frozen encoding.
//!
//! Each table of a machine is a type of its own in a file of its own. This module knows no machine.

use storage::kv::{Bytes, Column, Scan};

use crate::codec::{self, CodecError, Versioned};
use crate::key::Key;
use crate::machine::{ApplyError, State, Transaction};

/// Why the state could not be read: the engine failed, or a record is damaged.
pub type StateError = ApplyError;

/// A value as it is stored.
pub(crate) trait Value: Sized {
    /// Its bytes.
    fn to_bytes(&self) -> Bytes;

    /// The inverse.
    fn from_bytes(bytes: Bytes) -> Result<Self, CodecError>;
}

impl<V: Versioned> Value for V {
    fn to_bytes(&self) -> Bytes {
        codec::encode(self).into()
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, CodecError> {
        codec::decode(&bytes)
    }
}

/// An edge or an index entry: the key says it all.
impl Value for () {
    fn to_bytes(&self) -> Bytes {
        Bytes::new()
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, CodecError> {
        if bytes.is_empty() {
            return Ok(());
        }
        Err(CodecError::Malformed { name: "index entry", message: format!("{} trailing bytes", bytes.len()) })
    }
}

/// Raw content, stored as it came.
impl Value for Bytes {
    fn to_bytes(&self) -> Bytes {
        self.clone()
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, CodecError> {
        Ok(bytes)
    }
}

/// Reference form of a table's key.
pub(crate) type KeyRef<'a, T> = <<T as Table>::Key as Key>::Ref<'a>;

/// Rows of a table.
pub(crate) type Rows<T> = Vec<(<T as Table>::Key, <T as Table>::Value)>;

/// One persisted key kind.
pub(crate) trait Table {
    /// Its name, for errors.
    const NAME: &'static str;
    /// Column that holds it.
    const COLUMN: Column;
    /// First byte of its keys, unique within the machine, never given to another kind.
    const KIND: u8;
    /// Its key.
    type Key: Key;
    /// Its value.
    type Value: Value;

    /// Bytes of a key, or of the keys' common prefix when `K` is a leading run of parts.
    fn key<K: Key>(key: K::Ref<'_>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96);
        bytes.push(Self::KIND);
        K::write(key, &mut bytes);
        bytes
    }

    /// The inverse of [`key`](Self::key) for a whole key.
    fn read_key(bytes: &[u8]) -> Result<Self::Key, CodecError> {
        let malformed =
            || CodecError::Malformed { name: Self::NAME, message: "the key is not one of this table".to_owned() };
        let (kind, mut parts) = bytes.split_first().ok_or_else(malformed)?;
        if *kind != Self::KIND {
            return Err(malformed());
        }
        let key = Self::Key::read(&mut parts).ok_or_else(malformed)?;
        if parts.is_empty() { Ok(key) } else { Err(malformed()) }
    }

    /// Value of a key.
    fn get(state: &impl State, key: KeyRef<'_, Self>) -> Result<Option<Self::Value>, StateError> {
        match state.get(Self::COLUMN, &Self::key::<Self::Key>(key))? {
            Some(bytes) => Ok(Some(Self::Value::from_bytes(bytes)?)),
            None => Ok(None),
        }
    }

    /// Value of a key that must be there.
    fn require(state: &impl State, key: KeyRef<'_, Self>) -> Result<Self::Value, StateError> {
        Self::get(state, key)?.ok_or_else(|| inconsistent(Self::NAME, "a row that others point to is missing"))
    }

    /// Whether there is a row.
    fn contains(state: &impl State, key: KeyRef<'_, Self>) -> Result<bool, StateError> {
        Ok(state.get(Self::COLUMN, &Self::key::<Self::Key>(key))?.is_some())
    }

    /// Sets a row.
    fn put(state: &mut Transaction<'_>, key: KeyRef<'_, Self>, value: &Self::Value) {
        state.put(Self::COLUMN, Self::key::<Self::Key>(key), value.to_bytes());
    }

    /// Removes a row; a missing one is no error.
    fn delete(state: &mut Transaction<'_>, key: KeyRef<'_, Self>) {
        state.delete(Self::COLUMN, Self::key::<Self::Key>(key));
    }

    /// Rows whose keys begin with `prefix`, in key order, begun behind `after`.
    fn scan<P: Key>(
        state: &impl State,
        prefix: P::Ref<'_>,
        after: Option<KeyRef<'_, Self>>,
        limit: usize,
    ) -> Result<Rows<Self>, StateError> {
        let mut scan = Scan::prefix(Self::COLUMN, &Self::key::<P>(prefix), limit);
        if let Some(after) = after {
            scan = scan.after(&Self::key::<Self::Key>(after));
        }
        Self::rows(state, &scan)
    }

    /// Rows whose keys begin with `prefix`, from `from` on, inclusive.
    fn scan_from<P: Key>(
        state: &impl State,
        prefix: P::Ref<'_>,
        from: KeyRef<'_, Self>,
        limit: usize,
    ) -> Result<Rows<Self>, StateError> {
        let mut scan = Scan::prefix(Self::COLUMN, &Self::key::<P>(prefix), limit);
        scan.start = Self::key::<Self::Key>(from).into();
        Self::rows(state, &scan)
    }

    /// Rows in key order whose keys are below `end`, a leading run of parts.
    fn scan_below<P: Key>(state: &impl State, end: P::Ref<'_>, limit: usize) -> Result<Rows<Self>, StateError> {
        let mut scan = Scan::prefix(Self::COLUMN, &[Self::KIND], limit);
        scan.end = Some(Self::key::<P>(end).into());
        Self::rows(state, &scan)
    }

    /// Rows in key order behind `after` whose keys are below `end`, a leading run of parts.
    fn scan_between<P: Key>(
        state: &impl State,
        after: Option<KeyRef<'_, Self>>,
        end: P::Ref<'_>,
        limit: usize,
    ) -> Result<Rows<Self>, StateError> {
        let mut scan = Scan::prefix(Self::COLUMN, &[Self::KIND], limit);
        if let Some(after) = after {
            scan = scan.after(&Self::key::<Self::Key>(after));
        }
        scan.end = Some(Self::key::<P>(end).into());
        Self::rows(state, &scan)
    }

    /// Rows of any scan within this table.
    fn rows(state: &impl State, scan: &Scan) -> Result<Rows<Self>, StateError> {
        let mut rows = Vec::new();
        for (key, value) in state.scan(scan)? {
            rows.push((Self::read_key(&key)?, Self::Value::from_bytes(value)?));
        }
        Ok(rows)
    }
}

/// The state contradicts itself: the replica stops rather than to build on it.
pub(crate) fn inconsistent(name: &'static str, message: &str) -> StateError {
    CodecError::Malformed { name, message: message.to_owned() }.into()
}

/// Property tests of one table: rows survive the way through an engine, keys sort like their parts.
#[cfg(test)]
macro_rules! row_tests {
    ($table:ident, $key:expr, $value:expr $(,)?) => {
        mod tests {
            #[allow(unused_imports, reason = "not every table needs all generators")]
            use proptest::prelude::*;

            use super::$table;
            #[allow(unused_imports, reason = "not every table needs all generators")]
            use crate::strategy::*;
            use crate::table::tests::{keys_sort, row_round_trips};

            proptest! {
                #[test]
                fn a_row_round_trips(key in $key, value in $value) {
                    row_round_trips::<$table>(&key, &value);
                }

                #[test]
                fn keys_sort_like_their_parts(left in $key, right in $key) {
                    keys_sort::<$table>(&left, &right);
                }
            }
        }
    };
}

#[cfg(test)]
pub(crate) use row_tests;

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Debug;
    use std::path::Path;

    use storage::kv::{Batch, Engine, EngineError, Pair};
    use storage::seal::Seals;

    use super::*;

    /// An engine without rows, below a transaction that has some.
    #[derive(Debug)]
    struct Empty;

    impl Engine for Empty {
        fn get(&self, _column: Column, _key: &[u8]) -> Result<Option<Bytes>, EngineError> {
            Ok(None)
        }

        fn scan(&self, _scan: &Scan) -> Result<Vec<Pair>, EngineError> {
            Ok(Vec::new())
        }

        fn write(&self, _batch: Batch) -> Result<(), EngineError> {
            Ok(())
        }

        fn sync(&self) -> Result<(), EngineError> {
            Ok(())
        }

        fn checkpoint(&self, _directory: &Path) -> Result<(), EngineError> {
            Ok(())
        }

        fn rewrite(&self, _goes_on: &dyn Fn() -> bool) -> Result<(), EngineError> {
            Ok(())
        }

        fn seals(&self) -> Result<Seals, EngineError> {
            Ok(Seals::new())
        }
    }

    pub(crate) fn row_round_trips<T: Table>(key: &T::Key, value: &T::Value)
    where
        T::Key: PartialEq + Debug,
        T::Value: PartialEq + Debug,
    {
        let bytes = T::key::<T::Key>(key.by_ref());
        assert_eq!(&T::read_key(&bytes).unwrap(), key);
        assert_eq!(&T::Value::from_bytes(value.to_bytes()).unwrap(), value);
        assert!(T::read_key(&[]).is_err());
        assert!(T::read_key(&[T::KIND.wrapping_add(1)]).is_err());

        let mut state = Transaction::new(&Empty);
        assert!(T::require(&state, key.by_ref()).is_err());
        T::put(&mut state, key.by_ref(), value);
        assert!(T::contains(&state, key.by_ref()).unwrap());
        assert_eq!(T::get(&state, key.by_ref()).unwrap().as_ref(), Some(value));
        let rows = T::scan::<()>(&state, (), None, 2).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((&rows[0].0, &rows[0].1), (key, value));
        assert_eq!(T::scan_from::<()>(&state, (), key.by_ref(), 2).unwrap().len(), 1);
        assert!(T::scan::<()>(&state, (), Some(key.by_ref()), 2).unwrap().is_empty());
        T::delete(&mut state, key.by_ref());
        assert!(!T::contains(&state, key.by_ref()).unwrap());
        assert!(T::scan::<()>(&state, (), None, 2).unwrap().is_empty());
    }

    pub(crate) fn keys_sort<T: Table>(left: &T::Key, right: &T::Key)
    where
        T::Key: Ord + Debug,
    {
        let ordering = T::key::<T::Key>(left.by_ref()).cmp(&T::key::<T::Key>(right.by_ref()));
        assert_eq!(ordering, left.cmp(right), "{left:?} {right:?}");
    }
}
