//! The same seed gives the same run: every call between replicas, at the same moment, with the same bytes.

use storage::exec::Exec;
use tokio::runtime::{Builder, RngSeed};

use super::harness::{Cluster, Machines, leader};
use crate::group::seed_randomness;

/// One run: an election, writes, a leader that is cut off, another election, and the way back.
fn run(seed: u64) -> Vec<String> {
    seed_randomness(seed);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut cluster = Cluster::new(Machines::memory().0);
        cluster.exec = Exec::inline();
        let nodes = cluster.start_voters(3).await;
        let all: Vec<_> = nodes.iter().collect();
        let old = leader(&all).await;
        cluster.net.isolate(nodes[old].group.options.node);
        for number in 0..20 {
            nodes[(old + 1 + number % 2) % 3].set(&number.to_string(), "value").await.unwrap();
        }
        cluster.net.heal();
        nodes[old].group.read_barrier().await.unwrap();
        let trace = cluster.net.trace();
        for node in nodes {
            node.stop().await;
        }
        trace
    })
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (first, second, other) = (run(1), run(1), run(2));
    assert!(first.len() > 50);
    let different = first.iter().zip(&second).find(|(first, second)| first != second);
    assert_eq!(different, None, "the runs part here");
    assert_eq!(first.len(), second.len());
    assert_ne!(first, other, "the seed changes nothing");
}
