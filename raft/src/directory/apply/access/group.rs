//! Groups. A removal looks at all users, robots and issuers, which the limits bound.

use super::{PAGE, binding, changed, check_name, counted};
use crate::directory::access::{AccessRefusal, GroupRecord, IssuerUse, Subject, check_text};
use crate::directory::apply::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::limit::{DESCRIPTION_LENGTH_MAX, GROUPS_MAX};
use crate::directory::refusal::Refusal;
use crate::directory::table::{Groups, Issuers, Robots, Users};
use crate::machine::ApplyError;
use crate::table::Table;

/// Adds a group.
pub(in crate::directory::apply) fn add(context: &mut Context<'_, '_>, name: String, description: String) -> Outcome {
    let Some(count) = counted(context)? else { return Ok(Err(Refusal::NotFounded)) };
    let what = format!("the description of group {name:?}");
    let checked = check_name("group", &name).and_then(|()| check_text(&what, &description, DESCRIPTION_LENGTH_MAX));
    if let Err(refusal) = checked {
        return Ok(Err(refusal.into()));
    }
    if let Some(present) = Groups::get(context.state, &name)? {
        let repeated = present.description == description;
        return Ok(if repeated { Ok(Response::Done) } else { Err(AccessRefusal::GroupExists(name).into()) });
    }
    if count.groups >= GROUPS_MAX as u64 {
        return Ok(Err(AccessRefusal::TooManyGroups(GROUPS_MAX as u64).into()));
    }
    Groups::put(context.state, &name, &GroupRecord { description, created: context.now });
    changed(context, |count| count.groups += 1)?;
    Ok(Ok(Response::Done))
}

/// Removes a group: from its members, from the issuers that name it, and its bindings. Who adds another one of the name
/// begins with an empty one.
pub(in crate::directory::apply) fn remove(context: &mut Context<'_, '_>, name: String) -> Outcome {
    if Groups::contains(context.state, &name)? {
        Groups::delete(context.state, &name);
        leave_users(context, &name)?;
        leave_robots(context, &name)?;
        leave_issuers(context, &name)?;
        let bindings = binding::remove_of(context, &Subject::Group(name))?;
        changed(context, |count| {
            count.groups -= 1;
            count.bindings -= bindings;
        })?;
    }
    Ok(Ok(Response::Done))
}

fn leave_users(context: &mut Context<'_, '_>, group: &String) -> Result<(), ApplyError> {
    let mut after: Option<String> = None;
    loop {
        let page = Users::scan::<()>(context.state, (), after.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (name, mut user) in page {
            if let Ok(position) = user.groups.binary_search(group) {
                user.groups.remove(position);
                Users::put(context.state, &name, &user);
            }
        }
    }
}

fn leave_robots(context: &mut Context<'_, '_>, group: &String) -> Result<(), ApplyError> {
    let mut after: Option<String> = None;
    loop {
        let page = Robots::scan::<()>(context.state, (), after.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (name, mut robot) in page {
            if let Ok(position) = robot.groups.binary_search(group) {
                robot.groups.remove(position);
                Robots::put(context.state, &name, &robot);
            }
        }
    }
}

fn leave_issuers(context: &mut Context<'_, '_>, group: &String) -> Result<(), ApplyError> {
    for (name, mut issuer) in Issuers::scan::<()>(context.state, (), None, usize::MAX)? {
        let IssuerUse::People { groups, .. } = &mut issuer.purpose else { continue };
        if groups.iter().any(|(_, ours)| ours == group) {
            groups.retain(|(_, ours)| ours != group);
            Issuers::put(context.state, &name, &issuer);
        }
    }
    Ok(())
}
