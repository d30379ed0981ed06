//! `regnode history`: who set a tag when, and to what.

use std::fmt::Write as _;

use anyhow::Result;
use node::admin::{HistoryAnswer, HistoryRequest};

use super::node::data_dir;
use super::status_text::{table, trimmed};
use crate::admin_client;
use crate::arguments::{History, Target};
use crate::exit::{Code, Exit};
use crate::figures::moment;

/// Prints the history of a tag.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn history(history: History) -> Result<()> {
    let Some(Target::Tag(tag)) = history.what.target else {
        return Err(Exit::new(Code::Usage, "name a tag: REPOSITORY:TAG").into());
    };
    let request = HistoryRequest { repository: history.what.repository, tag };
    let answer = admin_client::history(&data_dir(&history.ask).await?, &request).await?;
    if history.ask.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", text(&answer));
    }
    Ok(())
}

/// Who did something, to a person.
pub(super) fn who(principal: Option<&str>) -> String {
    principal.unwrap_or("a client without a name").to_owned()
}

/// A cause in words.
pub(super) fn by_what(cause: &str) -> String {
    cause.replace('_', " ")
}

fn text(answer: &HistoryAnswer) -> String {
    let mut rows = table(&["WHEN", "WHO", "BY", "POINTS TO SINCE"]);
    for change in &answer.changes {
        rows.add_row([
            moment(change.time_milliseconds),
            who(change.principal.as_deref()),
            by_what(&change.cause),
            change.digest.clone().unwrap_or_else(|| "deleted".to_owned()),
        ]);
    }
    let mut page = format!("{rows}\n");
    if let Some(before) = answer.changes.last().and_then(|oldest| oldest.previous.as_deref()) {
        writeln!(page, "\nbefore that, of which no more is kept: {before}").expect("a string takes any text");
    }
    trimmed(&page)
}

#[cfg(test)]
mod tests {
    use node::admin::HistoryEntry;

    use super::*;

    #[test]
    fn a_history_reads_well() {
        let digest = |byte: &str| Some(format!("sha256:{}", byte.repeat(32)));
        let entry = |time_milliseconds, principal: Option<&str>, cause: &str, digest, previous| HistoryEntry {
            time_milliseconds,
            principal: principal.map(ToOwned::to_owned),
            cause: cause.to_owned(),
            digest,
            previous,
        };
        let changes = vec![
            entry(1_800_000_060_000, Some("operator"), "bulk_deletion", None, digest("2b")),
            entry(1_800_000_000_000, None, "push", digest("2b"), digest("1a")),
        ];
        let (repository, tag) = ("acme/app".parse().unwrap(), "v1".parse().unwrap());
        insta::assert_snapshot!(text(&HistoryAnswer { version: 1, repository, tag, changes }));
    }
}
