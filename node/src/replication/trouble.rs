//! Why a debt is not paid now: something is waited for, or it failed.

use raft::catalog::Response;

use super::QuestionError;
use super::upstream::FetchError;
use crate::deletion::Refusal;
use crate::gateway::catalog::CatalogError;
use crate::gateway::{BlobError, UploadError};

/// Why something is not done now. `Display` is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// It will be once another one answers, here or at the source: no fault of what is to be copied, and everything
    /// else has to wait for it too.
    #[error("{0}")]
    Wait(String),
    /// It concerns this thing alone. The others go on.
    #[error("{0}")]
    Failed(String),
}

impl Trouble {
    pub(super) fn wait(message: &(impl ToString + ?Sized)) -> Self {
        Self::Wait(message.to_string())
    }

    pub(super) fn failed(message: &(impl ToString + ?Sized)) -> Self {
        Self::Failed(message.to_string())
    }

    /// What an answer of the own catalog means that is none of the command's own.
    pub(super) fn of(response: &Response) -> Self {
        match (response, Refusal::of(response)) {
            // The catalog has not taken up yet that this region has a copy, or knows already that it has none.
            (Response::Foreign { .. } | Response::Stale, _) => {
                Self::wait("what this region is for the namespace is changing")
            }
            (_, Some(refusal)) => Self::failed(&refusal),
            (response, None) => Self::Failed(format!("unexpected response {response:?}")),
        }
    }
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Silent(message) => Self::Wait(message),
            FetchError::Failed(message) => Self::Failed(message),
        }
    }
}

impl From<QuestionError> for Trouble {
    fn from(error: QuestionError) -> Self {
        Self::wait(&error)
    }
}

impl From<CatalogError> for Trouble {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Unavailable { .. } => Self::wait(&error),
            CatalogError::TooLarge { .. } | CatalogError::Internal { .. } => Self::failed(&error),
        }
    }
}

impl From<raft::catalog::StateError> for Trouble {
    fn from(error: raft::catalog::StateError) -> Self {
        CatalogError::from(error).into()
    }
}

impl From<UploadError> for Trouble {
    fn from(error: UploadError) -> Self {
        match &error {
            UploadError::Unavailable { .. } | UploadError::NoSpace(_) => Self::wait(&error),
            UploadError::Refused(refusal) if matches!(**refusal, Refusal::Foreign { .. }) => Self::wait(&error),
            _ => Self::failed(&error),
        }
    }
}

impl From<BlobError> for Trouble {
    fn from(error: BlobError) -> Self {
        match &error {
            BlobError::Unavailable { .. } => Self::wait(&error),
            BlobError::Refused(refusal) if matches!(**refusal, Refusal::Foreign { .. }) => Self::wait(&error),
            _ => Self::failed(&error),
        }
    }
}
