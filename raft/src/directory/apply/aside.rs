//! A home that is lost: another region becomes it without its consent, and what it holds stands aside until an operator
//! has looked at it.
//!
//! The former home may be cut off and hear of it late: what clients have pushed there until then is not in the new home.
//! So nothing of it is overwritten and nothing goes. It hears of this like of any other change, writes nothing from
//! then on, and tells what it has that the new home lacks. Settling ends that, in a command of its own.

use super::{Context, Outcome, heirs, namespace, region};
use crate::directory::command::Response;
use crate::directory::limit::{ASIDE_MAX, NAMESPACES_MAX};
use crate::directory::namespace::{Aside, NamespaceRecord};
use crate::directory::place::Place;
use crate::directory::refusal::Refusal;
use crate::directory::table::{Namespaces, Regions};
use crate::id::RegionId;
use crate::machine::ApplyError;
use crate::policy::is_prefix;
use crate::table::Table;

/// Makes another region the home of a prefix, whatever the present one says.
pub(super) fn force(context: &mut Context<'_, '_>, prefix: String, to: RegionId, made_from: u64) -> Outcome {
    if !is_prefix(&prefix) {
        return Ok(Err(Refusal::NamespaceInvalid(prefix)));
    }
    let Some(place) = namespace::place(context.state, &prefix)? else { return Ok(Err(Refusal::NotFounded)) };
    if was_forced(context, &prefix, to, made_from)? {
        return Ok(Ok(Response::Done));
    }
    if let Some(refusal) = refuse(context, &prefix, &place, to)? {
        return Ok(Err(refusal));
    }
    if let Some(refusal) = namespace::refuse_version(context, made_from)? {
        return Ok(Err(refusal));
    }
    let present = Namespaces::get(context.state, &prefix)?;
    if present.is_none() && namespace::are_full(context)? {
        return Ok(Err(Refusal::TooManyNamespaces(NAMESPACES_MAX as u64)));
    }
    let present = present.unwrap_or_default();
    let residency = heirs::without(&place.residency, to).or_else(|| present.residency.clone());
    let mut aside = place.aside;
    aside.push(Aside { region: place.home, since: context.now });
    let record = NamespaceRecord { home: Some(to), moving: None, aside, residency, ..present };
    heirs::put(context, &prefix, &record)?;
    Ok(Ok(Response::Done))
}

/// Whether this very change was made before, from the same version: a proposal whose answer was lost comes again. The
/// region is the prefix's own home, and has left somebody aside.
fn was_forced(context: &Context<'_, '_>, prefix: &String, to: RegionId, made_from: u64) -> Result<bool, ApplyError> {
    let record = Namespaces::get(context.state, prefix)?.unwrap_or_default();
    let stands = record.home == Some(to) && record.moving.is_none() && !record.aside.is_empty();
    Ok(stands && namespace::is_next(context, made_from)?)
}

/// Why a region cannot become the home of a prefix.
fn refuse(context: &Context<'_, '_>, prefix: &str, place: &Place, to: RegionId) -> Result<Option<Refusal>, ApplyError> {
    if !Regions::contains(context.state, &to)? {
        return region::unknown(context, &to.to_string()).map(Some);
    }
    if place.home == to {
        return Ok(Some(Refusal::HomeAlready(region::name(context, to)?)));
    }
    if let Some(refusal) = refuse_aside(context, prefix, to)? {
        return Ok(Some(refusal));
    }
    let full = place.aside.len() >= ASIDE_MAX;
    Ok(full.then(|| Refusal::TooManyAside { prefix: prefix.to_owned(), most: ASIDE_MAX as u64 }))
}

/// Why a region can become the home neither of a prefix nor of the longer ones that inherit that: what it holds of one
/// of them stands aside.
pub(super) fn refuse_aside(
    context: &Context<'_, '_>,
    prefix: &str,
    to: RegionId,
) -> Result<Option<Refusal>, ApplyError> {
    let Some(place) = namespace::place(context.state, prefix)? else { return Ok(None) };
    let stands = |place: &Place| place.is_aside(to);
    let mut found = stands(&place).then(|| prefix.to_owned());
    let inner = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    for (longer, record) in Namespaces::scan::<()>(context.state, (), None, usize::MAX)? {
        let names = record.home.is_none() && record.aside.iter().any(|aside| aside.region == to);
        if found.is_some() || !names || !longer.starts_with(&inner) {
            continue;
        }
        let below = namespace::place(context.state, &longer)?;
        found = below.is_some_and(|below| below.sources.home == place.sources.home && stands(&below)).then_some(longer);
    }
    let Some(prefix) = found else { return Ok(None) };
    Ok(Some(Refusal::IsAside { prefix, region: region::name(context, to)? }))
}

/// Ends that what a former home holds stands aside.
pub(super) fn settle(context: &mut Context<'_, '_>, prefix: String, of: RegionId, made_from: u64) -> Outcome {
    let Some(mut record) = Namespaces::get(context.state, &prefix)? else {
        return Ok(Err(Refusal::NamespaceUnknown(prefix)));
    };
    let Some(found) = record.aside.iter().position(|aside| aside.region == of) else {
        // Made from the version before this one: a proposal whose answer was lost comes again.
        if namespace::is_next(context, made_from)? {
            return Ok(Ok(Response::Done));
        }
        return Ok(Err(Refusal::NotAside { prefix, region: region::name(context, of)? }));
    };
    if let Some(refusal) = namespace::refuse_version(context, made_from)? {
        return Ok(Err(refusal));
    }
    record.aside.remove(found);
    Namespaces::put(context.state, &prefix, &record);
    namespace::changed(context)?;
    Ok(Ok(Response::Done))
}
