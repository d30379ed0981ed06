//! The command line of what operators do to a running cluster: nodes and disks that go, work that is under way.

use clap::{Args, Subcommand};

use super::LocalNode;

/// What every command that asks the node on this machine takes.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The node to ask.
    #[command(flatten)]
    pub(crate) node: LocalNode,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `regnode nodes`.
#[derive(Debug, Args)]
pub(crate) struct Nodes {
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Text behind the help of `regnode drain`.
const DRAIN_HELP: &str = "\
The node takes no new shards from now on; those that it has are copied to other nodes, or rebuilt there if it does not
answer. It stays a member until `regnode leave`. The work goes on whatever becomes of this command.

Examples:
  regnode drain n3            begin, and return
  regnode drain n3 --wait     begin or re-attach, with a progress bar; ctrl-c leaves the work running
  regnode drain n3 --undo     use the node again";

/// `regnode drain`.
#[derive(Debug, Args)]
#[command(after_help = DRAIN_HELP)]
pub(crate) struct Drain {
    /// Name or id of the node.
    #[arg(value_name = "NODE")]
    pub(crate) name: String,
    /// Use the node again instead.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) undo: bool,
    /// Wait until the node holds nothing.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Text behind the help of `regnode leave`.
const LEAVE_HELP: &str = "\
It is refused, with the reasons and with what --force would lose, while the node holds shards and is not being emptied,
when fewer than three nodes would remain, when too few of those answer, or when they have no space. A node that is being
emptied is removed as soon as it holds nothing. A removed node says so, ends, and cannot come back; its id is not used
again.

Examples:
  regnode drain n3 --wait; regnode leave n3   the careful way
  regnode leave n3 --force                    n3 is gone for good and nothing replaces it; says what is lost";

/// `regnode leave`.
#[derive(Debug, Args)]
#[command(after_help = LEAVE_HELP)]
pub(crate) struct Leave {
    /// Name or id of the node; the node on this machine if it is left out.
    #[arg(value_name = "NODE")]
    pub(crate) name: Option<String>,
    /// Remove it now, whatever it holds.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) force: bool,
    /// Wait until it is removed.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode disk`.
#[derive(Debug, Args)]
pub(crate) struct Disk {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: DiskAction,
}

/// What `regnode disk` does.
#[derive(Debug, Subcommand)]
pub(crate) enum DiskAction {
    /// List the disks of all nodes: state, health, space, what they hold.
    List(DiskList),
    /// Take a directory into use as a disk.
    Add(DiskAdd),
    /// Empty a disk: its shards move to other disks. Reversible.
    Drain(DiskDrain),
    /// Take a disk out for good, once it is emptied; or give a dead one up.
    Remove(DiskRemove),
}

/// `regnode disk list`.
#[derive(Debug, Args)]
pub(crate) struct DiskList {
    /// Only disks of this node, named by name or id.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode disk add`.
#[derive(Debug, Args)]
pub(crate) struct DiskAdd {
    /// The directory, absolute: an empty one becomes a new disk. It is remembered over restarts.
    #[arg(value_name = "DIR")]
    pub(crate) path: std::path::PathBuf,
    /// The node on whose machine the directory is, by name or id; the node on this machine if it is left out.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode disk drain`.
#[derive(Debug, Args)]
pub(crate) struct DiskDrain {
    /// Id of the disk, or the beginning of it.
    #[arg(value_name = "DISK")]
    pub(crate) disk: String,
    /// Its node, by name or id; the node on this machine if it is left out.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Use the disk again instead.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) undo: bool,
    /// Wait until the disk holds nothing.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode disk remove`.
#[derive(Debug, Args)]
pub(crate) struct DiskRemove {
    /// Id of the disk, or the beginning of it.
    #[arg(value_name = "DISK")]
    pub(crate) disk: String,
    /// Its node, by name or id; the node on this machine if it is left out.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// The disk is dead: what it held is rebuilt from the other disks, and it is removed once that is done.
    #[arg(long)]
    pub(crate) force: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode repair`.
#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: RepairAction,
}

/// What `regnode repair` does.
#[derive(Debug, Subcommand)]
pub(crate) enum RepairAction {
    /// Say how many extents are below their redundancy, and how fast they are rebuilt.
    Status(Work),
}

/// Text behind the help of `regnode scrub`.
const SCRUB_HELP: &str = "\
Each node reads its own disks once in scrub.period_seconds, by itself. What is found bad or missing is rebuilt in the
background: regnode repair status.

Examples:
  regnode scrub status                          how far each disk of each node is, and what was found
  regnode scrub start --wait                    all disks of this machine now, from the beginning, at half of their time
  regnode scrub start --node n2 --disk 4f1c     one disk of another node";

/// `regnode scrub`.
#[derive(Debug, Args)]
#[command(after_help = SCRUB_HELP)]
pub(crate) struct Scrub {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: ScrubAction,
}

/// What `regnode scrub` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ScrubAction {
    /// Begin a pass now. One that was begun so already goes on.
    Start(ScrubStart),
    /// Say how far each disk is, and what was found.
    Status(ScrubStatus),
}

/// `regnode scrub status`.
#[derive(Debug, Args)]
pub(crate) struct ScrubStatus {
    /// Only disks of this node, by name or id; those of all nodes if it is left out.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// How to go on.
    #[command(flatten)]
    pub(crate) work: Work,
}

/// `regnode scrub start`.
#[derive(Debug, Args)]
pub(crate) struct ScrubStart {
    /// The node, by name or id; the node on this machine if it is left out.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Id of the disk, or the beginning of it; all disks of the node if it is left out.
    #[arg(long, value_name = "DISK")]
    pub(crate) disk: Option<String>,
    /// How to go on.
    #[command(flatten)]
    pub(crate) work: Work,
}

/// `regnode fsck`.
#[derive(Debug, Args)]
pub(crate) struct Fsck {
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode rebalance`.
#[derive(Debug, Args)]
pub(crate) struct Rebalance {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: RebalanceAction,
}

/// What `regnode rebalance` does.
#[derive(Debug, Subcommand)]
pub(crate) enum RebalanceAction {
    /// Say how full each disk is, and how far the balancing has come.
    Status(Work),
    /// Say which bytes would move from where to where. Nothing is changed.
    Preview(Preview),
}

/// A look at work that is under way.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// Wait until it is done, with a progress bar; ctrl-c leaves the work running.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode rebalance preview`.
#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
