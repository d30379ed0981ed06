//! What the node is asked about regions.

use std::path::Path;

use anyhow::Result;
use http::Method;
use node::admin::{
    RegionAnswer, RegionRequest, RegionsAnswer, ReleaseAnswer, SetRegionRequest, TakeoverAnswer, TakeoverRequest,
};

use super::{FAR_DEADLINE, call, call_for};

/// All regions.
pub(crate) async fn regions(data_dir: &Path) -> Result<RegionsAnswer> {
    call(data_dir, Method::GET, "/regions", &()).await
}

/// Adds a region.
pub(crate) async fn add_region(data_dir: &Path, request: &RegionRequest) -> Result<RegionAnswer> {
    call(data_dir, Method::POST, "/region/add", request).await
}

/// Changes what is said of a region.
pub(crate) async fn set_region(data_dir: &Path, request: &SetRegionRequest) -> Result<RegionAnswer> {
    call(data_dir, Method::POST, "/region/set", request).await
}

/// Makes a region the primary.
pub(crate) async fn set_primary(data_dir: &Path, request: &RegionRequest) -> Result<RegionAnswer> {
    call(data_dir, Method::POST, "/region/primary", request).await
}

/// Forgets a region.
pub(crate) async fn retire_region(data_dir: &Path, request: &RegionRequest) -> Result<RegionAnswer> {
    call(data_dir, Method::POST, "/region/retire", request).await
}

/// Looks at a takeover of the directory, or carries it out.
pub(crate) async fn takeover(data_dir: &Path, request: &TakeoverRequest) -> Result<TakeoverAnswer> {
    call_for(FAR_DEADLINE, data_dir, Method::POST, "/region/takeover", request).await
}

/// Lets what is foreign to regions be taken away from them again.
pub(crate) async fn release_removals(data_dir: &Path) -> Result<ReleaseAnswer> {
    call(data_dir, Method::POST, "/region/release", &()).await
}
