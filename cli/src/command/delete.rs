//! `regnode delete`: many tags of a repository at once.

use std::path::Path;

use anyhow::Result;
use node::admin::BulkDeletionRequest;

use super::job::follow;
use super::job_text::{preview, text};
use super::node::data_dir;
use crate::admin_client;
use crate::arguments::{Ask, Delete};

/// Begins to delete many tags, or says which they are.
pub(crate) async fn delete(delete: Delete) -> Result<()> {
    let data_dir = data_dir(&delete.work.ask).await?;
    let request = BulkDeletionRequest {
        repository: delete.repository,
        tags: delete.tags,
        older_than_seconds: delete.older_than.map(|age| age.as_secs()),
        after: None,
    };
    if delete.dry_run {
        return look(&data_dir, &delete.work.ask, request).await;
    }
    let job = admin_client::delete(&data_dir, &request).await?.job;
    follow(&data_dir, &delete.work, job, text).await
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn look(data_dir: &Path, ask: &Ask, mut request: BulkDeletionRequest) -> Result<()> {
    let mut tags = Vec::new();
    loop {
        let page = admin_client::preview_deletion(data_dir, &request).await?;
        tags.extend(page.tags);
        request.after = page.next;
        if request.after.is_none() {
            break;
        }
    }
    if ask.json {
        println!("{}", serde_json::to_string_pretty(&tags)?);
    } else {
        print!("{}", preview(&tags, false));
    }
    Ok(())
}
