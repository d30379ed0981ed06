//! What a run asks nodes and regions, and what they answer: JSON over the paths of `admin`. Every answer is bounded and
//! says where the next one begins.

use serde::{Deserialize, Serialize};

use super::judge::Standing;

/// Most single things in one answer: with the longest paths some hundred kilobytes.
pub(super) const ITEMS_MAX: usize = 1000;
/// Most namespaces in one answer.
pub(super) const NAMESPACES_MAX: usize = 2000;

/// A question with its path and the type of its answer.
pub(crate) trait Question: Serialize {
    /// Its path.
    const PATH: &'static str;
    /// What is answered.
    type Answer: for<'a> Deserialize<'a>;
}

/// The next files of a node's disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InventoryQuestion {
    /// Places that are at least as new as this are judged by.
    pub(crate) policy_version: u64,
    /// Only what is below this prefix counts.
    pub(crate) namespace: Option<String>,
    /// Where to go on.
    pub(crate) after: Option<InventoryCursor>,
}

/// A place in a node's disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InventoryCursor {
    /// The disk, hexadecimal. Disks are gone through by id.
    pub(crate) disk: String,
    /// Part of the disk.
    pub(crate) part: u16,
    /// Path of the last file of the part that was looked at; none at its beginning.
    pub(crate) path: Option<String>,
}

/// Files and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Files.
    pub files: u64,
    /// Bytes of the files as they lie there.
    pub bytes: u64,
}

impl Tally {
    /// One more file.
    pub(super) fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    /// As many more.
    pub(super) fn add_all(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// What came to light of a part of a node's disks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InventoryAnswer {
    /// All disks of the node; in its first answer only.
    pub(crate) disks: Vec<LookedDisk>,
    /// All shard files.
    pub(crate) shards: Tally,
    /// Those of pinned namespaces.
    pub(crate) pinned: Tally,
    /// Those of uploads.
    pub(crate) uploads: Tally,
    /// Those of blobs that no repository links any more.
    pub(crate) unlinked: Tally,
    /// Files that are no shards. What is in them is not known.
    pub(crate) others: Tally,
    /// Some of those.
    pub(crate) other_paths: Vec<LocatedPath>,
    /// What rests here rightly, by namespace. A file that several share counts for each.
    pub(crate) holdings: Vec<NamespaceFiles>,
    /// Files of those whose data may not rest here.
    pub(crate) foreign: Vec<ForeignFile>,
    /// Files of objects that the region does not know.
    pub(crate) strays: Vec<StrayFile>,
    /// Directories of groups that are none of this node's.
    pub(crate) foreign_groups: Vec<String>,
    /// What could not be looked at.
    pub(crate) errors: Vec<String>,
    /// Where to go on; none at the end.
    pub(crate) next: Option<InventoryCursor>,
}

/// A disk of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LookedDisk {
    /// Its id, hexadecimal.
    pub(crate) id: String,
    /// Its directory.
    pub(crate) path: String,
    /// Why it is not looked at.
    pub(crate) error: Option<String>,
}

/// A path on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LocatedPath {
    /// The disk.
    pub(crate) disk: String,
    /// The whole path.
    pub(crate) path: String,
}

/// Files of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamespaceFiles {
    /// Its prefix.
    pub(crate) namespace: String,
    /// What the region is for it.
    pub(crate) standing: Standing,
    /// Its files.
    pub(crate) files: Tally,
}

/// A file that may not be where it is, and that the region knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForeignFile {
    /// Where it is.
    pub(crate) at: LocatedPath,
    /// Its length.
    pub(crate) bytes: u64,
    /// Its object.
    pub(crate) object: String,
    /// The namespace that it belongs to; the first pinned one of several.
    pub(crate) namespace: String,
    /// Whether that is pinned.
    pub(crate) pinned: bool,
    /// For how long it was seen that it has to go.
    pub(crate) leaving_seconds: u64,
}

/// A file whose object the region does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StrayFile {
    /// Where it is.
    pub(crate) at: LocatedPath,
    /// Its length.
    pub(crate) bytes: u64,
    /// Its object, by its header, or by its name if that cannot be read.
    pub(crate) object: String,
}

impl Question for InventoryQuestion {
    const PATH: &'static str = "/residency/inventory";
    type Answer = InventoryAnswer;
}

/// What a region's catalog holds, page by page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HoldingsQuestion {
    /// Places that are at least as new as this are judged by.
    pub(crate) policy_version: u64,
    /// Only what is below this prefix counts.
    pub(crate) namespace: Option<String>,
    /// Where to go on.
    pub(crate) after: Option<HoldingsCursor>,
}

/// A place in a catalog: names of repositories or ids of sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HoldingsCursor {
    /// The last repository.
    Repository(Option<String>),
    /// The last repository of those that have to go, also such that have no content any more.
    Leaving(Option<String>),
    /// The last upload session, hexadecimal.
    Upload(Option<String>),
}

/// What came to light of a part of a catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HoldingsAnswer {
    /// What rests here rightly, by namespace.
    pub(crate) holdings: Vec<NamespaceHolding>,
    /// Repositories, and uploads of such, that may not be here.
    pub(crate) foreign: Vec<ForeignRepository>,
    /// Members of the group that are nodes of another region, or of none.
    pub(crate) strangers: Vec<String>,
    /// Where to go on; none at the end.
    pub(crate) next: Option<HoldingsCursor>,
}

/// What a catalog holds of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamespaceHolding {
    /// Its prefix.
    pub(crate) namespace: String,
    /// What the region is for it.
    pub(crate) standing: Standing,
    /// Repositories with content.
    pub(crate) repositories: u64,
    /// Their manifests.
    pub(crate) manifests: u64,
    /// Their tags.
    pub(crate) tags: u64,
    /// Open uploads.
    pub(crate) uploads: u64,
}

/// A repository that may not be in a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForeignRepository {
    /// Its name.
    pub(crate) repository: String,
    /// The namespace that it belongs to.
    pub(crate) namespace: String,
    /// Whether that is pinned.
    pub(crate) pinned: bool,
    /// What there is of it, in words.
    pub(crate) what: String,
    /// For how long it was seen that it has to go.
    pub(crate) leaving_seconds: u64,
}

impl Question for HoldingsQuestion {
    const PATH: &'static str = "/residency/holdings";
    type Answer = HoldingsAnswer;
}

/// Whether a region knows objects that were found in another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TraceQuestion {
    /// Places that are at least as new as this are judged by.
    pub(crate) policy_version: u64,
    /// Only what is below this prefix counts.
    pub(crate) namespace: Option<String>,
    /// Region in which they were found.
    pub(crate) found_in: u32,
    /// The objects, hexadecimal; at most as many as are in an inventory's answer.
    pub(crate) objects: Vec<String>,
}

/// The objects that the region knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TraceAnswer {
    /// Each of them.
    pub(crate) known: Vec<TracedObject>,
}

/// An object of another region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TracedObject {
    /// Its id.
    pub(crate) object: String,
    /// Whose it is; none if nothing says so. Of several the one that allows most.
    pub(crate) owner: Option<TracedOwner>,
    /// Whether it is of what was asked for.
    pub(crate) asked: bool,
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TracedOwner {
    /// Prefix of the namespace.
    pub(crate) namespace: String,
    /// What the region in which it was found is for it.
    pub(crate) standing: Standing,
    /// Whether it is pinned.
    pub(crate) pinned: bool,
}

impl Question for TraceQuestion {
    const PATH: &'static str = "/residency/trace";
    type Answer = TraceAnswer;
}
