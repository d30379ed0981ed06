//! The data keys of a node with what is known of each, as they are inside the keyring file.

use std::collections::BTreeMap;

use raft::time::Timestamp;
use serde::{Deserialize, Serialize};
use storage::seal::{DataKey, KeyId, Keyring, UnknownKey};
use zeroize::{Zeroize as _, Zeroizing};

/// What all files are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The key that secrets are sealed under.
    pub key: KeyId,
    /// Whether databases and shard files are, too. Otherwise they are in the clear.
    pub content: bool,
}

impl Wanted {
    /// What databases and shard files lie under; `None`: in the clear.
    #[must_use]
    pub fn under(self) -> Option<KeyId> {
        self.content.then_some(self.key)
    }
}

/// A data key.
#[derive(Clone, Debug)]
pub(super) struct RingKey {
    pub(super) key: DataKey,
    /// When it was made.
    pub(super) since: Timestamp,
}

/// The data keys.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    keys: BTreeMap<KeyId, RingKey>,
    current: KeyId,
    /// What all files are, as far as it was seen last: nothing has to be looked for while it is what is wanted.
    pub(super) settled: Option<Wanted>,
}

/// The form inside the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    current: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settled: Option<StoredWanted>,
    key: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredWanted {
    key: String,
    content: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    id: String,
    since_milliseconds: u64,
    secret: String,
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl Ring {
    /// A ring of one key.
    pub(super) fn new(key: DataKey, since: Timestamp) -> Self {
        let current = key.id();
        Self { keys: BTreeMap::from([(current, RingKey { key, since })]), current, settled: None }
    }

    /// The key that is sealed with.
    pub(super) fn current(&self) -> &DataKey {
        &self.keys[&self.current].key
    }

    /// The key with this id.
    pub(super) fn get(&self, id: KeyId) -> Option<&DataKey> {
        self.keys.get(&id).map(|held| &held.key)
    }

    /// All keys, the oldest first.
    pub(super) fn keys(&self) -> Vec<&RingKey> {
        let mut keys: Vec<_> = self.keys.values().collect();
        keys.sort_by_key(|held| (held.since, held.key.id()));
        keys
    }

    /// Makes a key the one that is sealed with.
    pub(super) fn add(&mut self, key: DataKey, since: Timestamp) {
        self.current = key.id();
        self.keys.insert(self.current, RingKey { key, since });
    }

    /// Forgets all keys but the one that is sealed with.
    pub(super) fn forget_older(&mut self) {
        let current = self.current;
        self.keys.retain(|id, _| *id == current);
    }

    /// What storage is given: all keys, and the current one if content is to be sealed.
    pub(super) fn keyring(&self, content: bool) -> Result<Keyring, UnknownKey> {
        Keyring::new(self.keys.values().map(|held| held.key.clone()), content.then_some(self.current))
    }

    /// What all files are to be.
    pub(super) const fn wanted(&self, content: bool) -> Wanted {
        Wanted { key: self.current, content }
    }

    /// As it is inside the file.
    pub(super) fn encode(&self) -> Zeroizing<String> {
        let settled = self.settled.map(|Wanted { key, content }| StoredWanted { key: key.to_string(), content });
        let key = |held: &RingKey| StoredKey {
            id: held.key.id().to_string(),
            since_milliseconds: held.since.0,
            secret: hex::encode(held.key.secret()),
        };
        let stored =
            Stored { current: self.current.to_string(), settled, key: self.keys().into_iter().map(key).collect() };
        Zeroizing::new(toml::to_string(&stored).expect("texts and numbers are valid TOML"))
    }

    /// What was encoded; otherwise what is wrong with it.
    pub(super) fn decode(text: &str) -> Result<Self, String> {
        let stored: Stored = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let id = |text: &str| text.parse::<KeyId>().map_err(|error| error.to_string());
        let current = id(&stored.current)?;
        let settled = match stored.settled {
            None => None,
            Some(StoredWanted { key, content }) => Some(Wanted { key: id(&key)?, content }),
        };
        let mut keys = BTreeMap::new();
        for entry in stored.key {
            let mut secret = Zeroizing::new([0; DataKey::BYTES]);
            hex::decode_to_slice(entry.secret.as_bytes(), secret.as_mut()).map_err(|_| "a key is no key".to_owned())?;
            let key = DataKey::new(id(&entry.id)?, *secret);
            keys.insert(key.id(), RingKey { key, since: Timestamp(entry.since_milliseconds) });
        }
        if keys.contains_key(&current) {
            Ok(Self { keys, current, settled })
        } else {
            Err("the current key is not among its keys".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> DataKey {
        DataKey::new(KeyId([number; 16]), [number; 32])
    }

    #[test]
    fn a_ring_reads_back() {
        let mut ring = Ring::new(key(9), Timestamp(1));
        ring.add(key(2), Timestamp(2));
        let wanted = |content| Some(Wanted { key: KeyId([9; 16]), content });
        for settled in [None, wanted(false), wanted(true)] {
            ring.settled = settled;
            let read = Ring::decode(&ring.encode()).unwrap();
            assert_eq!(read.settled, settled);
            assert_eq!(read.current().id(), KeyId([2; 16]));
            assert_eq!(read.get(KeyId([9; 16])).unwrap().secret(), &[9; 32]);
            let since: Vec<_> = read.keys().iter().map(|held| (held.key.id().0[0], held.since.0)).collect();
            assert_eq!(since, [(9, 1), (2, 2)], "the oldest first");
        }
    }

    #[test]
    fn what_storage_is_given_seals_only_if_it_is_wanted() {
        let mut ring = Ring::new(key(1), Timestamp(1));
        ring.add(key(2), Timestamp(2));
        assert_eq!(ring.wanted(true).under(), Some(KeyId([2; 16])));
        assert_eq!(ring.keyring(true).unwrap().current().map(DataKey::id), Some(KeyId([2; 16])));
        assert_eq!(ring.wanted(false), Wanted { key: KeyId([2; 16]), content: false });
        let keyring = ring.keyring(false).unwrap();
        assert!(keyring.current().is_none() && keyring.get(KeyId([1; 16])).is_some());
        ring.forget_older();
        assert_eq!(ring.keyring(true).unwrap().ids().collect::<Vec<_>>(), [KeyId([2; 16])]);
    }

    #[test]
    fn nonsense_is_refused() {
        let ring = Ring::new(key(1), Timestamp(1));
        let text = ring.encode();
        for (from, to) in [
            ("current = \"01", "current = \"02"),
            ("secret = \"01", "secret = \"zz"),
            ("id = \"01", "id = \"0"),
            ("key", "keys"),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, *text);
            assert!(Ring::decode(&bad).is_err(), "{bad}");
        }
        assert!(!format!("{ring:?}").contains("secret"), "keys do not show their secrets");
    }
}
