//! Keys that the cluster signs its own tokens with (ES256).
//!
//! There is always one that signs, once there has been one: who adds a key says when it begins and when the others end,
//! and no key goes that would leave a gap.

use serde::{Deserialize, Serialize};
use storage::kv::Bytes;

use crate::time::Timestamp;

/// A key. Key: its random id; tokens name it in hexadecimal as `kid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyRecord {
    /// Public key, PKIX DER.
    pub public: Bytes,
    /// Private key, wrapped with the cluster key that each node keeps in its data directory.
    pub wrapped_private: Bytes,
    /// When it was added.
    pub created: Timestamp,
    /// It signs from this time on: by then every node knows it.
    pub signs_from: Timestamp,
    /// Not valid from this time on: neither does it sign, nor does what it has signed count.
    pub retires: Option<Timestamp>,
}

impl SigningKeyRecord {
    /// Whether tokens may be signed with it at a time.
    #[must_use]
    pub fn signs(&self, now: Timestamp) -> bool {
        self.signs_from <= now && self.is_valid(now)
    }

    /// Whether tokens that it has signed count at a time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.retires.is_none_or(|retires| now < retires)
    }
}

crate::versioned! {
    SigningKeyRecord = 1, "signing key record";
}
