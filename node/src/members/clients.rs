//! Whether this node serves the bytes of blobs to clients: what other nodes do in the background yields to that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// For so long after the last client the next one is expected: who pulls many small blobs pauses between them.
const MOMENT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Served {
    /// Blobs that are read or written at present.
    now: u64,
    /// When the last one ended.
    last: Option<Instant>,
}

/// The clients that this node serves. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    served: Arc<Mutex<Served>>,
}

/// A client is served while this lives.
#[derive(Debug)]
pub struct Client {
    clients: Clients,
}

impl Clients {
    /// A client reads or writes a blob.
    #[must_use]
    pub fn arrive(&self) -> Client {
        self.served().now += 1;
        Client { clients: self.clone() }
    }

    /// Whether clients are served, or were a moment ago.
    #[must_use]
    pub fn are_served(&self) -> bool {
        let served = self.served();
        served.now > 0 || served.last.is_some_and(|last| last.elapsed() < MOMENT)
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut served = self.clients.served();
        served.now -= 1;
        served.last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn clients_are_served_until_a_moment_after_the_last_one() {
        let clients = Clients::default();
        assert!(!clients.are_served());
        let (one, two) = (clients.arrive(), clients.arrive());
        drop(one);
        sleep(2 * MOMENT).await;
        assert!(clients.are_served(), "one is left");
        drop(two);
        assert!(clients.are_served());
        sleep(MOMENT).await;
        assert!(!clients.are_served());
    }
}
