//! The cluster itself: founded once, its feature level raised.

use storage::kv::Bytes;

use super::{Context, Outcome, access, certificate, node, region};
use crate::directory::access::FirstAccess;
use crate::directory::command::Response;
use crate::directory::namespace::{NamespaceRecord, PolicyVersionRecord, Residency};
use crate::directory::record::{ClusterRecord, NodeInfo, NodeRecord, NodeState, RegionRecord};
use crate::directory::refusal::Refusal;
use crate::directory::table::{Cluster, Namespaces, Nodes, PolicyVersion, Regions};
use crate::id::{NodeId, RegionId};
use crate::table::{Table, inconsistent};

const FIRST_NODE: NodeId = NodeId(1);
const FIRST_REGION: RegionId = RegionId(1);
/// Ids of nodes, and of regions, that a lost majority may have given out unheard.
const IDS_PASSED_OVER: u32 = 1000;
/// Changes of the policies, and of who may do what, that it may have made unheard.
const VERSIONS_PASSED_OVER: u64 = 1 << 20;

/// The cluster's certificate authority.
pub(super) struct Trust {
    /// Certificate, DER.
    pub(super) ca_certificate: Bytes,
    /// Wrapped private key.
    pub(super) wrapped_ca_key: Bytes,
}

/// Founds the cluster with its first region, node, the root namespace, and who may do what.
pub(super) fn found(
    context: &mut Context<'_, '_>,
    cluster: [u8; 16],
    trust: Trust,
    feature_level: u32,
    (name, info): (String, NodeInfo),
    first: FirstAccess,
) -> Outcome {
    let admitted = Response::Admitted { node: FIRST_NODE, region: FIRST_REGION, founds: true };
    if Cluster::contains(context.state, ())? {
        let first = Nodes::get(context.state, &FIRST_NODE)?;
        let repeated = first.is_some_and(|first| first.admitted_by == context.request);
        return Ok(if repeated { Ok(admitted) } else { Err(Refusal::AlreadyFounded) });
    }
    if info.feature_level < feature_level {
        return Ok(Err(Refusal::FeatureLevelTooHigh(FIRST_NODE, feature_level)));
    }
    if !region::is_region_name(&name) {
        return Ok(Err(Refusal::RegionInvalid(name)));
    }
    if let Err(refusal) = access::check_first(&first) {
        return Ok(Err(refusal.into()));
    }
    let record = ClusterRecord {
        id: cluster,
        feature_level,
        ca_certificate: trust.ca_certificate,
        wrapped_ca_key: trust.wrapped_ca_key,
        founded: context.now,
        next_node: NodeId(FIRST_NODE.0 + 1),
        next_region: RegionId(FIRST_REGION.0 + 1),
        primary: FIRST_REGION,
        evictions_held: None,
    };
    Cluster::put(context.state, (), &record);
    let region = RegionRecord::new(name, context.now, context.request);
    Regions::put(context.state, &FIRST_REGION, &RegionRecord { founder: Some(FIRST_NODE), ..region });
    let (home, residency) = (Some(FIRST_REGION), Some(Residency::Home));
    let root = NamespaceRecord { home, residency, ..NamespaceRecord::default() };
    Namespaces::put(context.state, &String::new(), &root);
    let record = NodeRecord::new(info, FIRST_REGION, NodeState::Active, context.now, context.request);
    node::store_new(context, FIRST_NODE, &record);
    access::make_first(context, first)?;
    Ok(Ok(admitted))
}

/// Raises the feature level once every node understands it.
pub(super) fn raise_feature_level(context: &mut Context<'_, '_>, level: u32) -> Outcome {
    let Some(mut cluster) = Cluster::get(context.state, ())? else { return Ok(Err(Refusal::NotFounded)) };
    if level < cluster.feature_level {
        return Ok(Err(Refusal::FeatureLevelSinks(cluster.feature_level)));
    }
    for (id, node) in Nodes::scan::<()>(context.state, (), None, usize::MAX)? {
        if node.state != NodeState::Removed && node.info.feature_level < level {
            return Ok(Err(Refusal::FeatureLevelTooHigh(id, level)));
        }
    }
    cluster.feature_level = level;
    Cluster::put(context.state, (), &cluster);
    Ok(Ok(Response::Done))
}

/// Begins anew after a takeover. What was agreed on without this replica's knowledge comes back as what nodes remember of
/// it, certificates and copies of policies: it must not pass for something that is agreed on now. A region of which it is not
/// known that it became a home or a copy keeps what it has, until somebody has looked.
pub(super) fn begin_anew(context: &mut Context<'_, '_>, primary: RegionId) -> Outcome {
    let Some(mut cluster) = Cluster::get(context.state, ())? else { return Ok(Err(Refusal::NotFounded)) };
    if !Regions::contains(context.state, &primary)? {
        return Ok(Err(region::unknown(context, &primary.to_string())?));
    }
    let exhausted = || inconsistent("cluster", "no id is left");
    cluster.next_node = NodeId(cluster.next_node.0.checked_add(u64::from(IDS_PASSED_OVER)).ok_or_else(exhausted)?);
    cluster.next_region = RegionId(cluster.next_region.0.checked_add(IDS_PASSED_OVER).ok_or_else(exhausted)?);
    cluster.primary = primary;
    cluster.evictions_held = Some(context.now);
    Cluster::put(context.state, (), &cluster);
    let PolicyVersionRecord { version } = PolicyVersion::get(context.state, ())?.unwrap_or_default();
    let version = version.checked_add(VERSIONS_PASSED_OVER).ok_or_else(exhausted)?;
    PolicyVersion::put(context.state, (), &PolicyVersionRecord { version });
    access::pass_over(context, VERSIONS_PASSED_OVER)?;
    certificate::pass_over(context, VERSIONS_PASSED_OVER)?;
    Ok(Ok(Response::Done))
}

/// Lets what is foreign to a region be taken away from it again.
pub(super) fn release_evictions(context: &mut Context<'_, '_>) -> Outcome {
    let Some(mut cluster) = Cluster::get(context.state, ())? else { return Ok(Err(Refusal::NotFounded)) };
    if cluster.evictions_held.take().is_some() {
        Cluster::put(context.state, (), &cluster);
    }
    Ok(Ok(Response::Done))
}
