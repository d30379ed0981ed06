//! OCI distribution-spec 1.1, "Push": uploads in every dialect, mounts, manifests, subjects; and the 1.2 draft's push
//! of several tags.

use anyhow::Result;
use bytes::Bytes;
use reqwest::Method;
use serde_json::json;
use tests::image::{self, Recipe};
use tests::registry::{Registry, blob_path, manifest_path, path_of, send, with_query};
use tests::{behaviours, content, digest};

behaviours!(
    post_then_put,
    single_post,
    chunks_with_content_range,
    chunks_without_content_range,
    one_patch_then_empty_put,
    last_chunk_in_the_put,
    chunk_out_of_order_is_416_and_nothing_is_lost,
    wrong_digest_is_refused_and_nothing_appears,
    malformed_digest_is_refused,
    upload_status_and_cancel,
    unknown_session_is_404,
    session_belongs_to_its_repository,
    repeated_put_is_answered_as_the_first,
    repeated_push_of_the_same_blob,
    mount_from_another_repository,
    mount_of_what_is_not_there_begins_an_upload,
    mount_without_from,
    manifest_put_answers_location_and_digest,
    manifest_by_wrong_digest_is_refused,
    manifest_with_unknown_blobs_is_refused,
    manifest_with_unknown_children_is_taken,
    foreign_layers_need_not_exist,
    subject_is_acknowledged,
    unknown_media_types_are_kept,
    several_tags_with_one_push,
    large_manifest,
    oversized_manifest_is_413,
);

/// "Pushing a blob monolithically", POST then PUT: POST MUST be 202 with Location, PUT MUST be 201 with Location.
async fn post_then_put(registry: Registry) -> Result<()> {
    let bytes = content::bytes(200, 300_000);
    let location = registry.start_upload("push/monolithic").await?;
    let digest = digest::sha256(&bytes);
    let answer = registry.finish(&location, &digest, bytes.clone()).await?.expect(201)?;
    assert_eq!(registry.get(&path_of(answer.need("location")?)).await?.expect(200)?.body, bytes);
    assert_eq!(answer.need("docker-content-digest")?, digest);
    Ok(())
}

/// "Single POST": 201 with Location when the registry supports it.
async fn single_post(registry: Registry) -> Result<()> {
    for (seed, length) in [(201, 100), (202, 400_000)] {
        let bytes = content::bytes(seed, length);
        let digest = digest::sha256(&bytes);
        let path = format!("/v2/push/single/blobs/uploads/?digest={digest}");
        let request = registry.request(Method::POST, &path).header("Content-Type", "application/octet-stream");
        let answer = send(request.body(bytes.clone())).await?.expect(201)?;
        assert_eq!(registry.get(&path_of(answer.need("location")?)).await?.expect(200)?.body, bytes);
    }
    Ok(())
}

/// "Pushing a blob in chunks": each PATCH MUST be 202 with Location and Range `0-<end>`; each Location is to be used
/// for the next request.
async fn chunks_with_content_range(registry: Registry) -> Result<()> {
    let bytes = content::bytes(203, 1_000_000);
    let mut location = registry.start_upload("push/chunks").await?;
    let mut begin = 0;
    for length in [1, 99, 65_436, 400_000, 534_464] {
        let end = begin + length;
        let request = registry
            .request(Method::PATCH, &location)
            .header("Content-Type", "application/octet-stream")
            .header("Content-Range", format!("{begin}-{}", end - 1))
            .body(bytes.slice(begin..end));
        let answer = send(request).await?.expect(202)?;
        assert_eq!(answer.need("range")?, format!("0-{}", end - 1));
        location = path_of(answer.need("location")?);
        begin = end;
    }
    let digest = digest::sha256(&bytes);
    registry.finish(&location, &digest, Bytes::new()).await?.expect(201)?;
    assert_eq!(registry.blob("push/chunks", &digest).await?, bytes);
    Ok(())
}

/// PATCH without Content-Range and without Content-Type appends, as Docker does.
async fn chunks_without_content_range(registry: Registry) -> Result<()> {
    let bytes = content::bytes(204, 300_000);
    let mut location = registry.start_upload("push/appends").await?;
    for begin in (0..bytes.len()).step_by(70_000) {
        location = registry.patch(&location, bytes.slice(begin..(begin + 70_000).min(bytes.len()))).await?;
    }
    let digest = digest::sha256(&bytes);
    registry.finish(&location, &digest, Bytes::new()).await?.expect(201)?;
    assert_eq!(registry.blob("push/appends", &digest).await?, bytes);
    Ok(())
}

/// POST, one PATCH without a length (chunked), empty PUT.
async fn one_patch_then_empty_put(registry: Registry) -> Result<()> {
    let content = content::Content::new(205, 2_500_000);
    let digest = content.digest();
    registry.push_content("push/stream", &content, &digest).await?;
    registry.check_content("push/stream", &content, &digest).await
}

/// "Pushing a blob in chunks": the closing PUT MAY carry the last chunk.
async fn last_chunk_in_the_put(registry: Registry) -> Result<()> {
    let bytes = content::bytes(206, 200_000);
    let location = registry.start_upload("push/last").await?;
    let location = registry.patch(&location, bytes.slice(..150_000)).await?;
    let digest = digest::sha256(&bytes);
    let request = registry
        .request(Method::PUT, &with_query(&location, &format!("digest={digest}")))
        .header("Content-Range", "150000-199999")
        .body(bytes.slice(150_000..));
    send(request).await?.expect(201)?;
    assert_eq!(registry.blob("push/last", &digest).await?, bytes);
    Ok(())
}

/// "Pushing a blob in chunks": a chunk out of order MUST be 416; GET on the session tells where it stands, and the
/// upload goes on from there.
async fn chunk_out_of_order_is_416_and_nothing_is_lost(registry: Registry) -> Result<()> {
    let bytes = content::bytes(207, 1000);
    let location = registry.start_upload("push/order").await?;
    let location = registry.patch(&location, bytes.slice(..400)).await?;
    for (begin, end) in [(500, 1000), (0, 400), (399, 800), (401, 900)] {
        let request = registry
            .request(Method::PATCH, &location)
            .header("Content-Range", format!("{begin}-{}", end - 1))
            .body(bytes.slice(begin..end));
        let answer = send(request).await?.expect(416)?;
        assert_eq!(answer.need("range")?, "0-399", "{begin}-{end}");
    }
    let status = registry.get(&location).await?.expect(204)?;
    assert_eq!(status.need("range")?, "0-399");
    let location = registry.patch(&path_of(status.need("location")?), bytes.slice(400..)).await?;
    registry.finish(&location, &digest::sha256(&bytes), Bytes::new()).await?.expect(201)?;
    Ok(())
}

/// A body that does not have the digest: 400 DIGEST_INVALID, and neither digest exists afterwards.
async fn wrong_digest_is_refused_and_nothing_appears(registry: Registry) -> Result<()> {
    let bytes = content::bytes(208, 100_000);
    let other = digest::sha256(b"something else");
    let location = registry.start_upload("push/wrong").await?;
    registry.finish(&location, &other, bytes.clone()).await?.expect_error(400, "DIGEST_INVALID")?;
    let path = format!("/v2/push/wrong/blobs/uploads/?digest={other}");
    registry.upload(Method::POST, &path, bytes.clone()).await?.expect_error(400, "DIGEST_INVALID")?;
    for digest in [&other, &digest::sha256(&bytes)] {
        registry.head(&blob_path("push/wrong", digest)).await?.expect(404)?;
    }
    Ok(())
}

/// "Error Codes": DIGEST_INVALID for what is no digest.
async fn malformed_digest_is_refused(registry: Registry) -> Result<()> {
    for bad in ["", "sha256", "sha256:", "sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:zz"] {
        let location = registry.start_upload("push/malformed").await?;
        let answer = registry.finish(&location, bad, Bytes::from_static(b"x")).await?;
        assert_eq!(answer.status, 400, "{bad:?}: {}", answer.text());
    }
    let location = registry.start_upload("push/malformed").await?;
    registry.upload(Method::PUT, &location, Bytes::from_static(b"x")).await?.expect_error(400, "DIGEST_INVALID")?;
    Ok(())
}

/// GET on a session: 204 with Location and Range. DELETE: 204, and the session is gone.
async fn upload_status_and_cancel(registry: Registry) -> Result<()> {
    let location = registry.start_upload("push/cancel").await?;
    let status = registry.get(&location).await?.expect(204)?;
    assert_eq!(status.need("range")?, "0-0");
    assert!(status.header("location").is_some());
    let location = registry.patch(&location, content::bytes(209, 80_000)).await?;
    assert_eq!(registry.get(&location).await?.expect(204)?.need("range")?, "0-79999");
    registry.delete(&location).await?.expect(204)?;
    registry.get(&location).await?.expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    let answer = registry.upload(Method::PATCH, &location, Bytes::from_static(b"x")).await?;
    answer.expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    Ok(())
}

/// "Error Codes": BLOB_UPLOAD_UNKNOWN for sessions that never were.
async fn unknown_session_is_404(registry: Registry) -> Result<()> {
    registry.start_upload("push/known").await?;
    let path = "/v2/push/known/blobs/uploads/01234567-89ab-cdef-0123-456789abcdef";
    registry.get(path).await?.expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    registry.delete(path).await?.expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    registry.upload(Method::PATCH, path, Bytes::from_static(b"x")).await?.expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    let answer = registry.finish(path, &digest::sha256(b"x"), Bytes::from_static(b"x")).await?;
    answer.expect_error(404, "BLOB_UPLOAD_UNKNOWN")?;
    Ok(())
}

/// A session is not reachable through another repository's path.
async fn session_belongs_to_its_repository(registry: Registry) -> Result<()> {
    let location = registry.start_upload("push/own").await?;
    let foreign = location.replace("push/own", "push/foreign");
    registry.get(&foreign).await?.expect(404)?;
    registry.upload(Method::PATCH, &foreign, Bytes::from_static(b"x")).await?.expect(404)?;
    assert_eq!(registry.get(&location).await?.expect(204)?.need("range")?, "0-0");
    Ok(())
}

/// A client that lost the answer to its PUT repeats it: the blob is there either way.
async fn repeated_put_is_answered_as_the_first(registry: Registry) -> Result<()> {
    let bytes = content::bytes(210, 90_000);
    let digest = digest::sha256(&bytes);
    let location = registry.start_upload("push/again").await?;
    let location = registry.patch(&location, bytes.clone()).await?;
    registry.finish(&location, &digest, Bytes::new()).await?.expect(201)?;
    registry.finish(&location, &digest, Bytes::new()).await?.expect(201)?;
    assert_eq!(registry.blob("push/again", &digest).await?, bytes);
    Ok(())
}

/// Pushing what exists is a success.
async fn repeated_push_of_the_same_blob(registry: Registry) -> Result<()> {
    let bytes = content::bytes(211, 150_000);
    for repository in ["push/same", "push/same", "push/same-elsewhere"] {
        let digest = registry.push_blob(repository, &bytes).await?;
        assert_eq!(registry.blob(repository, &digest).await?, bytes);
    }
    Ok(())
}

/// "Mounting a blob from another repository": 201 with the blob's Location; the blob is then there.
async fn mount_from_another_repository(registry: Registry) -> Result<()> {
    let bytes = content::bytes(212, 120_000);
    let digest = registry.push_blob("push/source", &bytes).await?;
    let path = format!("/v2/push/target/blobs/uploads/?mount={digest}&from=push/source");
    let answer = registry.upload(Method::POST, &path, Bytes::new()).await?.expect(201)?;
    assert_eq!(registry.get(&path_of(answer.need("location")?)).await?.expect(200)?.body, bytes);
    assert_eq!(registry.blob("push/target", &digest).await?, bytes);
    Ok(())
}

/// "Mounting a blob from another repository": a failed mount SHOULD be 202, as if an upload had been asked for.
async fn mount_of_what_is_not_there_begins_an_upload(registry: Registry) -> Result<()> {
    let bytes = content::bytes(213, 1000);
    let digest = digest::sha256(&bytes);
    for from in ["&from=push/nowhere", "&from=push/mount-none", "&from=UPPER"] {
        let path = format!("/v2/push/mount-none/blobs/uploads/?mount={digest}{from}");
        let answer = registry.upload(Method::POST, &path, Bytes::new()).await?.expect(202)?;
        answer.need("location")?;
        answer.need("docker-upload-uuid")?;
    }
    let location = registry.start_upload("push/mount-none").await?;
    registry.finish(&location, &digest, bytes).await?.expect(201)?;
    Ok(())
}

/// "Mounting a blob from another repository": without `from` the registry MAY find the blob itself; if it does not,
/// 202.
async fn mount_without_from(registry: Registry) -> Result<()> {
    let bytes = content::bytes(214, 1000);
    let digest = registry.push_blob("push/anonymous-source", &bytes).await?;
    let path = format!("/v2/push/anonymous/blobs/uploads/?mount={digest}");
    let answer = registry.upload(Method::POST, &path, Bytes::new()).await?;
    match answer.status {
        201 => assert_eq!(registry.blob("push/anonymous", &digest).await?, bytes),
        202 => assert!(answer.header("docker-upload-uuid").is_some()),
        other => panic!("{other}: {}", answer.text()),
    }
    Ok(())
}

/// "Pushing Manifests": 201 with Location; Docker-Content-Digest is the digest of the manifest.
async fn manifest_put_answers_location_and_digest(registry: Registry) -> Result<()> {
    let image = Recipe::new(220).build()?;
    image.push(&registry, "push/manifest", "first").await?;
    for reference in ["second", &image.manifest.digest] {
        let media = image::MANIFEST;
        let answer =
            registry.put_manifest("push/manifest", reference, media, &image.manifest.bytes).await?.expect(201)?;
        assert_eq!(answer.need("docker-content-digest")?, image.manifest.digest);
        let found = registry.get(&path_of(answer.need("location")?)).await?.expect(200)?;
        assert_eq!(found.body, image.manifest.bytes);
    }
    Ok(())
}

/// A manifest under a digest that is not its own: 400.
async fn manifest_by_wrong_digest_is_refused(registry: Registry) -> Result<()> {
    let image = Recipe::new(221).build()?;
    image.push(&registry, "push/manifest-wrong", "v1").await?;
    let other = digest::sha256(b"other");
    let answer = registry.put_manifest("push/manifest-wrong", &other, image::MANIFEST, &image.manifest.bytes).await?;
    answer.expect_error(400, "DIGEST_INVALID")?;
    registry.manifest("push/manifest-wrong", &other).await?.expect(404)?;
    Ok(())
}

/// "Pushing Manifests": a registry MAY reject a manifest whose blobs are unknown; this one does, so that nothing half
/// is ever tagged.
async fn manifest_with_unknown_blobs_is_refused(registry: Registry) -> Result<()> {
    let image = Recipe::new(222).build()?;
    registry.push_blob("push/incomplete", &image.blobs[0].bytes).await?;
    let answer = registry.put_manifest("push/incomplete", "v1", image::MANIFEST, &image.manifest.bytes).await?;
    let answer = answer.expect_error(400, "MANIFEST_BLOB_UNKNOWN")?;
    assert!(answer.text().contains(&image.blobs[1].digest), "the blob is named: {}", answer.text());
    registry.manifest("push/incomplete", "v1").await?.expect(404)?;
    Ok(())
}

/// An index may be sparse.
async fn manifest_with_unknown_children_is_taken(registry: Registry) -> Result<()> {
    let image = Recipe::new(223).build()?;
    let absent = Recipe::new(224).build()?;
    image.push(&registry, "push/sparse", "child").await?;
    let index = image::index(&[(&image.manifest, "amd64"), (&absent.manifest, "arm64")]);
    registry.put_manifest("push/sparse", "index", image::INDEX, &index.bytes).await?.expect(201)?;
    assert_eq!(registry.manifest("push/sparse", "index").await?.expect(200)?.body, index.bytes);
    Ok(())
}

/// Layers with URLs elsewhere, of the non-distributable kinds, need not be here.
async fn foreign_layers_need_not_exist(registry: Registry) -> Result<()> {
    let image = Recipe::new(225).build()?;
    image.push(&registry, "push/foreign-layer", "base").await?;
    let foreign = json!({
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": digest::sha256(b"foreign"),
        "size": 1234,
        "urls": ["https://example.com/layer"],
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": image::DOCKER_MANIFEST,
        "config": image.blobs[0].descriptor(),
        "layers": [foreign, image.blobs[1].descriptor()],
    });
    let bytes = Bytes::from(manifest.to_string());
    registry.put_manifest("push/foreign-layer", "v1", image::DOCKER_MANIFEST, &bytes).await?.expect(201)?;
    Ok(())
}

/// "Pushing Manifests with Subject": the answer MUST carry OCI-Subject; a subject that is missing is accepted.
async fn subject_is_acknowledged(registry: Registry) -> Result<()> {
    let image = Recipe::new(226).build()?;
    let artifact = image::artifact(226, "application/vnd.example.signature", Some(&image.manifest));
    for blob in &artifact.blobs {
        registry.push_blob("push/subject", &blob.bytes).await?;
    }
    let (reference, media) = (&artifact.manifest.digest, image::MANIFEST);
    let answer =
        registry.put_manifest("push/subject", reference, media, &artifact.manifest.bytes).await?.expect(201)?;
    assert_eq!(answer.need("oci-subject")?, image.manifest.digest);
    image.push(&registry, "push/subject", "v1").await?;
    Ok(())
}

/// Any valid media type is accepted and served as it came.
async fn unknown_media_types_are_kept(registry: Registry) -> Result<()> {
    let media = "application/vnd.example.thing.v7+json";
    let bytes = Bytes::from_static(b"{\"hello\":\"world\"}\n");
    registry.put_manifest("push/media", "v1", media, &bytes).await?.expect(201)?;
    let answer = registry.manifest("push/media", "v1").await?.expect(200)?;
    assert_eq!((answer.need("content-type")?, &answer.body), (media, &bytes));
    Ok(())
}

/// Draft 1.2, "Pushing Manifests": PUT by digest with `tag` parameters sets them all and names them in OCI-Tag.
async fn several_tags_with_one_push(registry: Registry) -> Result<()> {
    let image = Recipe::new(227).build()?;
    image.push(&registry, "push/tags", "first").await?;
    let path = format!("{}?tag=one&tag=two", manifest_path("push/tags", &image.manifest.digest));
    let request = registry.request(Method::PUT, &path).header("Content-Type", image::MANIFEST);
    let answer = send(request.body(image.manifest.bytes.clone())).await?.expect(201)?;
    let named: Vec<&str> = answer.headers.get_all("oci-tag").iter().filter_map(|tag| tag.to_str().ok()).collect();
    assert_eq!(named.join(",").replace(' ', ""), "one,two");
    assert_eq!(registry.tags("push/tags").await?, ["first", "one", "two"]);
    for tag in ["one", "two"] {
        let answer = registry.manifest("push/tags", tag).await?.expect(200)?;
        assert_eq!(answer.need("docker-content-digest")?, image.manifest.digest);
    }
    Ok(())
}

fn padded_manifest(length: usize) -> Bytes {
    let frame = json!({ "schemaVersion": 2, "padding": "" }).to_string().len();
    json!({ "schemaVersion": 2, "padding": "x".repeat(length - frame) }).to_string().into()
}

/// "Pushing Manifests": a registry SHOULD take manifests of at least 4 MiB.
async fn large_manifest(registry: Registry) -> Result<()> {
    let bytes = padded_manifest(4 << 20);
    assert_eq!(bytes.len(), 4 << 20);
    registry.put_manifest("push/large-manifest", "v1", "application/vnd.example+json", &bytes).await?.expect(201)?;
    assert!(registry.manifest("push/large-manifest", "v1").await?.expect(200)?.body == bytes);
    Ok(())
}

/// "Pushing Manifests": a manifest beyond the limit SHOULD be 413.
async fn oversized_manifest_is_413(registry: Registry) -> Result<()> {
    let bytes = padded_manifest((4 << 20) + 1);
    let answer = registry.put_manifest("push/too-large", "v1", "application/vnd.example+json", &bytes).await?;
    answer.expect(413)?;
    registry.manifest("push/too-large", "v1").await?.expect(404)?;
    Ok(())
}
