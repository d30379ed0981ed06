//! The command line of the registry's certificates from an ACME authority.

use clap::{Args, Subcommand};

use super::{Ask, IdentityList};

/// Text behind the help of `regnode certificate`.
const CERTIFICATE_HELP: &str = "\
The registry's certificates come from the ACME authority of acme.directory, one for each domain of acme.domains and of
`regnode domain`. One node asks for them and renews them, all show them; regnode status says when a domain needs you.

Examples:
  regnode certificate list
  regnode certificate renew registry.example.org    now: after the reason for a failure is gone, or a key may be known";

/// `regnode certificate`.
#[derive(Debug, Args)]
#[command(after_help = CERTIFICATE_HELP)]
pub(crate) struct Certificate {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: CertificateAction,
}

/// What `regnode certificate` does.
#[derive(Debug, Subcommand)]
pub(crate) enum CertificateAction {
    /// List the domains: until when their certificates hold, when they are renewed, and what went wrong last.
    List(IdentityList),
    /// Ask for a new certificate now, also after a failure whose pause is not over.
    Renew(CertificateRenew),
}

/// `regnode certificate renew`.
#[derive(Debug, Args)]
pub(crate) struct CertificateRenew {
    /// The domain.
    #[arg(value_name = "DOMAIN")]
    pub(crate) name: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
