//! `regnode fsck`: what cannot be read, by the names that people know.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;
use node::admin::{DamageRequest, DamagedExtent, DamagedUse};

use super::node::data_dir;
use crate::admin_client;
use crate::arguments::Fsck;
use crate::exit::{Code, Exit};
use crate::figures::count;

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
    if fsck.ask.json {
        println!("{}", serde_json::to_string_pretty(&damaged)?);
    } else {
        print!("{}", text(&damaged));
    }
    if damaged.is_empty() { Ok(()) } else { Err(Exit::silent(Code::NeedsAttention).into()) }
}

/// A damaged blob, all its extents together.
#[derive(Default)]
struct Blob<'a> {
    extents: u64,
    causes: BTreeSet<&'a str>,
    uses: BTreeSet<&'a DamagedUse>,
    more: bool,
}

fn text(damaged: &[DamagedExtent]) -> String {
    if damaged.is_empty() {
        return "everything can be read, as far as is known; regnode scrub start reads it all again\n".to_owned();
    }
    let mut blobs: BTreeMap<&str, Blob<'_>> = BTreeMap::new();
    for extent in damaged {
        let blob = blobs.entry(extent.digest.as_deref().unwrap_or("an upload in progress")).or_default();
        blob.extents += 1;
        blob.causes.extend(extent.causes.iter().map(String::as_str));
        blob.uses.extend(&extent.uses);
        blob.more |= extent.more;
    }
    let mut text = format!("{} cannot be read\n", count(blobs.len() as u64, "blob", "blobs"));
    for (digest, blob) in &blobs {
        let causes: Vec<&str> = blob.causes.iter().copied().collect();
        line(
            &mut text,
            format_args!("\n{digest}: {} lost ({})", count(blob.extents, "extent", "extents"), causes.join(", ")),
        );
        for used in &blob.uses {
            line(&mut text, format_args!("  {}", name(used)));
        }
        if blob.uses.is_empty() {
            line(&mut text, format_args!("  nothing uses it"));
        }
        if blob.more {
            line(&mut text, format_args!("  and more"));
        }
    }
    text.push_str(
        "\nBring back nodes and disks that are only away: what they hold counts again. What is lost for good is healed by \
         pushing the same content again, or deleted like anything else.\n",
    );
    text
}

fn name(used: &DamagedUse) -> String {
    let mut text = used.repository.clone();
    if used.tags.is_empty() {
        match &used.manifest {
            Some(manifest) => text = format!("{text}@{manifest}, without a tag"),
            None => text.push_str(", not in any manifest"),
        }
    } else {
        text = format!("{text}: tags {}", used.tags.join(", "));
        if let Some(manifest) = &used.manifest {
            text = format!("{text} (manifest {manifest})");
        }
    }
    if used.more {
        text.push_str(", and more tags");
    }
    text
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_of_a_blob_are_named_together() {
        let used = DamagedUse {
            repository: "acme/app".to_owned(),
            manifest: Some("sha256:aa".to_owned()),
            tags: vec!["1.2".to_owned(), "latest".to_owned()],
            indexes: Vec::new(),
            more: false,
        };
        let extent = |extent| DamagedExtent {
            object: "00".repeat(16),
            extent,
            digest: Some("sha256:bb".to_owned()),
            causes: vec!["node-away".to_owned()],
            since_milliseconds: 0,
            uses: vec![used.clone()],
            more: false,
        };
        let text = text(&[extent(0), extent(1)]);
        assert!(text.starts_with("1 blob cannot be read\n\nsha256:bb: 2 extents lost (node-away)\n"), "{text}");
        assert_eq!(text.matches("acme/app: tags 1.2, latest (manifest sha256:aa)").count(), 1, "{text}");
        assert!(super::text(&[]).starts_with("everything can be read"));
    }
}
