//! What the gateway and the background work ask of the region's catalog.
//!
//! A trait, so that the tests run on the pure state machine without a Raft group.

use std::fmt::Debug;
use std::sync::Arc;

use raft::catalog::{Catalog, Command, Response, View};
use raft::group::{Group, ProposeError, ReadError};
use raft::id::RequestId;
use raft::machine::ApplyError;
use storage::kv::Engine;

use crate::environment::BoxFuture;

/// Why the catalog did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No quorum, no leader yet, or a replica or engine of this node that failed: another node may answer.
    #[error("the region's catalog is not available at the moment: {message}")]
    Unavailable {
        /// What the group said.
        message: String,
        /// Whether a proposed command may have had an effect, or may have one later.
        uncertain: bool,
    },
    /// A proposed command is larger than any may be. It had no effect.
    #[error("catalog: {message}")]
    TooLarge {
        /// What the group said.
        message: String,
    },
    /// A record is damaged. A proposed command may have had an effect.
    #[error("catalog: {message}")]
    Internal {
        /// What went wrong.
        message: String,
    },
}

impl CatalogError {
    /// Whether a proposed command may have had an effect, or may have one later.
    pub(crate) const fn is_uncertain(&self) -> bool {
        match self {
            Self::Unavailable { uncertain, .. } => *uncertain,
            Self::TooLarge { .. } => false,
            Self::Internal { .. } => true,
        }
    }
}

impl From<ProposeError> for CatalogError {
    fn from(error: ProposeError) -> Self {
        let uncertain = error.may_have_had_effect();
        let message = error.to_string();
        match error {
            _ if error.is_retryable() => Self::Unavailable { message, uncertain },
            // The process is about to end; another node takes the request meanwhile.
            ProposeError::Stopped { .. } => Self::Unavailable { message, uncertain },
            ProposeError::TooLarge { .. } => Self::TooLarge { message },
            _ => Self::Internal { message },
        }
    }
}

impl From<ApplyError> for CatalogError {
    fn from(error: ApplyError) -> Self {
        let message = error.to_string();
        match error {
            ApplyError::Engine(_) => Self::Unavailable { message, uncertain: false },
            ApplyError::Codec(_) => Self::Internal { message },
        }
    }
}

/// The catalog of the node's region.
pub(crate) trait Records: Debug + Send + Sync + 'static {
    /// Proposes a command and waits for its response.
    fn propose(&self, request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, CatalogError>>;

    /// Waits until the local state holds everything that was acknowledged anywhere before this call.
    fn barrier(&self) -> BoxFuture<'_, Result<(), CatalogError>>;

    /// The local state.
    fn view(&self) -> View<Arc<dyn Engine>>;

    /// Whether this node leads the catalog, as far as it knows.
    fn is_leader(&self) -> bool;
}

impl Records for Group<Catalog> {
    fn propose(&self, request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, CatalogError>> {
        Box::pin(async move { Ok(Self::propose(self, request, command).await?) })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), CatalogError>> {
        Box::pin(async move {
            // Of a replica that has stopped, too: the process is about to end, and another node answers meanwhile.
            let unavailable =
                |error: ReadError| CatalogError::Unavailable { message: error.to_string(), uncertain: false };
            self.read_barrier().await.map_err(unavailable)
        })
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        View::new(self.state())
    }

    fn is_leader(&self) -> bool {
        Self::is_leader(self)
    }
}
