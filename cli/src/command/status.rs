//! `regnode status`: the verdict, what it rests on, and an exit code that scripts can use.

use anyhow::Result;
use node::admin::Verdict;

use super::status_text::text;
use crate::admin_client;
use crate::arguments::Status;
use crate::exit::{Code, Exit};
use crate::settings;

/// Prints the cluster's status as the node on this machine knows it.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn status(status: Status) -> Result<()> {
    let resolved = settings::of_local_node(&settings::environment(), &status.node).await?;
    let answer = admin_client::status(&resolved.settings.data_dir).await?;
    if status.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", text(&answer));
    }
    match answer.verdict {
        Verdict::Healthy => Ok(()),
        Verdict::NeedsAttention => Err(Exit::silent(Code::NeedsAttention).into()),
        Verdict::NotServing => Err(Exit::silent(Code::NotServing).into()),
    }
}
