//! What this room's tests share.

use std::sync::atomic::{AtomicU64, Ordering};

use raft::directory::{NewSigningKey, SigningKeyRecord};
use raft::time::Timestamp;

use crate::access::{Records, Rights};
use crate::environment::Entropy;
use crate::identity::{ClusterId, ClusterKey};

/// The cluster.
pub(crate) const CLUSTER: ClusterId = ClusterId([5; 16]);

/// Its key.
pub(crate) const fn cluster_key() -> ClusterKey {
    ClusterKey([7; 32])
}

/// Random bytes that are other ones each time, the same in each run.
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&count.to_le_bytes());
        hasher.finalize_xof().fill(buffer);
    }
}

/// A key that signs from the beginning.
pub(crate) fn record(key: &NewSigningKey) -> SigningKeyRecord {
    SigningKeyRecord {
        public: key.public.clone(),
        wrapped_private: key.wrapped_private.clone(),
        created: Timestamp(0),
        signs_from: Timestamp(0),
        retires: None,
    }
}

/// Rights of nobody, with these keys.
pub(crate) fn rights_with_keys(keys: impl IntoIterator<Item = ([u8; 8], SigningKeyRecord)>) -> Rights {
    Rights::new(Records { signing_keys: keys.into_iter().collect(), ..Records::default() })
}
