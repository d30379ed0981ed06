//! Disks and nodes that are emptied, and change their mind: a disk is taken out under load, a drain is taken back, a drain
//! outlives its leader, a node comes back after part of what it held was rebuilt.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::cluster::{Cluster, Node, Settings};
use tests::operator::{COMMAND, NOTICE, RESTORE, ask, is_healthy_of_three, until, until_disk};
use tests::traffic::{Client, check, push};
use tests::wait::eventually;
use tests::{command, process};

/// What background work may read and write in each second where it is to be met half done.
const SLOW_BYTES_PER_SECOND: u64 = 8 << 20;

fn slowly(more: &[(&str, &str)]) -> Settings {
    let slow = ("repair.bytes_per_second".to_owned(), SLOW_BYTES_PER_SECOND.to_string());
    let more = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Settings { keys: [slow].into_iter().chain(more).collect(), ..Settings::default() }
}

/// One of a node's two disks is emptied and taken out at another node while a client pushes and pulls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_is_emptied_and_taken_out_under_load() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let owner = cluster.node(1).name().to_owned();
    let folder = cluster.node(1).data().with_extension("second-disk");
    let at = cluster.node(0).data().to_owned();
    let added = ask(command::add_disk(&at, &owner, folder.to_str().unwrap())).await.unwrap();
    let disk = added["disks"][0]["id"].as_str().expect("an id").to_owned();
    until_disk(cluster.node(0), &disk, "it is in use", NOTICE, |disk| disk["health"] == "healthy").await.unwrap();
    let mut blobs = push(&cluster.registry(), 11_000, 16).await.unwrap();
    let client = Client::start(&cluster, 12_000);
    client.wait_for(3).await.unwrap();
    let listed =
        until_disk(cluster.node(0), &disk, "it holds shards", NOTICE, |disk| disk["shards"].as_u64() > Some(0));
    assert_eq!(listed.await.unwrap()["own"]["path"].as_str(), folder.to_str());

    let refused = process::ended(command::remove_disk(&at, &owner, &disk[..12]).unwrap(), COMMAND).await.unwrap();
    assert!(refused.code == Some(6) && refused.stderr.contains("regnode disk drain"), "{refused:?}");
    process::output(command::drain_disk(&at, &owner, &disk[..12]).unwrap(), COMMAND).await.unwrap();
    client.wait_for(3).await.unwrap();
    process::output(command::remove_disk(&at, &owner, &disk[..12]).unwrap(), COMMAND).await.unwrap();
    client.wait_for(3).await.unwrap();
    blobs.extend(client.finish().await.unwrap());
    until(cluster.node(0), "healthy", RESTORE, is_healthy_of_three).await.unwrap();

    // It is gone for good: the node does without its folder at a restart too.
    eventually("nobody lists it", NOTICE, async || {
        let disks = ask(command::disks(&at)).await?;
        let ids: Vec<&str> = disks.as_array().into_iter().flatten().filter_map(|disk| disk["id"].as_str()).collect();
        ensure!(ids.len() == 3 && !ids.contains(&disk.as_str()), "disks are {disks}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    cluster.node_mut(1).stop().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    cluster.node_mut(1).restart().await.unwrap();
    until(cluster.node(0), "healthy without it", RESTORE, is_healthy_of_three).await.unwrap();
    cluster.node_mut(2).kill().unwrap();
    for number in [0, 1] {
        cluster.node(number).wait_led(NOTICE).await.unwrap();
        check(&cluster.node(number).registry(), &blobs).await.unwrap();
    }
    cluster.check_sound().unwrap();
}

/// A drain is taken back half done; another one goes on to its end although the node that leads it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_can_be_taken_back_and_outlives_its_leader() {
    // What a grown cluster can do better is looked for after the same grace.
    let keys = [("repair.node_grace_seconds", "5")];
    let mut cluster = Cluster::start_with(4, slowly(&keys)).await.unwrap();
    let blobs = push(&cluster.registry(), 13_000, 24).await.unwrap();
    let begin = held(&cluster, "node4").await.unwrap();
    let half = |shards: u64| shards < begin && shards > 0;

    process::output(command::begin_drain(cluster.node(0).data(), "node4").unwrap(), COMMAND).await.unwrap();
    until_held(&cluster, "node4", "half emptied", half).await.unwrap();
    process::output(command::undo_drain(cluster.node(1).data(), "node4").unwrap(), COMMAND).await.unwrap();
    let state = |node: &Value, state: &str| node["name"] == "node4" && node["state"] == state;
    let nodes = ask(command::nodes(cluster.node(0).data())).await.unwrap();
    assert!(nodes.as_array().unwrap().iter().any(|node| state(node, "active")), "{nodes}");
    let more = push(&cluster.registry(), 14_000, 8).await.unwrap();
    until_held(&cluster, "node4", "it is filled again", |shards| shards >= begin).await.unwrap();

    process::output(command::begin_drain(cluster.node(0).data(), "node4").unwrap(), COMMAND).await.unwrap();
    let now = held(&cluster, "node4").await.unwrap();
    until_held(&cluster, "node4", "half emptied again", |shards| shards < now).await.unwrap();
    let leader = catalog_leader(cluster.node(0)).await.unwrap();
    let leader = cluster.nodes().iter().find(|node| node.name() == leader).map(Node::number).expect("a node");
    assert_ne!(leader, 3, "a node that is being emptied leads nothing");
    cluster.node_mut(leader).kill().unwrap();
    let other = (leader + 1) % 3;
    cluster.node(other).wait_led(NOTICE).await.unwrap();
    cluster.node_mut(leader).restart().await.unwrap();
    process::output(command::drain(cluster.node(other).data(), "node4").unwrap(), COMMAND).await.unwrap();
    assert_eq!(held(&cluster, "node4").await.unwrap(), 0);
    process::output(command::leave(cluster.node(other).data(), "node4").unwrap(), COMMAND).await.unwrap();
    until(cluster.node(other), "healthy", RESTORE, is_healthy_of_three).await.unwrap();
    for node in [0, 1, 2].map(|number| cluster.node(number)) {
        check(&node.registry(), &blobs).await.unwrap();
        check(&node.registry(), &more).await.unwrap();
    }
    let running = [0, 1, 2].map(|number| cluster.node_mut(number).check_sound());
    running.into_iter().collect::<Result<Vec<()>>>().unwrap();
}

/// A node is away for longer than its grace, and comes back when part of what it held was rebuilt: the rest counts again,
/// and everything has its full redundancy at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_back_has_the_rest_of_its_shards_counted_again() {
    let keys = [("repair.node_grace_seconds", "2"), ("repair.rewrite_grace_seconds", "0")];
    let mut cluster = Cluster::start_with(3, slowly(&keys)).await.unwrap();
    let blobs = push(&cluster.registry(), 15_000, 40).await.unwrap();
    let begin = held(&cluster, "node3").await.unwrap();
    cluster.node_mut(2).kill().unwrap();
    until_held(&cluster, "node3", "part of it is rebuilt", |shards| shards < begin).await.unwrap();
    let left = held(&cluster, "node3").await.unwrap();
    assert!(left > 0, "all of {begin} shards were rebuilt before it could come back");
    cluster.node_mut(2).restart().await.unwrap();
    until(cluster.node(0), "healthy", RESTORE, is_healthy_of_three).await.unwrap();
    until_held(&cluster, "node3", "it has its share again", |shards| shards >= begin).await.unwrap();
    for node in cluster.nodes() {
        check(&node.registry(), &blobs).await.unwrap();
    }
    cluster.node_mut(0).kill().unwrap();
    for number in [1, 2] {
        cluster.node(number).wait_led(NOTICE).await.unwrap();
        check(&cluster.node(number).registry(), &blobs).await.unwrap();
    }
    cluster.check_sound().unwrap();
}

/// Shards that a node is to hold, as the first one that runs knows.
async fn held(cluster: &Cluster, name: &str) -> Result<u64> {
    let asked = cluster.nodes().iter().find(|node| node.is_started()).context("no node runs")?;
    let nodes = ask(command::nodes(asked.data())).await?;
    let found = nodes.as_array().and_then(|nodes| nodes.iter().find(|node| node["name"] == name));
    found.and_then(|node| node["shards"].as_u64()).with_context(|| format!("no {name} in {nodes}"))
}

/// Waits until a node is to hold so many shards.
async fn until_held(cluster: &Cluster, name: &str, what: &str, holds: impl Fn(u64) -> bool) -> Result<()> {
    eventually(what, RESTORE, async || {
        let shards = held(cluster, name).await?;
        ensure!(holds(shards), "{name} holds {shards} shards");
        Ok(Some(()))
    })
    .await
}

/// Name of the node that leads the catalog.
async fn catalog_leader(node: &Node) -> Result<String> {
    let status = node.status().await?;
    let leader = status.leaders().into_iter().find(|(group, _)| group.starts_with("catalog"));
    leader.and_then(|(_, leader)| leader).with_context(|| format!("nobody leads: {status}"))
}
