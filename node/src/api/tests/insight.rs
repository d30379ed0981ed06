//! Histories of tags and usage of namespaces, as clients read them.

use axum::body::Body;
use http::Method;
use serde_json::json;

use super::{Rig, sha256};
use crate::registry::media_type;

async fn push(rig: &Rig, repository: &str, tag: &str, text: &str) -> String {
    let config = rig.push_blob(repository, text.to_owned()).await;
    let config = json!({ "mediaType": "application/json", "digest": config.to_string(), "size": text.len() });
    let body =
        json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE, "config": config, "layers": [] }).to_string();
    rig.put(&format!("/v2/{repository}/manifests/{tag}"), media_type::IMAGE, &body).await.expect(201);
    sha256(body.as_bytes()).to_string()
}

#[tokio::test]
async fn a_tag_tells_what_became_of_it() {
    let rig = Rig::start().await;
    let first = push(&rig, "acme/app", "v1", "one").await;
    let second = push(&rig, "acme/app", "v1", "two").await;
    rig.delete("/v2/acme/app/manifests/v1").await.expect(202);
    let reply = rig.get("/v2/_regnode/history/acme/app/v1").await.expect(200);
    assert_eq!(reply.header("content-type"), "application/json");
    let answer = reply.json();
    assert_eq!((&answer["repository"], &answer["tag"]), (&json!("acme/app"), &json!("v1")));
    let told: Vec<_> = answer["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| json!([change["cause"], change["digest"], change["previous"]]))
        .collect();
    assert_eq!(told, [json!(["delete", null, second]), json!(["push", second, first]), json!(["push", first, null])]);
    let limited = rig.get("/v2/_regnode/history/acme/app/v1?n=1").await.expect(200).json();
    assert_eq!(limited["changes"].as_array().unwrap().len(), 1);
    rig.get("/v2/_regnode/history/acme/app/v2").await.expect_error(404, "MANIFEST_UNKNOWN");
    rig.get("/v2/_regnode/history/acme/app/v1?n=x").await.expect_error(400, "PAGINATION_NUMBER_INVALID");
    let put = rig.send(Method::PUT, "/v2/_regnode/history/acme/app/v1", &[], Body::empty()).await;
    put.expect_error(405, "UNSUPPORTED");
}

#[tokio::test]
async fn a_namespace_tells_what_it_holds() {
    let rig = Rig::start().await;
    push(&rig, "acme/app", "v1", "one").await;
    push(&rig, "acme/web", "v1", "one").await;
    push(&rig, "other", "v1", "three").await;
    let usage = async |path: &str| rig.get(path).await.expect(200).json()["usage"].clone();
    let expected = |repositories, blobs, bytes| json!({ "repositories": repositories, "manifests": repositories, "tags": repositories, "blobs": blobs, "bytes": bytes });
    assert_eq!(usage("/v2/_regnode/usage/acme").await, expected(2, 1, 3));
    assert_eq!(usage("/v2/_regnode/usage/acme/app").await, expected(1, 1, 3));
    assert_eq!(usage("/v2/_regnode/usage").await, expected(3, 2, 8));
    assert_eq!(usage("/v2/_regnode/usage/nothing").await, expected(0, 0, 0));
    let answer = rig.get("/v2/_regnode/usage/acme").await.expect(200).json();
    assert_eq!((&answer["namespace"], &answer["bounds"]), (&json!("acme"), &json!([])));
    rig.get("/v2/_regnode/usage/Acme").await.expect_error(400, "NAME_INVALID");
}
