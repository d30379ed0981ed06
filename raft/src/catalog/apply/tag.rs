//! Tags: set on a manifest, moved from another one.

use storage::switch;

use super::context::{Context, subtract};
use super::history::Actor;
use super::unheld::Parting;
use super::{history, unheld};
use crate::catalog::event::EventKind;
use crate::catalog::name::{Digest, RepositoryName, Tag};
use crate::catalog::record::TagRecord;
use crate::catalog::table::{ManifestTags, Manifests, Tags};
use crate::machine::ApplyError;
use crate::table::Table;
use crate::time::Timestamp;

/// What setting a tag did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// It pointed to the manifest already.
    Unchanged,
    /// It is new.
    Added,
    /// It pointed to this other manifest, which counts it no more.
    Moved(Digest),
}

/// Points a tag to a manifest. The caller counts it in that manifest and in the repository.
pub(super) fn set(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    tag: &Tag,
    digest: &Digest,
    actor: &Actor,
) -> Result<Set, ApplyError> {
    let present = Tags::get(context.state, (repository, tag))?;
    let previous = present.as_ref().map(|record| record.digest);
    if previous == Some(*digest) {
        if let (Some(record), Some(made)) = (present, actor.made) {
            renew(context, repository, tag, &record, made);
        }
        return Ok(Set::Unchanged);
    }
    let (revision, time) = history::set(context, repository, tag, digest, present.as_ref(), actor)?;
    let kind = EventKind::TagSet { repository: repository.clone(), tag: tag.clone(), digest: *digest, previous };
    let sequence = context.emit(kind);
    let updated = if switch::broken("catalog.apply.diverge") { Timestamp(time.0 + 1) } else { time };
    Tags::put(context.state, (repository, tag), &TagRecord { digest: *digest, updated, sequence, revision });
    ManifestTags::put(context.state, (repository, digest, tag), &());
    let Some(previous) = previous else {
        context.totals.tags += 1;
        return Ok(Set::Added);
    };
    ManifestTags::delete(context.state, (repository, &previous, tag));
    lose(context, repository, &previous, Parting::default())?;
    Ok(Set::Moved(previous))
}

/// A tag that points where it pointed was set anew at the home, if it was: its age is counted from then, here as there.
fn renew(context: &mut Context<'_, '_>, repository: &RepositoryName, tag: &Tag, record: &TagRecord, made: Timestamp) {
    if made > record.updated {
        Tags::put(context.state, (repository, tag), &TagRecord { updated: made, ..record.clone() });
    }
}

/// A manifest has lost one tag.
pub(super) fn lose(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    parting: Parting,
) -> Result<(), ApplyError> {
    let mut record = Manifests::require(context.state, (repository, digest))?;
    subtract(&mut record.tags, 1, "tags of a manifest")?;
    Manifests::put(context.state, (repository, digest), &record);
    unheld::settle(context, repository, digest, &record, parting)
}
