//! The keys that tokens are signed with: ECDSA on P-256, public in the directory, private there only wrapped with the
//! cluster key, so that every node signs and nobody else does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jsonwebtoken::{DecodingKey, EncodingKey};
use raft::directory::{NewSigningKey, SigningKeyRecord};
use raft::time::Timestamp;
use serde_json::{Value, json};

use crate::access::Rights;
use crate::environment::Entropy;
use crate::identity::{AuthorityError, ClusterId, ClusterKey, SigningKey, signing_point};

/// Length of each coordinate of a public key's point.
const COORDINATE_BYTES: usize = 32;
/// What a key is wrapped as, so that it opens as nothing else.
const CONTEXT: &[u8] = b" token signing key ";

/// Id of a signing key. Tokens name it in hexadecimal.
pub(super) type KeyId = [u8; 8];

/// A fresh key to sign tokens with, as the directory keeps it.
///
/// # Errors
/// When the library that makes keys fails.
pub fn new_signing_key(
    entropy: &dyn Entropy,
    cluster: ClusterId,
    cluster_key: &ClusterKey,
) -> Result<NewSigningKey, AuthorityError> {
    let key = SigningKey::generate()?;
    let mut id = [0; 8];
    entropy.fill(&mut id);
    let wrapped = cluster_key.wrap(entropy, &context(cluster, id), &key.private);
    Ok(NewSigningKey { id, public: Bytes::from(key.public), wrapped_private: Bytes::from(wrapped) })
}

/// A key stands for one id of one cluster.
fn context(cluster: ClusterId, id: KeyId) -> Vec<u8> {
    [cluster.0.as_slice(), CONTEXT, &id].concat()
}

/// Opens and finds the keys. Holds none: those of the directory count, at each moment.
#[derive(Debug)]
pub(super) struct Keys {
    cluster: ClusterId,
    /// None where nodes have no certificates: there nobody signs.
    cluster_key: Option<ClusterKey>,
}

impl Keys {
    pub(super) const fn new(cluster: ClusterId, cluster_key: Option<ClusterKey>) -> Self {
        Self { cluster, cluster_key }
    }

    /// The key that signs now: the one that began last.
    pub(super) fn signing(&self, rights: &Rights, now: Timestamp) -> Option<(KeyId, EncodingKey)> {
        let cluster_key = self.cluster_key.as_ref()?;
        let mut signing: Vec<(&KeyId, &SigningKeyRecord)> =
            rights.signing_keys().iter().filter(|(_, record)| record.signs(now)).collect();
        signing.sort_by_key(|(id, record)| (record.signs_from, **id));
        signing.into_iter().rev().find_map(|(id, record)| {
            let private = cluster_key.unwrap(&context(self.cluster, *id), &record.wrapped_private);
            private.ok().map(|private| (*id, EncodingKey::from_ec_der(&private)))
        })
    }

    /// The key that a token names, if tokens that it has signed count.
    pub(super) fn verifying(rights: &Rights, id: KeyId, now: Timestamp) -> Option<DecodingKey> {
        let record = rights.signing_keys().get(&id).filter(|record| record.is_valid(now))?;
        signing_point(&record.public).map(|point| DecodingKey::from_ec_der(&point))
    }

    /// The id that a token's `kid` names, if it is the id of one of the cluster's keys.
    pub(super) fn named(rights: &Rights, kid: &str) -> Option<KeyId> {
        let mut id: KeyId = [0; 8];
        hex::decode_to_slice(kid, &mut id).ok()?;
        // Written in one way only.
        (hex::encode(id) == kid && rights.signing_keys().contains_key(&id)).then_some(id)
    }

    /// All keys whose tokens count, for those who verify them elsewhere (RFC 7517). Those that will sign soon are among
    /// them.
    pub(super) fn published(rights: &Rights, now: Timestamp) -> Value {
        let valid = rights.signing_keys().iter().filter(|(_, record)| record.is_valid(now));
        let keys = valid.filter_map(|(id, record)| {
            let point = signing_point(&record.public)?;
            let (x, y) = point[1..].split_at(COORDINATE_BYTES);
            Some(json!({
                "kty": "EC",
                "crv": "P-256",
                "alg": "ES256",
                "use": "sig",
                "kid": hex::encode(id),
                "x": URL_SAFE_NO_PAD.encode(x),
                "y": URL_SAFE_NO_PAD.encode(y),
            }))
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use raft::directory::SigningKeyRecord;

    use super::*;
    use crate::login::testing::{CLUSTER, Counting, cluster_key, record, rights_with_keys};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn a_key_is_wrapped_for_its_cluster_and_its_id_and_is_not_the_authority() {
        let entropy = Counting::default();
        let made = new_signing_key(&entropy, CLUSTER, &cluster_key()).unwrap();
        let wrapped = &made.wrapped_private;
        let open = |context: &[u8]| cluster_key().unwrap(context, wrapped);
        let private = open(&context(CLUSTER, made.id)).unwrap();
        assert!(open(&context(ClusterId([9; 16]), made.id)).is_err());
        assert!(open(&context(CLUSTER, [9; 8])).is_err());
        assert!(open(&CLUSTER.0).is_err(), "it cannot be taken for the CA's key");
        let authority = cluster_key().wrap(&entropy, &CLUSTER.0, &private);
        assert!(cluster_key().unwrap(&context(CLUSTER, made.id), &authority).is_err(), "nor the CA's for it");
        assert!(signing_point(&made.public).is_some());
    }

    #[test]
    fn the_key_that_began_last_signs_and_those_that_have_not_retired_count() {
        let entropy = Counting::default();
        let keys = Keys::new(CLUSTER, Some(cluster_key()));
        let made: Vec<NewSigningKey> =
            (0..4).map(|_| new_signing_key(&entropy, CLUSTER, &cluster_key()).unwrap()).collect();
        let of = |index: usize, signs_from: u64, retires: Option<u64>| {
            let record = SigningKeyRecord {
                signs_from: Timestamp(NOW.0 - 1000 + signs_from),
                retires: retires.map(|at| Timestamp(NOW.0 + at)),
                ..record(&made[index])
            };
            (made[index].id, record)
        };
        let rights = rights_with_keys([of(0, 0, Some(1)), of(1, 500, None), of(2, 2000, None), of(3, 900, Some(0))]);
        assert_eq!(keys.signing(&rights, NOW).unwrap().0, made[1].id);
        assert_eq!(keys.signing(&rights, Timestamp(NOW.0 + 5000)).unwrap().0, made[2].id);
        let counts = |index: usize, now| Keys::verifying(&rights, made[index].id, now).is_some();
        assert!(counts(0, NOW) && counts(1, NOW) && counts(2, NOW) && !counts(3, NOW));
        assert!(!counts(0, Timestamp(NOW.0 + 1)));
        assert!(Keys::new(CLUSTER, None).signing(&rights, NOW).is_none(), "without the cluster key nobody signs");
        let published = Keys::published(&rights, NOW);
        let kids: Vec<&str> =
            published["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
        let mut expected: Vec<String> = made[..3].iter().map(|key| hex::encode(key.id)).collect();
        expected.sort();
        assert_eq!(kids, expected);
        assert_eq!(published["keys"][0]["x"].as_str().unwrap().len(), 43);
    }

    #[test]
    fn a_kid_names_a_key_in_one_way_only() {
        let made = new_signing_key(&Counting::default(), CLUSTER, &cluster_key()).unwrap();
        let rights = rights_with_keys([(made.id, record(&made))]);
        let kid = hex::encode(made.id);
        assert_eq!(Keys::named(&rights, &kid), Some(made.id));
        for other in
            [kid.to_uppercase(), format!("{kid}00"), format!(" {kid}"), "../../dev/null".to_owned(), String::new()]
        {
            assert!(other == kid || Keys::named(&rights, &other).is_none(), "{other}");
        }
    }
}
