//! Names of people, machines, groups, roles and issuers.

use crate::directory::limit::{ACCESS_NAME_LENGTH_MAX, USER_NAME_LENGTH_MAX};

/// Whether a text can name a robot, a group, a role or an issuer: 1 to 63 lower-case letters, digits, '.', '_' and '-',
/// the first and the last a letter or a digit.
#[must_use]
pub fn is_access_name(text: &str) -> bool {
    is_name(text, ACCESS_NAME_LENGTH_MAX, b"._-")
}

/// Whether a text can name a user: as [`is_access_name`], with '@' inside as well and up to 127 characters, so that an
/// address of mail is one. No user's name holds the '+' by which robots log in.
#[must_use]
pub fn is_user_name(text: &str) -> bool {
    is_name(text, USER_NAME_LENGTH_MAX, b"._-@")
}

fn is_name(text: &str, length_max: usize, inside: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let at_the_ends = |byte: Option<&u8>| byte.is_some_and(|byte| plain(*byte));
    text.len() <= length_max
        && text.bytes().all(|byte| plain(byte) || inside.contains(&byte))
        && at_the_ends(text.as_bytes().first())
        && at_the_ends(text.as_bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_short() {
        let (longest, longest_user) = ("a".repeat(63), "a".repeat(127));
        assert!(["a", "7", "ci-7", "team.core_eu", &longest].into_iter().all(is_access_name));
        let bad = ["", "-a", "a-", ".a", "a.", "A", "a b", "a+b", "a/b", "a:b", "a@b", "ä", "a\0", "a\n"];
        assert!(!bad.into_iter().any(is_access_name));
        assert!(!is_access_name(&"a".repeat(64)));
        assert!(["anna", "anna@example.com", &longest_user].into_iter().all(is_user_name));
        assert!(!["", "@example.com", "anna@", "robot+ci", "Anna"].into_iter().any(is_user_name));
        assert!(!is_user_name(&"a".repeat(128)));
    }
}
