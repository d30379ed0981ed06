//! Who may do what: each change is counted, so that the nodes notice it.
//!
//! What a command names exists, and what is removed goes from everything that names it, so no name that is given again
//! means what it meant before. Rows that can become many are counted, not looked through; only a removal looks at all
//! users, robots and bindings, which the limits bound. A removal of what is not there changes nothing and is no error: its
//! answer may have been lost.

mod account;
mod audit_head;
mod binding;
mod first;
mod group;
mod issuer;
mod judged;
mod membership;
mod robot;
mod role;
mod secret;
mod signing_key;
mod user;

pub(super) use audit_head::note as note_audit_head;
pub(super) use binding::{add as add_binding, remove as remove_binding};
pub(super) use first::{check as check_first, make as make_first};
pub(super) use group::{add as add_group, remove as remove_group};
pub(super) use issuer::{remove as remove_issuer, set as set_issuer};
pub(super) use judged::apply as judged;
pub(super) use membership::regroup;
pub(super) use robot::{
    NewRobot, RobotChange, add as add_robot, distrust, remove as remove_robot, set as set_robot, trust,
};
pub(super) use role::{remove as remove_role, set as set_role};
pub(super) use secret::{
    NewSecret, add as add_secret, end_sessions, note_uses as note_secret_uses, remove as remove_secret,
};
pub(super) use signing_key::{add as add_signing_key, remove as remove_signing_key};
pub(super) use user::{
    NewUser, UserChange, add as add_user, provision as provision_user, remove as remove_user, set as set_user,
};

use super::Context;
use crate::directory::access::{AccessRefusal, AccessStateRecord, BindingId, is_access_name};
use crate::directory::table::{AccessState, Cluster};
use crate::machine::ApplyError;
use crate::table::{Table, inconsistent};

/// Rows that a command looks at together when it must look at all.
const PAGE: usize = 500;
/// Bindings that a lost majority may have made unheard.
const BINDINGS_PASSED_OVER: u64 = 1 << 20;

/// What is counted; `None` before the cluster is founded.
fn counted(context: &Context<'_, '_>) -> Result<Option<AccessStateRecord>, ApplyError> {
    if !Cluster::contains(context.state, ())? {
        return Ok(None);
    }
    Ok(Some(AccessState::get(context.state, ())?.unwrap_or_default()))
}

/// Counts a change of who may do what, with what it adds or takes away.
pub(super) fn changed(
    context: &mut Context<'_, '_>,
    count: impl FnOnce(&mut AccessStateRecord),
) -> Result<(), ApplyError> {
    let mut record = AccessState::get(context.state, ())?.unwrap_or_default();
    record.version += 1;
    count(&mut record);
    AccessState::put(context.state, (), &record);
    Ok(())
}

/// Passes over what a lost majority may have counted: no version stands for two states, and no id for two bindings.
pub(super) fn pass_over(context: &mut Context<'_, '_>, versions: u64) -> Result<(), ApplyError> {
    let exhausted = || inconsistent("access state", "no id is left");
    let mut record = AccessState::get(context.state, ())?.unwrap_or_default();
    record.version = record.version.checked_add(versions).ok_or_else(exhausted)?;
    let next = record.next_binding.0.checked_add(BINDINGS_PASSED_OVER).ok_or_else(exhausted)?;
    record.next_binding = BindingId(next);
    AccessState::put(context.state, (), &record);
    Ok(())
}

/// Refuses what cannot name a thing of this kind.
fn check_name(kind: &str, name: &str) -> Result<(), AccessRefusal> {
    if is_access_name(name) {
        return Ok(());
    }
    Err(AccessRefusal::NameInvalid { kind: kind.to_owned(), name: name.to_owned() })
}
