//! More is lost than the redundancy bears: `fsck` and `status` name what is touched, nothing else is, and a push of the
//! same content heals it in place.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::cluster::{Cluster, Node};
use tests::image::{Image, Recipe};
use tests::operator::{COMMAND, NOTICE, RESTORE, ask, found, scrub};
use tests::registry::{Registry, blob_path};
use tests::wait::eventually;
use tests::{command, damage, process};

const REPOSITORY: &str = "loss/app";
const OTHER: &str = "loss/other";
/// Exit code of `status` and `fsck` when somebody should look.
const NEEDS_ATTENTION: Option<i32> = Some(4);
/// How long a loss may take until clients are told to push again.
const CERTAIN: Duration = Duration::from_mins(1);

/// Two of three shards of one layer are removed; a scrub of the other nodes, begun at the first one, finds them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_is_named_and_healed_by_the_next_push() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let registry = cluster.registry();
    let whole = Recipe::new(21).layers(2, 400_000).build().unwrap();
    whole.push(&registry, OTHER, "whole").await.unwrap();
    let image = Recipe::new(22).layers(1, 900_000).build().unwrap();
    let victims = [1, 2].map(|number| cluster.node(number));
    let before = victims.map(|node| damage::shard_files(node.data()).unwrap());
    image.push(&registry, REPOSITORY, "1.2").await.unwrap();
    let again = registry.put_manifest(REPOSITORY, "latest", &image.manifest.media, &image.manifest.bytes).await;
    again.unwrap().expect(201).unwrap();
    let layer = image.blobs.iter().max_by_key(|blob| blob.bytes.len()).expect("a layer").digest.clone();
    for (node, before) in victims.iter().zip(&before) {
        let own: Vec<_> = damage::shard_files(node.data()).unwrap().difference(before).cloned().collect();
        assert_eq!(own.len(), 1, "only the layer is not within the catalog: {own:?}");
        damage::remove(&own[0]).unwrap();
    }

    let first = cluster.node(0);
    let clean = process::ended(command::fsck(first.data(), false).unwrap(), COMMAND).await.unwrap();
    assert!(clean.code == Some(0) && clean.stdout.starts_with("everything can be read"), "not noticed yet: {clean:?}");
    for node in victims {
        let pass = scrub(first, node).await.unwrap();
        assert_eq!(found(&pass), [0, 0, 1, 0, 0], "{pass}");
    }
    let all = ask(command::scrub_status_of_all(first.data())).await.unwrap();
    let names: Vec<&str> = all.as_array().unwrap().iter().filter_map(|node| node["name"].as_str()).collect();
    assert_eq!(names, ["node1", "node2", "node3"], "{all}");

    for node in cluster.nodes() {
        let damaged = fsck(node).await.unwrap();
        let blobs = damaged.as_array().unwrap();
        assert!(blobs.len() == 1 && blobs[0]["digest"] == *layer, "{damaged:#}");
        let uses = blobs[0]["uses"].as_array().unwrap();
        assert!(uses.len() == 1 && uses[0]["repository"] == REPOSITORY, "{damaged:#}");
        assert_eq!(uses[0]["manifest"], image.manifest.digest, "{damaged:#}");
        assert_eq!(uses[0]["tags"], serde_json::json!(["1.2", "latest"]), "{damaged:#}");
    }
    let told = process::ended(command::fsck(first.data(), false).unwrap(), COMMAND).await.unwrap();
    let line = format!("  {REPOSITORY}: tags 1.2, latest (manifest {})\n", image.manifest.digest);
    assert!(told.code == NEEDS_ATTENTION && told.stdout.contains(&line), "{told:?}");
    assert!(told.stdout.contains(&format!("\n{layer}: 1 extent lost (")), "{told:?}");
    let status = process::ended(command::status(first.data(), false).unwrap(), COMMAND).await.unwrap();
    assert!(status.code == NEEDS_ATTENTION && status.stdout.contains("1 extent cannot be read"), "{status:?}");
    assert!(status.stdout.contains("regnode fsck"), "{status:?}");

    // Nothing else is touched.
    for node in cluster.nodes() {
        whole.check(&node.registry(), OTHER, "whole").await.unwrap();
        assert!(node.registry().blob(REPOSITORY, &layer).await.is_err(), "two of three shards are gone");
    }
    eventually("clients are told to push it", CERTAIN, async || {
        let answer = registry.head(&blob_path(REPOSITORY, &layer)).await?;
        ensure!(answer.status == 404, "{}", answer.status);
        Ok(Some(()))
    })
    .await
    .unwrap();
    let pushed = push_as_clients_do(&registry, &image, REPOSITORY, "1.2").await.unwrap();
    assert_eq!(pushed, std::slice::from_ref(&layer), "all else was there");
    let healed = ask(command::fsck(first.data(), true)).await.unwrap();
    assert_eq!(healed, serde_json::json!([]));
    cluster.wait_redundant(RESTORE).await.unwrap();
    for node in cluster.nodes() {
        image.check(&node.registry(), REPOSITORY, "latest").await.unwrap();
    }
    cluster.node_mut(0).kill().unwrap();
    cluster.node(1).wait_led(NOTICE).await.unwrap();
    image.check(&cluster.node(1).registry(), REPOSITORY, "1.2").await.unwrap();

    // A node that is not there is named, and so is one that never was.
    let at = cluster.node(1).data().to_owned();
    let silent = process::ended(command::scrub(&at, "node1").unwrap(), COMMAND).await.unwrap();
    assert!(
        silent.code == Some(1) && silent.stderr.contains("node 1 ") && silent.stderr.contains("node1"),
        "{silent:?}"
    );
    let unknown = process::ended(command::scrub(&at, "node9").unwrap(), COMMAND).await.unwrap();
    assert!(unknown.code == Some(1) && unknown.stderr.contains("there is no node \"node9\""), "{unknown:?}");
    cluster.check_sound().unwrap();
}

/// What cannot be read, as the command says to machines. It fails by its exit code.
async fn fsck(node: &Node) -> Result<Value> {
    let told = process::ended(command::fsck(node.data(), true)?, COMMAND).await?;
    ensure!(told.code == NEEDS_ATTENTION, "{told:?}");
    Ok(serde_json::from_str(&told.stdout)?)
}

/// Pushes an image as clients do: a blob only when a HEAD does not find it. Digests of those that were pushed.
async fn push_as_clients_do(registry: &Registry, image: &Image, repository: &str, tag: &str) -> Result<Vec<String>> {
    let mut pushed = Vec::new();
    for blob in &image.blobs {
        let known = registry.head(&blob_path(repository, &blob.digest)).await?;
        if known.status != 200 {
            registry.push_blob(repository, &blob.bytes).await?;
            pushed.push(blob.digest.clone());
        }
    }
    registry.put_manifest(repository, tag, &image.manifest.media, &image.manifest.bytes).await?.expect(201)?;
    Ok(pushed)
}
