//! The gate where a request is handed on: the node that it reached judges it, and the home judges it again.

use http::{Method, StatusCode};
use raft::catalog::View;
use raft::directory::Residency;
use serde_json::json;

use super::callers::{Rules, Ward, basic};
use super::regions::{EU, Operator, Two, US, until};
use super::{Reply, Rig, sha256};
use crate::regions::{FetchRequest, Region, Standing};
use crate::serve::Client;

/// Two regions with these rules each; `far` is at home in the second one.
async fn two(eu: Rules, us: Rules) -> Two {
    let operator = Operator::new().await;
    operator.home("far", US).await;
    let directory = operator.0.clone();
    Two::guarded(operator, directory, [Ward::new(eu.rights()), Ward::new(us.rights())]).await
}

async fn push(rig: &Rig, repository: &str, who: &str) -> Reply {
    let path = format!("/v2/{repository}/blobs/uploads/?digest={}", sha256(b"{}"));
    rig.ask("POST", &path, Some(&basic(who)), "{}").await
}

#[tokio::test]
async fn the_home_judges_a_client_by_what_the_first_node_tells_of_him() {
    let two = two(
        Rules::default().allow("edge", "writer", "far").allow("late", "writer", "far").allow("anonymous", "reader", ""),
        Rules::default().allow_from("edge", "writer", "far", "192.0.2.0/24").robot("late"),
    )
    .await;
    let path = "/v2/far/app/tags/list";
    let ask = async |address: &str, headers: &[(&str, &str)]| {
        let client = Client::at(address.parse().unwrap());
        let credentials = basic("edge");
        let headers: Vec<_> = headers.iter().copied().chain([("authorization", credentials.as_str())]).collect();
        two.eu.send_from(&client, Method::GET, path, &headers, "").await
    };
    ask("192.0.2.7", &[]).await.expect_error(404, "NAME_UNKNOWN");
    ask("198.51.100.1", &[]).await.expect_error(403, "DENIED");
    // His own word counts nowhere.
    let own =
        [("regnode-client", r#"{"address":"192.0.2.7"}"#), ("regnode-forwarded", "1"), ("regnode-replication", "1")];
    ask("198.51.100.1", &own).await.expect_error(403, "DENIED");
    let recorded = two.us.ward.events("denied");
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[0].address.unwrap().to_string(), "198.51.100.1");

    // The first one has not heard yet that a right was taken away.
    two.eu.ask("GET", path, Some(&basic("late")), "").await.expect_error(403, "DENIED");
    let reply = two.eu.ask("GET", path, None, "").await.expect_error(401, "UNAUTHORIZED");
    let challenge = reply.header("www-authenticate");
    assert!(challenge.starts_with("Bearer realm=\"https://registry.example/token\""), "{challenge}");
    assert!(challenge.ends_with(",scope=\"repository:far/app:pull\""), "{challenge}");
}

#[tokio::test]
async fn what_the_first_node_refuses_is_not_handed_on() {
    let mut two = two(Rules::default().robot("stranger"), Rules::default().allow("stranger", "owner", "")).await;
    two.us.node.stop_serving();
    for (method, path) in [("GET", "/v2/far/app/manifests/v1"), ("POST", "/v2/far/app/blobs/uploads/")] {
        two.eu.ask(method, path, Some(&basic("stranger")), "").await.expect_error(403, "DENIED");
        two.eu.ask(method, path, None, "").await.expect_error(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn an_upload_through_another_region_stays_its_owners() {
    let rules = || Rules::default().allow("one", "writer", "far").allow("two", "writer", "far");
    let two = two(rules(), rules()).await;
    let token = two.eu.token(Some("one"), &["repository:far/app:pull,push"]).await;
    let begun = two.eu.ask("POST", "/v2/far/app/blobs/uploads/", Some(&token), "").await.expect(202);
    let location = begun.header("location").to_owned();
    two.eu.ask("PATCH", &location, Some(&basic("two")), "abc").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    two.us.ask("PATCH", &location, Some(&token), "abc").await.expect(202);
    let finish = format!("{location}?digest={}", sha256(b"abc"));
    two.eu.ask("PUT", &finish, Some(&token), "").await.expect(201);
    let session = location.rsplit('/').next().unwrap().parse().unwrap();
    let upload = View::new(two.us.catalog.state()).upload(session).unwrap().unwrap();
    assert_eq!(upload.principal.as_deref(), Some("robot:one"));
    let pushed = two.us.ward.events("push");
    assert_eq!((pushed.len(), pushed[0].actor.as_str(), two.eu.ward.events("push").len()), (1, "robot:one", 0));
}

#[tokio::test]
async fn lists_of_all_regions_show_each_one_his_own() {
    let rules = || {
        Rules::default()
            .allow("keeper", "maintainer", "")
            .allow("reader", "reader", "far/b")
            .allow("reader", "reader", "near")
            .allow("anonymous", "reader", "far/open")
    };
    let two = two(rules(), rules()).await;
    for repository in ["far/a", "far/b/x", "far/b/y", "far/open", "near/x", "other"] {
        push(&two.eu, repository, "keeper").await.expect(201);
    }
    for rig in [&two.eu, &two.us] {
        let listed = async |credentials: Option<&str>| {
            let listed = rig.ask("GET", "/v2/_catalog", credentials, "").await.expect(200);
            assert!(!listed.headers.contains_key("warning"), "{listed:?}");
            listed.json()["repositories"].clone()
        };
        let readers = json!(["far/b/x", "far/b/y", "far/open", "near/x"]);
        assert_eq!(listed(Some(&basic("reader"))).await, readers);
        let token = rig.token(Some("reader"), &["registry:catalog:*"]).await;
        assert_eq!(listed(Some(&token)).await, readers);
        assert_eq!(listed(None).await, json!(["far/open"]));
        let first = rig.ask("GET", "/v2/_catalog?n=2", Some(&basic("reader")), "").await.expect(200);
        assert_eq!(first.header("link"), "</v2/_catalog?last=far%2Fb%2Fy&n=2>; rel=\"next\"");
    }
}

#[tokio::test]
async fn what_a_region_copies_passes_without_credentials_and_only_from_a_region() {
    let rules = || Rules::default().allow("keeper", "maintainer", "");
    let two = two(rules(), rules()).await;
    push(&two.us, "far/app", "keeper").await.expect(201);
    two.operator.set("far", |record| record.residency = Some(Residency::Replicated(vec![EU]))).await;
    until(|| matches!(two.eu.regions.standing("far"), Standing::Replica(..))).await;
    let version = two.operator.0.view().policy_version().unwrap();
    until(|| two.us.regions.places().version() >= version).await;
    let us = Region { id: US, name: "us".to_owned(), public_url: None };
    let digest = sha256(b"{}");
    let request = FetchRequest::blob(&"far/app".parse().unwrap(), &digest, None);
    assert_eq!(two.eu.regions.fetch(&us, request).await.unwrap().status(), StatusCode::OK);
    assert!(two.us.ward.events("pull").is_empty(), "a copy is no pull");
    let path = format!("/v2/far/app/blobs/{digest}");
    for rig in [&two.eu, &two.us] {
        let headers = [("regnode-replication", "1"), ("regnode-forwarded", "1")];
        rig.send(Method::GET, &path, &headers, "").await.expect_error(401, "UNAUTHORIZED");
    }
}
