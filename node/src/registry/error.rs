//! Why a metadata operation did not succeed.

use std::error::Error;

use raft::catalog::{Digest, RepositoryName, Response};
use raft::machine::ApplyError;

use super::manifest::ManifestError;
use crate::deletion::Refusal;

/// Seconds after which a client may try again when the catalog could not be reached: an election takes about as long.
const RETRY_AFTER_SECONDS: u64 = 2;

/// Error of a metadata operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The repository has no content.
    #[error("repository {0} is not known")]
    RepositoryUnknown(RepositoryName),
    /// The manifest or tag does not exist.
    #[error("{repository} has no manifest {reference}")]
    ManifestUnknown {
        /// Repository that was asked.
        repository: RepositoryName,
        /// Tag or digest that was asked for.
        reference: String,
    },
    /// What was pushed is not a valid manifest.
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    /// What was pushed does not have the digest that it was pushed by.
    #[error("the manifest has the digest {actual}, not {expected}")]
    DigestMismatch {
        /// Digest in the request.
        expected: Box<Digest>,
        /// Digest of the bytes.
        actual: Box<Digest>,
    },
    /// The manifest uses blobs that the repository does not have. Some of them.
    #[error("the manifest uses blobs that the repository does not have")]
    BlobsUnknown(Vec<Digest>),
    /// The policy of a namespace does not allow it.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The catalog cannot be reached or has no leader now. May have had an effect; repeating it is harmless.
    #[error("the catalog cannot be reached now: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// Seconds after which to try again.
        retry_after_seconds: u64,
    },
    /// The state could not be read, or made no sense.
    #[error("the catalog could not be read: {0}")]
    Internal(String),
}

impl RegistryError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the operation may have been done all the same.
    #[must_use]
    pub const fn may_have_had_an_effect(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Internal(_))
    }

    pub(super) fn unavailable(error: impl Error) -> Self {
        Self::Unavailable { message: chain(&error), retry_after_seconds: RETRY_AFTER_SECONDS }
    }

    /// The local state could not be read: an engine that fails is another node's business, a damaged record a defect.
    #[expect(clippy::needless_pass_by_value, reason = "made to be passed to map_err")]
    pub(super) fn state(error: ApplyError) -> Self {
        match &error {
            ApplyError::Engine(_) => Self::unavailable(&error),
            ApplyError::Codec(_) => Self::Internal(chain(&error)),
        }
    }

    /// A response that is none of the command's own: a refusal by policy, or a defect.
    pub(super) fn unexpected(response: &Response) -> Self {
        match Refusal::of(response) {
            Some(refusal) => Self::Refused(Box::new(refusal)),
            None => Self::Internal(format!("unexpected response {response:?}")),
        }
    }
}

/// An error with its sources, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
