//! Nodes and disks come and go under clients: killed for good and replaced, a disk deleted, bits rotten, a node grown and
//! shrunk again. Clients with ordinary retries see no error, and the redundancy is full again at the end.
//!
//! The steps are those of the handbook (`deploy/handbook`), with its commands.

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::cluster::{Cluster, Settings};
use tests::operator::{COMMAND, NOTICE, RESTORE, ask, found, is_healthy_of_three, scrub, until, until_disk};
use tests::traffic::{Client, check, push};
use tests::wait::eventually;
use tests::{command, damage, process};
use tokio::time::Instant;

/// Exit code of a node that was removed.
const REMOVED: i32 = 7;

/// A node is killed for good, another takes its place; then the next one dies, and all is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_died_for_good_is_replaced_under_load() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let mut blobs = push(&cluster.registry(), 1_000, 12).await.unwrap();
    let client = Client::start(&cluster, 2_000);
    client.wait_for(5).await.unwrap();

    // The first node: it has founded the cluster, and mostly leads it.
    let dead = cluster.node(0).name().to_owned();
    cluster.node_mut(0).kill().unwrap();
    std::fs::remove_dir_all(cluster.node(0).data()).unwrap();
    client.wait_for(5).await.unwrap();
    let begin = Instant::now();
    let successor = cluster.join(&dead, Some(&dead)).await.unwrap();
    until(cluster.node(1), "the successor has the dead one's place", RESTORE, |status| {
        let mut names = status.live_nodes();
        names.sort();
        status.is_whole(3) && status.dead_nodes().is_empty() && names == ["node1", "node2", "node3"]
    })
    .await
    .unwrap();
    eprintln!("replaced, and all rebuilt, {:.1?} after the command", begin.elapsed());
    client.wait_for(5).await.unwrap();
    blobs.extend(client.finish().await.unwrap());

    let status = until(cluster.node(successor), "healthy", RESTORE, is_healthy_of_three).await.unwrap();
    assert_eq!(status.under_replicated().unwrap(), 0, "{status}");
    let nodes = ask(command::nodes(cluster.node(1).data())).await.unwrap();
    let nodes = nodes.as_array().unwrap();
    let sound = |node: &Value| node["live"] == true && node["state"] == "active" && node["shards"].as_u64() > Some(0);
    assert!(nodes.len() == 3 && nodes.iter().all(sound), "{nodes:#?}");
    assert!(nodes.iter().any(|node| node["name"] == *dead && node["id"] == 4), "a new id: {nodes:#?}");
    check(&cluster.node(successor).registry(), &blobs).await.unwrap();

    // One of the old ones dies as well: what it held is on the two others.
    cluster.node_mut(1).kill().unwrap();
    for number in [2, successor] {
        cluster.node(number).wait_led(NOTICE).await.unwrap();
        check(&cluster.node(number).registry(), &blobs).await.unwrap();
    }
    cluster.check_sound().unwrap();
}

/// One of a node's two disks is deleted while it runs: it is named, what it held is rebuilt, nobody sees an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_disk_is_named_and_rebuilt_under_load() {
    let keys = vec![("repair.node_grace_seconds".to_owned(), "3".to_owned())];
    let mut cluster = Cluster::start_with(3, Settings { keys, ..Settings::default() }).await.unwrap();
    let owner = cluster.node(1).name().to_owned();
    let folder = cluster.node(1).data().with_extension("second-disk");
    let added = command::add_disk(cluster.node(0).data(), &owner, folder.to_str().unwrap());
    let added = ask(added).await.unwrap();
    let disk = added["disks"][0]["id"].as_str().expect("an id").to_owned();
    until_disk(cluster.node(0), &disk, "the disk is in use", NOTICE, |disk| disk["health"] == "healthy").await.unwrap();

    let mut blobs = push(&cluster.registry(), 3_000, 24).await.unwrap();
    let client = Client::start(&cluster, 4_000);
    client.wait_for(5).await.unwrap();
    let held =
        until_disk(cluster.node(0), &disk, "it holds shards", NOTICE, |disk| disk["shards"].as_u64() > Some(0)).await;
    let held = held.unwrap()["shards"].as_u64().unwrap();

    let begin = Instant::now();
    // The node may be writing into it.
    let delete = async || std::fs::remove_dir_all(&folder).map(Some).context("rm -rf");
    eventually("the disk is deleted", NOTICE, delete).await.unwrap();
    until(cluster.node(0), "status names the disk", NOTICE, |status| {
        status.findings().iter().any(|finding| finding.contains(&disk[..8]) && finding.contains(&owner))
    })
    .await
    .unwrap();
    until_disk(cluster.node(0), &disk, "the list says so", NOTICE, |disk| disk["health"] == "vanished").await.unwrap();
    let named = begin.elapsed();
    until_disk(cluster.node(0), &disk, "nothing is left on it", RESTORE, |disk| disk["shards"] == 0).await.unwrap();
    cluster.wait_redundant(RESTORE).await.unwrap();
    eprintln!("named within {named:.1?}; its {held} shards rebuilt within {:.1?}", begin.elapsed());
    client.wait_for(5).await.unwrap();
    blobs.extend(client.finish().await.unwrap());
    assert!(!folder.exists(), "the node has made the folder anew");

    // Given up, it is gone from the lists, and all is well.
    let given_up = command::give_up_disk(cluster.node(0).data(), &owner, &disk[..12]).unwrap();
    process::output(given_up, COMMAND).await.unwrap();
    until(cluster.node(0), "healthy", RESTORE, is_healthy_of_three).await.unwrap();
    cluster.node_mut(0).kill().unwrap();
    for number in [1, 2] {
        cluster.node(number).wait_led(NOTICE).await.unwrap();
        check(&cluster.node(number).registry(), &blobs).await.unwrap();
    }
    cluster.check_sound().unwrap();
}

/// A bit flips in every third shard of a node: a scrub that is begun at another node finds exactly those, and the next
/// one finds none.
#[tokio::test]
async fn bit_rot_is_found_by_scrub_counted_right_and_healed() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let blobs = push(&cluster.registry(), 5_000, 32).await.unwrap();
    let victim = cluster.node(2);
    let files = damage::shard_files(victim.data()).unwrap();
    let rotten: Vec<_> = files.iter().step_by(3).collect();
    assert!(rotten.len() >= 8, "{} shard files of {} blobs", files.len(), blobs.len());
    rotten.iter().try_for_each(|path| damage::flip_bit(path)).unwrap();

    let first = scrub(cluster.node(0), victim).await.unwrap();
    assert_eq!(first["shards"], files.len(), "every shard is read: {first}");
    assert_eq!(found(&first), [rotten.len() as u64, 0, 0, 0, 0], "of {} shards: {first}", files.len());
    cluster.wait_redundant(RESTORE).await.unwrap();
    let second = scrub(cluster.node(0), victim).await.unwrap();
    assert_eq!(found(&second), [0; 5], "{second}");
    assert_eq!(second["shards"], first["shards"], "{second}");
    eprintln!("{} of {} shards were rotten, found and healed", rotten.len(), files.len());
    for node in cluster.nodes() {
        check(&node.registry(), &blobs).await.unwrap();
    }
    // The healed shards carry their part: without another node every stripe needs them.
    cluster.node_mut(0).kill().unwrap();
    cluster.node(2).wait_led(NOTICE).await.unwrap();
    check(&cluster.node(2).registry(), &blobs).await.unwrap();
    cluster.check_sound().unwrap();
}

/// A fourth node joins, takes its share, is emptied and leaves; what is left bears the loss of a node as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_joins_and_leaves_under_load() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let mut blobs = push(&cluster.registry(), 6_000, 12).await.unwrap();
    let client = Client::start(&cluster, 7_000);
    client.wait_for(3).await.unwrap();
    let fourth = cluster.join("node4", None).await.unwrap();
    until(cluster.node(0), "four nodes", RESTORE, |status| status.is_whole(4)).await.unwrap();
    client.wait_for(3).await.unwrap();
    eventually("the new node holds shards", RESTORE, async || {
        let nodes = ask(command::nodes(cluster.node(0).data())).await?;
        let held = nodes.as_array().and_then(|nodes| nodes.iter().find(|node| node["name"] == "node4"));
        ensure!(held.is_some_and(|node| node["shards"].as_u64() > Some(0)), "not yet: {nodes}");
        Ok(Some(()))
    })
    .await
    .unwrap();

    let refused = process::output(command::leave(cluster.node(0).data(), "node4").unwrap(), COMMAND).await;
    let refused = format!("{:#}", refused.expect_err("it holds shards"));
    assert!(refused.contains("exit status: 6") && refused.contains("regnode drain node4"), "{refused}");
    let begin = Instant::now();
    process::output(command::drain(cluster.node(0).data(), "node4").unwrap(), COMMAND).await.unwrap();
    let emptied = begin.elapsed();
    process::output(command::leave(cluster.node(1).data(), "node4").unwrap(), COMMAND).await.unwrap();
    assert_eq!(cluster.node_mut(fourth).wait_ended(NOTICE).await.unwrap(), Some(REMOVED));
    eprintln!("emptied in {emptied:.1?}, gone {:.1?} after the first command", begin.elapsed());
    client.wait_for(3).await.unwrap();
    blobs.extend(client.finish().await.unwrap());

    until(cluster.node(0), "healthy", RESTORE, is_healthy_of_three).await.unwrap();
    // It cannot come back, and its data is not needed any more.
    cluster.node_mut(fourth).serve().unwrap();
    assert_eq!(cluster.node_mut(fourth).wait_ended(NOTICE).await.unwrap(), Some(REMOVED));
    std::fs::remove_dir_all(cluster.node(fourth).data()).unwrap();
    cluster.node_mut(0).kill().unwrap();
    for number in [1, 2] {
        cluster.node(number).wait_led(NOTICE).await.unwrap();
        check(&cluster.node(number).registry(), &blobs).await.unwrap();
    }
    cluster.check_sound().unwrap();
}
