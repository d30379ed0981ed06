//! Blobs read in part, deletes, and requests that make no sense.

use axum::body::Body;
use http::Method;
use raft::policy::{ImmutableRule, NamespacePolicy, Quota};

use super::{Rig, content, sha256};

#[tokio::test]
async fn ranges_are_exact() {
    let rig = Rig::start().await;
    // Small ones rest in the catalog, large ones in shards.
    for length in [2048_usize, 2_500_000] {
        let bytes = content(length);
        let path = format!("/v2/a/blobs/{}?ns=x", rig.push_blob("a", bytes.clone()).await);
        let last = length - 1;
        let cases = [
            ("bytes=500-1499".to_owned(), 500..1500),
            ("bytes=500-".to_owned(), 500..length),
            ("bytes=-500".to_owned(), length - 500..length),
            (format!("bytes={}-{}", length - 48, length + 5000), length - 48..length),
            (format!("bytes={last}-{last}"), last..length),
            (format!("bytes=0-{last}"), 0..length),
        ];
        for (range, part) in cases {
            let reply = rig.send(Method::GET, &path, &[("range", &range)], Body::empty()).await.expect(206);
            assert_eq!(reply.body, bytes.slice(part.clone()), "{range}");
            assert_eq!(reply.header("content-length"), part.len().to_string());
            assert_eq!(reply.header("content-range"), format!("bytes {}-{}/{length}", part.start, part.end - 1));
        }
        for range in ["bytes=500-0".to_owned(), format!("bytes={length}-"), "bytes=-0".to_owned()] {
            let reply = rig.send(Method::GET, &path, &[("range", &range)], Body::empty()).await;
            let reply = reply.expect_error(416, "RANGE_INVALID");
            assert_eq!(reply.header("content-range"), format!("bytes */{length}"));
        }
        for headers in [vec![("range", "bytes=0-1,5-6")], vec![("range", "bytes=0-1"), ("if-range", "\"other\"")]] {
            let reply = rig.send(Method::GET, &path, &headers, Body::empty()).await.expect(200);
            assert_eq!(reply.body, bytes);
        }
    }
}

#[tokio::test]
async fn a_blob_says_what_it_is() {
    let rig = Rig::start().await;
    let digest = rig.push_blob("a", "abc").await;
    let path = format!("/v2/a/blobs/{digest}");
    for reply in [rig.get(&path).await.expect(200), rig.head(&path).await.expect(200)] {
        assert_eq!(reply.header("content-length"), "3");
        assert_eq!(reply.header("content-type"), "application/octet-stream");
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        assert_eq!(reply.header("etag"), format!("\"{digest}\""));
        assert_eq!(reply.header("accept-ranges"), "bytes");
        assert_eq!(reply.header("cache-control"), "max-age=31536000");
    }
    for method in [Method::GET, Method::HEAD] {
        let known = format!("\"{digest}\"");
        let headers = [("if-none-match", known.as_str()), ("accept-encoding", "gzip, zstd")];
        let reply = rig.send(method, &path, &headers, Body::empty()).await.expect(304);
        assert!(reply.body.is_empty() && !reply.headers.contains_key("content-length"));
        assert_eq!(reply.header("etag"), known);
    }
}

#[tokio::test]
async fn a_deleted_blob_is_gone_from_its_repository_alone() {
    let rig = Rig::start().await;
    let digest = rig.push_blob("a", "abc").await;
    rig.push_blob("b", "abc").await;
    rig.delete(&format!("/v2/a/blobs/{digest}")).await.expect(202);
    rig.head(&format!("/v2/a/blobs/{digest}")).await.expect(404);
    rig.delete(&format!("/v2/a/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
    rig.head(&format!("/v2/b/blobs/{digest}")).await.expect(200);
}

#[tokio::test]
async fn deletes_can_be_switched_off() {
    let rig = Rig::start().await;
    rig.set_policy("a", NamespacePolicy { deletes: Some(false), ..NamespacePolicy::default() }).await;
    let digest = rig.push_blob("a", "abc").await;
    rig.delete(&format!("/v2/a/blobs/{digest}")).await.expect_error(405, "UNSUPPORTED");
    let reply = rig.delete("/v2/a/manifests/latest").await.expect_error(405, "UNSUPPORTED");
    assert_eq!(reply.header("allow"), "GET, HEAD");
    assert_eq!(reply.json()["errors"][0]["detail"]["namespace"], "a");
}

#[tokio::test]
async fn quotas_and_immutable_tags_are_denied_with_what_is_allowed() {
    let rig = Rig::start().await;
    let quota = Quota { bytes: Some(100), ..Quota::default() };
    let rule = ImmutableRule { tags: "v*".parse().unwrap(), except: Vec::new() };
    rig.set_policy("a", NamespacePolicy { quota, immutable: Some(vec![rule]), ..NamespacePolicy::default() }).await;
    let large = content(101);
    let path = format!("/v2/a/b/blobs/uploads/?digest={}", sha256(&large));
    let reply = rig.send(Method::POST, &path, &[], large).await.expect_error(403, "DENIED");
    let detail = serde_json::json!({ "namespace": "a", "resource": "bytes", "used": 0, "allowed": 100, "needed": 101 });
    assert_eq!(reply.json()["errors"][0]["detail"], detail);
    let config = rig.push_blob("a/b", content(60)).await;
    rig.push_blob("a/c", content(60)).await;
    let other = content(61);
    let path = format!("/v2/a/c/blobs/uploads/?digest={}", sha256(&other));
    let reply = rig.send(Method::POST, &path, &[], other).await.expect_error(403, "DENIED");
    assert_eq!(reply.json()["errors"][0]["detail"]["used"], 60);
    assert_eq!(reply.json()["errors"][0]["detail"]["needed"], 61);

    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = |name: &str| {
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"x/y","digest":"{config}","size":60}},"layers":[],"annotations":{{"name":"{name}"}}}}"#
        )
    };
    rig.put("/v2/a/b/manifests/v1", media_type, &manifest("one")).await.expect(201);
    rig.put("/v2/a/b/manifests/v1", media_type, &manifest("one")).await.expect(201);
    let reply = rig.put("/v2/a/b/manifests/v1", media_type, &manifest("two")).await.expect_error(403, "DENIED");
    assert_eq!(reply.json()["errors"][0]["detail"]["tag"], "v1");
    assert_eq!(reply.json()["errors"][0]["detail"]["pattern"], "v*");
    rig.delete("/v2/a/b/manifests/v1").await.expect_error(403, "DENIED");
}

#[tokio::test]
async fn nonsense_has_the_right_code() {
    let rig = Rig::start().await;
    let digest = format!("sha256:{}", "0".repeat(64));
    let table = [
        ("GET", "/v2/a/b/c".to_owned(), 404, "UNSUPPORTED"),
        ("GET", "/v2/UPPER/tags/list".to_owned(), 400, "NAME_INVALID"),
        ("GET", "/v2/a%ff/tags/list".to_owned(), 400, "NAME_INVALID"),
        ("GET", "/v2/unknown/tags/list".to_owned(), 404, "NAME_UNKNOWN"),
        ("GET", "/v2/a/blobs/sha256:abc".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", format!("/v2/a/blobs/{digest}"), 404, "BLOB_UNKNOWN"),
        ("GET", format!("/v2/a/manifests/{digest}"), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/a/manifests/latest".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/a/manifests/.INVALID".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("PUT", "/v2/a/manifests/.INVALID".to_owned(), 400, "TAG_INVALID"),
        ("PUT", "/v2/a/manifests/sha256:bad".to_owned(), 400, "DIGEST_INVALID"),
        ("DELETE", "/v2/a/manifests/latest".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/a/referrers/sha256:abc".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", "/v2/_catalog?n=-1".to_owned(), 400, "PAGINATION_NUMBER_INVALID"),
        ("GET", "/v2/_catalog?n=1001".to_owned(), 400, "PAGINATION_NUMBER_INVALID"),
        ("GET", "/v2/a/tags/list?n=x".to_owned(), 400, "PAGINATION_NUMBER_INVALID"),
    ];
    for (method, path, status, code) in table {
        rig.send(method.parse().unwrap(), &path, &[], Body::empty()).await.expect_error(status, code);
    }
}

#[tokio::test]
async fn other_methods_are_named_what_is_allowed() {
    let rig = Rig::start().await;
    let digest = format!("sha256:{}", "0".repeat(64));
    let session = "00000000-0000-0000-0000-000000000000";
    for (method, path, allowed) in [
        ("POST", "/v2/".to_owned(), "GET, HEAD"),
        ("DELETE", "/v2/_catalog".to_owned(), "GET, HEAD"),
        ("PATCH", format!("/v2/a/blobs/{digest}"), "GET, HEAD, DELETE"),
        ("POST", "/v2/a/manifests/latest".to_owned(), "GET, HEAD, PUT, DELETE"),
        ("GET", "/v2/a/blobs/uploads/".to_owned(), "POST"),
        ("POST", format!("/v2/a/blobs/uploads/{session}"), "GET, HEAD, PATCH, PUT, DELETE"),
        ("OPTIONS", "/v2/a/tags/list".to_owned(), "GET, HEAD"),
        ("BREW", format!("/v2/a/referrers/{digest}"), "GET, HEAD"),
    ] {
        let reply = rig.send(method.parse().unwrap(), &path, &[], Body::empty()).await;
        assert_eq!(reply.expect_error(405, "UNSUPPORTED").header("allow"), allowed, "{method} {path}");
    }
}
