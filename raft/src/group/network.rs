//! openraft's network over the [`Transport`]: each remote call becomes one request and one answer.
//!
//! Every call has a deadline of its own, an unreachable peer is reported as such so that openraft backs off, and
//! appends are unary: openraft's sequential stream takes a request before it is sent, so no failing peer is asked in
//! a hot loop.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend};
use storage::disk::Files;
use storage::exec::Exec;
use storage::kv::Engines;

use super::config::{Types, Vote};
use super::error::LeaderCallError;
use super::incarnation::{Heard, Incarnation};
use super::message::{Addressed, Append, Ballot, Request, Response, Transfer};
use super::snapshot::SnapshotData;
use super::snapshot_stream::{self, IDLE, Received};
use super::transport::{Transport, TransportError};
use super::wire;
use crate::codec;
use crate::id::{GroupId, NodeId};

/// Least time for an append to be written, synced and answered.
const APPEND_DEADLINE: Duration = Duration::from_secs(2);
/// A slow line that an append must still get through: bytes of entries per second of its deadline.
const APPEND_BYTES_PER_SECOND: u64 = 4 << 20;

/// Makes a client per peer.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) group: GroupId,
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) heard: Heard,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) files: Arc<dyn Files>,
    /// Open the files of snapshots to send.
    pub(super) engines: Arc<dyn Engines>,
    pub(super) exec: Exec,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        Peer { network: self.clone(), target: NodeId(target), address: node.addr.clone() }
    }
}

/// The client for one peer.
#[derive(Debug)]
pub(super) struct Peer {
    network: Network,
    target: NodeId,
    address: String,
}

impl Peer {
    async fn call(&self, request: Request, kind: RPCTypes, deadline: Duration) -> Result<Response, RPCError<Types>> {
        let Network { group, incarnation, transport, .. } = &self.network;
        let request = Bytes::from(codec::encode(&Addressed { incarnation: *incarnation, request }));
        let answer = transport.call(self.target, &self.address, *group, request, deadline).await;
        let answer = answer.map_err(|error| self.failed(&error, kind, deadline))?;
        match codec::decode(&answer).map_err(|error| RPCError::Network(NetworkError::new(&error)))? {
            Response::OtherIncarnation(other) => Err(RPCError::Unreachable(Unreachable::new(&self.stranger(other)))),
            answer => Ok(answer),
        }
    }

    /// The peer is of another lineage: it is as if it were not there, until both are of one.
    fn stranger(&self, other: Incarnation) -> LeaderCallError {
        self.network.heard.note(other);
        LeaderCallError::OtherIncarnation(other)
    }

    fn failed(&self, error: &TransportError, kind: RPCTypes, deadline: Duration) -> RPCError<Types> {
        match error {
            TransportError::Timeout => RPCError::Timeout(Timeout {
                action: kind,
                id: self.network.node.0,
                target: self.target.0,
                timeout: deadline,
            }),
            // A peer that answers with an error is not asked again at once either.
            TransportError::Unreachable(_) | TransportError::Remote(_) => {
                RPCError::Unreachable(Unreachable::new(error))
            }
        }
    }

    fn mismatch() -> RPCError<Types> {
        RPCError::Network(NetworkError::new(&LeaderCallError::Mismatch))
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        // openraft's own limit, the heartbeat interval, would be too short for large entries; heartbeats are cut to
        // it by openraft itself.
        let append = Append::from(request);
        let seconds = wire::entries_bytes(&append.entries) / APPEND_BYTES_PER_SECOND;
        let deadline = APPEND_DEADLINE + Duration::from_secs(seconds);
        match self.call(Request::Append(append), RPCTypes::AppendEntries, deadline).await? {
            Response::Append(answer) => Ok(answer.into()),
            _ => Err(Self::mismatch()),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.call(Request::Vote(Ballot::from(request)), RPCTypes::Vote, option.hard_ttl()).await? {
            Response::Vote(answer) => Ok(answer.into()),
            _ => Err(Self::mismatch()),
        }
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.call(Request::PreVote(Ballot::from(request)), RPCTypes::Vote, option.hard_ttl()).await? {
            Response::PreVote(answer) => Ok(answer.into()),
            _ => Err(Self::mismatch()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: openraft::alias::SnapshotOf<Types, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let SnapshotData::Stored(stored) = snapshot.snapshot else {
            return Err(StreamingError::Closed(ReplicationClosed::new("only a stored snapshot can be sent")));
        };
        let Network { group, incarnation, transport, files, engines, exec, .. } = &self.network;
        let (files, engines) = (Arc::clone(files), Arc::clone(engines));
        let frames = snapshot_stream::frames(stored, *incarnation, vote.into(), files, engines, *exec);
        let sending = transport.send_snapshot(self.target, &self.address, *group, frames, IDLE);
        let answer = tokio::select! {
            biased;
            closed = cancel => return Err(StreamingError::Closed(closed)),
            answer = sending => answer,
        };
        match answer {
            Ok(bytes) => {
                let received: Received =
                    codec::decode(&bytes).map_err(|error| StreamingError::Network(NetworkError::new(&error)))?;
                if received.incarnation != *incarnation {
                    return Err(StreamingError::Unreachable(Unreachable::new(&self.stranger(received.incarnation))));
                }
                Ok(SnapshotResponse::new(received.vote.into()))
            }
            // Sending it again takes long, so every failure backs off.
            Err(error) => Err(StreamingError::Unreachable(Unreachable::new(&error))),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let request = Request::Transfer(Transfer::from(request));
        match self.call(request, RPCTypes::TransferLeader, option.hard_ttl()).await? {
            Response::Transfer(answer) => Ok(answer.into()),
            _ => Err(Self::mismatch()),
        }
    }
}
