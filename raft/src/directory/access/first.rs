//! Who may do what in a cluster that was just founded.

use serde::{Deserialize, Serialize};
use storage::kv::Bytes;

/// What a cluster is founded with. The default is closed: nobody may anything but who has the local socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstAccess {
    /// Name and password (an argon2id hash in PHC form) of the operator, who has the role `operator` at the root.
    pub operator: Option<(String, String)>,
    /// Key that the cluster's tokens are signed with from the beginning.
    pub key: Option<NewSigningKey>,
    /// Role that everybody has at the root, also without credentials.
    pub anonymous: Option<String>,
}

/// A key that the cluster's tokens are to be signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSigningKey {
    /// Its random id.
    pub id: [u8; 8],
    /// Public key, PKIX DER.
    pub public: Bytes,
    /// Private key, wrapped with the cluster key.
    pub wrapped_private: Bytes,
}
