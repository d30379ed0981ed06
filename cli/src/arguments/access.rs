//! The command line of rules: who may do what, where, and why.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use raft::directory::{Action, Actions, Subject};

use super::identity_text::{access_name, action, actions, caller, daily, network, subject, typed_moment};
use super::{Ask, policy_text};

/// Text behind the help of `regnode access`.
const ACCESS_HELP: &str = "\
A rule says of a subject what it may, or may not, do in a namespace and everything below it; / is the root, and covers
everything. A rule that denies stands above all that allow; what no rule allows is denied. A caller who may not pull a
repository cannot tell it from one that does not exist.

Subjects:
  user:NAME, robot:NAME, group:NAME
  authenticated   whoever has logged in
  anonymous       everybody, with or without a login

Examples:
  regnode access grant user:alice writer acme
  regnode access grant group:developers maintainer acme/app --note 'asked for by carol'
  regnode access grant robot:ci writer acme --from 10.0.0.0/8 --until 30d
  regnode access grant anonymous reader public             everybody may pull what is below public/
  regnode group add contractors
  regnode access deny group:contractors push,tag,delete acme --daily 18:00-08:00
  regnode access list
  regnode access revoke 12
  regnode access explain user:alice push acme/app          which rule decides

Exit codes of explain: 0 allowed, 1 denied, 2 it could not be found out, 3 no node answers.";

/// `regnode access`.
#[derive(Debug, Args)]
#[command(after_help = ACCESS_HELP)]
pub(crate) struct Access {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: AccessAction,
}

/// What `regnode access` does.
#[derive(Debug, Subcommand)]
pub(crate) enum AccessAction {
    /// Allow a subject what a role allows.
    Grant(AccessGrant),
    /// Deny a subject some actions, whatever else allows them.
    Deny(AccessDeny),
    /// List the rules.
    List(AccessList),
    /// Take a rule away.
    Revoke(AccessRevoke),
    /// Say whether a caller may do something, which rule decides, and why the others do not. Exit code 0: allowed, 1: denied,
    /// 2: it could not be found out.
    Explain(AccessExplain),
}

/// When and from where a rule holds.
#[derive(Debug, Args)]
pub(crate) struct RuleCondition {
    /// Only for clients of this network, for example 10.0.0.0/8, or of one address. May be repeated: any of them.
    #[arg(long = "from", value_name = "NETWORK", value_parser = network)]
    pub(crate) from: Vec<String>,
    /// From this moment on: 2027-01-31, 2027-01-31T08:00:00Z, or so long from now, for example 8h.
    #[arg(long, value_name = "TIME", value_parser = typed_moment)]
    pub(crate) since: Option<TypedMoment>,
    /// Until this moment: 2027-01-31, 2027-01-31T08:00:00Z, or so long from now, for example 30d.
    #[arg(long, value_name = "TIME", value_parser = typed_moment)]
    pub(crate) until: Option<TypedMoment>,
    /// Only at this time of the day, in UTC, for example 08:00-18:00; it may reach over midnight.
    #[arg(long, value_name = "FROM-TO", value_parser = daily)]
    pub(crate) daily: Option<TypedDaily>,
    /// Why the rule is there, for those who find it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
}

/// A moment as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypedMoment {
    /// This one, in milliseconds since the Unix epoch.
    At(u64),
    /// So many seconds from now.
    In(u64),
}

impl TypedMoment {
    /// In milliseconds since the Unix epoch.
    pub(crate) fn milliseconds(self, now: u64) -> u64 {
        match self {
            Self::At(moment) => moment,
            Self::In(seconds) => now.saturating_add(seconds.saturating_mul(1000)),
        }
    }
}

/// A time of the day, in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypedDaily {
    /// First minute.
    pub(crate) from: u16,
    /// First minute after it.
    pub(crate) to: u16,
}

/// `regnode access grant`.
#[derive(Debug, Args)]
pub(crate) struct AccessGrant {
    /// Who: user:NAME, robot:NAME, group:NAME, authenticated or anonymous.
    #[arg(value_name = "SUBJECT", value_parser = subject)]
    pub(crate) subject: Subject,
    /// What: a role, from regnode role list.
    #[arg(value_name = "ROLE", value_parser = access_name)]
    pub(crate) role: String,
    /// Where: the beginning of repository names, up to a slash.
    #[arg(value_name = "NAMESPACE", default_value = "/", value_parser = policy_text::prefix)]
    pub(crate) namespace: String,
    /// When and from where.
    #[command(flatten)]
    pub(crate) condition: RuleCondition,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode access deny`.
#[derive(Debug, Args)]
pub(crate) struct AccessDeny {
    /// Who: user:NAME, robot:NAME, group:NAME, authenticated or anonymous.
    #[arg(value_name = "SUBJECT", value_parser = subject)]
    pub(crate) subject: Subject,
    /// What: actions, with commas between them, for example push,tag,delete.
    #[arg(value_name = "ACTIONS", value_parser = actions)]
    pub(crate) actions: Actions,
    /// Where: the beginning of repository names, up to a slash.
    #[arg(value_name = "NAMESPACE", default_value = "/", value_parser = policy_text::prefix)]
    pub(crate) namespace: String,
    /// When and from where.
    #[command(flatten)]
    pub(crate) condition: RuleCondition,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode access list`.
#[derive(Debug, Args)]
pub(crate) struct AccessList {
    /// Only rules of this subject.
    #[arg(long, value_name = "SUBJECT", value_parser = subject)]
    pub(crate) subject: Option<Subject>,
    /// Only rules that cover this namespace: its own, and those of the namespaces above it.
    #[arg(long, value_name = "NAMESPACE", value_parser = policy_text::prefix)]
    pub(crate) covering: Option<String>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode access revoke`.
#[derive(Debug, Args)]
pub(crate) struct AccessRevoke {
    /// Number of the rule, as the list shows it.
    #[arg(value_name = "RULE")]
    pub(crate) id: u64,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode access explain`.
#[derive(Debug, Args)]
pub(crate) struct AccessExplain {
    /// Who: user:NAME, robot:NAME or anonymous.
    #[arg(value_name = "SUBJECT", value_parser = caller)]
    pub(crate) subject: Subject,
    /// What: pull, push, tag, delete, policy, access, audit or operate.
    #[arg(value_name = "ACTION", value_parser = action)]
    pub(crate) action: Action,
    /// In which repository or namespace; / for the whole registry.
    #[arg(value_name = "REPOSITORY", value_parser = policy_text::prefix)]
    pub(crate) repository: String,
    /// From this address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) from: IpAddr,
    /// At this moment: 2027-01-31, 2027-01-31T08:00:00Z, or so long from now, for example 8h. Without it: now.
    #[arg(long, value_name = "TIME", value_parser = typed_moment)]
    pub(crate) at: Option<TypedMoment>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
