//! Why the directory refuses a command, in words for the operator who asked. Append-only; golden files freeze it.

use serde::{Deserialize, Serialize};
use storage::shard::DiskId;

use super::access::AccessRefusal;
use super::authority::AuthorityRefusal;
use super::certificate::CertificateRefusal;
use super::domain::DomainRefusal;
use crate::id::NodeId;
use crate::policy::PolicyError;

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The cluster exists already.
    #[error("the cluster is founded already")]
    AlreadyFounded,
    /// The token is unknown or its secret is wrong.
    #[error("the join token is not valid for this cluster")]
    TokenUnknown,
    /// The token is too old.
    #[error("the join token has expired: make another one with: regnode token")]
    TokenExpired,
    /// The token was used by another request.
    #[error("the join token was used by node {0} already: make another one with: regnode token")]
    TokenUsed(NodeId),
    /// There is no such region.
    #[error("there is no region {name:?}, there are {}: add one with: regnode region add", known.join(", "))]
    RegionUnknown {
        /// What was asked for: its name or its id.
        name: String,
        /// The names of those that exist.
        known: Vec<String>,
    },
    /// Another node has the name.
    #[error(
        "node {0} is called {1:?} already: choose another name with --name, or, if this machine takes its place, join \
         with --replace {0}"
    )]
    NameTaken(NodeId, String),
    /// There is no such node, or it was removed.
    #[error("there is no node {0}")]
    NodeUnknown(NodeId),
    /// A node does not understand the feature level.
    #[error("node {0} does not understand feature level {1}: upgrade it first")]
    FeatureLevelTooHigh(NodeId, u32),
    /// The feature level never sinks.
    #[error("the feature level is {0} and cannot sink")]
    FeatureLevelSinks(u32),
    /// The namespace's prefix is malformed.
    #[error("{0:?} is not a namespace: path components as in a repository name are expected")]
    NamespaceInvalid(String),
    /// There is no cluster yet.
    #[error("the cluster is not founded yet: regnode init founds it")]
    NotFounded,
    /// Another token has the id.
    #[error("a join token with this id exists already")]
    TokenExists,
    /// A node joins once, by a token.
    #[error("node {0} has joined already")]
    JoinedAlready(NodeId),
    /// Another node has the peer address.
    #[error(
        "node {0} is at {1} already: set another peer.advertise, or, if this machine takes its place, join with \
         --replace {0}"
    )]
    AddressTaken(NodeId, String),
    /// Another node takes its place already.
    #[error("node {0} is being replaced by node {1}: remove that one first with: regnode leave {1} --force")]
    BeingReplaced(NodeId, NodeId),
    /// A node can only be replaced by one of its region.
    #[error("node {0} is in another region: join that one to replace it")]
    OtherRegion(NodeId),
    /// There would be no active node left.
    #[error(
        "node {0} is the last active node of its region, the primary: join another one first, or, if there are other \
         regions, choose another primary with: regnode region primary"
    )]
    LastNode(NodeId),
    /// The node has no such disk, or it was removed.
    #[error("node {0} has no disk {1}")]
    DiskUnknown(NodeId, DiskId),
    /// A value of the policy makes no sense.
    #[error(transparent)]
    PolicyInvalid(PolicyError),
    /// Nothing is set at the prefix.
    #[error("nothing is set at the namespace {0:?}")]
    NamespaceUnknown(String),
    /// Somebody else has changed policies meanwhile.
    #[error(
        "namespaces or regions have changed meanwhile, from version {made_from} to {version}: look again, and repeat the \
         change"
    )]
    NamespacesChanged {
        /// Version that the change was made from.
        made_from: u64,
        /// Version of now.
        version: u64,
    },
    /// The root always exists.
    #[error("the root namespace cannot be removed: set what should be different there")]
    RootStays,
    /// There are as many namespaces as may be.
    #[error("there are {0} namespaces already, the most that may be: remove one that is not needed")]
    TooManyNamespaces(u64),
    /// Another region has the name.
    #[error("there is a region {0:?} already")]
    RegionExists(String),
    /// The region's name is malformed.
    #[error(
        "{0:?} is not a name of a region: 1 to 63 lower-case letters, digits and '-' are expected, '-' inside only"
    )]
    RegionInvalid(String),
    /// There are as many regions as may be.
    #[error("there are {0} regions already, the most that may be: retire one that is not needed")]
    TooManyRegions(u64),
    /// A region's public URL is malformed.
    #[error("{0:?} is not a public URL: one like https://eu.example.com is expected, without a path")]
    PublicUrlInvalid(String),
    /// A primary must be able to vote.
    #[error("region {0:?} has no active node: join one before it becomes the primary")]
    RegionEmpty(String),
    /// The catalog of a region is founded by one node, which has not run yet.
    #[error(
        "node {founder} founds region {region:?} and has not run yet: start it first, or, if it never will, remove it \
         with: regnode leave {founder}"
    )]
    RegionNotFounded {
        /// Name of the region.
        region: String,
        /// Its founder.
        founder: NodeId,
    },
    /// A region with a node cannot be retired.
    #[error("node {node} is in region {region:?}: remove it first with: regnode leave {node}")]
    RegionHasNode {
        /// Name of the region.
        region: String,
        /// One of its nodes.
        node: NodeId,
    },
    /// A region that a namespace names cannot be retired.
    #[error(
        "the namespace {at:?} names region {region:?}: choose another home or other copies first with: regnode \
         namespace set {at}, or settle what stands aside there with: regnode namespace aside {at} --settle {region}",
        at = written(namespace)
    )]
    RegionNamed {
        /// Name of the region.
        region: String,
        /// Prefix of one such namespace, empty for the root.
        namespace: String,
    },
    /// The primary cannot be retired.
    #[error("region {0:?} is the primary: choose another one first with: regnode region primary")]
    RegionIsPrimary(String),
    /// There would be no active node left in a region that a namespace names.
    #[error(
        "node {node} is the last active node of its region, which the namespace {at:?} names: join another one \
         first, or choose another home or other copies with: regnode namespace set {at}, or settle what stands aside \
         there with: regnode namespace aside {at} --settle",
        at = written(namespace)
    )]
    LastNodeOf {
        /// The node.
        node: NodeId,
        /// Prefix of one such namespace, empty for the root.
        namespace: String,
    },
    /// A list of copies names a region twice.
    #[error("region {0:?} is twice in the list of copies: name it once")]
    CopyTwice(String),
    /// A list of copies names the home.
    #[error("region {0:?} is the home of the namespace: leave it out of the list of copies")]
    CopyAtHome(String),
    /// The home is to change to what it is.
    #[error("region {0:?} is the home of the namespace already: there is nothing to move")]
    HomeAlready(String),
    /// A home changes only while nobody writes, which `moving` sees to.
    #[error(
        "the home of the namespace {at:?} would change from {from:?} to {to:?}: move it with: regnode namespace set {at} \
         --home {to}",
        at = written(prefix)
    )]
    HomeNotMoving {
        /// Prefix of the namespace, empty for the root.
        prefix: String,
        /// Name of its home.
        from: String,
        /// Name of the region that would be its home.
        to: String,
    },
    /// How a namespace is to be replicated makes no sense.
    #[error("replication {0}")]
    ReplicationInvalid(String),
    /// Nothing would ever arrive.
    #[error("an inbound limit of 0 bytes a second would let nothing arrive: name a greater one, or none")]
    InboundZero,
    /// What the region holds stands aside already.
    #[error(
        "what region {region:?} holds of the namespace {at:?} stands aside for review: settle it first with: regnode \
         namespace aside {at} --settle {region}",
        at = written(prefix)
    )]
    IsAside {
        /// Prefix of the namespace, empty for the root.
        prefix: String,
        /// Name of the region.
        region: String,
    },
    /// Nothing of the namespace stands aside in the region.
    #[error(
        "nothing stands aside at the namespace {at:?} in region {region:?}: regnode namespace aside {at} tells what does",
        at = written(prefix)
    )]
    NotAside {
        /// Prefix of the namespace, empty for the root.
        prefix: String,
        /// Name of the region.
        region: String,
    },
    /// As many regions stand aside as may.
    #[error(
        "{most} former homes of the namespace {at:?} stand aside already, the most that may: settle one first with: \
         regnode namespace aside {at} --settle",
        at = written(prefix)
    )]
    TooManyAside {
        /// Prefix of the namespace, empty for the root.
        prefix: String,
        /// The most that may.
        most: u64,
    },
    /// A change of who may do what is refused.
    #[error(transparent)]
    Access(AccessRefusal),
    /// A change of the registry's certificates is refused.
    #[error(transparent)]
    Certificate(CertificateRefusal),
    /// A step of a change of the certificate authority is refused.
    #[error(transparent)]
    Authority(AuthorityRefusal),
    /// A change of the domains is refused.
    #[error(transparent)]
    Domain(DomainRefusal),
}

impl From<AccessRefusal> for Refusal {
    fn from(refusal: AccessRefusal) -> Self {
        Self::Access(refusal)
    }
}

impl From<DomainRefusal> for Refusal {
    fn from(refusal: DomainRefusal) -> Self {
        Self::Domain(refusal)
    }
}

/// A prefix as operators write it.
fn written(prefix: &str) -> &str {
    if prefix.is_empty() { "/" } else { prefix }
}
