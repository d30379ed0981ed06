//! Why the keyring cannot be opened or changed. Each says the way out.

use std::io;
use std::path::PathBuf;

use storage::seal::UnknownKey;

use crate::environment::CommandError;

/// Why the keyring cannot be opened or changed. The keys in use stay what they were. After [`Io`](Self::Io) the file
/// may be written already and its copy not: the next start takes the file then, and writes the copy anew.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file system failed.
    #[error("keyring {path:?} cannot {action}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// There is a keyring and nothing to open it with.
    #[error(
        "{path:?} holds the keys of this node's files, but nothing in [encryption] says what opens it: name again what \
         has wrapped it ({wrapped_by}); to have the files in the clear again, name it and set encryption.content = false"
    )]
    NoSource {
        /// The keyring.
        path: PathBuf,
        /// Kind of source that has wrapped it.
        wrapped_by: String,
    },
    /// What is sealed is there, and the keyring is not.
    #[error(
        "{path:?} is gone, but {sealed:?} is encrypted with a key that it held: bring {path:?} back as it was, from a \
         backup of the data directory; if there is none, what this node keeps cannot be read any more: remove its whole \
         data directory and disks, and let the machine join anew with regnode join --replace"
    )]
    Lost {
        /// Where the keyring should be.
        path: PathBuf,
        /// What cannot be read without it.
        sealed: PathBuf,
    },
    /// The key is another one.
    #[error(
        "{source_name} does not give the key that {path:?} is wrapped with (by a {wrapped_by}): nothing was changed. \
         Bring back what was configured when the node ran last; another source is taken over while the node runs, by \
         regnode encryption rewrap"
    )]
    WrongKey {
        /// The keyring.
        path: PathBuf,
        /// Kind of source that has wrapped it.
        wrapped_by: String,
        /// What was tried.
        source_name: String,
    },
    /// The keyring is damaged, its copy too.
    #[error(
        "{path:?} is damaged, and so is its copy ({message}): bring one of them back from a backup of the data \
         directory; if there is none, what this node keeps cannot be read any more: remove its whole data directory and \
         disks, and let the machine join anew with regnode join --replace"
    )]
    Damaged {
        /// The keyring.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Another version of the program wrote it.
    #[error("{path:?} has version {found}, this program knows {known}: use the newer program")]
    Version {
        /// The keyring.
        path: PathBuf,
        /// Version found.
        found: u32,
        /// Version known.
        known: u32,
    },
    /// A key file or passphrase file cannot be read.
    #[error("{path:?}, which [encryption] names, cannot be read")]
    SourceFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read it.
    #[error("{path:?}, which [encryption] names, may be read by others (mode {mode:o}): chmod 600, and draw a new key")]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is another kind of file.
    #[error("{path:?}, which [encryption] names, is too long for a key or a passphrase")]
    SourceTooLong {
        /// The file.
        path: PathBuf,
    },
    /// The source has said something else.
    #[error("{source_name} does not give a key: {expected}")]
    Unusable {
        /// The source.
        source_name: String,
        /// What it is to give.
        expected: &'static str,
    },
    /// It says something else each time.
    #[error(
        "{source_name} gives another key each time that it is asked, and would not open the keyring again: nothing was \
         changed. It has to give the same 32 bytes always, of a key that is kept somewhere"
    )]
    Unsteady {
        /// The source.
        source_name: String,
    },
    /// The program that prints the key has not.
    #[error("encryption.key_command has given no key")]
    Command {
        /// Why.
        source: CommandError,
    },
    /// Nothing is encrypted.
    #[error("this node encrypts nothing: name a key in [encryption], and start it anew")]
    Off,
    /// There are so many keys already.
    #[error(
        "{0} older keys are still in use: wait until regnode encryption status shows that their files are rewritten"
    )]
    TooManyKeys(usize),
    /// A key is missing.
    #[error(transparent)]
    UnknownKey(#[from] UnknownKey),
}
