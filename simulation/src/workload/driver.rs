//! The life of a client: one operation after the other, drawn by weight, with pauses, until it is told to stop.

use std::time::Duration;

use rand::Rng as _;
use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use tokio::time::sleep;

use super::OperationKind;
use super::client::Client;
use super::dialect::Dialect;
use super::work::Workload;

/// Works as client `number` until the workload is stopped. Nothing a node answers ends it early.
pub async fn client_task(number: usize, work: Workload) {
    let kinds: Vec<(OperationKind, u32)> =
        work.configuration.operations.iter().map(|(kind, weight)| (*kind, *weight)).collect();
    let Ok(weights) = WeightedIndex::new(kinds.iter().map(|(_, weight)| *weight)) else { return };
    let mut client = Client::new(work, number);
    loop {
        client.work().rest().await;
        if client.work().is_stopped() {
            return;
        }
        let kind = kinds[weights.sample(&mut client.random)].0;
        client.work().tally.begun(kind);
        if Box::pin(client.operate(kind)).await {
            client.work().tally.succeeded(kind);
        }
        let most = client.work().configuration.pause_milliseconds_max;
        let pause = client.random.random_range(0..=most);
        if client.random.random_bool(0.05) {
            client.line.hang_up();
        }
        sleep(Duration::from_millis(pause)).await;
    }
}

impl Client {
    /// One operation; true if it came to the end that it was begun for.
    async fn operate(&mut self, kind: OperationKind) -> bool {
        match kind {
            OperationKind::PushDocker => self.push_image(Dialect::Docker).await,
            OperationKind::PushContainerd => self.push_image(Dialect::Containerd).await,
            OperationKind::PushChunked => self.push_image(Dialect::Chunked).await,
            OperationKind::PushIndex => self.push_index().await,
            OperationKind::Pull => self.pull().await,
            OperationKind::PullRange => self.pull_range().await,
            OperationKind::MoveTag => self.move_tag().await,
            OperationKind::ResolveTag => self.resolve_tag().await,
            OperationKind::DeleteTag => self.delete_tag().await,
            OperationKind::DeleteManifest => self.delete_manifest().await,
            OperationKind::DeleteBlob => self.delete_blob().await,
            OperationKind::HeadBlob => self.head_blob().await,
            OperationKind::Mount => self.mount().await,
            OperationKind::Refer => self.refer().await,
            OperationKind::Abandon => self.abandon().await,
            OperationKind::List => self.list().await,
        }
    }
}
