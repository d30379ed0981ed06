//! Why somebody was not recognised.

/// Why a request's sender was not recognised. None of them says whether a name exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Name and password do not go together, or the account may not be used: answered 401.
    #[error("the name or the password is wrong, or the account is disabled or has expired")]
    Wrong,
    /// What was shown is no credential, or a token that does not count: answered 401 with `invalid_token`.
    #[error("{0}")]
    Malformed(String),
    /// A token of somebody outside does not count: answered 401 with `invalid_token`. Whoever shows it is told no more, since
    /// anybody may show one; why it is so stands in the audit log.
    #[error("the token does not count here: the audit log of the registry says why")]
    Untrusted(String),
    /// Too many failures of this name or from this address: answered 429.
    #[error("too many failed logins: try again in {retry_after_seconds} seconds")]
    Locked {
        /// Seconds after which it is worth trying again.
        retry_after_seconds: u64,
    },
    /// It cannot be found out now: answered 503. Nothing has changed, trying again is harmless.
    #[error("{0}")]
    Unavailable(String),
}

impl LoginError {
    /// Why it is so, for the audit log.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Untrusted(why) => why.clone(),
            other => other.to_string(),
        }
    }
}

/// How long ago a token may have expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leeway {
    /// Not at all, but for the difference of clocks.
    None,
    /// As long as an upload session may live: a long upload outlives the token that began it, and its principal may still
    /// be told from it (moby#33558). Only for requests of a session that stands.
    Upload,
}
