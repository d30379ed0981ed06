//! OCI distribution-spec 1.1, "Content Management": deleting tags, manifests and blobs.

use std::time::Duration;

use anyhow::Result;
use tests::image::{self, Recipe};
use tests::registry::{Registry, blob_path, manifest_path, texts};
use tests::{behaviours, content, digest};
use tokio::time::{Instant, sleep};

/// Bytes by digest are served from what is local: a node may do so until it has heard of the deletion, which takes a
/// heartbeat or two. Whether something exists, it answers truly at once.
const HEARD: Duration = Duration::from_secs(5);
/// Requests go to the nodes in turn: as many of them reach all.
const NODES_MAX: usize = 3;
const POLL: Duration = Duration::from_millis(25);

/// Demands that a deleted thing is gone: a HEAD says so at once, a GET as soon as every node has heard of it.
async fn gone(registry: &Registry, path: &str, code: &str) -> Result<()> {
    registry.head(path).await?.expect(404)?;
    let end = Instant::now() + HEARD;
    loop {
        let mut last = Ok(());
        for _ in 0..NODES_MAX {
            last = last.and(registry.get(path).await?.expect_error(404, code).map(drop));
        }
        if last.is_ok() || Instant::now() > end {
            return last;
        }
        sleep(POLL).await;
    }
}

behaviours!(
    deleting_a_tag_leaves_the_manifest,
    deleting_a_manifest_takes_its_tags,
    deleting_what_is_not_there_is_404,
    deleting_a_blob,
    a_blob_in_use_is_not_deleted,
    a_deleted_blob_can_be_pushed_again,
    a_child_of_an_index_can_be_deleted,
    a_repository_without_content_leaves_the_catalog,
    a_tag_moves_at_once,
);

/// "Deleting tags": MUST be 202; the manifest stays.
async fn deleting_a_tag_leaves_the_manifest(registry: Registry) -> Result<()> {
    let image = Recipe::new(400).build()?;
    image.push(&registry, "delete/tag", "one").await?;
    image.push(&registry, "delete/tag", "two").await?;
    registry.delete(&manifest_path("delete/tag", "one")).await?.expect(202)?;
    registry.manifest("delete/tag", "one").await?.expect_error(404, "MANIFEST_UNKNOWN")?;
    image.check(&registry, "delete/tag", "two").await?;
    image.check(&registry, "delete/tag", &image.manifest.digest).await?;
    assert_eq!(registry.tags("delete/tag").await?, ["two"]);
    Ok(())
}

/// "Deleting Manifests": MUST be 202; tags that pointed at it go with it.
async fn deleting_a_manifest_takes_its_tags(registry: Registry) -> Result<()> {
    let (image, other) = (Recipe::new(401).build()?, Recipe::new(402).build()?);
    for tag in ["one", "two"] {
        image.push(&registry, "delete/manifest", tag).await?;
    }
    other.push(&registry, "delete/manifest", "other").await?;
    registry.delete(&manifest_path("delete/manifest", &image.manifest.digest)).await?.expect(202)?;
    for tag in ["one", "two"] {
        registry.manifest("delete/manifest", tag).await?.expect_error(404, "MANIFEST_UNKNOWN")?;
    }
    gone(&registry, &manifest_path("delete/manifest", &image.manifest.digest), "MANIFEST_UNKNOWN").await?;
    assert_eq!(registry.tags("delete/manifest").await?, ["other"]);
    other.check(&registry, "delete/manifest", "other").await
}

/// "Deleting Manifests", "Deleting Blobs": what is not found MUST be 404.
async fn deleting_what_is_not_there_is_404(registry: Registry) -> Result<()> {
    let digest = digest::sha256(b"nothing");
    Recipe::new(403).build()?.push(&registry, "delete/nothing", "v1").await?;
    registry.delete(&manifest_path("delete/nothing", "v2")).await?.expect(404)?;
    registry.delete(&manifest_path("delete/nothing", &digest)).await?.expect(404)?;
    registry.delete(&blob_path("delete/nothing", &digest)).await?.expect(404)?;
    registry.delete(&blob_path("delete/nobody", &digest)).await?.expect(404)?;
    Ok(())
}

/// "Deleting Blobs": MUST be 202; the blob is then unknown in this repository and stays in others.
async fn deleting_a_blob(registry: Registry) -> Result<()> {
    let bytes = content::bytes(404, 200_000);
    let digest = registry.push_blob("delete/blob", &bytes).await?;
    registry.push_blob("delete/blob-elsewhere", &bytes).await?;
    registry.delete(&blob_path("delete/blob", &digest)).await?.expect(202)?;
    gone(&registry, &blob_path("delete/blob", &digest), "BLOB_UNKNOWN").await?;
    assert_eq!(registry.blob("delete/blob-elsewhere", &digest).await?, bytes);
    Ok(())
}

/// A blob that a manifest of the repository uses stays: 405, naming the manifest.
async fn a_blob_in_use_is_not_deleted(registry: Registry) -> Result<()> {
    let image = Recipe::new(405).build()?;
    image.push(&registry, "delete/used", "v1").await?;
    for blob in &image.blobs {
        let answer =
            registry.delete(&blob_path("delete/used", &blob.digest)).await?.expect_error(405, "UNSUPPORTED")?;
        assert!(answer.text().contains(&image.manifest.digest), "the manifest is named: {}", answer.text());
    }
    image.check(&registry, "delete/used", "v1").await?;
    registry.delete(&manifest_path("delete/used", &image.manifest.digest)).await?.expect(202)?;
    for blob in &image.blobs {
        registry.delete(&blob_path("delete/used", &blob.digest)).await?.expect(202)?;
    }
    Ok(())
}

/// A late removal never hits a new upload of the same bytes.
async fn a_deleted_blob_can_be_pushed_again(registry: Registry) -> Result<()> {
    let bytes = content::bytes(406, 300_000);
    for _round in 0..3 {
        let digest = registry.push_blob("delete/again", &bytes).await?;
        assert_eq!(registry.blob("delete/again", &digest).await?, bytes);
        registry.delete(&blob_path("delete/again", &digest)).await?.expect(202)?;
    }
    let digest = registry.push_blob("delete/again", &bytes).await?;
    assert_eq!(registry.blob("delete/again", &digest).await?, bytes);
    Ok(())
}

/// An index becomes sparse when a child is deleted, and stays.
async fn a_child_of_an_index_can_be_deleted(registry: Registry) -> Result<()> {
    let (one, other) = (Recipe::new(407).build()?, Recipe::new(408).architecture("arm64").build()?);
    for image in [&one, &other] {
        image.push(&registry, "delete/child", &image.manifest.digest).await?;
    }
    let index = image::index(&[(&one.manifest, "amd64"), (&other.manifest, "arm64")]);
    registry.put_manifest("delete/child", "index", image::INDEX, &index.bytes).await?.expect(201)?;
    registry.delete(&manifest_path("delete/child", &one.manifest.digest)).await?.expect(202)?;
    gone(&registry, &manifest_path("delete/child", &one.manifest.digest), "MANIFEST_UNKNOWN").await?;
    assert_eq!(registry.manifest("delete/child", "index").await?.expect(200)?.body, index.bytes);
    other.check(&registry, "delete/child", &other.manifest.digest).await
}

/// A repository without content disappears from the catalog and comes back with a push.
async fn a_repository_without_content_leaves_the_catalog(registry: Registry) -> Result<()> {
    let name = "delete/gone";
    let listed = async || -> Result<bool> {
        let answer = registry.get("/v2/_catalog?n=1&last=delete/gon").await?.expect(200)?;
        Ok(texts(&answer.json()?["repositories"])?.iter().any(|found| found == name))
    };
    let image = Recipe::new(409).build()?;
    image.push(&registry, name, "v1").await?;
    assert!(listed().await?);
    registry.delete(&manifest_path(name, &image.manifest.digest)).await?.expect(202)?;
    for blob in &image.blobs {
        registry.delete(&blob_path(name, &blob.digest)).await?.expect(202)?;
    }
    assert!(!listed().await?);
    image.push(&registry, name, "v1").await?;
    assert!(listed().await?);
    Ok(())
}

/// A tag that is pushed again points at the new manifest in the very next request.
async fn a_tag_moves_at_once(registry: Registry) -> Result<()> {
    let images = [Recipe::new(410).build()?, Recipe::new(411).build()?];
    for image in &images {
        image.push(&registry, "delete/moving", &image.manifest.digest).await?;
    }
    for image in images.iter().cycle().take(20) {
        let bytes = &image.manifest.bytes;
        registry.put_manifest("delete/moving", "latest", image::MANIFEST, bytes).await?.expect(201)?;
        let answer = registry.manifest("delete/moving", "latest").await?.expect(200)?;
        assert_eq!(answer.need("docker-content-digest")?, image.manifest.digest);
    }
    Ok(())
}
