//! Namespaces: policy by path prefix. Each change is counted, so that the catalogs notice it.
//!
//! A home changes in three steps: `moving` names the new one, which is given a copy; `fenced` keeps everybody from
//! writing below the prefix; who moves it sees to it that the catalogs know that and that nothing is left behind, and sets
//! the home then. A step that is left out is refused here, whoever proposes it. A home that is lost is the exception
//! (`aside`).

use super::{Context, Outcome, aside, domain, heirs, region};
use crate::catalog::RepositoryName;
use crate::directory::command::Response;
use crate::directory::limit::NAMESPACES_MAX;
use crate::directory::namespace::{Aside, Moving, NamespaceRecord, PolicyVersionRecord, Replication, Residency};
use crate::directory::place::Place;
use crate::directory::refusal::Refusal;
use crate::directory::table::{Cluster, Namespaces, PolicyVersion, Regions};
use crate::id::RegionId;
use crate::machine::{ApplyError, State};
use crate::policy::{is_prefix, prefixes};
use crate::table::Table;

/// The home of a prefix before a change and after it. The root has one from the beginning.
struct Homes {
    present: Option<RegionId>,
    wanted: Option<RegionId>,
}

/// Where the data of what is below a prefix rests, unless a longer one says something else; `None` before the cluster is
/// founded.
pub(in crate::directory) fn place(state: &impl State, prefix: &str) -> Result<Option<Place>, ApplyError> {
    let named = prefix.parse::<RepositoryName>().ok();
    let mut layers = Vec::new();
    for prefix in named.as_ref().map_or_else(|| vec![""], |name| prefixes(name).collect()) {
        if let Some(record) = Namespaces::get(state, &prefix.to_owned())? {
            layers.push((prefix, record));
        }
    }
    Ok(Place::resolve(layers.iter().map(|(prefix, record)| (*prefix, record))))
}

/// Sets a namespace as a whole. The root always has a home and a residency: left out, they keep their value there.
pub(super) fn set(
    context: &mut Context<'_, '_>,
    prefix: String,
    mut record: NamespaceRecord,
    made_from: u64,
) -> Outcome {
    if !Cluster::contains(context.state, ())? {
        return Ok(Err(Refusal::NotFounded));
    }
    if !is_prefix(&prefix) {
        return Ok(Err(Refusal::NamespaceInvalid(prefix)));
    }
    if let Err(error) = record.policy.check() {
        return Ok(Err(Refusal::PolicyInvalid(error)));
    }
    if let Some(Err(refusal)) = record.replication.as_ref().map(Replication::check) {
        return Ok(Err(refusal));
    }
    let present = Namespaces::get(context.state, &prefix)?;
    if present.is_none() && are_full(context)? {
        return Ok(Err(Refusal::TooManyNamespaces(NAMESPACES_MAX as u64)));
    }
    if prefix.is_empty() {
        let root = Namespaces::require(context.state, &prefix)?;
        record.home = record.home.or(root.home);
        record.residency = record.residency.or(root.residency);
    }
    record.aside = kept_aside(context, &prefix, &record, present.as_ref())?;
    if let Some(refusal) = refuse_regions(context, &record)? {
        return Ok(Err(refusal));
    }
    if present.as_ref() != Some(&record) {
        if let Some(refusal) = refuse_version(context, made_from)? {
            return Ok(Err(refusal));
        }
        if let Some(refusal) = refuse_place(context, &prefix, &record, present.and_then(|present| present.moving))? {
            return Ok(Err(refusal));
        }
        heirs::put(context, &prefix, &record)?;
    }
    Ok(Ok(Response::Done))
}

/// Whether there are as many namespaces as may be.
pub(super) fn are_full(context: &Context<'_, '_>) -> Result<bool, ApplyError> {
    Ok(Namespaces::scan::<()>(context.state, (), None, NAMESPACES_MAX)?.len() == NAMESPACES_MAX)
}

/// Why a change is refused that was made from another version than the present one.
pub(super) fn refuse_version(context: &Context<'_, '_>, made_from: u64) -> Result<Option<Refusal>, ApplyError> {
    let version = version(context)?;
    Ok((version != made_from).then_some(Refusal::NamespacesChanged { made_from, version }))
}

/// Whether the present version is the next one after that from which a change was made.
pub(super) fn is_next(context: &Context<'_, '_>, made_from: u64) -> Result<bool, ApplyError> {
    Ok(made_from.checked_add(1) == Some(version(context)?))
}

/// Former homes that stay aside when a record is set. Who sets a home of his own takes along those that he inherited.
fn kept_aside(
    context: &Context<'_, '_>,
    prefix: &str,
    record: &NamespaceRecord,
    present: Option<&NamespaceRecord>,
) -> Result<Vec<Aside>, ApplyError> {
    if record.home.is_some() && present.is_none_or(|present| present.home.is_none()) {
        return Ok(place(context.state, prefix)?.map(|place| place.aside).unwrap_or_default());
    }
    Ok(present.map(|present| present.aside.clone()).unwrap_or_default())
}

/// Why the regions that a record names cannot be: one does not exist, or is named twice.
fn refuse_regions(context: &Context<'_, '_>, record: &NamespaceRecord) -> Result<Option<Refusal>, ApplyError> {
    let copies = match &record.residency {
        Some(Residency::Replicated(copies)) => copies.as_slice(),
        _ => &[],
    };
    for region in record.home.iter().chain(record.moving.as_ref().map(|moving| &moving.to)).chain(copies) {
        if !Regions::contains(context.state, region)? {
            return Ok(Some(region::unknown(context, &region.to_string())?));
        }
    }
    let twice = |(index, region): &(usize, &RegionId)| copies[..*index].contains(region);
    match copies.iter().enumerate().find(twice) {
        Some((_, region)) => Ok(Some(Refusal::CopyTwice(region::name(context, *region)?))),
        None => Ok(None),
    }
}

/// Why data cannot rest where a record says. `moving` is what is in force at its prefix.
fn refuse_place(
    context: &Context<'_, '_>,
    prefix: &str,
    record: &NamespaceRecord,
    moving: Option<Moving>,
) -> Result<Option<Refusal>, ApplyError> {
    let wanted = match record.home {
        Some(home) => Some(home),
        None => home(context, shorter(prefix))?,
    };
    let at_home = |region: &RegionId| Some(*region) == wanted;
    if let Some(Residency::Replicated(copies)) = &record.residency
        && let Some(region) = copies.iter().copied().find(at_home)
    {
        return Ok(Some(Refusal::CopyAtHome(region::name(context, region)?)));
    }
    if let Some(to) = record.moving.map(|moving| moving.to) {
        if at_home(&to) {
            return Ok(Some(Refusal::HomeAlready(region::name(context, to)?)));
        }
        if let Some(refusal) = aside::refuse_aside(context, prefix, to)? {
            return Ok(Some(refusal));
        }
    }
    refuse_home(context, prefix, &Homes { present: home(context, prefix)?, wanted }, moving)
}

/// Why the home of a prefix cannot change: it is not being moved there.
fn refuse_home(
    context: &Context<'_, '_>,
    prefix: &str,
    homes: &Homes,
    moving: Option<Moving>,
) -> Result<Option<Refusal>, ApplyError> {
    let (Some(present), Some(wanted)) = (homes.present, homes.wanted) else { return Ok(None) };
    if present == wanted || moving == Some(Moving { to: wanted, fenced: true }) {
        return Ok(None);
    }
    let (from, to) = (region::name(context, present)?, region::name(context, wanted)?);
    Ok(Some(Refusal::HomeNotMoving { prefix: prefix.to_owned(), from, to }))
}

fn home(context: &Context<'_, '_>, prefix: &str) -> Result<Option<RegionId>, ApplyError> {
    Ok(place(context.state, prefix)?.map(|place| place.home))
}

/// The next shorter prefix; the root's own.
fn shorter(prefix: &str) -> &str {
    prefix.rsplit_once('/').map_or("", |(shorter, _)| shorter)
}

/// Forgets what is set at a prefix.
pub(super) fn remove(context: &mut Context<'_, '_>, prefix: &str) -> Outcome {
    if !Cluster::contains(context.state, ())? {
        return Ok(Err(Refusal::NotFounded));
    }
    if prefix.is_empty() {
        return Ok(Err(Refusal::RootStays));
    }
    let prefix = prefix.to_owned();
    let Some(record) = Namespaces::get(context.state, &prefix)? else {
        return Ok(Err(Refusal::NamespaceUnknown(prefix)));
    };
    if let Some(aside) = record.aside.first() {
        let region = region::name(context, aside.region)?;
        return Ok(Err(Refusal::IsAside { prefix, region }));
    }
    if let Some(refusal) = domain::refuse_named(context, &prefix)? {
        return Ok(Err(refusal));
    }
    let homes = Homes { present: home(context, &prefix)?, wanted: home(context, shorter(&prefix))? };
    // Never as the last step of a move: who removes has not looked at what the move has looked at.
    if let Some(refusal) = refuse_home(context, &prefix, &homes, None)? {
        return Ok(Err(refusal));
    }
    Namespaces::delete(context.state, &prefix);
    changed(context)?;
    Ok(Ok(Response::Done))
}

fn version(context: &Context<'_, '_>) -> Result<u64, ApplyError> {
    Ok(PolicyVersion::get(context.state, ())?.unwrap_or_default().version)
}

/// Counts a change of a namespace, or of the regions that they can name.
pub(super) fn changed(context: &mut Context<'_, '_>) -> Result<(), ApplyError> {
    let version = version(context)? + 1;
    PolicyVersion::put(context.state, (), &PolicyVersionRecord { version });
    Ok(())
}
