//! The command line of robots: programs that log in.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::identity_text::{access_name, lifetime, trust};
use super::{Ask, IdentityList, Lifetime};

/// Text behind the help of `regnode robot`.
const ROBOT_HELP: &str = "\
A robot is a program: a build, a cluster that pulls. It logs in as robot+NAME with a secret that expires, or, without any
secret, with the token that its own system gives it (regnode issuer), under rules on what that token claims. It may do what
is granted to it.

Examples:
  regnode robot add ci --expires 90d                 shows the secret once
  regnode robot rotate ci --overlap 24h              a new secret; the old ones work for another day
  regnode robot trust ci github repository=acme/app ref=refs/heads/*
  regnode access grant robot:ci writer acme/app";

/// `regnode robot`.
#[derive(Debug, Args)]
#[command(after_help = ROBOT_HELP)]
pub(crate) struct Robot {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: RobotAction,
}

/// What `regnode robot` does.
#[derive(Debug, Subcommand)]
pub(crate) enum RobotAction {
    /// Add a robot, and show its secret once.
    Add(RobotAdd),
    /// List the robots.
    List(IdentityList),
    /// Show a robot: its groups, its secrets, whose tokens it trusts.
    Show(NamedRobot),
    /// Change what is said of a robot. What is left out stays as it is.
    Set(RobotSet),
    /// Make a new secret and show it once; the present ones end after the overlap.
    Rotate(RobotRotate),
    /// Take a secret away: it is refused from now on.
    Revoke(RobotRevoke),
    /// Let a robot log in with tokens of an issuer whose claims all match.
    Trust(RobotTrust),
    /// Let it no more: take away all that an issuer's tokens were trusted for.
    Distrust(RobotDistrust),
    /// End what a robot has logged in for: every token that it was given is refused from now on. Its secrets go on.
    Logout(NamedRobot),
    /// Let a robot log in no more, and nothing go on that it has logged in for. Reversible.
    Disable(NamedRobot),
    /// Let a disabled robot log in again.
    Enable(NamedRobot),
    /// Remove a robot, with all that is granted or denied to it.
    Remove(NamedRobot),
}

/// A robot that something is done to.
#[derive(Debug, Args)]
pub(crate) struct NamedRobot {
    /// Its name.
    #[arg(value_name = "ROBOT", value_parser = access_name)]
    pub(crate) name: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode robot add`.
#[derive(Debug, Args)]
pub(crate) struct RobotAdd {
    /// Its name: lower-case letters, digits, '.', '_' and '-'. It logs in as robot+NAME.
    #[arg(value_name = "ROBOT", value_parser = access_name)]
    pub(crate) name: String,
    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) description: String,
    /// A group that it belongs to. May be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// How long its first secret is good for, for example 90d; never: until it is taken away.
    #[arg(long, value_name = "DURATION|never", default_value = "90d", value_parser = lifetime)]
    pub(crate) expires: Lifetime,
    /// How long the robot itself is good for; without it, until it is removed.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) lifetime: Option<Duration>,
    /// Without a secret: it logs in with tokens that regnode robot trust names.
    #[arg(long, conflicts_with = "expires")]
    pub(crate) no_secret: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode robot set`.
#[derive(Debug, Args)]
pub(crate) struct RobotSet {
    /// Its name.
    #[arg(value_name = "ROBOT", value_parser = access_name)]
    pub(crate) name: String,
    /// What it is for.
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["groups", "no_groups"])]
    pub(crate) description: Option<String>,
    /// The groups that it belongs to from now on, all of them. May be repeated. To add and take away single ones:
    /// regnode group member.
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// It belongs to no group any more.
    #[arg(long, conflicts_with = "groups")]
    pub(crate) no_groups: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode robot rotate`.
#[derive(Debug, Args)]
pub(crate) struct RobotRotate {
    /// Its name.
    #[arg(value_name = "ROBOT", value_parser = access_name)]
    pub(crate) name: String,
    /// How long the present secrets still work, for example 24h; 0s ends them at once.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
    pub(crate) overlap: Duration,
    /// How long the new secret is good for, for example 90d; never: until it is taken away.
    #[arg(long, value_name = "DURATION|never", default_value = "90d", value_parser = lifetime)]
    pub(crate) expires: Lifetime,
    /// What the new secret is called.
    #[arg(long = "secret-name", value_name = "TEXT", default_value = "")]
    pub(crate) secret_name: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode robot revoke`.
#[derive(Debug, Args)]
pub(crate) struct RobotRevoke {
    /// Its name.
    #[arg(value_name = "ROBOT", value_parser = access_name)]
    pub(crate) name: String,
    /// Id of the secret, as regnode robot show says it.
    #[arg(value_name = "SECRET")]
    pub(crate) id: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode robot trust`.
#[derive(Debug, Args)]
pub(crate) struct RobotTrust {
    /// Its name.
    #[arg(value_name = "ROBOT", value_parser = access_name)]
    pub(crate) name: String,
    /// Name of the issuer, from regnode issuer list; certificate: a client certificate, whose names are the claim san.
    #[arg(value_name = "ISSUER", value_parser = access_name)]
    pub(crate) issuer: String,
    /// A claim of the token and what it has to be, with * and ? as placeholders. All that are named have to match.
    #[arg(value_name = "CLAIM=PATTERN", required = true, value_parser = trust)]
    pub(crate) claims: Vec<TypedTrust>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode robot distrust`.
#[derive(Debug, Args)]
pub(crate) struct RobotDistrust {
    /// Its name.
    #[arg(value_name = "ROBOT", value_parser = access_name)]
    pub(crate) name: String,
    /// Name of the issuer.
    #[arg(value_name = "ISSUER", value_parser = access_name)]
    pub(crate) issuer: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// A claim of a token, and what it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypedTrust {
    /// The claim; dots lead into objects.
    pub(crate) claim: String,
    /// What it has to be, with * and ? as placeholders.
    pub(crate) pattern: String,
}
