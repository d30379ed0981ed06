//! The cluster's certificate authority is changed while clients push and pull: held up by a node that is down, finished when
//! it is back, and what was signed before is worth nothing afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::cluster::Cluster;
use tests::content;
use tests::operator::{NOTICE, query, run, until};
use tests::peer::{Connection, Identity, is_let_in};
use tests::registry::Registry;
use tests::wait::eventually;
use tokio::task::JoinHandle;

/// Where clients push to.
const REPOSITORY: &str = "rotation/content";
/// How long a change may take whose nodes are all there.
const CHANGE: Duration = Duration::from_mins(1);
/// How long a connection may stand whose certificate is not trusted any more.
const OUTDATED: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authority_is_changed_under_load() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let verdict = change(&mut cluster).await.and_then(|()| cluster.check_sound());
    assert!(verdict.is_ok(), "{:#}", verdict.unwrap_err());
    Ok(())
}

async fn change(cluster: &mut Cluster) -> Result<()> {
    let first = until_stable(cluster).await?;
    let kept = Identity::copy(cluster.node(1).data())?.pair;
    let peers = [0, 1, 2].map(|number| cluster.node(number).peer_address());
    is_let_in(peers[0], Some(&kept), 1).await.context("the second node's certificate of before")?;

    // All serve: it is over in a moment, and no client notices.
    let load = Load::start(&[0, 1, 2].map(|number| cluster.node(number).registry()));
    let text = run(cluster.node(1).data(), &["ca", "rotate", "--wait"]).await?;
    let second = until_stable(cluster).await?;
    ensure!(second != first && text.contains(&second), "{first}, {second}: {text}");
    load.finish().await.context("a client under a change")?;
    for (number, peer) in peers.into_iter().enumerate() {
        let refused = is_let_in(peer, Some(&kept), number as u64 + 1).await;
        ensure!(refused.is_err(), "node {} takes a certificate of the authority that was dropped", number + 1);
    }

    // A node that is down holds it up, and what it has is good meanwhile.
    let absent = Identity::copy(cluster.node(2).data())?.pair;
    cluster.node_mut(2).stop().await?;
    run(cluster.node(0).data(), &["ca", "rotate"]).await?;
    let awaited = |answer: &Value| -> Vec<String> {
        let nodes = answer["nodes"].as_array().into_iter().flatten();
        nodes.filter(|node| !node["awaited"].is_null()).map(|node| node["name"].to_string()).collect()
    };
    eventually("node3 alone is awaited", NOTICE, async || {
        let answer = query(cluster.node(1).data(), &["ca", "status"]).await?;
        ensure!(answer["phase"] == "introduced" && awaited(&answer) == ["\"node3\""], "{answer}");
        Ok(Some(()))
    })
    .await?;
    let told = |finding: &String| finding.contains("is held up") && finding.contains("node3 does not answer");
    until(cluster.node(0), "it is told", NOTICE, |status| status.findings().iter().any(told)).await?;
    let mut open = Connection::open(peers[0], Some(&absent)).await?;
    ensure!(open.call(1).await? == tests::peer::LET_IN, "the certificate of a node that is down");
    cluster.node_mut(2).restart().await?;
    let third = until_stable(cluster).await?;
    ensure!(third != second, "{third}");
    open.ended(OUTDATED).await.context("a connection that was made with the former certificate")?;
    ensure!(is_let_in(peers[1], Some(&absent), 2).await.is_err(), "the former certificate is let in");

    // They find each other again, and a machine joins.
    for number in 0..3 {
        cluster.node_mut(number).stop().await?;
    }
    cluster.restart_all().await?;
    cluster.wait_whole().await?;
    let fourth = cluster.join("node4", None).await?;
    let bytes = content::bytes(7, 300_000);
    let digest = cluster.node(fourth).registry().push_blob(REPOSITORY, &bytes).await?;
    ensure!(cluster.node(0).registry().blob(REPOSITORY, &digest).await? == bytes, "other bytes");
    for number in 0..4 {
        cluster.node(number).check_quiet()?;
    }
    Ok(())
}

/// Waits until no change is under way and nobody lags behind; the fingerprint of the authority.
async fn until_stable(cluster: &Cluster) -> Result<String> {
    eventually("the authority is not being changed", CHANGE, async || {
        let answer = query(cluster.node(0).data(), &["ca", "status"]).await?;
        let nodes = answer["nodes"].as_array().context("no nodes")?;
        let all = nodes
            .iter()
            .all(|node| node["awaited"].is_null() && node["shows"] == answer["authorities"][0]["fingerprint"]);
        ensure!(answer["phase"] == "stable" && nodes.len() == 3 && all, "{answer}");
        Ok(answer["authorities"][0]["fingerprint"].as_str().map(str::to_owned))
    })
    .await
}

/// Clients that push to one node and pull from the next, and try nothing twice.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Result<usize>>>,
}

impl Load {
    fn start(nodes: &[Registry; 3]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |number: usize| {
            let (to, from) = (nodes[number].clone(), nodes[(number + 1) % 3].clone());
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut pushed = 0;
                while !stop.load(Ordering::Relaxed) {
                    let bytes = content::bytes((1000 * number + pushed) as u64, 200_000 + 400_000 * (pushed % 3));
                    let digest = to.push_blob(REPOSITORY, &bytes).await?;
                    ensure!(from.blob(REPOSITORY, &digest).await? == bytes, "{digest}: other bytes");
                    pushed += 1;
                }
                Ok(pushed)
            })
        };
        Self { clients: (0..3).map(client).collect(), stop }
    }

    /// Ends them once each has done something.
    async fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            let pushed = client.await??;
            ensure!(pushed > 0, "a client has pushed nothing");
        }
        Ok(())
    }
}
