//! What the node is asked about the cluster's certificate authority.

use std::path::Path;

use anyhow::Result;
use http::Method;
use node::admin::AuthorityAnswer;

use super::call;

/// How it is.
pub(crate) async fn authority(data_dir: &Path) -> Result<AuthorityAnswer> {
    call(data_dir, Method::GET, "/authority", &()).await
}

/// Begins to change it.
pub(crate) async fn rotate_authority(data_dir: &Path) -> Result<AuthorityAnswer> {
    call(data_dir, Method::POST, "/authority/rotate", &()).await
}

/// Takes a change back.
pub(crate) async fn abort_rotation(data_dir: &Path) -> Result<AuthorityAnswer> {
    call(data_dir, Method::POST, "/authority/abort", &()).await
}
