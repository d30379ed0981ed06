//! People.

use serde::{Deserialize, Serialize};

use super::refusal::AccessRefusal;
use super::secret::SecretRecord;
use crate::directory::limit::PASSWORD_HASH_LENGTH_MAX;
use crate::time::Timestamp;

/// Where people log in elsewhere, besides at the issuers that the directory knows: what a node's settings name.
pub const OUTSIDE_SOURCES: [&str; 2] = ["htpasswd", "ldap"];

/// A person. Key: his name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// What people call him.
    pub display: String,
    /// His password as an argon2id hash in PHC form. None: he has none here.
    pub password: Option<String>,
    /// Where he logs in: one of [`OUTSIDE_SOURCES`] or an issuer's name. None: here.
    pub source: Option<String>,
    /// Groups that he is in, sorted, each once. All of them exist.
    pub groups: Vec<String>,
    /// Whether he may not log in.
    pub disabled: bool,
    /// When he was added.
    pub created: Timestamp,
    /// Tokens that were given to him before do not count.
    pub sessions_from: Timestamp,
    /// His access keys.
    pub keys: Vec<SecretRecord>,
    /// By what he is known where he logs in, if that is an issuer: its `iss` and the claim that names him, as they were
    /// when he was added ([`IssuerRecord::vouches_by`](super::IssuerRecord::vouches_by)). Another issuer of the name does
    /// not speak of him.
    pub vouched: Option<String>,
    /// When he last logged in where he does so elsewhere, to about a day. None: never, or here.
    pub confirmed: Option<Timestamp>,
}

/// Refuses what is not an argon2id hash: nobody's password may be kept in a way that is cheaper to guess.
pub(in crate::directory) fn check_password(name: &str, hash: &str) -> Result<(), AccessRefusal> {
    let is_hash = hash.starts_with("$argon2id$")
        && hash.len() <= PASSWORD_HASH_LENGTH_MAX
        && hash.bytes().all(|byte| byte.is_ascii_graphic());
    if is_hash { Ok(()) } else { Err(AccessRefusal::PasswordInvalid(name.to_owned())) }
}

crate::versioned! {
    UserRecord = 2, "user record";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_argon2id_hashes_are_kept() {
        assert_eq!(check_password("anna", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA"), Ok(()));
        let long = format!("$argon2id${}", "a".repeat(PASSWORD_HASH_LENGTH_MAX));
        for bad in ["", "secret", "$2y$05$abc", "$argon2i$v=19$", "$argon2id$v=19$ x", &long] {
            assert_eq!(check_password("anna", bad), Err(AccessRefusal::PasswordInvalid("anna".to_owned())));
        }
    }
}
