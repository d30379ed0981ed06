//! The command line of domains that stand for namespaces.

use clap::{Args, Subcommand};

use super::{Ask, IdentityList};

/// Text behind the help of `regnode domain`.
const DOMAIN_HELP: &str = "\
A domain is a name of the registry that stands for a namespace. At it, clients see and name only what is below the namespace,
and names have no prefix: with the first example, registry.acme.example/app:1 is acme/app:1 of the cluster, at every node. The
repository acme itself has no name there. Who may do what is said of the full names, as ever.

Add the domain first, then let its name point to the nodes (or to the proxy before them, which has to pass the name on), and give
it a certificate: a pair in api.tls_directory, or by itself from the authority of acme.directory. To take it out of use, take the
name away first: once the domain is removed, it is a name of the whole registry.

Examples:
  regnode domain add registry.acme.example --namespace acme
  regnode domain add registry.example.org --namespace /     a name of the whole registry, which nobody else can be given
  regnode domain list
  regnode domain remove registry.acme.example";

/// `regnode domain`.
#[derive(Debug, Args)]
#[command(after_help = DOMAIN_HELP)]
pub(crate) struct Domain {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: DomainAction,
}

/// What `regnode domain` does.
#[derive(Debug, Subcommand)]
pub(crate) enum DomainAction {
    /// Let a domain stand for a namespace.
    Add(DomainAdd),
    /// List the domains, and what they stand for.
    List(IdentityList),
    /// Take a domain out of use.
    Remove(DomainRemove),
}

/// `regnode domain add`.
#[derive(Debug, Args)]
pub(crate) struct DomainAdd {
    /// The domain: a DNS name in small letters, without a port.
    #[arg(value_name = "DOMAIN")]
    pub(crate) domain: String,
    /// The namespace that it stands for, '/' for the whole registry.
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) namespace: String,
    /// Add it though a node does not answer, which would take it for a name of the whole registry until it hears of it.
    #[arg(long)]
    pub(crate) force: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode domain remove`.
#[derive(Debug, Args)]
pub(crate) struct DomainRemove {
    /// The domain.
    #[arg(value_name = "DOMAIN")]
    pub(crate) domain: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
