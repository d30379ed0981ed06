//! Rows below a prefix of repository names, of tables whose keys begin with a repository.

use storage::kv::Scan;

use crate::catalog::name::RepositoryName;
use crate::key::Key;
use crate::machine::State;
use crate::table::{KeyRef, Rows, StateError, Table};

/// Rows of every repository below a prefix, in key order, begun behind `after`. The root's prefix is empty.
///
/// Repositories below `acme` are `acme` itself and those whose names begin with `acme/`; between the two, others sort
/// (`acme-x`), so these are two scans.
pub(crate) fn rows_below<T: Table>(
    state: &impl State,
    prefix: &str,
    after: Option<KeyRef<'_, T>>,
    limit: usize,
) -> Result<Rows<T>, StateError> {
    let after = after.map(T::key::<T::Key>);
    let read = |start: &[u8], limit: usize| {
        let scan = Scan::prefix(T::COLUMN, start, limit);
        T::rows(
            state,
            &match &after {
                Some(after) => scan.after(after),
                None => scan,
            },
        )
    };
    let mut start = T::key::<()>(());
    let Ok(own) = prefix.parse::<RepositoryName>() else { return read(&start, limit) };
    let mut exact = start.clone();
    <RepositoryName as Key>::write(&own, &mut exact);
    let mut rows = read(&exact, limit)?;
    if rows.len() < limit {
        start.extend_from_slice(prefix.as_bytes());
        start.push(b'/');
        rows.extend(read(&start, limit - rows.len())?);
    }
    Ok(rows)
}
