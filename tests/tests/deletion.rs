//! What is deleted goes, and nothing else: the failures that registries are known for, and the operator's commands.
//!
//! Graces are set by namespace. Where a test speaks of a lease, it is some seconds; elsewhere it is zero, so that
//! whatever is held by too little goes at once and is missed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Method;
use tests::cluster::{Cluster, Settings};
use tests::image::{self, INDEX, Recipe};
use tests::operator::{query, run};
use tests::registry::{blob_path, manifest_path, path_of};
use tests::small_disk::SmallDisk;
use tests::wait::eventually;
use tests::{content, damage, digest};
use tokio::time::sleep;

/// How long the collection of a few hundred things may take.
const COLLECTION: Duration = Duration::from_mins(1);
/// How long a node may take until it answers.
const NOTICE: Duration = Duration::from_secs(30);

/// A cluster without a grace for readers: this registry's readers have ended when their bytes are to go.
async fn start(nodes: usize) -> Result<Cluster> {
    let keys = vec![("garbage.reader_grace_seconds".to_owned(), "0".to_owned())];
    Cluster::start_with(nodes, Settings { keys, ..Settings::default() }).await
}

/// Sets fields of a namespace's policy.
async fn set(cluster: &Cluster, prefix: &str, fields: &[&str]) -> Result<()> {
    let words = [&["namespace", "set", prefix], fields].concat();
    run(cluster.node(0).data(), &words).await.map(drop)
}

/// Everything that nothing holds goes at once, everywhere.
async fn set_no_grace(cluster: &Cluster) -> Result<()> {
    set(cluster, "/", &["--grace", "0s", "--restore", "0s", "--untagged", "collect=0s"]).await
}

/// Collects what is due.
async fn collect(cluster: &Cluster) -> Result<()> {
    run(cluster.node(0).data(), &["gc", "run", "--now", "--wait"]).await.map(drop)
}

/// All shard files of the nodes.
fn shard_files(cluster: &Cluster) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for node in cluster.nodes() {
        files.extend(damage::shard_files(node.data())?);
    }
    Ok(files)
}

/// Waits until no shard file is left but these. Asking for a blob instead would keep it: each answer is a lease.
async fn wait_swept(cluster: &Cluster, left: &BTreeSet<PathBuf>) -> Result<()> {
    eventually("the shards are unlinked", COLLECTION, async || {
        let files = shard_files(cluster)?;
        ensure!(files.is_subset(left), "{} files more than {}", files.difference(left).count(), left.len());
        Ok(Some(()))
    })
    .await
}

/// A client was told that a layer exists; the image that used it is deleted and collected; the client's manifest is
/// taken. Without a manifest the layer goes in the end, and then no node says that it exists.
#[tokio::test]
async fn a_layer_in_flight_survives_and_a_collected_one_is_pushed_again() {
    let mut cluster = start(3).await.unwrap();
    set(&cluster, "/", &["--grace", "8s", "--restore", "0s"]).await.unwrap();
    let registry = cluster.registry();
    let old = Recipe::new(1).layers(1, 300_000).build().unwrap();
    old.push(&registry, "flight/app", "old").await.unwrap();
    let layer = &old.blobs[1];

    // The other client's push: the layer is there already, its configuration is not.
    registry.head(&blob_path("flight/app", &layer.digest)).await.unwrap().expect(200).unwrap();
    registry.delete(&manifest_path("flight/app", &old.manifest.digest)).await.unwrap().expect(202).unwrap();
    let config = image::Blob::new(image::CONFIG, Bytes::from_static(br#"{"architecture":"arm64","os":"linux"}"#));
    collect(&cluster).await.unwrap();
    sleep(Duration::from_secs(4)).await;
    registry.push_blob("flight/app", &config.bytes).await.unwrap();
    collect(&cluster).await.unwrap();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": image::MANIFEST, "config": config.descriptor(), "layers": [layer.descriptor()],
    });
    let manifest = image::Blob::new(image::MANIFEST, manifest.to_string().into());
    let answer = registry.put_manifest("flight/app", "new", &manifest.media, &manifest.bytes).await.unwrap();
    answer.expect(201).unwrap();
    sleep(Duration::from_secs(12)).await;
    collect(&cluster).await.unwrap();
    for node in cluster.nodes() {
        assert!(node.registry().blob("flight/app", &layer.digest).await.unwrap() == layer.bytes);
    }

    // Nothing uses it any more, nobody asks: it goes, and no stale answer stands in the way of the next push.
    registry.delete(&manifest_path("flight/app", &manifest.digest)).await.unwrap().expect(202).unwrap();
    wait_swept(&cluster, &BTreeSet::new()).await.unwrap();
    for node in cluster.nodes() {
        node.registry().head(&blob_path("flight/app", &layer.digest)).await.unwrap().expect(404).unwrap();
    }
    let mount = format!("/v2/flight/other/blobs/uploads/?mount={}&from=flight/app", layer.digest);
    registry.upload(Method::POST, &mount, Bytes::new()).await.unwrap().expect(202).unwrap();
    old.push(&registry, "flight/app", "again").await.unwrap();
    for node in cluster.nodes() {
        old.check(&node.registry(), "flight/app", "again").await.unwrap();
    }
    cluster.check_sound().unwrap();
}

/// Untagged manifests are collected at once, but not the children of an index nor the referrers of what exists.
#[tokio::test]
async fn children_and_referrers_live_and_die_with_what_holds_them() {
    let mut cluster = start(3).await.unwrap();
    set_no_grace(&cluster).await.unwrap();
    let registry = cluster.registry();
    let (amd, arm) = (Recipe::new(10).build().unwrap(), Recipe::new(11).architecture("arm64").build().unwrap());
    // A child comes before its index. As long as clients are told that it exists, it waits.
    set(&cluster, "family", &["--grace", "8s"]).await.unwrap();
    amd.push(&registry, "family/app", &amd.manifest.digest).await.unwrap();
    for _ in 0..3 {
        sleep(Duration::from_secs(5)).await;
        registry.head(&manifest_path("family/app", &amd.manifest.digest)).await.unwrap().expect(200).unwrap();
    }
    set(&cluster, "family", &["--grace", "1h"]).await.unwrap();
    arm.push(&registry, "family/app", &arm.manifest.digest).await.unwrap();
    amd.push(&registry, "family/app", &amd.manifest.digest).await.unwrap();
    let index = image::index(&[(&amd.manifest, "amd64"), (&arm.manifest, "arm64")]);
    registry.put_manifest("family/app", "v1", INDEX, &index.bytes).await.unwrap().expect(201).unwrap();
    let signature = image::artifact(12, "application/vnd.example.signature", Some(&index));
    signature.push(&registry, "family/app", &signature.manifest.digest).await.unwrap();

    set(&cluster, "family", &["--grace", "0s"]).await.unwrap();
    collect(&cluster).await.unwrap();
    let all = [&index.digest, &amd.manifest.digest, &arm.manifest.digest, &signature.manifest.digest];
    for digest in all {
        registry.head(&manifest_path("family/app", digest)).await.unwrap().expect(200).unwrap();
    }
    amd.check(&registry, "family/app", &amd.manifest.digest).await.unwrap();

    registry.delete(&manifest_path("family/app", "v1")).await.unwrap().expect(202).unwrap();
    eventually("the family is gone", COLLECTION, async || {
        for digest in all {
            let status = registry.head(&manifest_path("family/app", digest)).await?.status;
            ensure!(status == 404, "{digest}: {status}");
        }
        Ok(Some(()))
    })
    .await
    .unwrap();
    wait_swept(&cluster, &BTreeSet::new()).await.unwrap();
    let catalog = registry.get("/v2/_catalog").await.unwrap().json().unwrap();
    assert_eq!(catalog["repositories"], serde_json::json!([]));
    cluster.check_sound().unwrap();
}

/// The disk is full; what is deleted makes room, although the catalog has to write for it, and the next push succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_emptied_by_deleting() {
    let Some(disk) = SmallDisk::mount(384 << 20).unwrap() else {
        eprintln!("skipped: only root can mount a small file system");
        return;
    };
    let keys = [("storage.reserve_percent", "20"), ("garbage.reader_grace_seconds", "0")];
    let keys = keys.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let mut cluster =
        Cluster::start_with(1, Settings { keys, data: Some(disk.path().join("data")), ..Settings::default() })
            .await
            .unwrap();
    set_no_grace(&cluster).await.unwrap();
    set(&cluster, "kept", &["--grace", "1h"]).await.unwrap();
    let registry = cluster.registry();
    let kept = content::bytes(1, 4 << 20);
    let kept_digest = registry.push_blob("kept/blob", &kept).await.unwrap();
    set(&cluster, "full", &["--grace", "1h"]).await.unwrap();
    let fill = async |round: u64| {
        let mut stored = Vec::new();
        for number in 0..100 {
            let bytes = content::bytes(round * 1000 + number, 8 << 20);
            let answer = registry.upload(Method::POST, "/v2/full/blob/blobs/uploads/", Bytes::new()).await.unwrap();
            if answer.status != 202 {
                assert_eq!(answer.status, 507, "{}", answer.text());
                return stored;
            }
            let location = path_of(answer.need("location").unwrap());
            let digest = digest::sha256(&bytes);
            if registry.finish(&location, &digest, bytes).await.unwrap().status == 201 {
                stored.push(digest);
            }
        }
        panic!("the disk never fills");
    };
    let first = fill(1).await;
    assert!(first.len() > 10, "{} blobs", first.len());
    set(&cluster, "full", &["--grace", "0s"]).await.unwrap();
    for digest in &first {
        registry.delete(&blob_path("full/blob", digest)).await.unwrap().expect(202).unwrap();
    }
    collect(&cluster).await.unwrap();
    eventually("there is room again", COLLECTION, async || {
        let answer = registry.upload(Method::POST, "/v2/full/blob/blobs/uploads/", Bytes::new()).await?;
        ensure!(answer.status == 202, "{}: {}", answer.status, answer.text());
        Ok(Some(()))
    })
    .await
    .unwrap();
    set(&cluster, "full", &["--grace", "1h"]).await.unwrap();
    let second = fill(2).await;
    assert!(second.len() + 2 >= first.len(), "{} blobs, {} at first", second.len(), first.len());
    assert!(registry.blob("kept/blob", &kept_digest).await.unwrap() == kept);
    cluster.node_mut(0).kill().unwrap();
    cluster.node_mut(0).restart().await.unwrap();
    assert!(registry.blob("kept/blob", &kept_digest).await.unwrap() == kept);
    cluster.check_sound().unwrap();
}

/// Every node is killed in the middle of a sweep; what was deleted goes to its last file, what was not is all there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_the_middle_of_a_sweep_changes_nothing() {
    let mut cluster = start(3).await.unwrap();
    let registry = cluster.registry();
    let kept = Recipe::new(20).layers(3, 200_000).build().unwrap();
    kept.push(&registry, "sweep/kept", "latest").await.unwrap();
    let left = shard_files(&cluster).unwrap();
    let mut deleted = Vec::new();
    for number in 0..120 {
        deleted.push(registry.push_blob("sweep/deleted", &content::bytes(2000 + number, 100_000)).await.unwrap());
    }
    let full = shard_files(&cluster).unwrap().len();
    set_no_grace(&cluster).await.unwrap();
    for digest in &deleted {
        registry.delete(&blob_path("sweep/deleted", digest)).await.unwrap().expect(202).unwrap();
    }
    eventually("the sweep has begun", COLLECTION, async || {
        let files = shard_files(&cluster)?.len();
        ensure!(files < full, "{files} of {full} files");
        Ok(Some(()))
    })
    .await
    .unwrap();
    cluster.kill_all().unwrap();
    cluster.restart_all().await.unwrap();
    wait_swept(&cluster, &left).await.unwrap();
    assert_eq!(shard_files(&cluster).unwrap(), left, "what was not deleted is there");
    for node in cluster.nodes() {
        node.wait_led(NOTICE).await.unwrap();
        kept.check(&node.registry(), "sweep/kept", "latest").await.unwrap();
    }
    cluster.check_sound().unwrap();
}

/// Deletes switched off, immutable tags, quotas: refused in the words of the specification, with what to do.
#[tokio::test]
async fn a_policy_refuses_with_what_is_used_and_what_is_allowed() {
    let mut cluster = start(3).await.unwrap();
    set(&cluster, "team", &["--immutable", "v*", "--quota-tags", "3"]).await.unwrap();
    set(&cluster, "team/frozen", &["--deletes", "off"]).await.unwrap();
    set(&cluster, "small", &["--quota-bytes", "100KiB"]).await.unwrap();
    let registry = cluster.registry();
    let (one, two) = (Recipe::new(30).build().unwrap(), Recipe::new(31).build().unwrap());
    one.push(&registry, "team/frozen", "v1").await.unwrap();
    // The same again is no change; another one is.
    one.push(&registry, "team/frozen", "v1").await.unwrap();
    two.push(&registry, "team/frozen", "main").await.unwrap();
    let put = async |tag: &str| {
        registry.put_manifest("team/frozen", tag, &two.manifest.media, &two.manifest.bytes).await.unwrap()
    };
    let refused = put("v1").await.expect_error(403, "DENIED").unwrap();
    assert!(refused.text().contains("v*") && refused.text().contains("team"), "{}", refused.text());
    let refused = registry.delete(&manifest_path("team/frozen", "main")).await.unwrap();
    refused.expect_error(405, "UNSUPPORTED").unwrap();
    put("third").await.expect(201).unwrap();
    let refused = put("fourth").await.expect_error(403, "DENIED").unwrap();
    assert!(refused.text().contains('3') && refused.text().contains("tags"), "{}", refused.text());

    let blob = content::bytes(32, 60_000);
    registry.push_blob("small/one", &blob).await.unwrap();
    // The same bytes below the same namespace count once.
    registry.push_blob("small/two", &blob).await.unwrap();
    let more = content::bytes(33, 60_000);
    let location = registry.start_upload("small/two").await.unwrap();
    let refused = registry.finish(&location, &digest::sha256(&more), more.clone()).await.unwrap();
    let refused = refused.expect_error(403, "DENIED").unwrap();
    assert!(refused.text().contains("small"), "{}", refused.text());
    let usage = query(cluster.node(1).data(), &["usage", "small"]).await.unwrap();
    assert!(usage.to_string().contains("60000") && usage.to_string().contains("102400"), "{usage}");
    cluster.check_sound().unwrap();
}

/// A tag and a manifest that were deleted come back, with a history that tells of it.
#[tokio::test]
async fn what_was_deleted_is_restored() {
    let mut cluster = start(3).await.unwrap();
    let registry = cluster.registry();
    let (one, two) = (Recipe::new(40).build().unwrap(), Recipe::new(41).build().unwrap());
    one.push(&registry, "undo/app", "latest").await.unwrap();
    two.push(&registry, "undo/app", "latest").await.unwrap();
    registry.delete(&manifest_path("undo/app", &two.manifest.digest)).await.unwrap().expect(202).unwrap();
    registry.manifest("undo/app", "latest").await.unwrap().expect(404).unwrap();
    collect(&cluster).await.unwrap();
    let data = cluster.node(1).data();
    run(data, &["undelete", "undo/app:latest"]).await.unwrap();
    for node in cluster.nodes() {
        two.check(&node.registry(), "undo/app", "latest").await.unwrap();
    }
    let history = query(data, &["history", "undo/app:latest"]).await.unwrap().to_string();
    assert!(history.contains(&one.manifest.digest) && history.contains(&two.manifest.digest), "{history}");
    assert!(history.contains("operator"), "who restored it: {history}");
    cluster.check_sound().unwrap();
}

/// Retention keeps what its rules say; the preview has said so before.
#[tokio::test]
async fn retention_deletes_what_its_preview_names() {
    let mut cluster = start(1).await.unwrap();
    let registry = cluster.registry();
    for number in 0..8 {
        let image = Recipe::new(50 + number).build().unwrap();
        image.push(&registry, "ci/app", &format!("build-{number}")).await.unwrap();
    }
    Recipe::new(60).build().unwrap().push(&registry, "ci/app", "release").await.unwrap();
    set(&cluster, "ci", &["--retention", "tags=build-*,keep-last=3"]).await.unwrap();
    let data = cluster.node(0).data();
    let preview = query(data, &["retention", "preview", "ci"]).await.unwrap().to_string();
    for number in 0..8 {
        assert_eq!(preview.contains(&format!("build-{number}")), number < 5, "{preview}");
    }
    run(data, &["retention", "run", "ci", "--wait"]).await.unwrap();
    assert_eq!(registry.tags("ci/app").await.unwrap(), ["build-5", "build-6", "build-7", "release"]);
    cluster.check_sound().unwrap();
}
