//! Namespaces: policy by path prefix.

use super::{Context, Outcome};
use crate::catalog::RepositoryName;
use crate::directory::command::{Refusal, Response};
use crate::directory::record::{NamespaceRecord, Residency};
use crate::directory::table::{Cluster, Namespaces, Regions};
use crate::table::Table;

/// Sets a namespace's policy. The root always has one: fields that are left out keep their value there.
pub(super) fn set(context: &mut Context<'_, '_>, prefix: String, mut record: NamespaceRecord) -> Outcome {
    if !Cluster::contains(context.state, ())? {
        return Ok(Err(Refusal::NotFounded));
    }
    // A prefix is a run of path components, so it has the grammar of a repository name.
    if !prefix.is_empty() && prefix.parse::<RepositoryName>().is_err() {
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
    if prefix.is_empty() {
        let root = Namespaces::require(context.state, &prefix)?;
        record.home = record.home.or(root.home);
        record.residency = record.residency.or(root.residency);
    }
    Namespaces::put(context.state, &prefix, &record);
    Ok(Ok(Response::Done))
}
