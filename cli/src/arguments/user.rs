//! The command line of users: people who log in, and their personal access keys.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::Ask;
use super::identity_text::{lifetime, user_name};

/// Text behind the help of `regnode user`.
const USER_HELP: &str = "\
A user logs in with docker login -u NAME, and may do what is granted to him, to his groups, to everybody who has logged in
and to everybody: regnode access grant. A new user may do nothing of his own.

A personal access key takes the place of the password, in a script or on a machine that is not the user's own: it can be
taken away by itself, and it works on while the place where he otherwise logs in does not answer. Each is shown once.

Examples:
  regnode user add alice --group developers      asks for the password; without a terminal it is read from standard input
  regnode user add bob --generate-password       makes one up, and shows it once
  regnode user password alice                    a new one; whoever is logged in as alice has to log in again
  regnode user key add alice --name laptop --expires 90d
  regnode user logout alice                      a machine that is logged in as alice was lost: so is what it was given
  regnode user disable alice                     from now on, with all that he was given
  regnode access grant user:alice writer acme";

/// `regnode user`.
#[derive(Debug, Args)]
#[command(after_help = USER_HELP)]
pub(crate) struct User {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: UserAction,
}

/// What `regnode user` does.
#[derive(Debug, Subcommand)]
pub(crate) enum UserAction {
    /// Add a user.
    Add(UserAdd),
    /// List the users.
    List(IdentityList),
    /// Show a user: his groups, his keys, where he logs in.
    Show(NamedUser),
    /// Change what is said of a user. What is left out stays as it is.
    Set(UserSet),
    /// Give a user another password.
    Password(UserPassword),
    /// End what a user has logged in for: every token that he was given is refused from now on. His password and his keys
    /// go on, so he may log in again.
    Logout(NamedUser),
    /// Let a user log in no more, and nothing go on that he has logged in for. Reversible.
    Disable(NamedUser),
    /// Let a disabled user log in again.
    Enable(NamedUser),
    /// Remove a user, with all that is granted or denied to him.
    Remove(NamedUser),
    /// Add, list and remove personal access keys.
    Key(UserKey),
}

/// A user that something is done to.
#[derive(Debug, Args)]
pub(crate) struct NamedUser {
    /// His name.
    #[arg(value_name = "USER", value_parser = user_name)]
    pub(crate) name: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// A list of users, robots, groups or roles.
#[derive(Debug, Args)]
pub(crate) struct IdentityList {
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode user add`.
#[derive(Debug, Args)]
pub(crate) struct UserAdd {
    /// His name: lower-case letters, digits, '.', '_', '-' and, inside, '@'.
    #[arg(value_name = "USER", value_parser = user_name)]
    pub(crate) name: String,
    /// Name for people.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) display: String,
    /// A group that he belongs to. May be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// Make up a password, and show it once.
    #[arg(long)]
    pub(crate) generate_password: bool,
    /// Without a password: he logs in with personal access keys only.
    #[arg(long, conflicts_with = "generate_password")]
    pub(crate) no_password: bool,
    /// Where he logs in if not here: htpasswd, ldap, or the name of an issuer. Users of such a place need not be added: they
    /// are known once they have logged in.
    #[arg(long, value_name = "PLACE", conflicts_with_all = ["generate_password", "no_password"])]
    pub(crate) source: Option<String>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode user set`.
#[derive(Debug, Args)]
pub(crate) struct UserSet {
    /// His name.
    #[arg(value_name = "USER", value_parser = user_name)]
    pub(crate) name: String,
    /// Name for people.
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["groups", "no_groups"])]
    pub(crate) display: Option<String>,
    /// The groups that he belongs to from now on, all of them. May be repeated. To add and take away single ones:
    /// regnode group member.
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// He belongs to no group any more.
    #[arg(long, conflicts_with = "groups")]
    pub(crate) no_groups: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode user password`.
#[derive(Debug, Args)]
pub(crate) struct UserPassword {
    /// His name.
    #[arg(value_name = "USER", value_parser = user_name)]
    pub(crate) name: String,
    /// Make up a password, and show it once.
    #[arg(long)]
    pub(crate) generate: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode user key`.
#[derive(Debug, Args)]
pub(crate) struct UserKey {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: UserKeyAction,
}

/// What `regnode user key` does.
#[derive(Debug, Subcommand)]
pub(crate) enum UserKeyAction {
    /// Make a key, and show it once.
    Add(UserKeyAdd),
    /// List a user's keys: when they were made, expire, and were last used.
    List(NamedUser),
    /// Take a key away: it is refused from now on.
    Remove(UserKeyRemove),
}

/// `regnode user key add`.
#[derive(Debug, Args)]
pub(crate) struct UserKeyAdd {
    /// Name of the user.
    #[arg(value_name = "USER", value_parser = user_name)]
    pub(crate) user: String,
    /// What the key is for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) name: String,
    /// How long it is good for, for example 90d; never: until it is taken away.
    #[arg(long, value_name = "DURATION|never", default_value = "90d", value_parser = lifetime)]
    pub(crate) expires: Lifetime,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// How long something is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// So long from now on.
    For(Duration),
    /// Until it is taken away.
    Endless,
}

impl Lifetime {
    /// In seconds; `None` without an end.
    pub(crate) fn seconds(self) -> Option<u64> {
        match self {
            Self::For(duration) => Some(duration.as_secs()),
            Self::Endless => None,
        }
    }
}

/// `regnode user key remove`.
#[derive(Debug, Args)]
pub(crate) struct UserKeyRemove {
    /// Name of the user.
    #[arg(value_name = "USER", value_parser = user_name)]
    pub(crate) user: String,
    /// Id of the key, as the list shows it.
    #[arg(value_name = "KEY")]
    pub(crate) id: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
