//! Answers to peers: one entry for messages, one for snapshots.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use openraft::async_runtime::WatchReceiver;
use openraft::storage::Snapshot;
use storage::switch;

use super::error::{GroupError, HandleError, ReceiveError};
use super::incarnation::Incarnation;
use super::message::{Addressed, Appended, Request, Response};
use super::record::VoteRecord;
use super::snapshot::SnapshotData;
use super::snapshot_stream::{Frame, Received, next_frame, receive_files};
use super::{Group, config, stopped};
use crate::codec;
use crate::machine::Machine;

impl<M: Machine> Group<M> {
    /// Answers a peer's message, as its [`Transport::call`](super::Transport::call) sent it.
    ///
    /// # Errors
    /// [`HandleError`] when the message cannot be read or the replica has stopped.
    pub async fn handle(&self, request: Bytes) -> Result<Bytes, HandleError> {
        let group = self.id();
        let fatal = |message: String| HandleError::Stopped { group, message };
        let Addressed { incarnation, request } = codec::decode(&request)?;
        // The whole answer is one life's: the stores of the next one are never touched by it.
        let core = self.core();
        if incarnation != core.incarnation {
            self.heard.note(incarnation);
            if incarnation < core.incarnation && self.is_blank() {
                // If nobody has more of this lineage, the one who asks must not give up what it has for it.
                return Err(HandleError::Joining { group, incarnation: core.incarnation });
            }
            return Ok(Bytes::from(codec::encode(&Response::OtherIncarnation(core.incarnation))));
        }
        let response = match request {
            Request::Append(append)
                if !append.entries.is_empty() && switch::broken("raft.append.acknowledge_unwritten") =>
            {
                Response::Append(Appended::Success)
            }
            Request::Append(append) => {
                let answer = core.raft.append_entries(append.into()).await;
                Response::Append(answer.map_err(|error| fatal(error.to_string()))?.into())
            }
            Request::Vote(ballot) => {
                let answer = core.raft.vote(ballot.into()).await;
                Response::Vote(answer.map_err(|error| fatal(error.to_string()))?.into())
            }
            Request::PreVote(ballot) => {
                let answer = core.raft.pre_vote(ballot.into()).await;
                Response::PreVote(answer.map_err(|error| fatal(error.to_string()))?.into())
            }
            Request::Transfer(transfer) => {
                let answer = core.raft.handle_transfer_leader(transfer.into()).await;
                Response::Transfer(answer.map_err(|error| fatal(error.to_string()))?.into())
            }
            Request::Propose { request, command } => {
                Response::Propose(self.answer_propose(request, command).await.map_err(fatal)?)
            }
            Request::ReadIndex => Response::ReadIndex(self.answer_read_index(&core).await.map_err(fatal)?),
        };
        Ok(Bytes::from(codec::encode(&response)))
    }

    /// Receives a snapshot, as a peer's [`Transport::send_snapshot`](super::Transport::send_snapshot) sent it, and
    /// installs it. Errors of the stream's items mean that it broke off.
    ///
    /// # Errors
    /// [`ReceiveError`]; then nothing was installed, and nothing is left of it.
    pub async fn receive_snapshot<S, E>(&self, mut frames: S) -> Result<Bytes, ReceiveError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: fmt::Display + Send,
    {
        let Ok(_receiving) = self.receiving.try_lock() else { return Err(ReceiveError::Busy) };
        if switch::rare("raft.snapshot.refuse") {
            return Err(ReceiveError::Busy);
        }
        let Frame::Begin { incarnation, vote, contents } = next_frame(&mut frames).await? else {
            return Err(ReceiveError::Malformed("it does not begin with its contents".to_owned()));
        };
        let core = self.core();
        let vote = config::Vote::from(vote);
        let own = core.raft.metrics().borrow_watched().vote;
        if incarnation != core.incarnation {
            self.heard.note(incarnation);
            if incarnation < core.incarnation && self.is_blank() {
                return Err(ReceiveError::Busy);
            }
            return Ok(answer(core.incarnation, own));
        }
        if own > vote {
            // An old leader: it learns of the newer one without sending all its files.
            return Ok(answer(incarnation, own));
        }
        let exec = self.resources.exec;
        let directory = {
            let state = Arc::clone(&self.state);
            exec.run(move || state.incoming()).await.map_err(|source| GroupError::File {
                doing: "create a directory for a snapshot",
                path: self.options.directory.clone(),
                source,
            })?
        };
        let (files, engines) = (Arc::clone(&self.resources.files), Arc::clone(&self.resources.engines));
        let received = receive_files(&mut frames, directory.clone(), files, engines, exec).await;
        let installed = match received {
            Ok(()) => {
                let snapshot = Snapshot { meta: contents.into(), snapshot: SnapshotData::Received(directory.clone()) };
                let installed = core.raft.install_full_snapshot(vote, snapshot).await;
                installed.map_err(|error| ReceiveError::Group(stopped(self.id(), &error)))
            }
            Err(error) => Err(error),
        };
        let state = Arc::clone(&self.state);
        exec.run(move || state.discard_incoming(&directory)).await;
        installed.map(|response| answer(incarnation, response.vote))
    }

    /// Whether it has joined its incarnation without having anything of it yet.
    fn is_blank(&self) -> bool {
        self.state.applied().last_applied.is_none()
    }
}

fn answer(incarnation: Incarnation, vote: config::Vote) -> Bytes {
    Bytes::from(codec::encode(&Received { incarnation, vote: VoteRecord::from(vote) }))
}
