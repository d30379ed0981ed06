//! A file system over another one: what it does not do itself goes to the one below.

use std::fmt::Debug;
use std::io;
use std::path::Path;

use super::{Access, Entry, File, Files, RealFiles, Space};

/// Files that differ from others in a part: whoever implements it writes down that part, and is a file system
/// ([`Files`]). The methods are those of the seam.
pub trait Layer: Debug + Send + Sync + 'static {
    /// The files below: the operating system's.
    fn below(&self) -> &dyn Files {
        &RealFiles
    }

    /// As [`Files::create`].
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.below().create(path)
    }

    /// As [`Files::open`].
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.below().open(path)
    }

    /// As [`Files::rename`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.below().rename(from, to)
    }

    /// As [`Files::remove`].
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.below().remove(path)
    }

    /// As [`Files::create_directory_all`].
    fn create_directory_all(&self, path: &Path) -> io::Result<()> {
        self.below().create_directory_all(path)
    }

    /// As [`Files::remove_directory_all`].
    fn remove_directory_all(&self, path: &Path) -> io::Result<()> {
        self.below().remove_directory_all(path)
    }

    /// As [`Files::list`].
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.below().list(path)
    }

    /// As [`Files::sync_directory`].
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.below().sync_directory(path)
    }

    /// As [`Files::space`].
    fn space(&self, path: &Path) -> io::Result<Space> {
        self.below().space(path)
    }

    /// As [`Files::lock`].
    fn lock(&self, directory: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.below().lock(directory)
    }

    /// As [`Files::access`].
    fn access(&self, path: &Path) -> io::Result<Option<Access>> {
        self.below().access(path)
    }
}

impl<T: Layer> Files for T {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Layer::create(self, path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Layer::open(self, path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Layer::rename(self, from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Layer::remove(self, path)
    }

    fn create_directory_all(&self, path: &Path) -> io::Result<()> {
        Layer::create_directory_all(self, path)
    }

    fn remove_directory_all(&self, path: &Path) -> io::Result<()> {
        Layer::remove_directory_all(self, path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        Layer::list(self, path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        Layer::sync_directory(self, path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        Layer::space(self, path)
    }

    fn lock(&self, directory: &Path) -> io::Result<Box<dyn Send + Sync>> {
        Layer::lock(self, directory)
    }

    fn access(&self, path: &Path) -> io::Result<Option<Access>> {
        Layer::access(self, path)
    }
}
