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
    /// of the request gets the same answer. A peer address has one node, unless that is the one to be replaced.
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
    #[error("there is no region {0:?}")]
    RegionUnknown(String),
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
    #[error("node {0} is the last active node of its region: join another one first")]
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
        "the policies of namespaces have changed meanwhile, from version {made_from} to {version}: look again, and repeat the change"
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
}

crate::versioned! {
    Command = 1, "directory command";
    Response = 1, "directory response";
}
