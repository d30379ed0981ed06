//! Why the directory refuses a change of who may do what. Append-only; golden files freeze it.

use serde::{Deserialize, Serialize};

use super::binding::BindingId;
use super::subject::Subject;

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AccessRefusal {
    /// The text cannot name a user.
    #[error(
        "{0:?} is not a name of a user: 1 to 127 lower-case letters, digits, '.', '_', '-' and '@' are expected, the first \
         and the last a letter or a digit"
    )]
    UserNameInvalid(String),
    /// The text cannot name what is to be added.
    #[error(
        "{name:?} is not a name of a {kind}: 1 to 63 lower-case letters, digits, '.', '_' and '-' are expected, the first \
         and the last a letter or a digit"
    )]
    NameInvalid {
        /// "robot", "group", "role" or "issuer".
        kind: String,
        /// The text.
        name: String,
    },
    /// A text is too long, or holds what does not belong there.
    #[error("{what} {problem}")]
    TextInvalid {
        /// Which text.
        what: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Another one has the name.
    #[error("there is a user {0:?} already: change it with: regnode user set {0}")]
    UserExists(String),
    /// There is no such user.
    #[error("there is no user {0:?}: add it with: regnode user add {0}")]
    UserUnknown(String),
    /// As many as may be.
    #[error("there are {0} users already, the most that may be: remove some with: regnode user remove")]
    TooManyUsers(u64),
    /// Only argon2id hashes are kept.
    #[error(
        "what is to be the password of user {0:?} is not an argon2id hash in PHC form: update the program that sent it"
    )]
    PasswordInvalid(String),
    /// The user's password is not here.
    #[error("user {name:?} logs in at {from:?}: change the password there")]
    PasswordElsewhere {
        /// The user.
        name: String,
        /// Where he logs in.
        from: String,
    },
    /// Another person has the name.
    #[error(
        "user {name:?} logs in {}, not at {from:?}: remove it first with: regnode user remove {name}",
        present.as_ref().map_or_else(|| "here".to_owned(), |present| format!("at {present:?}"))
    )]
    OtherSource {
        /// The user.
        name: String,
        /// Where he logs in; none: here.
        present: Option<String>,
        /// Where he came from.
        from: String,
    },
    /// Nobody logs in there.
    #[error(
        "nobody logs in at {0:?}: \"htpasswd\", \"ldap\" or an issuer for people is expected, which is added with: regnode \
         issuer set {0}"
    )]
    SourceUnknown(String),
    /// Another one has the name.
    #[error("there is a robot {0:?} already: change it, or rotate its secret with: regnode robot rotate {0}")]
    RobotExists(String),
    /// There is no such robot.
    #[error("there is no robot {0:?}: add it with: regnode robot add {0}")]
    RobotUnknown(String),
    /// As many as may be.
    #[error("there are {0} robots already, the most that may be: remove some with: regnode robot remove")]
    TooManyRobots(u64),
    /// A rule about who else is a robot makes no sense.
    #[error("a rule of whom robot {robot:?} trusts {problem}")]
    TrustInvalid {
        /// The robot.
        robot: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Another one has the name.
    #[error("there is a group {0:?} already, with another description: remove it first with: regnode group remove {0}")]
    GroupExists(String),
    /// There is no such group.
    #[error("there is no group {0:?}: add it with: regnode group add {0}")]
    GroupUnknown(String),
    /// As many as may be.
    #[error("there are {0} groups already, the most that may be: remove some with: regnode group remove")]
    TooManyGroups(u64),
    /// In as many as may be.
    #[error("{member} would be in {groups} groups, {most} at most may be: leave some with: regnode group member")]
    TooManyGroupsOf {
        /// Who.
        member: Subject,
        /// In how many.
        groups: u64,
        /// The most that may be.
        most: u64,
    },
    /// A built-in role is what it is.
    #[error("the role {0:?} is built in: choose another name for your own")]
    RoleBuiltIn(String),
    /// There is no such role.
    #[error("there is no role {name:?}, there are {}: add one with: regnode role set {name}", known.join(", "))]
    RoleUnknown {
        /// What was asked for.
        name: String,
        /// The names of those that exist.
        known: Vec<String>,
    },
    /// As many as may be.
    #[error("there are {0} roles already, the most that may be: remove some with: regnode role remove")]
    TooManyRoles(u64),
    /// A role that a binding gives cannot go.
    #[error(
        "binding {binding} gives {subject} the role {role:?}: revoke it first with: regnode access revoke {binding}"
    )]
    RoleBound {
        /// The role.
        role: String,
        /// One such binding.
        binding: BindingId,
        /// Whom it is about.
        subject: Subject,
    },
    /// A set without an action does nothing.
    #[error("{0} names no action: name one or more of pull, push, tag, delete, policy, access, audit and operate")]
    NoActions(String),
    /// A newer program sent an action that this one does not know.
    #[error("{0} names an action that this program does not know: upgrade all nodes first")]
    ActionsUnknown(String),
    /// Groups, and those who are no accounts, have no secrets and no sessions.
    #[error("{0} has no secrets and no sessions: name a user (user:NAME) or a robot (robot:NAME)")]
    NoAccount(Subject),
    /// Another secret has the id.
    #[error("{0} has another secret with this id: make it anew")]
    SecretExists(Subject),
    /// As many as may be.
    #[error("{subject} has {most} secrets already, the most that may be: remove one that is not needed")]
    TooManySecrets {
        /// Who.
        subject: Subject,
        /// The most that may be.
        most: u64,
    },
    /// More at once than one command takes.
    #[error("{uses} uses of secrets are told at once, {most} at most may be: tell them in parts")]
    TooManyUses {
        /// How many.
        uses: u64,
        /// The most that may be.
        most: u64,
    },
    /// When a binding holds makes no sense.
    #[error("a condition of the binding {0}")]
    ConditionInvalid(String),
    /// There is no such binding.
    #[error("there is no binding {0}: regnode access list tells which there are")]
    BindingUnknown(BindingId),
    /// As many as may be.
    #[error("there are {0} bindings already, the most that may be: bind groups instead of users, or revoke some")]
    TooManyBindings(u64),
    /// The name means something else.
    #[error("{0:?} cannot be the name of an issuer, it means something else: choose another name")]
    IssuerReserved(String),
    /// A value of an issuer makes no sense.
    #[error("issuer {name:?} {problem}")]
    IssuerInvalid {
        /// Its name.
        name: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Two of one use would claim the same tokens.
    #[error(
        "issuer {other:?} has {issuer:?} for the same use already: change that one with: regnode issuer set {other}"
    )]
    IssuerTaken {
        /// What tokens have as `iss`.
        issuer: String,
        /// Name of the issuer that is known by it.
        other: String,
    },
    /// There is no such issuer.
    #[error("there is no issuer {0:?} for this use: add one with: regnode issuer set {0}")]
    IssuerUnknown(String),
    /// As many as may be.
    #[error("there are {0} issuers already, the most that may be: remove one with: regnode issuer remove")]
    TooManyIssuers(u64),
    /// An issuer that a robot trusts cannot go, nor be put to another use.
    #[error("robot {robot:?} trusts issuer {issuer:?}: change that first with: regnode robot trust {robot}")]
    IssuerTrusted {
        /// The issuer.
        issuer: String,
        /// One such robot.
        robot: String,
    },
    /// Another key has the id.
    #[error("there is another signing key with this id: make it anew with: regnode token-key rotate")]
    SigningKeyExists,
    /// Keys of that many bytes are not what was meant.
    #[error("the signing key {0}")]
    SigningKeyInvalid(String),
    /// Nobody could sign for a while.
    #[error(
        "the new key signs after {signs_after_seconds} seconds, and the others end after {others_retire_after_seconds}: let \
         them end when it signs, or later"
    )]
    SigningGap {
        /// When the new one begins.
        signs_after_seconds: u64,
        /// When the others end.
        others_retire_after_seconds: u64,
    },
    /// Nobody could sign without it.
    #[error("no other key would sign without signing key {0}: make one first with: regnode token-key rotate")]
    SigningKeyNeeded(String),
    /// As many as may be.
    #[error("there are {0} signing keys already, the most that may be: wait until one has ended, or remove one")]
    TooManySigningKeys(u64),
    /// Who is no account belongs to no group.
    #[error("{0} cannot belong to a group: users (user:NAME) and robots (robot:NAME) do")]
    NoMember(Subject),
    /// More at once than one command takes.
    #[error("{members} members of a group are changed at once, {most} at most may be: change them in parts")]
    TooManyRegrouped {
        /// How many.
        members: u64,
        /// The most that may be.
        most: u64,
    },
    /// It cannot be both.
    #[error("{0} is to come and to go: name it once")]
    RegroupedTwice(Subject),
    /// Another issuer in the place of one would speak of its users.
    #[error(
        "user {user:?} logs in at {issuer:?} as the {vouched}: another issuer would let its own people in as him; add it \
         under another name, or remove its users first with: regnode user remove"
    )]
    IssuerHasUsers {
        /// The issuer.
        issuer: String,
        /// One such user.
        user: String,
        /// By what he is known there.
        vouched: String,
    },
    /// Somebody else has changed who may do what meanwhile.
    #[error(
        "who may do what has changed meanwhile, from version {made_from} to {version}: nothing was done, try again"
    )]
    Changed {
        /// Version by which the change was judged.
        made_from: u64,
        /// Version of now.
        version: u64,
    },
}
