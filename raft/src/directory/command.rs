//! The directory's commands and their responses. Append-only enums; golden files freeze the encodings.

use serde::{Deserialize, Serialize};
use storage::kv::Bytes;
use storage::shard::DiskId;

use super::record::{DiskState, NamespaceRecord, NodeInfo, NodeState};
use crate::id::{NodeId, RegionId};
use crate::policy::PolicyError;

/// A change to the cluster's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Moves the directory's clock on and does nothing else.
    Tick,
    /// Founds the cluster with its first region (id 1), node (id 1) and root namespace. Refused when it exists, unless
    /// this repeats the request that founded it. Answered with [`Response::Admitted`].
    Found {
        /// Random id of the cluster.
        cluster: [u8; 16],
        /// Certificate of the CA, DER.
        ca_certificate: Bytes,
        /// Wrapped private key of the CA.
        wrapped_ca_key: Bytes,
        /// Feature level to begin with.
        feature_level: u32,
        /// Name of the first region.
        region: String,
        /// The first node.
        node: NodeInfo,
    },
    /// Adds a one-time join token.
    AddJoinToken {
        /// Random id of the token.
        token: [u8; 8],
        /// BLAKE3 of its secret.
        secret_hash: [u8; 32],
        /// Seconds until it expires.
        lifetime_seconds: u64,
    },
    /// Admits a node by a token, which is used up: the node is joining until it says something of itself. A repetition
    /// of the request gets the same answer. A peer address has one node, unless that is the one to be replaced. The
    /// first node of a region founds its catalog; until it has said that it runs, no other one is admitted there.
    AdmitNode {
        /// Id of the token.
        token: [u8; 8],
        /// BLAKE3 of the secret that the node showed.
        secret_hash: [u8; 32],
        /// Name of the region to join. It must exist.
        region: String,
        /// The node.
        node: NodeInfo,
        /// Node whose place it takes: that one is emptied as soon as the new one runs.
        replaces: Option<NodeId>,
    },
    /// A node says what has changed about itself. The first time, this makes it a full member.
    UpdateNode {
        /// The node.
        node: NodeId,
        /// What it says.
        info: NodeInfo,
    },
    /// Changes what a node may do. A removed node stays removed, and none joins a second time.
    SetNodeState {
        /// The node.
        node: NodeId,
        /// The new state.
        state: NodeState,
    },
    /// Raises the feature level. Refused while a node does not understand it.
    RaiseFeatureLevel {
        /// The new level.
        level: u32,
    },
    /// Sets a namespace as a whole. Of the root, a home and a residency that are left out keep their value.
    SetNamespace {
        /// Its prefix, empty for the root.
        prefix: String,
        /// The policy.
        record: NamespaceRecord,
        /// Version of the policies that it was made from. If they have changed since, it is refused, so that of two
        /// operators neither undoes what the other one has done.
        made_from: u64,
    },
    /// Begins to empty a node. A repetition keeps how it began; it may only add that the node is to leave.
    DrainNode {
        /// The node.
        node: NodeId,
        /// Shards that it holds now.
        shards: u64,
        /// Bytes that they have.
        bytes: u64,
        /// Whether the node is to be removed once it holds nothing.
        leave: bool,
    },
    /// Says what is wanted of a disk. A removed disk stays removed.
    SetDiskState {
        /// Its node.
        node: NodeId,
        /// The disk.
        disk: DiskId,
        /// The new state.
        state: DiskState,
    },
    /// Forgets what is set at a prefix: the next shorter one holds. The root stays.
    RemoveNamespace {
        /// The prefix.
        prefix: String,
    },
    /// Adds a region, as yet without a node: the first one that is admitted to it founds its catalog.
    AddRegion {
        /// Its name: lower-case letters, digits and '-'.
        name: String,
    },
    /// Changes what is said of a region.
    SetRegion {
        /// The region.
        region: RegionId,
        /// URL at which clients reach it, without a path; none, if they are not sent there.
        public_url: Option<String>,
    },
    /// Lets another region keep the directory's majority where there are two of them. It must have an active node.
    SetPrimary {
        /// The region.
        region: RegionId,
    },
    /// Forgets a region that has no nodes and that no namespace names. Its name is free, its id is never used again.
    RetireRegion {
        /// The region.
        region: RegionId,
    },
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// Done.
    Done,
    /// The node is a member.
    Admitted {
        /// Its id.
        node: NodeId,
        /// Its region.
        region: RegionId,
        /// Whether it founds the region's catalog.
        founds: bool,
    },
    /// Refused; nothing was done.
    Refused(Refusal),
}

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
         namespace set {at}",
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
         first, or choose another home or other copies with: regnode namespace set {at}",
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
}

/// A prefix as operators write it.
fn written(prefix: &str) -> &str {
    if prefix.is_empty() { "/" } else { prefix }
}

crate::versioned! {
    Command = 1, "directory command";
    Response = 1, "directory response";
}
