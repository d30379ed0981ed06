//! The loop of one listener, and its end: stop accepting, let requests finish, end what is left.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use raft::time::Clock;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::connection::{Protection, Shared, serve_connection};
use super::crowd::{Crowd, CrowdPlace};
use super::front::Front;
use super::limits::Limits;
use super::metrics::Reason;
use super::strangers::Strangers;
use crate::environment::Listener;

/// Pause after a failed accept (no file descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener with what it serves.
#[derive(Debug)]
pub struct Server {
    /// What it is, for logs.
    pub name: &'static str,
    /// Where connections come from.
    pub listener: Box<dyn Listener>,
    /// What answers.
    pub router: Router,
    /// How connections are secured.
    pub protection: Protection,
    /// Who may come, and which proxies are believed.
    pub front: Front,
    /// Its limits.
    pub limits: Limits,
}

/// The end of a server, from outside.
#[derive(Clone, Debug)]
pub struct Drain {
    /// Cancelled: no new connections, those there are finish what they are at.
    pub begin: CancellationToken,
    /// Time for that.
    pub timeout: Duration,
}

/// Tasks that hyper starts for a connection's streams. They end with the server, not with the process.
#[derive(Clone)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl fmt::Debug for Tasks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tasks")
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                _ = future => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Stops the tasks also when the server's future is dropped.
struct StopOnDrop(CancellationToken);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Serves until it is drained. Dropping the future ends every connection at once.
pub async fn serve(server: Server, clock: Arc<dyn Clock>, drain: Drain) {
    let Server { name, listener, router, protection, front, limits } = server;
    let tasks = Tasks { tracker: TaskTracker::new(), stop: CancellationToken::new() };
    let _stop = StopOnDrop(tasks.stop.clone());
    let shared = Arc::new(Shared {
        name,
        router,
        crowd: Crowd::new(front.connections_per_address),
        front,
        protection,
        limits,
        handshakes: Strangers::new(limits.max_handshakes),
        strangers: Strangers::new(limits.max_strangers),
        clock,
        tasks: tasks.clone(),
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = drain.begin.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < limits.max_connections => match accepted {
                Ok((stream, address)) => {
                    if let Some(place) = admit(&shared, address) {
                        debug!(server = name, %address, "connection accepted");
                        let (shared, drain) = (Arc::clone(&shared), drain.begin.clone());
                        connections.spawn(serve_connection(shared, stream, address, place, drain));
                    }
                }
                Err(error) => {
                    warn!(server = name, %error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    tasks.tracker.close();
    let finished = async {
        while connections.join_next().await.is_some() {}
        tasks.tracker.wait().await;
    };
    if timeout(drain.timeout, finished).await.is_err() {
        info!(server = name, connections = connections.len(), "requests were cut off at the end of the drain");
    }
    tasks.stop.cancel();
    connections.shutdown().await;
    tasks.tracker.wait().await;
}

/// Whether a connection from there is taken, and its place, if connections from there are counted. A proxy speaks for
/// many.
#[expect(clippy::option_option, reason = "taken without a place, or not taken")]
fn admit(shared: &Shared, address: SocketAddr) -> Option<Option<CrowdPlace>> {
    let (front, address) = (&shared.front, address.ip());
    let reason = if !front.admits(address) {
        Reason::Address
    } else if front.trusts(address) {
        return Some(None);
    } else if let Some(place) = shared.crowd.enter(address) {
        return Some(Some(place));
    } else {
        Reason::Crowd
    };
    debug!(server = shared.name, %address, ?reason, "connection let go");
    front.metrics.refused(shared.name, reason);
    None
}

impl Server {
    /// Address that is listened on.
    pub fn local_address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_address()
    }
}
