//! What the stories are made of: bytes that follow from the seed, pushes and pulls with an ordinary client's patience.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use raft::id::GroupId;
use rand::RngCore;
use tokio::time::sleep;

use crate::cluster::Control;
use crate::seed::Seed;
use crate::workload::Direct;
use crate::workload::content::digest;

/// Longest virtual time until nodes serve again.
pub(super) const RECOVERY: Duration = Duration::from_mins(1);
/// Tries of a push: about as long as the longest election takes.
const TRIES: usize = 8;

/// A client of a node.
pub(super) fn client(control: &Control, number: usize) -> Direct {
    Direct::new(&control.surroundings(), number)
}

/// Bytes that follow from a seed.
pub(super) fn bytes(seed: Seed, name: &str, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    seed.stream(name).fill_bytes(&mut bytes);
    Bytes::from(bytes)
}

/// Whether a group is a region's catalog.
pub(super) const fn is_catalog(group: GroupId) -> bool {
    matches!(group, GroupId::Catalog(_))
}

/// Whether a group is the directory.
pub(super) const fn is_directory(group: GroupId) -> bool {
    matches!(group, GroupId::Directory)
}

/// The node that leads a group, once there is one.
pub(super) async fn leader(control: &Control, is_meant: fn(GroupId) -> bool) -> Result<usize> {
    control.until(RECOVERY, "a leader", || control.leader(is_meant).is_some()).await?;
    control.leader(is_meant).context("the leader has just gone")
}

/// Pushes an image with the retry rules of ordinary clients: a leader may just have been lost.
pub(super) async fn push_image(
    control: &Control,
    number: usize,
    repository: &str,
    tag: &str,
    layer: &Bytes,
) -> Result<Bytes> {
    let mut tries = 0;
    loop {
        tries += 1;
        match client(control, number).push_image(repository, tag, layer).await {
            Ok(manifest) => return Ok(manifest),
            Err(error) if tries == TRIES => return Err(error),
            Err(error) => control.trace.note(&format!("a push is tried again: {error:#}")),
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Pulls an image and compares its bytes.
pub(super) async fn pull_image(
    control: &Control,
    number: usize,
    repository: &str,
    tag: &str,
    manifest: &Bytes,
    layer: &Bytes,
) -> Result<()> {
    let got = client(control, number).pull_manifest(repository, tag).await?;
    ensure!(got == *manifest, "node {number} served another manifest for {tag}");
    pull_blob(control, number, repository, layer).await
}

/// Pulls a blob and compares its bytes.
pub(super) async fn pull_blob(control: &Control, number: usize, repository: &str, content: &Bytes) -> Result<()> {
    let wanted = digest(content);
    let got = client(control, number).pull_blob(repository, &wanted).await?;
    ensure!(got == *content, "node {number} served other bytes for {wanted}");
    control.trace.note(&format!("node {number} served {wanted}"));
    Ok(())
}
