//! How far a sink is: a small file beside the log, `<sink>.position`, with the number of the last record that was taken. To
//! have everything sent again, stop the node and remove it.

use std::io;
use std::path::{Path, PathBuf};

use storage::disk::Files;

/// The file of a sink.
pub(super) fn path(directory: &Path, sink: &str) -> PathBuf {
    directory.join(format!("{sink}.position"))
}

/// Reads it; `None`: there is none yet. Blocks.
pub(super) fn read(files: &dyn Files, file: &Path) -> io::Result<Option<u64>> {
    let content = match files.read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        content => content?,
    };
    let number = std::str::from_utf8(&content).ok().and_then(|text| text.trim().parse().ok());
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no number", file.display()));
    number.map(Some).ok_or_else(wrong)
}

/// Writes it. Blocks.
pub(super) fn write(files: &dyn Files, file: &Path, position: u64) -> io::Result<()> {
    files.replace(file, format!("{position}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use storage::disk::RealFiles;

    use super::*;

    #[test]
    fn a_position_is_read_back_and_a_broken_one_is_no_new_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let file = path(directory.path(), "syslog");
        assert_eq!(read(&RealFiles, &file).unwrap(), None);
        write(&RealFiles, &file, 4711).unwrap();
        assert_eq!(read(&RealFiles, &file).unwrap(), Some(4711));
        RealFiles.replace(&file, b"x").unwrap();
        assert!(read(&RealFiles, &file).is_err());
    }
}
