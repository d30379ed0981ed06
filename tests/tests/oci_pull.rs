//! OCI distribution-spec 1.1, "Pull": manifests, blobs, ranges, existence.

use anyhow::Result;
use bytes::Bytes;
use reqwest::Method;
use tests::image::{self, Compression, Recipe};
use tests::registry::{Registry, blob_path, manifest_path, send};
use tests::{behaviours, content, digest};

behaviours!(
    ping_says_that_the_api_is_there,
    manifest_is_pulled_by_tag_and_by_digest,
    manifest_has_its_stored_media_type_whatever_is_accepted,
    unknown_manifest_is_404,
    unknown_repository_is_404,
    manifest_head_is_like_get_without_a_body,
    blob_is_pulled_byte_for_byte,
    blob_head_gives_the_size,
    unknown_blob_is_404,
    a_blob_is_not_seen_through_another_repository,
    ranges_are_served_exactly,
    bad_ranges_are_refused_or_ignored,
    range_of_a_large_blob,
    empty_blob,
    sha512_blob_and_manifest,
    multi_layer_images_of_every_compression,
    multi_arch_index,
    docker_images_and_lists,
);

/// "Determining Support": GET /v2/ MUST be 200 for a registry that implements the specification, or 401 where it wants to
/// know who asks first.
async fn ping_says_that_the_api_is_there(registry: Registry) -> Result<()> {
    let token = registry.token(&[]).await?;
    for (asks, status) in [(registry.with_token(&token), 200), (registry, 401)] {
        let answer = asks.get("/v2/").await?.expect(status)?;
        assert_eq!(answer.need("docker-distribution-api-version")?, "registry/2.0");
        assert!(answer.header("set-cookie").is_none(), "never a cookie");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    }
    Ok(())
}

/// "Pulling manifests": a GET for an existing manifest MUST be 200, with its bytes; Content-Type MUST match the
/// manifest's; Docker-Content-Digest, if given, MUST be the digest of the body.
async fn manifest_is_pulled_by_tag_and_by_digest(registry: Registry) -> Result<()> {
    let image = Recipe::new(101).build()?;
    image.push(&registry, "pull/manifest", "v1").await?;
    for reference in ["v1", &image.manifest.digest] {
        let answer = registry.manifest("pull/manifest", reference).await?.expect(200)?;
        assert_eq!(answer.body, image.manifest.bytes);
        assert_eq!(answer.need("content-type")?, image::MANIFEST);
        assert_eq!(answer.need("docker-content-digest")?, image.manifest.digest);
        assert_eq!(answer.need("content-length")?, image.manifest.bytes.len().to_string());
    }
    Ok(())
}

/// "Pulling manifests": the client SHOULD send Accept; what is stored is served as stored.
async fn manifest_has_its_stored_media_type_whatever_is_accepted(registry: Registry) -> Result<()> {
    let image = Recipe::new(102).build()?;
    image.push(&registry, "pull/accept", "v1").await?;
    for accept in ["*/*", image::MANIFEST, image::INDEX, "text/html", "application/json;q=0.1"] {
        let request = registry.request(Method::GET, &manifest_path("pull/accept", "v1")).header("Accept", accept);
        let answer = send(request).await?.expect(200)?;
        assert_eq!(answer.need("content-type")?, image::MANIFEST, "{accept}");
        assert_eq!(answer.body, image.manifest.bytes, "{accept}");
    }
    Ok(())
}

/// "Pulling manifests": if the manifest is not found, the answer MUST be 404.
async fn unknown_manifest_is_404(registry: Registry) -> Result<()> {
    Recipe::new(103).build()?.push(&registry, "pull/known", "v1").await?;
    for reference in ["v2", &digest::sha256(b"another")] {
        registry.manifest("pull/known", reference).await?.expect_error(404, "MANIFEST_UNKNOWN")?;
        registry.head(&manifest_path("pull/known", reference)).await?.expect(404)?;
    }
    Ok(())
}

/// "Error Codes": NAME_UNKNOWN or MANIFEST_UNKNOWN, with 404, for a repository that is not there.
async fn unknown_repository_is_404(registry: Registry) -> Result<()> {
    registry.manifest("pull/nobody", "v1").await?.expect(404)?;
    registry.get("/v2/pull/nobody/tags/list").await?.expect_error(404, "NAME_UNKNOWN")?;
    Ok(())
}

/// "Checking if content exists in the registry": HEAD on a manifest MUST be 200 with Content-Length, or 404.
async fn manifest_head_is_like_get_without_a_body(registry: Registry) -> Result<()> {
    let image = Recipe::new(104).build()?;
    image.push(&registry, "pull/head", "v1").await?;
    for reference in ["v1", &image.manifest.digest] {
        let answer = registry.head(&manifest_path("pull/head", reference)).await?.expect(200)?;
        assert!(answer.body.is_empty());
        assert_eq!(answer.need("content-length")?, image.manifest.bytes.len().to_string());
        assert_eq!(answer.need("content-type")?, image::MANIFEST);
        assert_eq!(answer.need("docker-content-digest")?, image.manifest.digest);
    }
    Ok(())
}

/// "Pulling blobs": a GET for an existing blob MUST be 200 with its bytes; Docker-Content-Digest, if given, MUST be
/// the digest of the body.
async fn blob_is_pulled_byte_for_byte(registry: Registry) -> Result<()> {
    // Around the sizes where the way of storing changes: inline, one block, several stripes.
    for (seed, length) in [1, 1000, 65_535, 65_536, 65_537, 262_144, 1_000_000, 3_000_001].into_iter().enumerate() {
        let bytes = content::bytes(110 + seed as u64, length);
        let digest = registry.push_blob("pull/blob", &bytes).await?;
        let answer = registry.get(&blob_path("pull/blob", &digest)).await?.expect(200)?;
        assert!(answer.body == bytes, "{length} bytes");
        assert_eq!(answer.need("content-length")?, length.to_string());
        assert_eq!(answer.need("docker-content-digest")?, digest);
    }
    Ok(())
}

/// "Checking if content exists in the registry": HEAD on a blob MUST be 200 with the size as Content-Length.
async fn blob_head_gives_the_size(registry: Registry) -> Result<()> {
    let digest = registry.push_blob("pull/blob-head", &content::bytes(120, 70_000)).await?;
    let answer = registry.head(&blob_path("pull/blob-head", &digest)).await?.expect(200)?;
    assert_eq!(answer.need("content-length")?, "70000");
    assert_eq!(answer.need("docker-content-digest")?, digest);
    assert!(answer.body.is_empty());
    Ok(())
}

/// "Pulling blobs": if the blob is not found, the answer MUST be 404.
async fn unknown_blob_is_404(registry: Registry) -> Result<()> {
    registry.push_blob("pull/blob-known", &content::bytes(121, 100)).await?;
    let path = blob_path("pull/blob-known", &digest::sha256(b"another"));
    registry.get(&path).await?.expect_error(404, "BLOB_UNKNOWN")?;
    registry.head(&path).await?.expect(404)?;
    Ok(())
}

/// A blob belongs to the repositories that it was pushed or mounted to: others do not learn that it exists.
async fn a_blob_is_not_seen_through_another_repository(registry: Registry) -> Result<()> {
    let digest = registry.push_blob("pull/mine", &content::bytes(122, 100_000)).await?;
    registry.push_blob("pull/yours", &content::bytes(123, 100)).await?;
    registry.get(&blob_path("pull/yours", &digest)).await?.expect_error(404, "BLOB_UNKNOWN")?;
    registry.head(&blob_path("pull/yours", &digest)).await?.expect(404)?;
    Ok(())
}

/// "Pulling blobs": a registry SHOULD support Range on blobs, per RFC 9110.
async fn ranges_are_served_exactly(registry: Registry) -> Result<()> {
    for (seed, length) in [(130, 10_000_usize), (131, 1_500_000)] {
        let bytes = content::bytes(seed, length);
        let path = blob_path("pull/range", &registry.push_blob("pull/range", &bytes).await?);
        let last = length - 1;
        let cases = [
            (format!("bytes=0-{last}"), 0, last),
            ("bytes=0-0".to_owned(), 0, 0),
            (format!("bytes={last}-{last}"), last, last),
            (format!("bytes={last}-"), last, last),
            ("bytes=100-199".to_owned(), 100, 199),
            ("bytes=4095-4097".to_owned(), 4095, 4097),
            ("bytes=5000-".to_owned(), 5000, last),
            ("bytes=-7".to_owned(), length - 7, last),
            (format!("bytes=-{}", length * 2), 0, last),
            (format!("bytes=9000-{}", length * 2), 9000, last),
        ];
        for (range, begin, end) in cases {
            let request = registry.request(Method::GET, &path).header("Range", &range);
            let answer = send(request).await?.expect(206)?;
            assert!(answer.body == bytes[begin..=end], "{range} of {length}");
            assert_eq!(answer.need("content-range")?, format!("bytes {begin}-{end}/{length}"), "{range}");
            assert_eq!(answer.need("content-length")?, (end - begin + 1).to_string(), "{range}");
        }
    }
    Ok(())
}

/// RFC 9110, 14.2: 416 with the length for a range that cannot be satisfied; an unknown unit or a malformed range is
/// ignored.
async fn bad_ranges_are_refused_or_ignored(registry: Registry) -> Result<()> {
    let bytes = content::bytes(132, 1000);
    let path = blob_path("pull/bad-range", &registry.push_blob("pull/bad-range", &bytes).await?);
    for range in ["bytes=1000-", "bytes=1000-2000", "bytes=99999999999999999-", "bytes=-0"] {
        let answer = send(registry.request(Method::GET, &path).header("Range", range)).await?.expect(416)?;
        assert_eq!(answer.need("content-range")?, "bytes */1000", "{range}");
    }
    for range in ["lines=1-2", "bytes", "bytes=", "bytes=b-a", "bytes=5-2", "0-5", "bytes=18446744073709551616-"] {
        let answer = send(registry.request(Method::GET, &path).header("Range", range)).await?;
        let whole = answer.status == 200 && answer.body == bytes;
        assert!(whole || answer.status == 416 || answer.status == 400, "{range}: {}", answer.status);
    }
    Ok(())
}

/// A range deep inside a blob of many stripes.
async fn range_of_a_large_blob(registry: Registry) -> Result<()> {
    let bytes = content::bytes(133, 9_000_000);
    let path = blob_path("pull/large", &registry.push_blob("pull/large", &bytes).await?);
    for begin in (0..9_000_000).step_by(777_777) {
        let end = (begin + 600_000).min(bytes.len()) - 1;
        let request = registry.request(Method::GET, &path).header("Range", format!("bytes={begin}-{end}"));
        assert!(send(request).await?.expect(206)?.body == bytes[begin..=end], "from {begin}");
    }
    Ok(())
}

/// The blob of no bytes is a blob.
async fn empty_blob(registry: Registry) -> Result<()> {
    let digest = registry.push_blob("pull/empty", &Bytes::new()).await?;
    let answer = registry.get(&blob_path("pull/empty", &digest)).await?.expect(200)?;
    assert_eq!((answer.need("content-length")?, answer.body.len()), ("0", 0));
    registry.head(&blob_path("pull/empty", &digest)).await?.expect(200)?;
    Ok(())
}

/// "Pulling blobs", `<digest>`: SHA-512 is a registered algorithm (image-spec, "Registered algorithms").
async fn sha512_blob_and_manifest(registry: Registry) -> Result<()> {
    for (seed, length) in [(140, 500), (141, 500_000)] {
        let bytes = content::bytes(seed, length);
        let digest = digest::sha512(&bytes);
        let location = registry.start_upload("pull/sha512").await?;
        registry.finish(&location, &digest, bytes.clone()).await?.expect(201)?;
        assert_eq!(registry.blob("pull/sha512", &digest).await?, bytes);
    }
    let image = Recipe::new(142).build()?;
    image.push(&registry, "pull/sha512", "v1").await?;
    let digest = digest::sha512(&image.manifest.bytes);
    let answer = registry.put_manifest("pull/sha512", &digest, image::MANIFEST, &image.manifest.bytes).await?;
    assert_eq!(answer.expect(201)?.need("docker-content-digest")?, digest);
    assert_eq!(registry.manifest("pull/sha512", &digest).await?.expect(200)?.body, image.manifest.bytes);
    Ok(())
}

/// Images of several layers go in and come out unchanged, whatever their compression.
async fn multi_layer_images_of_every_compression(registry: Registry) -> Result<()> {
    for (seed, compression) in [(150, Compression::Plain), (151, Compression::Gzip), (152, Compression::Zstd)] {
        let image = Recipe::new(seed).layers(4, 200_000).compression(compression).build()?;
        image.push(&registry, "pull/layers", &format!("v{seed}")).await?;
        image.check(&registry, "pull/layers", &format!("v{seed}")).await?;
    }
    Ok(())
}

/// An index and its children, by tag and by digest.
async fn multi_arch_index(registry: Registry) -> Result<()> {
    let amd64 = Recipe::new(160).build()?;
    let arm64 = Recipe::new(161).architecture("arm64").build()?;
    for image in [&amd64, &arm64] {
        image.push(&registry, "pull/multi", &image.manifest.digest).await?;
    }
    let index = image::index(&[(&amd64.manifest, "amd64"), (&arm64.manifest, "arm64")]);
    registry.put_manifest("pull/multi", "latest", image::INDEX, &index.bytes).await?.expect(201)?;
    let answer = registry.manifest("pull/multi", "latest").await?.expect(200)?;
    assert_eq!((answer.need("content-type")?, &answer.body), (image::INDEX, &index.bytes));
    for image in [&amd64, &arm64] {
        image.check(&registry, "pull/multi", &image.manifest.digest).await?;
    }
    Ok(())
}

/// Docker's schema 2 and its lists keep their media types.
async fn docker_images_and_lists(registry: Registry) -> Result<()> {
    let image = Recipe::new(170).docker().layers(2, 1000).build()?;
    image.push(&registry, "pull/docker", "v1").await?;
    image.check(&registry, "pull/docker", "v1").await?;
    let list = image::docker_list(&[(&image.manifest, "amd64")]);
    registry.put_manifest("pull/docker", "list", image::DOCKER_LIST, &list.bytes).await?.expect(201)?;
    for (reference, media) in [("v1", image::DOCKER_MANIFEST), ("list", image::DOCKER_LIST)] {
        let answer = registry.manifest("pull/docker", reference).await?.expect(200)?;
        assert_eq!(answer.need("content-type")?, media);
    }
    Ok(())
}
