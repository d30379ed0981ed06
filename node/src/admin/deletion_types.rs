//! What the local socket says and takes about garbage, usage, history and restoring, as JSON.

use raft::catalog::{RepositoryName, Tag, UsageRecord};
use serde::{Deserialize, Serialize};

use crate::deletion::{Bound, GarbageStatus};

/// What waits to be collected, and what was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GarbageAnswer {
    /// Version of this form.
    pub version: u32,
    /// The garbage.
    #[serde(flatten)]
    pub garbage: GarbageStatus,
}

/// What was collected at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectedAnswer {
    /// Version of this form.
    pub version: u32,
    /// Things.
    pub items: u64,
    /// Bytes of blobs among them.
    pub bytes: u64,
    /// Whether more is due.
    pub more: bool,
}

/// Asks for a page of what namespaces and repositories hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRequest {
    /// A namespace's prefix or a repository; empty for the root.
    pub prefix: String,
    /// Where to go on, as an answer has said.
    pub after: Option<String>,
}

/// A page of what namespaces and repositories hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageAnswer {
    /// Version of this form.
    pub version: u32,
    /// The prefix itself.
    pub total: Bound,
    /// What is one step below it, by name.
    pub below: Vec<Bound>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}

/// What a namespace or repository holds, and what bounds it. The API for clients answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceUsageAnswer {
    /// Version of this form.
    pub version: u32,
    /// Its prefix, empty for the root.
    pub namespace: String,
    /// What it holds.
    pub usage: UsageRecord,
    /// Quotas that apply to it, the widest first, and how much of each is used.
    pub bounds: Vec<Bound>,
}

/// Asks for what became of a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRequest {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
}

/// What became of a tag. The API for clients answers the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryAnswer {
    /// Version of this form.
    pub version: u32,
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// Its changes, the newest first; the oldest are forgotten.
    pub changes: Vec<HistoryEntry>,
}

/// A change of a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When, milliseconds since the Unix epoch.
    pub time_milliseconds: u64,
    /// Who; none for a client that did not say.
    pub principal: Option<String>,
    /// By what: `push`, `delete`, `retention`, `bulk_deletion` or `restore`.
    pub cause: String,
    /// What it points to since; none if it was deleted.
    pub digest: Option<String>,
    /// What it pointed to before.
    pub previous: Option<String>,
}

/// Asks for a page of a repository's deleted tags that can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedTagsRequest {
    /// The repository.
    pub repository: RepositoryName,
    /// Where to go on, as an answer has said.
    pub after: Option<Tag>,
}

/// A page of deleted tags that can be restored. It may be empty before the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedTagsAnswer {
    /// Version of this form.
    pub version: u32,
    /// The repository.
    pub repository: RepositoryName,
    /// The tags, by name.
    pub tags: Vec<DeletedTag>,
    /// Where to go on; `None` at the end.
    pub next: Option<Tag>,
}

/// A deleted tag that can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedTag {
    /// The tag.
    pub tag: Tag,
    /// What it pointed to.
    pub digest: String,
    /// When it was deleted, milliseconds since the Unix epoch.
    pub deleted_milliseconds: u64,
    /// Until when it can be restored, milliseconds since the Unix epoch.
    pub until_milliseconds: u64,
    /// Who deleted it; none for a client that did not say.
    pub principal: Option<String>,
    /// By what: `delete`, `retention` or `bulk_deletion`.
    pub cause: String,
}

/// Asks for a page of a repository's deleted manifests that can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TombstonesRequest {
    /// The repository.
    pub repository: RepositoryName,
    /// Where to go on, as an answer has said.
    pub after: Option<String>,
}

/// A page of deleted manifests that can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TombstonesAnswer {
    /// Version of this form.
    pub version: u32,
    /// The repository.
    pub repository: RepositoryName,
    /// The manifests, by digest.
    pub tombstones: Vec<TombstoneEntry>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}

/// A deleted manifest that can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TombstoneEntry {
    /// Its digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Tags that it had.
    pub tags: Vec<Tag>,
    /// When it was deleted, milliseconds since the Unix epoch.
    pub deleted_milliseconds: u64,
    /// Until when it can be restored, milliseconds since the Unix epoch.
    pub until_milliseconds: u64,
    /// Who deleted it; none for a client that did not say.
    pub principal: Option<String>,
    /// By what: `delete`, `retention` or `bulk_deletion`.
    pub cause: String,
}

/// Asks for a tag or a manifest to be restored. One of the two is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRequest {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Option<Tag>,
    /// The manifest.
    pub digest: Option<String>,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredAnswer {
    /// Version of this form.
    pub version: u32,
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: String,
    /// Tags that point to it again.
    pub tags: Vec<Tag>,
}
