//! `regnode undelete`: what was deleted comes back.

use anyhow::Result;
use node::admin::{DeletedTag, DeletedTagsRequest, RestoreRequest, RestoredAnswer, TombstoneEntry, TombstonesRequest};
use serde::Serialize;

use super::history::{by_what, who};
use super::node::data_dir;
use super::status_text::{table, trimmed};
use crate::admin_client;
use crate::arguments::{Target, Undelete};
use crate::exit::{Code, Exit};
use crate::figures::moment;

/// Restores a tag or a manifest, or lists what can be restored.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn undelete(undelete: Undelete) -> Result<()> {
    if undelete.list {
        return list(undelete).await;
    }
    let repository = undelete.what.repository;
    let (tag, digest) = match undelete.what.target {
        Some(Target::Tag(tag)) => (Some(tag), None),
        Some(Target::Manifest(digest)) => (None, Some(digest.to_string())),
        None => {
            let message = format!(
                "say what of {repository} is to be restored: {repository}:TAG or {repository}@DIGEST; regnode undelete \
                 {repository} --list names it"
            );
            return Err(Exit::new(Code::Usage, message).into());
        }
    };
    let request = RestoreRequest { repository, tag, digest };
    let answer = admin_client::restore(&data_dir(&undelete.ask).await?, &request).await?;
    if undelete.ask.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        println!("{}", restored(&answer));
    }
    Ok(())
}

fn restored(answer: &RestoredAnswer) -> String {
    let RestoredAnswer { repository, digest, tags, .. } = answer;
    if tags.is_empty() {
        return format!("{repository}@{digest} is back, without a tag");
    }
    let tags: Vec<&str> = tags.iter().map(raft::catalog::Tag::as_str).collect();
    format!("{repository}@{digest} is back, tagged {}", tags.join(", "))
}

/// What can be restored in a repository.
#[derive(Debug, Default, Serialize)]
struct Restorable {
    tags: Vec<DeletedTag>,
    manifests: Vec<TombstoneEntry>,
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn list(undelete: Undelete) -> Result<()> {
    let data_dir = data_dir(&undelete.ask).await?;
    let mut found = Restorable::default();
    let mut request = DeletedTagsRequest { repository: undelete.what.repository.clone(), after: None };
    loop {
        let page = admin_client::deleted_tags(&data_dir, &request).await?;
        found.tags.extend(page.tags);
        request.after = page.next;
        if request.after.is_none() {
            break;
        }
    }
    let mut request = TombstonesRequest { repository: undelete.what.repository, after: None };
    loop {
        let page = admin_client::tombstones(&data_dir, &request).await?;
        found.manifests.extend(page.tombstones);
        request.after = page.next;
        if request.after.is_none() {
            break;
        }
    }
    if let Some(target) = &undelete.what.target {
        narrow(&mut found, target);
    }
    if undelete.ask.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        print!("{}", text(&found));
    }
    Ok(())
}

/// Leaves only what was asked for.
fn narrow(found: &mut Restorable, target: &Target) {
    match target {
        Target::Tag(tag) => {
            found.tags.retain(|deleted| deleted.tag == *tag);
            found.manifests.retain(|deleted| deleted.tags.contains(tag));
        }
        Target::Manifest(digest) => {
            let digest = digest.to_string();
            found.tags.retain(|deleted| deleted.digest == digest);
            found.manifests.retain(|deleted| deleted.digest == digest);
        }
    }
}

fn text(found: &Restorable) -> String {
    if found.tags.is_empty() && found.manifests.is_empty() {
        return "there is nothing to restore: nothing was deleted within the time that the namespace keeps it (regnode \
                namespace set PREFIX --restore)\n"
            .to_owned();
    }
    let mut page = String::new();
    if !found.tags.is_empty() {
        let mut rows = table(&["DELETED TAG", "POINTED TO", "WHEN", "WHO", "BY", "RESTORABLE UNTIL"]);
        for deleted in &found.tags {
            rows.add_row([
                deleted.tag.to_string(),
                deleted.digest.clone(),
                moment(deleted.deleted_milliseconds),
                who(deleted.principal.as_deref()),
                by_what(&deleted.cause),
                moment(deleted.until_milliseconds),
            ]);
        }
        page = format!("{rows}\n");
    }
    if !found.manifests.is_empty() {
        let mut rows = table(&["DELETED MANIFEST", "ITS TAGS", "WHEN", "WHO", "BY", "RESTORABLE UNTIL"]);
        for deleted in &found.manifests {
            let tags: Vec<&str> = deleted.tags.iter().map(raft::catalog::Tag::as_str).collect();
            rows.add_row([
                deleted.digest.clone(),
                tags.join(", "),
                moment(deleted.deleted_milliseconds),
                who(deleted.principal.as_deref()),
                by_what(&deleted.cause),
                moment(deleted.until_milliseconds),
            ]);
        }
        let gap = if page.is_empty() { "" } else { "\n" };
        page = format!("{page}{gap}{rows}\n");
    }
    trimmed(&page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_back_is_named() {
        let answer = |tags: &[&str]| RestoredAnswer {
            version: 1,
            repository: "acme/app".parse().unwrap(),
            digest: format!("sha256:{}", "0".repeat(64)),
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
        };
        assert!(restored(&answer(&["v1", "latest"])).ends_with("is back, tagged v1, latest"));
        assert!(restored(&answer(&[])).ends_with("is back, without a tag"));
    }

    #[test]
    fn what_can_be_restored_reads_well() {
        let manifest = TombstoneEntry {
            digest: format!("sha256:{}", "1a".repeat(32)),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            tags: vec!["v1".parse().unwrap(), "latest".parse().unwrap()],
            deleted_milliseconds: 1_800_000_000_000,
            until_milliseconds: 1_800_086_400_000,
            principal: None,
            cause: "delete".to_owned(),
        };
        let tag = DeletedTag {
            tag: "v1".parse().unwrap(),
            digest: manifest.digest.clone(),
            deleted_milliseconds: manifest.deleted_milliseconds,
            until_milliseconds: manifest.until_milliseconds,
            principal: Some("operator".to_owned()),
            cause: "bulk_deletion".to_owned(),
        };
        let mut found = Restorable { tags: vec![tag], manifests: vec![manifest] };
        insta::assert_snapshot!(text(&found));
        narrow(&mut found, &Target::Tag("latest".parse().unwrap()));
        assert_eq!((found.tags.len(), found.manifests.len()), (0, 1));
        narrow(&mut found, &Target::Tag("v2".parse().unwrap()));
        assert!(text(&found).starts_with("there is nothing to restore"));
    }
}
