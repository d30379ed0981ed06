//! What the node is asked about homes that are lost.

use std::path::Path;

use anyhow::Result;
use http::Method;
use node::admin::{
    AsideAnswer, AsideRequest, ForceLookAnswer, ForceLookRequest, ForceRequest, PolicyChangedAnswer, SettleRequest,
};

use super::{FAR_DEADLINE, call_for};

/// A page of what would be lost by force.
pub(crate) async fn look_before_force(data_dir: &Path, request: &ForceLookRequest) -> Result<ForceLookAnswer> {
    call_for(FAR_DEADLINE, data_dir, Method::POST, "/namespace/force/look", request).await
}

/// Makes a region the home by force.
pub(crate) async fn force_home(data_dir: &Path, request: &ForceRequest) -> Result<PolicyChangedAnswer> {
    call_for(FAR_DEADLINE, data_dir, Method::POST, "/namespace/force", request).await
}

/// A page of what a former home has.
pub(crate) async fn aside(data_dir: &Path, request: &AsideRequest) -> Result<AsideAnswer> {
    call_for(FAR_DEADLINE, data_dir, Method::POST, "/namespace/aside", request).await
}

/// Gives up what a former home has.
pub(crate) async fn settle_aside(data_dir: &Path, request: &SettleRequest) -> Result<PolicyChangedAnswer> {
    call_for(FAR_DEADLINE, data_dir, Method::POST, "/namespace/aside/settle", request).await
}
