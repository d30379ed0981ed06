//! The way in: requests of peers, checked before they reach the node.
//!
//! Who calls is settled before the body of a request is read (`guard`). Everything that comes in is checked against its limits
//! in [`convert`]; a handler that works on files runs as a task of its own, so that a caller who goes
//! away never leaves half of an operation behind.

use std::io;
use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use raft::id::GroupId;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming};

use super::guard::{Guard, OwnRegion, check_group, identity};
use super::proto::admission_server::AdmissionServer;
use super::proto::group_snapshot_frame::Step;
use super::proto::peer_server::PeerServer;
use super::proto::shard_holder_server::ShardHolderServer;
use super::server_shards::Holder;
use super::{
    Administration, Admission, Groups, GroupsError, Metrics, Refusal, Trust, administration, admission, convert,
    forwarded, limits, proto,
};
use crate::members::Members;
use crate::shards::LocalShards;

/// What peers are answered from.
#[derive(Clone, Debug)]
pub struct Server {
    /// What proves that a caller is a peer.
    pub trust: Trust,
    /// The Raft groups.
    pub groups: Arc<dyn Groups>,
    /// Heartbeats.
    pub members: Members,
    /// Shard files.
    pub shards: LocalShards,
    /// Joins.
    pub admission: Arc<dyn Admission>,
    /// What concerns this machine, for operators at other nodes.
    pub administration: Arc<dyn Administration>,
    /// What clients are answered by, for requests that nodes of other regions hand on.
    pub api: Router,
    /// Counts those of them that have not ended, for a shutdown that lets them.
    pub forwarded: TaskTracker,
    /// Counters.
    pub metrics: Metrics,
}

/// The services of the peer port.
pub fn router(server: Server) -> Router {
    let own = server.shards.own();
    let guard = Guard { own, trust: server.trust, members: server.members.clone() };
    let holder = Holder {
        shards: server.shards.clone(),
        writers: Arc::new(Semaphore::new(limits::SHARD_WRITERS_LIMIT)),
        metrics: server.metrics.clone(),
    };
    let api = forwarded::routes(server.api.clone(), guard.clone(), server.metrics.clone(), server.forwarded.clone());
    let server = Arc::new(server);
    let peer = PeerServer::from_arc(Arc::clone(&server))
        .max_decoding_message_size(limits::MESSAGE_LIMIT_BYTES + limits::FRAMING_BYTES);
    let holder = ShardHolderServer::new(holder)
        .max_decoding_message_size(limits::SHARD_FRAME_LIMIT_BYTES + limits::FRAMING_BYTES);
    let admission = AdmissionServer::from_arc(server).max_decoding_message_size(limits::ADMISSION_LIMIT_BYTES);
    Routes::new(InterceptedService::new(peer, guard.clone()))
        .add_service(InterceptedService::new(holder, OwnRegion(guard)))
        .add_service(admission)
        .into_axum_router()
        .merge(api)
}

/// Counts an answer, and logs a failure of this node's own.
pub(super) fn answered<T>(metrics: &Metrics, call: &'static str, answer: &Result<T, Status>) {
    let outcome = match answer {
        Ok(_) => "done",
        Err(status) => Refusal::of(status).map_or("lost", Refusal::name),
    };
    metrics.served(call, outcome);
    if let Err(status) = answer {
        tracing::debug!(call, outcome, message = status.message(), "peer request not served");
    }
}

fn group_status(error: &GroupsError) -> Status {
    match error {
        GroupsError::Unknown(_) => Refusal::UnknownGroup.status(error.to_string()),
        GroupsError::Failed(_) => Refusal::Failed.status(error.to_string()),
    }
}

impl Server {
    async fn call(&self, request: Request<proto::GroupCallRequest>) -> Result<proto::GroupCallAnswer, Status> {
        let peer = identity(&request)?;
        let request = request.into_inner();
        let group = convert::group_id(request.group)?;
        check_group(peer, group)?;
        self.metrics.received(request.payload.len());
        let payload = self.groups.call(group, request.payload).await.map_err(|error| group_status(&error))?;
        self.metrics.sent(payload.len());
        Ok(proto::GroupCallAnswer { payload })
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<proto::GroupSnapshotFrame>>,
    ) -> Result<proto::GroupCallAnswer, Status> {
        let peer = identity(&request)?;
        let mut steps = request.into_inner();
        let first = tokio::time::timeout(limits::SNAPSHOT_STALL, steps.message()).await;
        let first = first.map_err(|_| Refusal::Invalid.status("no header came"))??;
        let Some(proto::GroupSnapshotFrame { step: Some(Step::Header(name)) }) = first else {
            return Err(Refusal::Invalid.status("a snapshot begins with its header"));
        };
        let group: GroupId = convert::group_id(Some(name))?;
        check_group(peer, group)?;
        let metrics = self.metrics.clone();
        let frames = stream::unfold(Some(steps), move |steps| {
            let metrics = metrics.clone();
            async move {
                let mut steps = steps?;
                match next_frame(&mut steps).await {
                    Ok(Some(frame)) => {
                        metrics.received(frame.len());
                        Some((Ok(frame), Some(steps)))
                    }
                    Ok(None) => None,
                    Err(error) => Some((Err(error), None)),
                }
            }
        });
        let answer = self.groups.snapshot(group, frames.boxed()).await;
        Ok(proto::GroupCallAnswer { payload: answer.map_err(|error| group_status(&error))? })
    }
}

/// The next frame of a snapshot; `None` at its end.
async fn next_frame(steps: &mut Streaming<proto::GroupSnapshotFrame>) -> Result<Option<Bytes>, io::Error> {
    let next = tokio::time::timeout(limits::SNAPSHOT_STALL, steps.message()).await;
    match next.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))? {
        Ok(Some(proto::GroupSnapshotFrame { step: Some(Step::Frame(frame)) })) => Ok(Some(frame)),
        Ok(None) => Ok(None),
        Ok(Some(_)) => Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is expected")),
        Err(status) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, status.message().to_owned())),
    }
}

#[tonic::async_trait]
impl proto::peer_server::Peer for Server {
    async fn group_call(
        &self,
        request: Request<proto::GroupCallRequest>,
    ) -> Result<Response<proto::GroupCallAnswer>, Status> {
        let answer = self.call(request).await;
        answered(&self.metrics, "group", &answer);
        answer.map(Response::new)
    }

    async fn group_snapshot(
        &self,
        request: Request<Streaming<proto::GroupSnapshotFrame>>,
    ) -> Result<Response<proto::GroupCallAnswer>, Status> {
        let answer = self.snapshot(request).await;
        answered(&self.metrics, "group_snapshot", &answer);
        answer.map(Response::new)
    }

    async fn heartbeat(
        &self,
        request: Request<proto::HeartbeatRequest>,
    ) -> Result<Response<proto::HeartbeatAnswer>, Status> {
        let peer = identity(&request)?;
        let beat = convert::beat(request.into_inner().beat)?;
        let answer = if beat.node == peer.node {
            self.members.heard_from(peer.node);
            Ok(proto::HeartbeatAnswer { beat: Some(convert::beat_message(&self.members.beat())) })
        } else {
            Err(Refusal::Invalid.status(format!("node {} speaks for node {}", peer.node, beat.node)))
        };
        answered(&self.metrics, "heartbeat", &answer);
        answer.map(Response::new)
    }

    async fn administer(&self, request: Request<proto::AdminRequest>) -> Result<Response<proto::AdminAnswer>, Status> {
        let peer = identity(&request)?;
        let request = request.into_inner();
        // What nodes ask of each other page by page, nobody has typed.
        let by_itself = ["/replication/", "/residency/"].iter().any(|paths| request.path.starts_with(paths));
        if request.method != "GET" && !by_itself {
            tracing::info!(from = %peer.node, path = request.path, "an operator at another node asks");
        } else {
            tracing::debug!(from = %peer.node, path = request.path, "another node asks");
        }
        let answer = administration::answer(&self.administration, peer, request).await;
        answered(&self.metrics, "administer", &answer);
        answer.map(Response::new)
    }
}

#[tonic::async_trait]
impl proto::admission_server::Admission for Server {
    async fn join(&self, request: Request<proto::JoinRequest>) -> Result<Response<proto::JoinAnswer>, Status> {
        let answer = admission::answer(self.admission.as_ref(), request.into_inner()).await;
        answered(&self.metrics, "join", &answer);
        answer.map(Response::new)
    }
}
