//! Bindings. Ids are given out in order and never a second time.

use storage::switch;

use super::judged::refuse_version;
use super::role::{check_actions, refuse_unknown};
use super::{PAGE, changed, counted};
use crate::directory::access::{AccessRefusal, BindingId, BindingRecord, Effect, StoredBinding, Subject, check_text};
use crate::directory::apply::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::limit::{BINDINGS_MAX, DESCRIPTION_LENGTH_MAX, LABEL_LENGTH_MAX, REMOVED_BINDINGS_KEPT_SECONDS};
use crate::directory::refusal::Refusal;
use crate::directory::table::{BindingRequests, Bindings, Groups, RemovedBindings, Robots, Users};
use crate::id::RequestId;
use crate::machine::ApplyError;
use crate::policy::is_prefix;
use crate::table::Table;

/// Adds a binding. A repetition of the request gets the same answer, also after the binding was removed: it does not come
/// back by it.
pub(in crate::directory::apply) fn add(
    context: &mut Context<'_, '_>,
    binding: BindingRecord,
    judged: Option<u64>,
) -> Outcome {
    let Some(count) = counted(context)? else { return Ok(Err(Refusal::NotFounded)) };
    if let Some(id) = BindingRequests::get(context.state, &context.request)? {
        return Ok(Ok(Response::Bound { id }));
    }
    if let Some(refusal) = refuse_version(context, judged)? {
        return Ok(Err(refusal));
    }
    if !is_prefix(&binding.namespace) {
        return Ok(Err(Refusal::NamespaceInvalid(binding.namespace)));
    }
    if let Err(refusal) = check(&binding) {
        return Ok(Err(refusal.into()));
    }
    if let Some(refusal) = refuse_names(context, &binding)? {
        return Ok(Err(refusal.into()));
    }
    if count.bindings >= BINDINGS_MAX as u64 {
        return Ok(Err(AccessRefusal::TooManyBindings(BINDINGS_MAX as u64).into()));
    }
    forget_removed(context)?;
    let id = store_new(context, binding, Some(context.request))?;
    Ok(Ok(Response::Bound { id }))
}

/// Removes a binding. One that was removed before stays so: its id was never given to another one.
pub(in crate::directory::apply) fn remove(
    context: &mut Context<'_, '_>,
    id: BindingId,
    judged: Option<u64>,
) -> Outcome {
    let Some(stored) = Bindings::get(context.state, &id)? else {
        let next = counted(context)?.unwrap_or_default().next_binding;
        let removed = BindingId(0) < id && id < next;
        return Ok(if removed { Ok(Response::Done) } else { Err(AccessRefusal::BindingUnknown(id).into()) });
    };
    if let Some(refusal) = refuse_version(context, judged)? {
        return Ok(Err(refusal));
    }
    if switch::broken("directory.binding.keep_removed") {
        return Ok(Ok(Response::Done));
    }
    delete(context, id, &stored);
    changed(context, |count| count.bindings -= 1)?;
    Ok(Ok(Response::Done))
}

/// Stores a binding that was found valid, under the next id.
pub(super) fn store_new(
    context: &mut Context<'_, '_>,
    binding: BindingRecord,
    added_by: Option<RequestId>,
) -> Result<BindingId, ApplyError> {
    let id = counted(context)?.unwrap_or_default().next_binding;
    Bindings::put(context.state, &id, &StoredBinding { binding, added_by });
    if let Some(request) = added_by {
        BindingRequests::put(context.state, &request, &id);
    }
    changed(context, |count| {
        count.bindings += 1;
        count.next_binding = BindingId(id.0 + 1);
    })?;
    Ok(id)
}

/// Removes the bindings about a subject: looks at all of them, which the limits bound. Says how many went; who calls it
/// counts them.
pub(super) fn remove_of(context: &mut Context<'_, '_>, subject: &Subject) -> Result<u64, ApplyError> {
    let (mut after, mut removed) = (None, 0);
    loop {
        let page = Bindings::scan::<()>(context.state, (), after.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(removed) };
        after = Some(*last);
        for (id, stored) in page.into_iter().filter(|(_, stored)| stored.binding.subject == *subject) {
            delete(context, id, &stored);
            removed += 1;
        }
    }
}

/// A binding that gives a role, and whom it is about.
pub(super) fn giving(context: &Context<'_, '_>, name: &str) -> Result<Option<(BindingId, Subject)>, ApplyError> {
    let mut after = None;
    loop {
        let page = Bindings::scan::<()>(context.state, (), after.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        after = Some(*last);
        let gives = |stored: &StoredBinding| matches!(&stored.binding.effect, Effect::Allow { role } if role == name);
        if let Some((id, stored)) = page.into_iter().find(|(_, stored)| gives(stored)) {
            return Ok(Some((id, stored.binding.subject)));
        }
    }
}

fn delete(context: &mut Context<'_, '_>, id: BindingId, stored: &StoredBinding) {
    Bindings::delete(context.state, &id);
    if let Some(request) = stored.added_by {
        let forgotten_at = context.now.plus_seconds(REMOVED_BINDINGS_KEPT_SECONDS);
        RemovedBindings::put(context.state, (&forgotten_at, &request), &());
    }
}

/// Forgets the requests of bindings that were removed long ago. Some at a time, but more than are added.
fn forget_removed(context: &mut Context<'_, '_>) -> Result<(), ApplyError> {
    for ((forgotten_at, request), ()) in RemovedBindings::scan::<()>(context.state, (), None, PAGE)? {
        if context.now < forgotten_at {
            break;
        }
        RemovedBindings::delete(context.state, (&forgotten_at, &request));
        BindingRequests::delete(context.state, &request);
    }
    Ok(())
}

fn check(binding: &BindingRecord) -> Result<(), AccessRefusal> {
    binding.condition.check()?;
    check_text("the note of the binding", &binding.note, DESCRIPTION_LENGTH_MAX)?;
    check_text("the name of who makes the binding", &binding.created_by, LABEL_LENGTH_MAX)?;
    match &binding.effect {
        Effect::Allow { .. } => Ok(()),
        Effect::Deny { actions } => check_actions("the binding", *actions),
    }
}

/// Why what a binding names cannot be: it does not exist.
fn refuse_names(context: &Context<'_, '_>, binding: &BindingRecord) -> Result<Option<AccessRefusal>, ApplyError> {
    let refusal = match &binding.subject {
        Subject::Anonymous | Subject::Authenticated => None,
        Subject::User(name) if Users::contains(context.state, name)? => None,
        Subject::Robot(name) if Robots::contains(context.state, name)? => None,
        Subject::Group(name) if Groups::contains(context.state, name)? => None,
        Subject::User(name) => Some(AccessRefusal::UserUnknown(name.clone())),
        Subject::Robot(name) => Some(AccessRefusal::RobotUnknown(name.clone())),
        Subject::Group(name) => Some(AccessRefusal::GroupUnknown(name.clone())),
    };
    match &binding.effect {
        Effect::Allow { role } if refusal.is_none() => refuse_unknown(context, role),
        Effect::Allow { .. } | Effect::Deny { .. } => Ok(refusal),
    }
}
