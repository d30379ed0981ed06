//! The directory as a state machine: what each command does.
//!
//! Pure and deterministic. A refused command changes nothing but the clock. Nodes, regions and namespaces are few, so a
//! command may look at all nodes.

mod admission;
mod aside;
mod audit;
mod cluster;
mod disk;
mod heirs;
mod namespace;
mod node;
mod region;
mod token;

use storage::kv::Column;

use super::command::{Command, Response};
use super::refusal::Refusal;
use super::table::{self, DirectoryClock};
use crate::id::RequestId;
use crate::machine::{ApplyError, Machine, Stamp, Transaction};
use crate::table::Table;
use crate::time::{self, Timestamp};

pub(super) use namespace::place;
pub use region::is_region_name;

/// The directory's state machine.
#[derive(Clone, Copy, Debug)]
pub struct Directory;

/// One command being applied.
#[derive(Debug)]
struct Context<'t, 'e> {
    /// The state, with the effects so far.
    state: &'t mut Transaction<'e>,
    /// The directory's time.
    now: Timestamp,
    /// Who asked.
    request: RequestId,
}

/// What a command does: an answer, or a refusal before the first write, or a stop of the replica.
type Outcome = Result<Result<Response, Refusal>, ApplyError>;

impl Machine for Directory {
    type Command = Command;
    type Response = Response;

    const COLUMNS: &'static [Column] = table::COLUMNS;

    fn apply(state: &mut Transaction<'_>, command: Command, stamp: Stamp) -> Result<Response, ApplyError> {
        let now = time::advance(DirectoryClock::get(state, ())?, stamp.time);
        DirectoryClock::put(state, (), &now);
        let mut context = Context { state, now, request: stamp.request };
        Ok(dispatch(&mut context, command)?.unwrap_or_else(Response::Refused))
    }
}

fn dispatch(context: &mut Context<'_, '_>, command: Command) -> Outcome {
    match command {
        Command::Tick => Ok(Ok(Response::Done)),
        Command::Found { cluster, ca_certificate, wrapped_ca_key, feature_level, region, node } => {
            let trust = cluster::Trust { ca_certificate, wrapped_ca_key };
            cluster::found(context, cluster, trust, feature_level, region, node)
        }
        Command::AddJoinToken { token, secret_hash, lifetime_seconds } => {
            token::add(context, token, secret_hash, lifetime_seconds)
        }
        Command::AdmitNode { token, secret_hash, region, node, replaces } => {
            admission::admit(context, (token, secret_hash), &region, node, replaces)
        }
        Command::UpdateNode { node, info } => node::update(context, node, info),
        Command::SetNodeState { node, state } => node::set_state(context, node, state),
        Command::RaiseFeatureLevel { level } => cluster::raise_feature_level(context, level),
        Command::SetNamespace { prefix, record, made_from } => namespace::set(context, prefix, record, made_from),
        Command::DrainNode { node, shards, bytes, leave } => node::drain(context, node, (shards, bytes), leave),
        Command::SetDiskState { node, disk, state } => disk::set_state(context, node, disk, state),
        Command::RemoveNamespace { prefix } => namespace::remove(context, &prefix),
        Command::AddRegion { name } => region::add(context, name),
        Command::SetRegion { region, public_url, inbound_bytes_per_second } => {
            region::set(context, region, public_url, inbound_bytes_per_second)
        }
        Command::SetPrimary { region } => region::set_primary(context, region),
        Command::RetireRegion { region } => region::retire(context, region),
        Command::ForceHome { prefix, to, made_from } => aside::force(context, prefix, to, made_from),
        Command::SettleAside { prefix, region, made_from } => aside::settle(context, prefix, region, made_from),
        Command::RecordResidency { audit } => audit::record(context, audit),
        Command::BeginAnew { primary } => cluster::begin_anew(context, primary),
        Command::ReleaseEvictions => cluster::release_evictions(context),
    }
}
