//! What is kept of the past: the changes of each tag, and deleted manifests for as long as they can be restored.

use serde::{Deserialize, Serialize};

use super::name::{Digest, Tag};
use super::record::{ManifestRecord, ReferrerRecord};
use crate::time::Timestamp;

/// Why a tag or manifest was changed. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeCause {
    /// A client pushed.
    Push,
    /// A client or an operator deleted it.
    Delete,
    /// A retention rule deleted it.
    Retention,
    /// A deletion of many tags deleted it.
    BulkDeletion,
    /// An operator took a deletion back.
    Restore,
}

impl ChangeCause {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Push, Self::Delete, Self::Retention, Self::BulkDeletion, Self::Restore];

    /// Its name, for people and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Retention => "retention",
            Self::BulkDeletion => "bulk_deletion",
            Self::Restore => "restore",
        }
    }
}

/// One change of a tag. Key: repository, tag, revision, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagChange {
    /// When.
    pub time: Timestamp,
    /// Who asked for it; `None` if nobody knows.
    pub principal: Option<String>,
    /// Why.
    pub cause: ChangeCause,
    /// Manifest that it points to since; `None` if it was deleted.
    pub digest: Option<Digest>,
    /// Manifest that it pointed to before; `None` if it did not exist.
    pub previous: Option<Digest>,
}

/// A deleted manifest that can be restored. Key: repository, digest. Its bytes stand beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TombstoneRecord {
    /// The manifest as it was.
    pub record: ManifestRecord,
    /// What the list of referrers said of it, if it has a subject.
    pub referrer: Option<ReferrerRecord>,
    /// Tags that pointed to it and were deleted with it, in lexical order.
    pub tags: Vec<Tag>,
    /// When it was deleted.
    pub deleted: Timestamp,
    /// Until when it can be restored.
    pub until: Timestamp,
    /// Who deleted it; `None` if nobody knows.
    pub principal: Option<String>,
    /// Why.
    pub cause: ChangeCause,
}

/// What to restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreTarget {
    /// A deleted manifest, with the tags that were deleted with it and are free.
    Manifest(Digest),
    /// A deleted tag, with its manifest if that is gone too.
    Tag(Tag),
}

crate::versioned! {
    TagChange = 1, "tag change";
    TombstoneRecord = 1, "tombstone record";
}
