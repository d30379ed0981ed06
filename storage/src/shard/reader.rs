//! Reads blocks of a shard file. Every block is verified before a byte of it is handed out.
//!
//! Contiguous blocks are fetched with few large reads, and handed out as slices of the buffer that they were read
//! into: nothing is copied, and sealed ones are opened in place. A slice keeps its whole buffer, at most [`READ_BYTES_MAX`] or one block, in memory.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::format::{self, Form, HEADER};
use super::sealed::{self, Fault, Seal};
use super::{Checksum, Geometry, ShardError, ShardName, checksum};
use crate::codec::Profile;
use crate::disk::{Disk, File};
use crate::seal::KeyId;
use crate::switch;

/// Most bytes fetched with one read, unless a single block is larger.
const READ_BYTES_MAX: u64 = 4 << 20;

/// A verified block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its checksum, for a reader elsewhere who verifies again.
    pub checksum: Checksum,
    /// Its bytes, padding included.
    pub bytes: Bytes,
}

/// An open shard file. Calls block.
#[derive(Debug)]
pub struct ShardReader {
    disk: Arc<Disk>,
    name: ShardName,
    path: PathBuf,
    file: Box<dyn File>,
    profile: Profile,
    block_size_bytes: u32,
    form: Form,
    /// `None`: the file is in the clear.
    seal: Option<Seal>,
}

impl ShardReader {
    /// Opens a shard and verifies its header.
    ///
    /// # Errors
    /// [`ShardError::Missing`], [`ShardError::Corrupt`] when the header is not the one expected, [`ShardError::Sealed`] when
    /// its key is not there, and whatever the file system says.
    pub fn open(
        disk: &Arc<Disk>,
        name: ShardName,
        profile: Profile,
        block_size_bytes: u32,
    ) -> Result<Self, ShardError> {
        let path = disk.shard_path(&name);
        let file = match disk.files().open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ShardError::Missing { path }),
            Err(source) => {
                disk.note_failure(&source);
                return Err(ShardError::Io { path, action: "open it", source });
            }
        };
        let (form, seal) = (Form::Clear, None);
        let mut reader = Self { disk: Arc::clone(disk), name, path, file, profile, block_size_bytes, form, seal };
        let mut header = [0; HEADER];
        reader.file.read_exact_at(&mut header, 0).map_err(|error| reader.failed(None, error))?;
        reader.form = format::check_header(&header, &name, profile, block_size_bytes)
            .map_err(|reason| reader.corrupt(None, reason))?;
        if reader.form == Form::Sealed {
            reader.seal = Some(reader.unlock()?);
        }
        Ok(reader)
    }

    /// The seal of a file whose header says that it has one.
    fn unlock(&self) -> Result<Seal, ShardError> {
        let mut header = [0; HEADER + sealed::HEADER_BYTES];
        self.file.read_exact_at(&mut header, 0).map_err(|error| self.failed(None, error))?;
        Seal::open(&header, &self.disk.keys().load()).map_err(|fault| match fault {
            Fault::Unknown(unknown) => ShardError::Sealed { path: self.path.clone(), unknown },
            Fault::Damaged => self.corrupt(None, "its header does not open"),
        })
    }

    /// The key that the shard is sealed under; `None`: it is in the clear.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        self.seal.as_ref().map(Seal::id)
    }

    /// The shard that is read.
    #[must_use]
    pub fn name(&self) -> &ShardName {
        &self.name
    }

    /// The bytes of a range of blocks, every one verified.
    ///
    /// # Errors
    /// As [`read_blocks`](Self::read_blocks).
    pub fn read(&self, geometry: &Geometry, blocks: Range<u64>) -> Result<Vec<Bytes>, ShardError> {
        Ok(self.read_blocks(geometry, blocks)?.into_iter().map(|block| block.bytes).collect())
    }

    /// A range of blocks with their checksums, every one verified.
    ///
    /// # Errors
    /// [`ShardError::Corrupt`] naming the first bad block, [`ShardError::Misuse`] for blocks that the geometry does not
    /// have, and whatever the file system says. Nothing is handed out unless all of it is good.
    pub fn read_blocks(&self, geometry: &Geometry, blocks: Range<u64>) -> Result<Vec<Block>, ShardError> {
        let fits = geometry.profile == self.profile && geometry.block_size_bytes == self.block_size_bytes;
        if !fits || blocks.start > blocks.end || blocks.end > geometry.stripes() {
            let rule = "blocks are read under the geometry that they were written with";
            return Err(ShardError::Misuse { path: self.path.clone(), rule });
        }
        let count = usize::try_from(blocks.end - blocks.start).unwrap_or(0);
        let mut result = Vec::with_capacity(count);
        let step = (READ_BYTES_MAX / self.form.block_bytes(u64::from(self.block_size_bytes))).max(1);
        let mut start = blocks.start;
        while start < blocks.end {
            let end = blocks.end.min(start.saturating_add(step));
            self.read_run(geometry, start..end, &mut result)?;
            start = end;
        }
        Ok(result)
    }

    /// Reads a range of blocks from the disk itself, not from the operating system's cache, and verifies every one.
    /// Returns the bytes read. Nothing is kept.
    ///
    /// # Errors
    /// As [`read_blocks`](Self::read_blocks); the first bad block ends it.
    pub fn verify(&self, geometry: &Geometry, blocks: Range<u64>) -> Result<u64, ShardError> {
        let start = self.form.block_offset_bytes(blocks.start, self.block_size_bytes);
        let length = blocks.end.saturating_sub(blocks.start) * self.form.block_bytes(u64::from(self.block_size_bytes));
        self.file.drop_cached(start, length);
        let read = self.read_blocks(geometry, blocks)?;
        // What a scrub reads is not what clients ask for: it should not push that out of the cache.
        self.file.drop_cached(start, length);
        Ok(read.iter().map(|block| self.form.block_bytes(block.bytes.len() as u64)).sum())
    }

    /// Fetches blocks with one read, and verifies them.
    fn read_run(&self, geometry: &Geometry, blocks: Range<u64>, result: &mut Vec<Block>) -> Result<(), ShardError> {
        let offset = self.form.block_offset_bytes(blocks.start, self.block_size_bytes);
        let last = blocks.end - 1;
        let end = self.form.block_offset_bytes(last, self.block_size_bytes)
            + self.form.block_bytes(u64::from(geometry.block_length_bytes(last)));
        let length = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let mut run = match self.file.read_vec_at(length, offset) {
            Ok(run) => run,
            Err(error) => return Err(self.failed(Some(self.first_cut(&blocks)), error)),
        };
        self.unseal(geometry, &blocks, &mut run)?;
        let run = Bytes::from(run);
        let mut position = 0;
        for block in blocks {
            let start = position + Checksum::BYTES;
            let end = start + geometry.block_length_bytes(block) as usize;
            let bytes = run.slice(start..end);
            let good = checksum(&self.name, block, &bytes).0 == run[position..start];
            if !good && !switch::broken("storage.shard.skip_verification") {
                return Err(self.corrupt(Some(block), "its checksum does not match"));
            }
            let mut stored = [0; Checksum::BYTES];
            stored.copy_from_slice(&run[position..start]);
            result.push(Block { checksum: Checksum(stored), bytes });
            position += self.stride(geometry, block);
        }
        Ok(())
    }

    /// Opens blocks as they were read, in place.
    fn unseal(&self, geometry: &Geometry, blocks: &Range<u64>, run: &mut [u8]) -> Result<(), ShardError> {
        let Some(seal) = &self.seal else { return Ok(()) };
        let mut rest = run;
        for block in blocks.clone() {
            let (sealed, behind) = rest.split_at_mut(self.stride(geometry, block));
            if !seal.unseal(block, sealed) {
                return Err(self.corrupt(Some(block), "it does not open"));
            }
            rest = behind;
        }
        Ok(())
    }

    /// Bytes that a block takes in a run of them.
    fn stride(&self, geometry: &Geometry, block: u64) -> usize {
        usize::try_from(self.form.block_bytes(u64::from(geometry.block_length_bytes(block)))).unwrap_or(usize::MAX)
    }

    /// The first of `blocks` that a file of the present length does not hold whole.
    fn first_cut(&self, blocks: &Range<u64>) -> u64 {
        let length = self.file.length().unwrap_or(0);
        let whole =
            length.saturating_sub(self.form.header_bytes()) / self.form.block_bytes(u64::from(self.block_size_bytes));
        whole.clamp(blocks.start, blocks.end - 1)
    }

    fn corrupt(&self, block: Option<u64>, reason: &'static str) -> ShardError {
        self.disk.count_corrupt_block();
        ShardError::Corrupt { path: self.path.clone(), block, reason, truncated: false }
    }

    fn truncated(&self, block: Option<u64>) -> ShardError {
        self.disk.count_corrupt_block();
        ShardError::Corrupt { path: self.path.clone(), block, reason: "the file ends too early", truncated: true }
    }

    fn failed(&self, block: Option<u64>, source: io::Error) -> ShardError {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return self.truncated(block);
        }
        self.disk.note_failure(&source);
        ShardError::Io { path: self.path.clone(), action: "read it", source }
    }
}
