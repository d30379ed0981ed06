//! Publishing: an upload becomes a blob, or heals one, or turns out to be a duplicate of one.

use storage::kv::Bytes;
use storage::shard::ObjectId;

use super::context::{Context, subtract};
use super::{blob, extent, link, malformed, policy, redundancy, upload};
use crate::catalog::command::Advance;
use crate::catalog::name::{Digest, SessionId};
use crate::catalog::record::{BlobRecord, ObjectRecord, ObjectState, UploadRecord};
use crate::catalog::response::Response;
use crate::catalog::table::{Blobs, Links, Objects, Uploads};
use crate::machine::ApplyError;
use crate::table::Table;

/// Commits the last bytes, publishes the object as a blob and links it to the session's repository.
///
/// The session stays until it expires, so that a repetition is answered as the first request was.
pub(super) fn finish(
    context: &mut Context<'_, '_>,
    session: SessionId,
    advance: Advance,
    digest: &Digest,
) -> Result<Response, ApplyError> {
    let Some(mut upload) = Uploads::get(context.state, &session)? else { return Ok(Response::UploadUnknown) };
    if upload.finished.is_some() {
        return repeated(context, &upload, digest);
    }
    let principal = upload.principal.as_deref();
    if let Some(refusal) = policy::refuse_write(context, upload.repository.as_str(), principal)? {
        return Ok(refusal);
    }
    if let Some(refusal) = upload::refuse(context, &upload, &advance)? {
        return Ok(refusal);
    }
    let existing = Blobs::get(context.state, digest)?;
    let added: u64 = advance.extents.iter().map(|new| new.body.length_bytes()).sum();
    let length_bytes = upload.position.offset_bytes.saturating_add(added);
    if existing.as_ref().is_some_and(|blob| blob.length_bytes != length_bytes) {
        return Ok(malformed(format!("{length_bytes} bytes published under the digest of another length")));
    }
    if let Some(refusal) = blob::refuse_link(context, &upload.repository, digest, length_bytes, principal)? {
        return Ok(refusal);
    }

    let parity = advance.parity;
    let object = upload::commit(context, session, &mut upload, advance)?;
    let (blob, new_object) = publish(context, upload.object, object, parity, digest, existing.as_ref())?;
    link::link(context, &upload.repository, digest, blob, None)?;
    upload.finished = Some(*digest);
    upload.hash_state = Bytes::new();
    Uploads::put(context.state, &session, &upload);
    subtract(&mut context.totals.uploads, 1, "uploads in total")?;
    Ok(Response::Published { new_object, length_bytes })
}

/// The session was published before. A client learns again that the blob exists, so this is a touch; if it is gone
/// meanwhile, so is the session. Bytes that come with another request than the first are not used.
fn repeated(context: &mut Context<'_, '_>, upload: &UploadRecord, digest: &Digest) -> Result<Response, ApplyError> {
    if upload.finished != Some(*digest) {
        return Ok(Response::UploadUnknown);
    }
    let Some(record) = Links::get(context.state, (&upload.repository, digest))? else {
        return Ok(Response::UploadUnknown);
    };
    let blob = Blobs::require(context.state, digest)?;
    let new_object = blob.object == upload.object && upload.last_request == context.request;
    let length_bytes = blob.length_bytes;
    link::touch(context, &upload.repository, digest, record)?;
    Ok(Response::Published { new_object, length_bytes })
}

/// Decides whose bytes the blob has from now on, and discards the others: the old ones stay if they are whole and have
/// the parity that the new ones have at least. Returns the blob, stored, and whether the new object is used. The caller
/// links it.
fn publish(
    context: &mut Context<'_, '_>,
    new: ObjectId,
    mut object: ObjectRecord,
    parity: u8,
    digest: &Digest,
    existing: Option<&BlobRecord>,
) -> Result<(BlobRecord, bool), ApplyError> {
    if let Some(blob) = existing
        && redundancy::is_whole(context, blob.object, parity)?
    {
        extent::discard_object(context, new)?;
        return Ok((blob.clone(), false));
    }
    object.state = ObjectState::Published(*digest);
    Objects::put(context.state, &new, &object);
    if let Some(old) = existing {
        // Damaged, or below its redundancy: a push heals.
        extent::discard_object(context, old.object)?;
        link::spare(context, digest, old)?;
    } else {
        context.totals.blobs += 1;
        context.totals.blob_bytes += object.length_bytes;
        context.totals.unreferenced_blobs += 1;
        context.totals.unreferenced_bytes += object.length_bytes;
    }
    let blob = BlobRecord {
        object: new,
        length_bytes: object.length_bytes,
        references: existing.map_or(0, |old| old.references),
        links: existing.map_or(0, |old| old.links),
        generation: context.next_generation(),
        touched: context.now,
    };
    Blobs::put(context.state, digest, &blob);
    Ok((blob, true))
}
