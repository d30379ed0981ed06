//! Why there is no certificate, in words for operators, and what follows from it.

use instant_acme::{Error as ProtocolError, Problem};
use raft::group::{ProposeError, ReadError};

use crate::environment::CommandError;
use crate::identity::AuthorityError;
use crate::serve::PairError;
use crate::web::WebError;

/// Type of the problem that an account is not known any more (RFC 8555 §6.7).
const NO_ACCOUNT: &str = "accountDoesNotExist";
/// Types of problems that have nothing to do with the order.
const PASSING: [&str; 3] = ["rateLimited", "serverInternal", "badNonce"];
/// What all types begin with.
const TYPE_PREFIX: &str = "urn:ietf:params:acme:error:";

/// Why the account could be neither opened nor made: for all domains the same.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct AccountFailure {
    /// In words.
    pub(super) reason: String,
    /// Seconds that the authority asks us to wait, if it does.
    pub(super) wait_seconds: Option<u64>,
}

/// Why an attempt came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum AcmeError {
    /// The authority has said no.
    #[error("{}", words(.0))]
    Refused(Problem),
    /// The authority has found that a domain is not ours, or the order is over for another reason.
    #[error("{0}")]
    Invalid(String),
    /// The authority does not offer this way to show that a domain is ours.
    #[error("the authority does not offer the challenge {0} for this domain: choose another acme.challenge")]
    NoChallenge(&'static str),
    /// Nothing came of the order in time.
    #[error("the authority has not come to an end with the order within {seconds} s, it is {state} there")]
    Late {
        /// Time that it had.
        seconds: u64,
        /// Where it stands.
        state: String,
    },
    /// Something that it needed has hung. The order is gone on with later, until it is too old.
    #[error("the attempt was given up after {seconds} s")]
    Stuck {
        /// Time that it had.
        seconds: u64,
    },
    /// The authority cannot be reached, or says what cannot be understood.
    #[error("{0}")]
    Line(String),
    /// A file that the settings name cannot be used.
    #[error("{key} cannot be used: {reason}")]
    File {
        /// Name of the setting.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The hook has failed.
    #[error("acme.dns_hook: {0}")]
    Hook(String),
    /// A key or request could not be made or opened.
    #[error("{0}")]
    Key(#[from] AuthorityError),
    /// What the authority has sent is no certificate of the domain and the key.
    #[error("the authority has sent a certificate that cannot be used: {0}")]
    Chain(String),
    /// There is no account to order with. The order has nothing to do with it.
    #[error("{0}")]
    Account(AccountFailure),
    /// The directory does not answer, or another node has come first. Nothing is noted.
    #[error("another node goes on with it, or the directory does not answer: {0}")]
    Interrupted(String),
}

impl From<ProtocolError> for AcmeError {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Api(problem) => Self::Refused(problem),
            ProtocolError::Other(other) => Self::Line(chain(other.as_ref())),
            other => Self::Line(format!("the authority's answer cannot be used: {}", chain(&other))),
        }
    }
}

impl From<WebError> for AcmeError {
    fn from(error: WebError) -> Self {
        Self::Line(chain(&error))
    }
}

impl From<CommandError> for AcmeError {
    fn from(error: CommandError) -> Self {
        Self::Hook(chain(&error))
    }
}

impl From<PairError> for AcmeError {
    fn from(error: PairError) -> Self {
        Self::Chain(chain(&error))
    }
}

impl From<ProposeError> for AcmeError {
    fn from(error: ProposeError) -> Self {
        Self::Interrupted(error.to_string())
    }
}

impl From<ReadError> for AcmeError {
    fn from(error: ReadError) -> Self {
        Self::Interrupted(error.to_string())
    }
}

impl AcmeError {
    /// Whether the order is of no use any more. Otherwise it is gone on with later.
    pub(super) fn ends_order(&self) -> bool {
        match self {
            Self::Refused(problem) => !PASSING.contains(&kind(problem.r#type.as_deref())),
            // One whose key cannot be opened is begun anew, too.
            Self::Invalid(_) | Self::NoChallenge(_) | Self::Late { .. } | Self::Chain(_) | Self::Key(_) => true,
            Self::Line(_)
            | Self::File { .. }
            | Self::Hook(_)
            | Self::Stuck { .. }
            | Self::Account(_)
            | Self::Interrupted(_) => false,
        }
    }

    /// Seconds that the authority asks us to wait, where the error itself knows.
    pub(super) fn wait_asked(&self) -> Option<u64> {
        if let Self::Account(failure) = self { failure.wait_seconds } else { None }
    }

    /// Whether the authority does not know the account.
    pub(super) fn is_no_account(&self) -> bool {
        matches!(self, Self::Refused(problem) if kind(problem.r#type.as_deref()) == NO_ACCOUNT)
    }
}

/// The word of a problem's type.
fn kind(of: Option<&str>) -> &str {
    of.map_or("", |of| of.strip_prefix(TYPE_PREFIX).unwrap_or(of))
}

/// What a problem says, with those below it (RFC 8555 §6.7.1).
pub(super) fn words(problem: &Problem) -> String {
    let said = |of: Option<&str>, detail: Option<&str>| match (detail, kind(of)) {
        (Some(detail), "") => detail.to_owned(),
        (Some(detail), kind) => format!("{detail} ({kind})"),
        (None, "") => "no reason was given".to_owned(),
        (None, kind) => kind.to_owned(),
    };
    let mut text = said(problem.r#type.as_deref(), problem.detail.as_deref());
    for below in &problem.subproblems {
        let of = below.identifier.as_ref().map_or_else(String::new, |name| format!("{}: ", name.authorized(false)));
        text.push_str("; ");
        text.push_str(&of);
        text.push_str(&said(below.r#type.as_deref(), below.detail.as_deref()));
    }
    text
}

/// An error with all that is behind it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        // Some libraries repeat it.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Problem {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn problems_are_told_with_those_below_them() {
        let text = r#"{"type":"urn:ietf:params:acme:error:malformed","detail":"Some of the identifiers were rejected",
            "subproblems":[{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"on a list",
            "identifier":{"type":"dns","value":"a.example"}}]}"#;
        assert_eq!(
            words(&problem(text)),
            "Some of the identifiers were rejected (malformed); a.example: on a list (rejectedIdentifier)"
        );
        assert_eq!(words(&problem("{}")), "no reason was given");
    }

    #[test]
    fn rate_limits_and_broken_lines_leave_the_order() {
        let of = |kind: &str| AcmeError::Refused(problem(&format!(r#"{{"type":"{TYPE_PREFIX}{kind}"}}"#)));
        assert!(!of("rateLimited").ends_order() && !of("serverInternal").ends_order());
        assert!(of("unauthorized").ends_order() && of("accountDoesNotExist").is_no_account());
        assert!(!of("unauthorized").is_no_account());
        assert!(!AcmeError::Line("down".to_owned()).ends_order());
        assert!(AcmeError::Invalid("refused".to_owned()).ends_order());
    }
}
