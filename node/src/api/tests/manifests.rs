//! Manifests, tags, referrers and lists.

use axum::body::Body;
use http::Method;
use raft::catalog::{Algorithm, Digest};
use serde_json::json;

use super::{Reply, Rig, sha256};
use crate::registry::{compute, media_type};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn descriptor(media_type: &str, digest: &Digest) -> serde_json::Value {
    json!({ "mediaType": media_type, "digest": digest.to_string(), "size": 3 })
}

/// An image with blobs that were pushed, told apart by a text.
async fn image(rig: &Rig, repository: &str, text: &str) -> String {
    let config = rig.push_blob(repository, "{}").await;
    let layer = rig.push_blob(repository, text.to_owned()).await;
    let (config, layer) = (descriptor(CONFIG, &config), descriptor(LAYER, &layer));
    json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE, "config": config, "layers": [layer] }).to_string()
}

fn referrer(subject: &Digest, artifact_type: &str) -> String {
    let config = descriptor("application/vnd.oci.empty.v1+json", &sha256(b"{}"));
    let subject = descriptor(media_type::IMAGE, subject);
    let annotations = json!({ "key": "value" });
    json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE, "artifactType": artifact_type, "config": config,
        "layers": [], "subject": subject, "annotations": annotations })
    .to_string()
}

impl Rig {
    async fn referrers(&self, subject: &Digest, query: &str) -> (Reply, Vec<String>) {
        let reply = self.get(&format!("/v2/a/referrers/{subject}{query}")).await.expect(200);
        assert_eq!(reply.header("content-type"), media_type::INDEX);
        let index = reply.json();
        assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(media_type::INDEX)));
        let digests = index["manifests"].as_array().unwrap().iter();
        let digests = digests.map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned()).collect();
        (reply, digests)
    }
}

#[tokio::test]
async fn a_manifest_comes_back_as_it_went() {
    let rig = Rig::start().await;
    let body = image(&rig, "a", "abc").await;
    let digest = sha256(body.as_bytes());
    let reply = rig.put("/v2/a/manifests/latest", media_type::IMAGE, &body).await.expect(201);
    assert_eq!(reply.header("location"), format!("/v2/a/manifests/{digest}"));
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    for path in ["/v2/a/manifests/latest".to_owned(), format!("/v2/a/manifests/{digest}?ns=x")] {
        let accept = [("accept", "text/plain"), ("accept-encoding", "gzip")];
        let reply = rig.send(Method::GET, &path, &accept, Body::empty()).await.expect(200);
        assert_eq!(reply.body, body);
        for reply in [reply, rig.head(&path).await.expect(200)] {
            assert_eq!(reply.header("content-type"), media_type::IMAGE);
            assert_eq!(reply.header("content-length"), body.len().to_string());
            assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        }
        let known = [("if-none-match", &*format!("\"{digest}\""))];
        rig.send(Method::GET, &path, &known, Body::empty()).await.expect(304);
    }
}

#[tokio::test]
async fn a_push_by_digest_sets_the_tags_of_its_query() {
    let rig = Rig::start().await;
    let body = image(&rig, "a", "abc").await;
    let digest = compute(Algorithm::Sha512, body.as_bytes());
    let path = format!("/v2/a/manifests/{digest}?tag=v1&tag=v1.2&tag=v1");
    let reply = rig.put(&path, media_type::IMAGE, &body).await.expect(201);
    assert_eq!(reply.headers.get_all("oci-tag").iter().collect::<Vec<_>>(), ["v1", "v1.2"]);
    for tag in ["v1", "v1.2"] {
        let reply = rig.head(&format!("/v2/a/manifests/{tag}")).await.expect(200);
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    }
    let many: Vec<String> = (0..101).map(|number| format!("tag=t{number}")).collect();
    rig.put(&format!("{path}&{}", many.join("&")), media_type::IMAGE, &body).await.expect_error(414, "TAG_INVALID");
    rig.put(&format!("{path}&tag=.x"), media_type::IMAGE, &body).await.expect_error(400, "TAG_INVALID");
}

#[tokio::test]
async fn what_is_not_a_manifest_is_refused() {
    let rig = Rig::start().await;
    let body = image(&rig, "a", "abc").await;
    let put = |path: &'static str, media_type: &'static str, body: &str| {
        let body = body.to_owned();
        let rig = &rig;
        async move { rig.put(path, media_type, &body).await }
    };
    let path = "/v2/a/manifests/latest";
    put(path, media_type::IMAGE, "{").await.expect_error(400, "MANIFEST_INVALID");
    put(path, media_type::INDEX, &body).await.expect_error(400, "MANIFEST_INVALID");
    put(path, "nonsense", &body).await.expect_error(400, "MANIFEST_INVALID");
    put(path, "application/vnd.docker.distribution.manifest.v1+prettyjws", "{}").await.expect(400);
    let other = format!("/v2/a/manifests/{}", sha256(b"other"));
    rig.put(&other, media_type::IMAGE, &body).await.expect_error(400, "DIGEST_INVALID");
    let large = " ".repeat((4 << 20) + 1);
    put(path, media_type::IMAGE, &large).await.expect_error(413, "SIZE_INVALID");
    let announced = [("content-type", media_type::IMAGE), ("content-length", "5000000")];
    rig.send(Method::PUT, path, &announced, "{}").await.expect_error(413, "SIZE_INVALID");
    // Blobs of another repository are not this one's.
    let reply = rig.put("/v2/b/manifests/latest", media_type::IMAGE, &body).await;
    let reply = reply.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(reply.json()["errors"].as_array().unwrap().len(), 2);
    rig.get(path).await.expect(404);
}

#[tokio::test]
async fn a_large_manifest_is_taken() {
    let rig = Rig::start().await;
    let mut body = image(&rig, "a", "abc").await;
    body.push_str(&" ".repeat((4 << 20) - body.len()));
    rig.put("/v2/a/manifests/large", media_type::IMAGE, &body).await.expect(201);
    assert_eq!(rig.get("/v2/a/manifests/large").await.expect(200).body, body);
}

#[tokio::test]
async fn every_kind_of_manifest_is_taken() {
    let rig = Rig::start().await;
    let image = image(&rig, "a", "abc").await;
    rig.put("/v2/a/manifests/image", media_type::IMAGE, &image).await.expect(201);
    let child = descriptor(media_type::IMAGE, &sha256(image.as_bytes()));
    let missing = descriptor(media_type::IMAGE, &sha256(b"missing"));
    let list = json!({ "schemaVersion": 2, "manifests": [child, missing] }).to_string();
    for (tag, kind) in [("index", media_type::INDEX), ("list", media_type::DOCKER_LIST), ("own", "text/x.own")] {
        let path = format!("/v2/a/manifests/{tag}");
        rig.put(&path, kind, &list).await.expect(201);
        let reply = rig.get(&path).await.expect(200);
        assert_eq!((reply.header("content-type"), reply.body.as_ref()), (kind, list.as_bytes()));
    }
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    let (config, layer) = (descriptor(CONFIG, &sha256(b"{}")), descriptor(foreign, &sha256(b"elsewhere")));
    let foreign = json!({ "schemaVersion": 2, "config": config, "layers": [layer] }).to_string();
    rig.put("/v2/a/manifests/foreign", media_type::DOCKER_MANIFEST, &foreign).await.expect(201);
}

#[tokio::test]
async fn a_foreign_layer_that_was_pushed_is_held() {
    let rig = Rig::start().await;
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    let (config, layer) = (rig.push_blob("a", "{}").await, rig.push_blob("a", "abc").await);
    let body = json!({ "schemaVersion": 2, "config": descriptor(CONFIG, &config),
        "layers": [descriptor(foreign, &layer)] })
    .to_string();
    rig.put("/v2/a/manifests/latest", media_type::IMAGE, &body).await.expect(201);
    let reply = rig.delete(&format!("/v2/a/blobs/{layer}")).await.expect_error(405, "UNSUPPORTED");
    assert_eq!(reply.json()["errors"][0]["detail"]["manifest"], sha256(body.as_bytes()).to_string());
}

#[tokio::test]
async fn deleting_a_tag_leaves_the_manifest_and_the_other_way_round_not() {
    let rig = Rig::start().await;
    let body = image(&rig, "a", "abc").await;
    let by_digest = format!("/v2/a/manifests/{}", sha256(body.as_bytes()));
    for tag in ["one", "two"] {
        rig.put(&format!("/v2/a/manifests/{tag}"), media_type::IMAGE, &body).await.expect(201);
    }
    rig.delete("/v2/a/manifests/one").await.expect(202);
    rig.head("/v2/a/manifests/one").await.expect(404);
    rig.head(&by_digest).await.expect(200);
    rig.delete(&by_digest).await.expect(202);
    for path in ["/v2/a/manifests/two", by_digest.as_str()] {
        rig.head(path).await.expect(404);
        rig.delete(path).await.expect_error(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(rig.get("/v2/a/tags/list").await.expect(200).json(), json!({ "name": "a", "tags": [] }));
}

#[tokio::test]
async fn referrers_are_listed_filtered_and_paged() {
    let rig = Rig::start().await;
    let subject = sha256(b"not there yet");
    assert!(rig.referrers(&subject, "").await.1.is_empty());
    rig.push_blob("a", "{}").await;
    let mut digests = Vec::new();
    for artifact_type in ["a/one", "a/two", "a/three"] {
        let body = referrer(&subject, artifact_type);
        digests.push(sha256(body.as_bytes()).to_string());
        let path = format!("/v2/a/manifests/{}", sha256(body.as_bytes()));
        let reply = rig.put(&path, media_type::IMAGE, &body).await.expect(201);
        assert_eq!(reply.header("oci-subject"), subject.to_string());
    }
    let two = digests[1].clone();
    digests.sort_unstable();
    let (reply, listed) = rig.referrers(&subject, "").await;
    assert_eq!(listed, digests);
    assert!(!reply.headers.contains_key("oci-filters-applied") && !reply.headers.contains_key("link"));
    assert_eq!(reply.json()["manifests"][0]["annotations"]["key"], "value");
    let (reply, listed) = rig.referrers(&subject, "?artifactType=a%2Ftwo").await;
    assert_eq!((listed, reply.header("oci-filters-applied")), (vec![two], "artifactType"));
    assert_eq!(reply.json()["manifests"][0]["artifactType"], "a/two");
    let (reply, mut listed) = rig.referrers(&subject, "?n=2").await;
    let link = reply.header("link").strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
    let (_, query) = link.split_once('?').unwrap();
    listed.extend(rig.referrers(&subject, &format!("?{query}")).await.1);
    assert_eq!(listed, digests);
}

#[tokio::test]
async fn a_fallback_tag_is_folded_in() {
    let rig = Rig::start().await;
    let subject = sha256(b"subject");
    rig.push_blob("a", "{}").await;
    let known = referrer(&subject, "a/known");
    // Stored under a type that is not looked into: only the client's index knows what it refers to.
    let own = r#"{"mine":true}"#;
    for (body, kind) in [(known.as_str(), media_type::IMAGE), (own, "application/x.own")] {
        rig.put(&format!("/v2/a/manifests/{}", sha256(body.as_bytes())), kind, body).await.expect(201);
    }
    let listed = [
        descriptor(media_type::IMAGE, &sha256(known.as_bytes())),
        descriptor("application/x.own", &sha256(own.as_bytes())),
        descriptor(media_type::IMAGE, &sha256(b"deleted long ago")),
    ];
    let index = json!({ "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": listed }).to_string();
    let tag = subject.to_string().replace(':', "-");
    rig.put(&format!("/v2/a/manifests/{tag}"), media_type::INDEX, &index).await.expect(201);
    let mut expected = [sha256(known.as_bytes()).to_string(), sha256(own.as_bytes()).to_string()];
    expected.sort_unstable();
    assert_eq!(rig.referrers(&subject, "").await.1, expected);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let rig = Rig::start().await;
    let body = image(&rig, "a/b", "abc").await;
    for tag in ["b", "B", "a", "c"] {
        rig.put(&format!("/v2/a/b/manifests/{tag}"), media_type::IMAGE, &body).await.expect(201);
    }
    rig.push_blob("z", "abc").await;
    let tags = async |query: &str| {
        let reply = rig.get(&format!("/v2/a/b/tags/list{query}")).await.expect(200);
        let link = reply.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
        assert_eq!(reply.json()["name"], "a/b");
        (reply.json()["tags"].clone(), link)
    };
    let next = |last: &str, n: usize| Some(format!("</v2/a/b/tags/list?last={last}&n={n}>; rel=\"next\""));
    assert_eq!(tags("").await, (json!(["B", "a", "b", "c"]), None));
    assert_eq!(tags("?n=2").await, (json!(["B", "a"]), next("a", 2)));
    assert_eq!(tags("?last=a&n=2").await, (json!(["b", "c"]), None));
    assert_eq!(tags("?last=a").await, (json!(["b", "c"]), None));
    assert_eq!(tags("?last=aa&n=1").await, (json!(["b"]), next("b", 1)));
    assert_eq!(tags("?n=0").await, (json!([]), None));
    assert_eq!(tags("?n=99999999999").await, (json!(["B", "a", "b", "c"]), None));
    let catalog = rig.get("/v2/_catalog?n=1").await.expect(200);
    assert_eq!(catalog.json(), json!({ "repositories": ["a/b"] }));
    assert_eq!(catalog.header("link"), "</v2/_catalog?last=a%2Fb&n=1>; rel=\"next\"");
    let catalog = rig.get("/v2/_catalog?last=a%2Fb").await.expect(200);
    assert_eq!((catalog.json(), catalog.headers.get("link")), (json!({ "repositories": ["z"] }), None));
}
