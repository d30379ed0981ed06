//! Requests in the wrong region: passed on, sent away, refused; lists of all regions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Method;
use raft::catalog::{NamespaceCopy, View};
use raft::directory::{Command, Elsewhere, Moving, NamespaceRecord, Residency, Response};
use raft::id::{RegionId, RequestId};
use raft::policy::Role;
use tokio::time::{sleep, timeout};

use super::callers::Ward;
use super::{Rig, content, sha256};
use crate::access::Rights;
use crate::api::ApiOptions;
use crate::deletion::DirectoryRecords;
use crate::deletion::testing::directory;
use crate::members::testing::FixedSource;
use crate::peer::Trust;
use crate::peer::testing::{MemoryNetwork, TestNode};

pub(super) const EU: RegionId = RegionId(1);
pub(super) const US: RegionId = RegionId(2);
pub(super) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What an operator does to a directory.
pub(super) struct Operator(pub(super) Arc<dyn DirectoryRecords>, AtomicU64);

impl Operator {
    /// A directory with the regions `main`, the first one, and `us`.
    pub(super) async fn new() -> Self {
        let operator = Self(directory(), AtomicU64::new(2));
        operator.command(Command::AddRegion { name: "us".to_owned() }).await;
        operator
    }

    async fn command(&self, command: Command) {
        let number = u128::from(self.1.fetch_add(1, Ordering::Relaxed));
        let response = self.0.propose(RequestId(number.to_be_bytes()), command).await.unwrap();
        assert_eq!(response, Response::Done);
    }

    pub(super) async fn set(&self, prefix: &str, change: impl FnOnce(&mut NamespaceRecord)) {
        let view = self.0.view();
        let mut record = view.namespace(prefix).unwrap().unwrap_or_default();
        change(&mut record);
        let made_from = view.policy_version().unwrap();
        self.command(Command::SetNamespace { prefix: prefix.to_owned(), record, made_from }).await;
    }

    pub(super) async fn home(&self, prefix: &str, region: RegionId) {
        self.set(prefix, |record| record.moving = Some(Moving { to: region, fenced: true })).await;
        self.set(prefix, |record| (record.home, record.moving) = (Some(region), None)).await;
    }

    pub(super) async fn url(&self, url: &str) {
        self.command(Command::SetRegion {
            region: US,
            public_url: Some(url.to_owned()),
            inbound_bytes_per_second: None,
        })
        .await;
    }
}

/// A node in each of two regions. The namespace `far` is at home in the second one.
pub(super) struct Two {
    pub(super) eu: Rig,
    pub(super) us: Rig,
    pub(super) operator: Operator,
}

impl Two {
    pub(super) async fn start() -> Self {
        let operator = Operator::new().await;
        operator.home("far", US).await;
        let us = Arc::clone(&operator.0);
        Self::with(operator, us).await
    }

    /// Two regions of which the second has this directory.
    pub(super) async fn with(operator: Operator, others: Arc<dyn DirectoryRecords>) -> Self {
        Self::guarded(operator, others, [(); 2].map(|()| Ward::new(Rights::open()))).await
    }

    /// The same, with what stands at the gate of each.
    pub(super) async fn guarded(operator: Operator, others: Arc<dyn DirectoryRecords>, wards: [Ward; 2]) -> Self {
        let (network, source) = (MemoryNetwork::default(), FixedSource::of(&[1, 2]));
        source.change(2, |record| record.region = US);
        let options = || ApiOptions { idle_body_timeout: Duration::from_secs(2), ..ApiOptions::default() };
        let rig = async |id, region, directory, ward| {
            let node = TestNode::prepare(&network, &source, id, Trust::Claim, 1_000_000).await;
            let mut rig = Rig::of_ward(node, region, directory, options(), ward).await;
            rig.node.api = rig.router.clone();
            rig.node.serve().await;
            rig
        };
        let [eu, us] = wards;
        let eu = rig(1, EU, Arc::clone(&operator.0), eu).await;
        let us = rig(2, US, others, us).await;
        until(|| eu.node.members.is_live(us.node.id) && us.node.members.is_live(eu.node.id)).await;
        Self { eu, us, operator }
    }

    /// Asks until the first node has heard of a change.
    pub(super) async fn heard(&self, path: &str, status: u16) -> super::Reply {
        let heard = async {
            loop {
                let reply = self.eu.get(path).await;
                if reply.status == status {
                    return reply;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), heard).await.expect("heard in time")
    }
}

pub(super) async fn until(condition: impl Fn() -> bool) {
    let reached = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), reached).await.expect("reached in time");
}

fn repositories(rig: &Rig) -> usize {
    View::new(rig.catalog.state()).repositories(None, 100).unwrap().len()
}

pub(super) fn manifest(config: &str) -> String {
    let digest = sha256(config.as_bytes());
    let length = config.len();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{"mediaType":"application/x","digest":"{digest}","size":{length}}},"layers":[]}}"#
    )
}

/// Pushes an image through a node.
pub(super) async fn push(rig: &Rig, repository: &str, tag: &str) {
    rig.push_blob(repository, tag.to_owned()).await;
    rig.put(&format!("/v2/{repository}/manifests/{tag}"), IMAGE, &manifest(tag)).await.expect(201);
}

#[tokio::test]
async fn a_former_home_that_has_not_heard_of_it_does_not_say_that_something_is_not_there() {
    let Two { us, .. } = Two::start().await;
    push(&us, "far/app", "v1").await;
    let (missing, unknown) = ("/v2/far/app/manifests/v2", format!("/v2/far/app/blobs/{}", sha256(b"nothing")));
    us.get(missing).await.expect(404);
    us.get("/v2/far/app/tags/list").await.expect(200);
    // The home is fenced, and its replica of the directory hears no more: clients push to the new home from now on.
    us.sync("far", NamespaceCopy { role: Some(Role::Foreign), ..NamespaceCopy::default() }).await;
    for path in [missing, &unknown, "/v2/far/app/tags/list"] {
        let reply = us.get(path).await.expect_error(503, "UNAVAILABLE");
        assert_eq!(reply.headers["retry-after"], "1");
    }
    us.get("/v2/far/app/manifests/v1").await.expect(200);
}

#[tokio::test]
async fn everything_works_through_the_wrong_region_and_rests_in_the_right_one() {
    let Two { eu, us, .. } = Two::start().await;
    let layer = content(5 << 20);
    let digest = sha256(&layer);
    let begun = eu.send(Method::POST, "/v2/far/app/blobs/uploads/", &[], Body::empty()).await.expect(202);
    let location = begun.header("location").to_owned();
    assert!(location.starts_with("/v2/far/app/blobs/uploads/"), "{location}");
    let (first, second) = (layer.slice(..2 << 20), layer.slice(2 << 20..));
    let range = format!("0-{}", first.len() - 1);
    eu.send(Method::PATCH, &location, &[("content-range", &range)], first.clone()).await.expect(202);
    let wrong = eu.send(Method::PATCH, &location, &[("content-range", &range)], first).await;
    assert_eq!(wrong.expect_error(416, "RANGE_INVALID").header("range"), format!("0-{}", (2 << 20) - 1));
    // Chunked: nothing says how long it is.
    let parts: Vec<_> =
        second.chunks(100_000).map(|part| Ok::<_, std::io::Error>(Bytes::copy_from_slice(part))).collect();
    let path = format!("{location}?digest={digest}");
    eu.send(Method::PUT, &path, &[], Body::from_stream(stream::iter(parts))).await.expect(201);
    push(&eu, "far/app", "v1").await;

    assert_eq!((repositories(&eu), repositories(&us)), (0, 1));
    let blob = format!("/v2/far/app/blobs/{digest}");
    for rig in [&eu, &us] {
        assert_eq!(rig.get(&blob).await.expect(200).body, layer);
        assert_eq!(rig.head(&blob).await.expect(200).header("content-length"), (5 << 20).to_string());
        let part = rig.send(Method::GET, &blob, &[("range", "bytes=10-19")], Body::empty()).await.expect(206);
        assert_eq!((part.header("content-range"), &part.body[..]), ("bytes 10-19/5242880", &layer[10..20]));
        let beyond = rig.send(Method::GET, &blob, &[("range", "bytes=9999999-")], Body::empty()).await.expect(416);
        assert_eq!(beyond.header("content-range"), "bytes */5242880");
        let known = rig.send(Method::GET, &blob, &[("if-none-match", &digest.to_string())], Body::empty()).await;
        assert!(!known.expect(304).headers.contains_key("content-length"));
        let tag = rig.get("/v2/far/app/manifests/v1").await.expect(200);
        assert_eq!((tag.header("content-type"), &tag.body[..]), (IMAGE, manifest("v1").as_bytes()));
        assert!(rig.head("/v2/far/app/manifests/v1").await.expect(200).headers.contains_key("docker-content-digest"));
        assert_eq!(rig.get("/v2/far/app/tags/list").await.expect(200).json()["tags"][0], "v1");
        rig.get(&format!("/v2/far/app/referrers/{digest}")).await.expect(200);
        assert_eq!(rig.get("/v2/_regnode/usage/far").await.expect(200).json()["usage"]["tags"], 1);
        assert_eq!(rig.get("/v2/_regnode/history/far/app/v1").await.expect(200).json()["changes"][0]["cause"], "push");
        rig.get("/v2/far/app/manifests/none").await.expect_error(404, "MANIFEST_UNKNOWN");
    }
    eu.delete("/v2/far/app/manifests/v1").await.expect(202);
    us.get("/v2/far/app/manifests/v1").await.expect(404);
    // What is at home here stays here.
    push(&eu, "near/app", "v1").await;
    assert_eq!((repositories(&eu), repositories(&us)), (1, 1));
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing_behind() {
    let Two { eu, us, .. } = Two::start().await;
    let path = format!("/v2/far/app/blobs/uploads/?digest={}", sha256(b"abc"));
    let broken = stream::iter([Ok(Bytes::from_static(b"ab")), Err(std::io::Error::other("reset"))]);
    let reply = eu.send(Method::POST, &path, &[], Body::from_stream(broken)).await;
    reply.expect_error(400, "BLOB_UPLOAD_INVALID");
    let silent = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"ab"))]).chain(stream::pending());
    let reply = eu.send(Method::POST, &path, &[], Body::from_stream(silent)).await;
    reply.expect_error(408, "BLOB_UPLOAD_INVALID");
    let blob = format!("/v2/far/app/blobs/{}", sha256(b"abc"));
    us.get(&blob).await.expect(404);
}

#[tokio::test]
async fn reads_are_sent_to_the_home_where_the_namespace_says_so() {
    let two = Two::start().await;
    push(&two.us, "far/app", "v1").await;
    let blob = format!("/v2/far/app/blobs/{}?ns=x", sha256(b"v1"));
    two.operator.set("far", |record| record.elsewhere = Some(Elsewhere::Redirect)).await;
    two.eu.get(&blob).await.expect(200);
    two.operator.url("https://us.example:5000").await;
    let sent = two.heard(&blob, 307).await;
    assert_eq!(sent.header("location"), format!("https://us.example:5000{blob}"));
    let sent = two.eu.head("/v2/far/app/manifests/v1").await.expect(307);
    assert_eq!(sent.header("location"), "https://us.example:5000/v2/far/app/manifests/v1");
    // Clients lose their credentials on the way: nothing else is sent there.
    push(&two.eu, "far/app", "v2").await;
    two.eu.get("/v2/_regnode/usage/far").await.expect(200);
    two.us.get(&blob).await.expect(200);
}

#[tokio::test]
async fn a_namespace_may_refuse_other_regions() {
    let two = Two::start().await;
    two.operator.set("far", |record| record.elsewhere = Some(Elsewhere::Refuse)).await;
    two.operator.url("https://us.example").await;
    let refused = two.heard("/v2/far/app/tags/list", 403).await.expect_error(403, "DENIED");
    let error = &refused.json()["errors"][0];
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("region us") && message.contains("https://us.example"), "{message}");
    assert_eq!(error["detail"]["region"], "us");
    let path = "/v2/far/app/blobs/uploads/";
    two.eu.send(Method::POST, path, &[], Body::empty()).await.expect_error(403, "DENIED");
    push(&two.us, "far/app", "v1").await;
    assert_eq!(two.eu.get("/v2/_catalog").await.json()["repositories"], serde_json::json!([]), "nor are they named");
}

#[tokio::test]
async fn regions_that_disagree_do_not_send_a_request_around() {
    let (one, other) = (Operator::new().await, Operator::new().await);
    one.home("far", US).await;
    other.set("far", |record| record.residency = Some(Residency::Pinned)).await;
    let two = Two::with(one, other.0).await;
    let reply = two.eu.get("/v2/far/app/tags/list").await.expect_error(503, "UNAVAILABLE");
    assert!(reply.json()["errors"][0]["message"].as_str().unwrap().contains("region main is"), "{reply:?}");
    assert_eq!(reply.header("retry-after"), "1");
    let back = two.us.get("/v2/far/app/tags/list").await.expect_error(503, "UNAVAILABLE");
    assert!(back.json()["errors"][0]["message"].as_str().unwrap().contains("region us is"), "{back:?}");
}

#[tokio::test]
async fn a_home_that_does_not_answer_is_named() {
    let mut two = Two::start().await;
    two.us.node.stop_serving();
    let reply = two.eu.get("/v2/far/app/tags/list").await.expect_error(503, "UNAVAILABLE");
    assert!(reply.json()["errors"][0]["message"].as_str().unwrap().contains("region us does not answer"));
    assert_eq!(reply.header("retry-after"), "10");
    push(&two.eu, "near/app", "v1").await;
    let listed = two.eu.get("/v2/_catalog").await.expect(200);
    assert_eq!(listed.json()["repositories"], serde_json::json!(["near/app"]));
    assert_eq!(listed.header("warning"), "199 regnode \"region us does not answer: its repositories are left out\"");
}

#[tokio::test]
async fn a_node_that_does_not_know_its_own_region_yet_answers_nothing() {
    let node = TestNode::start(&MemoryNetwork::default(), &FixedSource::of(&[1]), 1, Trust::Claim).await;
    let rig = Rig::of(node, US, directory(), ApiOptions::default()).await;
    rig.get("/v2/").await.expect(401);
    rig.get("/v2/a/tags/list").await.expect_error(503, "UNAVAILABLE");
    rig.send(Method::POST, "/v2/a/blobs/uploads/", &[], Body::empty()).await.expect_error(503, "UNAVAILABLE");
}

#[tokio::test]
async fn the_list_of_repositories_is_of_all_regions() {
    let Two { eu, us, .. } = Two::start().await;
    for (rig, names) in [(&eu, ["a", "g", "z"]), (&us, ["far/b", "far/h", "far/x"])] {
        for name in names {
            push(rig, name, "v1").await;
        }
    }
    let all = ["a", "far/b", "far/h", "far/x", "g", "z"];
    for rig in [&eu, &us] {
        assert_eq!(rig.get("/v2/_catalog").await.expect(200).json()["repositories"], serde_json::json!(all));
        let mut path = "/v2/_catalog?n=2".to_owned();
        let mut found = Vec::new();
        loop {
            let page = rig.get(&path).await.expect(200);
            found.extend(
                page.json()["repositories"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()),
            );
            let Some(link) = page.headers.get("link") else { break };
            path = link.to_str().unwrap().trim_start_matches('<').split('>').next().unwrap().to_owned();
        }
        assert_eq!(found, all);
    }
}

#[tokio::test]
async fn a_mount_between_regions_is_an_upload() {
    let Two { eu, us: _us, .. } = Two::start().await;
    let digest = eu.push_blob("near/app", "layer").await;
    let path = format!("/v2/far/app/blobs/uploads/?mount={digest}&from=near/app");
    let begun = eu.send(Method::POST, &path, &[], Body::empty()).await.expect(202);
    assert!(begun.header("location").starts_with("/v2/far/app/blobs/uploads/"));
    let path = format!("/v2/near/other/blobs/uploads/?mount={digest}&from=near/app");
    eu.send(Method::POST, &path, &[], Body::empty()).await.expect(201);
}
