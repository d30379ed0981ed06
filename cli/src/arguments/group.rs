//! The command line of groups and roles: who belongs together, and what may be done at once.

use clap::{Args, Subcommand};
use raft::directory::{Action, Subject};

use super::identity_text::{access_name, action, member};
use super::{Ask, IdentityList};

/// Text behind the help of `regnode group`.
const GROUP_HELP: &str = "\
What is granted to a group holds for all who belong to it: users, robots, and people whose groups an outside login names.

Examples:
  regnode group add developers
  regnode group member developers --add user:alice --add robot:ci
  regnode group member developers --remove user:bob
  regnode group member developers                      who belongs to it
  regnode access grant group:developers writer acme";

/// `regnode group`.
#[derive(Debug, Args)]
#[command(after_help = GROUP_HELP)]
pub(crate) struct Group {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: GroupAction,
}

/// What `regnode group` does.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupAction {
    /// Add a group.
    Add(GroupAdd),
    /// List the groups, and how many belong to each.
    List(IdentityList),
    /// Remove a group, with all that is granted or denied to it. Who belonged to it stays.
    Remove(NamedGroup),
    /// Say who belongs to a group, or change it.
    Member(GroupMember),
}

/// `regnode group add`.
#[derive(Debug, Args)]
pub(crate) struct GroupAdd {
    /// Its name: lower-case letters, digits, '.', '_' and '-'.
    #[arg(value_name = "GROUP", value_parser = access_name)]
    pub(crate) name: String,
    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) description: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// A group that something is done to.
#[derive(Debug, Args)]
pub(crate) struct NamedGroup {
    /// Its name.
    #[arg(value_name = "GROUP", value_parser = access_name)]
    pub(crate) name: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode group member`.
#[derive(Debug, Args)]
pub(crate) struct GroupMember {
    /// Its name.
    #[arg(value_name = "GROUP", value_parser = access_name)]
    pub(crate) name: String,
    /// Who belongs to it from now on, for example user:alice or robot:ci. May be repeated.
    #[arg(long, value_name = "SUBJECT", value_parser = member)]
    pub(crate) add: Vec<Subject>,
    /// Who does not belong to it any more. May be repeated.
    #[arg(long, value_name = "SUBJECT", value_parser = member)]
    pub(crate) remove: Vec<Subject>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Text behind the help of `regnode role`.
const ROLE_HELP: &str = "\
A role is a set of actions. Those that are there from the start, and cannot be changed:
  reader      pull
  writer      pull, push, tag
  maintainer  pull, push, tag, delete
  owner       pull, push, tag, delete, policy, access
  auditor     audit
  operator    everything

The actions:
  pull     read images; know that they exist
  push     upload layers and manifests
  tag      make tags and move them
  delete   delete tags, manifests and layers
  policy   set what holds for a namespace: quotas, retention, immutable tags
  access   grant and deny at the namespace and below
  audit    read the audit log, usage and history of everything
  operate  everything of the cluster: nodes, disks, regions, users, keys

The first four decide about images, for every client. policy, access and operate have no way in over the network yet, nor has
the audit log; of audit, usage and history are answered there. Until then all of that is done with regnode on a node, by
whoever may use the socket in its data directory, whatever his roles.

Example:
  regnode role set pusher push --description 'layers and digests, but no tags'";

/// `regnode role`.
#[derive(Debug, Args)]
#[command(after_help = ROLE_HELP)]
pub(crate) struct Role {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: RoleAction,
}

/// What `regnode role` does.
#[derive(Debug, Subcommand)]
pub(crate) enum RoleAction {
    /// Make a role, or change what it allows: for all who have it, at once.
    Set(RoleSet),
    /// List the roles.
    List(IdentityList),
    /// Remove a role that nobody has.
    Remove(NamedRole),
}

/// `regnode role set`.
#[derive(Debug, Args)]
pub(crate) struct RoleSet {
    /// Its name: lower-case letters, digits, '.', '_' and '-'.
    #[arg(value_name = "ROLE", value_parser = access_name)]
    pub(crate) name: String,
    /// What it allows, all of it.
    #[arg(value_name = "ACTION", required = true, value_delimiter = ',', value_parser = action)]
    pub(crate) actions: Vec<Action>,
    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) description: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// A role that something is done to.
#[derive(Debug, Args)]
pub(crate) struct NamedRole {
    /// Its name.
    #[arg(value_name = "ROLE", value_parser = access_name)]
    pub(crate) name: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
