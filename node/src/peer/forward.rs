//! The way out for a client's request that a node of another region answers: HTTP as it is, over the peers' port.
//!
//! Nothing is gathered: what the peer does not take stays with the client, and the other way round. Which node is asked,
//! and what of a request is passed on, is not here (`regions`).

use axum::body::Body;
use http::{HeaderValue, Request, Response};
use raft::id::NodeId;
use tonic::Status;
use tower::{Service as _, ServiceExt as _};

use super::client::{CLAIM, CLAIM_REGION, TARGET, refused};
use super::held::Held;
use super::lanes::Place;
use super::status::Broken;
use super::{PeerError, Peers, Refusal};

/// Header: the request is a client's, handed on by the node that sends it.
pub(super) const FORWARDED: &str = "regnode-forwarded";
/// Header of an answer that is the peer's own refusal, not the API's: which one it is.
pub(super) const REFUSED: &str = "regnode-error";

impl Peers {
    /// Has a peer answer a client's request. The request's headers are passed on as they are.
    pub async fn forward(&self, node: NodeId, request: Request<Body>) -> Result<Response<Body>, PeerError> {
        let outcome = self.hand_on(node, request).await;
        self.count("forward", &outcome);
        outcome
    }

    async fn hand_on(&self, node: NodeId, mut request: Request<Body>) -> Result<Response<Body>, PeerError> {
        let busy = || refused(node, Refusal::Busy, "too many requests are under way to it".to_owned());
        let Place { mut channel, permit } = self.link(node, None)?.lanes.take().ok_or_else(busy)?;
        let headers = request.headers_mut();
        headers.insert(TARGET, HeaderValue::from(node.0));
        headers.insert(FORWARDED, HeaderValue::from_static("1"));
        if self.is_plaintext() {
            headers.insert(CLAIM, HeaderValue::from(self.own().0));
            headers.insert(CLAIM_REGION, HeaderValue::from(self.own_region().0));
        }
        let asked = async { channel.ready().await?.call(request.map(tonic::body::Body::new)).await };
        let answer = asked.await.map_err(|error| match Broken::of(&Status::from_error(error.into())) {
            Broken::NotSent(message) => PeerError::Unreachable { node, message },
            Broken::MaybeSent(message) | Broken::TooLarge(message) => PeerError::Lost { node, message },
        })?;
        if let Some(name) = answer.headers().get(REFUSED).and_then(|name| name.to_str().ok()) {
            let refusal = Refusal::named(name).unwrap_or(Refusal::Failed);
            return Err(refused(node, refusal, format!("it does not take the request: {name}")));
        }
        Ok(answer.map(|body| Body::new(Held { body, _kept: permit })))
    }
}
