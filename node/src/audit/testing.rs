//! What the tests of the audit log work with: a disk that fails on demand, and a log on it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use raft::time::{Clock, Timestamp};
use storage::disk::{Entry, File, Files, Layer, RealFiles};

use super::event::AuditEvent;
use super::log::Log;
use super::recover;
use super::verify::{Checked, Fault, step};

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    Not,
    /// Half of what is written arrives.
    Writes,
    /// A sync fails, and what was not synced is gone.
    Syncs,
    /// Nothing new can be created.
    Creates,
}

/// A disk that fails on demand.
#[derive(Clone, Default)]
pub(super) struct Flaky {
    failing: Arc<AtomicU8>,
    /// What happens before the next listing.
    before_list: Arc<Mutex<Option<Deed>>>,
}

/// Something that is done once.
type Deed = Box<dyn FnOnce() + Send>;

impl std::fmt::Debug for Flaky {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Flaky")
    }
}

impl Flaky {
    pub(super) fn fail(&self, failing: Failing) {
        self.failing.store(failing as u8, Ordering::SeqCst);
    }

    pub(super) fn before_list(&self, deed: impl FnOnce() + Send + 'static) {
        *self.before_list.lock().unwrap() = Some(Box::new(deed));
    }

    fn fails(&self, failing: Failing) -> io::Result<()> {
        if self.failing.load(Ordering::SeqCst) == failing as u8 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

#[derive(Debug)]
struct FlakyFile {
    inner: Box<dyn File>,
    disk: Flaky,
    synced: Mutex<u64>,
}

impl File for FlakyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let failed = self.disk.fails(Failing::Writes);
        let written = if failed.is_err() { &bytes[..bytes.len() / 2] } else { bytes };
        self.inner.write_all_at(written, offset)?;
        failed
    }

    fn sync(&self) -> io::Result<()> {
        let mut synced = self.synced.lock().unwrap();
        let length = self.inner.length()?;
        if let Err(error) = self.disk.fails(Failing::Syncs) {
            let lost = vec![0; usize::try_from(length - *synced).unwrap()];
            self.inner.write_all_at(&lost, *synced)?;
            return Err(error);
        }
        *synced = length;
        self.inner.sync()
    }

    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }
}

impl Layer for Flaky {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.fails(Failing::Creates)?;
        let inner = RealFiles.create(path)?;
        Ok(Box::new(FlakyFile { inner, disk: self.clone(), synced: Mutex::new(0) }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let inner = RealFiles.open(path)?;
        let synced = Mutex::new(inner.length()?);
        Ok(Box::new(FlakyFile { inner, disk: self.clone(), synced }))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let deed = self.before_list.lock().unwrap().take();
        if let Some(deed) = deed {
            deed();
        }
        RealFiles.list(path)
    }
}

/// A clock that is set by hand.
#[derive(Debug)]
pub(super) struct Hand(pub(super) AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A moment of the tests, in milliseconds.
pub(super) const NOW: u64 = 1_800_000_000_000;

/// A directory with a log.
pub(super) struct Place {
    _root: tempfile::TempDir,
    pub(super) disk: Flaky,
    pub(super) files: Arc<dyn Files>,
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let disk = Flaky::default();
        let (files, path) = (Arc::new(disk.clone()), root.path().join("audit"));
        Self { _root: root, disk, files, path }
    }

    pub(super) fn open(&self) -> Log {
        recover::open(&self.files, &self.path, 1, None).unwrap().0
    }

    /// Writes records `user:1`, `user:2` and so on, `per_segment` in each file.
    pub(super) fn fill(&self, records: u64, per_segment: u64) -> Log {
        let mut log = self.open();
        for number in 1..=records {
            log.note(Timestamp(NOW + number), &event(number), None);
            if number % per_segment == 0 {
                log.sync().unwrap();
                log.file = None;
            }
        }
        log.sync().unwrap();
        log
    }

    /// Names of the files there are.
    pub(super) fn names(&self) -> Vec<String> {
        self.files.list(&self.path).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    pub(super) fn read(&self, first: u64) -> Vec<u8> {
        self.files.read(&super::segment::path(&self.path, first)).unwrap()
    }

    pub(super) fn write(&self, first: u64, content: &[u8]) {
        let path = super::segment::path(&self.path, first);
        let _not_there = RealFiles.remove(&path);
        RealFiles.create(&path).unwrap().write_all_at(content, 0).unwrap();
    }

    /// Checks all of it, against the newest record of the log.
    pub(super) fn verify(&self, log: &Log) -> Vec<Fault> {
        self.verify_from(Checked::begin(log.newest)).1
    }

    pub(super) fn verify_from(&self, mut checked: Checked) -> (Checked, Vec<Fault>) {
        let mut faults = Vec::new();
        loop {
            let step = step(&self.files, &self.path, checked).unwrap();
            faults.extend(step.faults);
            checked = step.checked;
            if step.ended {
                return (checked, faults);
            }
        }
    }
}

/// The event of a record of [`Place::fill`].
pub(super) fn event(number: u64) -> AuditEvent {
    AuditEvent::new("pull", format!("user:{number}")).repository("acme/app")
}
