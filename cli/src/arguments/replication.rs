//! The command line of copies in other regions: how far they have come.

use clap::{Args, Subcommand};

use super::Work;
use super::policy_text;

/// Text behind the help of `regnode replication`.
const REPLICATION_HELP: &str = "\
What is copied where is set by namespace: regnode namespace set PREFIX --residency replicated --copies us,asia. Copies are made
by themselves, of what is there already and of what is pushed from then on. A tag is to be seen in a copy once all that it
needs is there, verified by its digests.

A copy is in sync if its home, asked after the command was typed, has nothing that is not there. Otherwise the lag says how
old the last moment is of which that was so.

Examples:
  regnode replication status                          every copy in every region
  regnode replication status --namespace acme --wait  until the copies of acme are in sync";

/// `regnode replication`.
#[derive(Debug, Args)]
#[command(after_help = REPLICATION_HELP)]
pub(crate) struct Replication {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: ReplicationAction,
}

/// What `regnode replication` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ReplicationAction {
    /// Say how far the copies have come, in every region that has some.
    Status(ReplicationStatus),
}

/// `regnode replication status`.
#[derive(Debug, Args)]
pub(crate) struct ReplicationStatus {
    /// Only the copies of this namespace, and of what is below it; / is the root.
    #[arg(long, value_name = "PREFIX", value_parser = policy_text::prefix)]
    pub(crate) namespace: Option<String>,
    /// How to go on.
    #[command(flatten)]
    pub(crate) work: Work,
}
