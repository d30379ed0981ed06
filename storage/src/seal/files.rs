//! Sealed files through the file seam: what lies under which key, and the files of checkpoints, which are read in one
//! node and written in another.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{self, HEADER_BYTES, Header, Kind, Opened, Reader, Source, Writer};
use super::{KeyId, Keys};
use crate::disk::{File, Files, room_for};

/// Bytes of files by the key under which they are sealed, with what is added to seal them; `None`: in the clear.
pub type Seals = BTreeMap<Option<KeyId>, u64>;

/// A file of an engine or of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub length_bytes: u64,
    /// The key that it is sealed under; `None`: it is in the clear.
    pub key: Option<KeyId>,
}

/// How often a look begins anew because a directory has gone meanwhile.
const ATTEMPTS: usize = 16;

/// What lies under which key in a directory and all below it, files of engines and of checkpoints; as
/// [`survey_files`]. Blocks.
///
/// # Errors
/// As [`survey_files`].
pub fn survey(files: &dyn Files, directory: &Path) -> io::Result<Seals> {
    let mut seals = Seals::new();
    for file in survey_files(files, directory)? {
        *seals.entry(file.key).or_default() += file.length_bytes;
    }
    Ok(seals)
}

/// The files of a directory and of all below it. Empty ones are left out, and those that go while it looks. When a
/// directory goes, it may have another name now, with all that is in it: then it looks at everything once more. Blocks.
///
/// # Errors
/// What the file system says; [`io::ErrorKind::InvalidData`] for a sealed file of another version;
/// [`io::ErrorKind::TimedOut`] if directories go each time.
pub fn survey_files(files: &dyn Files, directory: &Path) -> io::Result<Vec<SurveyedFile>> {
    for _ in 0..ATTEMPTS {
        if let Some(found) = survey_once(files, directory)? {
            return Ok(found);
        }
    }
    let text = format!("{}: directories below it come and go each time that it is looked at", directory.display());
    Err(io::Error::new(io::ErrorKind::TimedOut, text))
}

/// `None` if a directory went meanwhile.
fn survey_once(files: &dyn Files, top: &Path) -> io::Result<Option<Vec<SurveyedFile>>> {
    let mut found = Vec::new();
    let mut rest = vec![top.to_owned()];
    while let Some(directory) = rest.pop() {
        let Some(entries) = present(files.list(&directory))? else {
            if directory == top {
                // It was never made.
                break;
            }
            return Ok(None);
        };
        for entry in entries {
            let path = directory.join(&entry.name);
            if entry.is_directory {
                rest.push(path);
            } else if entry.length_bytes > 0 {
                match present(key_of(files, &path))? {
                    Some(key) => found.push(SurveyedFile { path, length_bytes: entry.length_bytes, key }),
                    // Gone alone, or with its directory.
                    None if present(files.list(&directory))?.is_some() => {}
                    None => return Ok(None),
                }
            }
        }
    }
    Ok(Some(found))
}

/// The key that a file of an engine is sealed under, whether it is known or not; `None`: it is in the clear.
pub(crate) fn key_of(files: &dyn Files, path: &Path) -> io::Result<Option<KeyId>> {
    let mut begin = [0; HEADER_BYTES];
    let read = Below(files.open(path)?.as_ref()).read_at(&mut begin, 0)?;
    match Header::look(&begin[..read]).map_err(|fault| named(path, fault))? {
        file::Beginning::Sealed(header) => Ok(Some(header.key)),
        file::Beginning::Clear | file::Beginning::Cut => Ok(None),
    }
}

/// A file of a checkpoint as its engine sees it, in the clear.
pub trait CheckpointReader: fmt::Debug + Send {
    /// Length in bytes.
    fn length_bytes(&self) -> u64;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] behind its end, [`io::ErrorKind::InvalidData`] when it is not what was written.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// A new file of a checkpoint, sealed under this node's key if it has one.
pub trait CheckpointWriter: fmt::Debug + Send {
    /// Appends what the engine is to see.
    ///
    /// # Errors
    /// What the file system says; the file is of no use then.
    fn append(&mut self, content: &[u8]) -> io::Result<()>;

    /// Ends the file and makes it durable; its entry in the directory is not.
    ///
    /// # Errors
    /// What the file system says; the file is of no use then.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Opens a file of a checkpoint, sealed or in the clear.
pub(crate) fn read(files: &dyn Files, keys: &Keys, path: &Path) -> io::Result<Box<dyn CheckpointReader>> {
    let file = files.open(path)?;
    let file_bytes = file.length()?;
    let reader = match Reader::open(&Below(file.as_ref()), file_bytes, &keys.load()) {
        Ok(Opened::Clear) => None,
        Ok(Opened::Sealed(reader)) => Some(reader),
        Err(fault) => return Err(named(path, fault)),
    };
    let length_bytes = reader.as_ref().map_or(file_bytes, Reader::length_bytes);
    Ok(Box::new(Reading { path: path.to_owned(), file, reader, length_bytes }))
}

/// Creates a file of a checkpoint, which must not exist.
pub(crate) fn create(files: &dyn Files, keys: &Keys, path: &Path) -> io::Result<Box<dyn CheckpointWriter>> {
    create_as(files, keys, path, Kind::of(path))
}

fn create_as(files: &dyn Files, keys: &Keys, path: &Path, kind: Kind) -> io::Result<Box<dyn CheckpointWriter>> {
    let file = files.create(path)?;
    let mut writing = Writing { file, writer: None, written_bytes: 0 };
    if let Some((writer, header)) = Writer::create(kind, keys) {
        writing.writer = Some(writer);
        writing.write(&header)?;
    }
    Ok(Box::new(writing))
}

/// Name of a file that is being written anew, in the directory of all that is.
const TEMPORARY: &str = "reseal";
/// Bytes of a file that are held in memory while it is written anew.
const PIECE_BYTES: usize = 1 << 20;

/// Writes every file below a directory anew that lies under another key than the current one. They are closed, or only
/// read. It ends before the next file if `goes_on` says no.
pub(crate) fn rewrite_all(
    files: &dyn Files,
    keys: &Keys,
    directory: &Path,
    goes_on: &dyn Fn() -> bool,
) -> io::Result<()> {
    let temporary = directory.join(TEMPORARY);
    // What a crash has left.
    present(files.remove(&temporary))?;
    let mut rest = vec![directory.to_owned()];
    while let Some(directory) = rest.pop() {
        for entry in files.list(&directory)? {
            if !goes_on() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let path = directory.join(&entry.name);
            if entry.is_directory {
                rest.push(path);
            } else if entry.length_bytes > 0 {
                rewrite(files, keys, &path, &temporary)?;
            }
        }
    }
    Ok(())
}

/// Writes a closed file anew under the current key, unless it lies under it already. The new one is durable under the name
/// `temporary` before it takes the place of the old one; nothing is written unless there is room for both.
pub(crate) fn rewrite(files: &dyn Files, keys: &Keys, path: &Path, temporary: &Path) -> io::Result<()> {
    present(files.remove(temporary))?;
    let current = keys.load().current().map(super::DataKey::id);
    if key_of(files, path)? == current {
        return Ok(());
    }
    let old = read(files, keys, path)?;
    room_for(files, path, old.length_bytes())?
        .map_err(|missing| io::Error::new(io::ErrorKind::StorageFull, format!("{}: {missing}", path.display())))?;
    let mut new = create_as(files, keys, temporary, Kind::of(path))?;
    let mut offset = 0;
    while offset < old.length_bytes() {
        let rest = usize::try_from(old.length_bytes() - offset).unwrap_or(PIECE_BYTES);
        let mut piece = vec![0; rest.min(PIECE_BYTES)];
        old.read_exact_at(&mut piece, offset)?;
        new.append(&piece)?;
        offset += piece.len() as u64;
    }
    new.finish()?;
    files.rename(temporary, path)?;
    files.sync_directory(path.parent().unwrap_or(Path::new(".")))
}

#[derive(Debug)]
struct Reading {
    path: PathBuf,
    file: Box<dyn File>,
    /// `None`: the file is in the clear.
    reader: Option<Reader>,
    length_bytes: u64,
}

impl CheckpointReader for Reading {
    fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let Some(reader) = &self.reader else { return self.file.read_exact_at(buffer, offset) };
        let wanted = buffer.len();
        let read =
            reader.read_at(&Below(self.file.as_ref()), buffer, offset).map_err(|fault| named(&self.path, fault))?;
        if read < wanted { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct Writing {
    file: Box<dyn File>,
    /// `None`: the file stays in the clear.
    writer: Option<Writer>,
    written_bytes: u64,
}

impl Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.written_bytes)?;
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }
}

impl CheckpointWriter for Writing {
    fn append(&mut self, content: &[u8]) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return self.write(content) };
        let sealed = writer.append(content, 0).map_err(io::Error::other)?;
        self.file.write_all_at(sealed, self.written_bytes)?;
        self.written_bytes += sealed.len() as u64;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if let Some(writer) = &mut self.writer {
            self.file.write_all_at(writer.finish(), self.written_bytes)?;
        }
        self.file.sync()
    }
}

/// A file of the seam as a source.
#[derive(Debug)]
struct Below<'a>(&'a dyn File);

impl Source for Below<'_> {
    fn read_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
        let wanted = buffer.len();
        while !buffer.is_empty() {
            match self.0.read_at(buffer, offset) {
                Ok(0) => break,
                Ok(read) => {
                    buffer = &mut buffer[read..];
                    offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(wanted - buffer.len())
    }
}

/// The error of a file, with its name: what the key or the damage is about is the file.
fn named(path: &Path, fault: file::Fault) -> io::Error {
    match fault {
        file::Fault::Io(error) => error,
        fault => {
            let error = io::Error::from(fault);
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        }
    }
}

/// Nothing for a file that has gone.
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::disk::{Layer, RealFiles};

    /// Real files; with the first opening a snapshot takes its name, as it does when it is installed.
    #[derive(Debug)]
    struct Renaming {
        top: PathBuf,
        /// How often that happens.
        left: AtomicU64,
    }

    impl Renaming {
        fn names(&self) -> [PathBuf; 2] {
            [self.top.join("new"), self.top.join("snapshot")]
        }
    }

    impl Layer for Renaming {
        fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
            let left = self.left.load(Ordering::Relaxed);
            self.left.store(left.saturating_sub(1), Ordering::Relaxed);
            if left > 0 {
                let [one, two] = self.names();
                let (from, to) = if RealFiles.list(&one).is_ok() { (one, two) } else { (two, one) };
                RealFiles.rename(&from, &to)?;
            }
            RealFiles.open(path)
        }
    }

    /// A snapshot of one file, in a directory that is renamed so many times.
    fn renamed(times: u64) -> (tempfile::TempDir, Arc<Renaming>) {
        let directory = tempfile::tempdir().unwrap();
        let files = Renaming { top: directory.path().to_owned(), left: AtomicU64::new(times) };
        let [one, _] = files.names();
        RealFiles.create_directory_all(&one).unwrap();
        RealFiles.replace(&one.join("contents"), b"in the clear").unwrap();
        (directory, Arc::new(files))
    }

    #[test]
    fn what_takes_another_name_meanwhile_is_seen() {
        for times in [0, 1, 5] {
            let (directory, files) = renamed(times);
            let seals = survey(files.as_ref(), directory.path()).unwrap();
            assert_eq!(seals, Seals::from([(None, 12)]), "{times}");
        }
    }

    #[test]
    fn what_never_comes_to_rest_is_an_error() {
        let (directory, files) = renamed(u64::MAX);
        assert_eq!(survey(files.as_ref(), directory.path()).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(survey(&RealFiles, &directory.path().join("none")).unwrap(), Seals::new(), "it was never made");
    }
}
