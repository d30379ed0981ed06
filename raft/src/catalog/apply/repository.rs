//! Repository records: counts of content. A repository comes with its first content and goes with its last.

use super::context::{Context, subtract};
use super::usage;
use crate::catalog::name::RepositoryName;
use crate::catalog::record::RepositoryRecord;
use crate::catalog::table::Repositories;
use crate::machine::ApplyError;
use crate::table::Table;

/// Changes the counts of a repository.
pub(super) fn change(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    edit: impl FnOnce(&mut RepositoryRecord) -> Result<(), ApplyError>,
) -> Result<(), ApplyError> {
    let present = Repositories::get(context.state, repository)?;
    let existed = present.is_some();
    let fresh = || RepositoryRecord { created: context.now, ..RepositoryRecord::default() };
    let mut record = present.clone().unwrap_or_else(fresh);
    edit(&mut record)?;
    let exists = record.manifests > 0 || record.tags > 0 || record.links > 0;
    if exists {
        Repositories::put(context.state, repository, &record);
    } else {
        Repositories::delete(context.state, repository);
    }
    usage::change(context, repository, present.as_ref(), exists.then_some(&record))?;
    match (existed, exists) {
        (false, true) => context.totals.repositories += 1,
        (true, false) => subtract(&mut context.totals.repositories, 1, "repositories in total")?,
        _ => {}
    }
    Ok(())
}
