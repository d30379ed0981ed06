//! A client's request, answered by a node of another region: which node, which headers, and what if it does not answer.
//!
//! The answer is the other region's, as it comes: nothing of either body rests here, in memory or on a disk, beyond the
//! windows of a connection. A request is handed to one node only, unless that one has certainly got nothing of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, Version};
use raft::id::NodeId;
use tokio::time::timeout;
use tracing::debug;

use super::body::{Received, Untouched};
use super::client::tell;
use super::metrics::Traffic;
use super::{Region, Regions};
use crate::peer::{AdminAnswer, AdminRequest, PeerError, Refusal};
use crate::serve::Client;

/// Most requests that another region answers for this node's clients at one time: each may fill the window of its stream
/// while its client is slow.
pub(super) const UNDER_WAY_MAX: usize = 128;
/// How long a request waits for one of them to end.
const WAIT: Duration = Duration::from_secs(10);
/// Most nodes that are asked.
const NODES_MAX: usize = 3;

/// Headers of one connection, which end with it.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    // Who asked for it is answered here: the body is wanted as soon as the other region takes it.
    EXPECT,
];

/// Why another region gave no answer. `Display` is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// None of its nodes answers. Nothing was done.
    #[error("region {region} does not answer; try again later")]
    Unreachable {
        /// Its name.
        region: String,
    },
    /// The connection broke before an answer came. The request may have been carried out.
    #[error("region {region} got the request, but no answer came; try again")]
    Lost {
        /// Its name.
        region: String,
    },
    /// Too many requests are under way to it. Nothing was done.
    #[error("too many requests are under way to region {region}; try again")]
    Busy {
        /// Its name.
        region: String,
    },
}

impl ForwardError {
    /// What it means that one of the region's nodes has failed.
    pub(super) fn of(failed: &PeerError, region: String) -> Self {
        match failed {
            PeerError::Refused { refusal: Refusal::Busy, .. } => Self::Busy { region },
            PeerError::Unreachable { .. } | PeerError::Refused { .. } => Self::Unreachable { region },
            PeerError::Lost { .. } | PeerError::Timeout { .. } => Self::Lost { region },
        }
    }

    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Lost { .. } => "lost",
            Self::Busy { .. } => "busy",
        }
    }
}

impl Regions {
    /// Has a node of another region answer a client's request.
    pub(crate) async fn forward(
        &self,
        region: &Region,
        parts: &Parts,
        body: Body,
    ) -> Result<Response<Body>, ForwardError> {
        let answer = self.hand_on(region, parts, body).await;
        if let Err(error) = &answer {
            self.metrics().request(Traffic::Forwarded, &region.name, error.outcome());
        }
        answer
    }

    async fn hand_on(&self, region: &Region, parts: &Parts, body: Body) -> Result<Response<Body>, ForwardError> {
        let name = || region.name.clone();
        let Ok(Ok(permit)) = timeout(WAIT, self.slots(Traffic::Forwarded, region.id).acquire_owned()).await else {
            return Err(ForwardError::Busy { region: name() });
        };
        let body = Untouched::new(body, self.metrics().bytes(Traffic::Forwarded, &region.name, "sent"));
        let mut error = ForwardError::Unreachable { region: name() };
        for node in self.nodes_of(region) {
            match self.neighbours().forward(node, request(parts, body.attempt())).await {
                Ok(answer) => {
                    let answer = answered(answer, &parts.method);
                    let metrics = (self.metrics().clone(), Traffic::Forwarded);
                    return Ok(answer.map(|body| Body::new(Received::new(body, metrics, &region.name, permit))));
                }
                // The client's fault, or its network's: no node is to blame.
                Err(_) if body.is_broken() => return Err(ForwardError::Lost { region: name() }),
                Err(failed) => {
                    debug!(%node, error = %failed, region = region.name, "a node of the home region does not answer");
                    self.report(&failed);
                    error = ForwardError::of(&failed, name());
                    let repeatable = !failed.may_have_had_effect() || is_read(&parts.method);
                    if !repeatable || !body.is_whole() {
                        break;
                    }
                }
            }
        }
        Err(error)
    }

    /// Has a node of another region carry out what an operator asks of its region.
    pub(crate) async fn administer(
        &self,
        region: &Region,
        request: AdminRequest,
        deadline: Duration,
    ) -> Result<AdminAnswer, ForwardError> {
        let name = || region.name.clone();
        for node in self.nodes_of(region) {
            match self.neighbours().administer(node, request.clone(), deadline).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    debug!(%node, %error, region = region.name, "a node of another region does not answer");
                    self.report(&error);
                    if error.may_have_had_effect() && request.method != Method::GET {
                        return Err(ForwardError::Lost { region: name() });
                    }
                }
            }
        }
        Err(ForwardError::Unreachable { region: name() })
    }

    /// Live nodes of a region in the order in which they are asked: those that say that they serve first, and each time
    /// another one of them.
    pub(super) fn nodes_of(&self, region: &Region) -> Vec<NodeId> {
        let remotes = self.neighbours().remotes();
        let live = remotes.into_iter().filter(|remote| remote.region == region.id && remote.live);
        let (mut ready, mut others): (Vec<NodeId>, Vec<NodeId>) = (Vec::new(), Vec::new());
        for remote in live {
            if remote.ready { ready.push(remote.id) } else { others.push(remote.id) }
        }
        let turn = self.turn().fetch_add(1, Ordering::Relaxed);
        for list in [&mut ready, &mut others] {
            let by = turn.checked_rem(list.len()).unwrap_or(0);
            list.rotate_left(by);
        }
        ready.append(&mut others);
        ready.truncate(NODES_MAX);
        ready
    }

    pub(super) fn report(&self, error: &PeerError) {
        // A stream that was lost says little of its node.
        if matches!(error, PeerError::Unreachable { .. }) {
            self.neighbours().report_failure(error.node());
        }
    }
}

fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// A client's request as it is passed on, with its credentials: who answers it asks anew who it is from. What is the
/// peers' own is not; where it came from is told instead.
fn request(parts: &Parts, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.version_mut() = Version::HTTP_2;
    let path = parts.uri.path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| parts.uri.clone(), Uri::from);
    let mut headers = parts.headers.clone();
    end_of_hop(&mut headers);
    headers.remove(HOST);
    headers.remove("grpc-timeout");
    let own: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with("regnode-")).cloned().collect();
    for name in own {
        headers.remove(name);
    }
    if let Some(client) = parts.extensions.get::<Client>() {
        tell(&mut headers, client);
    }
    *request.headers_mut() = headers;
    request
}

/// An answer as it is passed on.
fn answered(mut answer: Response<Body>, method: &Method) -> Response<Body> {
    end_of_hop(answer.headers_mut());
    answer.headers_mut().remove(DATE);
    *answer.version_mut() = Version::HTTP_11;
    if answer.status() == StatusCode::NOT_MODIFIED {
        // The length that the way here has given it is that of nothing, not the content's (RFC 9110, section 8.6).
        answer.headers_mut().remove(CONTENT_LENGTH);
    } else if *method != Method::HEAD {
        return answer;
    }
    if answer.headers().contains_key(CONTENT_LENGTH) {
        return answer.map(|_| Body::empty());
    }
    // A body of unknown length: an empty one would be given a length, which is not the content's.
    let nothing = futures_util::stream::empty::<Result<Bytes, std::convert::Infallible>>();
    answer.map(|_| Body::from_stream(nothing))
}

/// Removes what belongs to one connection, the headers that it names included (RFC 9110, section 7.6.1).
fn end_of_hop(headers: &mut HeaderMap) {
    let texts = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> =
        texts.flat_map(|text| text.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    // Who names the length of the body does not want it lost.
    for name in named.iter().filter(|name| **name != CONTENT_LENGTH).chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::client::told;
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_belongs_to_a_connection_ends_with_it() {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = Method::PUT;
        parts.uri = "http://gateway:5000/v2/a/b?digest=x%3Ay&n=1".parse().unwrap();
        parts.headers = headers(&[
            ("connection", "close, X-Own, content-length"),
            ("x-own", "1"),
            ("host", "gateway"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("regnode-target", "9"),
            ("regnode-forwarded", "1"),
            ("grpc-timeout", "1n"),
            ("range", "bytes=0-1"),
            ("content-length", "7"),
            ("authorization", "Bearer x"),
        ]);
        parts.headers.insert("regnode-client", HeaderValue::from_static(r#"{"address":"127.0.0.1"}"#));
        let passed = request(&parts, Body::empty());
        assert_eq!(told(passed.headers()), None, "a client's own word");
        let client = Client::at("192.0.2.7".parse().unwrap());
        parts.extensions.insert(client.clone());
        assert_eq!(told(request(&parts, Body::empty()).headers()), Some(client));
        assert_eq!(passed.uri(), "/v2/a/b?digest=x%3Ay&n=1");
        let expected = headers(&[("range", "bytes=0-1"), ("content-length", "7"), ("authorization", "Bearer x")]);
        assert_eq!((passed.method(), passed.headers()), (&Method::PUT, &expected));
    }

    #[test]
    fn an_answer_without_a_body_gets_no_length() {
        use http_body::Body as _;
        let answer = |status, list| {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = status;
            *answer.headers_mut() = headers(list);
            answer
        };
        let passed = answered(answer(StatusCode::NOT_MODIFIED, &[("date", "x")]), &Method::GET);
        assert_eq!((passed.headers().len(), passed.body().size_hint().exact()), (0, None));
        let passed = answered(answer(StatusCode::OK, &[("content-length", "0")]), &Method::HEAD);
        assert_eq!(passed.headers()[CONTENT_LENGTH], "0");
    }
}
