//! Regions as other rooms' tests need them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use raft::id::{NodeId, RegionId};
use storage::exec::Exec;

use super::homes::Homes;
use super::neighbours::Neighbours;
use super::{Metrics, Regions};
use crate::deletion::DirectoryRecords;
use crate::environment::BoxFuture;
use crate::members::Remote;
use crate::peer::{AdminAnswer, AdminRequest, PeerError};

/// Nobody else.
#[derive(Debug)]
struct Nobody;

impl Neighbours for Nobody {
    fn counts(&self) -> bool {
        true
    }

    fn remotes(&self) -> Vec<Remote> {
        Vec::new()
    }

    fn report_failure(&self, _node: NodeId) {}

    fn forward(&self, node: NodeId, _request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, PeerError>> {
        Box::pin(async move { Err(PeerError::Unreachable { node, message: "there is nobody".to_owned() }) })
    }

    fn administer(
        &self,
        node: NodeId,
        _request: AdminRequest,
        _deadline: Duration,
    ) -> BoxFuture<'_, Result<AdminAnswer, PeerError>> {
        Box::pin(async move { Err(PeerError::Unreachable { node, message: "there is nobody".to_owned() }) })
    }
}

/// The first region, of whose neighbours none answers, as the directory is now.
pub(crate) fn alone(directory: &Arc<dyn DirectoryRecords>, exec: Exec) -> Regions {
    let homes = Homes::now(Arc::clone(directory), exec);
    Regions::over(RegionId(1), Arc::new(Nobody), homes, Metrics::default())
}
