//! Nodes of other regions, and the way to them.
//!
//! A trait, so that tests of what is above it run without peers.

use std::fmt::Debug;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use raft::id::NodeId;

use crate::environment::BoxFuture;
use crate::members::{Members, Remote};
use crate::peer::{AdminAnswer, AdminRequest, PeerError, Peers};

/// Nodes of other regions.
pub(super) trait Neighbours: Debug + Send + Sync + 'static {
    /// Whether the directory knows that this node runs, as this node knows.
    fn counts(&self) -> bool;

    /// Those that there are.
    fn remotes(&self) -> Vec<Remote>;

    /// A call to one of them has failed.
    fn report_failure(&self, node: NodeId);

    /// Has one of them answer a client's request.
    fn forward(&self, node: NodeId, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, PeerError>>;

    /// Has one of them carry out what an operator asks.
    fn administer(
        &self,
        node: NodeId,
        request: AdminRequest,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<AdminAnswer, PeerError>>;
}

/// Those that the members know of, over the peers' port.
#[derive(Debug)]
pub(super) struct KnownPeers {
    pub(super) members: Members,
    pub(super) peers: Peers,
}

impl Neighbours for KnownPeers {
    fn counts(&self) -> bool {
        self.members.counts()
    }

    fn remotes(&self) -> Vec<Remote> {
        self.members.remotes()
    }

    fn report_failure(&self, node: NodeId) {
        self.members.report_failure(node);
    }

    fn forward(&self, node: NodeId, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, PeerError>> {
        Box::pin(self.peers.forward(node, request))
    }

    fn administer(
        &self,
        node: NodeId,
        request: AdminRequest,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<AdminAnswer, PeerError>> {
        Box::pin(self.peers.administer(node, request, deadline))
    }
}
