//! What the node is asked about where data rests.

use std::path::Path;

use anyhow::Result;
use http::Method;
use node::admin::{AuditsAnswer, AuditsRequest, VerifyAnswer, VerifyRequest};

use super::call;

/// Begins to look where everything rests.
pub(crate) async fn verify_residency(data_dir: &Path, request: &VerifyRequest) -> Result<VerifyAnswer> {
    call(data_dir, Method::POST, "/residency/verify", request).await
}

/// How far that is, and what came of it.
pub(crate) async fn residency_progress(data_dir: &Path) -> Result<VerifyAnswer> {
    call(data_dir, Method::GET, "/residency/progress", &()).await
}

/// What audits have found.
pub(crate) async fn residency_history(data_dir: &Path, request: &AuditsRequest) -> Result<AuditsAnswer> {
    call(data_dir, Method::POST, "/residency/history", request).await
}
