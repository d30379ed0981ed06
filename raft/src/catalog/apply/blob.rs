//! Mount, touch and unlink: commands on a blob that exists.

use super::context::Context;
use super::{link, policy, usage};
use crate::catalog::name::{Digest, RepositoryName};
use crate::catalog::response::Response;
use crate::catalog::table::{Blobs, Links, ManifestUses};
use crate::machine::ApplyError;
use crate::table::{Table, inconsistent};

/// Links an existing blob. Without `from` it must be visible in any repository: what was deleted everywhere is gone for
/// clients, although its bytes wait for their grace.
pub(super) fn mount(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    from: Option<RepositoryName>,
    principal: Option<&str>,
) -> Result<Response, ApplyError> {
    if let Some(refusal) = policy::refuse_write(context, repository.as_str(), principal)? {
        return Ok(refusal);
    }
    let Some(blob) = Blobs::get(context.state, digest)? else { return Ok(Response::BlobUnknown) };
    let visible = match &from {
        Some(from) => Links::contains(context.state, (from, digest))?,
        None => blob.links > 0,
    };
    if !visible {
        return Ok(Response::BlobUnknown);
    }
    let length_bytes = blob.length_bytes;
    if let Some(refusal) = refuse_link(context, repository, digest, length_bytes, principal)? {
        return Ok(refusal);
    }
    link::link(context, repository, digest, blob, from)?;
    Ok(Response::Mounted { length_bytes })
}

/// What a quota says against a link that does not exist yet.
pub(super) fn refuse_link(
    context: &Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    length_bytes: u64,
    principal: Option<&str>,
) -> Result<Option<Response>, ApplyError> {
    if policy::is_judged(principal) || Links::contains(context.state, (repository, digest))? {
        return Ok(None);
    }
    let demand = usage::Demand { blobs: vec![(*digest, length_bytes)], ..usage::Demand::default() };
    usage::refuse(context, repository, &demand)
}

/// Renews the grace of a blob that a client was told exists. Coalesced.
pub(super) fn touch(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApplyError> {
    let Some(record) = Links::get(context.state, (repository, digest))? else { return Ok(Response::BlobUnknown) };
    link::touch(context, repository, digest, record)?;
    Ok(Response::Done)
}

/// Removes a link that no manifest needs.
pub(super) fn unlink(
    context: &mut Context<'_, '_>,
    repository: &RepositoryName,
    digest: &Digest,
    principal: Option<&str>,
) -> Result<Response, ApplyError> {
    if let Some(refusal) = policy::refuse_delete(context, repository, principal)? {
        return Ok(refusal);
    }
    let Some(record) = Links::get(context.state, (repository, digest))? else { return Ok(Response::BlobUnknown) };
    if record.uses > 0 {
        let uses = ManifestUses::scan::<(RepositoryName, Digest)>(context.state, (repository, digest), None, 1)?;
        let Some(((_, _, manifest), ())) = uses.into_iter().next() else {
            return Err(inconsistent("link", "it counts uses that have no edge"));
        };
        return Ok(Response::BlobInUse { manifest });
    }
    let blob = Blobs::require(context.state, digest)?;
    let learned = context.now;
    link::unlink(context, repository, digest, &record, blob, learned)?;
    Ok(Response::Done)
}
