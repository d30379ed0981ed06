//! The command line of the encryption of what a node keeps.

use clap::{Args, Subcommand};

use super::Ask;

/// Text behind the help of `regnode encryption`.
const ENCRYPTION_HELP: &str = "\
A node encrypts what it keeps when its configuration names a key ([encryption]: key_file, passphrase_file or key_command).
That key wraps the node's keyring, and the keyring holds the data keys of its files. Each node has its own.

Examples:
  regnode encryption status                 what lies under which key
  regnode encryption rotate --wait          a new data key; older files are rewritten in the background
  regnode encryption rewrap                 after [encryption] names another key: wrap the keyring with that one,
                                            while the node still runs with the old one";

/// `regnode encryption`.
#[derive(Debug, Args)]
#[command(after_help = ENCRYPTION_HELP)]
pub(crate) struct Encryption {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: EncryptionAction,
}

/// What `regnode encryption` does.
#[derive(Debug, Subcommand)]
pub(crate) enum EncryptionAction {
    /// Say what wraps the keyring, which data keys there are, and what lies under each.
    Status(EncryptionStatus),
    /// Make a new data key for everything new, and rewrite older files in the background.
    Rotate(EncryptionRotate),
    /// Wrap the keyring with the key that the configuration names now. It is asked on the node's own machine, which has to
    /// run: it still has the keys.
    Rewrap(EncryptionRewrap),
}

/// `regnode encryption status`.
#[derive(Debug, Args)]
pub(crate) struct EncryptionStatus {
    /// The node, by name or id; the node on this machine if it is left out.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode encryption rotate`.
#[derive(Debug, Args)]
pub(crate) struct EncryptionRotate {
    /// The node, by name or id; the node on this machine if it is left out.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Wait until nothing lies under an older key. It goes on without this command too.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}

/// `regnode encryption rewrap`.
#[derive(Debug, Args)]
pub(crate) struct EncryptionRewrap {
    /// How to ask.
    #[command(flatten)]
    pub(crate) ask: Ask,
}
