//! The directory as a state machine: what each command does.
//!
//! Pure and deterministic. A refused command changes nothing but the clock. Nodes, regions and namespaces are few, so a
//! command may look at all nodes.

mod access;
mod admission;
mod aside;
mod audit;
mod authority;
mod certificate;
mod cluster;
mod disk;
mod domain;
mod heirs;
mod namespace;
mod node;
mod region;
mod token;

use storage::kv::Column;

use super::access::{BindingRecord, RoleRecord};
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
        Command::Found { cluster, ca_certificate, wrapped_ca_key, feature_level, region, node, access } => {
            let trust = cluster::Trust { ca_certificate, wrapped_ca_key };
            cluster::found(context, cluster, trust, feature_level, (region, node), access)
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
        Command::AddUser { name, display, password, source, groups } => {
            access::add_user(context, name, access::NewUser { display, password, source, groups })
        }
        Command::ProvisionUser { name, source, display, groups } => {
            access::provision_user(context, name, source, &display, groups)
        }
        Command::SetUser { name, display, password, disabled, groups } => {
            access::set_user(context, name, access::UserChange { display, password, disabled, groups })
        }
        Command::RemoveUser { name } => access::remove_user(context, name),
        Command::AddGroup { name, description } => access::add_group(context, name, description),
        Command::RemoveGroup { name } => access::remove_group(context, name),
        Command::SetRole { name, description, actions } => {
            access::set_role(context, &name, &RoleRecord { description, actions }, None)
        }
        Command::RemoveRole { name } => access::remove_role(context, name, None),
        Command::AddRobot { name, description, groups, lifetime_seconds } => {
            access::add_robot(context, name, access::NewRobot { description, groups, lifetime_seconds })
        }
        Command::SetRobot { name, description, groups, disabled } => {
            access::set_robot(context, name, access::RobotChange { description, groups, disabled })
        }
        Command::RemoveRobot { name } => access::remove_robot(context, name),
        Command::AddSecret { subject, id, hash, name, lifetime_seconds, others_end_after_seconds } => {
            let new = access::NewSecret { id, hash, name, lifetime_seconds, others_end_after_seconds };
            access::add_secret(context, subject, new)
        }
        Command::RemoveSecret { subject, id } => access::remove_secret(context, &subject, id),
        Command::NoteSecretUses { uses } => access::note_secret_uses(context, &uses),
        Command::EndSessions { subject } => access::end_sessions(context, &subject),
        Command::AddBinding { subject, effect, namespace, condition, note, by } => {
            let (created, created_by) = (context.now, by);
            let binding = BindingRecord { subject, effect, namespace, condition, note, created, created_by };
            access::add_binding(context, binding, None)
        }
        Command::RemoveBinding { id } => access::remove_binding(context, id, None),
        Command::SetIssuer { name, record } => access::set_issuer(context, name, record),
        Command::RemoveIssuer { name } => access::remove_issuer(context, name),
        Command::AddSigningKey { key, signs_after_seconds, others_retire_after_seconds } => {
            access::add_signing_key(context, key, signs_after_seconds, others_retire_after_seconds)
        }
        Command::RemoveSigningKey { id } => access::remove_signing_key(context, id),
        Command::NoteAuditHead { node, head } => access::note_audit_head(context, node, &head),
        Command::Certificate(command) => certificate::apply(context, command),
        Command::Regroup { group, add, remove } => access::regroup(context, &group, &add, &remove),
        Command::Trust { robot, rule } => access::trust(context, robot, rule),
        Command::Distrust { robot, issuer } => access::distrust(context, robot, &issuer),
        Command::Authority(command) => authority::apply(context, command),
        Command::SetDomain { domain, namespace } => domain::set(context, domain, namespace),
        Command::RemoveDomain { domain } => domain::remove(context, &domain),
        Command::Judged { made_from, change } => access::judged(context, made_from, change),
    }
}
