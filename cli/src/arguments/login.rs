//! The command line of logins at registries: `regnode login`, `regnode logout`, `regnode whoami`, and how every command is sent
//! to a registry over the network.

use std::path::PathBuf;

use clap::Args;

use super::Ask;

/// How a command is sent to a registry over the network.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Over the network")]
pub(crate) struct Remote {
    /// Ask this registry, `https://HOST[:PORT]`, instead of the node on this machine, with the login of `regnode login`. In
    /// scripts: REGNODE_SERVER.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Authorities that the registry's certificate may come from, PEM, instead of the system's. In scripts: REGNODE_CA.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// Text behind the help of `regnode login`.
const LOGIN_HELP: &str = "\
What is kept is a token that lasts some hours (admin.session_hours), in regnode/logins.json in the folder of your
configurations; never the password. What you may do is asked of the cluster's rules with every command.

Examples:
  regnode login https://registry.example.org --username alice
  regnode login https://registry.example.org --browser
  regnode login https://registry.example.org --username robot+ops --password-stdin < secret
  regnode --server https://registry.example.org namespace set acme --immutable 'v*'";

/// `regnode login`.
#[derive(Debug, Args)]
#[command(after_help = LOGIN_HELP)]
pub(crate) struct Login {
    /// The registry, `https://HOST[:PORT]`.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Log in with a password, or a robot's secret: a user's name, or robot+NAME.
    #[arg(long, short, value_name = "NAME", required_unless_present = "browser", conflicts_with = "browser")]
    pub(crate) username: Option<String>,
    /// Read the password from standard input.
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,
    /// Log in by the browser, where the registry's people log in.
    #[arg(long)]
    pub(crate) browser: bool,
    /// Only print the address that the browser is to open.
    #[arg(long, requires = "browser")]
    pub(crate) no_open: bool,
    /// The issuer to log in at, where the registry has several, by its name there.
    #[arg(long, value_name = "NAME", requires = "browser")]
    pub(crate) issuer: Option<String>,
    /// What the issuer is asked to tell of you.
    #[arg(long, value_name = "SCOPES", default_value = "openid profile email", requires = "browser")]
    pub(crate) scopes: String,
}

/// `regnode logout`.
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// The registry, `https://HOST[:PORT]`.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
}

/// `regnode whoami`.
#[derive(Debug, Args)]
pub(crate) struct Whoami {
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
