//! Exit codes, and the error that carries one. The help text of the program documents them.

use std::fmt;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The command failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// No node answers.
    NoNode = 3,
    /// `status`: serves, but needs attention.
    NeedsAttention = 4,
    /// `status`: does not serve.
    NotServing = 5,
    /// The cluster refused: it would break what it promises.
    Refused = 6,
    /// The node was removed from the cluster.
    Removed = 7,
}

impl Code {
    /// `residency verify`: something rests where it may not.
    pub(crate) const VIOLATED: Self = Self::Failed;
    /// `access explain`: the caller may not.
    pub(crate) const DENIED: Self = Self::Failed;
    /// `access explain`: it could not be found out.
    pub(crate) const UNKNOWN: Self = Self::Usage;
    /// `residency verify`, `audit`: not everything could be looked at.
    pub(crate) const INCOMPLETE: Self = Self::Usage;
}

/// An error that ends the program with a code of its own.
#[derive(Debug)]
pub(crate) struct Exit {
    /// The code.
    pub(crate) code: Code,
    /// What went wrong and what to do. Empty when everything was printed already.
    pub(crate) message: String,
}

impl Exit {
    /// An error with a message.
    pub(crate) fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// Only a code: what there is to say was printed.
    pub(crate) fn silent(code: Code) -> Self {
        Self { code, message: String::new() }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Exit {}
