//! Namespaces: policy by path prefix. Each change is counted, so that the catalogs notice it.

use super::{Context, Outcome};
use crate::directory::command::{Refusal, Response};
use crate::directory::limit::NAMESPACES_MAX;
use crate::directory::record::{NamespaceRecord, PolicyVersionRecord, Residency};
use crate::directory::table::{Cluster, Namespaces, PolicyVersion, Regions};
use crate::machine::ApplyError;
use crate::policy::is_prefix;
use crate::table::Table;

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
    let copies = match &record.residency {
        Some(Residency::Replicated(regions)) => regions.as_slice(),
        _ => &[],
    };
    for region in record.home.iter().chain(copies) {
        if !Regions::contains(context.state, region)? {
            return Ok(Err(Refusal::RegionUnknown(region.to_string())));
        }
    }
    if let Err(error) = record.policy.check() {
        return Ok(Err(Refusal::PolicyInvalid(error)));
    }
    let present = Namespaces::get(context.state, &prefix)?;
    if present.is_none() && Namespaces::scan::<()>(context.state, (), None, NAMESPACES_MAX)?.len() == NAMESPACES_MAX {
        return Ok(Err(Refusal::TooManyNamespaces(NAMESPACES_MAX as u64)));
    }
    if prefix.is_empty() {
        let root = Namespaces::require(context.state, &prefix)?;
        record.home = record.home.or(root.home);
        record.residency = record.residency.or(root.residency);
    }
    if present.as_ref() != Some(&record) {
        let version = version(context)?;
        if version != made_from {
            return Ok(Err(Refusal::NamespacesChanged { made_from, version }));
        }
        Namespaces::put(context.state, &prefix, &record);
        changed(context)?;
    }
    Ok(Ok(Response::Done))
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
    if !Namespaces::contains(context.state, &prefix)? {
        return Ok(Err(Refusal::NamespaceUnknown(prefix)));
    }
    Namespaces::delete(context.state, &prefix);
    changed(context)?;
    Ok(Ok(Response::Done))
}

fn version(context: &Context<'_, '_>) -> Result<u64, ApplyError> {
    Ok(PolicyVersion::get(context.state, ())?.unwrap_or_default().version)
}

fn changed(context: &mut Context<'_, '_>) -> Result<(), ApplyError> {
    let version = version(context)? + 1;
    PolicyVersion::put(context.state, (), &PolicyVersionRecord { version });
    Ok(())
}
