//! Reads at a region with a copy, and what such a region fetches for it.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use raft::catalog::{
    AdvanceReplication, Command, NamespaceCopy, ReplicationPosition, ReplicationScope, ReplicationStage, View,
};
use raft::directory::{Elsewhere, Moving, Replication, Residency};
use raft::id::RequestId;
use raft::policy::Role;
use raft::time::Timestamp;

use super::regions::{EU, IMAGE, Operator, Two, US, manifest, push, until};
use super::{Rig, content, sha256};
use crate::regions::{FetchRequest, Region, Standing};
use crate::replication::Wanted;
use crate::replication::testing::{FetchError, Upstream};

/// The namespace `far` is at home in `us` and has a copy in `eu`, of which `v1` has arrived and `v2` has not.
async fn copied() -> Two {
    let operator = Operator::new().await;
    let directory = operator.0.clone();
    let two = Two::with(operator, directory).await;
    push(&two.eu, "far/app", "v1").await;
    two.operator.home("far", US).await;
    two.operator.set("far", |record| record.residency = Some(Residency::Replicated(vec![EU]))).await;
    two.eu.sync("far", NamespaceCopy { role: Some(Role::Replica), ..NamespaceCopy::default() }).await;
    heard(&two, |eu| matches!(eu.regions.standing("far"), Standing::Replica(home, _) if home.id == US)).await;
    until(|| matches!(two.us.regions.standing("far"), Standing::Home)).await;
    push(&two.us, "far/app", "v1").await;
    push(&two.us, "far/app", "v2").await;
    two
}

async fn heard(two: &Two, condition: impl Fn(&Rig) -> bool) {
    until(|| condition(&two.eu)).await;
}

/// Changes what is said of the namespace, and waits until the region with the copy has heard of it.
async fn change(two: &Two, change: impl FnOnce(&mut raft::directory::NamespaceRecord)) {
    two.operator.set("far", change).await;
    let version = two.operator.0.view().policy_version().unwrap();
    until(|| two.eu.regions.places().version() >= version && two.us.regions.places().version() >= version).await;
}

/// Says in the catalog of the region with the copy how far that is.
async fn advance(rig: &Rig, tags: &[&str], stages: &[ReplicationStage]) {
    let wanted = Wanted::of(rig.regions.scope_of("far/app").unwrap(), EU).scope;
    let scope = ReplicationScope { tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(), ..wanted };
    for stage in stages {
        let view = View::new(rig.catalog.state());
        let expected = view.replication(US, "far").unwrap().map(|record| record.position());
        let policy_version = view.policy_version().unwrap();
        // A survey begins a round, which the catalog numbers.
        let round = match stage {
            ReplicationStage::Following => view.replication(US, "far").unwrap().unwrap().round,
            _ => 0,
        };
        let next = ReplicationPosition { scope: scope.clone(), stage: stage.clone(), cursor: 9, round };
        let request = RequestId(sha256(format!("{stage:?}{scope:?}").as_bytes()).as_bytes()[..16].try_into().unwrap());
        let (source, prefix, heard) = (US, "far".to_owned(), Timestamp(1));
        let advance = AdvanceReplication { source, prefix, policy_version, expected, next, heard, debts: Vec::new() };
        let response = rig.catalog.propose(request, Command::AdvanceReplication(advance)).await.unwrap();
        assert_eq!(response, raft::catalog::Response::Done);
    }
}

async fn whole(rig: &Rig) {
    advance(rig, &[], &[ReplicationStage::Surveying { after: None }, ReplicationStage::Following]).await;
}

#[tokio::test]
async fn what_has_arrived_is_served_without_the_home_and_the_rest_by_it() {
    let mut two = copied().await;
    let blob = |text: &str| format!("/v2/far/app/blobs/{}", sha256(text.as_bytes()));
    two.eu.get("/v2/far/app/manifests/v1").await.expect(200);
    assert_eq!(two.eu.get("/v2/far/app/manifests/v2").await.expect(200).body, manifest("v2"));
    assert_eq!(two.eu.get(&blob("v2")).await.expect(200).body, "v2");
    two.eu.get("/v2/far/app/manifests/v3").await.expect_error(404, "MANIFEST_UNKNOWN");
    two.eu.get(&blob("v3")).await.expect(404);
    let tags = two.eu.get("/v2/far/app/tags/list").await.expect(200).json();
    assert_eq!(tags["tags"], serde_json::json!(["v1", "v2"]), "the home's: the copy has not got everything");
    // Pushes go home, and are read from there.
    push(&two.eu, "far/app", "v4").await;
    two.us.get("/v2/far/app/manifests/v4").await.expect(200);
    assert!(
        View::new(two.eu.catalog.state()).tag(&"far/app".parse().unwrap(), &"v4".parse().unwrap()).unwrap().is_none()
    );

    two.us.node.stop_serving();
    assert_eq!(two.eu.get("/v2/far/app/manifests/v1").await.expect(200).body, manifest("v1"));
    two.eu.head("/v2/far/app/manifests/v1").await.expect(200);
    assert_eq!(two.eu.get(&blob("v1")).await.expect(200).body, "v1");
    two.eu.head(&blob("v1")).await.expect(200);
    // It may be there: nobody says that it is not.
    for path in ["/v2/far/app/manifests/v3".to_owned(), blob("v3"), "/v2/far/app/tags/list".to_owned()] {
        let reply = two.eu.get(&path).await.expect_error(503, "UNAVAILABLE");
        assert_eq!(reply.header("retry-after"), "10", "{path}");
    }
    assert_eq!(two.eu.head(&blob("v3")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let referrers = format!("/v2/far/app/referrers/{}", sha256(manifest("v1").as_bytes()));
    two.eu.get(&referrers).await.expect_error(503, "UNAVAILABLE");
    two.eu.get("/v2/far/none/tags/list").await.expect_error(503, "UNAVAILABLE");
}

#[tokio::test]
async fn whether_a_blob_is_there_is_the_homes_to_say() {
    let two = copied().await;
    let digest = two.us.push_blob("far/other", "layer").await;
    let path = format!("/v2/far/app/blobs/{}", sha256(b"v1"));
    two.eu.head(&path).await.expect(200);
    // Somebody is about to push an image that uses it: that it is in the copy does not help.
    two.us.delete(&format!("/v2/far/app/manifests/{}", sha256(manifest("v1").as_bytes()))).await.expect(202);
    two.us.delete(&path).await.expect(202);
    two.eu.head(&path).await.expect(404);
    two.eu.get(&path).await.expect(200);
    two.eu.head(&format!("/v2/far/other/blobs/{digest}")).await.expect(200);
}

#[tokio::test]
async fn lists_are_made_of_a_copy_once_it_has_everything() {
    let mut two = copied().await;
    let path = "/v2/far/app/tags/list";
    let referrers = format!("/v2/far/app/referrers/{}", sha256(manifest("v1").as_bytes()));
    let listed = async |two: &Two| two.eu.get(path).await.expect(200).json()["tags"].clone();
    let (copys, homes) = (serde_json::json!(["v1"]), serde_json::json!(["v1", "v2"]));
    assert_eq!(listed(&two).await, homes);
    advance(&two.eu, &[], &[ReplicationStage::Surveying { after: None }]).await;
    assert_eq!(listed(&two).await, homes, "the survey is not over");
    advance(&two.eu, &[], &[ReplicationStage::Following]).await;
    assert_eq!(listed(&two).await, copys);
    // What belongs to the copy has become another thing: it is surveyed anew.
    two.operator.set("far/other", |record| record.elsewhere = Some(Elsewhere::Proxy)).await;
    change(&two, |record| record.elsewhere = Some(Elsewhere::Proxy)).await;
    assert_eq!(listed(&two).await, homes);
    whole(&two.eu).await;
    assert_eq!(listed(&two).await, copys);
    two.us.node.stop_serving();
    assert_eq!(listed(&two).await, copys);
    two.eu.get(&referrers).await.expect(200);
    two.eu.get("/v2/far/none/tags/list").await.expect_error(503, "UNAVAILABLE");
    two.eu.sync("far", NamespaceCopy { role: Some(Role::Foreign), ..NamespaceCopy::default() }).await;
    two.eu.get(path).await.expect_error(503, "UNAVAILABLE");
    two.eu.get(&referrers).await.expect_error(503, "UNAVAILABLE");
}

#[tokio::test]
async fn a_copy_of_some_tags_lists_nothing_and_forgets_what_it_does_not_copy_any_more() {
    let two = copied().await;
    advance(&two.eu, &["v*"], &[ReplicationStage::Surveying { after: None }, ReplicationStage::Following]).await;
    let listed = two.eu.get("/v2/far/app/tags/list").await.expect(200).json();
    assert_eq!(listed["tags"], serde_json::json!(["v1", "v2"]), "the home's");
    // It moves at home, and the copy does not hear of it.
    two.us.push_blob("far/app", "new").await;
    two.us.put("/v2/far/app/manifests/v1", IMAGE, &manifest("new")).await.expect(201);
    assert_eq!(two.eu.get("/v2/far/app/manifests/v1").await.expect(200).body, manifest("v1"), "it is behind");
    let only = |pattern: &str| Replication { tags: vec![pattern.parse().unwrap()], ..Replication::default() };
    change(&two, |record| record.replication = Some(only("release-*"))).await;
    assert_eq!(two.eu.get("/v2/far/app/manifests/v1").await.expect(200).body, manifest("new"));
    let digest = sha256(manifest("v1").as_bytes());
    two.eu.get(&format!("/v2/far/app/manifests/{digest}")).await.expect(200);
    // The next home copies everything, whatever the patterns are.
    change(&two, |record| record.moving = Some(Moving { to: EU, fenced: false })).await;
    assert_eq!(two.eu.get("/v2/far/app/manifests/v1").await.expect(200).body, manifest("v1"));
}

#[tokio::test]
async fn what_a_copy_lacks_is_looked_for_as_the_namespace_says() {
    let two = copied().await;
    two.operator.url("https://us.example").await;
    change(&two, |record| record.elsewhere = Some(Elsewhere::Redirect)).await;
    two.heard("/v2/far/app/manifests/v2", 307).await;
    two.eu.get("/v2/far/app/manifests/v1").await.expect(200);
    change(&two, |record| record.elsewhere = Some(Elsewhere::Refuse)).await;
    let reply = two.eu.get("/v2/far/app/manifests/v2").await.expect_error(403, "DENIED");
    let message = reply.json()["errors"][0]["message"].clone();
    assert!(message.as_str().unwrap().contains("its home is region us: use https://us.example"), "{message}");
    two.eu.head(&format!("/v2/far/app/blobs/{}", sha256(b"v1"))).await.expect(200);
    whole(&two.eu).await;
    two.eu.get("/v2/far/app/tags/list").await.expect(200);
}

#[tokio::test]
async fn a_fenced_home_still_says_what_is_not_there() {
    let two = copied().await;
    let missing = "/v2/far/app/manifests/none";
    let fenced = || NamespaceCopy { role: Some(Role::Fenced), ..NamespaceCopy::default() };
    change(&two, |record| record.moving = Some(Moving { to: EU, fenced: true })).await;
    two.us.sync("far", fenced()).await;
    two.us.get(missing).await.expect(404);
    two.us.get("/v2/far/app/tags/list").await.expect(200);
    two.us.get("/v2/far/app/manifests/v2").await.expect(200);
    two.eu.get(missing).await.expect(404);
    // The catalog knows of more than this node: it may be a former home by now.
    let version = two.operator.0.view().policy_version().unwrap();
    while View::new(two.us.catalog.state()).policy_version().unwrap() <= version {
        two.us.sync("far", fenced()).await;
    }
    two.us.get(missing).await.expect_error(503, "UNAVAILABLE");
    two.us.get("/v2/far/app/manifests/v2").await.expect(200);
}

async fn fetch(rig: &Rig, request: FetchRequest) -> (StatusCode, Response<Bytes>) {
    let us = Region { id: US, name: "us".to_owned(), public_url: None };
    let (parts, body) = rig.regions.fetch(&us, request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, Response::from_parts(parts, body))
}

#[tokio::test]
async fn content_for_a_copy_is_fetched_from_who_owns_it_and_is_no_pull() {
    let two = copied().await;
    let repository = "far/app".parse().unwrap();
    let layer = content(3 << 20);
    let blob = two.us.push_blob("far/app", layer.clone()).await;
    let (status, answer) = fetch(&two.eu, FetchRequest::blob(&repository, &blob, None)).await;
    assert_eq!((status, answer.body()), (StatusCode::OK, &layer));
    for (range, expected) in [(10..20, &layer[10..20]), ((3 << 20) - 5..u64::MAX, &layer[(3 << 20) - 5..])] {
        let (status, answer) = fetch(&two.eu, FetchRequest::blob(&repository, &blob, Some(range))).await;
        assert_eq!((status, &answer.body()[..]), (StatusCode::PARTIAL_CONTENT, expected));
    }
    let image = sha256(manifest("v2").as_bytes());
    let (status, answer) = fetch(&two.eu, FetchRequest::manifest(&repository, &image)).await;
    assert_eq!((status, &answer.body()[..]), (StatusCode::OK, manifest("v2").as_bytes()));
    assert_eq!(answer.headers()["content-type"], IMAGE);
    let pulled = async || {
        two.us.registry.pulls().flush().await.unwrap();
        View::new(two.us.catalog.state()).pulled(&repository, &image).unwrap().is_some()
    };
    assert!(!pulled().await);
    two.eu.get("/v2/far/app/manifests/v2").await.expect(200);
    assert!(pulled().await, "a client's is one");

    let none = sha256(b"none");
    for request in [FetchRequest::manifest(&repository, &none), FetchRequest::blob(&repository, &none, None)] {
        assert_eq!(fetch(&two.eu, request).await.0, StatusCode::NOT_FOUND);
    }
    two.us.sync("far", NamespaceCopy { role: Some(Role::Replica), ..NamespaceCopy::default() }).await;
    let gone = fetch(&two.eu, FetchRequest::manifest(&repository, &none)).await.0;
    assert_eq!(gone, StatusCode::SERVICE_UNAVAILABLE, "it is not the owner's word");
    change(&two, |record| record.residency = Some(Residency::Pinned)).await;
    let refused = fetch(&two.eu, FetchRequest::manifest(&repository, &image)).await.0;
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE, "it is not to have it");
}

#[tokio::test]
async fn a_copy_asks_where_a_tag_points_to_by_now() {
    let two = copied().await;
    let us = Region { id: US, name: "us".to_owned(), public_url: None };
    let (repository, regions) = ("far/app".parse().unwrap(), &two.eu.regions);
    let tag = async |text: &str| Upstream::tag(regions, &us, &repository, &text.parse().unwrap()).await;
    assert_eq!(tag("v2").await, Ok(Some(sha256(manifest("v2").as_bytes()))));
    assert_eq!(tag("none").await, Ok(None));
    two.us.sync("far", NamespaceCopy { role: Some(Role::Replica), ..NamespaceCopy::default() }).await;
    assert!(matches!(tag("none").await, Err(FetchError::Silent(_))), "it is not the owner's word");
    let missing = sha256(b"none");
    let blob = Upstream::blob(regions, &us, &repository, &missing, 0..10).await;
    assert!(matches!(blob, Err(FetchError::Silent(_))), "nor is it of a blob, and nothing is wrong with that one");
}

/// Every file of shards that a node has.
#[expect(clippy::disallowed_methods, reason = "the test looks at the real files")]
fn shard_files(at: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let shards = files.into_iter().filter(|_| at.ancestors().any(|above| above.ends_with("shards")));
    shards.chain(directories.iter().flat_map(|directory| shard_files(directory))).collect()
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test takes real files away")]
async fn a_copy_is_told_when_one_blob_alone_cannot_be_read() {
    let two = copied().await;
    let us = Region { id: US, name: "us".to_owned(), public_url: None };
    let repository = "far/app".parse().unwrap();
    let blob = two.us.push_blob("far/app", content(3 << 20)).await;
    let files = shard_files(two.us.node.directory.path());
    assert!(!files.is_empty());
    for file in files {
        std::fs::remove_file(file).unwrap();
    }
    let fetched = Upstream::blob(&two.eu.regions, &us, &repository, &blob, 0..10).await;
    assert!(matches!(&fetched, Err(FetchError::Failed(said)) if said.contains("can be read now")));
    let reply = two.us.get(&format!("/v2/far/app/blobs/{blob}")).await.expect_error(503, "UNAVAILABLE");
    assert!(!reply.headers.contains_key("regnode-unreadable"), "clients are told in words");
}

#[tokio::test]
async fn a_client_cannot_ask_as_a_region_does() {
    let two = copied().await;
    let headers = [("regnode-replication", "1"), ("regnode-forwarded", "1")];
    let path = "/v2/far/app/manifests/v2";
    for rig in [&two.us, &two.eu] {
        rig.send(Method::GET, path, &headers, Body::empty()).await.expect(200);
        rig.send(Method::GET, "/v2/far/app/tags/list", &headers, Body::empty()).await.expect(200);
    }
    two.us.registry.pulls().flush().await.unwrap();
    let image = sha256(manifest("v2").as_bytes());
    assert!(View::new(two.us.catalog.state()).pulled(&"far/app".parse().unwrap(), &image).unwrap().is_some());
    let mut request = http::Request::new(Body::empty());
    *request.method_mut() = Method::DELETE;
    *request.uri_mut() = path.parse().unwrap();
    request.headers_mut().insert("regnode-replication", HeaderValue::from_static("1"));
    let answer = two.eu.node.peers.forward(two.us.node.id, request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "a region only reads");
}
