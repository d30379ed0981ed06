//! What is set at a namespace: where its data rests, what is copied and how, and its policy. Frozen by golden files.

use serde::{Deserialize, Serialize};

use super::limit::{REPLICATION_PRIORITY, REPLICATION_PRIORITY_MAX, REPLICATION_TAGS_MAX};
use super::refusal::Refusal;
use crate::id::RegionId;
use crate::policy::{NamespacePolicy, Pattern};
use crate::time::Timestamp;

/// Where data of a namespace may rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Residency {
    /// In its home region, readable from elsewhere.
    Home,
    /// Only in its home region.
    Pinned,
    /// In its home region, with copies in these.
    Replicated(Vec<RegionId>),
}

/// What becomes of a client's request at a node of a region where the namespace does not rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Elsewhere {
    /// It is passed on to the home region, and the answer back.
    #[default]
    Proxy,
    /// Reads are sent to the home region's public URL; everything else is passed on.
    Redirect,
    /// It is refused.
    Refuse,
}

/// What is copied to the regions that have copies of a namespace, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replication {
    /// Tags that are copied, with all that they need. None: everything is, manifests without a tag too.
    pub tags: Vec<Pattern>,
    /// Whether what is deleted at home goes from the copies too.
    pub deletes: bool,
    /// Which namespace goes first where several wait: a higher one does.
    pub priority: u8,
}

impl Default for Replication {
    fn default() -> Self {
        Self { tags: Vec::new(), deletes: false, priority: REPLICATION_PRIORITY }
    }
}

impl Replication {
    /// Says why its values make no sense.
    pub fn check(&self) -> Result<(), Refusal> {
        let invalid = |problem: String| Err(Refusal::ReplicationInvalid(problem));
        if self.tags.len() > REPLICATION_TAGS_MAX {
            return invalid(format!(
                "names {} patterns of tags, {REPLICATION_TAGS_MAX} at most may be: join some with '*'",
                self.tags.len()
            ));
        }
        if self.priority > REPLICATION_PRIORITY_MAX {
            return invalid(format!(
                "has the priority {}: one from 0 to {REPLICATION_PRIORITY_MAX} is expected, a higher one goes first",
                self.priority
            ));
        }
        Ok(())
    }

    /// Whether everything is copied, not only some tags and what they need.
    #[must_use]
    pub fn copies_everything(&self) -> bool {
        self.tags.is_empty()
    }
}

/// A change of a home that is under way. It holds for longer prefixes too that inherit the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    /// Region that is to become the home. It is given a copy of everything.
    pub to: RegionId,
    /// Whether nobody writes any more, so that the copy gets what is still missing.
    pub fenced: bool,
}

/// A region that was the home when another one was made that without its consent. What it holds is kept as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// The region.
    pub region: RegionId,
    /// When it ceased to be the home.
    pub since: Timestamp,
}

/// A namespace with its policy. Key: prefix, empty for the root. Unset fields inherit from the next shorter prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRecord {
    /// Region whose catalog owns it.
    pub home: Option<RegionId>,
    /// Where its data may rest.
    pub residency: Option<Residency>,
    /// What becomes of requests in a region where it does not rest. Unset everywhere: they are passed on.
    pub elsewhere: Option<Elsewhere>,
    /// What is copied to the regions that have copies, and when. Unset everywhere: its default.
    pub replication: Option<Replication>,
    /// The change of its home that is under way.
    pub moving: Option<Moving>,
    /// Former homes that have not been settled yet, the oldest first. Inherited together with the home.
    pub aside: Vec<Aside>,
    /// What becomes of its content. The catalogs enforce it, each by its own copy.
    pub policy: NamespacePolicy,
}

/// How often namespaces, or the regions that they can name, have changed. One record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersionRecord {
    /// Grows with each change.
    pub version: u64,
}

crate::versioned! {
    NamespaceRecord = 1, "namespace record";
    PolicyVersionRecord = 1, "policy version record";
}
