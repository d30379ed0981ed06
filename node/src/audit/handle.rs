//! Where events are handed in: a bounded queue to the one writer of the node.
//!
//! A record that has room is an enqueue. While the queue is full its caller waits, so that a burst loses nothing. When the
//! log cannot be written (a full, a failing or a hanging disk) requests go on without their records, unless
//! `audit.required` is set: what is left out is counted, shown in `regnode status`, and written into the log itself as
//! soon as that works again.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft::time::{Clock, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::error;

use super::event::AuditEvent;
use super::metrics::Metrics;
use super::repeats::Repeats;
use super::state::{AuditState, State};

/// Events that wait for the writer. A few megabytes at most, and seconds of the busiest node.
pub(super) const QUEUE_EVENTS: usize = 8192;

/// How long a caller waits for room before the writer is taken for stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two looks at what was refused again and again.
const REPEATS_INTERVAL: Duration = Duration::from_secs(5);

/// An event on its way.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) time: Timestamp,
    pub(super) event: AuditEvent,
}

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Write this. Boxed: the queue's memory is taken at once.
    Event(Box<Noted>),
    /// Make all before it durable, and say so.
    Flush(oneshot::Sender<()>),
}

#[derive(Debug)]
enum Way {
    Writer(mpsc::Sender<Message>),
    Memory(Mutex<Vec<AuditEvent>>),
    Off,
}

#[derive(Debug)]
struct Shared {
    way: Way,
    clock: Option<Arc<dyn Clock>>,
    state: Arc<State>,
    metrics: Metrics,
    pulls: bool,
    required: bool,
    repeats: Mutex<Repeats>,
}

/// The audit log of a node, for all who have something to tell it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit {
    shared: Arc<Shared>,
}

impl Audit {
    /// A log that a writer keeps.
    pub(super) fn of_writer(
        sender: mpsc::Sender<Message>,
        clock: Arc<dyn Clock>,
        state: Arc<State>,
        metrics: Metrics,
        (pulls, required): (bool, bool),
    ) -> Self {
        let shared = Shared {
            way: Way::Writer(sender),
            clock: Some(clock),
            state,
            metrics,
            pulls,
            required,
            repeats: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A log that keeps everything in memory, for tests: [`events`](Self::events) returns it.
    #[must_use]
    pub fn memory() -> Self {
        Self::without_writer(Way::Memory(Mutex::default()))
    }

    /// A log that keeps nothing, for tests and for programs that are no node.
    #[must_use]
    pub fn off() -> Self {
        Self::without_writer(Way::Off)
    }

    fn without_writer(way: Way) -> Self {
        let (state, metrics) = (Arc::default(), Metrics::default());
        let repeats = Mutex::default();
        Self { shared: Arc::new(Shared { way, clock: None, state, metrics, pulls: true, required: false, repeats }) }
    }

    /// What was recorded in memory so far. Empty for a log on disk.
    #[must_use]
    pub fn events(&self) -> Vec<AuditEvent> {
        match &self.shared.way {
            Way::Memory(events) => events.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Way::Writer(_) | Way::Off => Vec::new(),
        }
    }

    /// Puts an event into the log. Returns at once while there is room, long before it is on disk.
    pub async fn record(&self, event: AuditEvent) {
        let shared = &self.shared;
        if !shared.pulls && event.is_pull() {
            return;
        }
        match &shared.way {
            Way::Writer(_) => {}
            Way::Memory(events) => {
                return events.lock().unwrap_or_else(PoisonError::into_inner).push(event.bounded());
            }
            Way::Off => return,
        }
        let (time, event) = (self.now(), event.bounded());
        if self.repeats().passes(&event, time) {
            self.put(time, event).await;
        } else {
            shared.metrics.repeated.inc();
        }
    }

    /// Records what was refused again and again, as far as its time is over.
    pub(super) async fn tell_repeats(&self, at_end: bool) {
        let over = self.repeats().over(self.now(), at_end);
        for (time, event) in over {
            self.put(time, event.bounded()).await;
        }
    }

    /// Tells it now and then, for ever.
    pub(super) async fn keep_repeats(self) {
        loop {
            sleep(REPEATS_INTERVAL).await;
            self.tell_repeats(false).await;
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.as_ref().map_or_else(Timestamp::default, |clock| clock.now())
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.shared.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event into the queue.
    async fn put(&self, time: Timestamp, event: AuditEvent) {
        let shared = &self.shared;
        let Way::Writer(sender) = &shared.way else { return };
        let message = Message::Event(Box::new(Noted { time, event }));
        let message = match sender.try_send(message) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Closed(_)) => return self.lose(time),
            Err(mpsc::error::TrySendError::Full(message)) => message,
        };
        shared.metrics.waits.inc();
        // Whoever is dropped while he waits has lost his event, too.
        let waiting = Waiting { audit: self, time };
        // Only the first ones wait for a writer that is stuck.
        if !shared.required && shared.state.is_stuck() {
            return;
        }
        let mut sending = pin!(sender.send(message));
        let sent = if let Ok(sent) = timeout(PATIENCE, sending.as_mut()).await {
            sent
        } else {
            self.hangs();
            if !shared.required {
                return;
            }
            sending.await
        };
        if sent.is_ok() {
            waiting.taken();
        }
    }

    /// Nothing is taken from the queue: the disk hangs, without an error that the writer would know of.
    fn hangs(&self) {
        let shared = &self.shared;
        let now = self.now();
        shared.metrics.stuck.set(1);
        let why = format!("nothing was written for {} seconds", PATIENCE.as_secs());
        if !shared.state.is_stuck() && shared.state.stuck(now, why) {
            error!(seconds = PATIENCE.as_secs(), "the audit log is not written: its disk hangs");
        }
    }

    /// Whether requests are to be refused: the log cannot be written, or was closed at the end of the node, and
    /// `audit.required` is set. Whoever asks before serving spares his client the wait.
    #[must_use]
    pub fn holds_up(&self) -> bool {
        let is_closed = matches!(&self.shared.way, Way::Writer(sender) if sender.is_closed());
        self.shared.required && (is_closed || self.shared.state.is_stuck())
    }

    /// Events that wait for the writer or for room, or that were left out and of which the log does not tell yet.
    pub(super) fn unwritten(&self) -> u64 {
        let Way::Writer(sender) = &self.shared.way else { return 0 };
        let queued = sender.max_capacity() - sender.capacity();
        self.shared.state.untold_events().saturating_add(queued as u64)
    }

    /// How the log is.
    #[must_use]
    pub fn state(&self) -> AuditState {
        self.shared.state.look()
    }

    /// Waits until everything that was recorded before is on disk.
    pub async fn flush(&self) {
        let Way::Writer(sender) = &self.shared.way else { return };
        self.tell_repeats(true).await;
        let (done, waits) = oneshot::channel();
        if sender.send(Message::Flush(done)).await.is_ok() {
            // A writer that ends has flushed.
            let _ = waits.await;
        }
    }

    fn lose(&self, time: Timestamp) {
        self.shared.metrics.lost.inc();
        self.shared.state.lose(time);
    }
}

/// An event that waits for room: lost, if this is dropped.
struct Waiting<'a> {
    audit: &'a Audit,
    time: Timestamp,
}

impl Waiting<'_> {
    /// The writer has it.
    fn taken(self) {
        std::mem::forget(self);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.audit.lose(self.time);
    }
}
