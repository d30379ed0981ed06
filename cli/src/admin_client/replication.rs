//! What the node is asked about copies in other regions.

use std::path::Path;

use anyhow::Result;
use http::Method;
use node::admin::{ReplicationAnswer, ReplicationRequest};

use super::call;

/// How far the copies have come.
pub(crate) async fn replication(data_dir: &Path, request: &ReplicationRequest) -> Result<ReplicationAnswer> {
    call(data_dir, Method::POST, "/replication/status", request).await
}
