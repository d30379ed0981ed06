//! Errors of the gateway's operations. One table in `api` turns them into statuses.

use raft::catalog::{Digest, Response};

use super::catalog::CatalogError;
use super::core::unexpected;
use super::placement::PlacementError;
use crate::deletion::Refusal;

/// Seconds after which a client is asked to try again when nothing better is known.
pub const RETRY_AFTER_SECONDS: u64 = 2;

/// Why a request's body broke off. Nothing of it was committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The client went away.
    #[error("the client went away in the middle of the body")]
    Disconnected,
    /// The client sent nothing, or next to nothing, for too long.
    #[error("the client sent nothing, or next to nothing, for too long")]
    TimedOut,
    /// The bytes do not form a body.
    #[error("malformed body: {message}")]
    Malformed {
        /// What is wrong.
        message: String,
    },
    /// It came as a whole, but whoever sends it has lost the right to it meanwhile.
    #[error("the right to it was taken away while the body came")]
    Withdrawn,
}

/// Why an upload was not begun, continued, finished or cancelled.
///
/// Nothing was changed, except that [`UploadError::Unavailable`] may have had its effect when it came after the whole
/// body: the session's offset tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// No such session in this repository.
    #[error("the upload session is not known in this repository: it was finished, cancelled, has expired or never was")]
    Unknown,
    /// The client's bytes do not begin where the session stands.
    #[error("the upload stands at byte {offset_bytes}")]
    RangeMismatch {
        /// Committed bytes.
        offset_bytes: u64,
    },
    /// Another request moved the session while this one wrote.
    #[error("another request moved the upload meanwhile, it stands at byte {offset_bytes}")]
    Moved {
        /// Committed bytes.
        offset_bytes: u64,
    },
    /// The bytes are not those that the digest names. The session stands where it stood before this body.
    #[error("the content has the digest {actual}, not {expected}")]
    DigestMismatch {
        /// What the client named.
        expected: Box<Digest>,
        /// What the bytes are.
        actual: Box<Digest>,
    },
    /// The disks are full up to their reserve.
    #[error("no space: {0}")]
    NoSpace(String),
    /// Too few nodes, no quorum, or the node is shutting down.
    #[error("{message}")]
    Unavailable {
        /// When to try again.
        retry_after_seconds: u64,
        /// What is missing.
        message: String,
    },
    /// The body broke off.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The object would be larger than the limit.
    #[error("the upload is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The upload came in more pieces than the catalog keeps of one object. The session stands where it stood.
    #[error("the upload consists of {limit} chunks, which is the limit: cancel it and send larger chunks")]
    TooManyChunks {
        /// The limit.
        limit: u32,
    },
    /// The policy of a namespace does not allow it.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// A defect: damaged records, a codec that refuses its own geometry.
    #[error("internal error: {message}")]
    Internal {
        /// What went wrong.
        message: String,
    },
}

/// Why a blob operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The blob does not exist in this repository.
    #[error("the blob is not known in this repository")]
    Unknown,
    /// A manifest of the repository uses the blob, so it cannot be deleted.
    #[error("the blob is used by manifest {manifest}: delete the manifest first")]
    InUse {
        /// One such manifest.
        manifest: Digest,
    },
    /// The policy of a namespace does not allow it.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// No quorum at the moment.
    #[error("{message}")]
    Unavailable {
        /// When to try again.
        retry_after_seconds: u64,
        /// What is missing.
        message: String,
    },
    /// A defect: damaged records.
    #[error("internal error: {message}")]
    Internal {
        /// What went wrong.
        message: String,
    },
}

/// Why stored bytes could not be read. A stream that yields it has delivered right bytes so far and ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Fewer shards can be read at the moment than the extent needs.
    #[error("object {object} extent {extent} cannot be read at the moment: {message}")]
    Unreadable {
        /// The object.
        object: storage::shard::ObjectId,
        /// The extent's index.
        extent: u32,
        /// Which shards fail, and why.
        message: String,
    },
    /// Where the shards are cannot be found out at the moment: this node's replica or its disk failed.
    #[error("{message}")]
    Unavailable {
        /// What failed.
        message: String,
    },
    /// The object was removed while it was read.
    #[error("object {object} was removed while it was read")]
    Gone {
        /// The object.
        object: storage::shard::ObjectId,
    },
    /// A defect: damaged records, a codec that refuses its own geometry.
    #[error("internal error: {message}")]
    Internal {
        /// What went wrong.
        message: String,
    },
}

impl UploadError {
    /// A response that is none of the command's own: a refusal by policy, or a defect.
    pub(super) fn other(response: &Response) -> Self {
        match Refusal::of(response) {
            Some(refusal) => Self::Refused(Box::new(refusal)),
            None => unexpected(response).into(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "made to be passed to map_err")]
    pub(super) fn internal(message: impl ToString) -> Self {
        Self::Internal { message: message.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "made to be passed to map_err")]
    pub(super) fn unavailable(message: impl ToString) -> Self {
        Self::Unavailable { retry_after_seconds: RETRY_AFTER_SECONDS, message: message.to_string() }
    }
}

impl BlobError {
    /// A response that is none of the command's own: a refusal by policy, or a defect.
    pub(super) fn other(response: &Response) -> Self {
        match Refusal::of(response) {
            Some(refusal) => Self::Refused(Box::new(refusal)),
            None => unexpected(response).into(),
        }
    }
}

impl ReadError {
    #[expect(clippy::needless_pass_by_value, reason = "made to be passed to map_err")]
    pub(super) fn internal(message: impl ToString) -> Self {
        Self::Internal { message: message.to_string() }
    }
}

impl From<CatalogError> for UploadError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Unavailable { .. } => Self::unavailable(error),
            CatalogError::Internal { message } | CatalogError::TooLarge { message } => Self::Internal { message },
        }
    }
}

impl From<CatalogError> for BlobError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Unavailable { .. } => {
                Self::Unavailable { retry_after_seconds: RETRY_AFTER_SECONDS, message: error.to_string() }
            }
            CatalogError::Internal { message } | CatalogError::TooLarge { message } => Self::Internal { message },
        }
    }
}

impl From<CatalogError> for ReadError {
    fn from(error: CatalogError) -> Self {
        let message = error.to_string();
        match error {
            CatalogError::Unavailable { .. } => Self::Unavailable { message },
            CatalogError::Internal { .. } | CatalogError::TooLarge { .. } => Self::Internal { message },
        }
    }
}

impl From<ReadError> for UploadError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Internal { message } => Self::Internal { message },
            error => Self::unavailable(error),
        }
    }
}

impl From<PlacementError> for UploadError {
    fn from(error: PlacementError) -> Self {
        match error {
            PlacementError::NoSpace { .. } => Self::NoSpace(error.to_string()),
            PlacementError::TooFewNodes { .. } => Self::unavailable(error),
        }
    }
}
