//! What became of a command. An append-only enum; golden files freeze the encodings.

use serde::{Deserialize, Serialize};

use super::job::JobId;
use super::layout::PlacementKey;
use super::name::{Digest, Tag};
use super::record::UploadPosition;
use crate::policy::QuotaResource;

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// Done, with nothing more to say.
    Done,
    /// The upload stands here now.
    Uploaded {
        /// Its position.
        position: UploadPosition,
    },
    /// The upload was published.
    Published {
        /// Whether the new object is used; otherwise one that existed is.
        new_object: bool,
        /// Length of the blob.
        length_bytes: u64,
    },
    /// The upload does not exist, or not in this repository.
    UploadUnknown,
    /// Another writer has moved the upload meanwhile.
    UploadMoved {
        /// Where it stands.
        position: UploadPosition,
    },
    /// The blob does not exist, or is not linked where it must be.
    BlobUnknown,
    /// The blob is linked to the repository.
    Mounted {
        /// Its length.
        length_bytes: u64,
    },
    /// A manifest of the repository uses the blob.
    BlobInUse {
        /// One such manifest.
        manifest: Digest,
    },
    /// The manifest is stored.
    ManifestStored {
        /// Whether it was not there before.
        created: bool,
        /// Tags that did not point to it before, each with what it pointed to, if it was there.
        tags: Vec<(Tag, Option<Digest>)>,
    },
    /// Blobs that the manifest names are not linked to the repository.
    ManifestBlobsUnknown {
        /// The blobs, at most 16 of them.
        digests: Vec<Digest>,
    },
    /// The manifest does not exist in the repository.
    ManifestUnknown,
    /// The tag does not exist in the repository.
    TagUnknown,
    /// The command spoke of something that has changed since; nothing was done.
    Stale,
    /// A number of things were done.
    Count {
        /// How many.
        count: u64,
    },
    /// The command contradicts itself: a proposer's mistake. Nothing was done.
    Malformed {
        /// What is wrong.
        message: String,
    },
    /// A page of what is to be done was worked off.
    Page {
        /// Extents whose place in the list changed.
        count: u64,
        /// Where to go on; `None` at the end.
        next: Option<PlacementKey>,
    },
    /// The repository's namespace does not allow deletions.
    DeletesOff {
        /// Prefix whose policy says so.
        namespace: String,
    },
    /// The tag can be neither moved nor deleted.
    Immutable {
        /// The tag.
        tag: Tag,
        /// Manifest that it points to.
        digest: Digest,
        /// Prefix whose policy says so.
        namespace: String,
        /// The rule's pattern.
        pattern: String,
    },
    /// Garbage was collected.
    Collected {
        /// How much.
        items: u64,
        /// Bytes of the blobs among it.
        bytes: u64,
        /// Whether more is due.
        more: bool,
    },
    /// A deletion was taken back.
    Restored {
        /// The manifest.
        digest: Digest,
        /// Tags that were set on it.
        tags: Vec<Tag>,
    },
    /// Nothing of this name was deleted, its time has passed, or it exists.
    NothingToRestore,
    /// There would be more in a namespace than its quota allows.
    QuotaExceeded {
        /// Prefix that sets the quota.
        namespace: String,
        /// What there would be too much of.
        resource: QuotaResource,
        /// How much there is.
        used: u64,
        /// How much there may be.
        limit: u64,
        /// How much more the command needs.
        needed: u64,
    },
    /// The job has begun.
    JobStarted {
        /// The job.
        job: JobId,
    },
    /// A job with the same scope and of the same kind runs already.
    JobRunning {
        /// That job.
        job: JobId,
    },
    /// As many jobs run as may.
    TooManyJobs {
        /// So many.
        limit: u64,
    },
    /// There is no such job, or it was forgotten.
    JobUnknown,
    /// Whoever asks does not write in this region: the namespace's home is another one, or is about to be.
    Foreign {
        /// Prefix that says so, empty for the root.
        namespace: String,
    },
    /// Some of what a repository held was taken away.
    Evicted {
        /// How much: uploads, tags with their histories, manifests, links, tombstones.
        items: u64,
        /// Bytes of the blobs whose links are among it.
        bytes: u64,
        /// Whether there is more.
        more: bool,
    },
    /// A tag is gone, or a manifest with its tags.
    Deleted {
        /// The tags that are gone, each with what it pointed to.
        tags: Vec<(Tag, Digest)>,
    },
}

crate::versioned! {
    Response = 1, "catalog response";
}
