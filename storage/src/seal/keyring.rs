//! The data keys that a node knows, and which one it seals with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{DataKey, KeyId};

/// A key that is asked for and that the keyring does not hold. Whoever has read its id from a file names the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is encrypted with key {0}, which this node's keyring does not hold: start the node with the keyring that it had \
     (encryption.*)"
)]
pub struct UnknownKey(pub KeyId);

/// All data keys of a node. Older ones open what was sealed under them.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    current: Option<KeyId>,
    keys: BTreeMap<KeyId, DataKey>,
}

impl Keyring {
    /// No keys: new files are written in the clear.
    #[must_use]
    pub fn clear() -> Self {
        Self::default()
    }

    /// These keys; new files are sealed under `current`, or written in the clear without one.
    ///
    /// # Errors
    /// [`UnknownKey`] when `current` is none of the keys.
    pub fn new(keys: impl IntoIterator<Item = DataKey>, current: Option<KeyId>) -> Result<Self, UnknownKey> {
        let keys: BTreeMap<KeyId, DataKey> = keys.into_iter().map(|key| (key.id(), key)).collect();
        match current {
            Some(id) if !keys.contains_key(&id) => Err(UnknownKey(id)),
            _ => Ok(Self { current, keys }),
        }
    }

    /// The key that new files are sealed under; `None`: they are written in the clear.
    #[must_use]
    pub fn current(&self) -> Option<&DataKey> {
        self.get(self.current?)
    }

    /// The key with this id.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<&DataKey> {
        self.keys.get(&id)
    }

    /// Ids of all keys, in order.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.keys.keys().copied()
    }
}

/// Fills a buffer with random bytes, from any thread.
type Random = dyn Fn(&mut [u8]) + Send + Sync;

/// The keyring of a running node, and where the random part of each file's own key comes from. Clones share the keyring.
#[derive(Clone)]
pub struct Keys {
    keyring: Arc<ArcSwap<Keyring>>,
    /// `None`: nothing will be sealed.
    random: Option<Arc<Random>>,
}

impl Keys {
    /// A keyring that can be swapped, and a source of random bytes: the environment's entropy. The bytes must differ
    /// from file to file, else two files are sealed under one key.
    #[must_use]
    pub fn new(keyring: Keyring, random: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self { keyring: Arc::new(ArcSwap::from_pointee(keyring)), random: Some(Arc::new(random)) }
    }

    /// No keys: everything is written in the clear, for good, and nothing that is sealed can be read.
    #[must_use]
    pub fn clear() -> Self {
        Self { keyring: Arc::default(), random: None }
    }

    /// The present keyring.
    #[must_use]
    pub fn load(&self) -> Arc<Keyring> {
        self.keyring.load_full()
    }

    /// Puts another keyring in place, for all clones. It should hold every key that any file is still sealed under.
    ///
    /// # Panics
    /// When the keyring has a current key and this value is [`clear`](Self::clear): it has no random bytes to seal with.
    pub fn swap(&self, keyring: Keyring) {
        assert!(self.random.is_some() || keyring.current().is_none(), "keys without random bytes seal nothing");
        self.keyring.store(Arc::new(keyring));
    }

    /// The key that a new file is sealed under, and the random bytes that make the file's own key of it; `None`: the file
    /// is written in the clear.
    pub(crate) fn for_new_file(&self) -> Option<(DataKey, [u8; 32])> {
        let random = self.random.as_ref()?;
        let key = self.load().current()?.clone();
        let mut salt = [0; 32];
        random(&mut salt);
        Some((key, salt))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Keys").field(&self.load()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> DataKey {
        DataKey::new(KeyId([number; 16]), [number; 32])
    }

    #[test]
    fn the_current_key_is_one_of_the_ring() {
        let ring = Keyring::new([key(1), key(2)], Some(KeyId([2; 16]))).unwrap();
        assert_eq!(ring.current().map(DataKey::id), Some(KeyId([2; 16])));
        assert_eq!(ring.ids().collect::<Vec<_>>(), [KeyId([1; 16]), KeyId([2; 16])]);
        let unknown = Keyring::new([key(1)], Some(KeyId([3; 16]))).unwrap_err();
        assert_eq!(unknown, UnknownKey(KeyId([3; 16])));
    }

    #[test]
    fn a_ring_without_a_current_key_still_opens() {
        let ring = Keyring::new([key(1)], None).unwrap();
        assert!(ring.current().is_none());
        assert!(ring.get(KeyId([1; 16])).is_some());
        assert!(Keyring::clear().current().is_none());
    }

    #[test]
    #[should_panic(expected = "seal nothing")]
    fn keys_that_are_clear_take_no_current_key() {
        assert!(Keys::clear().for_new_file().is_none());
        Keys::clear().swap(Keyring::new([key(1)], Some(KeyId([1; 16]))).unwrap());
    }

    #[test]
    fn a_swapped_ring_is_seen_through_every_clone() {
        let keys = Keys::new(Keyring::clear(), |bytes| bytes.fill(7));
        let clone = keys.clone();
        keys.swap(Keyring::new([key(1)], Some(KeyId([1; 16]))).unwrap());
        assert_eq!(clone.load().current().map(DataKey::id), Some(KeyId([1; 16])));
        let (key, salt) = clone.for_new_file().unwrap();
        assert_eq!((key.id(), salt), (KeyId([1; 16]), [7; 32]));
    }
}
