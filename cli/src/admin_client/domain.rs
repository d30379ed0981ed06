//! What the node is asked about domains that stand for namespaces.

use std::path::Path;

use anyhow::Result;
use http::Method;
use node::admin::{AddDomainRequest, DomainAnswer, DomainRequest, DomainsAnswer};

use super::call;

/// All domains.
pub(crate) async fn domains(data_dir: &Path) -> Result<DomainsAnswer> {
    call(data_dir, Method::GET, "/domains", &()).await
}

/// Adds a domain.
pub(crate) async fn add_domain(data_dir: &Path, request: &AddDomainRequest) -> Result<DomainAnswer> {
    call(data_dir, Method::POST, "/domain/add", request).await
}

/// Removes one.
pub(crate) async fn remove_domain(data_dir: &Path, request: &DomainRequest) -> Result<DomainAnswer> {
    call(data_dir, Method::POST, "/domain/remove", request).await
}
