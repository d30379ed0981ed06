//! The one task that writes the log: takes events from the queue in batches, writes them at once, and makes them durable
//! within a second.
//!
//! While nothing can be written it tries again and again with the same bytes, and takes nothing more from the queue: whoever
//! records finds it full, and `handle` decides what becomes of his event.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use raft::time::{Clock, Timestamp};
use storage::disk::Files;
use storage::exec::Exec;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info, warn};

use super::event::{AuditEvent, Outcome};
use super::handle::{Message, Noted};
use super::log::{Head, Log};
use super::metrics::Metrics;
use super::moment;
use super::recover::{self, Found};
use super::retention::Retention;
use super::state::State;

/// Longest time between a record and its fsync.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// More bytes than this are never without fsync.
const UNSYNCED_BYTES_MAX: usize = 1 << 20;

/// Most messages that are taken from the queue at once.
const BATCH: usize = 1024;

/// Pause before a write that has failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Time between two looks at what retention removes.
const RETENTION_INTERVAL: Duration = Duration::from_mins(10);

/// What the writer works with.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) files: Arc<dyn Files>,
    pub(super) exec: Exec,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) directory: PathBuf,
    pub(super) node: u64,
    /// Newest record that the cluster was told of.
    pub(super) told: Option<Head>,
    pub(super) retention: Retention,
    pub(super) segment_bytes: u64,
    pub(super) state: Arc<State>,
    pub(super) metrics: Metrics,
    pub(super) queue: mpsc::Receiver<Message>,
    /// The newest record that is durable.
    pub(super) durable: watch::Sender<Option<Head>>,
}

impl Writer {
    /// Writes until nobody can record any more.
    pub(super) async fn run(mut self) {
        let mut log = self.open().await;
        let mut batch = Vec::with_capacity(BATCH);
        let mut dirty_since: Option<Instant> = None;
        let mut retain_at = Instant::now() + RETENTION_INTERVAL;
        loop {
            let sync_at = dirty_since.map(|since| since + SYNC_INTERVAL);
            let count = tokio::select! {
                biased;
                () = sleep_until(sync_at.unwrap_or(retain_at)), if dirty_since.is_some() => None,
                count = self.queue.recv_many(&mut batch, BATCH) => Some(count),
                () = sleep_until(retain_at) => None,
            };
            let mut flushes: Vec<oneshot::Sender<()>> = Vec::new();
            let mut events = Vec::with_capacity(batch.len());
            for message in batch.drain(..) {
                match message {
                    Message::Event(noted) => events.push(*noted),
                    Message::Flush(done) => flushes.push(done),
                }
            }
            let now = Instant::now();
            let ends = count == Some(0);
            let is_due = sync_at.is_some_and(|due| due <= now) || !flushes.is_empty() || ends;
            if !events.is_empty() || is_due {
                log = self.write(log, events, is_due).await;
            }
            dirty_since = if log.is_durable() { None } else { dirty_since.or(Some(now)) };
            for done in flushes {
                // Whoever waited may have gone.
                let _ = done.send(());
            }
            if ends {
                return;
            }
            if retain_at <= now {
                retain_at = now + RETENTION_INTERVAL;
                log = self.retain(log).await;
            }
        }
    }

    /// Opens the log, however long it takes, and writes its first record.
    async fn open(&self) -> Log {
        let (mut log, found) = loop {
            let (files, directory) = (Arc::clone(&self.files), self.directory.clone());
            let (node, told) = (self.node, self.told);
            match self.exec.run(move || recover::open(&files, &directory, node, told)).await {
                Ok(opened) => break opened,
                Err(error) => self.failed(&error).await,
            }
        };
        log.segment_bytes = self.segment_bytes;
        let begin = Noted { time: self.clock.now(), event: begun(&found) };
        if found != Found::default() {
            warn!(cut_bytes = found.cut_bytes, missing = ?found.missing, "the audit log does not end as it should");
        }
        self.write(log, vec![begin], true).await
    }

    /// Writes events, however long it takes, and makes them durable if that is due.
    async fn write(&self, mut log: Log, events: Vec<Noted>, is_due: bool) -> Log {
        let mut events = Some(events);
        let (clock, state) = (Arc::clone(&self.clock), Arc::clone(&self.state));
        let (now, before) = (clock.now(), log.next);
        loop {
            let (taken, state) = (events.take(), Arc::clone(&state));
            let (back, outcome) = self.exec.run(move || attempt(log, taken.as_deref(), is_due, &state, now)).await;
            log = back;
            match outcome {
                Ok(()) => {
                    self.metrics.records.inc_by(log.next - before);
                    if log.is_durable() {
                        self.show(&log);
                    }
                    return log;
                }
                Err(error) => self.failed(&error).await,
            }
        }
    }

    /// Removes what is too old or too much.
    async fn retain(&self, mut log: Log) -> Log {
        let (now, retention) = (self.clock.now(), self.retention);
        if retention.to_remove(&log.segments, now) == 0 {
            return log;
        }
        log = self.write(log, Vec::new(), true).await;
        let (back, outcome) = self
            .exec
            .run(move || {
                let outcome = log.retain(retention, now);
                (log, outcome)
            })
            .await;
        match outcome {
            Ok(removed) => {
                self.metrics.removed.inc_by(removed);
                info!(records = removed, "old audit records removed");
            }
            Err(error) => warn!(%error, "old audit records cannot be removed yet"),
        }
        // The record that announces it may still have to be written.
        self.write(back, Vec::new(), true).await
    }

    fn show(&self, log: &Log) {
        let Some(head) = log.newest else { return };
        if self.state.written(head.sequence, log.bytes()) {
            info!(sequence = head.sequence, "the audit log is written again");
        }
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.stuck.set(0);
        self.metrics.sequence.set(number(head.sequence));
        self.metrics.bytes.set(number(log.bytes()));
        self.durable.send_if_modified(|shown| shown.replace(head) != Some(head));
    }

    async fn failed(&self, error: &io::Error) {
        self.metrics.failures.inc();
        self.metrics.stuck.set(1);
        if self.state.stuck(self.clock.now(), error.to_string()) {
            error!(%error, directory = %self.directory.display(), "the audit log cannot be written");
        }
        sleep(RETRY).await;
    }
}

/// One attempt to write. Events that were noted by an earlier one are still in the log's tail.
fn attempt(
    mut log: Log,
    events: Option<&[Noted]>,
    is_due: bool,
    state: &State,
    now: Timestamp,
) -> (Log, io::Result<()>) {
    for Noted { time, event } in events.unwrap_or_default() {
        log.note(*time, event, None);
    }
    let outcome = log.write().and_then(|()| {
        if let Some(untold) = state.take_untold() {
            let detail = format!(
                "{} between {} and {} {} not written: nothing could be",
                if untold.events == 1 { "1 event".to_owned() } else { format!("{} events", untold.events) },
                moment::text(untold.first),
                moment::text(untold.last),
                if untold.events == 1 { "was" } else { "were" },
            );
            log.note(now, &AuditEvent::new("lost", "regnode").outcome(Outcome::Failed).detail(detail), None);
        }
        if is_due || log.tail.len() >= UNSYNCED_BYTES_MAX { log.sync() } else { log.write() }
    });
    if outcome.is_ok() {
        log.close_if_full(now);
    }
    (log, outcome)
}

/// The first record after a start.
fn begun(found: &Found) -> AuditEvent {
    let mut detail = format!("regnode {} begins to write", env!("CARGO_PKG_VERSION"));
    if found.cut_bytes > 0 {
        let bytes = found.cut_bytes.to_string();
        detail.extend([
            "; ",
            &bytes,
            " bytes at the end of the log could not be read and were put aside (.cut): most likely a crash",
        ]);
    }
    if let Some((first, last)) = found.missing {
        let (first, last) = (first.to_string(), last.to_string());
        detail.extend(["; records ", &first, " to ", &last, " are missing: the cluster was told of the last of them"]);
    }
    let outcome = if found.missing.is_some() { Outcome::Failed } else { Outcome::Done };
    AuditEvent::new("start", "regnode").outcome(outcome).detail(detail)
}
