//! Peers as the way from one replica of a Raft group to the others.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use raft::group::{Transport, TransportError};
use raft::id::{GroupId, NodeId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::outgoing::Outgoing;
use super::proto::group_snapshot_frame::Step;
use super::proto::peer_client::PeerClient;
use super::{PeerError, Peers, convert, limits, proto};

impl Transport for Peers {
    fn call<'a>(
        &'a self,
        target: NodeId,
        address: &'a str,
        group: GroupId,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(
            async move { self.group_call(target, address, group, request, deadline).await.map_err(transport_error) },
        )
    }

    fn send_snapshot<'a>(
        &'a self,
        target: NodeId,
        address: &'a str,
        group: GroupId,
        frames: BoxStream<'static, Bytes>,
        idle: Duration,
    ) -> BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(async move {
            let outcome = self.group_snapshot(target, address, group, frames, idle).await;
            self.count("group_snapshot", &outcome);
            outcome.map_err(transport_error)
        })
    }
}

impl Peers {
    async fn group_snapshot(
        &self,
        node: NodeId,
        hint: &str,
        group: GroupId,
        frames: BoxStream<'static, Bytes>,
        idle: Duration,
    ) -> Result<Bytes, PeerError> {
        let link = self.group_link(node, hint, group)?;
        let (progress, mut deadline) = watch::channel(Instant::now() + idle);
        let progress = Arc::new(progress);
        let finished = Arc::clone(&progress);
        let metrics = self.metrics().clone();
        let header = stream::iter([Step::Header(convert::group_name(group))]);
        let frames = frames.map(move |frame| {
            metrics.sent(frame.len());
            progress.send_replace(Instant::now() + idle);
            Step::Frame(frame)
        });
        let end = stream::poll_fn(move |_| {
            // All frames have been taken; to install them takes the peer longer than to take one.
            finished.send_replace(Instant::now() + limits::SNAPSHOT_ANSWER_DEADLINE);
            Poll::Ready(None)
        });
        let steps = header.chain(frames).chain(end).map(|step| proto::GroupSnapshotFrame { step: Some(step) });
        let mut client = PeerClient::new(link.bulk).max_decoding_message_size(limits::MESSAGE_LIMIT_BYTES);
        let call = client.group_snapshot(self.request(node, Outgoing::new(steps)));
        tokio::pin!(call);
        loop {
            let until = *deadline.borrow_and_update();
            tokio::select! {
                biased;
                answer = &mut call => return Self::outcome(node, answer).map(|answer| answer.payload),
                () = sleep_until(until) => {
                    if *deadline.borrow() <= Instant::now() {
                        return Err(PeerError::Timeout { node });
                    }
                }
            }
        }
    }
}

fn transport_error(error: PeerError) -> TransportError {
    match error {
        PeerError::Unreachable { message, .. } => TransportError::Unreachable(message),
        PeerError::Timeout { .. } => TransportError::Timeout,
        PeerError::Lost { .. } | PeerError::Refused { .. } => TransportError::Remote(error.to_string()),
    }
}
