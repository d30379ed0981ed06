//! The command line of regions: sites of one cluster, each with nodes, a quorum and namespaces of its own.

use clap::{Args, Subcommand};

use super::Ask;

/// Text behind the help of `regnode region`.
const REGION_HELP: &str = "\
A region is a site with a quorum of its own: what namespaces whose home it is hold rests there, is pushed and pulled there
while the line to the other regions is cut, and is lost with it. Who belongs to the cluster, and the policies, are agreed
on by all regions together. With three or more that bears the loss of any one; with two it needs the primary.

A region begins without a node. The first machine that joins it founds it; the next ones make it bear losses.

Examples:
  regnode region add us
  regnode token --region us                            prints what to run on the first machine there
  regnode region set us --public-url https://us.registry.example.com
  regnode region primary us                            of two regions, the one that goes on when the line is cut
  regnode region retire us                             when it has no nodes and no namespace names it";

/// `regnode region`.
#[derive(Debug, Args)]
#[command(after_help = REGION_HELP)]
pub(crate) struct Region {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: RegionAction,
}

/// What `regnode region` does.
#[derive(Debug, Subcommand)]
pub(crate) enum RegionAction {
    /// Add a region, as yet without a node.
    Add(NamedRegion),
    /// List the regions: how they are, and which ones the directory can lose.
    List(RegionList),
    /// Change what is said of a region.
    Set(RegionSet),
    /// Let a region keep the directory's majority where there are two.
    Primary(NamedRegion),
    /// Forget a region that has no nodes and that no namespace names.
    Retire(NamedRegion),
}

/// A region that something is done to.
#[derive(Debug, Args)]
pub(crate) struct NamedRegion {
    /// Its name: lower-case letters, digits and '-'.
    #[arg(value_name = "REGION")]
    pub(crate) name: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode region list`.
#[derive(Debug, Args)]
pub(crate) struct RegionList {
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode region set`.
#[derive(Debug, Args)]
pub(crate) struct RegionSet {
    /// Its name.
    #[arg(value_name = "REGION")]
    pub(crate) name: String,
    /// URL at which clients reach the region, without a path. Reads are sent there from other regions where a namespace
    /// says so.
    #[arg(long, value_name = "URL", required_unless_present = "no_public_url")]
    pub(crate) public_url: Option<String>,
    /// Clients are not sent there any more.
    #[arg(long, conflicts_with = "public_url")]
    pub(crate) no_public_url: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
