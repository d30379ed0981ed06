//! What the local socket says and takes about namespaces, as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use raft::catalog::{RepositoryName, Tag, UsageRecord};
use raft::policy::NamespacePolicy;
use serde::{Deserialize, Serialize};

use super::move_types::MoveProgress;
use super::place_types::{OwnPlace, PlaceAnswer};
use crate::deletion::{Bound, Verdict};

/// Asks for a page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    /// Where to go on, as an answer has said.
    pub after: Option<String>,
}

/// A page of the namespaces that say something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamespacesAnswer {
    /// Version of this form.
    pub version: u32,
    /// Namespaces by prefix, the root first.
    pub namespaces: Vec<NamespaceEntry>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
    /// Whether the directory's quorum confirms this. Otherwise it is what this node knows.
    pub confirmed: bool,
    /// Moment that it is of, milliseconds since the Unix epoch.
    pub as_of_milliseconds: u64,
}

/// What one namespace says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamespaceEntry {
    /// Its prefix, empty for the root.
    pub prefix: String,
    /// What was set, nothing inherited.
    pub policy: NamespacePolicy,
    /// What was set about where it rests.
    pub place: OwnPlace,
}

/// Names a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRequest {
    /// Its prefix, empty for the root.
    pub prefix: String,
}

/// Changes some fields of a namespace's policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetNamespaceRequest {
    /// Its prefix, empty for the root.
    pub prefix: String,
    /// Fields to set. Those that are left out stay as they are, each quota for itself.
    pub set: NamespacePolicy,
    /// The same of where it rests.
    #[serde(default)]
    pub place: OwnPlace,
    /// Fields to inherit again.
    pub unset: Vec<PolicyField>,
}

/// A field of a namespace's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyField {
    /// Whether clients may delete.
    Deletes,
    /// What becomes of manifests without a tag.
    Untagged,
    /// How long garbage stays.
    Grace,
    /// How long what was deleted can be restored.
    Restore,
    /// Tags that stay what they are.
    Immutable,
    /// Which tags are kept.
    Retention,
    /// Most bytes.
    QuotaBytes,
    /// Most tags.
    QuotaTags,
    /// Most repositories.
    QuotaRepositories,
    /// Most manifests.
    QuotaManifests,
    /// Home region.
    Home,
    /// Where data may rest.
    Residency,
    /// What becomes of requests elsewhere.
    Elsewhere,
    /// How it is copied to other regions.
    Replication,
}

impl PolicyField {
    /// All of them with their names.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::Deletes, "deletes"),
        (Self::Untagged, "untagged"),
        (Self::Grace, "grace"),
        (Self::Restore, "restore"),
        (Self::Immutable, "immutable"),
        (Self::Retention, "retention"),
        (Self::QuotaBytes, "quota-bytes"),
        (Self::QuotaTags, "quota-tags"),
        (Self::QuotaRepositories, "quota-repositories"),
        (Self::QuotaManifests, "quota-manifests"),
        (Self::Home, "home"),
        (Self::Residency, "residency"),
        (Self::Elsewhere, "elsewhere"),
        (Self::Replication, "replication"),
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// A name that no field of a policy has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField(String);

impl fmt::Display for UnknownField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = PolicyField::ALL.map(|(_, name)| name).join(", ");
        write!(formatter, "a policy has no field {:?}, only {names}", self.0)
    }
}

impl std::error::Error for UnknownField {}

impl FromStr for PolicyField {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(field, _)| *field).ok_or_else(|| UnknownField(text.to_owned()))
    }
}

/// A policy was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChangedAnswer {
    /// Version of this form.
    pub version: u32,
    /// The namespace's prefix.
    pub prefix: String,
    /// Version of all policies, which grows with each change; 0 while the home moves.
    pub policy_version: u64,
    /// Whether it is in force; otherwise it will be as soon as the region's catalog has taken it up.
    pub in_force: bool,
    /// The home's move, if it has not ended: the same request again drives it on, and does the rest once it has.
    #[serde(default)]
    pub moving: Option<MoveProgress>,
}

/// A namespace: what it says, what holds for it, what it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamespaceAnswer {
    /// Version of this form.
    pub version: u32,
    /// Its prefix.
    pub prefix: String,
    /// What was set there; none if nothing was.
    pub own: Option<NamespacePolicy>,
    /// The same of where it rests.
    pub own_place: OwnPlace,
    /// Where it rests.
    pub place: PlaceAnswer,
    /// What holds, inherited fields and defaults filled in; quotas aside.
    pub effective: NamespacePolicy,
    /// Namespace that decides each field, by the field's name; none for a default.
    pub sources: BTreeMap<String, Option<String>>,
    /// Quotas that apply, the widest first, and how much of each is used.
    pub bounds: Vec<Bound>,
    /// What it holds; none if its home is another region, which does not answer.
    pub usage: Option<UsageRecord>,
    /// Version of all policies.
    pub policy_version: u64,
    /// Whether the region's catalog has taken that version up.
    pub in_force: bool,
    /// Whether the directory's quorum confirms what was set. Otherwise it is what this node knows.
    pub confirmed: bool,
    /// Moment that it is of, milliseconds since the Unix epoch.
    pub as_of_milliseconds: u64,
}

/// Asks what decides for a repository or one of its tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainRequest {
    /// The repository.
    pub repository: RepositoryName,
    /// One of its tags.
    pub tag: Option<Tag>,
}

/// What decides for a repository or one of its tags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplainAnswer {
    /// Version of this form.
    pub version: u32,
    /// The repository.
    pub repository: RepositoryName,
    /// Where it rests.
    pub place: PlaceAnswer,
    /// What holds for it, inherited fields and defaults filled in; quotas aside.
    pub effective: NamespacePolicy,
    /// Namespace that decides each field, by the field's name; none for a default.
    pub sources: BTreeMap<String, Option<String>>,
    /// Quotas that apply, the widest first, and how much of each is used.
    pub bounds: Vec<Bound>,
    /// The tag, if one was named.
    pub tag: Option<ExplainedTag>,
    /// Version of all policies.
    pub policy_version: u64,
    /// Whether the region's catalog has taken that version up.
    pub in_force: bool,
    /// Whether the directory's quorum confirms what was set. Otherwise it is what this node knows.
    pub confirmed: bool,
    /// Moment that it is of, milliseconds since the Unix epoch.
    pub as_of_milliseconds: u64,
}

/// What decides for a tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplainedTag {
    /// The tag.
    pub tag: Tag,
    /// What it points to; none if it does not exist.
    pub digest: Option<String>,
    /// Pattern by which it is immutable.
    pub immutable: Option<String>,
    /// Whether clients may move it. A tag that does not exist may be set.
    pub movable: bool,
    /// Whether clients may delete it.
    pub deletable: bool,
    /// What the retention rules say; none if there are none, or the tag does not exist.
    pub retention: Option<Verdict>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_one_name_in_json_and_text() {
        for (field, name) in PolicyField::ALL {
            assert_eq!((name.parse(), field.name()), (Ok(field), name));
            assert_eq!(serde_json::to_value(field).unwrap(), name);
        }
        let error = "quota".parse::<PolicyField>().unwrap_err().to_string();
        assert!(error.contains("\"quota\"") && error.contains("quota-bytes"), "{error}");
    }
}
