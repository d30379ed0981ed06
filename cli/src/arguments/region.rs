//! The command line of regions: sites of one cluster, each with nodes, a quorum and namespaces of its own.

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use node::admin::Wanted;

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
  regnode region set us --inbound 50MB                 what each other region may bring there in a second
  regnode region primary us                            of two regions, the one that goes on when the line is cut
  regnode region takeover                              at a node that is left, when the directory's majority is lost
  regnode region release                               after a takeover, once you know what returned regions hold
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
    /// Let the directory go on in the region of this node when its majority is lost for good with others. What is given up
    /// is told first, and has to be confirmed. Refused while a quorum, or a voter of another region, answers. Afterwards no
    /// region gives up what rests elsewhere, until `regnode region release`.
    Takeover(RegionTakeover),
    /// After a takeover: let what is foreign to a region be taken away from it again. Look first at what the regions that
    /// returned hold, with regnode residency verify and regnode namespace aside: the lost majority may have made a region a
    /// home or a copy without the directory's knowing, and what it has may be the only one.
    Release(RegionRelease),
}

/// `regnode region release`.
#[derive(Debug, Args)]
pub(crate) struct RegionRelease {
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(crate) yes: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode region takeover`.
#[derive(Debug, Args)]
pub(crate) struct RegionTakeover {
    /// A node of this region that does not answer: what only it knows of the directory is given up. May be repeated.
    #[arg(long, value_name = "NODE")]
    pub(crate) without: Vec<String>,
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(crate) yes: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
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
    #[arg(long, value_name = "URL", required_unless_present_any = ["no_public_url", "inbound"])]
    pub(crate) public_url: Option<String>,
    /// Clients are not sent there any more.
    #[arg(long, conflicts_with = "public_url")]
    pub(crate) no_public_url: bool,
    /// Most bytes that copying may bring into the region in a second, from each other region, for example 50MB; unlimited
    /// for as much as the line gives. Requests of clients that are passed on are not counted.
    #[arg(long, value_name = "SIZE|unlimited", value_parser = inbound)]
    pub(crate) inbound: Option<Wanted<u64>>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// A limit of bytes in a second.
fn inbound(text: &str) -> Result<Wanted<u64>, String> {
    if text == "unlimited" {
        return Ok(Wanted::Unset);
    }
    let size = text.strip_suffix("/s").unwrap_or(text).parse::<ByteSize>();
    match size.map(|size| size.as_u64()) {
        Ok(0) => Err("nothing would ever be copied: name a size for each second, or unlimited".to_owned()),
        Ok(bytes) => Ok(Wanted::Set(bytes)),
        Err(error) => {
            Err(format!("{error}; a size for each second is expected, for example 50MB or 20MiB, or unlimited"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_size_or_none() {
        assert_eq!(inbound("50MB"), Ok(Wanted::Set(50_000_000)));
        assert_eq!(inbound("2MiB/s"), Ok(Wanted::Set(2 << 20)));
        assert_eq!(inbound("unlimited"), Ok(Wanted::Unset));
        for bad in ["0", "fast", "", "-1MB"] {
            assert!(inbound(bad).is_err(), "{bad}");
        }
    }
}
