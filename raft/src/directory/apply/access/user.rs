//! People: added here, or when they have logged in elsewhere for the first time.

use super::{account, binding, changed, counted};
use crate::directory::access::{
    AccessRefusal, IssuerUse, OUTSIDE_SOURCES, Subject, UserRecord, bounded_text, check_password, check_text,
    is_user_name,
};
use crate::directory::apply::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::limit::{LABEL_LENGTH_MAX, USERS_MAX};
use crate::directory::refusal::Refusal;
use crate::directory::table::{Issuers, Users};
use crate::machine::ApplyError;
use crate::table::Table;

/// What is said of a user who is to be added.
pub(in crate::directory::apply) struct NewUser {
    /// What people call him.
    pub(in crate::directory::apply) display: String,
    /// His password's hash.
    pub(in crate::directory::apply) password: Option<String>,
    /// Where he logs in, if not here.
    pub(in crate::directory::apply) source: Option<String>,
    /// His groups.
    pub(in crate::directory::apply) groups: Vec<String>,
}

/// What is to change of a user; what is none stays.
pub(in crate::directory::apply) struct UserChange {
    /// What people call him.
    pub(in crate::directory::apply) display: Option<String>,
    /// His password's hash.
    pub(in crate::directory::apply) password: Option<String>,
    /// Whether he may not log in.
    pub(in crate::directory::apply) disabled: Option<bool>,
    /// His groups.
    pub(in crate::directory::apply) groups: Option<Vec<String>>,
}

/// Adds a user.
pub(in crate::directory::apply) fn add(context: &mut Context<'_, '_>, name: String, new: NewUser) -> Outcome {
    if counted(context)?.is_none() {
        return Ok(Err(Refusal::NotFounded));
    }
    if let Err(refusal) = check_new(&name, &new) {
        return Ok(Err(refusal.into()));
    }
    if let Some(source) = &new.source
        && !is_source(context, source)?
    {
        return Ok(Err(AccessRefusal::SourceUnknown(source.clone()).into()));
    }
    let groups = match account::groups(context, &Subject::User(name.clone()), new.groups)? {
        Ok(groups) => groups,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let new = NewUser { groups, ..new };
    if let Some(present) = Users::get(context.state, &name)? {
        let said = (&new.display, &new.password, &new.source, &new.groups);
        let repeated = said == (&present.display, &present.password, &present.source, &present.groups);
        return Ok(if repeated { Ok(Response::Done) } else { Err(AccessRefusal::UserExists(name).into()) });
    }
    add_new(context, &name, new)
}

/// Takes over what is said of a user where he has logged in.
pub(in crate::directory::apply) fn provision(
    context: &mut Context<'_, '_>,
    name: String,
    source: String,
    display: &str,
    groups: Vec<String>,
) -> Outcome {
    if counted(context)?.is_none() {
        return Ok(Err(Refusal::NotFounded));
    }
    if !is_user_name(&name) {
        return Ok(Err(AccessRefusal::UserNameInvalid(name).into()));
    }
    if !is_source(context, &source)? {
        return Ok(Err(AccessRefusal::SourceUnknown(source).into()));
    }
    let groups = match account::known_groups(context, &Subject::User(name.clone()), groups)? {
        Ok(groups) => groups,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let display = bounded_text(display, LABEL_LENGTH_MAX);
    let Some(present) = Users::get(context.state, &name)? else {
        return add_new(context, &name, NewUser { display, password: None, source: Some(source), groups });
    };
    if present.source.as_ref() != Some(&source) {
        return Ok(Err(AccessRefusal::OtherSource { name, present: present.source, from: source }.into()));
    }
    store(context, &name, &present, &UserRecord { display, groups, ..present.clone() })
}

/// Changes what is named of a user.
pub(in crate::directory::apply) fn set(context: &mut Context<'_, '_>, name: String, change: UserChange) -> Outcome {
    let Some(present) = Users::get(context.state, &name)? else {
        return Ok(Err(AccessRefusal::UserUnknown(name).into()));
    };
    if let Err(refusal) = check(&name, change.display.as_deref(), change.password.as_deref(), present.source.as_deref())
    {
        return Ok(Err(refusal.into()));
    }
    let mut user = present.clone();
    if let Some(groups) = change.groups {
        user.groups = match account::groups(context, &Subject::User(name.clone()), groups)? {
            Ok(groups) => groups,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
    }
    user.display = change.display.unwrap_or(user.display);
    user.password = change.password.or(user.password);
    user.disabled = change.disabled.unwrap_or(user.disabled);
    if (&user.password, user.disabled) != (&present.password, present.disabled) {
        user.sessions_from = account::later_than(present.sessions_from, context);
    }
    store(context, &name, &present, &user)
}

/// Removes a user and his bindings.
pub(in crate::directory::apply) fn remove(context: &mut Context<'_, '_>, name: String) -> Outcome {
    if Users::contains(context.state, &name)? {
        Users::delete(context.state, &name);
        let bindings = binding::remove_of(context, &Subject::User(name))?;
        changed(context, |count| {
            count.users -= 1;
            count.bindings -= bindings;
        })?;
    }
    Ok(Ok(Response::Done))
}

/// Whether people can log in there.
fn is_source(context: &Context<'_, '_>, source: &String) -> Result<bool, ApplyError> {
    if OUTSIDE_SOURCES.contains(&source.as_str()) {
        return Ok(true);
    }
    let issuer = Issuers::get(context.state, source)?;
    Ok(issuer.is_some_and(|issuer| matches!(issuer.purpose, IssuerUse::People { .. })))
}

fn check_new(name: &str, new: &NewUser) -> Result<(), AccessRefusal> {
    if !is_user_name(name) {
        return Err(AccessRefusal::UserNameInvalid(name.to_owned()));
    }
    check(name, Some(&new.display), new.password.as_deref(), new.source.as_deref())
}

fn check(name: &str, display: Option<&str>, password: Option<&str>, source: Option<&str>) -> Result<(), AccessRefusal> {
    if let Some(display) = display {
        check_text(&format!("what people call user {name:?}"), display, LABEL_LENGTH_MAX)?;
    }
    if let (Some(_), Some(from)) = (password, source) {
        return Err(AccessRefusal::PasswordElsewhere { name: name.to_owned(), from: from.to_owned() });
    }
    password.map_or(Ok(()), |password| check_password(name, password))
}

/// Adds a user whose name was found free, unless there are too many.
fn add_new(context: &mut Context<'_, '_>, name: &String, new: NewUser) -> Outcome {
    if counted(context)?.unwrap_or_default().users >= USERS_MAX as u64 {
        return Ok(Err(AccessRefusal::TooManyUsers(USERS_MAX as u64).into()));
    }
    store_new(context, name, new)?;
    Ok(Ok(Response::Done))
}

/// Stores a user whose name was found free.
pub(super) fn store_new(context: &mut Context<'_, '_>, name: &String, new: NewUser) -> Result<(), ApplyError> {
    let NewUser { display, password, source, groups } = new;
    let (created, sessions_from) = (context.now, context.now);
    let keys = Vec::new();
    let user = UserRecord { display, password, source, groups, disabled: false, created, sessions_from, keys };
    Users::put(context.state, name, &user);
    changed(context, |count| count.users += 1)
}

/// Stores a user if anything of him has changed.
fn store(context: &mut Context<'_, '_>, name: &String, present: &UserRecord, user: &UserRecord) -> Outcome {
    if present != user {
        Users::put(context.state, name, user);
        changed(context, |_| {})?;
    }
    Ok(Ok(Response::Done))
}
