//! Secrets by which programs log in: a person's access keys, a robot's secrets. Of the secret itself a hash is kept.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One secret of a user or of a robot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRecord {
    /// Its random id, which the written secret begins with.
    pub id: [u8; 8],
    /// BLAKE3 of its 32 random bytes. They are random, so nothing slower is needed.
    pub hash: [u8; 32],
    /// What it is for, in the owner's words.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Not valid from this time on; none: until it is removed.
    pub expires: Option<Timestamp>,
    /// When it was last used, as far as the nodes have told. They tell it now and then.
    pub last_used: Option<Timestamp>,
}

impl SecretRecord {
    /// Whether it is valid at a time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}
