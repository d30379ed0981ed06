//! What the directory keeps of keys, wrapped: each opens as what it is, for its cluster, and as nothing else.

use bytes::Bytes;

use crate::environment::Entropy;
use crate::identity::{AuthorityError, ClusterId, ClusterKey};

/// What the account at an authority is wrapped as.
const ACCOUNT: &[u8] = b" acme account ";
/// What the key of a domain's certificate is wrapped as.
const DOMAIN: &[u8] = b" domain key ";

/// Wraps and opens.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) cluster: ClusterId,
    pub(super) cluster_key: ClusterKey,
}

impl Keys {
    fn context(&self, kind: &[u8], name: &str) -> Vec<u8> {
        [self.cluster.0.as_slice(), kind, name.as_bytes()].concat()
    }

    pub(super) fn wrap_account(&self, entropy: &dyn Entropy, authority: &str, credentials: &[u8]) -> Bytes {
        self.cluster_key.wrap(entropy, &self.context(ACCOUNT, authority), credentials).into()
    }

    pub(super) fn account(&self, authority: &str, wrapped: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        self.cluster_key.unwrap(&self.context(ACCOUNT, authority), wrapped)
    }

    pub(super) fn wrap_domain(&self, entropy: &dyn Entropy, domain: &str, key: &[u8]) -> Bytes {
        self.cluster_key.wrap(entropy, &self.context(DOMAIN, domain), key).into()
    }

    pub(super) fn domain(&self, domain: &str, wrapped: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        self.cluster_key.unwrap(&self.context(DOMAIN, domain), wrapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::testing::{CLUSTER, Counting, cluster_key};

    #[test]
    fn a_key_opens_for_its_domain_only() {
        let keys = Keys { cluster: CLUSTER, cluster_key: cluster_key() };
        let entropy = Counting::default();
        let wrapped = keys.wrap_domain(&entropy, "a.example", b"secret");
        assert_eq!(keys.domain("a.example", &wrapped).unwrap(), b"secret");
        assert!(keys.domain("b.example", &wrapped).is_err() && keys.account("a.example", &wrapped).is_err());
        let elsewhere = Keys { cluster: ClusterId([9; 16]), ..keys };
        assert!(elsewhere.domain("a.example", &wrapped).is_err());
    }
}
