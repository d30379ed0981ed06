//! Requests handed on between real peers over a network in memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use raft::directory::{Command, NodeState};
use raft::id::{NodeId, RegionId, RequestId};
use storage::exec::Exec;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::metrics::Traffic;
use super::{ForwardError, Metrics, Region, Regions, RegionsParts, Standing, forward};
use crate::deletion::DirectoryRecords;
use crate::deletion::testing::directory;
use crate::members::testing::FixedSource;
use crate::peer::testing::{MemoryNetwork, TestNode, address};
use crate::peer::{Forwarded, PeerError, Refusal, Trust};

const DEADLINE: Duration = Duration::from_secs(10);
/// What may be under way between a slow and a fast side: windows, and the buffers of both ends.
const UNDER_WAY_BYTES: u64 = 4 << 20;
const CHUNK_BYTES: usize = 64 << 10;

/// A node of the region `eu`, and its way to `us`.
struct Near {
    node: TestNode,
    regions: Regions,
    network: MemoryNetwork,
    source: FixedSource,
}

fn us() -> Region {
    Region { id: RegionId(2), name: "us".to_owned(), public_url: None }
}

impl Near {
    async fn start() -> Self {
        Self::over(directory()).await
    }

    async fn over(directory: Arc<dyn DirectoryRecords>) -> Self {
        let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2, 3]));
        for node in [2, 3] {
            source.change(node, |record| record.region = RegionId(2));
        }
        let node = TestNode::start(&network, &source, 1, Trust::Claim).await;
        let parts = RegionsParts {
            own: RegionId(1),
            members: node.members.clone(),
            peers: node.peers.clone(),
            exec: Exec::threads(),
            metrics: Metrics::default(),
        };
        Self { regions: Regions::start(parts, directory).await, node, network, source }
    }

    /// A node of `us` that answers with this, once it is known here to live.
    async fn far(&self, id: u64, api: &Router) -> TestNode {
        let mut far = TestNode::prepare(&self.network, &self.source, id, Trust::Claim, 1_000_000).await;
        far.api = api.clone();
        far.serve().await;
        until(|| self.node.members.is_live(NodeId(id))).await;
        far
    }

    async fn send(&self, method: Method, body: Body) -> Result<Response<Body>, ForwardError> {
        let (region, head) = (us(), head(method));
        timeout(DEADLINE, self.regions.forward(&region, &head, body)).await.expect("an answer comes in time")
    }
}

fn head(method: Method) -> Parts {
    let request = Request::builder().method(method).uri("/v2/a/b?x=1").header("x-own", "1").body(()).unwrap();
    request.into_parts().0
}

async fn until(condition: impl Fn() -> bool) {
    let reached = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, reached).await.expect("reached in time");
}

/// Waits until a figure rests, and returns it.
async fn rested(figure: &AtomicU64) -> u64 {
    loop {
        let before = figure.load(Ordering::SeqCst);
        sleep(Duration::from_millis(200)).await;
        if before > 0 && figure.load(Ordering::SeqCst) == before {
            return before;
        }
    }
}

/// Bytes without an end, counted as they are taken.
fn endless(taken: &Arc<AtomicU64>) -> Body {
    let taken = Arc::clone(taken);
    Body::from_stream(stream::repeat_with(move || {
        taken.fetch_add(CHUNK_BYTES as u64, Ordering::SeqCst);
        Ok::<_, Infallible>(Bytes::from(vec![7; CHUNK_BYTES]))
    }))
}

fn answering<F>(answer: impl Fn(Request) -> F + Clone + Send + Sync + 'static) -> Router
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    Router::new().fallback(answer)
}

/// Answers with what was sent, and with how it came.
fn echo() -> Router {
    answering(async |request: Request| {
        let (parts, body) = request.into_parts();
        let from = parts.extensions.get::<Forwarded>().unwrap().from;
        let body = body.collect().await.unwrap().to_bytes();
        let said = format!(
            "{} {} {} from {from}",
            parts.method,
            parts.uri.path_and_query().unwrap(),
            parts.headers["x-own"].to_str().unwrap()
        );
        let length = body.len();
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert("x-said", said.parse().unwrap());
        if parts.method == Method::HEAD {
            response.headers_mut().insert(CONTENT_LENGTH, 12_345.into());
            *response.body_mut() = Body::empty();
        } else {
            response.headers_mut().insert("x-length", length.into());
        }
        response
    })
}

#[tokio::test]
async fn a_request_is_answered_by_the_other_region_as_it_is() {
    let near = Near::start().await;
    let _far = near.far(2, &echo()).await;
    let sent = Bytes::from(vec![9; 3 << 20]);
    let answer = near.send(Method::PUT, Body::from(sent.clone())).await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["x-said"]),
        (StatusCode::OK, &"PUT /v2/a/b?x=1 1 from 1".parse().unwrap())
    );
    assert!(!answer.headers().contains_key("regnode-target"));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), sent);
    let answer = near.send(Method::HEAD, Body::empty()).await.unwrap();
    assert_eq!(answer.headers()[CONTENT_LENGTH], "12345");
    assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn a_slow_client_holds_the_home_back_and_ends_it_by_going() {
    let near = Near::start().await;
    let (produced, gone) = (Arc::<AtomicU64>::default(), Arc::new(Notify::new()));
    let (counted, told) = (Arc::clone(&produced), Arc::clone(&gone));
    let api = answering(move |_request| {
        let (body, told) = (endless(&counted), DropNotice(Arc::clone(&told)));
        async move {
            Response::new(Body::from_stream(body.into_data_stream().map(move |part| {
                let _alive = &told;
                part
            })))
        }
    });
    let _far = near.far(2, &api).await;
    let mut body = near.send(Method::GET, Body::empty()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    let waiting = rested(&produced).await;
    assert!(waiting < UNDER_WAY_BYTES, "{waiting}");
    for _ in 0..200 {
        body.frame().await.unwrap().unwrap();
    }
    assert!(rested(&produced).await > waiting, "it goes on as the client does");
    drop(body);
    timeout(DEADLINE, gone.notified()).await.expect("the home's answer ends");
}

/// Tells when it is dropped.
struct DropNotice(Arc<Notify>);

impl Drop for DropNotice {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_slow_home_holds_the_client_back() {
    let near = Near::start().await;
    let go_on = Arc::new(Notify::new());
    let wait = Arc::clone(&go_on);
    let api = answering(move |request: Request| {
        let wait = Arc::clone(&wait);
        async move {
            let mut body = request.into_body();
            body.frame().await.unwrap().unwrap();
            wait.notified().await;
            Response::new(Body::from("enough"))
        }
    });
    let _far = near.far(2, &api).await;
    let taken = Arc::<AtomicU64>::default();
    let body = endless(&taken);
    let watch = async {
        let waiting = rested(&taken).await;
        assert!(waiting < UNDER_WAY_BYTES, "{waiting}");
        go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(near.send(Method::PATCH, body), watch);
    let answered = answer.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(answered, "enough", "an answer that comes early is not lost");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_aborted() {
    let near = Near::start().await;
    let produced = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&produced);
    let api = answering(move |_request| {
        let body = endless(&counted);
        async move { Response::new(body) }
    });
    let mut far = near.far(2, &api).await;
    let mut body = near.send(Method::GET, Body::empty()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    far.stop_serving();
    let broken = async {
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return,
                None => panic!("an end that is none"),
            }
        }
    };
    timeout(DEADLINE, broken).await.expect("the client learns it");
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_costs_nothing() {
    let near = Near::start().await;
    let _two = near.far(2, &echo()).await;
    let mut three = near.far(3, &echo()).await;
    for _ in 0..2 {
        near.send(Method::GET, Body::empty()).await.unwrap();
    }
    three.stop_serving();
    for _ in 0..4 {
        let answer = near.send(Method::POST, Body::from("once")).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "once");
    }
}

#[tokio::test]
async fn a_request_whose_answer_is_lost_is_not_repeated() {
    let near = Near::start().await;
    let asked = Arc::<AtomicU64>::default();
    let counted = Arc::clone(&asked);
    let api = answering(move |_request| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    });
    let (mut two, mut three) = (near.far(2, &api).await, near.far(3, &api).await);
    let cut = async {
        until(|| asked.load(Ordering::SeqCst) > 0).await;
        // Whichever has it; the other one would answer the next request.
        two.stop_serving();
        three.stop_serving();
    };
    let (answer, ()) = tokio::join!(near.send(Method::POST, Body::from("once")), cut);
    assert_eq!(answer.unwrap_err(), ForwardError::Lost { region: "us".to_owned() });
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_region_that_does_not_answer_is_named() {
    let near = Near::start().await;
    let error = near.send(Method::GET, Body::empty()).await.unwrap_err();
    assert_eq!(error.to_string(), "region us does not answer; try again later");
}

#[tokio::test]
async fn only_peers_that_mean_this_node_pass() {
    let near = Near::start().await;
    let _far = near.far(2, &echo()).await;
    let forward = |node| {
        let request = http::Request::from_parts(head(Method::GET), Body::empty());
        near.node.peers.forward(node, request)
    };
    near.node.peers.learn(NodeId(3), &address(NodeId(2)));
    let refusal = |answer: Result<Response<Body>, PeerError>| match answer {
        Err(PeerError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(forward(NodeId(3)).await), Refusal::WrongNode);
    near.source.change(1, |record| record.state = NodeState::Removed);
    let removed = async {
        while let Ok(answer) = forward(NodeId(2)).await {
            drop(answer);
            sleep(Duration::from_millis(10)).await;
        }
        forward(NodeId(2)).await
    };
    assert_eq!(refusal(timeout(DEADLINE, removed).await.unwrap()), Refusal::Removed);
    let mut strict = TestNode::prepare(&near.network, &near.source, 3, Trust::Certificate, 1_000_000).await;
    strict.api = echo();
    strict.serve().await;
    near.node.peers.learn(NodeId(3), &address(NodeId(3)));
    assert_eq!(refusal(forward(NodeId(3)).await), Refusal::Unauthenticated);
}

#[tokio::test]
async fn a_node_of_which_the_directory_has_not_heard_yet_answers_for_nothing() {
    let directory = directory();
    directory.propose(RequestId([7; 16]), Command::AddRegion { name: "us".to_owned() }).await.unwrap();
    let near = Near::over(directory).await;
    assert_eq!(near.regions.standing("app"), Standing::Home);
    near.source.change(1, |record| record.state = NodeState::Joining);
    let unheard = async {
        while near.node.members.counts() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, unheard).await.unwrap();
    assert_eq!(near.regions.standing("app"), Standing::Unknown);
}

#[tokio::test]
async fn a_region_that_is_full_of_requests_keeps_none_from_another_one() {
    let near = Near::start().await;
    let all = u32::try_from(forward::UNDER_WAY_MAX).unwrap();
    let _full = near.regions.slots(Traffic::Forwarded, RegionId(2)).try_acquire_many_owned(all).unwrap();
    let asia = Region { id: RegionId(3), name: "asia".to_owned(), public_url: None };
    let (parts, ()) = http::Request::get("/v2/").body(()).unwrap().into_parts();
    let asked = timeout(Duration::from_secs(5), near.regions.forward(&asia, &parts, Body::empty())).await;
    let refused = asked.expect("it does not wait for a slot of the other one").unwrap_err();
    assert_eq!(refused, ForwardError::Unreachable { region: "asia".to_owned() });
}
