//! The command line: every command, option and default, as `--help` shows them. What operators do to a running cluster
//! is in `operations`.

mod access;
mod audit;
mod authority;
mod certificate;
mod deletion;
mod domain;
mod encryption;
mod group;
mod identity_text;
mod issuer;
mod login;
mod moving;
mod namespace;
mod operations;
mod policy_text;
mod region;
mod replication;
mod residency;
mod robot;
mod user;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub(crate) use access::*;
pub(crate) use audit::*;
pub(crate) use authority::*;
pub(crate) use certificate::*;
pub(crate) use deletion::*;
pub(crate) use domain::*;
pub(crate) use encryption::*;
pub(crate) use group::*;
pub(crate) use issuer::*;
pub(crate) use login::*;
pub(crate) use moving::*;
pub(crate) use namespace::*;
pub(crate) use operations::*;
pub(crate) use policy_text::{Target, root_or};
pub(crate) use region::*;
pub(crate) use replication::*;
pub(crate) use residency::*;
pub(crate) use robot::*;
pub(crate) use user::*;

/// Text behind the help of the whole program.
const AFTER_HELP: &str = "\
Exit codes:
  0  done; for `status`: healthy
  1  the command failed; the message says why and what to do; `residency verify`: data rests where it may not;
     `access explain`: denied; `audit verify`: records were altered or are missing
  2  the command line or the configuration is wrong; `residency verify`, `audit`: not everything could be looked at;
     `access explain`: it could not be found out
  3  no node answers: it is not running, or not on this data directory
  4  `status`: the cluster serves but needs attention; `fsck`: something cannot be read
  5  `status` only: the cluster does not serve
  6  the cluster refused: it would break what it promises; the message says what
  7  this node was removed from the cluster: do not start it again

First steps:
  regnode dev --nodes 3                 a local cluster to try things with
  regnode init                          found a cluster on the first machine; shows how to log in, once
  regnode join HOST:7000 --token TOKEN  add this machine to it

Who may do what (nobody may anything that is not granted):
  regnode user add alice                            a person, who logs in with docker login -u alice
  regnode robot add ci --expires 90d                a program; its secret is shown once
  regnode access grant user:alice writer acme       alice may pull, push and tag what is below acme/
  regnode access grant anonymous reader public      everybody may pull what is below public/
  regnode access explain user:alice push acme/app   whether she may, and which rule decides

From another machine:
  regnode login https://registry.example.org --browser
                                                    log in, or with --username NAME
  regnode --server https://registry.example.org status
                                                    as any other command; what you may, the rules say

When machines and disks fail (the handbook has a page for each):
  regnode status                                    what is wrong, and what to do
  regnode join HOST:7000 --token TOKEN --replace n3 this machine takes the place of n3
  regnode drain n3 --wait; regnode leave n3         take n3 out of the cluster
  regnode disk list                                 disks, their health and what they hold
  regnode ca rotate --wait                          a machine was stolen: what its keys sign counts no more

When the cluster spans sites:
  regnode init --region eu                          the first region, with its first node
  regnode region add us; regnode token --region us  a further one, and what its first machine runs
  regnode region list                               which regions answer, and which ones the directory can lose
  regnode namespace set acme --copies us            have a copy made in another region
  regnode replication status                        how far the copies have come
  regnode residency verify                          look on every disk that data rests where it may

What is deleted, and what that frees:
  regnode namespace set acme --immutable 'v*'       what may be deleted, for how long it is kept, quotas
  regnode delete acme/app --tags 'pr-*' --dry-run   many tags at once
  regnode undelete acme/app:v1.2                    bring a deleted tag back
  regnode gc status                                 what waits to be freed, and when";

/// A replicated container registry in one binary.
#[derive(Debug, Parser)]
#[command(name = "regnode", version, about, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Arguments {
    /// How it is sent over the network.
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a throw-away local cluster without any configuration.
    Dev(Dev),
    /// Found a cluster on this machine, print how others join it, and serve.
    Init(Init),
    /// Join this machine to a cluster, and serve.
    Join(Join),
    /// Serve: run the node whose data directory was prepared by `init` or `join`.
    Serve(Serve),
    /// Make a one-time token with which another machine may join.
    Token(Token),
    /// Say how the cluster is: nodes, groups, disks, redundancy, and a verdict.
    Status(Status),
    /// List the nodes: what they hold, whether they vote, how far they are emptied.
    Nodes(Nodes),
    /// Empty a node: its shards, its leadership and its vote move to the others. Reversible.
    Drain(Drain),
    /// Let a node leave the cluster for good.
    Leave(Leave),
    /// List disks, and take them in and out of use.
    Disk(Disk),
    /// Say what is being rebuilt.
    Repair(Repair),
    /// Read every block of disks again, and say what was found.
    Scrub(Scrub),
    /// Name what cannot be read: digests, and the repositories and tags that need them.
    Fsck(Fsck),
    /// Say how equally full the disks are, and what moves.
    Rebalance(Rebalance),
    /// Add, list, describe and retire regions: sites of one cluster.
    Region(Region),
    /// Say how far the copies of namespaces in other regions have come.
    Replication(Replication),
    /// Prove where data rests: look through every node and disk.
    Residency(Residency),
    /// Set what holds below a prefix of repository names: deleting, immutable tags, retention, quotas.
    Namespace(Namespace),
    /// Add, change and remove users, and their personal access keys.
    User(User),
    /// Add, change and remove robots: programs that log in.
    Robot(Robot),
    /// List and renew the registry's certificates from an ACME authority.
    Certificate(Certificate),
    /// What a node keeps encrypted: under which keys, and new ones.
    Encryption(Encryption),
    /// Let domains stand for namespaces: list them, add one, take one out of use.
    Domain(Domain),
    /// Add and remove groups, and say who belongs to them.
    Group(Group),
    /// Say what may be done at once.
    Role(Role),
    /// Grant and deny, list the rules, and say which one decides.
    Access(Access),
    /// Say whose tokens from outside are believed.
    Issuer(Issuer),
    /// List and rotate the keys that the cluster's own tokens are signed with.
    TokenKey(TokenKey),
    /// Say how the certificates stand by which nodes know each other, and change their authority.
    Ca(Ca),
    /// Say what is to be freed and when.
    Gc(Gc),
    /// Say what namespaces and repositories hold, and what they may.
    Usage(Usage),
    /// Look at what the retention rules would delete, or carry them out now.
    Retention(Retention),
    /// Delete many tags of a repository in the background.
    Delete(Delete),
    /// List, watch and cancel deletion jobs.
    Job(Job),
    /// Say who set a tag when, and to what.
    History(History),
    /// Restore a deleted tag or manifest.
    Undelete(Undelete),
    /// Who did what: follow, search, export and verify the audit logs of all nodes.
    Audit(Audit),
    /// Log in at a registry, to administer it over the network.
    Login(Login),
    /// Forget a login.
    Logout(Logout),
    /// Say who you are to the node that is asked, and what you may in the whole registry.
    Whoami(Whoami),
    /// Show, check and explain the configuration.
    Config(Config),
    /// Print shell completions, for example: regnode completions bash > /etc/bash_completion.d/regnode
    Completions(Completions),
}

/// Options that say how a node runs. Each stands above the environment, which stands above the file.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct NodeOptions {
    /// Configuration file (TOML). Without it, /etc/regnode/regnode.toml is read if it exists.
    #[arg(long, value_name = "FILE", env = "REGNODE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Directory for identity, metadata and, unless configured otherwise, blobs.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address on which clients are served, HOST:PORT.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Address on which peers are served, HOST:PORT.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) peer_listen: Option<String>,
    /// Address that peers are told to reach this node at, if it is not the one it listens on.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) peer_advertise: Option<String>,
    /// Name of this node, for people.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Rack or room of this node; placement spreads over zones.
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// Any configuration key, for example --set log.format=json. See `regnode config reference`.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(crate) settings: Vec<(String, String)>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("KEY=VALUE is expected, for example log.format=json".to_owned()),
    }
}

/// `regnode dev`.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Number of nodes, each a process of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) nodes: u16,
    /// Address of the first node; the others take the ports behind it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    pub(crate) listen: std::net::SocketAddr,
    /// Directory for all data, one folder per node. It is kept, and continued by the next run.
    #[arg(long, value_name = "DIR", default_value = "regnode-data")]
    pub(crate) data_dir: PathBuf,
    /// Any configuration key, for all nodes, for example --set log.level=debug.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(crate) settings: Vec<(String, String)>,
    /// Print commands to try once all nodes serve.
    #[arg(long)]
    pub(crate) show_examples: bool,
    /// Let everybody who reaches the cluster do what this role allows, without a login. Counts when the cluster is new.
    #[arg(long, value_name = "ROLE", value_parser = built_in_role)]
    pub(crate) anonymous: Option<String>,
}

fn built_in_role(text: &str) -> Result<String, String> {
    if raft::directory::built_in_role(text).is_some() {
        return Ok(text.to_owned());
    }
    let names = raft::directory::BUILT_IN_ROLES.map(|(name, _)| name);
    Err(format!("one of {} is expected", names.join(", ")))
}

/// Text behind the help of `regnode init`.
const INIT_HELP: &str = "\
The cluster is closed: the operator's account may everything, and nobody else may anything until it is granted to him. The
operator's password is made up and shown once, unless it is read from a file; it is written nowhere. Whoever may use the
socket in the data directory gives the account another one with regnode user password.

Over the network the cluster's rules decide what somebody may, images and administration alike: regnode login URL, then
regnode --server URL COMMAND. Whoever may use the socket in the data directory of a node may everything there.

Examples:
  regnode init --data-dir /var/lib/regnode --listen 10.0.0.1:5000 --peer-listen 10.0.0.1:7000
  regnode init --operator carol --operator-password-file /run/secrets/carol
  regnode init --anonymous reader       everybody may pull, also without a login";

/// `regnode init`.
#[derive(Debug, Args)]
#[command(after_help = INIT_HELP)]
pub(crate) struct Init {
    /// How the node runs.
    #[command(flatten)]
    pub(crate) node: NodeOptions,
    /// Name of the first region.
    #[arg(long, value_name = "REGION", default_value = "main")]
    pub(crate) region: String,
    /// Name of the operator's account.
    #[arg(long, value_name = "NAME", default_value = "admin", value_parser = identity_text::user_name)]
    pub(crate) operator: String,
    /// The operator's password is the line in this file. Without it, one is made up and shown once.
    #[arg(long, value_name = "FILE")]
    pub(crate) operator_password_file: Option<PathBuf>,
    /// Let everybody who reaches the cluster do what this role allows, everywhere and without a login: reader, writer,
    /// maintainer, owner, auditor or operator.
    #[arg(long, value_name = "ROLE", value_parser = built_in_role)]
    pub(crate) anonymous: Option<String>,
    /// Stop once the cluster is founded, for a service manager to run `regnode serve`.
    #[arg(long)]
    pub(crate) exit: bool,
}

/// `regnode join`.
#[derive(Debug, Args)]
pub(crate) struct Join {
    /// Peer addresses of nodes of the cluster, HOST:PORT; any one will do.
    #[arg(value_name = "ADDRESS", required = true)]
    pub(crate) addresses: Vec<String>,
    /// The one-time token, from `regnode token` on a node of the cluster.
    #[arg(long, value_name = "TOKEN", env = "REGNODE_JOIN_TOKEN", hide_env_values = true)]
    pub(crate) token: String,
    /// How the node runs.
    #[command(flatten)]
    pub(crate) node: NodeOptions,
    /// Name of the region to join. It may be left out where there is only one, and with --replace.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Take the place of this node, named by name or id: it is emptied and removed, at once if it is dead. The name and
    /// the address may be the old ones; the id is a new one.
    #[arg(long, value_name = "OLD")]
    pub(crate) replace: Option<String>,
    /// Stop once the node has joined and serves, for a service manager to run `regnode serve`.
    #[arg(long)]
    pub(crate) exit: bool,
}

/// `regnode serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// How the node runs.
    #[command(flatten)]
    pub(crate) node: NodeOptions,
}

/// Which node a command speaks to.
#[derive(Debug, Args)]
pub(crate) struct LocalNode {
    /// Configuration file (TOML) of the node on this machine.
    #[arg(long, value_name = "FILE", env = "REGNODE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory of the node on this machine; its socket is there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// `regnode token`.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The node to ask.
    #[command(flatten)]
    pub(crate) node: LocalNode,
    /// How long the token is good for, for example 30m or 2h.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) lifetime: Duration,
    /// Name of the region that the machine is to join, if it is not that of the node that is asked.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `regnode status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The node to ask.
    #[command(flatten)]
    pub(crate) node: LocalNode,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `regnode config`.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// What to show.
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

/// What `regnode config` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Print every key with its type, default and meaning.
    Reference,
    /// Print a configuration file with all defaults, commented out.
    Example,
    /// Read the configuration as `serve` would, and say whether it is right.
    Check(NodeOptions),
    /// Print the configuration in force, from file, environment and options.
    Show(NodeOptions),
}

/// `regnode completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn settings_need_a_key_and_a_value() {
        assert_eq!(key_and_value("a.b = c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert!(key_and_value("a.b").is_err());
        assert!(key_and_value("=c").is_err());
    }
}
