//! The authority's questions whether a domain is ours, answered from the directory by any node (RFC 8555 §8.3, RFC 8737).
//!
//! The node that is asked may not have heard yet of the challenge. Then it waits for what the directory's leader knows,
//! once, together with everybody else who asks; however many strangers ask for what there is not, the leader is asked
//! [`BARRIER_REST`] apart.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
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

/// Where the authority asks.
pub(super) const PATH: &str = "/.well-known/acme-challenge/{token}";
/// Questions that wait for the leader at the same time. More are answered by what the node knows.
const WAITING_MAX: usize = 32;
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
    waiting: Arc<Semaphore>,
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
    ) -> Self {
        let waiting = Arc::new(Semaphore::new(WAITING_MAX));
        Self { directory, metrics, exec, clock, waiting, barrier: Arc::default() }
    }

    /// The path at which the authority asks over HTTP.
    pub(crate) fn router(self) -> Router {
        Router::new().route(PATH, get(http01)).with_state(self)
    }

    /// The key authorization of a token.
    pub(super) async fn by_token(&self, token: &str) -> Option<String> {
        if !is_token(token) {
            return None;
        }
        let token = token.to_owned();
        let found = self.find(move |view| view.challenge(&token)).await?;
        Some(found.key_authorization)
    }

    /// The key authorization for a domain that is being looked at: of several the newest.
    pub(super) async fn by_domain(&self, domain: &str) -> Option<String> {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let newest = move |view: &Local| {
            let all = view.challenges()?.into_iter().map(|(_, challenge)| challenge);
            Ok(all.filter(|challenge| challenge.domain == domain).max_by_key(|challenge| challenge.expires))
        };
        Some(self.find(newest).await?.key_authorization)
    }

    /// Looks here, and once more behind a barrier.
    async fn find(
        &self,
        look: impl Fn(&Local) -> Result<Option<ChallengeRecord>, StateError> + Send + Sync + 'static,
    ) -> Option<ChallengeRecord> {
        let look = Arc::new(look);
        let found = match self.look(&look).await {
            None => {
                self.catch_up().await;
                self.look(&look).await
            }
            found => found,
        };
        if found.is_some() {
            self.metrics.answered();
        }
        found
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
    async fn catch_up(&self) {
        let asked = Instant::now();
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

async fn http01(State(answers): State<Answers>, Path(token): Path<String>) -> Response {
    match answers.by_token(&token).await {
        Some(answer) => {
            let plain = HeaderValue::from_static("application/octet-stream");
            ([(header::CONTENT_TYPE, plain)], answer).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
