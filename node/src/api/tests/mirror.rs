//! What containerd adds to the requests of a mirror, `?ns=` with the registry that the image is named after, changes
//! nothing: which repository is meant, the path says.

use axum::body::Body;
use http::{HeaderMap, Method};

use super::{Reply, Rig, content, sha256};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a client sees of an answer.
fn seen(reply: &Reply) -> (u16, HeaderMap, &[u8]) {
    let mut headers = reply.headers.clone();
    headers.remove("date");
    (reply.status.as_u16(), headers, &reply.body)
}

#[tokio::test]
async fn the_namespace_of_a_mirror_changes_nothing() {
    let rig = Rig::start().await;
    let layer = rig.push_blob("acme/app", content(100_000)).await;
    let config = rig.push_blob("acme/app", "{}").await;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":100000}}]}}"#
    );
    rig.put("/v2/acme/app/manifests/v1", IMAGE, &manifest).await.expect(201);
    rig.put("/v2/acme/app/manifests/v2", IMAGE, &manifest).await.expect(201);
    let digest = sha256(manifest.as_bytes());
    let missing = sha256(b"there is no such thing");
    let paths = [
        ("/v2/acme/app/manifests/v1".to_owned(), 200),
        (format!("/v2/acme/app/manifests/{digest}"), 200),
        (format!("/v2/acme/app/blobs/{layer}"), 200),
        (format!("/v2/acme/app/referrers/{digest}"), 200),
        ("/v2/acme/app/tags/list".to_owned(), 200),
        ("/v2/acme/app/tags/list?n=1".to_owned(), 200),
        ("/v2/".to_owned(), 401),
        ("/v2/acme/app/manifests/v3".to_owned(), 404),
        (format!("/v2/acme/app/blobs/{missing}"), 404),
        ("/v2/acme/App/manifests/v1".to_owned(), 400),
    ];
    for (path, status) in paths {
        let and = if path.contains('?') { '&' } else { '?' };
        for method in [Method::GET, Method::HEAD] {
            let range = [("range", "bytes=10-19")];
            let headers: &[(&str, &str)] = if path.contains("/blobs/") && status == 200 { &range } else { &[] };
            let plain = rig.send(method.clone(), &path, headers, Body::empty()).await;
            assert!([status, 206].contains(&plain.status.as_u16()), "{method} {path}: {plain:?}");
            // Of another registry, of a repository that exists here, and of nothing that could be a name.
            for namespace in ["docker.io", "registry.example.com%3A5000", "other/app", "", "%00"] {
                let mirrored = format!("{path}{and}ns={namespace}");
                let reply = rig.send(method.clone(), &mirrored, headers, Body::empty()).await;
                assert_eq!(seen(&reply), seen(&plain), "{method} {mirrored}");
            }
        }
    }
}
