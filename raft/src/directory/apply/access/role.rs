//! Roles besides those that are built in.

use super::judged::refuse_version;
use super::{binding, changed, check_name, counted};
use crate::directory::access::{AccessRefusal, Actions, BUILT_IN_ROLES, RoleRecord, built_in_role, check_text};
use crate::directory::apply::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::limit::{DESCRIPTION_LENGTH_MAX, ROLES_MAX};
use crate::directory::refusal::Refusal;
use crate::directory::table::Roles;
use crate::machine::ApplyError;
use crate::table::Table;

/// Adds a role or changes it: for all who have it.
pub(in crate::directory::apply) fn set(
    context: &mut Context<'_, '_>,
    name: &String,
    role: &RoleRecord,
    judged: Option<u64>,
) -> Outcome {
    if counted(context)?.is_none() {
        return Ok(Err(Refusal::NotFounded));
    }
    if let Err(refusal) = check(name, role) {
        return Ok(Err(refusal.into()));
    }
    let present = Roles::get(context.state, name)?;
    if present.is_none() && Roles::scan::<()>(context.state, (), None, ROLES_MAX)?.len() == ROLES_MAX {
        return Ok(Err(AccessRefusal::TooManyRoles(ROLES_MAX as u64).into()));
    }
    if present.as_ref() != Some(role) {
        if let Some(refusal) = refuse_version(context, judged)? {
            return Ok(Err(refusal));
        }
        Roles::put(context.state, name, role);
        changed(context, |_| {})?;
    }
    Ok(Ok(Response::Done))
}

/// Removes a role that no binding gives: looks at all of them, which the limits bound.
pub(in crate::directory::apply) fn remove(context: &mut Context<'_, '_>, name: String, judged: Option<u64>) -> Outcome {
    if built_in_role(&name).is_some() {
        return Ok(Err(AccessRefusal::RoleBuiltIn(name).into()));
    }
    if Roles::contains(context.state, &name)? {
        if let Some(refusal) = refuse_version(context, judged)? {
            return Ok(Err(refusal));
        }
        if let Some((binding, subject)) = binding::giving(context, &name)? {
            return Ok(Err(AccessRefusal::RoleBound { role: name, binding, subject }.into()));
        }
        Roles::delete(context.state, &name);
        changed(context, |_| {})?;
    }
    Ok(Ok(Response::Done))
}

fn check(name: &str, role: &RoleRecord) -> Result<(), AccessRefusal> {
    check_name("role", name)?;
    if built_in_role(name).is_some() {
        return Err(AccessRefusal::RoleBuiltIn(name.to_owned()));
    }
    check_text(&format!("the description of role {name:?}"), &role.description, DESCRIPTION_LENGTH_MAX)?;
    check_actions(&format!("the role {name:?}"), role.actions)
}

/// Refuses a set that does nothing, or something that is not known.
pub(super) fn check_actions(of: &str, actions: Actions) -> Result<(), AccessRefusal> {
    if actions.is_empty() {
        return Err(AccessRefusal::NoActions(of.to_owned()));
    }
    if !actions.is_known() {
        return Err(AccessRefusal::ActionsUnknown(of.to_owned()));
    }
    Ok(())
}

/// Why there is no role of a name; `None` if there is one.
pub(super) fn refuse_unknown(context: &Context<'_, '_>, name: &String) -> Result<Option<AccessRefusal>, ApplyError> {
    if built_in_role(name).is_some() || Roles::contains(context.state, name)? {
        return Ok(None);
    }
    let own = Roles::scan::<()>(context.state, (), None, usize::MAX)?;
    let known = BUILT_IN_ROLES.iter().map(|(name, _)| (*name).to_owned()).chain(own.into_iter().map(|(name, _)| name));
    Ok(Some(AccessRefusal::RoleUnknown { name: name.clone(), known: known.collect() }))
}
