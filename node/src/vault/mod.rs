//! The node's data keys: everything that it keeps may be encrypted under them, and they are kept in the keyring, a file
//! that is wrapped with a key from elsewhere.
//!
//! What holds: without the key that `[encryption]` names, a data directory and its disks give neither content nor names
//! nor the secrets of cluster and node. A node whose files are encrypted does not start without its keys, and never goes
//! on in the clear by accident. A key is forgotten only when nothing lies under it any more. Nothing here keeps who may
//! read the memory of the process, or write to its disks, from anything.
//!
//! `source` is where the wrapping key comes from, `keyring` the file, `ring` what is in it, `open` the start, `sealed`
//! the node's own secrets; [`crate::reseal`] brings older files under the newest key.

mod cipher;
mod error;
mod keyring;
mod open;
mod ring;
mod sealed;
mod source;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use raft::time::Timestamp;
use storage::seal::KeyId;
use zeroize::Zeroizing;

pub use error::VaultError;
pub use ring::Wanted;
pub use source::Source;

use self::keyring::Wrapping;
use self::ring::Ring;
use crate::environment::Environment;

/// The keyring in the identity directory.
const KEYRING: &str = "keyring";
/// The same once more: losing it loses all that the node keeps.
const COPY: &str = "keyring.copy";
/// Most older keys at a time.
const OLDER_KEYS_MAX: usize = 8;

/// The data keys of a node, or that it has none. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Vault {
    shared: Option<Arc<Shared>>,
}

/// An opened keyring.
struct Shared {
    /// Its keys are those that engines and disks have clones of.
    environment: Environment,
    directory: PathBuf,
    /// Whether databases and shard files are encrypted, too.
    content: bool,
    /// What readers see. It is replaced as a whole once it is durable: nobody who reads waits for a disk.
    known: ArcSwap<Known>,
    /// What the keyring is written again with. Whoever changes something has it, from the look at what is known until the
    /// change is durable.
    wrapping: Mutex<Wrapping>,
}

/// What was opened, or written last.
struct Known {
    source: Source,
    ring: Ring,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// A data key as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// Its id.
    pub id: KeyId,
    /// When it was made.
    pub since: Timestamp,
    /// Whether new files are sealed under it.
    pub current: bool,
}

/// Why a secret cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Locked {
    /// It lies under a key that the keyring does not hold.
    NoKey(KeyId),
    /// It is not what was written.
    Damaged,
}

impl Vault {
    /// Nothing is encrypted.
    #[must_use]
    pub const fn none() -> Self {
        Self { shared: None }
    }

    /// Whether secrets are encrypted.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether databases and shard files are encrypted, too.
    #[must_use]
    pub fn seals_content(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.content)
    }

    /// What the keyring is wrapped by, as people call it.
    #[must_use]
    pub fn source(&self) -> Option<String> {
        Some(self.shared.as_ref()?.known.load().source.to_string())
    }

    /// All keys, the oldest first.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyReport> {
        let Some(shared) = &self.shared else { return Vec::new() };
        let known = shared.known.load();
        let current = known.ring.current().id();
        let report =
            |key: &ring::RingKey| KeyReport { id: key.key.id(), since: key.since, current: key.key.id() == current };
        known.ring.keys().into_iter().map(report).collect()
    }

    /// What all files are to be; `None` when nothing was ever encrypted.
    #[must_use]
    pub fn wanted(&self) -> Option<Wanted> {
        let shared = self.shared.as_ref()?;
        Some(shared.known.load().ring.wanted(shared.content))
    }

    /// Whether all files were seen to be as they are wanted, and no older key is left.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let Some(shared) = &self.shared else { return true };
        let known = shared.known.load();
        known.ring.settled == Some(known.ring.wanted(shared.content)) && known.ring.keys().len() == 1
    }

    /// Remembers that all files were seen to be as they are wanted, and forgets the older keys: nothing lies under them.
    /// Does nothing if something else is wanted by now. Blocks.
    ///
    /// # Errors
    /// [`VaultError`] when the keyring cannot be written.
    pub(crate) fn settle(&self, seen: Wanted) -> Result<(), VaultError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let wrapping = shared.wrapping();
        let mut ring = shared.known.load().ring.clone();
        if ring.wanted(shared.content) != seen {
            return Ok(());
        }
        ring.settled = Some(seen);
        ring.forget_older();
        shared.put(&wrapping, ring)
    }

    /// Makes a new data key, under which everything new is sealed from now on. It is durable when this returns.
    ///
    /// # Errors
    /// [`VaultError`]; the keys in use, and what wraps them, are the same then.
    pub async fn rotate(&self) -> Result<KeyId, VaultError> {
        let shared = Arc::clone(self.shared.as_ref().ok_or(VaultError::Off)?);
        let exec = shared.environment.exec;
        exec.run(move || {
            let wrapping = shared.wrapping();
            let mut ring = shared.known.load().ring.clone();
            let older = ring.keys().len() - 1;
            if older >= OLDER_KEYS_MAX {
                return Err(VaultError::TooManyKeys(older));
            }
            ring.add(open::new_key(shared.environment.entropy.as_ref()), shared.environment.clock.now());
            let id = ring.current().id();
            shared.put(&wrapping, ring)?;
            Ok(id)
        })
        .await
    }

    /// Wraps the keyring with what another source gives. From the next start on that one has to be configured.
    ///
    /// # Errors
    /// [`VaultError`]; the keys in use, and what wraps them, are the same then.
    pub async fn rewrap(&self, source: Source) -> Result<(), VaultError> {
        let shared = Arc::clone(self.shared.as_ref().ok_or(VaultError::Off)?);
        let said = source.ask_for_new(&shared.environment).await?;
        let exec = shared.environment.exec;
        exec.run(move || {
            let new = Wrapping::new(&source, &said, shared.environment.entropy.as_ref());
            let mut wrapping = shared.wrapping();
            let ring = shared.known.load().ring.clone();
            shared.write(&new, &ring)?;
            *wrapping = new;
            shared.known.store(Arc::new(Known { source, ring }));
            Ok(())
        })
        .await
    }

    /// What to write for the secret file of this name. Without a vault the content itself.
    pub(crate) fn seal(&self, name: &str, content: &[u8]) -> Vec<u8> {
        let Some(shared) = &self.shared else { return content.to_vec() };
        sealed::seal(shared.known.load().ring.current(), name, content, shared.environment.entropy.as_ref())
    }

    /// The content of the secret file of this name, which may be in the clear.
    pub(crate) fn unseal(&self, name: &str, content: &[u8]) -> Result<Zeroizing<Vec<u8>>, Locked> {
        let opened = match &self.shared {
            None => sealed::open(|_| None, name, content),
            Some(shared) => {
                let known = shared.known.load();
                sealed::open(|id| known.ring.get(id), name, content)
            }
        };
        opened.map_err(|refused| match refused {
            sealed::Refused::NoKey(id) => Locked::NoKey(id),
            sealed::Refused::Damaged => Locked::Damaged,
        })
    }

    /// Whether a secret file is as it would be written now.
    pub(crate) fn is_current(&self, content: &[u8]) -> bool {
        let Some(shared) = &self.shared else { return true };
        sealed::lies_under(content) == Some(Ok(shared.known.load().ring.current().id()))
    }
}

impl Shared {
    /// Taken by whoever changes something, until that is written.
    fn wrapping(&self) -> MutexGuard<'_, Wrapping> {
        self.wrapping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes other keys, then takes them into use: first for what is sealed, then for what is said.
    fn put(&self, wrapping: &Wrapping, ring: Ring) -> Result<(), VaultError> {
        let keyring = ring.keyring(self.content)?;
        self.write(wrapping, &ring)?;
        self.environment.keys.swap(keyring);
        let source = self.known.load().source.clone();
        self.known.store(Arc::new(Known { source, ring }));
        Ok(())
    }

    /// Writes the keyring, then its copy. A crash leaves each of them as it was or as it is to be.
    fn write(&self, wrapping: &Wrapping, ring: &Ring) -> Result<(), VaultError> {
        let text = wrapping.wrap(ring, self.environment.entropy.as_ref());
        self.replace(KEYRING, text.as_bytes())?;
        self.replace(COPY, text.as_bytes())
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<(), VaultError> {
        let path = self.directory.join(name);
        self.environment.files.replace(&path, content).map_err(|source| VaultError::Io {
            path,
            action: "be written",
            source,
        })
    }
}
