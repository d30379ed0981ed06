//! OCI distribution-spec 1.1, "Content Discovery": tags and referrers, with paging and filters; and `_catalog`.

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::json;
use tests::image::{self, Image, Recipe};
use tests::registry::{Registry, texts};
use tests::{behaviours, digest};

behaviours!(
    tags_are_listed_in_order,
    tags_are_paged,
    tags_of_a_repository_without_tags,
    bad_paging_is_refused,
    referrers_of_an_unknown_digest_are_an_empty_index,
    referrers_are_listed,
    referrers_are_filtered_by_type,
    referrers_are_paged,
    a_deleted_referrer_is_listed_no_more,
    fallback_tags_are_folded_in,
    the_catalog_lists_repositories,
);

/// Pushes one image under each of the tags.
async fn tag_all(registry: &Registry, repository: &str, seed: u64, tags: &[&str]) -> Result<Image> {
    let image = Recipe::new(seed).build()?;
    image.push(registry, repository, tags.first().context("a tag")?).await?;
    for tag in tags {
        registry.put_manifest(repository, tag, image::MANIFEST, &image.manifest.bytes).await?.expect(201)?;
    }
    Ok(image)
}

/// Follows the `next` links and returns the pages' lists under a key.
async fn pages(registry: &Registry, path: &str, key: &str) -> Result<Vec<Vec<String>>> {
    let (mut pages, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let answer = registry.get(&path).await?.expect(200)?;
        pages.push(texts(&answer.json()?[key])?);
        next = answer.next_page();
        assert!(pages.len() < 1000, "paging does not end");
    }
    Ok(pages)
}

/// "Listing Tags": 200 with name and tags; the tags MUST be in lexical order.
async fn tags_are_listed_in_order(registry: Registry) -> Result<()> {
    tag_all(&registry, "list/order", 300, &["b", "v10", "a", "v2", "Z", "_x", "1.0"]).await?;
    let answer = registry.get("/v2/list/order/tags/list").await?.expect(200)?;
    assert_eq!(answer.json()?["name"], "list/order");
    assert_eq!(registry.tags("list/order").await?, ["1.0", "Z", "_x", "a", "b", "v10", "v2"]);
    assert!(answer.next_page().is_none());
    Ok(())
}

/// "Listing Tags": `n` bounds the page, `last` continues it; a Link leads on while there is more; `n=0` MUST be empty.
async fn tags_are_paged(registry: Registry) -> Result<()> {
    let tags: Vec<String> = (0..11).map(|number| format!("t{number:02}")).collect();
    let names: Vec<&str> = tags.iter().map(String::as_str).collect();
    tag_all(&registry, "list/paged", 301, &names).await?;
    let path = "/v2/list/paged/tags/list";
    let found = pages(&registry, &format!("{path}?n=4"), "tags").await?;
    assert_eq!(found.iter().map(Vec::len).filter(|length| *length > 0).collect::<Vec<_>>(), [4, 4, 3]);
    assert_eq!(found.concat(), tags);
    assert_eq!(pages(&registry, &format!("{path}?n=11"), "tags").await?.concat(), tags);
    let answer = registry.get(&format!("{path}?n=3&last=t04")).await?.expect(200)?;
    assert_eq!(texts(&answer.json()?["tags"])?, ["t05", "t06", "t07"]);
    // A `last` that is no tag continues behind where it would stand.
    let answer = registry.get(&format!("{path}?n=2&last=t045")).await?.expect(200)?;
    assert_eq!(texts(&answer.json()?["tags"])?, ["t05", "t06"]);
    let answer = registry.get(&format!("{path}?last=t10")).await?.expect(200)?;
    assert!(texts(&answer.json()?["tags"])?.is_empty());
    let answer = registry.get(&format!("{path}?n=0")).await?.expect(200)?;
    assert!(texts(&answer.json()?["tags"])?.is_empty());
    Ok(())
}

/// A repository whose manifests have no tags has an empty list, not a null one.
async fn tags_of_a_repository_without_tags(registry: Registry) -> Result<()> {
    let image = Recipe::new(302).build()?;
    image.push(&registry, "list/untagged", &image.manifest.digest).await?;
    assert!(registry.tags("list/untagged").await?.is_empty());
    Ok(())
}

/// What is no number is refused.
async fn bad_paging_is_refused(registry: Registry) -> Result<()> {
    tag_all(&registry, "list/bad", 303, &["v1"]).await?;
    for bad in ["n=-1", "n=x", "n=1.5"] {
        let answer = registry.get(&format!("/v2/list/bad/tags/list?{bad}")).await?;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text());
        let answer = registry.get(&format!("/v2/_catalog?{bad}")).await?;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text());
    }
    registry.get("/v2/_catalog?n=100000000").await?.expect_error(400, "PAGINATION_NUMBER_INVALID")?;
    Ok(())
}

/// "Listing Referrers": MUST be 200 with an index, also when nothing refers; 400 for what is no digest.
async fn referrers_of_an_unknown_digest_are_an_empty_index(registry: Registry) -> Result<()> {
    for repository in ["list/referrers-none", "list/nobody"] {
        let path = format!("/v2/{repository}/referrers/{}", digest::sha256(b"nothing"));
        let answer = registry.get(&path).await?.expect(200)?;
        assert_eq!(answer.need("content-type")?, image::INDEX);
        let index = answer.json()?;
        assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(image::INDEX)));
        assert_eq!(index["manifests"], json!([]));
    }
    registry.get("/v2/list/referrers-none/referrers/sha256:xyz").await?.expect(400)?;
    Ok(())
}

/// "Listing Referrers": descriptors carry mediaType, digest, size, the artifactType, and the manifest's annotations.
async fn referrers_are_listed(registry: Registry) -> Result<()> {
    let image = Recipe::new(304).build()?;
    image.push(&registry, "list/referrers", "v1").await?;
    let path = format!("/v2/list/referrers/referrers/{}", image.manifest.digest);
    let artifact = image::artifact(304, "application/vnd.example.sbom", Some(&image.manifest));
    artifact.push(&registry, "list/referrers", &artifact.manifest.digest).await?;
    // An image with a subject and no artifactType has its configuration's media type as artifactType.
    let mut signed: serde_json::Value = serde_json::from_slice(&image.manifest.bytes)?;
    signed["subject"] = image.manifest.descriptor();
    let signed = Bytes::from(signed.to_string());
    let digest = digest::sha256(&signed);
    registry.put_manifest("list/referrers", &digest, image::MANIFEST, &signed).await?.expect(201)?;

    let index = registry.get(&path).await?.expect(200)?.json()?;
    let manifests = index["manifests"].as_array().context("manifests")?;
    assert_eq!(manifests.len(), 2, "{index}");
    let of = |digest: &str| manifests.iter().find(|entry| entry["digest"] == digest).cloned().unwrap_or_default();
    let entry = of(&artifact.manifest.digest);
    assert_eq!(entry["mediaType"], image::MANIFEST);
    assert_eq!(entry["size"], artifact.manifest.bytes.len());
    assert_eq!(entry["artifactType"], "application/vnd.example.sbom");
    assert_eq!(entry["annotations"]["org.example.seed"], "304");
    assert_eq!(of(&digest)["artifactType"], image::CONFIG);
    Ok(())
}

/// "Listing Referrers": `artifactType` filters; the answer MUST then say OCI-Filters-Applied.
async fn referrers_are_filtered_by_type(registry: Registry) -> Result<()> {
    let image = Recipe::new(305).build()?;
    image.push(&registry, "list/filter", "v1").await?;
    for (seed, kind) in [(1, "application/vnd.a"), (2, "application/vnd.b"), (3, "application/vnd.a")] {
        let artifact = image::artifact(seed, kind, Some(&image.manifest));
        artifact.push(&registry, "list/filter", &artifact.manifest.digest).await?;
    }
    let path = format!("/v2/list/filter/referrers/{}", image.manifest.digest);
    for (kind, count) in [("application/vnd.a", 2), ("application/vnd.b", 1), ("application/vnd.c", 0)] {
        let query = kind.replace('/', "%2F");
        let answer = registry.get(&format!("{path}?artifactType={query}")).await?.expect(200)?;
        assert_eq!(answer.need("oci-filters-applied")?, "artifactType");
        assert_eq!(answer.json()?["manifests"].as_array().map(Vec::len), Some(count), "{kind}");
    }
    assert!(registry.get(&path).await?.expect(200)?.header("oci-filters-applied").is_none());
    Ok(())
}

/// "Listing Referrers": a long list comes in pages, by Link; together they are complete and without repetition.
async fn referrers_are_paged(registry: Registry) -> Result<()> {
    let image = Recipe::new(306).build()?;
    image.push(&registry, "list/many", "v1").await?;
    let mut expected = Vec::new();
    for seed in 0..23 {
        let artifact = image::artifact(1000 + seed, "application/vnd.example", Some(&image.manifest));
        artifact.push(&registry, "list/many", &artifact.manifest.digest).await?;
        expected.push(artifact.manifest.digest);
    }
    let mut next = Some(format!("/v2/list/many/referrers/{}?n=10", image.manifest.digest));
    let mut found = Vec::new();
    while let Some(path) = next {
        let answer = registry.get(&path).await?.expect(200)?;
        let index = answer.json()?;
        let page = index["manifests"].as_array().context("manifests")?;
        found.extend(page.iter().filter_map(|entry| entry["digest"].as_str().map(str::to_owned)));
        next = answer.next_page();
        assert!(found.len() <= expected.len(), "paging does not end");
    }
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    Ok(())
}

/// "Listing Referrers" after "Deleting Manifests".
async fn a_deleted_referrer_is_listed_no_more(registry: Registry) -> Result<()> {
    let image = Recipe::new(307).build()?;
    image.push(&registry, "list/deleted", "v1").await?;
    let artifact = image::artifact(307, "application/vnd.example", Some(&image.manifest));
    artifact.push(&registry, "list/deleted", &artifact.manifest.digest).await?;
    let path = format!("/v2/list/deleted/referrers/{}", image.manifest.digest);
    assert_eq!(registry.get(&path).await?.expect(200)?.json()?["manifests"].as_array().map(Vec::len), Some(1));
    registry.delete(&format!("/v2/list/deleted/manifests/{}", artifact.manifest.digest)).await?.expect(202)?;
    assert_eq!(registry.get(&path).await?.expect(200)?.json()?["manifests"].as_array().map(Vec::len), Some(0));
    Ok(())
}

/// "Enabling the Referrers API": the lists that older clients pushed under `sha256-…` tags are part of the answer.
async fn fallback_tags_are_folded_in(registry: Registry) -> Result<()> {
    let image = Recipe::new(308).build()?;
    image.push(&registry, "list/fallback", "v1").await?;
    let artifact = image::artifact(308, "application/vnd.example.old", None);
    artifact.push(&registry, "list/fallback", &artifact.manifest.digest).await?;
    let mut descriptor = artifact.manifest.descriptor();
    descriptor["artifactType"] = json!("application/vnd.example.old");
    let index = json!({ "schemaVersion": 2, "mediaType": image::INDEX, "manifests": [descriptor] });
    let tag = image.manifest.digest.replace(':', "-");
    registry.put_manifest("list/fallback", &tag, image::INDEX, &index.to_string().into()).await?.expect(201)?;
    let path = format!("/v2/list/fallback/referrers/{}", image.manifest.digest);
    let found = registry.get(&path).await?.expect(200)?.json()?;
    assert_eq!(found["manifests"][0]["digest"], json!(artifact.manifest.digest), "{found}");
    Ok(())
}

/// `_catalog`: all repositories with content, in order, by pages.
async fn the_catalog_lists_repositories(registry: Registry) -> Result<()> {
    let names: Vec<String> = (0..5).map(|number| format!("list/catalog/r{number}")).collect();
    for name in &names {
        tag_all(&registry, name, 309, &["v1"]).await?;
    }
    // Other tests add repositories meanwhile: only ours are looked at, whose order is fixed.
    for path in ["/v2/_catalog", "/v2/_catalog?n=2"] {
        let mut found = pages(&registry, path, "repositories").await?.concat();
        let sorted = found.is_sorted();
        found.retain(|name| name.starts_with("list/catalog/"));
        assert!(sorted, "{path}");
        assert_eq!(found, names, "{path}");
    }
    let answer = registry.get("/v2/_catalog?n=2&last=list/catalog/r2").await?.expect(200)?;
    assert_eq!(texts(&answer.json()?["repositories"])?[..2], names[3..5]);
    Ok(())
}
