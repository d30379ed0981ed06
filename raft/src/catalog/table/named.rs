//! The next repository of tables whose keys begin with one.

use storage::kv::Scan;

use crate::catalog::name::RepositoryName;
use crate::key::Key;
use crate::machine::State;
use crate::table::{StateError, Table, inconsistent};

/// The first repository of which the table has a row, from a text on. The text need not be a name; one row is read.
pub(crate) fn first_named<T: Table>(state: &impl State, from: &[u8]) -> Result<Option<RepositoryName>, StateError> {
    let start = T::key::<()>(());
    let mut scan = Scan::prefix(T::COLUMN, &start, 1);
    scan.start = [start.as_slice(), from].concat().into();
    let Some((key, _)) = state.scan(&scan)?.into_iter().next() else { return Ok(None) };
    let name = <RepositoryName as Key>::read(&mut &key[start.len()..]);
    name.map(Some).ok_or_else(|| inconsistent(T::NAME, "a key does not begin with a repository"))
}

/// Where the names behind one begin: in keys a name ends with a zero byte, and no name holds a byte below this one.
pub(crate) fn behind(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[1]].concat()
}
