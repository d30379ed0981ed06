//! A file system of a chosen size, to fill up: a tmpfs, which only root may mount.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// A mounted tmpfs. Unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one of a size. `None` when this user may not mount: the caller says that it skips.
    ///
    /// # Errors
    /// When mounting fails for root.
    pub fn mount(size_bytes: u64) -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("regnode-disk-").tempdir()?;
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size_bytes},mode=0755"), "regnode-test"])
            .arg(folder.path())
            .output()
            .context("running mount")?;
        ensure!(output.status.success(), "mount: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Some(Self { folder }))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Free bytes.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn free_bytes(&self) -> Result<u64> {
        let space = rustix::fs::statvfs(self.path())?;
        Ok(space.f_bavail * space.f_frsize)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, in case a process still ends; its bytes go with it.
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}
