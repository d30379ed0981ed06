//! The file system of a simulated computer: each disk mounted at a path of its own, nothing beside them.
//!
//! The disks hold whole paths, so that a path means the same to the process, to the nemesis and to the judges.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use storage::disk::{Entry, File, Files, Space};

use crate::disk::SimulatedDisk;

/// `EXDEV` of Linux.
const EXDEV: i32 = 18;

/// A disk and the path at which it is mounted.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    /// Where it is mounted.
    pub(crate) path: PathBuf,
    /// What is mounted.
    pub(crate) disk: SimulatedDisk,
}

impl Mount {
    /// Mounts an empty disk. Its directory is there for good.
    pub(crate) fn new(path: PathBuf, disk: SimulatedDisk) -> Self {
        let mount = Self { path, disk };
        mount.format();
        mount
    }

    /// Puts another disk into its place, an empty one.
    pub(crate) fn wipe(&self) {
        self.disk.wipe();
        self.format();
    }

    fn format(&self) {
        self.disk.create_directory_durable(&self.path).expect("an empty disk has no faults");
    }
}

/// The mounted disks, as one process sees them.
#[derive(Clone, Debug)]
pub(crate) struct Mounts {
    disks: Arc<[Mount]>,
    /// Number of the computer's present process.
    life: Arc<AtomicU64>,
    /// Number of the process whose view this is; `None` for the computer itself.
    process: Option<u64>,
}

impl Mounts {
    /// The view of the computer itself.
    pub(crate) const fn new(disks: Arc<[Mount]>, life: Arc<AtomicU64>) -> Self {
        Self { disks, life, process: None }
    }

    /// The view of the present process. It goes blind with the next one: what runs on in destructors while a process is
    /// killed must change nothing.
    pub(crate) fn of_process(&self) -> Self {
        Self { process: Some(self.life.load(Ordering::Relaxed)), ..self.clone() }
    }

    fn alive(&self) -> io::Result<()> {
        if self.process.is_none_or(|process| process == self.life.load(Ordering::Relaxed)) {
            return Ok(());
        }
        Err(io::Error::other("the process is dead"))
    }

    fn mount(&self, path: &Path) -> Option<&Mount> {
        self.disks.iter().find(|mount| path.starts_with(&mount.path))
    }

    /// Whether a path leads to a mount, or is one.
    fn leads_to_a_mount(&self, path: &Path) -> bool {
        self.disks.iter().any(|mount| mount.path.starts_with(path))
    }

    /// The disk that holds a path, for something that must be there.
    fn disk(&self, path: &Path) -> io::Result<&SimulatedDisk> {
        self.alive()?;
        match self.mount(path) {
            Some(mount) => Ok(&mount.disk),
            None if self.leads_to_a_mount(path) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The disk that holds a path, for something that is to be changed. A mounted directory itself cannot be.
    fn changeable(&self, path: &Path) -> io::Result<&SimulatedDisk> {
        self.alive()?;
        if self.leads_to_a_mount(path) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        self.mount(path).map(|mount| &mount.disk).ok_or_else(|| io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

impl Files for Mounts {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.changeable(path)?.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.disk(path)?.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let disk = self.changeable(from)?;
        self.changeable(to)?;
        if self.mount(from).map(|mount| &mount.path) != self.mount(to).map(|mount| &mount.path) {
            return Err(io::Error::from_raw_os_error(EXDEV));
        }
        disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk(path)?.remove(path)
    }

    fn create_directory_all(&self, path: &Path) -> io::Result<()> {
        self.alive()?;
        if self.leads_to_a_mount(path) {
            return Ok(());
        }
        self.changeable(path)?.create_directory_all(path)
    }

    fn remove_directory_all(&self, path: &Path) -> io::Result<()> {
        self.alive()?;
        if self.mount(path).is_none() && !self.leads_to_a_mount(path) {
            return Ok(());
        }
        self.changeable(path)?.remove_directory_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.alive()?;
        if let Some(mount) = self.mount(path) {
            return mount.disk.list(path);
        }
        let below = self.disks.iter().filter_map(|mount| mount.path.strip_prefix(path).ok()?.components().next());
        let names: BTreeSet<&str> = below.filter_map(|name| name.as_os_str().to_str()).collect();
        if names.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let entry = |name: &str| Entry { name: name.to_owned(), is_directory: true, length_bytes: 0 };
        Ok(names.into_iter().map(entry).collect())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.alive()?;
        match self.mount(path) {
            Some(mount) => mount.disk.sync_directory(path),
            None if self.leads_to_a_mount(path) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.disk(path)?.space(path)
    }

    fn lock(&self, directory: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk(directory)?.lock(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn mounts() -> (Mounts, Arc<AtomicU64>) {
        let mount =
            |path: &str, capacity| Mount::new(PathBuf::from(path), SimulatedDisk::new(capacity, Seed(capacity)));
        let life = Arc::new(AtomicU64::new(0));
        let mounts = [mount("/data", 1000), mount("/disks/0", 2000), mount("/disks/1", 3000)];
        (Mounts::new(Arc::new(mounts), Arc::clone(&life)), life)
    }

    fn names(mounts: &Mounts, path: &str) -> Vec<String> {
        mounts.list(Path::new(path)).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn each_path_goes_to_its_disk() {
        let (mounts, _) = mounts();
        let total = |path: &str| mounts.space(Path::new(path)).unwrap().total_bytes;
        assert_eq!((total("/data"), total("/disks/0/x"), total("/disks/1")), (1000, 2000, 3000));
        mounts.replace(Path::new("/disks/1/a"), b"1").unwrap();
        assert_eq!(mounts.read(Path::new("/disks/1/a")).unwrap(), b"1");
        assert!(names(&mounts, "/disks/0").is_empty());
        assert_eq!(names(&mounts, "/disks"), ["0", "1"]);
        assert_eq!(names(&mounts, "/"), ["data", "disks"]);
        assert_eq!(mounts.list(Path::new("/etc")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(mounts.open(Path::new("/etc/x")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(mounts.create(Path::new("/etc/x")).unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    }

    #[test]
    fn nothing_is_renamed_from_disk_to_disk() {
        let (mounts, _) = mounts();
        mounts.replace(Path::new("/disks/1/a"), b"1").unwrap();
        let error = mounts.rename(Path::new("/disks/1/a"), Path::new("/disks/0/a")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::CrossesDevices);
        mounts.rename(Path::new("/disks/1/a"), Path::new("/disks/1/b")).unwrap();
    }

    #[test]
    fn mounted_directories_stay() {
        let (mounts, _) = mounts();
        mounts.create_directory_durable(Path::new("/disks/0")).unwrap();
        mounts.create_directory_durable(Path::new("/disks/0/a/b")).unwrap();
        for path in ["/disks/0", "/disks", "/"] {
            let error = mounts.remove_directory_all(Path::new(path)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        }
        mounts.remove_directory_all(Path::new("/disks/0/a")).unwrap();
        mounts.remove_directory_all(Path::new("/elsewhere")).unwrap();
    }

    #[test]
    fn a_dead_process_changes_nothing() {
        let (mounts, life) = mounts();
        let process = mounts.of_process();
        process.replace(Path::new("/data/a"), b"1").unwrap();
        life.fetch_add(1, Ordering::Relaxed);
        assert!(process.remove(Path::new("/data/a")).is_err() && process.list(Path::new("/disks")).is_err());
        assert_eq!(mounts.of_process().read(Path::new("/data/a")).unwrap(), b"1");
    }

    #[test]
    fn locks_are_held_by_directory() {
        let (mounts, _) = mounts();
        let held = mounts.lock(Path::new("/disks/0")).unwrap();
        assert!(mounts.lock(Path::new("/disks/0")).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
        mounts.lock(Path::new("/disks/1")).unwrap();
        drop(held);
        mounts.lock(Path::new("/disks/0")).unwrap();
    }
}
