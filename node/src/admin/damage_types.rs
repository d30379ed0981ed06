//! What the local socket says and takes about what cannot be read, as JSON. All of it comes in pages.

use serde::{Deserialize, Serialize};

/// Asks for a page of what is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamageRequest {
    /// Where to go on, as an answer has said.
    pub after: Option<String>,
}

/// A page of what cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamageAnswer {
    /// Version of this form.
    pub version: u32,
    /// Extents that cannot be read, the oldest first.
    pub damaged: Vec<DamagedExtent>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}

/// An extent that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedExtent {
    /// Object.
    pub object: String,
    /// Index of the extent in the object.
    pub extent: u32,
    /// Digest of the blob that it belongs to; none while it is being uploaded.
    pub digest: Option<String>,
    /// Why, each cause once.
    pub causes: Vec<String>,
    /// When it was first noticed, milliseconds since the Unix epoch.
    pub since_milliseconds: u64,
}

/// What cannot be pulled because of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DamagedUse {
    /// Repository.
    pub repository: String,
    /// Digest of its manifest that needs the blob; none if the repository only links the blob.
    pub manifest: Option<String>,
    /// Tags of it, and of the indexes that list it.
    pub tags: Vec<String>,
    /// Digests of indexes that list it.
    pub indexes: Vec<String>,
    /// Whether there are more names: `/damage/names` has them all.
    pub more: bool,
}

/// Asks for a page of what uses a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsesRequest {
    /// Digest of the blob.
    pub digest: String,
    /// Where to go on, as an answer has said.
    pub after: Option<UsePlace>,
}

/// A place in the list of what uses a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsePlace {
    /// Repository.
    pub repository: String,
    /// Digest of its manifest.
    pub manifest: Option<String>,
}

/// A page of what uses a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsesAnswer {
    /// Version of this form.
    pub version: u32,
    /// By repository and manifest.
    pub uses: Vec<DamagedUse>,
    /// Where to go on; `None` at the end.
    pub next: Option<UsePlace>,
}

/// Kinds of names of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameKind {
    /// Tags that point to it.
    Tags,
    /// Digests of indexes that list it.
    Indexes,
}

/// Asks for a page of the names of a manifest. Those of the indexes that list it are asked for by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesRequest {
    /// Repository.
    pub repository: String,
    /// Digest of the manifest.
    pub manifest: String,
    /// Which names.
    pub kind: NameKind,
    /// Where to go on, as an answer has said.
    pub after: Option<String>,
}

/// A page of names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesAnswer {
    /// Version of this form.
    pub version: u32,
    /// In order.
    pub names: Vec<String>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}
