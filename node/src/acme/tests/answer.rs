//! The authority's questions, and those of strangers.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use raft::directory::{CertificateCommand, Command, Response, View};
use raft::group::{ProposeError, ReadError};
use raft::id::RequestId;
use raft::time::{Clock, Timestamp};
use storage::kv::Engine;
use tokio::sync::watch;
use tower::ServiceExt;

use super::{DOMAIN, environment, note};
use crate::acme::Metrics;
use crate::acme::answer::Answers;
use crate::deletion::DirectoryRecords;
use crate::deletion::testing::directory;
use crate::environment::BoxFuture;
use crate::limit::{self, Rates, Throttle, ThrottleOptions};
use crate::serve::Client;

/// A directory that hears of something only behind a barrier, and counts those.
#[derive(Debug)]
struct Behind {
    directory: Arc<dyn DirectoryRecords>,
    unheard: std::sync::Mutex<Option<CertificateCommand>>,
    barriers: AtomicUsize,
}

impl Behind {
    fn new(unheard: Option<CertificateCommand>) -> Arc<Self> {
        Arc::new(Self { directory: directory(), unheard: unheard.into(), barriers: AtomicUsize::new(0) })
    }

    fn barriers(&self) -> usize {
        self.barriers.load(Ordering::Relaxed)
    }
}

impl DirectoryRecords for Behind {
    fn propose(&self, request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, ProposeError>> {
        self.directory.propose(request, command)
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        self.barriers.fetch_add(1, Ordering::Relaxed);
        let unheard = self.unheard.lock().unwrap().take();
        Box::pin(async move {
            if let Some(command) = unheard {
                note(self.directory.as_ref(), command).await;
            }
            Ok(())
        })
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        self.directory.view()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.directory.changes()
    }
}

fn challenge(token: &str) -> CertificateCommand {
    CertificateCommand::AddChallenge {
        token: token.to_owned(),
        domain: DOMAIN.to_owned(),
        key_authorization: format!("{token}.thumbprint"),
        lifetime_seconds: 60,
    }
}

/// The directory's time in these tests, and what was added to it.
#[derive(Debug, Default)]
struct Later(AtomicU64);

impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000_000_000 + self.0.load(Ordering::Relaxed))
    }
}

fn answers(directory: &Arc<Behind>) -> Answers {
    answers_at(directory, &Arc::default())
}

fn answers_at(directory: &Arc<Behind>, clock: &Arc<Later>) -> Answers {
    throttled_answers(directory, clock, Throttle::unlimited())
}

fn throttled_answers(directory: &Arc<Behind>, clock: &Arc<Later>, throttle: Throttle) -> Answers {
    let (directory, clock) = (Arc::<Behind>::clone(directory), Arc::<Later>::clone(clock));
    Answers::new(directory, Metrics::default(), environment().exec, clock, throttle)
}

const AUTHORITY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66));

async fn get(answers: &Answers, path: &str) -> (StatusCode, String) {
    get_from(answers, AUTHORITY, path).await
}

async fn get_from(answers: &Answers, address: IpAddr, path: &str) -> (StatusCode, String) {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    request.extensions_mut().insert(Client::at(address));
    let response = answers.clone().router().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_node_that_is_behind_asks_once_and_answers() {
    let directory = Behind::new(Some(challenge("abc_-1")));
    let answers = answers(&directory);
    let answer = (StatusCode::OK, "abc_-1.thumbprint".to_owned());
    assert_eq!(get(&answers, "/.well-known/acme-challenge/abc_-1").await, answer);
    assert_eq!(get(&answers, "/.well-known/acme-challenge/abc_-1").await, answer);
    assert_eq!(directory.barriers(), 1, "what is known is answered at once");
    let by_domain = async |domain: &str| answers.by_domain(domain, AUTHORITY).await.unwrap();
    assert_eq!(by_domain("Registry.Example.org.").await.unwrap(), "abc_-1.thumbprint");
    assert_eq!(by_domain("other.example.org").await, None);
}

#[tokio::test]
async fn a_challenge_that_is_over_is_answered_no_more() {
    let (directory, clock) = (Behind::new(None), Arc::<Later>::default());
    note(&*directory, challenge("abc")).await;
    let answers = answers_at(&directory, &clock);
    let both = async || {
        let token = answers.by_token("abc", AUTHORITY).await.unwrap();
        (token, answers.by_domain(DOMAIN, AUTHORITY).await.unwrap())
    };
    let known = Some("abc.thumbprint".to_owned());
    assert_eq!(both().await, (known.clone(), known));
    clock.0.store(120_000, Ordering::Relaxed);
    assert_eq!(both().await, (None, None));
}

#[tokio::test(start_paused = true)]
async fn strangers_ask_for_nothing_and_cost_next_to_nothing() {
    let directory = Behind::new(None);
    let answers = answers(&directory);
    for path in ["no%20token", "a.b", "%2e%2e", &"x".repeat(2049)] {
        let path = format!("/.well-known/acme-challenge/{path}");
        assert_eq!(get(&answers, &path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(directory.barriers(), 0, "what can be no token is not looked for");
    for round in 0..3 {
        let strangers = (0..100).map(|number| {
            let answers = answers.clone();
            tokio::spawn(async move { get(&answers, &format!("/.well-known/acme-challenge/t{number}")).await.0 })
        });
        for stranger in strangers.collect::<Vec<_>>() {
            assert_eq!(stranger.await.unwrap(), StatusCode::NOT_FOUND);
        }
        assert!(directory.barriers() <= round + 1, "{} barriers after {round} rounds", directory.barriers());
        tokio::time::advance(Duration::from_millis(600)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_does_not_take_the_places_to_wait_at() {
    let directory = Behind::new(None);
    let answers = answers(&directory);
    // The next barrier is not at once, and brings the challenge.
    assert_eq!(get(&answers, "/.well-known/acme-challenge/none").await.0, StatusCode::NOT_FOUND);
    *directory.unheard.lock().unwrap() = Some(challenge("abc"));
    tokio::time::advance(Duration::from_millis(1)).await;
    let ask = |address, token: String| {
        let answers = answers.clone();
        tokio::spawn(
            async move { get_from(&answers, address, &format!("/.well-known/acme-challenge/{token}")).await.0 },
        )
    };
    let strangers: Vec<_> = (0..5000).map(|number| ask(STRANGER, format!("t{number}"))).collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let authority = ask(AUTHORITY, "abc".to_owned());
    assert_eq!(authority.await.unwrap(), StatusCode::OK);
    for stranger in strangers {
        assert_eq!(stranger.await.unwrap(), StatusCode::NOT_FOUND);
    }
    assert_eq!(directory.barriers(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_what_there_is_not_is_counted_and_what_is_known_is_answered() {
    let directory = Behind::new(None);
    note(&*directory, challenge("abc")).await;
    let address = Rates { requests_per_second: 1, ..Rates::default() };
    let throttle = Throttle::new(ThrottleOptions { address, ..ThrottleOptions::default() }, limit::Metrics::default());
    let answers = throttled_answers(&directory, &Arc::default(), throttle);
    let ask = async |address, token: &str| {
        get_from(&answers, address, &format!("/.well-known/acme-challenge/{token}")).await.0
    };
    let mut refused = false;
    for _ in 0..100 {
        refused = ask(STRANGER, "none").await == StatusCode::TOO_MANY_REQUESTS;
        if refused {
            break;
        }
    }
    assert!(refused, "a stranger may ask for ever");
    assert!(answers.by_domain("none.example", STRANGER).await.is_err(), "by a handshake too");
    for _ in 0..100 {
        assert_eq!(ask(STRANGER, "abc").await, StatusCode::OK);
    }
    assert_eq!(ask(AUTHORITY, "none").await, StatusCode::NOT_FOUND);
}
