//! Shard files written anew under the current key, one by one, while they are read.

use std::io;
use std::sync::Arc;

use super::format::{self, Form};
use super::sealed;
use super::{Checksum, Geometry, ShardError, ShardName, ShardReader, ShardWriter};
use crate::disk::Disk;
use crate::seal::{DataKey, KeyId};

/// Bytes of blocks that are held in memory at a time, one block at least.
const RUN_BYTES: u64 = 4 << 20;

/// The key that a shard file is sealed under, by its header, whether the key is known or not; `None`: it is in the clear.
/// Blocks.
///
/// # Errors
/// [`ShardError::Missing`], [`ShardError::Corrupt`] for a header that is not a shard's, and whatever the file system says.
/// A file that is shorter than a header is not counted as damaged: a writer may just have created it.
pub fn seal_of(disk: &Arc<Disk>, name: &ShardName) -> Result<Option<KeyId>, ShardError> {
    let looked = look(disk, name);
    if let Err(ShardError::Corrupt { truncated: false, .. }) = &looked {
        disk.count_corrupt_block();
    }
    looked.map(|look| look.key)
}

/// What a file's header says, and how long the file is.
struct Look {
    key: Option<KeyId>,
    geometry: Geometry,
}

/// Writes a shard file anew under the current key, or in the clear without one, unless it is so already: then nothing is
/// done. Whether it was. Blocks.
///
/// The new file is whole and durable beside the old one before it takes its name, so that a power cut leaves the one or
/// the other. Whoever reads the old one meanwhile goes on reading it. Every block is verified on the way: a shard that is
/// damaged stays as it is. Only for shards that the catalog names: those are finished, and nobody writes to them.
///
/// # Errors
/// As for reading the shard and for writing one; the old file is there then. After an error of the last step either is.
pub fn reseal(disk: &Arc<Disk>, name: &ShardName) -> Result<bool, ShardError> {
    let looked = look(disk, name);
    if let Err(ShardError::Corrupt { .. }) = &looked {
        disk.count_corrupt_block();
    }
    let look = looked?;
    if look.key == disk.keys().load().current().map(DataKey::id) {
        return Ok(false);
    }
    let geometry = look.geometry;
    let io = |action| {
        let path = disk.shard_path(name);
        move |source: io::Error| {
            disk.note_failure(&source);
            ShardError::Io { path, action, source }
        }
    };
    let reader = ShardReader::open(disk, *name, geometry.profile, geometry.block_size_bytes)?;
    // One at a time: there is one place for what is not finished.
    let _alone = disk.resealing();
    let temporary = disk.reseal_path().map_err(io("make room for its new file"))?;
    let mut writer =
        ShardWriter::create_at(disk, *name, geometry.profile, geometry.block_size_bytes, temporary.clone())?;
    let step = (RUN_BYTES / u64::from(geometry.block_size_bytes)).max(1);
    let mut next = 0;
    while next < geometry.stripes() {
        let end = geometry.stripes().min(next + step);
        let blocks = reader.read_blocks(&geometry, next..end)?;
        let blocks: Vec<(Checksum, &[u8])> =
            blocks.iter().map(|block| (block.checksum, block.bytes.as_ref())).collect();
        writer.append_all(&blocks)?;
        next = end;
    }
    writer.finish()?;
    let renamed = match disk.files().open(&disk.shard_path(name)) {
        Ok(_) => disk.files().rename(&temporary, &disk.shard_path(name)).map_err(io("give its new file its name")),
        // It was removed meanwhile, and stays so.
        Err(_) => Err(ShardError::Missing { path: disk.shard_path(name) }),
    };
    if renamed.is_err() {
        // Best effort: the next one begins by removing what is there.
        let _ = disk.files().remove(&temporary);
    }
    renamed?;
    disk.files().sync_directory(&disk.page_path(name.object.0[0])).map_err(io("sync its directory"))?;
    Ok(true)
}

/// Reads a header. Damage is for the caller to count.
fn look(disk: &Arc<Disk>, name: &ShardName) -> Result<Look, ShardError> {
    let path = disk.shard_path(name);
    let corrupt = |reason, truncated| ShardError::Corrupt { path: path.clone(), block: None, reason, truncated };
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ShardError::Missing { path: path.clone() },
        io::ErrorKind::UnexpectedEof => corrupt("the file ends too early", true),
        _ => {
            disk.note_failure(&source);
            ShardError::Io { path: path.clone(), action: "read its header", source }
        }
    };
    let file = disk.files().open(&path).map_err(failed)?;
    let mut first = [0; format::HEADER];
    file.read_exact_at(&mut first, 0).map_err(failed)?;
    let shape = format::read_shape(&first).filter(|_| format::read_header(&first) == Some(*name));
    let (Some((profile, block_size_bytes)), Some(form)) = (shape, Form::of(&first)) else {
        return Err(corrupt("its header is damaged, or belongs to another shard", false));
    };
    let key = if form == Form::Sealed {
        let mut header = [0; format::HEADER + sealed::HEADER_BYTES];
        file.read_exact_at(&mut header, 0).map_err(failed)?;
        Some(sealed::key_id(&header))
    } else {
        None
    };
    let body = file.length().map_err(failed)?.saturating_sub(form.header_bytes());
    let stride = form.block_bytes(u64::from(block_size_bytes));
    // What is too short for a block shows when the blocks are read.
    let rest = (body % stride).saturating_sub(form.block_overhead_bytes());
    let mut geometry = Geometry { profile, block_size_bytes, length_bytes: 0 };
    geometry.length_bytes = body / stride * geometry.stripe_size_bytes() + rest * profile.data() as u64;
    Ok(Look { key, geometry })
}
