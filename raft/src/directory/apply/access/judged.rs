//! Changes that were judged by a version of who may do what.

use super::{add_binding, counted, remove_binding, remove_role, set_role};
use crate::directory::access::{AccessRefusal, BindingRecord, JudgedChange, RoleRecord};
use crate::directory::apply::{Context, Outcome};
use crate::directory::refusal::Refusal;
use crate::machine::ApplyError;

/// Does what is asked for, if nothing has changed since it was judged.
pub(in crate::directory::apply) fn apply(
    context: &mut Context<'_, '_>,
    made_from: u64,
    change: JudgedChange,
) -> Outcome {
    let judged = Some(made_from);
    match change {
        JudgedChange::SetRole { name, description, actions } => {
            set_role(context, &name, &RoleRecord { description, actions }, judged)
        }
        JudgedChange::RemoveRole { name } => remove_role(context, name, judged),
        JudgedChange::AddBinding { subject, effect, namespace, condition, note, by } => {
            let (created, created_by) = (context.now, by);
            let binding = BindingRecord { subject, effect, namespace, condition, note, created, created_by };
            add_binding(context, binding, judged)
        }
        JudgedChange::RemoveBinding { id } => remove_binding(context, id, judged),
    }
}

/// Why a change is refused that was judged by another version than the present one; `None` for one that nobody has judged.
/// Asked once it is known that something is to change: a repetition of what was done is done.
pub(super) fn refuse_version(context: &Context<'_, '_>, judged: Option<u64>) -> Result<Option<Refusal>, ApplyError> {
    let Some(made_from) = judged else { return Ok(None) };
    let version = counted(context)?.unwrap_or_default().version;
    Ok((version != made_from).then(|| AccessRefusal::Changed { made_from, version }.into()))
}
