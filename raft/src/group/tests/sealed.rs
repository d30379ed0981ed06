//! Groups whose nodes seal their files, each under keys of its own: snapshots between them, restarts, and keys that change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use storage::disk::{Files, RealFiles};
use storage::kv::{Engines, MemoryEngines, RocksEngines};
use storage::seal::{DataKey, KeyId, Keyring, Keys, Seals, survey};
use tokio::time::{Instant, timeout};

use super::harness::{Cluster, Machines, Node, leader, retry, wait_for};
use super::toy::{count, value};
use crate::id::NodeId;

fn ring(numbers: &[u8], current: u8) -> Keyring {
    let keys = numbers.iter().map(|number| DataKey::new(KeyId([*number; 16]), [*number; 32]));
    Keyring::new(keys, Some(KeyId([current; 16]))).unwrap()
}

fn keys(number: u8) -> Keys {
    let next = AtomicU64::new(0);
    Keys::new(ring(&[number], number), move |bytes| {
        bytes.fill(number);
        bytes[..8].copy_from_slice(&next.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    })
}

fn seals(cluster: &Cluster, node: u64) -> Seals {
    let mut seals = survey(&RealFiles, &cluster.machines.path(&format!("{node}-group"))).unwrap();
    for (key, bytes) in survey(&RealFiles, &cluster.machines.path(&format!("{node}-log"))).unwrap() {
        *seals.entry(key).or_default() += bytes;
    }
    seals
}

fn only(seals: &Seals, number: u8) -> bool {
    seals.keys().copied().collect::<Vec<_>>() == [Some(KeyId([number; 16]))]
}

/// Nodes 1 to 3, one key each; a snapshot was taken and the log behind it is gone.
async fn purged(cluster: &Cluster) -> (Vec<Node>, usize) {
    let nodes = cluster.start_voters(3).await;
    for number in 0..120 {
        nodes[0].set(&format!("key-{number}"), vec![7; 2000]).await.unwrap();
    }
    let leading = leader(&nodes.iter().collect::<Vec<_>>()).await;
    wait_for("a purge", || nodes[leading].group.status().purged_index.is_some_and(|index| index > 60)).await;
    (nodes, leading)
}

async fn joined(cluster: &Cluster, nodes: &[Node], leading: usize) -> Node {
    let node = cluster.start(4).await;
    retry("adding a learner", || nodes[leading].group.add_learner(NodeId(4), "node-4".to_owned())).await;
    wait_for("the learner to catch up", || {
        count(node.group.state().as_ref()) == 120 && node.group.status().snapshot_index.is_some()
    })
    .await;
    assert!(cluster.net.snapshots_sent() > 0);
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_sealed_anew_by_whoever_receives_it() {
    let mut cluster = Cluster::new(Machines::rocks());
    cluster.snapshot_after_entries = 40;
    for number in 1..=4u8 {
        cluster.engines.insert(number.into(), Arc::new(RocksEngines::new(keys(number))));
    }
    let (nodes, leading) = purged(&cluster).await;
    let node = joined(&cluster, &nodes, leading).await;
    assert_eq!(value(node.group.state().as_ref(), "key-0").unwrap(), vec![7; 2000]);
    for number in 1..=4u8 {
        assert!(only(&seals(&cluster, number.into()), number), "{number}: {:?}", seals(&cluster, number.into()));
    }
    node.stop().await;
    let node = cluster.start(4).await;
    node.group.read_barrier().await.unwrap();
    assert_eq!(count(node.group.state().as_ref()), 120);
    for node in nodes.into_iter().chain([node]) {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_the_memory_engine_is_carried_between_keys_too() {
    let files: Arc<dyn Files> = Arc::new(RealFiles);
    let mut cluster = Cluster::new(Machines::memory().0);
    cluster.snapshot_after_entries = 40;
    for number in 1..=4u8 {
        let engines = MemoryEngines::with_keys(Arc::clone(&files), keys(number));
        cluster.engines.insert(number.into(), Arc::new(engines) as Arc<dyn Engines>);
    }
    let (nodes, leading) = purged(&cluster).await;
    let node = joined(&cluster, &nodes, leading).await;
    assert_eq!(value(node.group.state().as_ref(), "key-0").unwrap(), vec![7; 2000]);
    for node in nodes.into_iter().chain([node]) {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rewrite_nothing_of_a_replica_needs_the_old_key() {
    let mut cluster = Cluster::new(Machines::rocks());
    cluster.snapshot_after_entries = 40;
    let own = keys(1);
    cluster.engines.insert(1, Arc::new(RocksEngines::new(own.clone())));
    let node = cluster.start(1).await;
    node.group.initialize().await.unwrap();
    for number in 0..100 {
        node.set(&format!("key-{number}"), vec![7; 2000]).await.unwrap();
    }
    wait_for("a snapshot", || node.group.status().snapshot_index.is_some()).await;
    own.swap(ring(&[1, 9], 9));
    // A snapshot may be under way still, of files of the old key.
    retry("writing everything anew", async || {
        node.group.rewrite().await.map_err(|error| error.to_string())?;
        node.log.rewrite().await.map_err(|error| error.to_string())?;
        let seals = seals(&cluster, 1);
        if only(&seals, 9) { Ok(()) } else { Err(format!("{seals:?}")) }
    })
    .await;
    node.set("after", vec![8]).await.unwrap();
    node.stop().await;

    own.swap(ring(&[9], 9));
    let node = cluster.start(1).await;
    node.group.read_barrier().await.unwrap();
    assert_eq!(count(node.group.state().as_ref()), 101);
    assert!(node.group.status().snapshot_index.is_some());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_ends_while_it_is_written_anew_is_closed_after_it() {
    let mut cluster = Cluster::new(Machines::rocks());
    // Whoever begins a file takes its time, on and off.
    let (next, slow) = (AtomicU64::new(0), Arc::new(AtomicBool::new(false)));
    let slowed = Arc::clone(&slow);
    let own = Keys::new(ring(&[1], 1), move |bytes| {
        bytes.fill(1);
        bytes[..8].copy_from_slice(&next.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        let begun = Instant::now();
        while slowed.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_millis(200) {
            std::hint::spin_loop();
        }
    });
    cluster.engines.insert(1, Arc::new(RocksEngines::new(own.clone())));
    let node = cluster.start(1).await;
    node.group.initialize().await.unwrap();
    for number in 0..50 {
        node.set(&format!("key-{number}"), vec![7; 2000]).await.unwrap();
    }
    own.swap(ring(&[1, 9], 9));
    slow.store(true, Ordering::SeqCst);
    let rewriting = async { tokio::join!(node.group.rewrite(), node.log.rewrite()) };
    timeout(Duration::from_millis(100), rewriting).await.unwrap_err();
    node.stop().await;
    slow.store(false, Ordering::SeqCst);
    // An engine that is still open cannot be opened.
    let node = cluster.start(1).await;
    node.group.read_barrier().await.unwrap();
    assert_eq!(count(node.group.state().as_ref()), 50);
    node.group.rewrite().await.unwrap();
    node.log.rewrite().await.unwrap();
    assert!(only(&seals(&cluster, 1), 9));
    node.stop().await;
}
