//! Homes that change with their content, in two regions of one process: planned, and by force.

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Node;
use super::tests::{DEADLINE, content, digest, wait_for};
use super::tests_deletion::{post, refused};
use super::tests_homes::{get, push, set, two};
use crate::admin::{AsideAnswer, ForceLookAnswer, NamedResidency, NamespaceAnswer, PolicyChangedAnswer};

/// Sets a home, again and again until the move has ended.
async fn move_home(node: &Node, prefix: &str, home: &str) {
    let request = json!({ "prefix": prefix, "set": {}, "unset": [], "place": { "home": home } });
    let moving = async {
        loop {
            let changed = set(node, request.clone()).await;
            match changed.moving {
                Some(progress) => assert!(!progress.lifted, "{progress:?}"),
                None => return assert!(changed.in_force, "{changed:?}"),
            }
        }
    };
    timeout(DEADLINE, moving).await.unwrap();
}

async fn manifest(node: &Node, repository: &str) -> Vec<u8> {
    let (status, body) = get(node, &format!("/v2/{repository}/manifests/v1")).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    body
}

async fn shown(node: &Node, prefix: &str) -> NamespaceAnswer {
    post(node, "/namespace/show", json!({ "prefix": prefix })).await
}

async fn holds(node: &Node, repositories: u64) {
    wait_for(node, "it holds so many repositories", |status| status.totals.repositories == repositories).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_moves_with_its_content_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let [eu, us] = two(directory.path()).await;
    let layer = content(9 << 20);
    push(&eu, "acme/app", &layer).await;
    push(&eu, "acme/tools/x", b"below a prefix that says something itself").await;
    push(&eu, "other/app", &layer).await;
    let refuse = json!({ "prefix": "acme/tools", "set": {}, "unset": [], "place": { "elsewhere": "proxy" } });
    assert!(set(&eu, refuse).await.in_force);
    let before = (manifest(&eu, "acme/app").await, manifest(&eu, "acme/tools/x").await);

    for (home, to, from, left) in [("us", &us, &eu, 1), ("eu", &eu, &us, 0)] {
        move_home(&eu, "acme", home).await;
        let other = u64::from(home == "eu");
        holds(to, 2 + other).await;
        holds(from, left).await;
        for node in [&eu, &us] {
            assert_eq!((manifest(node, "acme/app").await, manifest(node, "acme/tools/x").await), before);
            let (status, body) = get(node, &format!("/v2/acme/app/blobs/{}", digest(&layer))).await;
            assert_eq!((status, body == layer), (StatusCode::OK, true), "at home in {home}");
            assert_eq!(shown(node, "acme/tools").await.place.home, home);
        }
        push(from, "acme/app", &layer).await;
    }
    // The bytes that others of the old home need have stayed.
    let (status, body) = get(&eu, &format!("/v2/other/app/blobs/{}", digest(&layer))).await;
    assert_eq!((status, body == layer), (StatusCode::OK, true));
    for node in [eu, us] {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_and_its_copy_change_places() {
    let directory = tempfile::tempdir().unwrap();
    let [eu, us] = two(directory.path()).await;
    push(&eu, "acme/app", b"layer").await;
    let copied =
        json!({ "prefix": "acme", "set": {}, "unset": [], "place": { "residency": { "replicated": ["us"] } } });
    assert!(set(&eu, copied).await.in_force);
    holds(&us, 1).await;
    move_home(&us, "acme", "us").await;
    let place = shown(&us, "acme").await.place;
    assert_eq!((place.home.as_str(), place.role.as_str()), ("us", "home"));
    assert_eq!((place.residency, place.moving), (NamedResidency::Replicated(vec!["eu".to_owned()]), None));
    assert_eq!(shown(&eu, "acme").await.place.role, "replica");
    push(&us, "acme/app2", b"another layer").await;
    holds(&eu, 2).await;
    for node in [eu, us] {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}

async fn look(node: &Node) -> ForceLookAnswer {
    post(node, "/namespace/force/look", json!({ "prefix": "acme", "to": "us", "after": null })).await
}

async fn aside(node: &Node) -> AsideAnswer {
    post(node, "/namespace/aside", json!({ "prefix": "acme", "region": null, "after": null })).await
}

async fn force(node: &Node, fields: Value) -> PolicyChangedAnswer {
    let mut request = json!({ "prefix": "acme", "to": "us", "policy_version": look(node).await.policy_version });
    request.as_object_mut().unwrap().append(&mut fields.as_object().unwrap().clone());
    post(node, "/namespace/force", request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_home_keeps_what_it_has_until_that_is_settled() {
    let directory = tempfile::tempdir().unwrap();
    let [eu, us] = two(directory.path()).await;
    push(&eu, "acme/app", b"what nobody has copied").await;
    let looked = look(&us).await;
    assert_eq!((looked.home.as_str(), looked.home_answers, looked.copies[0].exists), ("eu", true, false));
    let version = looked.policy_version;
    let request = json!({ "prefix": "acme", "to": "us", "policy_version": version, "although_it_answers": true });
    let error = refused(&us, "/namespace/force", request, StatusCode::CONFLICT).await;
    assert!(error.contains("has no copy of acme"), "{error}");
    let changed = force(&us, json!({ "without_copy": true, "although_it_answers": true })).await;
    assert!(changed.in_force, "{changed:?}");

    // The new home begins anew; the old one keeps what it had, and passes on what comes to it.
    push(&eu, "acme/app", b"pushed since").await;
    let present = manifest(&eu, "acme/app").await;
    assert_eq!(present, manifest(&us, "acme/app").await);
    assert_eq!(shown(&eu, "acme").await.place.role, "aside");
    for node in [&eu, &us] {
        let found = aside(node).await;
        assert_eq!((found.home.as_str(), found.compared.as_deref(), found.differences.len()), ("us", Some("eu"), 1));
        let difference = &found.differences[0];
        assert_eq!((difference.repository.as_str(), difference.manifest_at_home), ("acme/app", false));
        assert!(difference.at_home.as_ref().is_some_and(|here| *here != difference.digest), "{difference:?}");
    }
    let request = json!({ "prefix": "acme", "set": {}, "unset": [], "place": { "home": "eu" } });
    let error = refused(&us, "/namespace/set", request, StatusCode::CONFLICT).await;
    assert!(error.contains("namespace aside acme"), "{error}");
    assert_eq!(eu.status().await.totals.repositories, 1, "nothing of it has gone");

    let settle = json!({ "prefix": "acme", "region": "eu", "policy_version": aside(&us).await.policy_version });
    let settled: PolicyChangedAnswer = post(&eu, "/namespace/aside/settle", settle).await;
    assert!(settled.in_force, "{settled:?}");
    holds(&eu, 0).await;
    assert_eq!(manifest(&eu, "acme/app").await, present);
    assert!(aside(&eu).await.regions.is_empty());
    for node in [eu, us] {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_becomes_the_home_with_all_that_had_arrived() {
    let directory = tempfile::tempdir().unwrap();
    let [eu, us] = two(directory.path()).await;
    let copied =
        json!({ "prefix": "acme", "set": {}, "unset": [], "place": { "residency": { "replicated": ["us"] } } });
    assert!(set(&eu, copied).await.in_force);
    push(&eu, "acme/app", b"layer").await;
    let pushed = manifest(&eu, "acme/app").await;
    let arrived = async {
        loop {
            let looked = look(&us).await;
            let copy = &looked.copies[0];
            if copy.surveyed && copy.debts == 0 && copy.held.tags == 1 && copy.synced_milliseconds.is_some() {
                return looked;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let looked = timeout(DEADLINE, arrived).await.unwrap();
    assert!(looked.missing.is_empty() && looked.copies[0].everything, "{looked:?}");
    assert!(force(&eu, json!({ "although_it_answers": true })).await.in_force);
    assert_eq!((manifest(&us, "acme/app").await, manifest(&eu, "acme/app").await), (pushed.clone(), pushed));
    let found = aside(&us).await;
    assert_eq!((found.compared.as_deref(), found.differences.len()), (Some("eu"), 0));
    for node in [eu, us] {
        timeout(DEADLINE, node.shutdown()).await.unwrap();
    }
}
