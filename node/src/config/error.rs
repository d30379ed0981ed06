//! What can be wrong with a configuration. Every error names the place, the key, the value and the way out.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Variable(name) => write!(formatter, "environment variable {name}"),
            Self::Flag => formatter.write_str("flag"),
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path:?} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: not valid TOML: {message}")]
    Malformed {
        /// Where.
        place: Source,
        /// What the parser said.
        message: String,
    },
    /// There is no such key.
    #[error("{place}: there is no key {key:?}{}", suggestion.as_ref().map_or_else(
        || "; all keys: regnode config reference".to_owned(),
        |key| format!(", did you mean {key:?}?"),
    ))]
    UnknownKey {
        /// Where.
        place: Source,
        /// What was written.
        key: String,
        /// The nearest key.
        suggestion: Option<String>,
    },
    /// A value is not what the key takes.
    #[error("{place}: {key} = {value} is not valid: {expected} expected")]
    InvalidValue {
        /// Where.
        place: Source,
        /// The key.
        key: String,
        /// What was written.
        value: String,
        /// What the key takes.
        expected: String,
    },
}
