//! What the node is asked about the registry's certificates.

use std::path::Path;

use anyhow::Result;
use http::Method;
use node::admin::{CertificatesAnswer, ChangedAnswer, NameRequest};

use super::call;

/// All certificates.
pub(crate) async fn certificates(data_dir: &Path) -> Result<CertificatesAnswer> {
    call(data_dir, Method::GET, "/certificates", &()).await
}

/// Asks for a new one.
pub(crate) async fn renew_certificate(data_dir: &Path, request: &NameRequest) -> Result<ChangedAnswer> {
    call(data_dir, Method::POST, "/certificate/renew", request).await
}
