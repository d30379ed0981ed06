//! The command line of residency: where data rests, proved.

use clap::{Args, Subcommand};

use super::Ask;

/// Text behind the help of `regnode residency`.
const RESIDENCY_HELP: &str = "\
Where data may rest is set at namespaces: regnode namespace set PREFIX --residency pinned. `verify` does not believe that:
every node lists the files of all its disks and reads whose they are, every region's catalog is gone through, and what a
region does not know is asked for in all others. A shard of another region's namespace is found wherever it lies on a disk.

Each region does the same by itself once in residency.audit_hours, writes down what it has found, and raises an alarm in
regnode status if something rests where it may not.

Exit codes of `verify`:
  0  everything was looked at, and nothing rests where it may not
  1  something rests where it may not
  2  not everything could be looked at: a node, a disk or a region does not answer

Examples:
  regnode residency verify
  regnode residency verify --namespace acme/eu --json
  regnode residency history --limit 30";

/// `regnode residency`.
#[derive(Debug, Args)]
#[command(after_help = RESIDENCY_HELP)]
pub(crate) struct Residency {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: ResidencyAction,
}

/// What `regnode residency` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ResidencyAction {
    /// Look through every node and disk, and say where each namespace's bytes rest.
    Verify(ResidencyVerify),
    /// List what audits have found.
    History(ResidencyHistory),
}

/// `regnode residency verify`.
#[derive(Debug, Args)]
pub(crate) struct ResidencyVerify {
    /// Only what is at or below this prefix.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) namespace: Option<String>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode residency history`.
#[derive(Debug, Args)]
pub(crate) struct ResidencyHistory {
    /// Most audits, the newest first.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
