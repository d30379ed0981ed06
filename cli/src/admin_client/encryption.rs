//! What the node is asked about the encryption of what it keeps.

use std::path::Path;

use anyhow::Result;
use http::Method;
use node::admin::{EncryptionAnswer, RewrapRequest};

use super::{LOOK_THROUGH_DEADLINE, call, call_for, of_node};

/// How it is.
pub(crate) async fn encryption(data_dir: &Path, node: Option<&str>) -> Result<EncryptionAnswer> {
    call(data_dir, Method::GET, &of_node("/encryption", node), &()).await
}

/// Makes a new data key.
pub(crate) async fn rotate_data_key(data_dir: &Path, node: Option<&str>) -> Result<EncryptionAnswer> {
    call(data_dir, Method::POST, &of_node("/encryption/rotate", node), &()).await
}

/// Wraps the keyring by another source, which may take its time.
pub(crate) async fn rewrap(data_dir: &Path, request: &RewrapRequest) -> Result<EncryptionAnswer> {
    call_for(LOOK_THROUGH_DEADLINE, data_dir, Method::POST, "/encryption/rewrap", request).await
}
