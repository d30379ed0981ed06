//! The authority's questions whether a domain is ours, answered from the directory by any node (RFC 8555 §8.3, RFC 8737).
//!
//! The node that is asked may not have heard yet of the challenge. Then it waits for what the directory's leader knows,
//! once, together with everybody else who asks; however many strangers ask for what there is not, the leader is asked
//! [`BARRIER_REST`] apart. Whoever asks for what there is not is counted as with any other request (`limit`), and one address
//! has few of the places to wait at: so strangers do not take the authority's. What is known is answered at any time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use raft::directory::{CERTIFICATE_TEXT_LENGTH_MAX, ChallengeRecord, StateError, View};
use raft::time::Clock;
use storage::exec::Exec;
use storage::kv::Engine;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::Metrics;
use crate::deletion::DirectoryRecords;
use crate::limit::{RetryAfter, Throttle};
use crate::serve::{Client, Crowd};

/// Where the authority asks.
pub(super) const PATH: &str = "/.well-known/acme-challenge/{token}";
/// Questions that wait for the leader at the same time. More are answered by what the node knows.
const WAITING_MAX: usize = 2048;
/// The same of one address.
const WAITING_OF_ADDRESS_MAX: u32 = 8;
/// Who asks, to `limit`.
const ANONYMOUS: &str = "anonymous";
/// Least time between two barriers.
const BARRIER_REST: Duration = Duration::from_millis(500);
/// Longest wait for one.
const BARRIER_PATIENCE: Duration = Duration::from_secs(5);

/// Answers challenges. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    directory: Arc<dyn DirectoryRecords>,
    metrics: Metrics,
    pub(super) exec: Exec,
    clock: Arc<dyn Clock>,
    throttle: Throttle,
    waiting: Arc<Semaphore>,
    /// Those who wait, by address.
    crowd: Arc<Crowd>,
    /// When the last barrier began.
    barrier: Arc<Mutex<Option<Instant>>>,
}

/// The local state.
type Local = View<Arc<dyn Engine>>;

impl Answers {
    pub(crate) fn new(
        directory: Arc<dyn DirectoryRecords>,
        metrics: Metrics,
        exec: Exec,
        clock: Arc<dyn Clock>,
        throttle: Throttle,
    ) -> Self {
        let (waiting, crowd) = (Arc::new(Semaphore::new(WAITING_MAX)), Crowd::new(WAITING_OF_ADDRESS_MAX));
        Self { directory, metrics, exec, clock, throttle, waiting, crowd, barrier: Arc::default() }
    }

    /// The path at which the authority asks over HTTP.
    pub(crate) fn router(self) -> Router {
        Router::new().route(PATH, get(http01)).with_state(self)
    }

    /// The key authorization of a token, for whoever asks at this address.
    pub(super) async fn by_token(&self, token: &str, address: IpAddr) -> Result<Option<String>, RetryAfter> {
        if !is_token(token) {
            return Ok(None);
        }
        let token = token.to_owned();
        self.find(address, move |view| view.challenge(&token)).await
    }

    /// The key authorization for a domain that is being looked at from this address: of several the newest.
    pub(super) async fn by_domain(&self, domain: &str, address: IpAddr) -> Result<Option<String>, RetryAfter> {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let newest = move |view: &Local| {
            let all = view.challenges()?.into_iter().map(|(_, challenge)| challenge);
            Ok(all.filter(|challenge| challenge.domain == domain).max_by_key(|challenge| challenge.expires))
        };
        self.find(address, newest).await
    }

    /// Looks here, and once more behind a barrier.
    async fn find(
        &self,
        address: IpAddr,
        look: impl Fn(&Local) -> Result<Option<ChallengeRecord>, StateError> + Send + Sync + 'static,
    ) -> Result<Option<String>, RetryAfter> {
        let look = Arc::new(look);
        let found = match self.look(&look).await {
            None => {
                self.throttle.admit(ANONYMOUS, address, false)?;
                self.catch_up(address).await;
                self.look(&look).await
            }
            found => found,
        };
        if found.is_some() {
            self.metrics.answered();
        }
        Ok(found.map(|challenge| challenge.key_authorization))
    }

    async fn look(
        &self,
        look: &Arc<impl Fn(&Local) -> Result<Option<ChallengeRecord>, StateError> + Send + Sync + 'static>,
    ) -> Option<ChallengeRecord> {
        let (view, look) = (self.directory.view(), Arc::clone(look));
        let found = self.exec.run(move || look(&view)).await;
        let found = found.inspect_err(|error| warn!(%error, "challenges cannot be read")).ok().flatten();
        // It lies there until the next one comes.
        found.filter(|challenge| challenge.expires > self.clock.now())
    }

    /// Waits until the node knows what was known when it was asked, if it may.
    async fn catch_up(&self, address: IpAddr) {
        let asked = Instant::now();
        let Some(_own) = self.crowd.enter(address) else { return };
        let Ok(_place) = self.waiting.try_acquire() else { return };
        let mut last = self.barrier.lock().await;
        if let Some(last) = *last {
            // Somebody else's barrier that began later has brought it.
            if last >= asked {
                return;
            }
            sleep_until(last + BARRIER_REST).await;
        }
        *last = Some(Instant::now());
        self.metrics.asked();
        match timeout(BARRIER_PATIENCE, self.directory.barrier()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "a challenge is answered by what this node knows alone"),
            Err(_late) => debug!("a challenge is answered by what this node knows alone"),
        }
    }
}

/// Whether a text can be a token: base64url (RFC 8555 §8.3).
fn is_token(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=CERTIFICATE_TEXT_LENGTH_MAX).contains(&text.len()) && text.bytes().all(letter)
}

async fn http01(
    State(answers): State<Answers>,
    Extension(client): Extension<Client>,
    Path(token): Path<String>,
) -> Response {
    match answers.by_token(&token, client.address).await {
        Ok(Some(answer)) => {
            let plain = HeaderValue::from_static("application/octet-stream");
            ([(header::CONTENT_TYPE, plain)], answer).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(wait) => {
            let seconds = HeaderValue::from(wait.seconds);
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)]).into_response()
        }
    }
}
