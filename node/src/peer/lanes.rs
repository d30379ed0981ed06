//! Connections for clients' requests that are handed on to one peer: as many as are needed, each with few requests.
//!
//! How fast an answer is taken is the client's to decide. What is not taken yet stands in the window of its stream, and
//! counts for the window of its connection: on one connection for all, a few slow clients would stop everybody.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::limits;

/// One connection.
struct Lane {
    channel: Channel,
    places: Arc<Semaphore>,
    /// When it was last taken.
    taken: Instant,
}

/// The connections.
pub(super) struct Lanes {
    open: Box<dyn Fn() -> Channel + Send + Sync>,
    lanes: Mutex<Vec<Lane>>,
}

/// A place on a connection, until it is dropped.
pub(super) struct Place {
    pub(super) channel: Channel,
    pub(super) permit: OwnedSemaphorePermit,
}

impl Lanes {
    /// None yet; `open` makes one, which connects when it is used.
    pub(super) fn new(open: impl Fn() -> Channel + Send + Sync + 'static) -> Self {
        Self { open: Box::new(open), lanes: Mutex::default() }
    }

    /// A place for one request; `None` if too many are under way.
    pub(super) fn take(&self) -> Option<Place> {
        let now = Instant::now();
        let mut lanes = self.lanes();
        let idle = |lane: &Lane| {
            lane.places.available_permits() == limits::LANE_STREAMS
                && now.saturating_duration_since(lane.taken) >= limits::LANE_IDLE
        };
        lanes.retain(|lane| !idle(lane));
        for lane in lanes.iter_mut() {
            if let Ok(permit) = Arc::clone(&lane.places).try_acquire_owned() {
                lane.taken = now;
                return Some(Place { channel: lane.channel.clone(), permit });
            }
        }
        if lanes.len() == limits::LANES_LIMIT {
            return None;
        }
        let (channel, places) = ((self.open)(), Arc::new(Semaphore::new(limits::LANE_STREAMS)));
        let permit = Arc::clone(&places).try_acquire_owned().ok()?;
        lanes.push(Lane { channel: channel.clone(), places, taken: now });
        Some(Place { channel, permit })
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lanes").field("open", &self.lanes().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;
    use tonic::transport::Endpoint;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lanes_are_opened_when_all_are_full_and_closed_when_idle() {
        let lanes = Lanes::new(|| Endpoint::from_static("http://peer").connect_lazy());
        let mut places: Vec<Place> = (0..=limits::LANE_STREAMS).map(|_| lanes.take().unwrap()).collect();
        assert_eq!(lanes.lanes().len(), 2);
        places.truncate(1);
        advance(limits::LANE_IDLE).await;
        let _other = lanes.take().unwrap();
        assert_eq!(lanes.lanes().len(), 1, "the second one was idle, the first one has room");
        places.extend((0..limits::LANES_LIMIT * limits::LANE_STREAMS - 2).map(|_| lanes.take().unwrap()));
        assert!(lanes.take().is_none());
        places.pop();
        assert!(lanes.take().is_some());
    }
}
