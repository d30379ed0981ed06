//! The catalog's records: what each key kind holds. Frozen by golden files; fields are only ever added by a new
//! version. Those of layouts, shortfalls, garbage and history have files of their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use storage::kv::Bytes;
use storage::shard::ObjectId;

use super::garbage::GarbageTotals;
use super::name::{Algorithm, Digest, RepositoryName};
use crate::id::RequestId;
use crate::time::Timestamp;

/// What an object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectState {
    /// Being uploaded by a session.
    Uploading,
    /// The bytes of this blob.
    Published(Digest),
}

/// The stored bytes of a blob. Key: object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// Sum of its extents.
    pub length_bytes: u64,
    /// Number of extents, which have the indices `0..extents`.
    pub extents: u32,
    /// What it is for.
    pub state: ObjectState,
}

/// An upload session. Key: session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRecord {
    /// Repository it was begun in.
    pub repository: RepositoryName,
    /// Object that receives the bytes.
    pub object: ObjectId,
    /// Who began it, for later requests of the session.
    pub principal: Option<String>,
    /// Algorithm of the streamed hash.
    pub algorithm: Algorithm,
    /// State of the streamed hash after `position.offset_bytes` bytes.
    pub hash_state: Bytes,
    /// Where it stands.
    pub position: UploadPosition,
    /// Parity that every coded extent had at least at the last change.
    pub parity: u8,
    /// The last change's request, so that its repetition is recognised.
    pub last_request: RequestId,
    /// When it began.
    pub started: Timestamp,
    /// When it expires unless it makes progress.
    pub expires: Timestamp,
    /// Set once published: a repeated PUT is answered as the first one was. Kept until it expires.
    pub finished: Option<Digest>,
}

/// Where an upload stands: changes name the position that they build on (compare-and-set).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadPosition {
    /// Committed bytes.
    pub offset_bytes: u64,
    /// Grows with each change.
    pub epoch: u64,
}

/// A blob. Key: digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRecord {
    /// Its bytes.
    pub object: ObjectId,
    /// Length.
    pub length_bytes: u64,
    /// Uses by manifests: one per repository and manifest that names it.
    pub references: u64,
    /// Repositories that link it.
    pub links: u64,
    /// Grows each time that the blob comes to exist or gets a new object.
    pub generation: u64,
    /// Last time that a client may have learned that it exists by a link that is gone since.
    pub touched: Timestamp,
}

/// A repository's link to a blob: visibility, not a reference. Key: repository, digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// Manifests of the repository that use the blob.
    pub uses: u64,
    /// Last time that a client of this repository may have learned of it without a manifest that uses it.
    pub touched: Timestamp,
    /// Not to go before this time, so that a deleted manifest can be restored that used it.
    pub keep_until: Timestamp,
    /// Whether its bytes count against the quotas of its namespaces: from its creation until its last use ends, and
    /// again as soon as a manifest uses it.
    pub counted: bool,
}

/// A manifest without its bytes. Key: repository, digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRecord {
    /// Stored media type, served as it is.
    pub media_type: String,
    /// Length of the manifest itself.
    pub length_bytes: u64,
    /// Blobs that it uses: config and layers, each once, foreign layers left out.
    pub blobs: Vec<Digest>,
    /// Manifests that it lists, if an index.
    pub children: Vec<Digest>,
    /// Manifest that it refers to.
    pub subject: Option<Digest>,
    /// Tags that point to it now.
    pub tags: u64,
    /// When it was first pushed to this repository.
    pub pushed: Timestamp,
    /// Grows when it is pushed again after a deletion.
    pub generation: u64,
}

/// A tag. Key: repository, tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagRecord {
    /// Manifest it points to.
    pub digest: Digest,
    /// When it was last set.
    pub updated: Timestamp,
    /// Sequence number of the event that set it.
    pub sequence: u64,
    /// Number of the change that set it, in its history.
    pub revision: u64,
}

/// A referrer as listed under its subject. Key: repository, subject, referrer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferrerRecord {
    /// Media type of the referrer.
    pub media_type: String,
    /// Length of the referrer.
    pub length_bytes: u64,
    /// Its artifact type, or the media type of its config.
    pub artifact_type: Option<String>,
    /// Its annotations, in key order.
    pub annotations: Vec<(String, String)>,
}

/// A repository. Key: name. Gone when all counts are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryRecord {
    /// Manifests.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Linked blobs.
    pub links: u64,
    /// Bytes of linked blobs, each once.
    pub linked_bytes: u64,
    /// When it got its first content.
    pub created: Timestamp,
}

/// The catalog's clock and counters. One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockRecord {
    /// Time of the last command, monotonic.
    pub now: Timestamp,
    /// Sequence number of the next event, from 1.
    pub next_sequence: u64,
    /// Sequence number of the oldest event that is kept; the next one's when none is.
    pub first_sequence: u64,
    /// Time of the oldest event that is kept.
    pub first_event: Timestamp,
    /// Next generation of a blob or manifest to give out, from 1.
    pub next_generation: u64,
    /// When the oldest remembered request is forgotten; none if none is remembered.
    pub first_request_expiry: Option<Timestamp>,
    /// Nothing in the garbage queue has a deadline before this one: where its scans begin.
    pub first_garbage: Timestamp,
}

/// Totals of the catalog, kept exact with each command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsRecord {
    /// Repositories with content.
    pub repositories: u64,
    /// Manifests, once per repository.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of blobs.
    pub blob_bytes: u64,
    /// Blobs that no manifest uses.
    pub unreferenced_blobs: u64,
    /// Bytes of blobs that no manifest uses: what comes back in time, unless somebody uses it.
    pub unreferenced_bytes: u64,
    /// Open upload sessions.
    pub uploads: u64,
    /// Extents below their redundancy.
    pub shortfalls: u64,
    /// The same by spare, as in [`ShortfallKey`](super::ShortfallKey); nothing where there are none.
    pub shortfalls_by_spare: BTreeMap<u8, u64>,
    /// Shard sets waiting to be unlinked.
    pub discards: u64,
    /// Bytes of their shards.
    pub discarded_bytes: u64,
    /// What is in the garbage queue.
    pub garbage: GarbageTotals,
    /// Items that were ever collected.
    pub collected_items: u64,
    /// Bytes of the blobs among them.
    pub collected_bytes: u64,
    /// When something was last collected.
    pub last_collected: Option<Timestamp>,
}

crate::versioned! {
    ObjectRecord = 1, "object record";
    UploadRecord = 1, "upload record";
    BlobRecord = 1, "blob record";
    LinkRecord = 1, "link record";
    ManifestRecord = 1, "manifest record";
    TagRecord = 1, "tag record";
    ReferrerRecord = 1, "referrer record";
    RepositoryRecord = 1, "repository record";
    ClockRecord = 1, "clock record";
    TotalsRecord = 1, "totals record";
}
