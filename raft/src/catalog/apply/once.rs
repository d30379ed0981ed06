//! Commands that must take effect once, although their proposal may be repeated after a lost answer.
//!
//! What such a command was answered is remembered under its request for longer than a proposer repeats it; a repetition
//! gets the same answer and does nothing. Refusals are remembered too: of two attempts on their way, the later one may
//! be refused and the client told so, and the delayed one must not take effect after that. Commands that compare what
//! they find with what they expect need none of this.

use storage::switch;

use super::context::Context;
use super::dispatch;
use crate::catalog::command::Command;
use crate::catalog::limit::{REQUEST_RETENTION_SECONDS, REQUESTS_TRIMMED_PER_COMMAND};
use crate::catalog::response::Response;
use crate::catalog::table::{RequestExpiries, Requests};
use crate::id::RequestId;
use crate::machine::ApplyError;
use crate::table::Table;

/// Whether a repetition of the command could undo what came in between, or would be answered as if the first had done
/// nothing.
pub(super) fn applies(command: &Command) -> bool {
    matches!(
        command,
        Command::PutManifest(_)
            | Command::DeleteTag { .. }
            | Command::DeleteManifest { .. }
            | Command::UnlinkBlob { .. }
            | Command::CancelUpload { .. }
            | Command::MountBlob { .. }
            | Command::Restore { .. }
            | Command::ReportLocation { .. }
            | Command::ForgiveLocation { .. }
            | Command::StartJob(_)
    )
}

/// Applies such a command, or answers its repetition.
pub(super) fn apply(context: &mut Context<'_, '_>, command: Command) -> Result<Response, ApplyError> {
    if !switch::broken("catalog.once.forget")
        && let Some(answered) = Requests::get(context.state, &context.request)?
    {
        return Ok(answered);
    }
    let response = dispatch(context, command)?;
    remember(context, &response);
    Ok(response)
}

fn remember(context: &mut Context<'_, '_>, response: &Response) {
    // A clock that has fallen behind catches up in jumps, which must not pass the request's time before its repetition.
    let expires = context.now.max(context.stamped).plus_seconds(REQUEST_RETENTION_SECONDS);
    Requests::put(context.state, &context.request, response);
    RequestExpiries::put(context.state, (&expires, &context.request), &());
    let first = context.clock.first_request_expiry;
    context.clock.first_request_expiry = Some(first.map_or(expires, |first| first.min(expires)));
}

/// Forgets some of the requests whose time has passed.
pub(super) fn trim(context: &mut Context<'_, '_>) -> Result<(), ApplyError> {
    let Some(first) = context.clock.first_request_expiry.filter(|first| *first <= context.now) else { return Ok(()) };
    // Begun at the oldest one, so that the scan does not pass what was deleted before.
    let oldest = RequestExpiries::scan_from::<()>(
        context.state,
        (),
        (&first, &RequestId([0; 16])),
        REQUESTS_TRIMMED_PER_COMMAND + 1,
    )?;
    context.clock.first_request_expiry = None;
    for (trimmed, ((expires, request), ())) in oldest.into_iter().enumerate() {
        if trimmed == REQUESTS_TRIMMED_PER_COMMAND || expires > context.now {
            context.clock.first_request_expiry = Some(expires);
            break;
        }
        Requests::delete(context.state, &request);
        RequestExpiries::delete(context.state, (&expires, &request));
    }
    Ok(())
}
