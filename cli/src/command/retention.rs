//! `regnode retention`: what the rules would delete, and carrying them out now.

use anyhow::Result;
use node::admin::RetentionRequest;

use super::job::follow;
use super::job_text::{preview, text};
use super::node::data_dir;
use crate::admin_client;
use crate::arguments::{Retention, RetentionAction, RetentionPreview};

/// Looks at retention, or carries it out.
pub(crate) async fn retention(retention: Retention) -> Result<()> {
    match retention.action {
        RetentionAction::Preview(preview) => look(preview).await,
        RetentionAction::Run(run) => {
            let data_dir = data_dir(&run.work.ask).await?;
            let request = RetentionRequest { prefix: run.prefix, after: None };
            let job = admin_client::run_retention(&data_dir, &request).await?.job;
            follow(&data_dir, &run.work, job, text).await
        }
    }
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn look(look: RetentionPreview) -> Result<()> {
    let data_dir = data_dir(&look.ask).await?;
    let mut request = RetentionRequest { prefix: look.prefix, after: None };
    let mut tags = Vec::new();
    loop {
        let page = admin_client::preview_retention(&data_dir, &request).await?;
        tags.extend(page.tags);
        request.after = page.next;
        if request.after.is_none() {
            break;
        }
    }
    if look.ask.json {
        tags.retain(|tag| look.all || tag.delete);
        println!("{}", serde_json::to_string_pretty(&tags)?);
    } else {
        print!("{}", preview(&tags, look.all));
    }
    Ok(())
}
