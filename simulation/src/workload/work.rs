//! What the clients of one run share: where they work, what they push, what they record, when they stop.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::content::{Blob, Library, Manifest};
use super::statistics::{Statistics, Tally};
use crate::configuration::{Configuration, WorkloadConfiguration};
use crate::garbage::{GarbageConfiguration, Terms};
use crate::history::{DigestText, History};
use crate::judge::{Court, lease};
use crate::seed::Seed;
use crate::surroundings::Surroundings;

/// Sessions that lie open for others at one time.
const SESSIONS_MAX: usize = 4;
/// How often a client that rests looks whether it is to go on.
const POLL: Duration = Duration::from_millis(100);

/// The work of one run. Clones are the same work.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Where the nodes are.
    pub surroundings: Surroundings,
    /// What the seed decided about the clients.
    pub configuration: Arc<WorkloadConfiguration>,
    /// The seed of the run.
    pub seed: Seed,
    /// What is pushed.
    pub library: Arc<Library>,
    /// Where everything is recorded.
    pub history: History,
    /// What may be gone by itself.
    pub terms: Terms,
    /// Where broken rules are accused.
    pub court: Court,
    /// What the clients did, in numbers.
    pub(super) tally: Tally,
    board: Arc<Mutex<Board>>,
    begun: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
    ended: Arc<AtomicUsize>,
    paused: Arc<AtomicBool>,
    /// Clients that wait for the pause to end.
    resting: Arc<AtomicUsize>,
    /// Nodes that clients ask, by number.
    serving: Arc<Mutex<Vec<usize>>>,
}

/// An upload session that another client may work on too.
#[derive(Clone, Debug)]
pub(super) struct OpenSession {
    pub(super) repository: Arc<str>,
    pub(super) blob: Arc<Blob>,
    pub(super) location: String,
}

/// What clients tell each other.
#[derive(Debug, Default)]
struct Board {
    artifacts: BTreeMap<DigestText, Arc<Manifest>>,
    sessions: Vec<OpenSession>,
}

impl Workload {
    /// The work that a configuration decides.
    #[must_use]
    pub fn new(surroundings: Surroundings, configuration: &Configuration, history: History, court: Court) -> Self {
        let workload = &configuration.workload;
        let block_size_bytes = configuration.settings.block_size_bytes;
        let all = (1..=surroundings.nodes.len()).collect();
        Self {
            surroundings,
            configuration: Arc::new(workload.clone()),
            seed: configuration.seed,
            library: Arc::new(Library::new(configuration.seed, workload, block_size_bytes)),
            history,
            terms: Terms::default(),
            court,
            tally: Tally::default(),
            board: Arc::default(),
            begun: Arc::default(),
            stopped: Arc::default(),
            ended: Arc::default(),
            paused: Arc::default(),
            resting: Arc::default(),
            serving: Arc::new(Mutex::new(all)),
        }
    }

    /// The same where these rules for garbage are in force: what is there by itself alone may go.
    #[must_use]
    pub fn with_garbage(mut self, garbage: &GarbageConfiguration) -> Self {
        self.terms = garbage.terms(&self.library);
        self
    }

    /// What was asked and answered, for who asks what certainly exists now.
    #[must_use]
    pub fn certain(&self) -> History {
        lease::with_lapses(&self.history, &self.terms)
    }

    /// From now on clients ask these nodes and no others: nodes have come or gone. All of them in the beginning.
    pub fn serve(&self, numbers: impl IntoIterator<Item = usize>) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = numbers.into_iter().collect();
    }

    /// The nodes that clients ask, in order.
    #[must_use]
    pub fn serving(&self) -> Vec<usize> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the clients rest, each once it has ended the operation that it is at, or go on again.
    pub fn pause(&self, pause: bool) {
        self.paused.store(pause, Ordering::Relaxed);
    }

    /// Clients that rest.
    #[must_use]
    pub fn resting_clients(&self) -> usize {
        self.resting.load(Ordering::Relaxed)
    }

    /// Waits while the clients are to rest.
    pub(super) async fn rest(&self) {
        if !self.paused.load(Ordering::Relaxed) {
            return;
        }
        self.resting.fetch_add(1, Ordering::Relaxed);
        while self.paused.load(Ordering::Relaxed) && !self.is_stopped() {
            sleep(POLL).await;
        }
        self.resting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Lets the clients begin that wait for it.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Whether the clients may begin.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// One of the clients has ended its last request.
    pub fn ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Clients that have ended.
    #[must_use]
    pub fn ended_clients(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Tells the clients to stop: each ends the request that it is at.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the clients were told to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// What the clients did so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.tally.so_far()
    }

    /// The manifest of a digest, if anybody ever pushed one.
    #[must_use]
    pub fn manifest(&self, digest: &str) -> Option<Arc<Manifest>> {
        self.library.manifest(digest).or_else(|| self.board().artifacts.get(digest).cloned())
    }

    /// Remembers an artifact before it is pushed.
    pub(super) fn announce(&self, artifact: &Arc<Manifest>) {
        self.board().artifacts.insert(Arc::clone(&artifact.digest), Arc::clone(artifact));
    }

    /// Lays an upload session open for other clients.
    pub(super) fn share(&self, session: OpenSession) {
        let mut board = self.board();
        if board.sessions.len() >= SESSIONS_MAX {
            board.sessions.remove(0);
        }
        board.sessions.push(session);
    }

    /// Takes the oldest session that lies open.
    pub(super) fn take_session(&self) -> Option<OpenSession> {
        let mut board = self.board();
        if board.sessions.is_empty() { None } else { Some(board.sessions.remove(0)) }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
