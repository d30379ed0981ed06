//! What nodes are asked about their audit logs.

use std::path::Path;

use anyhow::Result;
use http::Method;
use node::admin::{AuditPage, AuditSearchRequest, AuditVerifyAnswer, AuditVerifyRequest};

use super::{FAR_DEADLINE, call_for, of_node};

/// A page of records of a node.
pub(crate) async fn audit_search(data_dir: &Path, node: &str, request: &AuditSearchRequest) -> Result<AuditPage> {
    call_for(FAR_DEADLINE, data_dir, Method::POST, &of_node("/audit/search", Some(node)), request).await
}

/// A step of a check of the log of a node.
pub(crate) async fn audit_verify(
    data_dir: &Path,
    node: &str,
    request: &AuditVerifyRequest,
) -> Result<AuditVerifyAnswer> {
    call_for(FAR_DEADLINE, data_dir, Method::POST, &of_node("/audit/verify", Some(node)), request).await
}
