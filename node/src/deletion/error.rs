//! Why an operator's request about namespaces, garbage or deletions was not carried out.

use raft::catalog::Response;
use raft::group::{ProposeError, ReadError};
use raft::machine::ApplyError;

use super::refusal::Refusal;
use crate::gateway::catalog::CatalogError;

/// Error of an operator's request. `Display` is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeletionError {
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// What it names does not exist.
    #[error("{0}")]
    Unknown(String),
    /// The policy of a namespace does not allow it.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// Something else is in its way.
    #[error("{0}")]
    Conflict(String),
    /// No quorum at the moment. Repeating it is harmless.
    #[error("{0}")]
    Unavailable(String),
    /// A defect: damaged records.
    #[error("{0}")]
    Internal(String),
}

impl DeletionError {
    /// A response that is none of the command's own: a refusal by policy, or a defect.
    pub(super) fn other(response: &Response) -> Self {
        match (Refusal::of(response), response) {
            (Some(refusal), _) => Self::Refused(Box::new(refusal)),
            (None, Response::Malformed { message }) => Self::Invalid(message.clone()),
            (None, response) => Self::Internal(format!("unexpected response {response:?}")),
        }
    }
}

impl From<CatalogError> for DeletionError {
    fn from(error: CatalogError) -> Self {
        let message = error.to_string();
        match error {
            CatalogError::Unavailable { .. } => Self::Unavailable(message),
            CatalogError::TooLarge { .. } | CatalogError::Internal { .. } => Self::Internal(message),
        }
    }
}

impl From<ApplyError> for DeletionError {
    fn from(error: ApplyError) -> Self {
        CatalogError::from(error).into()
    }
}

impl From<ProposeError> for DeletionError {
    fn from(error: ProposeError) -> Self {
        let message = format!("the directory is not available at the moment: {error}");
        if matches!(error, ProposeError::TooLarge { .. }) { Self::Invalid(message) } else { Self::Unavailable(message) }
    }
}

impl From<ReadError> for DeletionError {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(format!("the directory is not available at the moment: {error}"))
    }
}
