//! Who belongs to a group. A change says who comes and who goes, never who is there: of two at the same time none is lost.

use super::account::{self, Account};
use super::changed;
use crate::directory::access::{AccessRefusal, Subject};
use crate::directory::apply::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::limit::{GROUPS_PER_SUBJECT_MAX, REGROUPED_MAX};
use crate::directory::table::Groups;
use crate::machine::ApplyError;
use crate::table::Table;

/// Lets users and robots belong to a group, or no more: all of them or none.
pub(in crate::directory::apply) fn regroup(
    context: &mut Context<'_, '_>,
    group: &String,
    add: &[Subject],
    remove: &[Subject],
) -> Outcome {
    if !Groups::contains(context.state, group)? {
        return Ok(Err(AccessRefusal::GroupUnknown(group.clone()).into()));
    }
    let members = add.len() + remove.len();
    if members > REGROUPED_MAX {
        let (members, most) = (members as u64, REGROUPED_MAX as u64);
        return Ok(Err(AccessRefusal::TooManyRegrouped { members, most }.into()));
    }
    if let Some(both) = add.iter().find(|subject| remove.contains(subject)) {
        return Ok(Err(AccessRefusal::RegroupedTwice(both.clone()).into()));
    }
    // Found first, written then: a refusal changes nothing.
    let mut regrouped = Vec::new();
    for (subject, belongs) in remove.iter().map(|subject| (subject, false)).chain(add.iter().map(|one| (one, true))) {
        match moved(context, subject, group, belongs)? {
            Ok(account) => regrouped.extend(account),
            Err(refusal) => return Ok(Err(refusal.into())),
        }
    }
    if !regrouped.is_empty() {
        for account in regrouped {
            account.store(context);
        }
        changed(context, |_| {})?;
    }
    Ok(Ok(Response::Done))
}

/// An account that belongs to a group as it is to; nothing if it does so already.
fn moved(
    context: &Context<'_, '_>,
    subject: &Subject,
    group: &String,
    belongs: bool,
) -> Result<Result<Option<Account>, AccessRefusal>, ApplyError> {
    let mut account = match Account::find(context, subject)? {
        Ok(account) => account,
        Err(AccessRefusal::NoAccount(other)) => return Ok(Err(AccessRefusal::NoMember(other))),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let groups = account.groups();
    match (groups.binary_search(group), belongs) {
        (Ok(_), true) | (Err(_), false) => return Ok(Ok(None)),
        (Ok(position), false) => drop(groups.remove(position)),
        (Err(_), true) if groups.len() >= GROUPS_PER_SUBJECT_MAX => {
            return Ok(Err(account::too_many(subject, groups.len() + 1)));
        }
        (Err(position), true) => groups.insert(position, group.clone()),
    }
    Ok(Ok(Some(account)))
}
