//! The read path: a range of a blob → windows of extents → blocks of shards.
//!
//! `plan` says which blocks a range touches, `window` fetches them (data shards first, parity when one is missing, bad
//! or slow), `source` reads an extent that may be replaced meanwhile, `stream` reads a blob ahead of its client,
//! `report` tells the catalog what is missing.
//!
//! Holds: every byte handed out was verified; a stream that cannot be completed ends with an error; memory per reader
//! is three windows, windows shrink when many read, and the budget bounds their sum whatever the clients do.

mod plan;
mod report;
mod source;
mod stream;
mod window;

use std::sync::Arc;

use raft::catalog::{Algorithm, Digest, ExtentBody};
use storage::shard::{ExtentIndex, ObjectId};

use super::catalog::CatalogError;
use super::core::Core;
use super::error::ReadError;
use super::hash::RunningDigest;

pub(super) use report::{Reports, report};
pub(crate) use source::ExtentSource;
pub use stream::{Blob, ByteStream};

/// Extents read from the catalog at a time.
const PAGE_EXTENTS: usize = 64;

/// Digest of an object by reading it back: the committed extents below `first_new`, then `new` ones.
pub(super) async fn digest_of(
    core: &Arc<Core>,
    algorithm: Algorithm,
    object: ObjectId,
    first_new: u32,
    new: impl Iterator<Item = ExtentBody>,
) -> Result<Digest, ReadError> {
    let mut hash = RunningDigest::new(algorithm);
    let mut next = 0;
    while next < first_new {
        let page = core.records.view().extents(object, ExtentIndex(next), PAGE_EXTENTS);
        let page = page.map_err(CatalogError::from)?;
        let Some((last, _)) = page.last() else { break };
        let behind = last.0.saturating_add(1);
        for (index, record) in page.into_iter().filter(|(index, _)| index.0 < first_new) {
            hash = hash_extent(core, object, index, record.body, hash).await?;
        }
        next = behind;
    }
    for (index, body) in (first_new..).zip(new) {
        hash = hash_extent(core, object, ExtentIndex(index), body, hash).await?;
    }
    Ok(hash.digest())
}

async fn hash_extent(
    core: &Arc<Core>,
    object: ObjectId,
    index: ExtentIndex,
    body: ExtentBody,
    mut hash: RunningDigest,
) -> Result<RunningDigest, ReadError> {
    match body {
        ExtentBody::Inline(bytes) => hash.update(&bytes),
        ExtentBody::Coded(coded) => {
            let source = ExtentSource { object, index, coded: Arc::new(coded) };
            for window in source.windows(core) {
                let pieces = source.fetch(core, &window).await?;
                let hashed = core.exec.run(move || {
                    for piece in &pieces {
                        hash.update(piece);
                    }
                    hash
                });
                hash = hashed.await;
            }
        }
    }
    Ok(hash)
}
