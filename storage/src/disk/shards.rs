//! Where shard files lie on a disk: their paths, listing and removal.
//!
//! A shard lies in `shards/PP/`, where `PP` is the first byte of its object's id (which is random, so that the pages
//! fill evenly), under its whole name. A file whose name is not a shard's is left alone.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use super::Disk;
use super::identity::{PAGES, SHARDS};
use crate::shard::ShardName;

/// A shard file found on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedShard {
    /// Its name.
    pub name: ShardName,
    /// Length of the file, header and checksums included.
    pub length_bytes: u64,
}

impl Disk {
    /// Number of pages that the shards of a disk are listed in.
    pub const SHARD_PAGES: u16 = PAGES;

    /// Removes a shard file, durably; a missing one is no error.
    ///
    /// # Errors
    /// What the file system says; it is counted.
    pub fn remove_shard(&self, name: &ShardName) -> io::Result<()> {
        self.remove_shards(std::slice::from_ref(name))
    }

    /// Removes shard files, durably, with one sync for each directory touched; missing ones are no error.
    ///
    /// # Errors
    /// The first failure, after everything else was tried; it is counted. The call can be repeated.
    pub fn remove_shards(&self, names: &[ShardName]) -> io::Result<()> {
        let mut touched = BTreeSet::new();
        let mut result = Ok(());
        for name in names {
            match self.files().remove(&self.shard_path(name)) {
                Ok(()) => {
                    touched.insert(name.object.0[0]);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => result = result.and(Err(error)),
            }
        }
        for page in touched {
            result = result.and(self.files().sync_directory(&self.page_path(page)));
        }
        result.inspect_err(|error| self.note_failure(error))
    }

    /// The shard files of a page, by name. The shards of a disk are the pages `0..=255`.
    ///
    /// # Errors
    /// What the file system says; it is counted.
    pub fn list_shards(&self, page: u8) -> io::Result<Vec<ListedShard>> {
        let entries = self.files().list(&self.page_path(page)).inspect_err(|error| self.note_failure(error))?;
        let listed = entries.into_iter().filter_map(|entry| {
            let name: ShardName = entry.name.parse().ok()?;
            let found = !entry.is_directory && name.object.0[0] == page;
            found.then_some(ListedShard { name, length_bytes: entry.length_bytes })
        });
        Ok(listed.collect())
    }

    /// Path of a shard file.
    pub(crate) fn shard_path(&self, name: &ShardName) -> PathBuf {
        self.page_path(name.object.0[0]).join(name.to_string())
    }

    /// Directory of a page.
    pub(crate) fn page_path(&self, page: u8) -> PathBuf {
        self.path().join(SHARDS).join(format!("{page:02x}"))
    }
}
