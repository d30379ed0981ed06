//! The command line of issuers outside whose tokens are taken, and of the keys that the cluster's own tokens are signed with.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::identity_text::{access_name, mapped_group};
use super::{Ask, IdentityList};

/// Text behind the help of `regnode issuer`.
const ISSUER_HELP: &str = "\
An issuer is a system outside whose signed tokens are believed:
  workload  its programs, as robots: regnode robot trust says which claims stand for which robot
  people    its users, by their ID tokens; a claim is their name here, another one their groups
  tokens    its tokens say themselves what they allow, as a token server for registries does; rules that deny stand above

Keys are looked for where OpenID Connect discovery says, unless --jwks-url, --jwks-file or --certificates says otherwise.

Operators log in with their browser: regnode login --browser. For images, whoever has an ID token logs in with it as the
password of the name oidc (docker login -u oidc), or of his own name here, or exchanges it at POST /token (grant type
token-exchange, RFC 8693). Once he has done so, an operator can make a key for him that lasts: regnode user key add NAME.

Examples:
  regnode issuer set github --issuer https://token.actions.githubusercontent.com --audience regnode --for workload
  regnode issuer set login --issuer https://login.example.com --for people --client-id regnode \\
      --user-claim preferred_username --groups-claim groups --map-group platform-team=developers
  regnode issuer set tokens --issuer auth.example.com --audience registry --for tokens --certificates roots.pem
  regnode issuer list";

/// `regnode issuer`.
#[derive(Debug, Args)]
#[command(after_help = ISSUER_HELP)]
pub(crate) struct Issuer {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: IssuerAction,
}

/// What `regnode issuer` does.
#[derive(Debug, Subcommand)]
pub(crate) enum IssuerAction {
    /// Believe an issuer's tokens, or change all that is said of it.
    Set(Box<IssuerSet>),
    /// List the issuers.
    List(IdentityList),
    /// Believe an issuer's tokens no more.
    Remove(NamedIssuer),
}

/// What an issuer's tokens are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IssuerPurpose {
    /// Programs, as robots.
    Workload,
    /// People, by their ID tokens.
    People,
    /// Tokens that say themselves what they allow.
    Tokens,
}

/// `regnode issuer set`.
#[derive(Debug, Args)]
pub(crate) struct IssuerSet {
    /// Its name here: lower-case letters, digits, '.', '_' and '-'.
    #[arg(value_name = "ISSUER", value_parser = access_name)]
    pub(crate) name: String,
    /// What its tokens say in `iss`, exactly.
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: String,
    /// What its tokens are for.
    #[arg(long = "for", value_name = "PURPOSE", value_enum)]
    pub(crate) purpose: IssuerPurpose,
    /// What its tokens must say in `aud`. May be repeated: any of them. Of people, it is the client's id if left out.
    #[arg(long = "audience", value_name = "TEXT", required_unless_present = "client_id")]
    pub(crate) audiences: Vec<String>,
    /// People: the id that this cluster has there.
    #[arg(long, value_name = "ID", required_if_eq("purpose", "people"))]
    pub(crate) client_id: Option<String>,
    /// People: the claim that is a user's name here.
    #[arg(long, value_name = "CLAIM", default_value = "preferred_username", requires = "client_id")]
    pub(crate) user_claim: String,
    /// People: the claim that lists his groups there.
    #[arg(long, value_name = "CLAIM", requires = "client_id")]
    pub(crate) groups_claim: Option<String>,
    /// People: a group there, and the one here that it stands for. May be repeated; groups that are not named count
    /// nothing.
    #[arg(long = "map-group", value_name = "THEIRS=OURS", value_parser = mapped_group, requires = "groups_claim")]
    pub(crate) mapped: Vec<(String, String)>,
    /// Its keys are at this URL.
    #[arg(long, value_name = "URL")]
    pub(crate) jwks_url: Option<String>,
    /// Its keys are in this file (JWKS), which is copied into the cluster.
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_url")]
    pub(crate) jwks_file: Option<PathBuf>,
    /// Its tokens carry certificates, signed by one of this file (PEM), which is copied into the cluster.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["jwks_url", "jwks_file"])]
    pub(crate) certificates: Option<PathBuf>,
    /// Authority of its HTTPS certificate (PEM), if it is none that this system knows. It is copied into the cluster.
    #[arg(long, value_name = "FILE")]
    pub(crate) authority: Option<PathBuf>,
    /// Algorithms that its signatures may have.
    #[arg(long, value_name = "ALGORITHM", value_delimiter = ',', default_value = "RS256,ES256")]
    pub(crate) algorithms: Vec<String>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// An issuer that something is done to.
#[derive(Debug, Args)]
pub(crate) struct NamedIssuer {
    /// Its name.
    #[arg(value_name = "ISSUER", value_parser = access_name)]
    pub(crate) name: String,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// Text behind the help of `regnode token-key`.
const TOKEN_KEY_HELP: &str = "\
The tokens that clients get from the cluster are signed with a key of its own. A new one is made known first and signs
later, so that every node knows it by then; the old ones are still believed until the tokens that they have signed are over.
Nobody notices.

Examples:
  regnode token-key list
  regnode token-key rotate           once a year, say
  regnode token-key rotate --now     a key may have been stolen: whoever is logged in by a token has to log in again";

/// `regnode token-key`.
#[derive(Debug, Args)]
#[command(after_help = TOKEN_KEY_HELP)]
pub(crate) struct TokenKey {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: TokenKeyAction,
}

/// What `regnode token-key` does.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenKeyAction {
    /// List the keys: which one signs, and until when the others are believed.
    List(IdentityList),
    /// Make a new key and let the present ones retire.
    Rotate(TokenKeyRotate),
}

/// `regnode token-key rotate`.
#[derive(Debug, Args)]
pub(crate) struct TokenKeyRotate {
    /// How long the new key is known before it signs.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    pub(crate) signs_after: Duration,
    /// How long the present keys are still believed; without it, until all that they have signed is over.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) retire_after: Option<Duration>,
    /// The new key signs at once, and no other one is believed any more.
    #[arg(long, conflicts_with_all = ["signs_after", "retire_after"])]
    pub(crate) now: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
