//! People: added here, or when they have logged in elsewhere for the first time.

use super::{PAGE, account, binding, changed, counted};
use crate::directory::access::{
    AccessRefusal, OUTSIDE_SOURCES, Subject, UserRecord, bounded_text, check_password, check_text, is_user_name,
};
use crate::directory::apply::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::limit::{CONFIRMED_EVERY_SECONDS, LABEL_LENGTH_MAX, USERS_MAX};
use crate::directory::refusal::Refusal;
use crate::directory::table::{Issuers, Users};
use crate::machine::ApplyError;
use crate::table::Table;
use crate::time::Timestamp;

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
    let vouched = match new.source.as_ref().map(|source| place(context, source)).transpose()? {
        Some(Err(refusal)) => return Ok(Err(refusal.into())),
        Some(Ok(vouched)) => vouched,
        None => None,
    };
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
    add_new(context, &name, new, (vouched, None))
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
    let vouched = match place(context, &source)? {
        Ok(vouched) => vouched,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let groups = match account::known_groups(context, &Subject::User(name.clone()), groups)? {
        Ok(groups) => groups,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let display = bounded_text(display, LABEL_LENGTH_MAX);
    let Some(present) = Users::get(context.state, &name)? else {
        let new = NewUser { display, password: None, source: Some(source), groups };
        return add_new(context, &name, new, (vouched, Some(context.now)));
    };
    if present.source.as_ref() != Some(&source) {
        return Ok(Err(AccessRefusal::OtherSource { name, present: present.source, from: source }.into()));
    }
    if let Some(known) = present.vouched.as_ref().filter(|known| vouched.as_ref() != Some(known)) {
        let (user, vouched) = (name, known.clone());
        return Ok(Err(AccessRefusal::IssuerHasUsers { issuer: source, user, vouched }.into()));
    }
    let is_due = |last: Timestamp| last.plus_seconds(CONFIRMED_EVERY_SECONDS) <= context.now;
    let confirmed = if present.confirmed.is_none_or(is_due) { Some(context.now) } else { present.confirmed };
    store(context, &name, &present, &UserRecord { display, groups, confirmed, ..present.clone() })
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
        user.sessions_from = account::begin_sessions(context)?;
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

/// By what people are known where they log in, if that is an issuer; or that nobody can log in there.
fn place(context: &Context<'_, '_>, source: &String) -> Result<Result<Option<String>, AccessRefusal>, ApplyError> {
    if OUTSIDE_SOURCES.contains(&source.as_str()) {
        return Ok(Ok(None));
    }
    let vouched = Issuers::get(context.state, source)?.and_then(|issuer| issuer.vouches_by());
    Ok(vouched.map(Some).ok_or_else(|| AccessRefusal::SourceUnknown(source.clone())))
}

/// A user who logs in at an issuer where people are known by something else than this, and by what he is: looks at all
/// users, which the limits bound.
pub(super) fn known_otherwise(
    context: &Context<'_, '_>,
    issuer: &str,
    vouches_by: Option<&String>,
) -> Result<Option<(String, String)>, ApplyError> {
    let mut after: Option<String> = None;
    loop {
        let page = Users::scan::<()>(context.state, (), after.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        after = Some(last.clone());
        let his = |(name, user): (String, UserRecord)| {
            Some((name, user.vouched.filter(|_| user.source.as_deref() == Some(issuer))?))
        };
        if let Some(found) = page.into_iter().filter_map(his).find(|(_, vouched)| vouches_by != Some(vouched)) {
            return Ok(Some(found));
        }
    }
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
fn add_new(
    context: &mut Context<'_, '_>,
    name: &String,
    new: NewUser,
    outside: (Option<String>, Option<Timestamp>),
) -> Outcome {
    if counted(context)?.unwrap_or_default().users >= USERS_MAX as u64 {
        return Ok(Err(AccessRefusal::TooManyUsers(USERS_MAX as u64).into()));
    }
    store_new(context, name, new, outside)?;
    Ok(Ok(Response::Done))
}

/// Stores a user whose name was found free: by what he is known elsewhere, and when he was there.
pub(super) fn store_new(
    context: &mut Context<'_, '_>,
    name: &String,
    new: NewUser,
    (vouched, confirmed): (Option<String>, Option<Timestamp>),
) -> Result<(), ApplyError> {
    let NewUser { display, password, source, groups } = new;
    let (created, sessions_from) = (context.now, account::begin_sessions(context)?);
    let (disabled, keys) = (false, Vec::new());
    let user =
        UserRecord { display, password, source, groups, disabled, created, sessions_from, keys, vouched, confirmed };
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
