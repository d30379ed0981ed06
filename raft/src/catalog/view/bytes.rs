//! Reads of blobs and what they consist of: links, objects, extents, uploads.

use storage::shard::{ExtentIndex, ObjectId};

use super::View;
use crate::catalog::layout::ExtentRecord;
use crate::catalog::name::{Digest, RepositoryName, SessionId};
use crate::catalog::record::{BlobRecord, LinkRecord, ObjectRecord, UploadRecord};
use crate::catalog::table::{BlobLinks, Blobs, Extents, Links, Objects, Uploads};
use crate::machine::State;
use crate::table::{StateError, Table};

/// An extent with its key.
type ExtentRow = ((ObjectId, ExtentIndex), ExtentRecord);

impl<S: State> View<S> {
    /// An upload session, finished ones included until they expire.
    pub fn upload(&self, session: SessionId) -> Result<Option<UploadRecord>, StateError> {
        Uploads::get(&self.state, &session)
    }

    /// A blob, linked or not.
    pub fn blob(&self, digest: &Digest) -> Result<Option<BlobRecord>, StateError> {
        Blobs::get(&self.state, digest)
    }

    /// A repository's link to a blob.
    pub fn link(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<LinkRecord>, StateError> {
        Links::get(&self.state, (repository, digest))
    }

    /// The blob as a client of the repository sees it: linked.
    pub fn linked_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<BlobRecord>, StateError> {
        if !Links::contains(&self.state, (repository, digest))? {
            return Ok(None);
        }
        self.blob(digest)
    }

    /// Repositories that link a blob, in lexical order, behind `after`.
    pub fn repositories_of(
        &self,
        digest: &Digest,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>, StateError> {
        let after = after.map(|after| (digest, after));
        let rows = BlobLinks::scan::<Digest>(&self.state, digest, after, limit)?;
        Ok(rows.into_iter().map(|((_, repository), ())| repository).collect())
    }

    /// An object.
    pub fn object(&self, object: ObjectId) -> Result<Option<ObjectRecord>, StateError> {
        Objects::get(&self.state, &object)
    }

    /// One extent of an object.
    pub fn extent(&self, object: ObjectId, extent: ExtentIndex) -> Result<Option<ExtentRecord>, StateError> {
        Extents::get(&self.state, (&object, &extent))
    }

    /// Extents of an object in order, from an index on.
    pub fn extents(
        &self,
        object: ObjectId,
        from: ExtentIndex,
        limit: usize,
    ) -> Result<Vec<(ExtentIndex, ExtentRecord)>, StateError> {
        let rows = Extents::scan_from::<ObjectId>(&self.state, &object, (&object, &from), limit)?;
        Ok(rows.into_iter().map(|((_, index), record)| (index, record)).collect())
    }

    /// Extents of all objects by object and index, behind `after`: for walks through the store, page by page.
    pub fn all_extents(
        &self,
        after: Option<(ObjectId, ExtentIndex)>,
        limit: usize,
    ) -> Result<Vec<ExtentRow>, StateError> {
        let after = after.as_ref().map(|(object, extent)| (object, extent));
        Extents::scan::<()>(&self.state, (), after, limit)
    }

    /// The extent that holds the byte at `offset_bytes` of an object; `None` behind its end. Found by halving: as many
    /// reads as the number of extents has binary digits.
    pub fn extent_at(
        &self,
        object: ObjectId,
        offset_bytes: u64,
    ) -> Result<Option<(ExtentIndex, ExtentRecord)>, StateError> {
        let Some(record) = self.object(object)? else { return Ok(None) };
        if offset_bytes >= record.length_bytes {
            return Ok(None);
        }
        let (mut low, mut high) = (0, record.extents);
        while low < high {
            let middle = low + (high - low) / 2;
            let index = ExtentIndex(middle);
            // Gone when the object was replaced between two reads.
            let Some(extent) = self.extent(object, index)? else { return Ok(None) };
            if offset_bytes < extent.offset_bytes {
                high = middle;
            } else if offset_bytes - extent.offset_bytes >= extent.body.length_bytes() {
                low = middle + 1;
            } else {
                return Ok(Some((index, extent)));
            }
        }
        Ok(None)
    }
}
