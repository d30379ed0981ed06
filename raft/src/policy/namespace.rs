//! What an operator sets at one prefix. Everything left out is inherited from the next shorter prefix that sets it.
//!
//! The field names are the same in TOML, JSON, the command line and the handbook. Reading such a text checks its form;
//! [`NamespacePolicy::check`](NamespacePolicy::check) says whether its values make sense.

use serde::{Deserialize, Serialize};

use super::limit::RETENTION_EVERY_SECONDS;
use super::pattern::Pattern;

/// The policy set at one prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespacePolicy {
    /// Whether clients may delete by the API. Unset everywhere: they may.
    pub deletes: Option<bool>,
    /// What becomes of manifests that nothing holds. Unset everywhere: they are kept.
    pub untagged: Option<Untagged>,
    /// Seconds that something is kept after the last moment at which a client could have learned that it exists.
    pub grace_seconds: Option<u64>,
    /// Seconds in which a deleted tag or manifest can be restored; 0 for none.
    pub restore_seconds: Option<u64>,
    /// Tags that can be neither moved nor deleted. An empty list ends what is inherited.
    pub immutable: Option<Vec<ImmutableRule>>,
    /// Which tags go by themselves. One without rules ends what is inherited.
    pub retention: Option<Retention>,
    /// Bounds of everything below this prefix. Not inherited: those of shorter prefixes hold as well.
    #[serde(default)]
    pub quota: Quota,
}

impl NamespacePolicy {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of manifests that no tag, index or subject holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Untagged {
    /// They stay until somebody deletes them.
    #[default]
    Keep,
    /// They go by themselves.
    Collect {
        /// This many seconds after the last hold was let go.
        after_seconds: u64,
    },
}

/// Tags that exist and stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImmutableRule {
    /// The tags.
    pub tags: Pattern,
    /// Principals who may move and delete them nevertheless.
    #[serde(default)]
    pub except: Vec<String>,
}

/// Which tags go by themselves: each that some rule speaks of, that no rule keeps and that nothing else protects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// The rules. A tag that none of them speaks of is kept.
    pub rules: Vec<RetentionRule>,
    /// Tags that are kept whatever the rules say.
    #[serde(default)]
    pub always_keep: Vec<Pattern>,
    /// Whether tags of signed manifests are kept whatever the rules say. Left out: they are.
    #[serde(default = "yes")]
    pub keep_signed: bool,
    /// Whether tags of manifests that an index lists are kept whatever the rules say. Left out: they are.
    #[serde(default = "yes")]
    pub keep_referenced: bool,
    /// Seconds between two runs.
    #[serde(default = "every")]
    pub every_seconds: u64,
}

/// One rule of retention. A tag is kept if it fulfils any of the conditions that are set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    /// Tags that the rule speaks of.
    pub tags: Pattern,
    /// Keeps this many of them in each repository: those that were pushed last.
    pub keep_last: Option<u32>,
    /// Keeps those that were pushed within this time.
    pub pushed_within_seconds: Option<u64>,
    /// Keeps those that were pulled, or pushed, within this time.
    pub pulled_within_seconds: Option<u64>,
}

/// Bounds of everything below a prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Bytes of blobs, each distinct blob once.
    pub bytes: Option<u64>,
    /// Tags.
    pub tags: Option<u64>,
    /// Repositories.
    pub repositories: Option<u64>,
    /// Manifests, once per repository.
    pub manifests: Option<u64>,
}

impl Quota {
    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The bound of a resource, if one is set.
    #[must_use]
    pub const fn limit(&self, resource: QuotaResource) -> Option<u64> {
        match resource {
            QuotaResource::Bytes => self.bytes,
            QuotaResource::Tags => self.tags,
            QuotaResource::Repositories => self.repositories,
            QuotaResource::Manifests => self.manifests,
        }
    }
}

/// What a quota bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaResource {
    /// Bytes of blobs, each distinct blob once per namespace.
    Bytes,
    /// Tags.
    Tags,
    /// Repositories.
    Repositories,
    /// Manifests, once per repository.
    Manifests,
}

impl QuotaResource {
    /// All of them, in the order in which they are checked.
    pub const ALL: [Self; 4] = [Self::Repositories, Self::Manifests, Self::Tags, Self::Bytes];

    /// Its name, as in the policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Tags => "tags",
            Self::Repositories => "repositories",
            Self::Manifests => "manifests",
        }
    }
}

const fn yes() -> bool {
    true
}

const fn every() -> u64 {
    RETENTION_EVERY_SECONDS
}
