//! Shard files that were changed behind the program's back: the pull is byte-exact all the same, the event is logged
//! and counted, and what was lost is restored.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use tests::cluster::{Cluster, Node};
use tests::wait::eventually;
use tests::{content, damage};

/// How long restoring a few megabytes may take.
const RESTORE: Duration = Duration::from_mins(1);
/// Blobs of each kind of damage: enough that the damaged node holds data, not only parity, of some.
const BLOBS: u64 = 8;

/// Does something to a file.
type Damage = fn(&Path) -> Result<()>;

/// One kind of damage to every shard file of one node at a time, on a cluster that serves meanwhile.
#[tokio::test]
async fn damaged_shard_files_are_noticed_and_never_served() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let kinds: [(&str, Damage); 3] =
        [("flipped bit", damage::flip_bit), ("cut short", damage::truncate), ("removed", damage::remove)];
    for (victim, (kind, inflict)) in kinds.into_iter().enumerate() {
        let repository = format!("damage/{}", kind.replace(' ', "-"));
        let older = damage::shard_files(cluster.node(victim).data()).unwrap();
        let mut blobs: Vec<(String, Bytes)> = Vec::new();
        for seed in 0..BLOBS {
            let bytes = content::bytes(700 + 10 * victim as u64 + seed, 1_700_000);
            blobs.push((cluster.registry().push_blob(&repository, &bytes).await.unwrap(), bytes));
        }
        // Of the older ones another node's may still be damaged: parity that no pull reads, which a scrub finds some day.
        let mut files = damage::shard_files(cluster.node(victim).data()).unwrap();
        files.retain(|path| !older.contains(path));
        assert!(files.len() >= blobs.len(), "{} shard files for {BLOBS} blobs", files.len());
        let before = found(&cluster).await.unwrap();
        files.iter().try_for_each(|path| inflict(path)).unwrap();
        for node in cluster.nodes() {
            for (digest, bytes) in &blobs {
                let pulled = node.registry().blob(&repository, digest).await.unwrap();
                assert!(pulled == *bytes, "{kind}: node {}", node.number());
            }
        }
        eventually(&format!("{kind}: counted"), RESTORE, async || Ok((found(&cluster).await? > before).then_some(())))
            .await
            .unwrap();
        let logs: String = cluster.nodes().iter().map(Node::log).collect();
        assert!(logs.lines().any(speaks_of_damage), "{kind}: nothing in the logs");
        cluster.wait_redundant(RESTORE).await.unwrap();
    }
    cluster.check_sound().unwrap();
}

/// A re-push of a damaged blob succeeds and the blob is whole.
#[tokio::test]
async fn a_second_push_heals_what_is_beyond_repair() {
    let mut cluster = Cluster::start(1).await.unwrap();
    let registry = cluster.registry();
    let bytes = content::bytes(750, 1_000_000);
    let digest = registry.push_blob("damage/alone", &bytes).await.unwrap();
    for path in damage::shard_files(cluster.node(0).data()).unwrap() {
        damage::flip_bit(&path).unwrap();
    }
    // One disk has no spare: the pull fails, and never with other bytes and never as a success.
    match registry.blob("damage/alone", &digest).await {
        Ok(_) => panic!("bytes that fail their checksum were served"),
        Err(error) => assert!(!format!("{error:#}").contains("the bytes have digest"), "{error:#}"),
    }
    registry.push_blob("damage/alone", &bytes).await.unwrap();
    assert_eq!(registry.blob("damage/alone", &digest).await.unwrap(), bytes);
    cluster.check_sound().unwrap();
}

/// Two of three shards gone: the pull fails in the open, and nothing is padded or cut into a success.
#[tokio::test]
async fn damage_beyond_the_redundancy_is_an_error_and_never_other_bytes() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let bytes = content::bytes(760, 3_000_000);
    let digest = cluster.registry().push_blob("damage/beyond", &bytes).await.unwrap();
    for victim in [0, 1] {
        for path in damage::shard_files(cluster.node(victim).data()).unwrap() {
            damage::flip_bit(&path).unwrap();
        }
    }
    for node in cluster.nodes() {
        let verdict = node.registry().blob("damage/beyond", &digest).await;
        let error = format!("{:#}", verdict.expect_err("the bytes cannot be whole"));
        assert!(!error.contains("the bytes have digest"), "other bytes as a success: {error}");
        let status = node.status().await.unwrap();
        ensure_reported(&status).unwrap();
    }
    cluster.check_sound().unwrap();
}

fn ensure_reported(status: &tests::status::Status) -> Result<()> {
    ensure!(status.under_replicated()? > 0, "status does not speak of the damage: {status}");
    Ok(())
}

/// Damaged and missing shards that the nodes have found so far, in reads for clients and otherwise.
async fn found(cluster: &Cluster) -> Result<f64> {
    let mut total = 0.0;
    for node in cluster.nodes() {
        let metrics = node.metrics().await?;
        total += metrics.sum(&["regnode_gateway_corrupt_shards_total"])?;
        total += metrics.sum(&["regnode_gateway_missing_shards_total"])?;
    }
    Ok(total)
}

fn speaks_of_damage(line: &str) -> bool {
    line.contains("shard") && ["checksum", "corrupt", "missing"].iter().any(|word| line.contains(word))
}
