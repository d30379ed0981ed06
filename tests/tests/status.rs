//! `regnode status` tells the truth: healthy, a node dead, redundancy lost and restored, no quorum, no node at all.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::cluster::Cluster;
use tests::content;
use tests::image::Recipe;
use tests::status::Status;
use tests::wait::eventually;

/// How long a change may take until status tells it.
const NOTICE: Duration = Duration::from_secs(20);
/// How long restoring may take.
const RESTORE: Duration = Duration::from_mins(1);

/// Waits until a node's status satisfies a condition.
async fn until(cluster: &Cluster, node: usize, what: &str, holds: impl Fn(&Status) -> Result<bool>) -> Result<Status> {
    eventually(what, NOTICE, async || {
        let status = cluster.node(node).status().await?;
        ensure!(holds(&status)?, "status is {status}");
        Ok(Some(status))
    })
    .await
}

/// One cluster through its states, looked at from several nodes.
#[tokio::test]
async fn status_follows_the_cluster() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let image = Recipe::new(800).layers(3, 1_000_000).build().unwrap();
    image.push(&cluster.registry(), "status/image", "v1").await.unwrap();

    // Healthy, and every node says so.
    for number in 0..3 {
        let status = until(&cluster, number, "healthy", |status| Ok(status.is_whole(3))).await.unwrap();
        assert_eq!(status.verdict().unwrap(), "healthy", "{status}");
        assert!(status.dead_nodes().is_empty(), "{status}");
    }
    let text = cluster.node(0).status_text().await.unwrap();
    for name in cluster.nodes().iter().map(tests::cluster::Node::name) {
        assert!(text.contains(name), "{name} is not in:\n{text}");
    }
    assert!(text.contains("healthy"), "{text}");

    // One node dead: named, and no more "healthy"; each group has a leader among the living.
    let dead = cluster.node(1).name().to_owned();
    cluster.node_mut(1).kill().unwrap();
    for number in [0, 2] {
        let status = until(&cluster, number, "the dead node is named", |status| {
            Ok(status.dead_nodes() == [dead.clone()] && status.leaders().iter().all(|(_, leader)| leader.is_some()))
        })
        .await
        .unwrap();
        assert_eq!(status.verdict().unwrap(), "needs-attention", "{status}");
    }
    let text = cluster.node(0).status_text().await.unwrap();
    assert!(text.lines().any(|line| line.contains(&dead)), "{text}");

    // A push meanwhile is below the redundancy of the whole cluster.
    cluster.node(0).registry().push_blob("status/degraded", &content::bytes(801, 2_000_000)).await.unwrap();
    until(&cluster, 2, "the degraded write is counted", |status| Ok(status.under_replicated()? > 0)).await.unwrap();

    // It returns: everything is restored, and healthy again.
    cluster.node_mut(1).restart().await.unwrap();
    cluster.wait_redundant(RESTORE).await.unwrap();
    for number in 0..3 {
        let status = until(&cluster, number, "healthy again", |status| Ok(status.is_whole(3))).await.unwrap();
        assert_eq!(status.verdict().unwrap(), "healthy", "{status}");
    }

    // Without a quorum a node still answers, and says that the cluster does not serve.
    cluster.node_mut(0).kill().unwrap();
    cluster.node_mut(1).kill().unwrap();
    let status = until(&cluster, 2, "no quorum", |status| Ok(status.dead_nodes().len() == 2)).await.unwrap();
    assert_eq!(status.verdict().unwrap(), "not-serving", "{status}");
    cluster.restart_all().await.unwrap();
    cluster.wait_whole().await.unwrap();
    cluster.check_sound().unwrap();
}

/// A node that does not run: the command fails with words that a person can act on.
#[tokio::test]
async fn status_without_a_node_says_what_to_do() {
    let mut cluster = Cluster::start(1).await.unwrap();
    cluster.node_mut(0).stop().await.unwrap();
    let output = tests::command::status(cluster.node(0).data(), false).unwrap().output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("no node answers") && text.contains("regnode serve"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

/// Health pages: alive at once, ready with reasons.
#[tokio::test]
async fn health_pages_tell_the_state_with_reasons() {
    let mut cluster = Cluster::start(3).await.unwrap();
    let registry = cluster.node(0).registry();
    registry.get("/livez").await.unwrap().expect(200).unwrap();
    registry.get("/readyz").await.unwrap().expect(200).unwrap();
    cluster.node_mut(1).kill().unwrap();
    cluster.node_mut(2).kill().unwrap();
    let answer = eventually("not ready without a quorum", NOTICE, async || {
        let answer = registry.get("/readyz").await?;
        Ok((answer.status == 503).then_some(answer))
    })
    .await
    .unwrap();
    assert!(!answer.body.is_empty(), "no reason is given");
    registry.get("/livez").await.unwrap().expect(200).unwrap();
    cluster.node_mut(1).restart().await.unwrap();
    eventually("ready again", NOTICE, async || Ok((registry.get("/readyz").await?.status == 200).then_some(())))
        .await
        .unwrap();
    cluster.check_sound().unwrap();
}
