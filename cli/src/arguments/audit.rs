//! The command line of the audit log: who did what.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::identity_text::typed_moment;
use super::{Ask, TypedMoment};

/// Text behind the help of `regnode audit`.
const AUDIT_HELP: &str = "\
Each node writes down what it is asked for: logins, denials, pulls, pushes, changes of tags, deletions, changes of policies, of
who may do what, and of the cluster. The commands ask all nodes of the cluster through this one and sort by time. In texts
`*` stands for anything; a repository without it is meant with all below it.

The records of a node are numbered and chained by hashes. `verify` finds records that were altered, replaced, reordered, or
that are missing, also at the end: the cluster keeps the number and the hash of the newest record of each node, at most five
minutes old.

Exit codes:
  0  done; `verify`: every log is whole
  1  `verify`: something was altered or is missing
  2  a node did not answer: what was printed is not everything

Examples:
  regnode audit tail -f --action denied
  regnode audit search --repository acme/app --action tag --since 7d
  regnode audit search --actor 'robot:*' --outcome refused
  regnode audit export --format csv --since 2027-01-01 --until 2027-02-01 > january.csv
  regnode audit verify
  regnode audit verify --directory /backup/n1/audit";

/// `regnode audit`.
#[derive(Debug, Args)]
#[command(after_help = AUDIT_HELP)]
pub(crate) struct Audit {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: AuditAction,
}

/// What `regnode audit` does.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Print the newest records, and those to come.
    Tail(AuditTail),
    /// Find records.
    Search(AuditSearch),
    /// Print all records for other programs.
    Export(AuditExport),
    /// Check that nothing was altered and nothing is missing.
    Verify(AuditVerify),
}

/// Which records.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct AuditFilter {
    /// Who: user:NAME, robot:NAME, anonymous, operator; with `*` for anything.
    #[arg(long, value_name = "ACTOR")]
    pub(crate) actor: Option<String>,
    /// What was done: pull, push, tag, delete, login, denied, policy, access, member and others; with `*` for anything.
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// The repository or namespace, with all below it; with `*` for anything.
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) repository: Option<String>,
    /// What came of it.
    #[arg(long, value_name = "OUTCOME")]
    pub(crate) outcome: Option<TypedOutcome>,
    /// Only records of this node, by name or id.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
}

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TypedOutcome {
    /// It was done.
    Done,
    /// It was not allowed.
    Refused,
    /// It did not work.
    Failed,
}

/// `regnode audit tail`.
#[derive(Debug, Args)]
pub(crate) struct AuditTail {
    /// So many of the newest records. With a filter, the last 10000 of each node are looked through for them.
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) lines: u32,
    /// Print those to come as well, until it is interrupted.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Which records.
    #[command(flatten)]
    pub(crate) filter: AuditFilter,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode audit search`.
#[derive(Debug, Args)]
pub(crate) struct AuditSearch {
    /// Which records.
    #[command(flatten)]
    pub(crate) filter: AuditFilter,
    /// Not before this: a moment in UTC (2027-01-31, 2027-01-31T08:00:00Z), or how long ago (7d).
    #[arg(long, value_name = "MOMENT", default_value = "1d", value_parser = typed_moment)]
    pub(crate) since: TypedMoment,
    /// Before this.
    #[arg(long, value_name = "MOMENT", value_parser = typed_moment)]
    pub(crate) until: Option<TypedMoment>,
    /// Most records, the oldest first.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub(crate) limit: u64,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode audit export`.
#[derive(Debug, Args)]
pub(crate) struct AuditExport {
    /// Form of the records: as they stand in the log, one JSON object a line; or a table, in which texts that a spreadsheet would
    /// take for a formula begin with an apostrophe.
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    pub(crate) format: AuditFormat,
    /// Which records.
    #[command(flatten)]
    pub(crate) filter: AuditFilter,
    /// Not before this: a moment in UTC (2027-01-31, 2027-01-31T08:00:00Z), or how long ago (7d). Everything if it is left out.
    #[arg(long, value_name = "MOMENT", value_parser = typed_moment)]
    pub(crate) since: Option<TypedMoment>,
    /// Before this.
    #[arg(long, value_name = "MOMENT", value_parser = typed_moment)]
    pub(crate) until: Option<TypedMoment>,
    /// The node to ask.
    #[command(flatten)]
    pub(crate) node: super::LocalNode,
}

/// Form of exported records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditFormat {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values (RFC 4180).
    Csv,
}

/// `regnode audit verify`.
#[derive(Debug, Args)]
pub(crate) struct AuditVerify {
    /// Only the log of this node, by name or id.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Check the files in this directory instead, a copy of a node's `audit` directory. What is cut off at its end cannot be
    /// found then.
    #[arg(long, value_name = "DIR", conflicts_with = "node")]
    pub(crate) directory: Option<PathBuf>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
