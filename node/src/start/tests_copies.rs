//! Copies of namespaces in two regions of one process: made over the peers' port, told of, and read when the home is gone.

use http::StatusCode;
use serde_json::json;
use tokio::time::{Duration, sleep, timeout};

use super::Node;
use super::tests::{DEADLINE, content, digest, wait_for};
use super::tests_deletion::post;
use super::tests_homes::{get, push, set, two};
use crate::admin::{CopyState, CopyStatus, ReplicationAnswer};

/// The one copy that a node tells of.
async fn copy(node: &Node, region: &str) -> Option<CopyStatus> {
    let told: ReplicationAnswer = post(node, "/replication/status", json!({ "namespace": "acme" })).await;
    let found = told.regions.into_iter().find(|copies| copies.region == region)?;
    assert_eq!(found.error, None);
    found.copies.into_iter().next()
}

async fn until_in_sync(node: &Node, items: u64) -> CopyStatus {
    let mut last = None;
    let in_sync = async {
        loop {
            last = copy(node, "us").await;
            if let Some(copy) =
                last.as_ref().filter(|copy| copy.state == CopyState::InSync && copy.items_arrived >= items)
            {
                return copy.clone();
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    match timeout(DEADLINE, in_sync).await {
        Ok(copy) => copy,
        Err(elapsed) => panic!("it is never in sync, {elapsed}: {last:#?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_made_told_of_and_read_when_the_home_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let [eu, us] = two(directory.path()).await;
    let layer = content(9 << 20);
    push(&eu, "acme/app", &layer).await;
    let place = json!({ "home": "eu", "residency": { "replicated": ["us"] } });
    set(&eu, json!({ "prefix": "acme", "set": {}, "unset": [], "place": place })).await;
    let first = until_in_sync(&us, 1).await;
    assert_eq!((first.namespace.as_str(), first.from.as_str(), first.lag_seconds), ("acme", "eu", Some(0)));
    assert!(first.bytes_arrived > 9 << 20 && first.items_failing == 0, "{first:?}");

    // What comes later comes by itself, and any region tells of it.
    push(&us, "acme/tool", b"pushed at the copy, which hands it on").await;
    let later = until_in_sync(&eu, first.items_arrived + 1).await;
    assert!(later.bytes_arrived < first.bytes_arrived + (1 << 20), "what is here is not fetched again");
    let status = us.status().await;
    assert_eq!(status.copies.len(), 1, "{status:#?}");

    drop(eu);
    wait_for(&us, "the other one is gone", |_| us.members.remotes().iter().all(|remote| !remote.live)).await;
    let (status, body) = get(&us, &format!("/v2/acme/app/blobs/{}", digest(&layer))).await;
    assert_eq!((status, body == layer), (StatusCode::OK, true));
    let (status, _) = get(&us, "/v2/acme/tool/manifests/v1").await;
    assert_eq!(status, StatusCode::OK);
    let silent = async {
        while copy(&us, "us").await.is_none_or(|copy| copy.state == CopyState::InSync) {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(DEADLINE, silent).await.unwrap();
    timeout(DEADLINE, us.shutdown()).await.unwrap();
}
