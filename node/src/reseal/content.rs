//! What is rewritten, as the loop sees it: databases, secrets, and shard files by disk and page. A trait, so that the
//! tests run without any of them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use storage::seal::KeyId;
use storage::shard::{DiskId, ShardName};

use crate::environment::BoxFuture;

/// Bytes by the key that they lie under; `None`: in the clear.
pub type BytesByKey = BTreeMap<Option<KeyId>, u64>;

/// Why something cannot be looked at or rewritten now, for people.
pub(super) type Trouble = String;

/// Why the databases were not rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It takes more free space than there is. Nothing came of it, and next to no work was done.
    NoRoom(Trouble),
    /// Anything else.
    Other(Trouble),
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self::Other(trouble)
    }
}

/// A shard file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: ShardName,
    /// Length of the file.
    pub(super) bytes: u64,
    /// The key that it lies under; `None`: in the clear.
    pub(super) under: Option<KeyId>,
}

/// A file of a database that is not as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OlderFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// What a node keeps.
pub(super) trait Content: Debug + Send + Sync + 'static {
    /// Writes those secrets anew that do not lie under the newest key.
    fn seal_secrets(&self) -> BoxFuture<'_, Result<(), Trouble>>;

    /// Writes those databases anew of which something does not lie under this key. Ends early when the future is dropped.
    fn rewrite_databases(&self, under: Option<KeyId>) -> BoxFuture<'_, Result<(), Failed>>;

    /// The databases' files that do not lie under this key.
    fn older_files(&self, under: Option<KeyId>) -> BoxFuture<'_, Result<Vec<OlderFile>, Trouble>>;

    /// What lies in the databases' files.
    fn databases(&self) -> BoxFuture<'_, Result<BytesByKey, Trouble>>;

    /// The disks that are in use.
    fn disks(&self) -> Vec<DiskId>;

    /// A number that is another one after a disk was taken into use or out of it.
    fn generation(&self) -> u64;

    /// Disks that the node is known to have and that are not there, for people.
    fn absent(&self) -> Vec<String>;

    /// Files and bytes of all shards that the catalog places on this node.
    fn totals(&self) -> (u64, u64);

    /// The shard files of a page of a disk.
    fn list(&self, disk: DiskId, page: u8) -> BoxFuture<'_, Result<Vec<Found>, Trouble>>;

    /// Whether the catalog places the shard there: nobody writes to it any more then.
    fn is_placed(&self, disk: DiskId, name: &ShardName) -> Result<bool, Trouble>;

    /// Writes a shard anew. One that is gone meanwhile is no trouble.
    fn reseal(&self, disk: DiskId, name: ShardName) -> BoxFuture<'_, Result<(), Trouble>>;
}
