//! The change feed: what happened, in order. Consumers keep cursors of their own; at least once, stable ids.

use serde::{Deserialize, Serialize};

use super::name::{Digest, RepositoryName, Tag};
use crate::time::Timestamp;

/// One applied mutation. Key: sequence number, counted up by one per event and catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Time of the command.
    pub time: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// What happened. Append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// A blob became visible in a repository, by upload or mount.
    BlobLinked {
        /// Repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
        /// Its length.
        length_bytes: u64,
        /// Repository that it was mounted from, if it was.
        mounted_from: Option<RepositoryName>,
    },
    /// A blob is no longer visible in a repository.
    BlobUnlinked {
        /// Repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// A manifest was stored.
    ManifestStored {
        /// Repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
        /// Its media type.
        media_type: String,
        /// Its length.
        length_bytes: u64,
    },
    /// A manifest was deleted.
    ManifestDeleted {
        /// Repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
    },
    /// A tag was set or moved.
    TagSet {
        /// Repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// Manifest it points to now.
        digest: Digest,
        /// Manifest it pointed to before.
        previous: Option<Digest>,
    },
    /// A tag was deleted.
    TagDeleted {
        /// Repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// Manifest it pointed to.
        digest: Digest,
    },
}

crate::versioned! {
    Event = 1, "catalog event";
}
