//! Peers as the way from one replica of a Raft group to the others.

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
        let link = self.link(node, Some(hint))?;
        let (progress, mut moved) = watch::channel(Instant::now());
        let metrics = self.metrics().clone();
        let header = stream::iter([Step::Header(convert::group_name(group))]);
        let frames = frames.map(move |frame| {
            metrics.sent(frame.len());
            progress.send_replace(Instant::now());
            Step::Frame(frame)
        });
        let steps = header.chain(frames).map(|step| proto::GroupSnapshotFrame { step: Some(step) });
        let mut client = PeerClient::new(link.bulk).max_decoding_message_size(limits::MESSAGE_LIMIT_BYTES);
        let call = client.group_snapshot(self.request(node, Outgoing::new(steps)));
        tokio::pin!(call);
        loop {
            // The frames own the sender: when they have all been taken the last mark stays, and the answer is awaited
            // for as long again.
            let deadline = *moved.borrow_and_update() + idle;
            tokio::select! {
                biased;
                answer = &mut call => return Self::outcome(node, answer).map(|answer| answer.payload),
                () = sleep_until(deadline) => {
                    if *moved.borrow() + idle <= Instant::now() {
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
