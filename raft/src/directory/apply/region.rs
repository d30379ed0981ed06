//! Regions: added without a node, founded by the first one that is admitted, described, retired.
//!
//! What namespaces can name changes with them, so each change is counted like one of a namespace: the catalogs of new
//! regions take up what they are for, and who keeps places in memory reads them anew.

use super::{Context, Outcome, namespace};
use crate::directory::command::Response;
use crate::directory::limit::{PUBLIC_URL_LENGTH_MAX, REGION_NAME_LENGTH_MAX, REGIONS_MAX};
use crate::directory::namespace::{NamespaceRecord, Residency};
use crate::directory::record::{NodeRecord, NodeState, RegionRecord};
use crate::directory::refusal::Refusal;
use crate::directory::table::{Cluster, Namespaces, Nodes, Regions};
use crate::id::{NodeId, RegionId};
use crate::machine::ApplyError;
use crate::table::{Table, inconsistent};

/// Adds a region.
pub(super) fn add(context: &mut Context<'_, '_>, name: String) -> Outcome {
    let Some(mut cluster) = Cluster::get(context.state, ())? else { return Ok(Err(Refusal::NotFounded)) };
    if !is_region_name(&name) {
        return Ok(Err(Refusal::RegionInvalid(name)));
    }
    if let Some((_, present)) = named(context, &name)? {
        let repeated = present.added_by == context.request;
        return Ok(if repeated { Ok(Response::Done) } else { Err(Refusal::RegionExists(name)) });
    }
    if all(context)?.len() >= REGIONS_MAX {
        return Ok(Err(Refusal::TooManyRegions(REGIONS_MAX as u64)));
    }
    let region = cluster.next_region;
    let next = region.0.checked_add(1).ok_or_else(|| inconsistent("cluster", "no region id is left"))?;
    cluster.next_region = RegionId(next);
    Cluster::put(context.state, (), &cluster);
    Regions::put(context.state, &region, &RegionRecord::new(name, context.now, context.request));
    namespace::changed(context)?;
    Ok(Ok(Response::Done))
}

/// Changes what is said of a region.
pub(super) fn set(
    context: &mut Context<'_, '_>,
    region: RegionId,
    public_url: Option<String>,
    inbound_bytes_per_second: Option<u64>,
) -> Outcome {
    let Some(mut record) = Regions::get(context.state, &region)? else {
        return Ok(Err(unknown(context, &region.to_string())?));
    };
    if let Some(url) = public_url.as_ref().filter(|url| !is_public_url(url)) {
        return Ok(Err(Refusal::PublicUrlInvalid(url.clone())));
    }
    if inbound_bytes_per_second == Some(0) {
        return Ok(Err(Refusal::InboundZero));
    }
    let changed = RegionRecord { public_url, inbound_bytes_per_second, ..record.clone() };
    if record != changed {
        record = changed;
        Regions::put(context.state, &region, &record);
        namespace::changed(context)?;
    }
    Ok(Ok(Response::Done))
}

/// Makes a region the primary.
pub(super) fn set_primary(context: &mut Context<'_, '_>, region: RegionId) -> Outcome {
    let Some(mut cluster) = Cluster::get(context.state, ())? else { return Ok(Err(Refusal::NotFounded)) };
    let Some(record) = Regions::get(context.state, &region)? else {
        return Ok(Err(unknown(context, &region.to_string())?));
    };
    let nodes = Nodes::scan::<()>(context.state, (), None, usize::MAX)?;
    if !nodes.iter().any(|(_, node)| node.region == region && node.state == NodeState::Active) {
        return Ok(Err(Refusal::RegionEmpty(record.name)));
    }
    cluster.primary = region;
    Cluster::put(context.state, (), &cluster);
    Ok(Ok(Response::Done))
}

/// Forgets a region. One that was retired before stays so: its id was never given to another one.
pub(super) fn retire(context: &mut Context<'_, '_>, region: RegionId) -> Outcome {
    let Some(cluster) = Cluster::get(context.state, ())? else { return Ok(Err(Refusal::NotFounded)) };
    let Some(record) = Regions::get(context.state, &region)? else {
        let retired = RegionId(0) < region && region < cluster.next_region;
        return Ok(if retired { Ok(Response::Done) } else { Err(unknown(context, &region.to_string())?) });
    };
    if cluster.primary == region {
        return Ok(Err(Refusal::RegionIsPrimary(record.name)));
    }
    let nodes = Nodes::scan::<()>(context.state, (), None, usize::MAX)?;
    let stays = |(_, node): &&(NodeId, NodeRecord)| node.region == region && node.state != NodeState::Removed;
    if let Some((node, _)) = nodes.iter().find(stays) {
        return Ok(Err(Refusal::RegionHasNode { region: record.name, node: *node }));
    }
    if let Some(namespace) = naming(context, region)? {
        return Ok(Err(Refusal::RegionNamed { region: record.name, namespace }));
    }
    Regions::delete(context.state, &region);
    namespace::changed(context)?;
    Ok(Ok(Response::Done))
}

/// A namespace that names a region: as its home, as what is to become that or was it, or in its list of copies.
pub(super) fn naming(context: &Context<'_, '_>, region: RegionId) -> Result<Option<String>, ApplyError> {
    let names = |record: &NamespaceRecord| {
        let copied = matches!(&record.residency, Some(Residency::Replicated(copies)) if copies.contains(&region));
        let moving = record.moving.is_some_and(|moving| moving.to == region);
        record.home == Some(region) || moving || copied || record.aside.iter().any(|aside| aside.region == region)
    };
    let namespaces = Namespaces::scan::<()>(context.state, (), None, usize::MAX)?;
    Ok(namespaces.into_iter().find(|(_, record)| names(record)).map(|(prefix, _)| prefix))
}

/// All regions, by id.
fn all(context: &Context<'_, '_>) -> Result<Vec<(RegionId, RegionRecord)>, ApplyError> {
    Regions::scan::<()>(context.state, (), None, usize::MAX)
}

/// The region of a name.
pub(super) fn named(context: &Context<'_, '_>, name: &str) -> Result<Option<(RegionId, RegionRecord)>, ApplyError> {
    Ok(all(context)?.into_iter().find(|(_, region)| region.name == name))
}

/// Refuses what names a region that does not exist.
pub(super) fn unknown(context: &Context<'_, '_>, name: &str) -> Result<Refusal, ApplyError> {
    let known = all(context)?.into_iter().map(|(_, region)| region.name).collect();
    Ok(Refusal::RegionUnknown { name: name.to_owned(), known })
}

/// A region's name for a sentence.
pub(super) fn name(context: &Context<'_, '_>, region: RegionId) -> Result<String, ApplyError> {
    Ok(Regions::get(context.state, &region)?.map_or_else(|| region.to_string(), |record| record.name))
}

/// Whether a text can be a region's name: that of a DNS label, since the name may become part of an address.
#[must_use]
pub fn is_region_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=REGION_NAME_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a text can be a region's public URL: paths of requests are put behind it.
fn is_public_url(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    text.len() <= PUBLIC_URL_LENGTH_MAX
        && host.is_some_and(|host| host.bytes().any(|byte| byte.is_ascii_alphanumeric()) && host.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_named_like_a_host() {
        assert!(["eu", "us-east-1", "7", &"a".repeat(63)].into_iter().all(is_region_name));
        assert!(!["", "EU", "eu west", "-eu", "eu-", "eu.west", &"a".repeat(64)].into_iter().any(is_region_name));
    }

    #[test]
    fn a_public_url_names_a_host_and_nothing_behind_it() {
        assert!(["https://eu.example.com", "http://10.0.0.1:5000", "https://[::1]:443"].into_iter().all(is_public_url));
        let wrong =
            ["eu.example.com", "https://", "https://eu/", "https://eu/v2", "ftp://eu", "https://a b", "https://:"];
        assert!(!wrong.into_iter().any(is_public_url));
    }
}
