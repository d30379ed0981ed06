//! The one table from errors of deleting and policies to statuses of the local socket.

use axum::response::Response;
use http::StatusCode;

use super::router::refuse;
use crate::deletion::DeletionError;

/// The answer to a request that was not carried out.
pub(super) fn refused(error: &DeletionError) -> Response {
    let status = match error {
        DeletionError::Invalid(_) => StatusCode::BAD_REQUEST,
        DeletionError::Unknown(_) => StatusCode::NOT_FOUND,
        DeletionError::Refused(_) | DeletionError::Conflict(_) => StatusCode::CONFLICT,
        DeletionError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        DeletionError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refuse(status, error.to_string())
}
