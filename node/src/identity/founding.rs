//! What the first node of a cluster has yet to propose: kept in a file that only its owner can read, from `regnode init`
//! until the cluster is founded.
//!
//! The operator's password stands there as its argon2id hash, private keys only wrapped.

use bytes::Bytes;
use raft::directory::{FirstAccess, NewSigningKey};
use serde::{Deserialize, Serialize};

/// What the first node has yet to propose once its groups run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founding {
    /// Name of the first region.
    pub region: String,
    /// The CA's key, wrapped; empty without certificates.
    pub wrapped_authority_key: Vec<u8>,
    /// Who may do what from the beginning.
    pub access: FirstAccess,
}

/// The same as it stands in the file. What is not there is not to be: nobody may anything then.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FoundingFile {
    version: u32,
    region: String,
    wrapped_authority_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anonymous: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operator: Option<OperatorEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signing_key: Option<SigningKeyEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorEntry {
    name: String,
    password_hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SigningKeyEntry {
    id: String,
    public: String,
    wrapped_private: String,
}

impl FoundingFile {
    /// What is written.
    pub(super) fn new(version: u32, founding: &Founding) -> Self {
        let FirstAccess { operator, key, anonymous } = founding.access.clone();
        let entry = |key: NewSigningKey| SigningKeyEntry {
            id: hex::encode(key.id),
            public: hex::encode(&key.public),
            wrapped_private: hex::encode(&key.wrapped_private),
        };
        Self {
            version,
            region: founding.region.clone(),
            wrapped_authority_key: hex::encode(&founding.wrapped_authority_key),
            anonymous,
            operator: operator.map(|(name, password_hash)| OperatorEntry { name, password_hash }),
            signing_key: key.map(entry),
        }
    }

    /// What was written; otherwise what is wrong with it.
    pub(super) fn read(self) -> Result<Founding, String> {
        let bytes = |what: &str, text: &str| hex::decode(text).map_err(|error| format!("{what}: {error}"));
        let key = match self.signing_key {
            None => None,
            Some(entry) => {
                let mut id = [0; 8];
                hex::decode_to_slice(&entry.id, &mut id).map_err(|error| format!("signing_key.id: {error}"))?;
                let public = Bytes::from(bytes("signing_key.public", &entry.public)?);
                let wrapped_private = Bytes::from(bytes("signing_key.wrapped_private", &entry.wrapped_private)?);
                Some(NewSigningKey { id, public, wrapped_private })
            }
        };
        let operator = self.operator.map(|entry| (entry.name, entry.password_hash));
        Ok(Founding {
            region: self.region,
            wrapped_authority_key: bytes("wrapped_authority_key", &self.wrapped_authority_key)?,
            access: FirstAccess { operator, key, anonymous: self.anonymous },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn founding(access: FirstAccess) -> Founding {
        Founding { region: "main".to_owned(), wrapped_authority_key: vec![1, 2], access }
    }

    fn through_a_file(founding: &Founding) -> Founding {
        let text = toml::to_string(&FoundingFile::new(1, founding)).unwrap();
        toml::from_str::<FoundingFile>(&text).unwrap().read().unwrap()
    }

    #[test]
    fn what_is_to_be_proposed_is_kept() {
        let key =
            NewSigningKey { id: [3; 8], public: Bytes::from_static(b"p"), wrapped_private: Bytes::from_static(b"w") };
        let access = FirstAccess {
            operator: Some(("admin".to_owned(), "$argon2id$x".to_owned())),
            key: Some(key),
            anonymous: Some("reader".to_owned()),
        };
        for founding in [founding(access), founding(FirstAccess::default())] {
            assert_eq!(through_a_file(&founding), founding);
        }
    }

    #[test]
    fn a_file_of_before_there_was_access_founds_a_closed_cluster() {
        let text = "version = 1\nregion = \"main\"\nwrapped_authority_key = \"0102\"\n";
        let read = toml::from_str::<FoundingFile>(text).unwrap().read().unwrap();
        assert_eq!(read, founding(FirstAccess::default()));
    }

    #[test]
    fn damage_is_named() {
        let text = "version = 1\nregion = \"main\"\nwrapped_authority_key = \"\"\n[signing_key]\nid = \"zz\"\n\
                    public = \"\"\nwrapped_private = \"\"\n";
        let error = toml::from_str::<FoundingFile>(text).unwrap().read().unwrap_err();
        assert!(error.starts_with("signing_key.id: "), "{error}");
    }
}
