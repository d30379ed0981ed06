//! Mount, touch and unlink: commands on a blob that exists. A condemned blob does not exist.

use super::context::Context;
use super::link;
use crate::catalog::command::Response;
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::table::{Links, ManifestUses};
use crate::machine::ApplyError;
use crate::table::{Table, inconsistent};

/// Links an existing blob. Without `from` it must be visible in any repository: what was deleted everywhere is gone for
/// clients, although its bytes wait for their grace.
pub(super) fn mount(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    from: Option<RepositoryName>,
) -> Result<Response, ApplyError> {
    let Some(blob) = link::live(context, digest)? else { return Ok(Response::BlobUnknown) };
    let visible = match &from {
        Some(from) => Links::contains(context.state, (from, digest))?,
        None => blob.links > 0,
    };
    if !visible {
        return Ok(Response::BlobUnknown);
    }
    let length_bytes = blob.length_bytes;
    link::link(context, repository, digest, blob, from)?;
    Ok(Response::Mounted { length_bytes })
}

/// Renews the grace of a blob that a client was told exists. Coalesced.
pub(super) fn touch(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApplyError> {
    let Some(blob) = link::live(context, digest)? else { return Ok(Response::BlobUnknown) };
    let Some(record) = Links::get(context.state, (repository, digest))? else { return Ok(Response::BlobUnknown) };
    link::touch(context, repository, digest, record, blob)?;
    Ok(Response::Done)
}

/// Removes a link that no manifest needs.
pub(super) fn unlink(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApplyError> {
    let Some(blob) = link::live(context, digest)? else { return Ok(Response::BlobUnknown) };
    let Some(record) = Links::get(context.state, (repository, digest))? else { return Ok(Response::BlobUnknown) };
    if record.uses > 0 {
        let uses = ManifestUses::scan::<(RepositoryName, Digest)>(context.state, (repository, digest), None, 1)?;
        let Some(((_, _, manifest), ())) = uses.into_iter().next() else {
            return Err(inconsistent("link", "it counts uses that have no edge"));
        };
        return Ok(Response::BlobInUse { manifest });
    }
    link::unlink(context, repository, digest, blob)?;
    Ok(Response::Done)
}
