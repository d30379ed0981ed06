//! What real clients rely on beyond the specification's text: headers, dialects, paths, queries. Each from a defect
//! that some registry had.

use anyhow::Result;
use bytes::Bytes;
use reqwest::Method;
use tests::image::{self, Recipe};
use tests::registry::{Registry, blob_path, manifest_path, path_of, send, with_query};
use tests::{behaviours, content, digest};

behaviours!(
    every_answer_names_the_api_version,
    no_answer_sets_a_cookie,
    ping_with_and_without_slash,
    upload_answers_have_the_headers_that_docker_parses,
    upload_locations_are_relative,
    uploads_with_and_without_slash,
    query_order_and_extra_parameters_do_not_matter,
    mirrors_add_ns_to_every_request,
    content_is_never_encoded,
    blobs_can_be_cached,
    conditional_requests_are_304,
    conditional_ranges,
    parallel_ranges_give_the_whole_blob,
    errors_have_the_form_of_the_specification,
    wrong_methods_are_405,
    manifest_without_content_type,
    expect_continue_is_answered,
    a_session_survives_a_wrong_digest_or_says_so,
    head_promises_what_get_gives,
    names_with_awkward_parts,
);

/// Every /v2/ answer, errors too, carries Docker-Distribution-API-Version.
async fn every_answer_names_the_api_version(registry: Registry) -> Result<()> {
    let digest = digest::sha256(b"nothing");
    let paths = [
        "/v2/".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/trap/x/tags/list".to_owned(),
        "/v2/trap/x/manifests/none".to_owned(),
        format!("/v2/trap/x/blobs/{digest}"),
        format!("/v2/trap/x/referrers/{digest}"),
        "/v2/UPPER/manifests/none".to_owned(),
        "/v2/no/such/thing".to_owned(),
    ];
    for path in paths {
        let answer = registry.get(&path).await?;
        assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"), "{path}: {}", answer.status);
    }
    Ok(())
}

/// A cookie would bind a client to a node.
async fn no_answer_sets_a_cookie(registry: Registry) -> Result<()> {
    let image = Recipe::new(500).build()?;
    image.push(&registry, "trap/cookie", "v1").await?;
    let upload = registry.upload(Method::POST, "/v2/trap/cookie/blobs/uploads/", Bytes::new()).await?;
    let manifest = registry.manifest("trap/cookie", "v1").await?;
    let blob = registry.get(&blob_path("trap/cookie", &image.blobs[0].digest)).await?;
    for answer in [upload, manifest, blob] {
        assert!(answer.header("set-cookie").is_none(), "{}", answer.request);
    }
    Ok(())
}

/// Some clients ask `/v2`.
async fn ping_with_and_without_slash(registry: Registry) -> Result<()> {
    let known = registry.with_token(&registry.token(&[]).await?);
    for path in ["/v2/", "/v2"] {
        known.get(path).await?.expect(200)?;
        known.head(path).await?.expect(200)?;
        // Docker sends what it knows of itself only if the ping asks for it.
        registry.get(path).await?.expect_error(401, "UNAUTHORIZED")?;
        registry.head(path).await?.expect(401)?;
    }
    Ok(())
}

/// Docker reads `Range` with `%d-%d`: plain, cumulative, `0-0` at the start, never `0--1` and never with a unit.
async fn upload_answers_have_the_headers_that_docker_parses(registry: Registry) -> Result<()> {
    let answer = registry.upload(Method::POST, "/v2/trap/range/blobs/uploads/", Bytes::new()).await?.expect(202)?;
    assert_eq!(answer.need("range")?, "0-0");
    assert_eq!(answer.need("content-length")?, "0");
    let session = answer.need("docker-upload-uuid")?.to_owned();
    let location = path_of(answer.need("location")?);
    assert!(location.contains(&session), "{location} names {session}");
    let mut location = location;
    for end in [99, 199] {
        let answer = registry.upload(Method::PATCH, &location, content::bytes(501, 100)).await?.expect(202)?;
        assert_eq!(answer.need("range")?, format!("0-{end}"));
        assert_eq!(answer.need("docker-upload-uuid")?, session);
        assert!(answer.body.is_empty());
        location = path_of(answer.need("location")?);
    }
    // An empty PATCH changes nothing.
    let answer = registry.upload(Method::PATCH, &location, Bytes::new()).await?.expect(202)?;
    assert_eq!(answer.need("range")?, "0-199");
    Ok(())
}

/// Relative locations are right behind any proxy that ends TLS.
async fn upload_locations_are_relative(registry: Registry) -> Result<()> {
    let request = registry.request(Method::POST, "/v2/trap/relative/blobs/uploads/");
    let request = request.header("X-Forwarded-Proto", "https").header("X-Forwarded-Host", "evil.example");
    let answer = send(request).await?.expect(202)?;
    assert!(answer.need("location")?.starts_with("/v2/trap/relative/blobs/uploads/"), "{:?}", answer.headers);
    Ok(())
}

/// `/blobs/uploads` and `/blobs/uploads/` are the same.
async fn uploads_with_and_without_slash(registry: Registry) -> Result<()> {
    let bytes = content::bytes(502, 1000);
    for path in ["/v2/trap/slash/blobs/uploads", "/v2/trap/slash/blobs/uploads/"] {
        let answer = registry.upload(Method::POST, path, Bytes::new()).await?.expect(202)?;
        let location = path_of(answer.need("location")?);
        registry.finish(&location, &digest::sha256(&bytes), bytes.clone()).await?.expect(201)?;
    }
    Ok(())
}

/// `digest=` stands anywhere in the query, encoded or not, among parameters that we do not know.
async fn query_order_and_extra_parameters_do_not_matter(registry: Registry) -> Result<()> {
    let bytes = content::bytes(503, 1000);
    let digest = digest::sha256(&bytes);
    let encoded = digest.replace(':', "%3A");
    let queries = [
        format!("digest={digest}"),
        format!("digest={encoded}"),
        format!("_state=abc&digest={digest}"),
        format!("digest={encoded}&x=y&z"),
    ];
    for query in queries {
        let location = registry.start_upload("trap/query").await?;
        registry.upload(Method::PUT, &with_query(&location, &query), bytes.clone()).await?.expect(201)?;
    }
    Ok(())
}

/// containerd adds `?ns=` to what it asks of a mirror.
async fn mirrors_add_ns_to_every_request(registry: Registry) -> Result<()> {
    let image = Recipe::new(504).build()?;
    image.push(&registry, "trap/ns", "v1").await?;
    let digest = &image.blobs[1].digest;
    for path in [manifest_path("trap/ns", "v1"), blob_path("trap/ns", digest), "/v2/trap/ns/tags/list".to_owned()] {
        registry.get(&format!("{path}?ns=docker.io")).await?.expect(200)?;
        registry.head(&format!("{path}?ns=docker.io")).await?.expect(200)?;
    }
    let answer = registry.upload(Method::POST, "/v2/trap/ns/blobs/uploads/?ns=docker.io", Bytes::new()).await?;
    answer.expect(202)?;
    Ok(())
}

/// The bytes are the content, whatever Accept-Encoding says.
async fn content_is_never_encoded(registry: Registry) -> Result<()> {
    let text = Bytes::from("regnode ".repeat(50_000));
    let digest = registry.push_blob("trap/encoding", &text).await?;
    let image = Recipe::new(505).build()?;
    image.push(&registry, "trap/encoding", "v1").await?;
    let expected =
        [(blob_path("trap/encoding", &digest), text), (manifest_path("trap/encoding", "v1"), image.manifest.bytes)];
    for (path, bytes) in expected {
        let request = registry.request(Method::GET, &path).header("Accept-Encoding", "gzip, br, zstd, deflate");
        let answer = send(request).await?.expect(200)?;
        assert!(answer.header("content-encoding").is_none(), "{path}");
        assert!(answer.body == bytes, "{path}");
    }
    Ok(())
}

/// A blob never changes: Cache-Control, ETag and Accept-Ranges say so.
async fn blobs_can_be_cached(registry: Registry) -> Result<()> {
    for length in [1000, 200_000] {
        let digest = registry.push_blob("trap/cache", &content::bytes(506, length)).await?;
        let path = blob_path("trap/cache", &digest);
        for answer in [registry.get(&path).await?.expect(200)?, registry.head(&path).await?.expect(200)?] {
            assert!(answer.need("cache-control")?.contains("max-age=31536000"), "{}", answer.request);
            assert_eq!(answer.need("accept-ranges")?, "bytes");
            assert_eq!(answer.need("etag")?, format!("\"{digest}\""));
        }
    }
    Ok(())
}

/// If-None-Match with the digest is 304 without a body.
async fn conditional_requests_are_304(registry: Registry) -> Result<()> {
    let image = Recipe::new(507).build()?;
    image.push(&registry, "trap/conditional", "v1").await?;
    let (manifest, blob) = (&image.manifest.digest, &image.blobs[1].digest);
    let paths = [(manifest_path("trap/conditional", "v1"), manifest), (blob_path("trap/conditional", blob), blob)];
    for (path, digest) in paths {
        for tags in [format!("\"{digest}\""), format!("\"other\", \"{digest}\""), "*".to_owned()] {
            let answer =
                send(registry.request(Method::GET, &path).header("If-None-Match", &tags)).await?.expect(304)?;
            assert!(answer.body.is_empty(), "{path} {tags}");
        }
        send(registry.request(Method::GET, &path).header("If-None-Match", "\"other\"")).await?.expect(200)?;
    }
    Ok(())
}

/// If-Range (RFC 9110, 13.1.5): the range for the same content, the whole for another.
async fn conditional_ranges(registry: Registry) -> Result<()> {
    let bytes = content::bytes(508, 100_000);
    let digest = registry.push_blob("trap/if-range", &bytes).await?;
    let ask = |condition: String| {
        let request = registry.request(Method::GET, &blob_path("trap/if-range", &digest));
        send(request.header("Range", "bytes=10-19").header("If-Range", condition))
    };
    assert_eq!(ask(format!("\"{digest}\"")).await?.expect(206)?.body, bytes[10..20]);
    assert!(ask("\"other\"".to_owned()).await?.expect(200)?.body == bytes);
    Ok(())
}

/// containerd pulls ranges in parallel.
async fn parallel_ranges_give_the_whole_blob(registry: Registry) -> Result<()> {
    let bytes = content::bytes(509, 4_000_000);
    let path = blob_path("trap/parallel", &registry.push_blob("trap/parallel", &bytes).await?);
    let step = 500_000;
    let parts = (0..bytes.len()).step_by(step).map(|begin| {
        let range = format!("bytes={begin}-{}", begin + step - 1);
        send(registry.request(Method::GET, &path).header("Range", range))
    });
    let mut whole = Vec::new();
    for part in futures_util::future::try_join_all(parts).await? {
        whole.extend_from_slice(&part.expect(206)?.body);
    }
    assert!(whole == bytes);
    Ok(())
}

/// `{"errors":[{"code","message","detail"}]}` as JSON, with the code of the matter.
async fn errors_have_the_form_of_the_specification(registry: Registry) -> Result<()> {
    let digest = digest::sha256(b"nothing");
    Recipe::new(510).build()?.push(&registry, "trap/errors", "v1").await?;
    let cases = [
        ("/v2/trap/errors/manifests/none".to_owned(), 404, "MANIFEST_UNKNOWN"),
        (blob_path("trap/errors", &digest), 404, "BLOB_UNKNOWN"),
        ("/v2/trap/nobody/tags/list".to_owned(), 404, "NAME_UNKNOWN"),
        ("/v2/trap/Upper/manifests/v1".to_owned(), 400, "NAME_INVALID"),
        ("/v2/trap/errors/blobs/sha256:short".to_owned(), 400, "DIGEST_INVALID"),
    ];
    for (path, status, code) in cases {
        let answer = registry.get(&path).await?.expect_error(status, code)?;
        assert!(answer.need("content-type")?.starts_with("application/json"), "{path}");
    }
    Ok(())
}

/// "Error Codes": UNSUPPORTED with 405 for methods that a path does not have.
async fn wrong_methods_are_405(registry: Registry) -> Result<()> {
    for (method, path) in [
        (Method::POST, "/v2/trap/method/manifests/v1"),
        (Method::PUT, "/v2/trap/method/tags/list"),
        (Method::PATCH, "/v2/trap/method/manifests/v1"),
        (Method::DELETE, "/v2/_catalog"),
    ] {
        let answer = registry.upload(method.clone(), path, Bytes::new()).await?;
        assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
    }
    Ok(())
}

/// A manifest without Content-Type: the media type in its body counts, or it is refused as invalid; never a 500.
async fn manifest_without_content_type(registry: Registry) -> Result<()> {
    let image = Recipe::new(511).build()?;
    image.push(&registry, "trap/untyped", "v1").await?;
    let path = manifest_path("trap/untyped", "v2");
    let answer = registry.upload(Method::PUT, &path, image.manifest.bytes.clone()).await?;
    match answer.status {
        201 => {
            let stored = registry.manifest("trap/untyped", "v2").await?.expect(200)?;
            assert_eq!(stored.need("content-type")?, image::MANIFEST);
        }
        status => assert_eq!(status, 400, "{}", answer.text()),
    }
    Ok(())
}

/// curl asks before it sends a large body.
async fn expect_continue_is_answered(registry: Registry) -> Result<()> {
    let bytes = content::bytes(512, 50_000);
    let digest = digest::sha256(&bytes);
    let location = registry.start_upload("trap/continue").await?;
    let address = registry.host().parse()?;
    let mut connection = tests::raw::Connection::open(address).await?;
    let target = with_query(&location, &format!("digest={digest}"));
    let head =
        format!("PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n", bytes.len());
    connection.send(&head).await?;
    assert_eq!(connection.head().await?.status, 100);
    connection.send(&bytes).await?;
    assert_eq!(connection.head().await?.status, 201);
    Ok(())
}

/// After a PUT with a wrong digest the session either goes on with the right one or is gone, clearly.
async fn a_session_survives_a_wrong_digest_or_says_so(registry: Registry) -> Result<()> {
    let bytes = content::bytes(513, 100_000);
    let location = registry.start_upload("trap/retry").await?;
    let location = registry.patch(&location, bytes.clone()).await?;
    let wrong = digest::sha256(b"wrong");
    registry.finish(&location, &wrong, Bytes::new()).await?.expect_error(400, "DIGEST_INVALID")?;
    let answer = registry.finish(&location, &digest::sha256(&bytes), Bytes::new()).await?;
    match answer.status {
        201 => assert_eq!(registry.blob("trap/retry", &digest::sha256(&bytes)).await?, bytes),
        _ => drop(answer.expect_error(404, "BLOB_UPLOAD_UNKNOWN")?),
    }
    Ok(())
}

/// HEAD and GET say the same of the same thing.
async fn head_promises_what_get_gives(registry: Registry) -> Result<()> {
    let image = Recipe::new(514).layers(2, 100_000).build()?;
    image.push(&registry, "trap/same", "v1").await?;
    let mut paths = vec![manifest_path("trap/same", "v1")];
    paths.extend(image.blobs.iter().map(|blob| blob_path("trap/same", &blob.digest)));
    for path in paths {
        let (head, get) = (registry.head(&path).await?.expect(200)?, registry.get(&path).await?.expect(200)?);
        for name in ["content-length", "content-type", "docker-content-digest", "etag"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
    Ok(())
}

/// Repository names that hold the API's own words, and names of many parts.
async fn names_with_awkward_parts(registry: Registry) -> Result<()> {
    let image = Recipe::new(515).build()?;
    let names = ["a", "blobs", "trap/manifests", "uploads/blobs/uploads", "tags/list", "a/b/c/d/e/f/g", "a.b_c__d---e"];
    for name in names {
        image.push(&registry, name, "manifests").await?;
        image.check(&registry, name, "manifests").await?;
        assert_eq!(registry.tags(name).await?, ["manifests"], "{name}");
    }
    Ok(())
}
