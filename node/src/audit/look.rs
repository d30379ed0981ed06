//! What operators ask of a node's log: records, a check, how it is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use storage::disk::Files;
use storage::exec::Exec;
use tokio::sync::watch;

use super::handle::Audit;
use super::log::Head;
use super::reader::Cursor;
use super::search::{Filter, Page, search};
use super::state::AuditState;
use super::tell;
use super::verify::{Checked, Step, step};
use crate::deletion::DirectoryRecords;

/// A node's log, for reading. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AuditLog {
    pub(super) files: Arc<dyn Files>,
    pub(super) exec: Exec,
    pub(super) path: PathBuf,
    pub(super) node: u64,
    pub(super) audit: Audit,
    pub(super) directory: Arc<dyn DirectoryRecords>,
    pub(super) durable: watch::Receiver<Option<Head>>,
}

impl AuditLog {
    /// Where to record.
    #[must_use]
    pub const fn audit(&self) -> &Audit {
        &self.audit
    }

    /// How the log is.
    #[must_use]
    pub fn state(&self) -> AuditState {
        self.audit.state()
    }

    /// A page of records from a place on; without one from the oldest that can be meant.
    pub async fn search(&self, filter: Filter, from: Option<Cursor>, limit: usize) -> io::Result<Page> {
        let (files, path) = (Arc::clone(&self.files), self.path.clone());
        self.exec.run(move || search(&files, &path, &filter, from, limit)).await
    }

    /// A step of a check; the first one without what an earlier one has returned.
    pub async fn verify(&self, checked: Option<Checked>) -> io::Result<Step> {
        let checked = checked.unwrap_or_else(|| {
            let durable = *self.durable.borrow();
            // A replica that is behind knows an older one, which is less, but not wrong.
            Checked::begin(tell::told(self.directory.as_ref(), self.node).into_iter().chain(durable))
        });
        let (files, path) = (Arc::clone(&self.files), self.path.clone());
        self.exec.run(move || step(&files, &path, checked)).await
    }
}

/// A step of a check of a directory with segments, whoever wrote them: without a node nothing is known of its end. Blocks.
pub fn verify_directory(files: &Arc<dyn Files>, path: &std::path::Path, checked: Option<Checked>) -> io::Result<Step> {
    step(files, path, checked.unwrap_or_default())
}
