//! The gateway over real disks and the real peer protocol; only the network is memory, and the catalog without Raft.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::StreamExt;
use raft::catalog::Algorithm;
use storage::exec::Exec;
use tokio::time::{sleep, timeout};

use super::world::*;
use crate::gateway::core::Core;
use crate::gateway::{Gateway, Metrics, Options};
use crate::members::testing::FixedSource;
use crate::peer::Trust;
use crate::peer::testing::{MemoryNetwork, TestNode};

struct Cluster {
    catalog: Arc<World>,
    nodes: Vec<TestNode>,
}

impl Cluster {
    async fn start() -> Self {
        let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2, 3]));
        let mut nodes = Vec::new();
        for id in 1..=3 {
            nodes.push(TestNode::start(&network, &source, id, Trust::Claim).await);
        }
        let cluster = Self { catalog: World::new(&[1, 1, 1]), nodes };
        let all_writable = || {
            let all = cluster.nodes[0].members.all();
            all.len() == 3 && all.iter().all(crate::members::Member::takes_shards)
        };
        while !all_writable() {
            sleep(Duration::from_millis(20)).await;
        }
        cluster
    }

    fn gateway(&self, node: usize) -> Gateway {
        let options = Options { extent_size_bytes: 4 << 20, ..Options::default() };
        let core = Core::new(
            Arc::clone(&self.catalog) as _,
            Arc::new(self.nodes[node].shards.clone()),
            Arc::new(self.nodes[node].members.clone()),
            (Arc::new(Counting(AtomicU64::new(0))), Arc::clone(&self.catalog) as _),
            Exec::threads(),
            options,
            Metrics::default(),
        );
        Gateway { core }
    }

    fn files(&self) -> usize {
        let count = |node: &TestNode| {
            let disk = &node.disks.all()[0];
            (0..=u8::MAX).map(|page| disk.list_shards(page).unwrap().len()).sum::<usize>()
        };
        self.nodes.iter().map(count).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_pass_through_disks_and_peers() {
    let cluster = Cluster::start().await;
    let gateway = cluster.gateway(0);
    let bytes = content((9 << 20) + 12_345);
    let digest = push(&gateway, &bytes).await.unwrap();
    let object = cluster.catalog.object_of(&digest);
    assert_eq!(cluster.catalog.profiles(object), ["2+1", "2+1", "2+1"]);
    assert_eq!(cluster.files(), 9);
    assert!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap() == bytes);
    assert!(pull(&gateway, &digest, 5_000_000..5_000_100).await.unwrap() == bytes[5_000_000..5_000_100]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_connection_breaks_in_the_middle_is_not_seen_by_the_client() {
    let mut cluster = Cluster::start().await;
    let gateway = cluster.gateway(0);
    let bytes = content(20 << 20);
    let session = gateway.start_upload(&repository(), Algorithm::Sha256, None).await.unwrap().session;
    gateway.append(&repository(), session, None, body(&bytes[..6 << 20], 100_000)).await.unwrap();
    let (sender, mut half) = tokio::sync::watch::channel(false);
    let (gone, is_gone) = tokio::sync::watch::channel(false);
    let mut sent = 0;
    let rest = body(&bytes[6 << 20..], 100_000).then(move |frame| {
        sent += 100_000;
        let _none_waits = sender.send(sent > 7 << 20);
        let mut is_gone = is_gone.clone();
        async move {
            if sent > 7 << 20 {
                is_gone.wait_for(|gone| *gone).await.unwrap();
            }
            frame
        }
    });
    let digest = sha256(&bytes);
    let finishing = {
        let gateway = gateway.clone();
        tokio::spawn(async move { gateway.finish(&repository(), session, None, digest, Box::pin(rest)).await })
    };
    half.wait_for(|half| *half).await.unwrap();
    cluster.nodes[2].stop_serving();
    gone.send(true).unwrap();
    finishing.await.unwrap().unwrap();
    let object = cluster.catalog.object_of(&digest);
    assert!(cluster.catalog.profiles(object).iter().all(|profile| profile == "1+1"));
    assert!(pull(&cluster.gateway(1), &digest, 0..u64::MAX).await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_hangs_holds_up_neither_readers_nor_writers_for_long() {
    let cluster = Cluster::start().await;
    let gateway = cluster.gateway(0);
    let bytes = content(6 << 20);
    let digest = push(&gateway, &bytes).await.unwrap();
    cluster.nodes[1].freeze(true);
    let read = timeout(Duration::from_secs(8), pull(&gateway, &digest, 0..u64::MAX)).await.unwrap();
    assert!(read.unwrap() == bytes);
    let other = content((6 << 20) + 1);
    let digest = timeout(Duration::from_secs(15), push(&gateway, &other)).await.unwrap().unwrap();
    cluster.nodes[1].freeze(false);
    assert!(pull(&gateway, &digest, 0..u64::MAX).await.unwrap() == other);
}
