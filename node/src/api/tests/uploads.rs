//! Uploads in the dialects of clients.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use raft::catalog::Algorithm;

use super::{Rig, content, sha256};
use crate::registry::compute;

impl Rig {
    /// Begins an upload, and says where it is.
    async fn begin(&self, repository: &str) -> String {
        let reply = self.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), &[], "").await.expect(202);
        assert_eq!(reply.header("range"), "0-0");
        assert!(reply.body.is_empty());
        let location = reply.header("location").to_owned();
        assert_eq!(location, format!("/v2/{repository}/blobs/uploads/{}", reply.header("docker-upload-uuid")));
        location
    }

    async fn patch(&self, location: &str, range: Option<&str>, body: impl Into<Body>) -> super::Reply {
        let headers: Vec<_> = range.iter().map(|range| ("content-range", *range)).collect();
        self.send(Method::PATCH, location, &headers, body).await
    }
}

/// A body of unknown length, which breaks off after these bytes.
fn broken(bytes: Bytes) -> Body {
    Body::from_stream(stream::iter([Ok(bytes), Err(std::io::Error::other("reset"))]))
}

#[tokio::test]
async fn post_patch_put_as_docker_does() {
    let rig = Rig::start().await;
    let bytes = content(300_000);
    let digest = sha256(&bytes);
    let location = rig.begin("a/b").await;
    let body = Body::from_stream(stream::iter(
        bytes.chunks(70_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
    ));
    let reply = rig.patch(&location, None, body).await.expect(202);
    assert_eq!(reply.header("range"), "0-299999");
    assert_eq!(reply.header("location"), location);
    let reply = rig.send(Method::PUT, &format!("{location}?digest={digest}"), &[], "").await.expect(201);
    assert_eq!(reply.header("location"), format!("/v2/a/b/blobs/{digest}"));
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    assert_eq!(rig.get(reply.header("location")).await.expect(200).body, bytes);
    // A repetition after a lost answer is answered alike; the session is no more.
    rig.send(Method::PUT, &format!("{location}?digest={digest}"), &[], "").await.expect(201);
    rig.get(&location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn post_put_with_and_without_the_slash() {
    let rig = Rig::start().await;
    for (repository, separator) in [("a", "?"), ("b", "&"), ("c", "?state=x&"), ("d", "?state=x?")] {
        let bytes = content(1000);
        let reply = rig.send(Method::POST, &format!("/v2/{repository}/blobs/uploads"), &[], "").await.expect(202);
        let path = format!("{}{separator}digest={}", reply.header("location"), sha256(&bytes));
        rig.send(Method::PUT, &path, &[], bytes.clone()).await.expect(201);
        assert_eq!(rig.get(&format!("/v2/{repository}/blobs/{}", sha256(&bytes))).await.expect(200).body, bytes);
    }
}

#[tokio::test]
async fn chunks_in_order_and_out_of_order() {
    let rig = Rig::start().await;
    let bytes = content(3000);
    let location = rig.begin("a").await;
    rig.patch(&location, Some("0-999"), bytes.slice(..1000)).await.expect(202);
    for (range, chunk) in [("0-999", bytes.slice(..1000)), ("2000-2999", bytes.slice(2000..))] {
        let reply = rig.patch(&location, Some(range), chunk).await.expect_error(416, "RANGE_INVALID");
        assert_eq!(reply.header("range"), "0-999");
        assert_eq!(reply.header("location"), location);
    }
    let reply = rig.patch(&location, Some("9-5"), "x").await.expect_error(416, "RANGE_INVALID");
    assert_eq!(reply.header("range"), "0-999");
    let reply = rig.get(&location).await.expect(204);
    assert_eq!((reply.header("range"), reply.header("location")), ("0-999", location.as_str()));
    rig.head(&location).await.expect(204);
    rig.patch(&location, Some("bytes 1000-1999/*"), bytes.slice(1000..2000)).await.expect(202);
    let finish = format!("{location}?digest={}", sha256(&bytes));
    let out_of_order = [("content-range", "1000-1999")];
    rig.send(Method::PUT, &finish, &out_of_order, bytes.slice(2000..)).await.expect_error(416, "RANGE_INVALID");
    rig.send(Method::PUT, &finish, &[("content-range", "2000-2999")], bytes.slice(2000..)).await.expect(201);
}

#[tokio::test]
async fn wrong_lengths_commit_nothing() {
    let rig = Rig::impatient().await;
    let location = rig.begin("a").await;
    let both = [("content-range", "0-9"), ("content-length", "11")];
    rig.send(Method::PATCH, &location, &both, "12345678901").await.expect_error(400, "SIZE_INVALID");
    rig.patch(&location, Some("0-9"), "123456789").await.expect_error(400, "BLOB_UPLOAD_INVALID");
    rig.patch(&location, Some("0-9"), "12345678901").await.expect_error(400, "BLOB_UPLOAD_INVALID");
    rig.patch(&location, Some("0 to 9"), "1234567890").await.expect_error(400, "BLOB_UPLOAD_INVALID");
    rig.patch(&location, None, broken(content(100_000))).await.expect_error(400, "BLOB_UPLOAD_INVALID");
    let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    rig.patch(&location, None, silent).await.expect_error(408, "BLOB_UPLOAD_INVALID");
    assert_eq!(rig.get(&location).await.expect(204).header("range"), "0-0");
    rig.send(Method::PUT, &format!("{location}?digest={}", sha256(b"abc")), &[], "abc").await.expect(201);
}

#[tokio::test]
async fn a_wrong_digest_is_refused_in_every_dialect() {
    let rig = Rig::start().await;
    let wrong = sha256(b"something else");
    let location = rig.begin("a").await;
    rig.patch(&location, None, "abc").await.expect(202);
    for path in [format!("{location}?digest={wrong}"), format!("{location}?digest=sha256:abc"), location.clone()] {
        rig.send(Method::PUT, &path, &[], "").await.expect_error(400, "DIGEST_INVALID");
    }
    let at_once = format!("/v2/a/blobs/uploads/?digest={wrong}");
    rig.send(Method::POST, &at_once, &[], "abc").await.expect_error(400, "DIGEST_INVALID");
    for query in ["digest=md5:00", "mount=x", "digest-algorithm=md5"] {
        let path = format!("/v2/a/blobs/uploads/?{query}");
        rig.send(Method::POST, &path, &[], "abc").await.expect_error(400, "DIGEST_INVALID");
    }
    rig.get(&format!("/v2/a/blobs/{wrong}")).await.expect_error(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn one_post_is_enough() {
    let rig = Rig::start().await;
    for length in [1, 40_000, 3_000_000] {
        let bytes = content(length);
        let digest = rig.push_blob("a", bytes.clone()).await;
        assert_eq!(rig.get(&format!("/v2/a/blobs/{digest}")).await.expect(200).body, bytes);
    }
    let empty = rig.push_blob("a", "").await;
    let reply = rig.get(&format!("/v2/a/blobs/{empty}")).await.expect(200);
    assert_eq!((reply.header("content-length"), reply.body.len()), ("0", 0));
    // The digest alone begins an upload.
    let path = format!("/v2/a/blobs/uploads/?digest={}", sha256(b"later"));
    rig.send(Method::POST, &path, &[], "").await.expect(202);
}

#[tokio::test]
async fn sha512_is_as_good() {
    let rig = Rig::start().await;
    let bytes = content(100_000);
    let digest = compute(Algorithm::Sha512, &bytes);
    for query in ["?digest-algorithm=sha512", ""] {
        let reply = rig.send(Method::POST, &format!("/v2/a/blobs/uploads/{query}"), &[], "").await.expect(202);
        let location = reply.header("location").to_owned();
        rig.patch(&location, None, bytes.slice(..60_000)).await.expect(202);
        let finish = format!("{location}?digest={digest}");
        rig.send(Method::PUT, &finish, &[], bytes.slice(60_000..)).await.expect(201);
        rig.delete(&format!("/v2/a/blobs/{digest}")).await.expect(202);
    }
    rig.send(Method::POST, &format!("/v2/a/blobs/uploads/?digest={digest}"), &[], bytes.clone()).await.expect(201);
    assert_eq!(rig.get(&format!("/v2/a/blobs/{digest}")).await.expect(200).body, bytes);
}

#[tokio::test]
async fn blobs_are_mounted_or_uploaded() {
    let rig = Rig::start().await;
    let digest = rig.push_blob("a", "abc").await;
    let mount = |to: &str, from: &str| format!("/v2/{to}/blobs/uploads/?mount={digest}{from}");
    let reply = rig.send(Method::POST, &mount("b", "&from=a"), &[], "").await.expect(201);
    assert_eq!(reply.header("location"), format!("/v2/b/blobs/{digest}"));
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    rig.send(Method::POST, &mount("c", ""), &[], "").await.expect(201);
    assert_eq!(rig.get(&format!("/v2/c/blobs/{digest}")).await.expect(200).body, "abc");
    for (to, from) in [("d", "&from=x"), ("d", "&from=NOT/a/NAME")] {
        let reply = rig.send(Method::POST, &mount(to, from), &[], "").await.expect(202);
        reply.header("docker-upload-uuid");
    }
    rig.head(&format!("/v2/d/blobs/{digest}")).await.expect(404);
}

#[tokio::test]
async fn a_cancelled_session_is_gone() {
    let rig = Rig::start().await;
    let location = rig.begin("a").await;
    rig.get(&location.replace("/a/", "/b/")).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    rig.delete(&location).await.expect(204);
    rig.delete(&location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    rig.patch(&location, None, "abc").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    rig.get("/v2/a/blobs/uploads/not-a-session").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}
