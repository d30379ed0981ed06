//! The catalog as a state machine: what each command does.
//!
//! Pure and deterministic: the effect depends on the state, the command and its stamp alone. A refused command changes
//! nothing but the clock, and what is remembered of its request: every check comes before the first write. A repeated
//! request takes effect once. No command does work proportional to the store; the cost of each is that of what it names:
//! the extents of an object, the blobs, children, tags and referrers of a manifest. A state that contradicts itself stops
//! the replica.

mod blob;
mod collect;
mod context;
mod deletion;
mod evict;
mod extent;
mod garbage;
mod history;
mod job;
mod link;
mod location;
mod manifest;
mod moves;
mod once;
mod owed;
mod placement;
mod policy;
mod publish;
mod pulls;
mod redundancy;
mod replication;
mod repository;
mod restore;
mod retention;
mod sweep;
mod sync;
mod tag;
mod tombstone;
mod unheld;
mod upload;
mod usage;

use storage::kv::Column;

use super::command::Command;
use super::response::Response;
use super::table;
use crate::machine::{ApplyError, Machine, Stamp, Transaction};
use context::Context;
use location::Page;

pub(super) use policy::{home_since, keeps_unheld, layers, resolved, role, role_of};

/// The catalog's state machine.
#[derive(Clone, Copy, Debug)]
pub struct Catalog;

impl Machine for Catalog {
    type Command = Command;
    type Response = Response;

    const COLUMNS: &'static [Column] = table::COLUMNS;

    fn apply(state: &mut Transaction<'_>, command: Command, stamp: Stamp) -> Result<Response, ApplyError> {
        let mut context = Context::begin(state, stamp)?;
        let apply = if once::applies(&command) { once::apply } else { dispatch };
        let response = apply(&mut context, command)?;
        context.finish()?;
        Ok(response)
    }
}

fn dispatch(context: &mut Context<'_, '_>, command: Command) -> Result<Response, ApplyError> {
    match command {
        Command::Tick => Ok(Response::Done),
        Command::StartUpload(start) => upload::start(context, start),
        Command::AdvanceUpload { session, advance } => upload::advance(context, session, advance),
        Command::FinishUpload { session, advance, digest } => publish::finish(context, session, advance, &digest),
        Command::CancelUpload { session, repository } => upload::cancel(context, session, &repository),
        Command::ExpireUploads { limit } => upload::expire(context, limit),
        Command::MountBlob { repository, digest, from, principal } => {
            blob::mount(context, &repository, &digest, from, principal.as_deref())
        }
        Command::TouchBlob { repository, digest } => blob::touch(context, &repository, &digest),
        Command::TouchManifest { repository, digest } => unheld::touch(context, &repository, &digest),
        Command::UnlinkBlob { repository, digest, principal } => {
            blob::unlink(context, &repository, &digest, principal.as_deref())
        }
        Command::PutManifest(put) => manifest::put(context, put),
        Command::DeleteTag { repository, tag, principal, owed } => {
            deletion::delete_tag(context, &repository, &tag, principal, owed.as_ref())
        }
        Command::DeleteManifest { repository, digest, principal, owed } => {
            deletion::delete_manifest(context, &repository, &digest, principal, owed.as_ref())
        }
        Command::ReplaceExtent { object, extent, expected, body, shortfall } => {
            redundancy::replace(context, object, extent, expected, body, shortfall)
        }
        Command::ReportShortfall { object, extent, attempt, shortfall } => {
            redundancy::report(context, object, extent, attempt, &shortfall)
        }
        Command::Swept { discards } => sweep::swept(context, &discards),
        Command::MoveShards { object, extent, expected, attempt, moves } => {
            moves::move_shards(context, object, extent, expected, attempt, &moves)
        }
        Command::ReportLocation { node, disk, after, limit, reason } => {
            location::report(context, &Page { node, disk, after, limit }, reason)
        }
        Command::ForgiveLocation { node, disk, after, limit, reason } => {
            location::forgive(context, &Page { node, disk, after, limit }, reason)
        }
        Command::AcceptProfile { object, extent, expected } => redundancy::accept(context, object, extent, expected),
        Command::SyncPolicies { version, changes, complete } => sync::sync(context, version, changes, complete),
        Command::WalkPolicies { limit } => sync::walk(context, limit),
        Command::StartJob(start) => job::start(context, start),
        Command::JobStep(step) => job::step(context, step),
        Command::CancelJob { job } => job::cancel(context, job),
        Command::CollectGarbage { limit } => collect::collect(context, limit),
        Command::Restore { repository, target, principal } => {
            restore::restore(context, &repository, &target, principal)
        }
        Command::RecordPulls { pulls } => pulls::record(context, &pulls),
        Command::AdvanceReplication(advance) => replication::advance(context, advance),
        Command::SettleDebts(settle) => replication::settle(context, settle),
        Command::DropReplication { source, prefix, limit } => replication::forget(context, source, prefix, limit),
        Command::Evict { repository, limit, policy_version } => {
            evict::evict(context, &repository, limit, policy_version)
        }
    }
}

/// A command that contradicts itself.
fn malformed(message: impl Into<String>) -> Response {
    Response::Malformed { message: message.into() }
}
