//! The command line of homes that are lost: another home by force, and what a former one still has.

use clap::Args;

use super::Ask;
use super::policy_text;

/// Text behind the help of `regnode namespace aside`.
const ASIDE_HELP: &str = "\
A region that was the home of a namespace when another one was made the home by force keeps what it had, out of use: clients
may have pushed there until it heard of that. Look at what it has that the present home lacks, push again what is to be kept,
and settle it then: only then anything of it goes.

Examples:
  regnode namespace aside acme                 what the former home has that the present one lacks
  regnode namespace aside acme --settle eu     give that up";

/// How `regnode namespace set --home` goes on where the present home cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Forcing {
    /// Make the region of --home the home without the present one, which is lost or cut off. What would be lost is told
    /// first, and has to be confirmed.
    #[arg(long, requires = "home")]
    pub(crate) force: bool,
    /// With --force: also if the region has no copy of everything.
    #[arg(long, requires = "force")]
    pub(crate) without_copy: bool,
    /// With --force: also if the present home answers.
    #[arg(long, requires = "force")]
    pub(crate) although_it_answers: bool,
    /// With --force: do not ask for confirmation.
    #[arg(long, requires = "force")]
    pub(crate) yes: bool,
}

/// `regnode namespace aside`.
#[derive(Debug, Args)]
#[command(after_help = ASIDE_HELP)]
pub(crate) struct NamespaceAside {
    /// The namespace; / is the root.
    #[arg(value_name = "PREFIX", value_parser = policy_text::prefix)]
    pub(crate) prefix: String,
    /// The former home to look at, or a region with a copy; the first former home that answers, if none is named.
    #[arg(long, value_name = "REGION", conflicts_with = "settle")]
    pub(crate) region: Option<String>,
    /// Give up what this former home has that the present one lacks. It has to be confirmed.
    #[arg(long, value_name = "REGION")]
    pub(crate) settle: Option<String>,
    /// With --settle: also if the region does not answer, so that nobody sees what it has.
    #[arg(long, requires = "settle")]
    pub(crate) unseen: bool,
    /// With --settle: do not ask for confirmation.
    #[arg(long, requires = "settle")]
    pub(crate) yes: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
