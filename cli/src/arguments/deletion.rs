//! The command line of what goes and what comes back: garbage, usage, retention, bulk deletion, jobs, history, restoring.

use std::time::Duration;

use clap::{Args, Subcommand};
use raft::catalog::RepositoryName;
use raft::policy::Pattern;

use super::policy_text::{self, Named};
use super::{Ask, Work};

/// Text behind the help of `regnode gc`.
const GC_HELP: &str = "\
What nothing needs any more is collected by itself, piece by piece, once its grace has passed; nothing is ever read-only
meanwhile, and nothing has to be started. Graces are set by namespace: regnode namespace set PREFIX --grace 24h.

Examples:
  regnode gc status              what waits, how much it frees and when, what was freed
  regnode gc run --now --wait    collect what is due at once, without the usual pauses; graces hold all the same";

/// `regnode gc`.
#[derive(Debug, Args)]
#[command(after_help = GC_HELP)]
pub(crate) struct Gc {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: GcAction,
}

/// What `regnode gc` does.
#[derive(Debug, Subcommand)]
pub(crate) enum GcAction {
    /// Say what waits, how many bytes it frees and when, and what was freed.
    Status(Work),
    /// Collect what is due at once, without the usual pauses. What is within its grace stays.
    Run(GcRun),
}

/// `regnode gc run`.
#[derive(Debug, Args)]
pub(crate) struct GcRun {
    /// Now, rather than in the next round: required, for it is what the command is for.
    #[arg(long, required = true)]
    pub(crate) now: bool,
    /// How to go on.
    #[command(flatten)]
    pub(crate) work: Work,
}

/// `regnode usage`.
#[derive(Debug, Args)]
pub(crate) struct Usage {
    /// A namespace or a repository; / is the root.
    #[arg(value_name = "PREFIX", value_parser = policy_text::prefix, default_value = "/")]
    pub(crate) prefix: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Text behind the help of `regnode retention`.
const RETENTION_HELP: &str = "\
Retention rules are set by namespace (regnode namespace set PREFIX --retention …) and carried out by themselves, once a day if
nothing else is set. What they delete can be restored as long as the namespace says: regnode undelete.

Examples:
  regnode retention preview acme/ci          every tag that would go and why; nothing is changed
  regnode retention run acme/ci --wait       carry it out now";

/// `regnode retention`.
#[derive(Debug, Args)]
#[command(after_help = RETENTION_HELP)]
pub(crate) struct Retention {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: RetentionAction,
}

/// What `regnode retention` does.
#[derive(Debug, Subcommand)]
pub(crate) enum RetentionAction {
    /// Say which tags would go now, and why. Nothing is changed.
    Preview(RetentionPreview),
    /// Carry the rules out now, in the background.
    Run(RetentionRun),
}

/// `regnode retention preview`.
#[derive(Debug, Args)]
pub(crate) struct RetentionPreview {
    /// The namespace; / is the root.
    #[arg(value_name = "PREFIX", value_parser = policy_text::prefix)]
    pub(crate) prefix: String,
    /// Name the tags that stay as well.
    #[arg(long)]
    pub(crate) all: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode retention run`.
#[derive(Debug, Args)]
pub(crate) struct RetentionRun {
    /// The namespace; / is the root.
    #[arg(value_name = "PREFIX", value_parser = policy_text::prefix)]
    pub(crate) prefix: String,
    /// How to go on.
    #[command(flatten)]
    pub(crate) work: Work,
}

/// Text behind the help of `regnode delete`.
const DELETE_HELP: &str = "\
The tags are deleted in the background, in batches, and with them the manifests that nothing else holds. Immutable tags are
skipped. What was deleted can be restored as long as the namespace says: regnode undelete.

Examples:
  regnode delete acme/app --tags 'pr-*' --older-than 30d --dry-run
  regnode delete acme/app --tags 'pr-*' --older-than 30d --wait";

/// `regnode delete`.
#[derive(Debug, Args)]
#[command(after_help = DELETE_HELP)]
pub(crate) struct Delete {
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    pub(crate) repository: RepositoryName,
    /// Which tags (* and ? are wildcards).
    #[arg(long, value_name = "PATTERN")]
    pub(crate) tags: Pattern,
    /// Only those that were set longer ago than this.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Option<Duration>,
    /// Only name what would go.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// How to go on.
    #[command(flatten)]
    pub(crate) work: Work,
}

/// `regnode job`.
#[derive(Debug, Args)]
pub(crate) struct Job {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: JobAction,
}

/// What `regnode job` does.
#[derive(Debug, Subcommand)]
pub(crate) enum JobAction {
    /// List deletion jobs: those that run, and the last that have ended.
    List(JobList),
    /// Show one, or wait for its end.
    Show(JobShow),
    /// End one before its time. What it has deleted stays deleted.
    Cancel(JobCancel),
}

/// `regnode job list`.
#[derive(Debug, Args)]
pub(crate) struct JobList {
    /// Region whose jobs they are; that of the node that is asked unless it is named.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode job show`.
#[derive(Debug, Args)]
pub(crate) struct JobShow {
    /// Number of the job.
    #[arg(value_name = "JOB")]
    pub(crate) job: u64,
    /// Region whose job it is; that of the node that is asked unless it is named.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// How to go on.
    #[command(flatten)]
    pub(crate) work: Work,
}

/// `regnode job cancel`.
#[derive(Debug, Args)]
pub(crate) struct JobCancel {
    /// Number of the job.
    #[arg(value_name = "JOB")]
    pub(crate) job: u64,
    /// Region whose job it is; that of the node that is asked unless it is named.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// The tag. It may be deleted.
    #[arg(value_name = "REPOSITORY:TAG", value_parser = policy_text::tag)]
    pub(crate) what: Named,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Text behind the help of `regnode undelete`.
const UNDELETE_HELP: &str = "\
A tag is set to what it pointed to when it was deleted, and its manifest comes back if it went too. A manifest comes back with
the tags that it had, where they are free. How long that is possible is the namespace's: regnode namespace set PREFIX --restore 7d.

Examples:
  regnode undelete acme/app --list               what can be restored, and until when
  regnode undelete acme/app:v1.2
  regnode undelete acme/app@sha256:4f1c…";

/// `regnode undelete`.
#[derive(Debug, Args)]
#[command(after_help = UNDELETE_HELP)]
pub(crate) struct Undelete {
    /// What to restore; with --list, the repository.
    #[arg(value_name = "REPOSITORY:TAG|REPOSITORY@DIGEST", value_parser = policy_text::named)]
    pub(crate) what: Named,
    /// List what can be restored instead.
    #[arg(long)]
    pub(crate) list: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
