//! What the local socket says and takes about the encryption of what a node keeps, as JSON.

use serde::{Deserialize, Serialize};

use crate::vault::Source;

/// How the node that answers encrypts what it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionAnswer {
    /// Version of this form.
    pub version: u32,
    /// The node.
    pub node: u64,
    /// What its keyring is wrapped by; none when it encrypts nothing.
    pub source: Option<String>,
    /// Whether databases and shard files are encrypted, and not only secrets.
    pub content: bool,
    /// How far the files are.
    pub state: EncryptionState,
    /// What is waited for.
    pub waits_for: Option<String>,
    /// Whether all shard files are counted in `files`.
    pub counted: bool,
    /// What lies under each key, the oldest first; without an id: in the clear.
    pub files: Vec<FilesUnderKey>,
}

/// How far the files of a node are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncryptionState {
    /// Nothing is encrypted.
    Off,
    /// Everything lies under the newest key, or in the clear if that is configured.
    Settled,
    /// Files are looked at and rewritten.
    Rewriting,
    /// Something cannot be rewritten yet.
    Waiting,
}

/// What lies under one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesUnderKey {
    /// Id of the key; none: in the clear.
    pub key: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub since_milliseconds: Option<u64>,
    /// Whether new files lie under it.
    pub newest: bool,
    /// Shard files.
    pub shards: u64,
    /// Their bytes.
    pub shard_bytes: u64,
    /// Bytes of the databases.
    pub database_bytes: u64,
}

/// Asks for the keyring to be wrapped by another source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewrapRequest {
    /// The source, as the node reaches it.
    pub source: Source,
}
