//! The way out: calls to peers, each with its deadline.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft::id::{GroupId, NodeId, RegionId};
use tokio::time::timeout;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use super::address_book::AddressBook;
use super::channel::Link;
use super::proto::peer_client::PeerClient;
use super::status::Broken;
use super::{Metrics, PeerError, Refusal, Security, convert, limits, proto};
use crate::environment::Network;
use crate::members::Beat;

/// Metadata: the node that a request is meant for.
pub(super) const TARGET: &str = "regnode-target";
/// Metadata: the node that a request comes from, where no certificate says it.
pub(super) const CLAIM: &str = "regnode-node";
/// Metadata: the region of that node, likewise.
pub(super) const CLAIM_REGION: &str = "regnode-region";

/// Connections to all peers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    own: NodeId,
    book: AddressBook,
    metrics: Metrics,
}

impl Peers {
    /// No peers yet: [`learn`](Self::learn) names them. Must be used within a runtime.
    #[must_use]
    pub fn new(own: NodeId, region: RegionId, network: Arc<dyn Network>, security: Security, metrics: Metrics) -> Self {
        let book = AddressBook::new(region, network, security, metrics.clone());
        Self { inner: Arc::new(Inner { own, book, metrics }) }
    }

    /// This node.
    #[must_use]
    pub fn own(&self) -> NodeId {
        self.inner.own
    }

    /// The own region.
    #[must_use]
    pub fn own_region(&self) -> RegionId {
        self.inner.book.regions().own()
    }

    /// Sets a peer's region, which its certificate has to name. Before its address: a peer of another region is waited
    /// for longer.
    pub fn learn_region(&self, node: NodeId, region: RegionId) {
        self.inner.book.regions().learn(node, region);
    }

    /// Sets a peer's address, `host:port`. New calls go there.
    pub fn learn(&self, node: NodeId, address: &str) {
        self.inner.book.learn(node, address);
    }

    /// Address of a peer, if one is known.
    #[must_use]
    pub fn address(&self, node: NodeId) -> Option<String> {
        self.inner.book.address(node)
    }

    /// Forgets a peer that is none any more.
    pub fn forget(&self, node: NodeId) {
        self.inner.book.forget(node);
    }

    /// Takes fresh connections to a peer from now on: the present ones are silent.
    pub fn reconnect(&self, node: NodeId) {
        self.inner.book.reconnect(node);
    }

    /// Takes fresh connections to all peers from now on: another certificate is shown on them, or theirs are judged anew. Calls
    /// end on the connections that they have begun on.
    pub fn reconnect_all(&self) {
        self.inner.book.reconnect_all();
    }

    /// Exchanges beats with a peer.
    pub async fn heartbeat(&self, node: NodeId, beat: &Beat, deadline: Duration) -> Result<Beat, PeerError> {
        let link = self.link(node, None)?;
        let request = self.request(node, proto::HeartbeatRequest { beat: Some(convert::beat_message(beat)) });
        let mut client = control(&link);
        let answer = self.complete(node, "heartbeat", deadline, client.heartbeat(request)).await?;
        let beat = convert::beat(answer.beat).map_err(|error| refused(node, Refusal::Failed, error.to_string()))?;
        if beat.node == node {
            Ok(beat)
        } else {
            Err(refused(node, Refusal::WrongNode, format!("node {} answers at its address", beat.node)))
        }
    }

    /// Sends one message to a peer's replica of a group. `hint` is used when no address is known.
    pub async fn group_call(
        &self,
        node: NodeId,
        hint: &str,
        group: GroupId,
        payload: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, PeerError> {
        let link = self.group_link(node, hint, group)?;
        self.metrics().sent(payload.len());
        let message = proto::GroupCallRequest { group: Some(convert::group_name(group)), payload };
        let request = self.request(node, message);
        let mut client = control(&link);
        let answer = self.complete(node, "group", deadline, client.group_call(request)).await?;
        self.metrics().received(answer.payload.len());
        Ok(answer.payload)
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Whether peers are recognised by what they say: TLS is off.
    pub(super) fn is_plaintext(&self) -> bool {
        self.inner.book.is_plaintext()
    }

    pub(super) fn link(&self, node: NodeId, hint: Option<&str>) -> Result<Link, PeerError> {
        let link = self.inner.book.link(node, hint);
        link.ok_or_else(|| PeerError::Unreachable { node, message: "its address is not known".to_owned() })
    }

    /// The way for a group's messages. Those of a catalog never go to a node of another region, whoever asks for it.
    pub(super) fn group_link(&self, node: NodeId, hint: &str, group: GroupId) -> Result<Link, PeerError> {
        if self.inner.book.regions().may_have(node, group) {
            self.link(node, Some(hint))
        } else {
            Err(PeerError::Unreachable { node, message: format!("it is in another region than group {group}") })
        }
    }

    /// A request with what every request carries.
    pub(super) fn request<T>(&self, node: NodeId, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(TARGET, MetadataValue::from(node.0));
        if self.is_plaintext() {
            request.metadata_mut().insert(CLAIM, MetadataValue::from(self.inner.own.0));
            request.metadata_mut().insert(CLAIM_REGION, MetadataValue::from(self.own_region().0));
        }
        request
    }

    /// Waits for a call, at most until its deadline, and counts its outcome.
    pub(super) async fn complete<T>(
        &self,
        node: NodeId,
        name: &'static str,
        deadline: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, PeerError> {
        let outcome = match timeout(deadline, call).await {
            Ok(answer) => Self::outcome(node, answer),
            Err(_elapsed) => Err(PeerError::Timeout { node }),
        };
        self.count(name, &outcome);
        outcome
    }

    pub(super) fn count<T>(&self, name: &'static str, outcome: &Result<T, PeerError>) {
        self.metrics().request(name, outcome.as_ref().err().map_or("done", PeerError::outcome));
    }

    pub(super) fn outcome<T>(node: NodeId, answer: Result<Response<T>, Status>) -> Result<T, PeerError> {
        answer.map(Response::into_inner).map_err(|status| match Refusal::of(&status) {
            Some(refusal) => refused(node, refusal, status.message().to_owned()),
            None => match Broken::of(&status) {
                Broken::NotSent(message) => PeerError::Unreachable { node, message },
                Broken::MaybeSent(message) => PeerError::Lost { node, message },
                Broken::TooLarge(message) => refused(node, Refusal::Invalid, message),
            },
        })
    }
}

pub(super) fn refused(node: NodeId, refusal: Refusal, message: String) -> PeerError {
    PeerError::Refused { node, refusal, message }
}

pub(super) fn control(link: &Link) -> PeerClient<tonic::transport::Channel> {
    PeerClient::new(link.control.clone()).max_decoding_message_size(limits::MESSAGE_LIMIT_BYTES + limits::FRAMING_BYTES)
}
