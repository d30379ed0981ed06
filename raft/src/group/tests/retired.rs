//! A snapshot that is not needed any more goes, whenever its removal is interrupted.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use storage::disk::{Entry, File, Files, RealFiles, Space};
use storage::exec::Exec;
use storage::kv::MemoryEngines;

use super::harness::{GROUP, Machines};
use super::storage_suite::{NoClock, NoTransport};
use super::toy::Toy;
use crate::group::log_store::LogStore;
use crate::group::state_store::StateStore;
use crate::group::{GroupOptions, GroupResources};
use crate::id::NodeId;

/// Files of a process that is killed at some change, of which nothing or a part happens.
#[derive(Debug)]
struct Dying {
    /// Changes until then.
    left: AtomicI64,
}

impl Dying {
    fn change(&self) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 { Ok(()) } else { Err(io::Error::other("killed")) }
    }
}

impl Files for Dying {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.change()?;
        RealFiles.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        RealFiles.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        RealFiles.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        RealFiles.remove(path)
    }

    fn create_directory_all(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        RealFiles.create_directory_all(path)
    }

    /// The first file of it is gone in any case.
    fn remove_directory_all(&self, path: &Path) -> io::Result<()> {
        let Err(killed) = self.change() else { return RealFiles.remove_directory_all(path) };
        let first = RealFiles.list(path)?.into_iter().find(|entry| !entry.is_directory);
        first.map_or(Ok(()), |file| RealFiles.remove(&path.join(file.name)))?;
        Err(killed)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        RealFiles.list(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        RealFiles.sync_directory(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        RealFiles.space(path)
    }

    fn lock(&self, directory: &Path) -> io::Result<Box<dyn Send + Sync>> {
        RealFiles.lock(directory)
    }
}

async fn store(machines: &Machines, files: Arc<dyn Files>) -> StateStore<Toy> {
    let engines = Arc::clone(&machines.engines);
    let log = LogStore::open(Arc::clone(&engines), &machines.path("log"), Exec::threads()).await.unwrap();
    let options = GroupOptions::new(GROUP, NodeId(0), "nowhere", machines.path("group"));
    let resources = GroupResources {
        log: Arc::clone(&log),
        engines,
        files,
        exec: Exec::threads(),
        clock: Arc::new(NoClock),
        transport: Arc::new(NoTransport),
        witness: None,
    };
    let store = StateStore::open(&options, &resources).unwrap();
    drop(resources);
    log.close().await;
    store
}

fn snapshots(machines: &Machines) -> Vec<String> {
    let entries = RealFiles.list(&machines.path("group")).unwrap();
    entries.into_iter().map(|entry| entry.name).filter(|name| name.starts_with("snapshot-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_interrupted_removal_leaves_of_a_snapshot_goes_at_the_next_start() {
    for changes in 0..3 {
        let files: Arc<dyn Files> = Arc::new(RealFiles);
        let machines = Machines::with(Arc::clone(&files), Arc::new(MemoryEngines::new(files)));
        let dying = Arc::new(Dying { left: AtomicI64::new(i64::MAX) });
        let before = store(&machines, Arc::clone(&dying) as Arc<dyn Files>).await;
        drop(before.take_snapshot().unwrap());
        let newest = before.take_snapshot().unwrap();
        dying.left.store(changes, Ordering::SeqCst);
        before.remove_retired();
        assert_eq!(snapshots(&machines).len(), 2, "{changes}");
        drop(before);

        let after = store(&machines, Arc::new(RealFiles)).await;
        assert_eq!(after.snapshot().map(|snapshot| snapshot.number), Some(newest.number), "{changes}");
        assert_eq!(snapshots(&machines).len(), 1, "{changes}: {:?}", snapshots(&machines));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_failed_is_done_later() {
    for changes in 0..3 {
        let files: Arc<dyn Files> = Arc::new(RealFiles);
        let machines = Machines::with(Arc::clone(&files), Arc::new(MemoryEngines::new(files)));
        let failing = Arc::new(Dying { left: AtomicI64::new(i64::MAX) });
        let store = store(&machines, Arc::clone(&failing) as Arc<dyn Files>).await;
        drop(store.take_snapshot().unwrap());
        drop(store.take_snapshot().unwrap());
        failing.left.store(changes, Ordering::SeqCst);
        store.remove_retired();
        assert_eq!(snapshots(&machines).len(), 2, "{changes}");
        failing.left.store(i64::MAX, Ordering::SeqCst);
        store.remove_retired();
        assert_eq!(snapshots(&machines).len(), 1, "{changes}");
    }
}
