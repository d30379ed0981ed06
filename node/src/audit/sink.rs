//! Sends the log elsewhere: to a collector of logs by syslog, to a receiver by HTTP. Each sink reads the files of the log by
//! itself, as far as they are durable, so that neither a slow nor a dead receiver ever holds up a request.
//!
//! At least once: what was confirmed is kept in a file (`position`), and everything behind that is sent again after a broken
//! connection or a restart. Receivers tell repetitions by node and number.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use storage::disk::Files;
use storage::exec::Exec;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::http::HttpSink;
use super::log::Head;
use super::metrics::Metrics;
use super::position;
use super::reader::{Cursor, Item, Reader};
use super::syslog::SyslogSink;
use crate::config::AuditSettings;
use crate::environment::{BoxFuture, Environment};

/// Most records that are sent at once.
const BATCH_RECORDS: usize = 500;
/// Most bytes that are sent at once.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes that are looked through before others get a turn.
const SCAN_BYTES_MAX: u64 = 64 << 20;
/// Pause after the first failure; it doubles with each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Time between two looks at a log that grows no more, and between two notes of how far a sink is.
const POSITION_INTERVAL: Duration = Duration::from_secs(2);

/// A record on its way: its number and its line.
pub(super) type Line = (u64, Vec<u8>);

/// Why a sink does not take records.
pub(super) type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// A way to a receiver.
pub(super) trait Sink: Send + 'static {
    /// Name of the sink in metrics, logs and files.
    fn name(&self) -> &'static str;

    /// How long a connection has to live on after records were sent before they count as taken. Zero: the receiver answers.
    fn settles_after(&self) -> Duration;

    /// Sends records, connecting first if there is no connection.
    fn send<'a>(&'a mut self, lines: &'a [Line]) -> BoxFuture<'a, Result<(), Trouble>>;

    /// Waits until the connection breaks; for ever if there is none.
    fn broken(&mut self) -> BoxFuture<'_, Trouble>;

    /// Drops the connection.
    fn close(&mut self);
}

/// Starts the sinks that are configured.
pub(super) fn spawn(
    tasks: &mut JoinSet<()>,
    environment: &Environment,
    settings: &AuditSettings,
    (path, name): (&Path, &str),
    durable: &watch::Receiver<Option<Head>>,
    metrics: &Metrics,
) {
    let courier = |sink: Box<dyn Sink>| Courier {
        files: Arc::clone(&environment.files),
        exec: environment.exec,
        path: path.to_owned(),
        durable: durable.clone(),
        metrics: metrics.clone(),
        sink,
        failures: 0,
    };
    if !settings.syslog.is_empty() {
        tasks.spawn(courier(Box::new(SyslogSink::new(environment, settings, name))).run());
    }
    if !settings.http.is_empty() {
        tasks.spawn(courier(Box::new(HttpSink::new(environment, settings))).run());
    }
}

/// Brings the log to one sink.
pub(super) struct Courier {
    pub(super) files: Arc<dyn Files>,
    pub(super) exec: Exec,
    /// Directory of the log.
    pub(super) path: PathBuf,
    pub(super) durable: watch::Receiver<Option<Head>>,
    pub(super) metrics: Metrics,
    pub(super) sink: Box<dyn Sink>,
    /// Failures since something was confirmed.
    pub(super) failures: u32,
}

/// How far a courier is.
struct Progress {
    reader: Option<Reader>,
    /// The newest record that was taken for certain, and what is written down of it.
    confirmed: u64,
    noted: u64,
    noted_at: Instant,
    /// What was sent and does not count yet: when, and its last record.
    unsettled: VecDeque<(Instant, u64)>,
}

impl Courier {
    /// Sends for ever.
    pub(super) async fn run(mut self) {
        let confirmed = self.position().await;
        let mut progress = Progress {
            reader: None,
            confirmed,
            noted: confirmed,
            noted_at: Instant::now(),
            unsettled: VecDeque::new(),
        };
        loop {
            if let Err(trouble) = self.deliver(&mut progress).await {
                self.sink.close();
                (progress.reader, progress.unsettled) = (None, VecDeque::new());
                self.metrics.sink_failures.get_or_create(&[("sink", self.sink.name())]).inc();
                if self.failures == 0 {
                    warn!(sink = self.sink.name(), error = %chain(trouble.as_ref()), "an audit sink takes no records");
                }
                let pause = PAUSE.saturating_mul(1 << self.failures.min(6)).min(PAUSE_MAX);
                self.failures = self.failures.saturating_add(1);
                sleep(pause).await;
            }
        }
    }

    /// Where an earlier run was. A file that cannot be read delays it, and is not taken for a new beginning.
    async fn position(&mut self) -> u64 {
        let file = position::path(&self.path, self.sink.name());
        loop {
            let (files, file) = (Arc::clone(&self.files), file.clone());
            match self.exec.run(move || position::read(files.as_ref(), &file)).await {
                Ok(position) => return position.unwrap_or(0),
                Err(error) => {
                    warn!(sink = self.sink.name(), %error, "it is not known how far an audit sink is");
                    sleep(PAUSE_MAX).await;
                }
            }
        }
    }

    /// Sends what there is, and waits for more. Returns when that fails.
    async fn deliver(&mut self, progress: &mut Progress) -> Result<(), Trouble> {
        loop {
            self.settle(progress).await;
            let newest = self.durable.borrow_and_update().map_or(0, |head| head.sequence);
            let lines = self.read(progress, newest).await?;
            if let Some((last, _)) = lines.last() {
                self.sink.send(&lines).await?;
                let sent = u64::try_from(lines.len()).unwrap_or(u64::MAX);
                self.metrics.sent.get_or_create(&[("sink", self.sink.name())]).inc_by(sent);
                progress.unsettled.push_back((Instant::now() + self.sink.settles_after(), *last));
                self.settle(progress).await;
                continue;
            }
            let wake = progress.unsettled.front().map(|(at, _)| *at);
            let note = (progress.noted < progress.confirmed).then_some(progress.noted_at + POSITION_INTERVAL);
            let next = [wake, note].into_iter().flatten().min();
            tokio::select! {
                biased;
                trouble = self.sink.broken() => return Err(trouble),
                changed = self.durable.changed() => if changed.is_err() {
                    // The log has ended: what is still unsettled is sent again by the next run.
                    std::future::pending::<()>().await;
                },
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    /// Counts what has settled as taken, and notes it now and then.
    async fn settle(&mut self, progress: &mut Progress) {
        let now = Instant::now();
        while let Some((at, last)) = progress.unsettled.front().copied()
            && at <= now
        {
            progress.unsettled.pop_front();
            progress.confirmed = last;
            if self.failures > 0 {
                info!(sink = self.sink.name(), "an audit sink takes records again");
                self.failures = 0;
            }
        }
        let newest = self.durable.borrow().map_or(0, |head| head.sequence);
        let lag = i64::try_from(newest.saturating_sub(progress.confirmed)).unwrap_or(i64::MAX);
        self.metrics.sink_lag.get_or_create(&[("sink", self.sink.name())]).set(lag);
        if progress.noted < progress.confirmed && progress.noted_at + POSITION_INTERVAL <= now {
            let (files, file) = (Arc::clone(&self.files), position::path(&self.path, self.sink.name()));
            let confirmed = progress.confirmed;
            progress.noted_at = now;
            match self.exec.run(move || position::write(files.as_ref(), &file, confirmed)).await {
                Ok(()) => progress.noted = confirmed,
                Err(error) => warn!(sink = self.sink.name(), %error, "how far an audit sink is cannot be noted"),
            }
        }
    }

    /// The next records that are durable.
    async fn read(&mut self, progress: &mut Progress, newest: u64) -> io::Result<Vec<Line>> {
        let sent = progress.unsettled.back().map_or(progress.confirmed, |(_, last)| *last);
        if sent >= newest {
            return Ok(Vec::new());
        }
        let reader = progress.reader.take();
        let (files, path) = (Arc::clone(&self.files), self.path.clone());
        let work = move || {
            let reader = reader.unwrap_or_else(|| Reader::new(files, path, Cursor::at(sent + 1)));
            read_batch(reader, newest)
        };
        let (mut reader, lines) = self.exec.run(work).await?;
        self.metrics.sink_skipped.get_or_create(&[("sink", self.sink.name())]).inc_by(reader.skipped);
        reader.skipped = 0;
        progress.reader = Some(reader);
        Ok(lines)
    }
}

/// Reads up to a batch, and not behind a record. Blocks.
fn read_batch(mut reader: Reader, newest: u64) -> io::Result<(Reader, Vec<Line>)> {
    let (mut lines, mut bytes): (Vec<Line>, usize) = (Vec::new(), 0);
    reader.scanned_bytes = 0;
    while lines.len() < BATCH_RECORDS && bytes < BATCH_BYTES && reader.cursor().sequence <= newest {
        match reader.next(SCAN_BYTES_MAX)? {
            Item::Record(sequence, line) => {
                bytes += line.len();
                lines.push((sequence, line));
            }
            Item::End | Item::Enough => break,
        }
    }
    Ok((reader, lines))
}

/// An error with all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.extend([": ", &source.to_string()]);
        cause = source.source();
    }
    text
}
