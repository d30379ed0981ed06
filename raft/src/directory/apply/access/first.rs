//! Who may do what in a cluster that is being founded.

use super::user::{self, NewUser};
use super::{binding, changed, signing_key};
use crate::directory::access::{
    AccessRefusal, BUILT_IN_ROLES, BindingRecord, Condition, Effect, FirstAccess, Subject, built_in_role,
    check_password, is_user_name,
};
use crate::directory::apply::Context;
use crate::machine::ApplyError;

/// Who has made what the cluster is founded with, as the audit log calls who has the local socket.
const FOUNDER: &str = "operator";

/// Refuses what a cluster cannot begin with.
pub(in crate::directory::apply) fn check(access: &FirstAccess) -> Result<(), AccessRefusal> {
    if let Some((name, password)) = &access.operator {
        if !is_user_name(name) {
            return Err(AccessRefusal::UserNameInvalid(name.clone()));
        }
        check_password(name, password)?;
    }
    if let Some(role) = access.anonymous.as_ref().filter(|role| built_in_role(role).is_none()) {
        let known = BUILT_IN_ROLES.iter().map(|(name, _)| (*name).to_owned()).collect();
        return Err(AccessRefusal::RoleUnknown { name: role.clone(), known });
    }
    access.key.as_ref().map_or(Ok(()), signing_key::check)
}

/// Makes what was found valid. There was nothing before.
pub(in crate::directory::apply) fn make(context: &mut Context<'_, '_>, access: FirstAccess) -> Result<(), ApplyError> {
    // Counted also where nobody may do anything: a version says that there is something to read.
    changed(context, |_| {})?;
    if let Some((name, password)) = access.operator {
        let new = NewUser { display: name.clone(), password: Some(password), source: None, groups: Vec::new() };
        user::store_new(context, &name, new, (None, None))?;
        bind(context, Subject::User(name), "operator")?;
    }
    if let Some(key) = access.key {
        signing_key::store_new(context, key, context.now);
    }
    if let Some(role) = access.anonymous {
        bind(context, Subject::Anonymous, &role)?;
    }
    Ok(())
}

/// Binds a subject to a role at the root.
fn bind(context: &mut Context<'_, '_>, subject: Subject, role: &str) -> Result<(), ApplyError> {
    let effect = Effect::Allow { role: role.to_owned() };
    let binding = BindingRecord {
        subject,
        effect,
        namespace: String::new(),
        condition: Condition::default(),
        note: "made when the cluster was founded".to_owned(),
        created: context.now,
        created_by: FOUNDER.to_owned(),
    };
    binding::store_new(context, binding, None)?;
    Ok(())
}
