//! The directory's commands and their responses. Append-only enums; golden files freeze the encodings.

use serde::{Deserialize, Serialize};
use storage::kv::Bytes;
use storage::shard::DiskId;

use super::access::{
    Actions, AuditHead, BindingId, Condition, Effect, FirstAccess, IssuerRecord, JudgedChange, NewSigningKey, Subject,
    TrustRule,
};
use super::audit::ResidencyAudit;
use super::authority::AuthorityCommand;
use super::certificate::CertificateCommand;
use super::namespace::NamespaceRecord;
use super::record::{DiskState, NodeInfo, NodeState};
use super::refusal::Refusal;
use crate::id::{NodeId, RegionId};
use crate::time::Timestamp;

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
        /// Who may do what from the beginning.
        access: FirstAccess,
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
    /// Sets a namespace as a whole. Of the root, a home and a residency that are left out keep their value. What stands
    /// aside is kept whatever the record says. A home changes only to what it moves to, once that is fenced.
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
        /// Bytes a second that replication may bring over each link into it; none, if there is no limit.
        inbound_bytes_per_second: Option<u64>,
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
    /// Gives a namespace another home though its present one cannot be asked. What that one holds stands aside from then
    /// on: nobody writes there and nothing of it goes until an operator has settled it.
    ForceHome {
        /// Its prefix, empty for the root.
        prefix: String,
        /// Its new home, which leaves the list of copies.
        to: RegionId,
        /// Version of the policies that it was made from.
        made_from: u64,
    },
    /// Ends that what a former home holds stands aside: it becomes what the region is otherwise, a copy or foreign.
    SettleAside {
        /// Prefix at which the home was forced, empty for the root.
        prefix: String,
        /// The former home.
        region: RegionId,
        /// Version of the policies that it was made from.
        made_from: u64,
    },
    /// Keeps what an audit of residency has found; the oldest go.
    RecordResidency {
        /// What it has found.
        audit: ResidencyAudit,
    },
    /// First command after a takeover: the region that goes on is the primary, and nothing that the lost majority may have
    /// given out (ids of nodes, regions and bindings, versions of the policies and of who may do what) is given out a
    /// second time. What it may have agreed on of homes and copies is not known, so nothing is taken away from any region
    /// until `ReleaseEvictions`.
    BeginAnew {
        /// The region that goes on.
        primary: RegionId,
    },
    /// What rests in a region that is foreign to it is taken away again: somebody has looked at what the regions that
    /// returned after a takeover hold.
    ReleaseEvictions,
    /// Adds a user. A repetition with the same content changes nothing.
    AddUser {
        /// His name.
        name: String,
        /// What people call him.
        display: String,
        /// His password as an argon2id hash in PHC form; none, if he has none here.
        password: Option<String>,
        /// Where he logs in, if not here: one of `OUTSIDE_SOURCES` or the name of an issuer for people.
        source: Option<String>,
        /// Groups that he is in. All must exist.
        groups: Vec<String>,
    },
    /// A user has logged in elsewhere: he is added, or what is said of him there is taken over. Groups that do not exist
    /// here are passed over. Refused if the present user of the name logs in somewhere else.
    ProvisionUser {
        /// His name.
        name: String,
        /// Where he has logged in.
        source: String,
        /// What people call him.
        display: String,
        /// Groups that he is in.
        groups: Vec<String>,
    },
    /// Changes what is named of a user. Another password, or to be disabled or enabled, ends his sessions.
    SetUser {
        /// His name.
        name: String,
        /// What people call him.
        display: Option<String>,
        /// His password as an argon2id hash in PHC form. Refused if he logs in elsewhere.
        password: Option<String>,
        /// Whether he may not log in.
        disabled: Option<bool>,
        /// Groups that he is in. All must exist.
        groups: Option<Vec<String>>,
    },
    /// Removes a user and his bindings. Done also if there is none.
    RemoveUser {
        /// His name.
        name: String,
    },
    /// Adds a group. A repetition with the same description changes nothing.
    AddGroup {
        /// Its name.
        name: String,
        /// What it is for.
        description: String,
    },
    /// Removes a group: from its members, from the issuers that name it, and its bindings. Done also if there is none.
    RemoveGroup {
        /// Its name.
        name: String,
    },
    /// Adds a role or changes it. Refused for a built-in one.
    SetRole {
        /// Its name.
        name: String,
        /// What it is for.
        description: String,
        /// What it allows.
        actions: Actions,
    },
    /// Removes a role. Refused for a built-in one and while a binding gives it. Done also if there is none.
    RemoveRole {
        /// Its name.
        name: String,
    },
    /// Adds a robot. A repetition with the same content changes nothing.
    AddRobot {
        /// Its name.
        name: String,
        /// What it is for.
        description: String,
        /// Groups that it is in. All must exist.
        groups: Vec<String>,
        /// Seconds until it may no longer log in; none: until it is removed.
        lifetime_seconds: Option<u64>,
    },
    /// Changes what is named of a robot. To be disabled or enabled ends its sessions.
    SetRobot {
        /// Its name.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// Groups that it is in. All must exist.
        groups: Option<Vec<String>>,
        /// Whether it may not log in.
        disabled: Option<bool>,
    },
    /// Removes a robot and its bindings. Done also if there is none.
    RemoveRobot {
        /// Its name.
        name: String,
    },
    /// Adds a secret to a user or a robot; those that have ended go. A repetition changes nothing.
    AddSecret {
        /// Whose.
        subject: Subject,
        /// Its random id.
        id: [u8; 8],
        /// BLAKE3 of its 32 random bytes.
        hash: [u8; 32],
        /// What it is for.
        name: String,
        /// Seconds until it ends; none: when it is removed.
        lifetime_seconds: Option<u64>,
        /// Seconds after which the subject's other secrets end at the latest, for a rotation; none: they stay as they are.
        others_end_after_seconds: Option<u64>,
    },
    /// Removes a secret and ends the sessions of its subject, which may come from it. Done also if there is none.
    RemoveSecret {
        /// Whose.
        subject: Subject,
        /// Its id.
        id: [u8; 8],
    },
    /// Says when secrets were last used. Only ever moves that on; secrets that are not there are passed over.
    NoteSecretUses {
        /// Whose, its id, and when.
        uses: Vec<(Subject, [u8; 8], Timestamp)>,
    },
    /// Ends the sessions of a user or a robot: tokens that it was given until now do not count.
    EndSessions {
        /// Whose.
        subject: Subject,
    },
    /// Binds a subject to a role, or denies it actions, at a namespace and below. Answered with [`Response::Bound`]; a
    /// repetition of the request gets the same answer.
    AddBinding {
        /// Whom it is about. A user, robot or group must exist.
        subject: Subject,
        /// What it does.
        effect: Effect,
        /// Prefix that it holds for, empty for the root.
        namespace: String,
        /// When it holds.
        condition: Condition,
        /// What it is for.
        note: String,
        /// Who makes it, as he stands in the audit log.
        by: String,
    },
    /// Removes a binding. Done also if it was removed before.
    RemoveBinding {
        /// Its id.
        id: BindingId,
    },
    /// Adds an issuer or sets it as a whole. When it was added stays.
    SetIssuer {
        /// Its name.
        name: String,
        /// What is to be known of it.
        record: IssuerRecord,
    },
    /// Removes an issuer. Refused while a robot trusts it. Done also if there is none.
    RemoveIssuer {
        /// Its name.
        name: String,
    },
    /// Adds a key that the cluster's tokens are signed with; those that have ended go. Refused if nobody would sign for a
    /// while. A repetition changes nothing.
    AddSigningKey {
        /// The key.
        key: NewSigningKey,
        /// Seconds until it signs: by then every node must know it.
        signs_after_seconds: u64,
        /// Seconds after which the other keys end at the latest.
        others_retire_after_seconds: u64,
    },
    /// Removes a signing key at once. Refused if nobody would sign without it. Done also if there is none.
    RemoveSigningKey {
        /// Its id.
        id: [u8; 8],
    },
    /// Says how far a node's audit log has come. Only ever moves on.
    NoteAuditHead {
        /// The node.
        node: NodeId,
        /// Its newest record.
        head: AuditHead,
    },
    /// Changes something of the registry's certificates.
    Certificate(CertificateCommand),
    /// Lets users and robots belong to a group, or no more, all of them or none. Who belongs to it already, or does not,
    /// stays so: a repetition changes nothing.
    Regroup {
        /// The group. It must exist.
        group: String,
        /// Who is to belong to it. All must exist.
        add: Vec<Subject>,
        /// Who is not to belong to it any more. All must exist.
        remove: Vec<Subject>,
    },
    /// Lets whom a rule describes be a robot, besides those who are it already. A repetition changes nothing.
    Trust {
        /// The robot.
        robot: String,
        /// Who is it, too.
        rule: TrustRule,
    },
    /// Takes all rules of an issuer from a robot, and ends its sessions if there was one. Done also if there is none.
    Distrust {
        /// The robot.
        robot: String,
        /// The issuer, or [`BY_CERTIFICATE`](super::access::BY_CERTIFICATE).
        issuer: String,
    },
    /// Changes the cluster's certificate authority by one step.
    Authority(AuthorityCommand),
    /// Lets a domain stand for a namespace: whoever asks for the registry by it means what is below that. Refused if it
    /// stands for another one; a repetition changes nothing.
    SetDomain {
        /// The domain.
        domain: String,
        /// Prefix of the namespace, empty for the whole registry.
        namespace: String,
    },
    /// Forgets a domain: it is a name like any other then. Done also if there is none.
    RemoveDomain {
        /// The domain.
        domain: String,
    },
    /// Changes a role or a rule as somebody may who was judged by a version of who may do what. If that has changed since,
    /// it is refused, so that two changes at once together give no more than each might. What is as it is asked for
    /// already is done, whatever the version.
    Judged {
        /// The version.
        made_from: u64,
        /// What is changed.
        change: JudgedChange,
    },
}

impl From<JudgedChange> for Command {
    /// The same change by somebody who may it whatever the rules say.
    fn from(change: JudgedChange) -> Self {
        match change {
            JudgedChange::SetRole { name, description, actions } => Self::SetRole { name, description, actions },
            JudgedChange::RemoveRole { name } => Self::RemoveRole { name },
            JudgedChange::AddBinding { subject, effect, namespace, condition, note, by } => {
                Self::AddBinding { subject, effect, namespace, condition, note, by }
            }
            JudgedChange::RemoveBinding { id } => Self::RemoveBinding { id },
        }
    }
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
    /// The binding holds.
    Bound {
        /// Its id.
        id: BindingId,
    },
}

crate::versioned! {
    Command = 1, "directory command";
    Response = 1, "directory response";
}
