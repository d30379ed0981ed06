//! `regnode fsck`: what cannot be read, by the names that people know. Every list is read to its end, so that each
//! repository and tag that is touched is named.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use node::admin::{DamageRequest, DamagedExtent, DamagedUse, NameKind, NamesRequest, UsesRequest};
use serde::Serialize;

use super::node::data_dir;
use crate::admin_client;
use crate::arguments::Fsck;
use crate::exit::{Code, Exit};
use crate::figures::count;

/// A damaged blob, all its extents together.
#[derive(Debug, Serialize)]
struct Blob {
    /// None while it is being uploaded.
    digest: Option<String>,
    /// Why, each cause once.
    causes: BTreeSet<String>,
    extents: Vec<Damaged>,
    /// What cannot be pulled because of it.
    uses: Vec<Use>,
}

/// An extent that cannot be read.
#[derive(Debug, Serialize)]
struct Damaged {
    object: String,
    extent: u32,
    since_milliseconds: u64,
}

/// A use of a blob, with all names.
#[derive(Debug, Serialize)]
struct Use {
    repository: String,
    /// Digest of the repository's manifest that needs the blob; none if the repository only links it.
    manifest: Option<String>,
    /// Tags of it, and of the indexes that list it.
    tags: Vec<String>,
    /// Digests of indexes that list it.
    indexes: Vec<String>,
}

/// Names everything that cannot be read.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn fsck(fsck: Fsck) -> Result<()> {
    let data_dir = data_dir(&fsck.ask).await?;
    let mut damaged = Vec::new();
    let mut after = None;
    loop {
        let page = admin_client::damage(&data_dir, &DamageRequest { after }).await?;
        damaged.extend(page.damaged);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut blobs = merged(damaged);
    for blob in &mut blobs {
        if let Some(digest) = &blob.digest {
            blob.uses = uses(&data_dir, digest).await?;
        }
    }
    if fsck.ask.json {
        println!("{}", serde_json::to_string_pretty(&blobs)?);
    } else {
        print!("{}", text(&blobs));
    }
    if blobs.is_empty() { Ok(()) } else { Err(Exit::silent(Code::NeedsAttention).into()) }
}

/// The blobs that the extents belong to, in order of their digests; uploads in progress last.
fn merged(damaged: Vec<DamagedExtent>) -> Vec<Blob> {
    let mut blobs: BTreeMap<(bool, String), Blob> = BTreeMap::new();
    for extent in damaged {
        let key = (extent.digest.is_none(), extent.digest.clone().unwrap_or_else(|| extent.object.clone()));
        let blob = blobs.entry(key).or_insert_with(|| Blob {
            digest: extent.digest,
            causes: BTreeSet::new(),
            extents: Vec::new(),
            uses: Vec::new(),
        });
        blob.causes.extend(extent.causes);
        let DamagedExtent { object, extent, since_milliseconds, .. } = extent;
        blob.extents.push(Damaged { object, extent, since_milliseconds });
    }
    blobs.into_values().collect()
}

/// Everything that uses a blob.
async fn uses(data_dir: &Path, digest: &str) -> Result<Vec<Use>> {
    let mut uses = Vec::new();
    let mut after = None;
    loop {
        let page = admin_client::uses(data_dir, &UsesRequest { digest: digest.to_owned(), after }).await?;
        for used in page.uses {
            uses.push(complete(data_dir, used).await?);
        }
        after = page.next;
        if after.is_none() {
            return Ok(uses);
        }
    }
}

/// A use with all names, those that did not come with it too.
async fn complete(data_dir: &Path, used: DamagedUse) -> Result<Use> {
    let DamagedUse { repository, manifest, mut tags, mut indexes, more } = used;
    if let (true, Some(first)) = (more, &manifest) {
        (tags, indexes) = (Vec::new(), Vec::new());
        let mut waiting = VecDeque::from([first.clone()]);
        let mut seen = BTreeSet::from([first.clone()]);
        while let Some(manifest) = waiting.pop_front() {
            tags.extend(names(data_dir, &repository, &manifest, NameKind::Tags).await?);
            for index in names(data_dir, &repository, &manifest, NameKind::Indexes).await? {
                if seen.insert(index.clone()) {
                    indexes.push(index.clone());
                    waiting.push_back(index);
                }
            }
        }
    }
    Ok(Use { repository, manifest, tags, indexes })
}

/// All names of one kind of a manifest itself.
async fn names(data_dir: &Path, repository: &str, manifest: &str, kind: NameKind) -> Result<Vec<String>> {
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let (repository, manifest) = (repository.to_owned(), manifest.to_owned());
        let page = admin_client::names(data_dir, &NamesRequest { repository, manifest, kind, after }).await?;
        names.extend(page.names);
        after = page.next;
        if after.is_none() {
            return Ok(names);
        }
    }
}

fn text(blobs: &[Blob]) -> String {
    if blobs.is_empty() {
        return "everything can be read, as far as is known; regnode scrub start reads it all again\n".to_owned();
    }
    let mut text = format!("{} cannot be read\n", count(blobs.len() as u64, "blob", "blobs"));
    for blob in blobs {
        let causes: Vec<&str> = blob.causes.iter().map(String::as_str).collect();
        let extents = count(blob.extents.len() as u64, "extent", "extents");
        let digest = blob.digest.as_deref().unwrap_or("an upload in progress");
        line(&mut text, format_args!("\n{digest}: {extents} lost ({})", causes.join(", ")));
        for used in &blob.uses {
            line(&mut text, format_args!("  {}", name(used)));
        }
        if blob.uses.is_empty() {
            line(&mut text, format_args!("  nothing uses it"));
        }
    }
    text.push_str(
        "\nBring back nodes and disks that are only away: what they hold counts again. What is lost for good is healed by \
         pushing the same content again, or deleted like anything else.\n",
    );
    text
}

fn name(used: &Use) -> String {
    let repository = &used.repository;
    match (&used.manifest, used.tags.as_slice()) {
        (None, _) => format!("{repository}, not in any manifest"),
        (Some(manifest), []) => format!("{repository}@{manifest}, without a tag"),
        (Some(manifest), [tag]) => format!("{repository}: tag {tag} (manifest {manifest})"),
        (Some(manifest), tags) => format!("{repository}: tags {} (manifest {manifest})", tags.join(", ")),
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(digest: Option<&str>, object: u8, extent: u32, cause: &str) -> DamagedExtent {
        DamagedExtent {
            object: hex(object),
            extent,
            digest: digest.map(str::to_owned),
            causes: vec![cause.to_owned()],
            since_milliseconds: 7,
        }
    }

    fn hex(byte: u8) -> String {
        format!("{byte:02x}").repeat(16)
    }

    #[test]
    fn extents_of_a_blob_are_named_together() {
        let mut blobs = merged(vec![
            extent(None, 3, 0, "scrub"),
            extent(Some("sha256:bb"), 1, 0, "node-away"),
            extent(Some("sha256:aa"), 2, 0, "scrub"),
            extent(Some("sha256:bb"), 1, 4, "disk-failed"),
        ]);
        let digests: Vec<_> = blobs.iter().map(|blob| blob.digest.as_deref()).collect();
        assert_eq!(digests, [Some("sha256:aa"), Some("sha256:bb"), None]);
        let used = |tags: &[&str]| Use {
            repository: "acme/app".to_owned(),
            manifest: Some("sha256:cc".to_owned()),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            indexes: Vec::new(),
        };
        blobs[1].uses = vec![used(&["1.2", "latest"]), used(&["3"]), used(&[])];
        let text = text(&blobs);
        assert!(text.starts_with("3 blobs cannot be read\n"), "{text}");
        assert!(text.contains("\nsha256:bb: 2 extents lost (disk-failed, node-away)\n"), "{text}");
        assert_eq!(text.matches("acme/app: tags 1.2, latest (manifest sha256:cc)").count(), 1, "{text}");
        assert!(text.contains("  acme/app: tag 3 (manifest sha256:cc)\n"), "{text}");
        assert!(text.contains("  acme/app@sha256:cc, without a tag\n"), "{text}");
        assert!(text.contains("\nan upload in progress: 1 extent lost (scrub)\n  nothing uses it\n"), "{text}");
        assert!(super::text(&[]).starts_with("everything can be read"));
    }
}
