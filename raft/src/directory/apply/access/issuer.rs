//! Issuers. There are few: a command may look at all of them. Whether a robot trusts one is looked up among all robots,
//! which the limits bound, only when it goes or is put to another use.

use super::{PAGE, changed, counted, user};
use crate::directory::access::{AccessRefusal, IssuerRecord, IssuerUse};
use crate::directory::apply::{Context, Outcome};
use crate::directory::command::Response;
use crate::directory::limit::ISSUERS_MAX;
use crate::directory::refusal::Refusal;
use crate::directory::table::{Groups, Issuers, Robots};
use crate::machine::ApplyError;
use crate::table::Table;

/// Adds an issuer or sets it as a whole.
pub(in crate::directory::apply) fn set(
    context: &mut Context<'_, '_>,
    name: String,
    mut record: IssuerRecord,
) -> Outcome {
    if counted(context)?.is_none() {
        return Ok(Err(Refusal::NotFounded));
    }
    if let Err(refusal) = record.check(&name) {
        return Ok(Err(refusal.into()));
    }
    let all = Issuers::scan::<()>(context.state, (), None, usize::MAX)?;
    let same = |other: &IssuerRecord| other.issuer == record.issuer && other.purpose.name() == record.purpose.name();
    if let Some((other, _)) = all.iter().find(|(other, present)| *other != name && same(present)) {
        let (issuer, other) = (record.issuer, other.clone());
        return Ok(Err(AccessRefusal::IssuerTaken { issuer, other }.into()));
    }
    if let Some(refusal) = refuse_groups(context, &record)? {
        return Ok(Err(refusal.into()));
    }
    let present = all.iter().find(|(other, _)| *other == name).map(|(_, present)| present);
    if present.is_none() && all.len() >= ISSUERS_MAX {
        return Ok(Err(AccessRefusal::TooManyIssuers(ISSUERS_MAX as u64).into()));
    }
    if present.is_some_and(|present| present.purpose == IssuerUse::Workload)
        && record.purpose != IssuerUse::Workload
        && let Some(robot) = trusting(context, &name)?
    {
        return Ok(Err(AccessRefusal::IssuerTrusted { issuer: name, robot }.into()));
    }
    let vouches_by = record.vouches_by();
    // Asked also when there was none just before: one that was removed and comes back is the same one, or its users are not.
    if present.is_none_or(|present| present.vouches_by() != vouches_by)
        && let Some((user, vouched)) = user::known_otherwise(context, &name, vouches_by.as_ref())?
    {
        return Ok(Err(AccessRefusal::IssuerHasUsers { issuer: name, user, vouched }.into()));
    }
    record.created = present.map_or(context.now, |present| present.created);
    if present != Some(&record) {
        Issuers::put(context.state, &name, &record);
        changed(context, |_| {})?;
    }
    Ok(Ok(Response::Done))
}

/// Removes an issuer that no robot trusts: another one of the name would be trusted in its place.
pub(in crate::directory::apply) fn remove(context: &mut Context<'_, '_>, name: String) -> Outcome {
    if Issuers::contains(context.state, &name)? {
        if let Some(robot) = trusting(context, &name)? {
            return Ok(Err(AccessRefusal::IssuerTrusted { issuer: name, robot }.into()));
        }
        Issuers::delete(context.state, &name);
        changed(context, |_| {})?;
    }
    Ok(Ok(Response::Done))
}

/// A robot that trusts an issuer.
fn trusting(context: &Context<'_, '_>, issuer: &str) -> Result<Option<String>, ApplyError> {
    let mut after: Option<String> = None;
    loop {
        let page = Robots::scan::<()>(context.state, (), after.as_ref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        after = Some(last.clone());
        let found = page.into_iter().find(|(_, robot)| robot.trusts.iter().any(|rule| rule.issuer == issuer));
        if let Some((name, _)) = found {
            return Ok(Some(name));
        }
    }
}

/// Why an issuer cannot give the groups that it names: one does not exist.
fn refuse_groups(context: &Context<'_, '_>, record: &IssuerRecord) -> Result<Option<AccessRefusal>, ApplyError> {
    let IssuerUse::People { groups, .. } = &record.purpose else { return Ok(None) };
    for (_, ours) in groups {
        if !Groups::contains(context.state, ours)? {
            return Ok(Some(AccessRefusal::GroupUnknown(ours.clone())));
        }
    }
    Ok(None)
}
