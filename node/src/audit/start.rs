//! Starts the log of a node with all that belongs to it: the writer, the sinks, and what tells the cluster of its head.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use storage::disk::Files;
use storage::exec::Exec;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::error;

use super::handle::{Audit, QUEUE_EVENTS};
use super::log::Head;
use super::look::AuditLog;
use super::metrics::Metrics;
use super::retention::Retention;
use super::segment::SEGMENT_BYTES;
use super::sink;
use super::state::State;
use super::tell::{self, Teller};
use super::writer::Writer;
use crate::config::AuditSettings;
use crate::deletion::DirectoryRecords;
use crate::environment::Environment;

/// Name of the log's directory in the data directory.
pub const DIRECTORY: &str = "audit";

/// Most time that the last records take.
const LAST_RECORDS: Duration = Duration::from_secs(5);
/// Most time that telling the cluster of them takes. It may have no quorum any more.
const LAST_TELLING: Duration = Duration::from_secs(2);

/// What the log is made from.
pub(crate) struct AuditParts<'a> {
    /// Files, clock, network.
    pub(crate) environment: &'a Environment,
    /// `audit` of the configuration.
    pub(crate) settings: &'a AuditSettings,
    /// The node's data directory.
    pub(crate) data_dir: &'a Path,
    /// Who writes.
    pub(crate) node: u64,
    /// His name, for sinks.
    pub(crate) name: &'a str,
    /// Who is told of the log's head.
    pub(crate) directory: Arc<dyn DirectoryRecords>,
    /// What it shows.
    pub(crate) metrics: Metrics,
}

/// What keeps the log going. It goes on until it is stopped, so that what happens at the end of a node is written too.
#[derive(Debug)]
pub(crate) struct Keeping {
    audit: Audit,
    teller: Teller,
    writer: JoinSet<()>,
    others: JoinSet<()>,
    /// What the cluster was told at the end of the node.
    told: Option<Head>,
}

/// Starts the log. It need not be writable yet.
pub(crate) fn start(parts: AuditParts<'_>) -> (AuditLog, Keeping) {
    let AuditParts { environment, settings, data_dir, node, name, directory, metrics } = parts;
    let path = data_dir.join(DIRECTORY);
    let (sender, queue) = mpsc::channel(QUEUE_EVENTS);
    let (durable, follows) = watch::channel(None);
    let state = Arc::<State>::default();
    let (files, exec): (Arc<dyn Files>, Exec) = (Arc::clone(&environment.files), environment.exec);
    let writer = Writer {
        files: Arc::clone(&files),
        exec,
        clock: Arc::clone(&environment.clock),
        directory: path.clone(),
        node,
        told: tell::told(directory.as_ref(), node),
        retention: Retention { days: settings.retention_days, bytes_max: settings.max_bytes },
        segment_bytes: SEGMENT_BYTES.min(settings.max_bytes / 4),
        state: Arc::clone(&state),
        metrics: metrics.clone(),
        queue,
        durable,
    };
    let switches = (settings.pulls, settings.required);
    let audit = Audit::of_writer(sender, Arc::clone(&environment.clock), state, metrics.clone(), switches);
    let teller = Teller {
        directory: Arc::clone(&directory),
        entropy: Arc::clone(&environment.entropy),
        node,
        durable: follows.clone(),
    };
    let mut others = JoinSet::new();
    others.spawn(teller.clone().keep());
    others.spawn(audit.clone().keep_repeats());
    sink::spawn(&mut others, environment, settings, (&path, name), &follows, &metrics);
    let mut writing = JoinSet::new();
    writing.spawn(writer.run());
    let log = AuditLog { files, exec, path, node, audit: audit.clone(), directory, durable: follows };
    (log, Keeping { audit, teller, writer: writing, others, told: None })
}

impl Keeping {
    /// Writes what was recorded so far and tells the cluster of it, while the node still takes part in that. The log goes on.
    pub(crate) async fn settle(&mut self) {
        // Whether it worked is said at the end.
        let _ended = timeout(LAST_RECORDS, self.audit.flush()).await;
        let head = *self.teller.durable.borrow();
        if let Ok(true) = timeout(LAST_TELLING, self.teller.tell(head)).await {
            self.told = head;
        }
    }

    /// Writes what was recorded since, tells the cluster of it if it can, and ends. Nobody may be served any more.
    pub(crate) async fn stop(mut self) {
        let is_written = timeout(LAST_RECORDS, self.audit.flush()).await.is_ok();
        let unwritten = self.audit.unwritten();
        if !is_written || unwritten > 0 {
            error!(records = unwritten, "audit records could not be written before the end: they are lost");
        }
        self.others.shutdown().await;
        let head = *self.teller.durable.borrow();
        if head != self.told {
            let _told_later = timeout(LAST_TELLING, self.teller.tell(head)).await;
        }
        self.writer.shutdown().await;
    }
}
