//! Upload sessions: begun, advanced by compare-and-set, cancelled, expired.
//!
//! The catalog never sees the shards of a change that it refuses: who wrote them removes them, or the inventory does.

use std::collections::BTreeSet;

use storage::shard::ExtentIndex;
use storage::switch;

use super::context::{Context, subtract};
use super::{extent, malformed, policy, usage};
use crate::catalog::command::{Advance, StartUpload};
use crate::catalog::layout::{ExtentBody, ExtentRecord};
use crate::catalog::limit::{EXTENTS_EXPIRED_PER_COMMAND, UPLOAD_EXTENTS_MAX};
use crate::catalog::name::{RepositoryName, SessionId};
use crate::catalog::record::{ObjectRecord, ObjectState, UploadPosition, UploadRecord};
use crate::catalog::response::Response;
use crate::catalog::table::{Extents, Objects, RepositoryUploads, UploadExpiries, Uploads};
use crate::machine::ApplyError;
use crate::table::Table;
use crate::time::Timestamp;

/// Begins a session. The same session with the same object and repository is a repetition.
pub(super) fn start(context: &mut Context<'_, '_>, start: StartUpload) -> Result<Response, ApplyError> {
    if let Some(present) = Uploads::get(context.state, &start.session)? {
        let same = present.object == start.object && present.repository == start.repository;
        return Ok(if same { Response::Uploaded { position: present.position } } else { Response::Stale });
    }
    if Objects::contains(context.state, &start.object)? {
        return Ok(Response::Stale);
    }
    if let Some(refusal) = policy::refuse_write(context, start.repository.as_str(), start.principal.as_deref())? {
        return Ok(refusal);
    }
    let position = UploadPosition { offset_bytes: 0, epoch: 0 };
    let upload = UploadRecord {
        repository: start.repository,
        object: start.object,
        principal: start.principal,
        algorithm: start.algorithm,
        hash_state: start.hash_state,
        position,
        parity: 0,
        last_request: context.request,
        started: context.now,
        expires: context.now.plus_seconds(start.lifetime_seconds),
        finished: None,
    };
    let object = ObjectRecord { length_bytes: 0, extents: 0, state: ObjectState::Uploading };
    UploadExpiries::put(context.state, (&upload.expires, &start.session), &());
    RepositoryUploads::put(context.state, (&upload.repository, &start.session), &());
    Uploads::put(context.state, &start.session, &upload);
    Objects::put(context.state, &upload.object, &object);
    context.totals.uploads += 1;
    Ok(Response::Uploaded { position })
}

/// Commits bytes of an unfinished session.
pub(super) fn advance(
    context: &mut Context<'_, '_>,
    session: SessionId,
    advance: Advance,
) -> Result<Response, ApplyError> {
    let Some(mut upload) = Uploads::get(context.state, &session)? else { return Ok(Response::UploadUnknown) };
    if upload.finished.is_some() {
        return Ok(Response::UploadUnknown);
    }
    if upload.last_request == context.request {
        return Ok(Response::Uploaded { position: upload.position });
    }
    // What is there already may still be mended.
    if !advance.extents.is_empty()
        && let Some(refusal) = policy::refuse_write(context, upload.repository.as_str(), upload.principal.as_deref())?
    {
        return Ok(refusal);
    }
    if let Some(refusal) = refuse(context, &upload, &advance)? {
        return Ok(refusal);
    }
    let added: u64 = advance.extents.iter().map(|new| new.body.length_bytes()).sum();
    let offset_bytes = upload.position.offset_bytes.saturating_add(added);
    if !policy::is_judged(upload.principal.as_deref())
        && let Some(refusal) = usage::refuse_offset(context, &upload.repository, offset_bytes)?
    {
        return Ok(refusal);
    }
    let object = commit(context, session, &mut upload, advance)?;
    Objects::put(context.state, &upload.object, &object);
    Uploads::put(context.state, &session, &upload);
    Ok(Response::Uploaded { position: upload.position })
}

/// Why a change cannot be committed; `None` if it can.
pub(super) fn refuse(
    context: &Context<'_, '_>,
    upload: &UploadRecord,
    advance: &Advance,
) -> Result<Option<Response>, ApplyError> {
    if advance.expected != upload.position && !switch::broken("catalog.upload.ignore_position") {
        return Ok(Some(Response::UploadMoved { position: upload.position }));
    }
    let extents = Objects::require(context.state, &upload.object)?.extents;
    if advance.extents.len() as u64 + u64::from(extents) > u64::from(UPLOAD_EXTENTS_MAX) {
        return Ok(Some(malformed(format!("an upload of more than {UPLOAD_EXTENTS_MAX} extents"))));
    }
    for new in &advance.extents {
        if let Err(message) = extent::check(&new.body, new.shortfall.as_ref()) {
            return Ok(Some(malformed(message)));
        }
    }
    let mut seen = BTreeSet::new();
    for replaced in &advance.replaced {
        let present = Extents::get(context.state, (&upload.object, &replaced.extent))?.map(|record| record.body);
        let Some(ExtentBody::Coded(present)) = present else {
            return Ok(Some(malformed(format!("extent {} has no shards to replace", replaced.extent.0))));
        };
        if !seen.insert(replaced.extent) {
            return Ok(Some(malformed(format!("extent {} replaced twice", replaced.extent.0))));
        }
        let fits = extent::check_coded(&replaced.body, replaced.shortfall.as_ref())
            .and_then(|()| extent::check_replacement(&present, &replaced.body));
        if let Err(message) = fits {
            return Ok(Some(malformed(message)));
        }
    }
    Ok(None)
}

/// Carries out a change that was not refused, and returns the object as it is then. The caller stores the records.
pub(super) fn commit(
    context: &mut Context<'_, '_>,
    session: SessionId,
    upload: &mut UploadRecord,
    advance: Advance,
) -> Result<ObjectRecord, ApplyError> {
    let mut object = Objects::require(context.state, &upload.object)?;
    for replaced in advance.replaced {
        extent::replace(context, upload.object, replaced.extent, replaced.body, replaced.shortfall)?;
    }
    for new in advance.extents {
        let record = ExtentRecord { offset_bytes: object.length_bytes, body: new.body };
        extent::install(context, upload.object, ExtentIndex(object.extents), &record, new.shortfall)?;
        object.extents += 1;
        object.length_bytes += record.body.length_bytes();
    }
    upload.hash_state = advance.hash_state;
    upload.position = UploadPosition { offset_bytes: object.length_bytes, epoch: upload.position.epoch + 1 };
    upload.parity = advance.parity;
    upload.last_request = context.request;
    UploadExpiries::delete(context.state, (&upload.expires, &session));
    upload.expires = context.now.plus_seconds(advance.lifetime_seconds);
    UploadExpiries::put(context.state, (&upload.expires, &session), &());
    Ok(object)
}

/// Ends an unfinished session of a repository.
pub(super) fn cancel(
    context: &mut Context<'_, '_>,
    session: SessionId,
    repository: &RepositoryName,
) -> Result<Response, ApplyError> {
    match Uploads::get(context.state, &session)? {
        Some(upload) if upload.repository == *repository && upload.finished.is_none() => {
            end(context, session, &upload)?;
            Ok(Response::Done)
        }
        _ => Ok(Response::UploadUnknown),
    }
}

/// Ends sessions whose expiry has passed: at most `limit`, and fewer when they hold many extents.
pub(super) fn expire(context: &mut Context<'_, '_>, limit: u32) -> Result<Response, ApplyError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(EXTENTS_EXPIRED_PER_COMMAND);
    let until = Timestamp(context.now.0.saturating_add(1));
    let (mut count, mut extents) = (0, 0);
    for ((_, session), ()) in UploadExpiries::scan_below::<Timestamp>(context.state, &until, limit)? {
        if extents >= EXTENTS_EXPIRED_PER_COMMAND {
            break;
        }
        let upload = Uploads::require(context.state, &session)?;
        extents += end(context, session, &upload)?;
        count += 1;
    }
    Ok(Response::Count { count })
}

/// Removes a session; an unfinished one with its object. Returns the number of extents that were discarded.
pub(super) fn end(
    context: &mut Context<'_, '_>,
    session: SessionId,
    upload: &UploadRecord,
) -> Result<usize, ApplyError> {
    Uploads::delete(context.state, &session);
    UploadExpiries::delete(context.state, (&upload.expires, &session));
    RepositoryUploads::delete(context.state, (&upload.repository, &session));
    if upload.finished.is_some() {
        return Ok(0);
    }
    subtract(&mut context.totals.uploads, 1, "uploads in total")?;
    extent::discard_object(context, upload.object)
}
