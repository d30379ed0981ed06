//! To whom a binding gives something, or from whom it takes it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::name::{is_access_name, is_user_name};

/// Whom a binding is about. As text: `anonymous`, `authenticated`, `user:NAME`, `robot:NAME`, `group:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// Everybody, also without credentials.
    Anonymous,
    /// Everybody who has shown who he is.
    Authenticated,
    /// A person.
    User(String),
    /// A machine.
    Robot(String),
    /// Whoever is in the group.
    Group(String),
}

/// A text that is not a subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a subject: user:NAME, robot:NAME, group:NAME, authenticated (everybody who logs in) and anonymous \
     (everybody) are"
)]
pub struct InvalidSubject(String);

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => formatter.write_str("anonymous"),
            Self::Authenticated => formatter.write_str("authenticated"),
            Self::User(name) => write!(formatter, "user:{name}"),
            Self::Robot(name) => write!(formatter, "robot:{name}"),
            Self::Group(name) => write!(formatter, "group:{name}"),
        }
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        let invalid = || InvalidSubject(text.chars().take(160).collect());
        match text {
            "anonymous" => return Ok(Self::Anonymous),
            "authenticated" => return Ok(Self::Authenticated),
            _ => {}
        }
        match text.split_once(':').ok_or_else(invalid)? {
            ("user", name) if is_user_name(name) => Ok(Self::User(name.to_owned())),
            ("robot", name) if is_access_name(name) => Ok(Self::Robot(name.to_owned())),
            ("group", name) if is_access_name(name) => Ok(Self::Group(name.to_owned())),
            _ => Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_as_they_are_written() {
        for text in ["anonymous", "authenticated", "user:anna@example.com", "robot:ci", "group:core"] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        let bad = ["", "anna", "user:", "user:Anna", "robot:a@b", "group:a/b", "role:reader", "Anonymous", "user:a:b"];
        for bad in bad {
            let error = bad.parse::<Subject>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{bad:?} is not a subject: user:NAME")), "{error}");
        }
    }
}
