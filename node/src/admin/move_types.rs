//! What the local socket says and takes about homes that change: a move under way, another home by force, what a former
//! home has that the present one lacks. As JSON, with the names of regions.

use raft::catalog::{RepositoryName, Tag};
use serde::{Deserialize, Serialize};

/// A move of a namespace with its content that has not ended yet. Who repeats the request that began it drives it on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveProgress {
    /// Its home until the move ends.
    pub from: String,
    /// Its home then.
    pub to: String,
    /// What is being done.
    pub stage: MoveStage,
    /// Prefixes that are copied each for itself: the namespace, and those below it that say something about where data
    /// rests and have no home of their own.
    pub scopes: u64,
    /// Those of them of which everything has arrived.
    pub complete: u64,
    /// Changes at the old home that have not been looked at yet; none while that is not known.
    pub behind: Option<u64>,
    /// Tags and manifests that are known and have not arrived yet.
    pub debts: u64,
    /// Tags and manifests that have arrived since the copy was begun.
    pub arrived_items: u64,
    /// Bytes that came from the old home for them.
    pub arrived_bytes: u64,
    /// What keeps it, if something does.
    pub waits_for: Option<String>,
    /// Whether writes were let in again, since the rest took too long to arrive while nobody could write.
    pub lifted: bool,
}

/// What is being done about a move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveStage {
    /// The content is copied while clients push.
    #[default]
    Copying,
    /// Nobody writes, for some seconds: the rest arrives.
    Fenced,
}

/// Asks what would be lost if another region became the home without the present one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForceLookRequest {
    /// The namespace, empty for the root.
    pub prefix: String,
    /// Region that is to become its home.
    pub to: String,
    /// Where to go on, as an answer has said.
    pub after: Option<MissingCursor>,
}

/// Where a list of what is missing goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingCursor {
    /// Prefix that is copied for itself.
    pub prefix: String,
    /// The last number of it that was told; none before the first.
    pub number: Option<u64>,
}

/// What is known, and not there, at the region that is to become the home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForceLookAnswer {
    /// Version of this form.
    pub version: u32,
    /// The namespace.
    pub prefix: String,
    /// Its home.
    pub home: String,
    /// Region that is to become its home.
    pub to: String,
    /// Version of the policies that this is of; the request to force it names it.
    pub policy_version: u64,
    /// Whether a node of the home answers. Then the namespace is moved, and not forced.
    pub home_answers: bool,
    /// How far each prefix that is copied for itself has come, by prefix.
    pub copies: Vec<CopyStanding>,
    /// Pushes and deletions that the home has acknowledged, that the region knows of and has not carried out, in the order
    /// in which they are told by page.
    pub missing: Vec<MissingChange>,
    /// Where to go on; none at the end.
    pub next: Option<MissingCursor>,
}

/// How far the copy of a prefix has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyStanding {
    /// The prefix.
    pub prefix: String,
    /// Whether there is a copy at all.
    pub exists: bool,
    /// Whether everything is copied, not only some tags.
    pub everything: bool,
    /// Whether all that there was at its beginning has been compared. If not, there is more that is missing than is known.
    pub surveyed: bool,
    /// The home's time up to which all is here and verified, milliseconds since the Unix epoch.
    pub synced_milliseconds: Option<u64>,
    /// The home's time when it was last heard of: of what it has acknowledged since, nothing is known.
    pub heard_milliseconds: Option<u64>,
    /// Changes that are known and not here.
    pub debts: u64,
    /// Content of it that is here, in the order: tags, manifests.
    pub held: Counts,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
}

/// A change that was acknowledged at the home and has not arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingChange {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag; none if it is about a manifest.
    pub tag: Option<Tag>,
    /// The manifest, or the one that the tag points to; none if the tag was deleted.
    pub digest: Option<String>,
    /// Whether it is about a blob that no manifest uses, and the digest is its.
    #[serde(default)]
    pub blob: bool,
    /// Whether it was deleted.
    pub deleted: bool,
    /// When, by the home's clock, milliseconds since the Unix epoch.
    pub time_milliseconds: u64,
    /// Why it has not arrived, if it was tried.
    pub error: Option<String>,
}

/// Makes a region the home without the present one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForceRequest {
    /// The namespace, empty for the root.
    pub prefix: String,
    /// Region that is to become its home.
    pub to: String,
    /// Version of the policies that the answer was of which somebody has confirmed.
    pub policy_version: u64,
    /// Also if the region has no copy of everything.
    #[serde(default)]
    pub without_copy: bool,
    /// Also if the home answers.
    #[serde(default)]
    pub although_it_answers: bool,
}

/// Asks what a former home has that the present one lacks, or has otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsideRequest {
    /// The namespace, empty for the root.
    pub prefix: String,
    /// The former home, or a region with a copy, which may have what the present home lacks too; the first former home that
    /// answers, if none is named.
    pub region: Option<String>,
    /// Where to go on, as an answer has said.
    pub after: Option<HoldingCursor>,
}

/// What a former home has that the present one lacks, or has otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsideAnswer {
    /// Version of this form.
    pub version: u32,
    /// The namespace.
    pub prefix: String,
    /// Its home.
    pub home: String,
    /// Version of the policies that this is of; the request to settle names it.
    pub policy_version: u64,
    /// All former homes that are not settled.
    pub regions: Vec<AsideRegion>,
    /// The one that was compared; none if none of them answers, or there is none.
    pub compared: Option<String>,
    /// A page of what differs.
    pub differences: Vec<Difference>,
    /// Where to go on; none at the end.
    pub next: Option<HoldingCursor>,
}

/// A former home that is not settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsideRegion {
    /// The region.
    pub region: String,
    /// Since when, milliseconds since the Unix epoch.
    pub since_milliseconds: u64,
    /// Why it cannot be compared, if it was tried.
    pub problem: Option<String>,
}

/// Something that a former home has and the present one lacks, or has otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag; none of a manifest without one.
    pub tag: Option<Tag>,
    /// The manifest at the former home.
    pub digest: String,
    /// When it was pushed there, or the tag set, milliseconds since the Unix epoch.
    pub pushed_milliseconds: u64,
    /// What the tag points to at the present home, if it exists there.
    pub at_home: Option<String>,
    /// When it was set there, milliseconds since the Unix epoch.
    pub at_home_milliseconds: Option<u64>,
    /// Whether the present home has the manifest all the same, under another name or none.
    pub manifest_at_home: bool,
}

/// Gives up what a former home has: it is that no more, and what it holds goes from there, or is overwritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleRequest {
    /// The namespace, empty for the root.
    pub prefix: String,
    /// The former home.
    pub region: String,
    /// Version of the policies that the answer was of which somebody has confirmed.
    pub policy_version: u64,
    /// Also if the region does not answer, so that nobody has seen what it has.
    #[serde(default)]
    pub unseen: bool,
}

/// Asks a region how far its copy of a prefix has come, and for a page of what is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BehindRequest {
    /// Id of the region that it is copied from.
    pub source: u32,
    /// The prefix that is copied for itself.
    pub prefix: String,
    /// Prefixes below it that do not count.
    pub except: Vec<String>,
    /// The last number that was told.
    pub after: Option<u64>,
    /// Most changes of the page.
    pub limit: u64,
}

/// How far a region's copy of a prefix has come, and a page of what is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BehindAnswer {
    /// Version of this form.
    pub version: u32,
    /// How far it has come.
    pub standing: CopyStanding,
    /// What is missing.
    pub missing: Vec<MissingChange>,
    /// The last number of the page; none at the end.
    pub next: Option<u64>,
}

/// Asks a region what it holds of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldingsRequest {
    /// The namespace, empty for the root.
    pub prefix: String,
    /// Prefixes below it that do not count.
    pub except: Vec<String>,
    /// Version of the policies that its catalog is to have taken up before it looks.
    pub policy_version: u64,
    /// Where to go on.
    pub after: Option<HoldingCursor>,
}

/// Where a list of what a region holds goes on: tags come first, then manifests without one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldingCursor {
    /// Region whose list it is.
    pub region: String,
    /// The last repository that was looked at.
    pub repository: Option<RepositoryName>,
    /// The last tag of it.
    pub tag: Option<Tag>,
    /// Whether the tags have all been told.
    pub tags_told: bool,
    /// The last manifest of the repository.
    pub digest: Option<String>,
}

/// A page of what a region holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldingsAnswer {
    /// Version of this form.
    pub version: u32,
    /// Whether its catalog has taken the version up: nothing is added then.
    pub in_force: bool,
    /// The page.
    pub holdings: Vec<Holding>,
    /// Where to go on; none at the end.
    pub next: Option<HoldingCursor>,
}

/// A tag, or a manifest without one, that a region holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Option<Tag>,
    /// The manifest.
    pub digest: String,
    /// When it was pushed, or the tag set, milliseconds since the Unix epoch.
    pub pushed_milliseconds: u64,
}
