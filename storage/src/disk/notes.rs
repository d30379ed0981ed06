//! Small files that are kept on a disk about the disk itself, each replaced as a whole.

use std::io;
use std::path::PathBuf;

use super::Disk;
use super::identity::STATE;

impl Disk {
    /// A note; `None` if there is none. Blocks.
    ///
    /// # Errors
    /// What the file system says; it is counted.
    pub fn read_note(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self.files().read(&self.note_path(name)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                self.note_failure(&error);
                Err(error)
            }
        }
    }

    /// Replaces a note, durably. Blocks.
    ///
    /// # Errors
    /// What the file system says, which is counted; [`io::ErrorKind::NotFound`] when the directory does not hold this
    /// disk: nothing is created below an empty mount point.
    pub fn write_note(&self, name: &str, content: &[u8]) -> io::Result<()> {
        if !self.is_present() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let written = self
            .files()
            .create_directory_durable(&self.path().join(STATE))
            .and_then(|()| self.files().replace(&self.note_path(name), content));
        written.inspect_err(|error| {
            if !super::is_full(error) {
                self.note_failure(error);
            }
        })
    }

    fn note_path(&self, name: &str) -> PathBuf {
        self.path().join(STATE).join(name)
    }
}
