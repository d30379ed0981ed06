//! Nodes that go, in one process: emptied, replaced, removed, and what a removed one does.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Node;
use super::tests::{DEADLINE, content, digest, environment, pull_blob, push_blob, settings, start};
use crate::admin::{Status, Verdict};
use crate::cluster::{Certificates, DepartureError, InitAccess, init, join};
use crate::config::Settings;
use crate::environment::Environment;

/// A node that leaves holds nothing for a while first; one that is replaced is silent for a while.
const PATIENCE: Duration = Duration::from_secs(90);

async fn cluster(environment: &Environment, settings: &[Settings]) -> Vec<Node> {
    init(environment, &settings[0], "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let mut nodes = vec![start(environment, &settings[0]).await];
    for own in &settings[1..] {
        let token = nodes[0].create_token(600).await.unwrap();
        join(environment, own, &token.addresses, &token.token, "main", Certificates::Issued, None).await.unwrap();
        nodes.push(start(environment, own).await);
    }
    for node in &nodes {
        until(node, "the cluster is whole", |status| is_whole(status, settings.len())).await;
    }
    nodes
}

async fn until(node: &Node, what: &str, mut condition: impl FnMut(&Status) -> bool) -> Status {
    let reached = async {
        loop {
            let status = node.status().await;
            if condition(&status) {
                return status;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    let Ok(status) = timeout(PATIENCE, reached).await else { panic!("{what}: {:#?}", node.status().await) };
    status
}

fn is_whole(status: &Status, nodes: usize) -> bool {
    status.verdict == Verdict::Healthy
        && status.nodes.len() == nodes
        && status.groups.iter().all(|group| group.voters.len() as u64 == group.seats)
}

fn names(status: &Status) -> Vec<&str> {
    status.nodes.iter().map(|node| node.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_node_leaves_and_knows_it() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment();
    let settings = ["n1", "n2", "n3", "n4"].map(|name| settings(directory.path(), name));
    let mut nodes = cluster(&environment, &settings).await;
    let blob = content(3_000_000);
    push_blob(&nodes[0], &blob).await;

    let refused = nodes[0].admin().departures.leave("n4", false).await.unwrap_err();
    assert!(matches!(refused, DepartureError::Objections { .. }), "{refused}");
    assert!(refused.to_string().contains("empty it first with regnode drain n4"), "{refused}");

    let begun = nodes[1].admin().departures.drain("n4").await.unwrap();
    assert!(begun.shards > 0, "{begun:?}");
    let emptied = |status: &Status| status.nodes.iter().any(|node| node.name == "n4" && node.shards == 0);
    until(&nodes[0], "n4 is emptied", emptied).await;
    assert_eq!(pull_blob(&nodes[2], &digest(&blob)).await, blob);

    nodes[0].admin().departures.leave("n4", false).await.unwrap();
    until(&nodes[0], "n4 has left", |status| names(status) == ["n1", "n2", "n3"]).await;
    let gone = nodes.pop().unwrap();
    let reason = timeout(DEADLINE, gone.failed()).await.unwrap();
    assert!(gone.is_dismissed() && reason.contains("was removed from cluster"), "{reason}");
    timeout(DEADLINE, gone.shutdown()).await.unwrap();

    // It does not come back: the others tell it.
    let again = Node::start(environment.clone(), settings[3].clone(), Certificates::Issued).await.unwrap();
    timeout(DEADLINE, again.failed()).await.unwrap();
    assert!(!again.readiness().is_ready());
    timeout(DEADLINE, again.shutdown()).await.unwrap();

    assert_eq!(pull_blob(&nodes[1], &digest(&blob)).await, blob);
    for node in nodes {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_is_replaced_by_one_of_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment();
    let all = ["n1", "n2", "n3"].map(|name| settings(directory.path(), name));
    let mut nodes = cluster(&environment, &all).await;
    let blob = content(3_000_000);
    push_blob(&nodes[0], &blob).await;
    timeout(DEADLINE, nodes.pop().unwrap().shutdown()).await.unwrap();

    let refused = nodes[0].admin().departures.leave("n3", false).await.unwrap_err().to_string();
    assert!(refused.contains("2 nodes and voters would remain"), "{refused}");
    assert!(refused.contains("regnode leave n3 --force removes it now and loses no bytes"), "{refused}");

    let mut successor = settings(directory.path(), "n3-new");
    "n3".clone_into(&mut successor.node.name);
    successor.peer.listen.clone_from(&all[2].peer.listen);
    let token = nodes[0].create_token(600).await.unwrap();
    let enter = async |replaces| {
        join(&environment, &successor, &token.addresses, &token.token, "main", Certificates::Issued, replaces).await
    };
    let refused = enter(None).await.unwrap_err().to_string();
    assert!(refused.contains("--replace 3"), "{refused}");
    let joined = enter(Some("n3")).await.unwrap();
    assert_eq!(joined.node.0, 4, "the id is a new one");
    assert_eq!(enter(Some("n3")).await.unwrap(), joined, "a repetition changes nothing");
    nodes.push(start(&environment, &successor).await);

    let status =
        until(&nodes[0], "the old node is gone", |status| status.nodes.len() == 3 && is_whole(status, 3)).await;
    assert_eq!(names(&status), ["n1", "n2", "n3"]);
    assert_eq!(status.nodes[2].id, 4);
    until(&nodes[0], "all is rebuilt", |status| status.under_replicated == 0 && status.nodes[2].shards > 0).await;
    assert_eq!(pull_blob(&nodes[2], &digest(&blob)).await, blob);
    for node in nodes {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}
