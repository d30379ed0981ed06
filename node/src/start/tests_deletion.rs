//! What operators ask about deleting, through the local socket of a node: policies, usage, garbage, jobs, history.

use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::time::{Duration, sleep, timeout};

use super::Node;
use super::tests::{call, call_over, digest, environment, push_manifest, settings, start};
use crate::admin::{
    CollectedAnswer, DeletedTagsAnswer, ExplainAnswer, GarbageAnswer, HistoryAnswer, JobAnswer, JobsAnswer,
    NamespaceAnswer, NamespacesAnswer, PolicyChangedAnswer, PreviewAnswer, RestoredAnswer, SOCKET, TombstonesAnswer,
    UsageAnswer,
};
use crate::cluster::{Certificates, InitAccess, init};

/// A job or a collection is over within this time.
const PATIENCE: Duration = Duration::from_mins(1);

async fn begin(data_dir: &std::path::Path) -> Node {
    let (environment, settings) = (environment(), settings(data_dir, "n1"));
    init(&environment, &settings, "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    start(&environment, &settings).await
}

/// Asks the local socket.
pub(super) async fn ask_raw(node: &Node, method: Method, path: &str, request: &impl Serialize) -> (StatusCode, Value) {
    #[expect(clippy::disallowed_methods, reason = "a client of the node, outside of its environment")]
    let stream = UnixStream::connect(node.admin().settings.data_dir.join(SOCKET)).await.unwrap();
    let body = serde_json::to_vec(request).unwrap();
    let answer = call_over(stream, method, path, "application/json", &body).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[track_caller]
fn read<A: DeserializeOwned>((status, answer): (StatusCode, Value)) -> A {
    assert_eq!(status, StatusCode::OK, "{answer}");
    serde_json::from_value(answer).unwrap()
}

pub(super) async fn post<A: DeserializeOwned>(node: &Node, path: &str, request: Value) -> A {
    read(ask_raw(node, Method::POST, path, &request).await)
}

/// The error of a request that is refused.
pub(super) async fn refused(node: &Node, path: &str, request: Value, status: StatusCode) -> String {
    let (actual, answer) = ask_raw(node, Method::POST, path, &request).await;
    assert_eq!(actual, status, "{answer}");
    answer["error"].as_str().unwrap().to_owned()
}

async fn delete(node: &Node, path: &str) -> StatusCode {
    call(node, Method::DELETE, path, "", b"").await.status
}

async fn set(node: &Node, prefix: &str, policy: Value) {
    let answer: PolicyChangedAnswer =
        post(node, "/namespace/set", json!({ "prefix": prefix, "set": policy, "unset": [] })).await;
    assert!(answer.in_force, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_are_set_explained_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let node = begin(directory.path()).await;
    let manifest = push_manifest(&node, b"{}", b"layer", "v1").await;
    set(&node, "acme", json!({ "immutable": [{ "tags": "v*" }], "quota": { "tags": 1 } })).await;
    set(&node, "", json!({ "grace_seconds": 60 })).await;

    let explained: ExplainAnswer =
        post(&node, "/namespace/explain", json!({ "repository": "acme/app", "tag": "v1" })).await;
    assert_eq!(explained.effective.grace_seconds, Some(60));
    assert_eq!(explained.sources["grace_seconds"].as_deref(), Some(""));
    assert_eq!(explained.sources["immutable"].as_deref(), Some("acme"));
    assert_eq!(explained.sources["deletes"], None);
    assert_eq!((explained.bounds.len(), explained.bounds[0].usage.tags), (1, 1));
    let tag = explained.tag.unwrap();
    assert_eq!(tag.digest.unwrap(), digest(&manifest));
    assert_eq!((tag.immutable.as_deref(), tag.movable, tag.deletable), (Some("v*"), false, false));
    assert_eq!(delete(&node, "/v2/acme/app/manifests/v1").await, StatusCode::FORBIDDEN);

    let shown: NamespaceAnswer = post(&node, "/namespace/show", json!({ "prefix": "acme" })).await;
    assert_eq!((shown.usage.unwrap().repositories, shown.own.unwrap().quota.tags), (1, Some(1)));
    let listed: NamespacesAnswer = post(&node, "/namespaces", json!({ "after": null })).await;
    let prefixes: Vec<&str> = listed.namespaces.iter().map(|entry| entry.prefix.as_str()).collect();
    assert_eq!((prefixes, listed.next), (vec!["", "acme"], None));

    let _: PolicyChangedAnswer = post(&node, "/namespace/remove", json!({ "prefix": "acme" })).await;
    let gone = refused(&node, "/namespace/remove", json!({ "prefix": "acme" }), StatusCode::NOT_FOUND).await;
    assert!(gone.contains("acme"), "{gone}");
    let malformed = json!({ "prefix": "Acme", "set": {}, "unset": [] });
    let malformed = refused(&node, "/namespace/set", malformed, StatusCode::BAD_REQUEST).await;
    assert!(malformed.contains("\"Acme\""), "{malformed}");
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_comes_back_or_is_collected() {
    let directory = tempfile::tempdir().unwrap();
    let node = begin(directory.path()).await;
    let manifest = digest(&push_manifest(&node, b"{}", b"layer", "v1").await);
    let other = digest(&push_manifest(&node, b"{ }", b"other layer", "v2").await);
    assert_eq!(delete(&node, &format!("/v2/acme/app/manifests/{manifest}")).await, StatusCode::ACCEPTED);

    let gone: TombstonesAnswer = post(&node, "/tombstones", json!({ "repository": "acme/app" })).await;
    assert_eq!((gone.tombstones[0].digest.clone(), gone.tombstones[0].tags.len()), (manifest.clone(), 1));
    let tags: DeletedTagsAnswer = post(&node, "/deleted-tags", json!({ "repository": "acme/app" })).await;
    assert_eq!((tags.tags[0].tag.as_str(), tags.tags[0].cause.as_str()), ("v1", "delete"));
    let back: RestoredAnswer = post(&node, "/restore", json!({ "repository": "acme/app", "tag": "v1" })).await;
    assert_eq!((back.digest, back.tags[0].as_str()), (manifest.clone(), "v1"));
    let told: HistoryAnswer = post(&node, "/history", json!({ "repository": "acme/app", "tag": "v1" })).await;
    let causes: Vec<(&str, Option<&str>)> =
        told.changes.iter().map(|change| (change.cause.as_str(), change.principal.as_deref())).collect();
    assert_eq!(causes, [("restore", Some("operator")), ("delete", None), ("push", None)]);
    let again =
        refused(&node, "/restore", json!({ "repository": "acme/app", "tag": "v1" }), StatusCode::NOT_FOUND).await;
    assert!(again.contains("tag v1"), "{again}");
    refused(&node, "/restore", json!({ "repository": "acme/app" }), StatusCode::BAD_REQUEST).await;

    set(&node, "", json!({ "grace_seconds": 0, "restore_seconds": 0 })).await;
    assert_eq!(delete(&node, &format!("/v2/acme/app/manifests/{other}")).await, StatusCode::ACCEPTED);
    let collected = async {
        loop {
            let _: CollectedAnswer = post(&node, "/gc/run", json!(null)).await;
            let status: GarbageAnswer = read(ask_raw(&node, Method::GET, "/gc", &()).await);
            if status.garbage.overview.queued == 0 {
                return status.garbage;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let garbage = timeout(PATIENCE, collected).await.unwrap();
    assert_eq!((garbage.unreferenced_blobs, garbage.overview.collected_bytes), (0, 14), "{garbage:?}");
    let usage: UsageAnswer = post(&node, "/usage", json!({ "prefix": "" })).await;
    assert_eq!((usage.total.usage.bytes, usage.below.len()), (7, 1));
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tags_are_previewed_and_deleted_by_a_job() {
    let directory = tempfile::tempdir().unwrap();
    let node = begin(directory.path()).await;
    for tag in ["pr-1", "pr-2", "v1"] {
        push_manifest(&node, b"{}", tag.as_bytes(), tag).await;
    }
    let bulk = json!({ "repository": "acme/app", "tags": "pr-*" });
    let preview: PreviewAnswer = post(&node, "/delete/preview", bulk.clone()).await;
    let named: Vec<(&str, bool)> = preview.tags.iter().map(|tag| (tag.tag.as_str(), tag.delete)).collect();
    assert_eq!(named, [("pr-1", true), ("pr-2", true)]);
    let started: JobAnswer = post(&node, "/delete", bulk).await;
    let done = ended(&node, started.job.id).await;
    assert_eq!((done.state.as_str(), done.deleted, done.left), ("done", 2, None));
    assert_eq!(
        (done.scope.as_str(), done.tags.as_deref(), done.principal.as_deref()),
        ("acme/app", Some("pr-*"), Some("operator"))
    );

    refused(&node, "/retention/preview", json!({ "prefix": "acme" }), StatusCode::BAD_REQUEST).await;
    let rules = json!({ "rules": [{ "tags": "v*", "pushed_within_seconds": 3600 }] });
    set(&node, "acme", json!({ "retention": rules })).await;
    let preview: PreviewAnswer = post(&node, "/retention/preview", json!({ "prefix": "acme" })).await;
    assert_eq!((preview.tags.len(), preview.tags[0].delete), (1, false));
    let run: JobAnswer = post(&node, "/retention/run", json!({ "prefix": "acme" })).await;
    assert_eq!((ended(&node, run.job.id).await.deleted, run.job.kind.as_str()), (0, "retention"));
    let jobs: JobsAnswer = post(&node, "/jobs", json!({})).await;
    assert_eq!(jobs.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [run.job.id, started.job.id]);
    refused(&node, "/job/cancel", json!({ "job": run.job.id }), StatusCode::CONFLICT).await;
    let unknown = refused(&node, "/job/show", json!({ "job": 99 }), StatusCode::NOT_FOUND).await;
    assert!(unknown.contains("99") && unknown.contains("regnode job list"), "{unknown}");
    node.shutdown().await;
}

/// A job that has ended.
async fn ended(node: &Node, job: u64) -> crate::admin::JobEntry {
    let ended = async {
        loop {
            let answer: JobAnswer = post(node, "/job/show", json!({ "job": job })).await;
            if answer.job.state != "running" {
                return answer.job;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, ended).await.unwrap()
}
