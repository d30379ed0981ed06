//! Who may pass the peer port: authenticated peers that mean this node. A connection outlives its node's membership, so
//! that is looked at with each request, RPC or forwarded alike.

use http::{Extensions, HeaderMap};
use raft::id::{GroupId, NodeId, RegionId};
use tonic::{Request, Status};

use super::client::{CLAIM, CLAIM_REGION, TARGET};
use super::{PeerIdentity, Refusal, Trust};
use crate::members::{Members, is_own_region};

/// Lets authenticated peers pass that mean this node.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) own: NodeId,
    pub(super) trust: Trust,
    pub(super) members: Members,
}

/// Why a request does not pass, with a text for people.
pub(super) type Refused = (Refusal, String);

impl Guard {
    /// The peer that a request comes from, if it may pass.
    pub(super) fn admit(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<PeerIdentity, Refused> {
        let shown = extensions.get::<PeerIdentity>().copied();
        let claimed = claim(headers).filter(|_| self.trust == Trust::Claim);
        let Some(peer) = claimed.or(shown) else { return Err(unauthenticated()) };
        if self.members.is_removed(peer.node) {
            return Err((Refusal::Removed, format!("node {} was removed from the cluster", peer.node)));
        }
        // One that the directory is not known to have yet was signed for by the cluster's CA all the same.
        if let Some(region) = self.members.region_of(peer.node).filter(|region| *region != peer.region) {
            let PeerIdentity { node, region: shown } = peer;
            let message = format!("node {node} is of region {region}, and shows a certificate of region {shown}");
            return Err((Refusal::WrongRegion, message));
        }
        match number(headers, TARGET) {
            Some(target) if target == self.own.0 => Ok(peer),
            Some(target) => Err((Refusal::WrongNode, format!("this is node {}, not node {target}", self.own))),
            None => Err((Refusal::Invalid, "the request does not say which node it is for".to_owned())),
        }
    }
}

impl tonic::service::Interceptor for Guard {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let admitted = self.admit(request.metadata().as_ref(), request.extensions());
        let peer = admitted.map_err(|(refusal, message)| refusal.status(message))?;
        request.extensions_mut().insert(peer);
        Ok(request)
    }
}

/// The same, but lets only peers of the own region pass: shards do not leave it.
#[derive(Clone, Debug)]
pub(super) struct OwnRegion(pub(super) Guard);

impl tonic::service::Interceptor for OwnRegion {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let request = self.0.call(request)?;
        let peer = identity(&request)?;
        if is_own_region(self.0.members.region(), peer.region) {
            return Ok(request);
        }
        let message = format!("shards stay in their region: node {} is of region {}", peer.node, peer.region);
        Err(Refusal::WrongRegion.status(message))
    }
}

/// Refuses the messages of a catalog that come from another region than its own.
pub(super) fn check_group(peer: PeerIdentity, group: GroupId) -> Result<(), Status> {
    match group {
        GroupId::Catalog(region) if region != peer.region => {
            let message = format!("group {group} is not of region {}, that of node {}", peer.region, peer.node);
            Err(Refusal::WrongRegion.status(message))
        }
        _ => Ok(()),
    }
}

/// The peer that sent a request which has passed.
pub(super) fn identity<T>(request: &Request<T>) -> Result<PeerIdentity, Status> {
    let identity = request.extensions().get::<PeerIdentity>().copied();
    identity.ok_or_else(|| {
        let (refusal, message) = unauthenticated();
        refusal.status(message)
    })
}

fn unauthenticated() -> Refused {
    (Refusal::Unauthenticated, "a certificate of this cluster is needed".to_owned())
}

/// What a caller says of itself.
fn claim(headers: &HeaderMap) -> Option<PeerIdentity> {
    let region = u32::try_from(number(headers, CLAIM_REGION)?).ok()?;
    Some(PeerIdentity { node: NodeId(number(headers, CLAIM)?), region: RegionId(region) })
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
