//! Writes one shard file from its first block to its last.
//!
//! What is appended becomes durable only with [`ShardWriter::finish`]; a file that was not finished is nobody's, and is
//! removed when its writer is dropped, or by reconciliation after a crash. The writer checks no checksums: whoever cut
//! the blocks computed them, and every reader verifies. It seals what it writes if the node has a key.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::format::{self, Form};
use super::sealed::Seal;
use super::{Checksum, ShardError, ShardName};
use crate::codec::Profile;
use crate::disk::{Disk, DiskHealth, File, is_full};
use crate::switch;

/// Bytes after which the operating system is asked to begin with writing back, so that the last sync is short.
const WRITEBACK_BYTES: u64 = 8 << 20;

/// An unfinished shard file. Calls block.
#[derive(Debug)]
pub struct ShardWriter {
    disk: Arc<Disk>,
    name: ShardName,
    path: PathBuf,
    /// `None` once finished.
    file: Option<Box<dyn File>>,
    /// The header, until it is written: of a file in the clear with the first blocks.
    header: Option<Vec<u8>>,
    form: Form,
    /// `None`: the file is in the clear.
    seal: Option<Seal>,
    /// Blocks that were written.
    blocks: u64,
    /// Blocks that were sealed, written or not: none is ever sealed twice.
    sealed_blocks: u64,
    block_size_bytes: u32,
    /// Bytes written, and where the next block goes.
    length_bytes: u64,
    /// Bytes whose writing back was begun.
    written_back_bytes: u64,
    /// A block shorter than the others was written: it is the last one.
    closed: bool,
}

impl ShardWriter {
    /// Creates the file of a shard, which must not exist.
    ///
    /// # Errors
    /// [`ShardError::NoSpace`] when the disk is full, [`ShardError::Unfit`] when it is out of use, and whatever the file
    /// system says.
    pub fn create(
        disk: &Arc<Disk>,
        name: ShardName,
        profile: Profile,
        block_size_bytes: u32,
    ) -> Result<Self, ShardError> {
        Self::create_at(disk, name, profile, block_size_bytes, disk.shard_path(&name))
    }

    /// The same, in a file with another name.
    pub(super) fn create_at(
        disk: &Arc<Disk>,
        name: ShardName,
        profile: Profile,
        block_size_bytes: u32,
        path: PathBuf,
    ) -> Result<Self, ShardError> {
        if block_size_bytes == 0 || !block_size_bytes.is_multiple_of(2) || usize::from(name.shard.0) >= profile.shards()
        {
            return Err(ShardError::Misuse { path, rule: "block size is even and the shard is one of its profile" });
        }
        let health = disk.health();
        // A full one is asked for its figures below.
        if !health.takes_shards() && health != DiskHealth::Full {
            return Err(ShardError::Unfit { path, health });
        }
        let key = disk.keys().for_new_file();
        let form = if key.is_some() { Form::Sealed } else { Form::Clear };
        let first = format::header(form, &name, profile, block_size_bytes);
        let (seal, header) = match key {
            Some((key, salt)) => {
                let (seal, header) = Seal::create(&first, &key, &salt);
                (Some(seal), header)
            }
            None => (None, first.to_vec()),
        };
        let mut writer = Self {
            disk: Arc::clone(disk),
            name,
            path,
            file: None,
            header: Some(header),
            form,
            seal,
            blocks: 0,
            sealed_blocks: 0,
            block_size_bytes,
            length_bytes: form.header_bytes(),
            written_back_bytes: 0,
            closed: false,
        };
        writer.reserve(form.header_bytes())?;
        let file = writer.disk.files().create(&writer.path).map_err(|error| writer.failed("create it", error))?;
        writer.file = Some(file);
        // At once: from here on the file shows which key its writer holds, so that the key is not forgotten meanwhile.
        if writer.seal.is_some()
            && let Some(header) = writer.header.take()
        {
            writer.write(&[&header], 0)?;
        }
        Ok(writer)
    }

    /// The shard that is written.
    #[must_use]
    pub fn name(&self) -> &ShardName {
        &self.name
    }

    /// Appends the next block, with the checksum that [`checksum`](super::checksum()) gave for it.
    ///
    /// # Errors
    /// As [`append_all`](Self::append_all).
    pub fn append(&mut self, checksum: Checksum, block: &[u8]) -> Result<(), ShardError> {
        self.append_all(&[(checksum, block)])
    }

    /// Appends the next blocks with one write. Only the last block of a shard may be shorter than the block size.
    ///
    /// # Errors
    /// [`ShardError::NoSpace`] when they would reach into the disk's reserve; nothing was written then. After any
    /// other error the writer should be dropped.
    pub fn append_all(&mut self, blocks: &[(Checksum, &[u8])]) -> Result<(), ShardError> {
        if blocks.is_empty() {
            return Ok(());
        }
        let closed = self.check_lengths(blocks)?;
        let bytes: u64 = blocks.iter().map(|(_, block)| self.form.block_bytes(block.len() as u64)).sum();
        self.reserve(bytes)?;
        let sealed = self.seal_all(blocks, bytes);
        let mut parts: Vec<&[u8]> = Vec::with_capacity(1 + blocks.len() * 2);
        let mut offset = self.length_bytes;
        if let Some(header) = &self.header {
            parts.push(header);
            offset = 0;
        }
        match &sealed {
            Some(sealed) => parts.push(sealed),
            None => {
                for (checksum, block) in blocks {
                    parts.push(&checksum.0);
                    parts.push(block);
                }
            }
        }
        self.write(&parts, offset)?;
        self.header = None;
        self.blocks += blocks.len() as u64;
        self.closed = closed;
        self.length_bytes += bytes;
        self.write_back();
        Ok(())
    }

    /// The next blocks as the file has them; `None`: the file is in the clear.
    fn seal_all(&mut self, blocks: &[(Checksum, &[u8])], bytes: u64) -> Option<Vec<u8>> {
        let seal = self.seal.as_ref()?;
        let mut sealed = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        for ((checksum, block), number) in blocks.iter().zip(self.blocks..) {
            seal.seal(number, *checksum, block, &mut sealed);
        }
        self.sealed_blocks = self.blocks + blocks.len() as u64;
        Some(sealed)
    }

    /// Makes the shard durable, file and directory entry, and returns its length in bytes.
    ///
    /// # Errors
    /// What the file system says. The file is removed then, as far as possible.
    pub fn finish(mut self) -> Result<u64, ShardError> {
        if let Some(header) = self.header.take() {
            self.write(&[&header], 0)?;
        }
        if !switch::broken("storage.shard.skip_sync") {
            self.open_file()?.sync().map_err(|error| self.failed("sync it", error))?;
        }
        if !switch::broken("storage.shard.skip_directory_sync")
            && let Some(directory) = self.path.parent()
        {
            self.disk.files().sync_directory(directory).map_err(|error| self.failed("sync its directory", error))?;
        }
        self.file = None;
        Ok(self.length_bytes)
    }

    /// Whether these blocks end the shard, or an error when one of them cannot be.
    fn check_lengths(&self, blocks: &[(Checksum, &[u8])]) -> Result<bool, ShardError> {
        let full = self.block_size_bytes as usize;
        let misuse = |rule| Err(ShardError::Misuse { path: self.path.clone(), rule });
        if self.sealed_blocks > self.blocks {
            // Other bytes under a number that was used already would give both away.
            return misuse("after a write that failed it is written anew");
        }
        let mut closed = self.closed;
        for (_, block) in blocks {
            if closed {
                return misuse("only its last block is shorter than the others");
            }
            if block.is_empty() || block.len() > full || !block.len().is_multiple_of(2) {
                return misuse("a block is not empty, not above the block size, and even");
            }
            closed = block.len() < full;
        }
        Ok(closed)
    }

    fn reserve(&self, bytes: u64) -> Result<(), ShardError> {
        match self.disk.reserve(bytes) {
            Ok(enough) => Ok(enough?),
            // Counted where the space was asked for.
            Err(source) => Err(ShardError::Io { path: self.path.clone(), action: "ask for free space", source }),
        }
    }

    fn write(&self, parts: &[&[u8]], offset: u64) -> Result<(), ShardError> {
        self.open_file()?.write_all_parts_at(parts, offset).map_err(|error| self.failed("write to it", error))
    }

    fn write_back(&mut self) {
        let pending = self.length_bytes - self.written_back_bytes;
        if pending >= WRITEBACK_BYTES {
            if let Some(file) = &self.file {
                file.start_writeback(self.written_back_bytes, pending);
            }
            self.written_back_bytes = self.length_bytes;
        }
    }

    fn open_file(&self) -> Result<&dyn File, ShardError> {
        let rule = "it is open until it is finished";
        self.file.as_deref().ok_or_else(|| ShardError::Misuse { path: self.path.clone(), rule })
    }

    fn failed(&self, action: &'static str, source: io::Error) -> ShardError {
        if is_full(&source)
            && let Ok(full) = self.disk.no_space()
        {
            return full.into();
        }
        // A file that is there already says nothing about the disk.
        if source.kind() != io::ErrorKind::AlreadyExists {
            self.disk.note_failure(&source);
        }
        ShardError::Io { path: self.path.clone(), action, source }
    }
}

impl Drop for ShardWriter {
    /// Removes what was not finished, best effort and without a sync: a crash may leave the file, and nobody reads it.
    fn drop(&mut self) {
        if self.file.take().is_some()
            && let Err(error) = self.disk.files().remove(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "unfinished shard file left behind");
        }
    }
}
