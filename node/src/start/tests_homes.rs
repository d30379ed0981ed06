//! Homes of namespaces in two regions of one process: clients and operators at the wrong one.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Node;
use super::tests::{DEADLINE, call, content, digest, environment, settings, start, wait_for};
use super::tests_deletion::{post, refused};
use crate::admin::{
    ExplainAnswer, HistoryAnswer, JobAnswer, JobsAnswer, NamedElsewhere, NamedResidency, NamespaceAnswer,
    NamespacesAnswer, PolicyChangedAnswer, RestoredAnswer, UsageAnswer,
};
use crate::cluster::{Certificates, InitAccess, init, join};

/// A node in each of the regions `eu` and `us`.
pub(super) async fn two(data_dir: &std::path::Path) -> [Node; 2] {
    let environment = environment();
    let [first, second] = ["n1", "n2"].map(|name| settings(data_dir, name));
    init(&environment, &first, "eu", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let eu = start(&environment, &first).await;
    eu.admin().region_changes.add("us").await.unwrap();
    let token = eu.create_token(600).await.unwrap();
    join(&environment, &second, &token.addresses, &token.token, "us", Certificates::Issued, None).await.unwrap();
    let us = start(&environment, &second).await;
    for node in [&eu, &us] {
        wait_for(node, "both serve", |status| status.regions.len() == 2 && node.readiness().is_ready()).await;
        let meets = async {
            while !node.members.remotes().iter().any(|remote| remote.live && remote.ready) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, meets).await.unwrap();
    }
    [eu, us]
}

pub(super) async fn set(node: &Node, request: Value) -> PolicyChangedAnswer {
    post(node, "/namespace/set", request).await
}

/// Pushes an image of one layer, tagged v1.
pub(super) async fn push(node: &Node, repository: &str, layer: &[u8]) {
    let digest = digest(layer);
    let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    let pushed = call(node, Method::POST, &path, "application/octet-stream", layer).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{:?}", pushed.body);
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": { "mediaType": "application/x", "digest": digest, "size": layer.len() },
        "layers": [],
    });
    let path = format!("/v2/{repository}/manifests/v1");
    let pushed = call(node, Method::PUT, &path, media_type, manifest.to_string().as_bytes()).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{:?}", pushed.body);
}

pub(super) async fn get(node: &Node, path: &str) -> (StatusCode, Vec<u8>) {
    let answer = call(node, Method::GET, path, "", b"").await;
    (answer.status, answer.body.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_rests_at_its_home_and_is_used_from_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let [eu, us] = two(directory.path()).await;
    let changed = set(
        &eu,
        json!({
            "prefix": "acme", "set": { "grace_seconds": 600 }, "unset": [],
            "place": { "home": "us", "residency": "pinned" },
        }),
    )
    .await;
    assert!(changed.in_force, "in both regions: {changed:?}");

    // Large enough to be more than one piece on the way.
    let layer = content(9 << 20);
    push(&eu, "acme/app", &layer).await;
    push(&us, "tools/x", b"of the root, whose home is the other region").await;
    let (status, body) = get(&eu, &format!("/v2/acme/app/blobs/{}", digest(&layer))).await;
    assert_eq!((status, body == layer), (StatusCode::OK, true));
    let (status, listed) = get(&us, "/v2/_catalog").await;
    assert_eq!((status, listed), (StatusCode::OK, b"{\"repositories\":[\"acme/app\",\"tools/x\"]}\n".to_vec()));
    let held = async |node: &Node| node.status().await.totals.repositories;
    assert_eq!((held(&eu).await, held(&us).await), (1, 1));

    for (node, role) in [(&eu, "foreign"), (&us, "home")] {
        let shown: NamespaceAnswer = post(node, "/namespace/show", json!({ "prefix": "acme" })).await;
        let place = &shown.place;
        assert_eq!((place.home.as_str(), place.role.as_str(), &place.residency), ("us", role, &NamedResidency::Pinned));
        assert_eq!((place.elsewhere, place.sources["home"].as_str()), (NamedElsewhere::Proxy, "acme"));
        assert_eq!((shown.usage.unwrap().tags, shown.in_force, shown.confirmed), (1, true, true));
        let request = json!({ "repository": "acme/app", "tag": "v1" });
        let explained: ExplainAnswer = post(node, "/namespace/explain", request.clone()).await;
        assert_eq!((explained.place.role.as_str(), explained.tag.unwrap().deletable), (role, true));
        assert_eq!(explained.effective.grace_seconds, Some(600));
        let usage: UsageAnswer = post(node, "/usage", json!({ "prefix": "acme", "after": null })).await;
        assert_eq!((usage.total.usage.repositories, usage.below[0].namespace.as_str()), (1, "acme/app"));
        let history: HistoryAnswer = post(node, "/history", request).await;
        assert_eq!(history.changes.len(), 1);
    }
    let listed: NamespacesAnswer = post(&us, "/namespaces", json!({ "after": null })).await;
    let homes: Vec<_> =
        listed.namespaces.iter().map(|entry| (entry.prefix.as_str(), entry.place.home.as_deref())).collect();
    assert_eq!(homes, [("", Some("eu")), ("acme", Some("us"))]);

    // Deleting and restoring, typed in the wrong region.
    let job: JobAnswer = post(&eu, "/delete", json!({ "repository": "acme/app", "tags": "v*" })).await;
    assert_eq!(job.job.region.as_deref(), Some("us"));
    let ended = async {
        loop {
            let request = json!({ "job": job.job.id, "region": "us" });
            let shown: JobAnswer = post(&eu, "/job/show", request).await;
            if shown.job.state == "done" {
                return shown.job.deleted;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    assert_eq!(timeout(DEADLINE, ended).await.unwrap(), 1);
    let here: JobsAnswer = post(&eu, "/jobs", json!({})).await;
    let there: JobsAnswer = post(&eu, "/jobs", json!({ "region": "us" })).await;
    assert_eq!((here.jobs.len(), there.jobs.len()), (0, 1));
    refused(&eu, "/jobs", json!({ "region": "asia" }), StatusCode::NOT_FOUND).await;
    let restored: RestoredAnswer = post(&eu, "/restore", json!({ "repository": "acme/app", "tag": "v1" })).await;
    assert_eq!(restored.tags.len(), 1);

    push(&eu, "acme/app2", b"pushes go on").await;

    drop(us);
    wait_for(&eu, "the other one is gone", |_| eu.members.remotes().iter().all(|remote| !remote.live)).await;
    let (status, body) = get(&eu, "/v2/acme/app/tags/list").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(String::from_utf8(body).unwrap().contains("region us does not answer"));
    let shown: NamespaceAnswer = post(&eu, "/namespace/show", json!({ "prefix": "acme" })).await;
    assert_eq!((shown.usage, shown.confirmed, shown.place.home.as_str()), (None, false, "us"));
    let error =
        refused(&eu, "/usage", json!({ "prefix": "acme", "after": null }), StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(error.contains("region us does not answer"), "{error}");
    push(&eu, "tools/y", b"what is at home here goes on").await;
    timeout(DEADLINE, eu.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_namespace_changes_its_home_to_and_fro() {
    let directory = tempfile::tempdir().unwrap();
    let [eu, us] = two(directory.path()).await;
    for (at, home) in [(&eu, "us"), (&eu, "eu"), (&us, "us"), (&us, "eu")] {
        let changed = set(at, json!({ "prefix": "acme", "set": {}, "unset": [], "place": { "home": home } })).await;
        assert!(changed.in_force, "{home}: {changed:?}");
    }
    let unset = json!({ "prefix": "acme", "set": {}, "unset": ["home"] });
    assert!(set(&us, unset).await.in_force);
    let request = json!({ "prefix": "acme", "set": {}, "unset": [], "place": { "home": "asia" } });
    let error = refused(&eu, "/namespace/set", request, StatusCode::BAD_REQUEST).await;
    assert!(error.contains("there is no region \"asia\", there are eu, us"), "{error}");
    push(&us, "acme/app", b"layer").await;
    assert_eq!(eu.status().await.totals.repositories, 1);
    for node in [eu, us] {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}
