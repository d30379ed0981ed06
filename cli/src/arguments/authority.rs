//! The command line of the cluster's own certificate authority.

use clap::{Args, Subcommand};

use super::{Ask, IdentityList};

/// Text behind the help of `regnode ca`.
const CA_HELP: &str = "\
The nodes of a cluster know each other by certificates of an authority that the cluster has made for itself; clients never
see it. Nodes renew their certificates by themselves. The authority is changed while the cluster serves: all nodes learn to
trust a new one, then they get certificates of it, then the old one is trusted no more. Each step waits for all nodes: one
that does not answer holds it up until it is back or removed (regnode leave NODE --force). What regnode token has handed out
before is not good any more afterwards.

Change it when its key may have become known: a machine, a disk or a backup was lost. Remove that machine first, then change
the keys that it has seen: regnode ca rotate --wait; regnode token-key rotate --now. Until the change is over, the old
authority is trusted.

Examples:
  regnode ca status               what signs, who trusts what, and who is awaited
  regnode ca rotate --wait        change it, and wait until that is over
  regnode ca rotate --abort       take a change back before the new authority signs";

/// `regnode ca`.
#[derive(Debug, Args)]
#[command(after_help = CA_HELP)]
pub(crate) struct Ca {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: CaAction,
}

/// What `regnode ca` does.
#[derive(Debug, Subcommand)]
pub(crate) enum CaAction {
    /// Say which authority signs, which ones are trusted, and which nodes a change waits for.
    Status(IdentityList),
    /// Change the authority while the cluster serves.
    Rotate(CaRotate),
}

/// `regnode ca rotate`.
#[derive(Debug, Args)]
pub(crate) struct CaRotate {
    /// Wait until the change is over. It goes on without this command too.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Take a change back that waits for nodes to trust the new authority.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) abort: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
