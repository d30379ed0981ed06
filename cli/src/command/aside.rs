//! `regnode namespace aside`: what a former home has that the present one lacks, looked at and given up.

use std::path::Path;

use anyhow::Result;
use node::admin::{AsideAnswer, AsideRequest, PolicyChangedAnswer, SettleRequest};

use super::confirm::confirm;
use super::moving_text;
use super::namespace::changed;
use super::node::data_dir;
use crate::admin_client;
use crate::arguments::{NamespaceAside, root_or};
use crate::exit::{Code, Exit};
use crate::figures::count;

/// Looks at what is aside, or gives it up.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn aside(wanted: NamespaceAside) -> Result<()> {
    let data_dir = data_dir(&wanted.ask).await?;
    let region = wanted.settle.clone().or_else(|| wanted.region.clone());
    let found = look(&data_dir, &wanted.prefix, region).await?;
    let settles = wanted.settle.is_some();
    // Of two answers in one output only one would be understood.
    if wanted.ask.json && !settles {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else if !wanted.ask.json {
        print!("{}", moving_text::aside(&found));
    }
    let Some(region) = &wanted.settle else { return Ok(()) };
    let answer = settle(&data_dir, &wanted, &found, region).await?;
    changed(&wanted.ask, &answer, &format!("settled with region {region}: what that had and the home lacks goes"))
}

async fn settle(
    data_dir: &Path,
    wanted: &NamespaceAside,
    found: &AsideAnswer,
    region: &str,
) -> Result<PolicyChangedAnswer> {
    let at = root_or(&wanted.prefix);
    if found.compared.is_none() && !wanted.unseen {
        let message = format!(
            "what region {region} has of {at} that the home lacks cannot be told; if it is never coming back, or that does not \
             matter, say --unseen"
        );
        return Err(Exit::new(Code::Refused, message).into());
    }
    let goes = match (&found.compared, found.differences.len() as u64) {
        (None, _) => "whatever it has".to_owned(),
        (Some(_), 0) => "nothing that the home lacks".to_owned(),
        (Some(_), differ) => format!("{} that the home lacks or has otherwise", count(differ, "thing", "things")),
    };
    confirm(wanted.yes, &format!("giving up what region {region} has of {at}, {goes},"), at).await?;
    let request = SettleRequest {
        prefix: wanted.prefix.clone(),
        region: region.to_owned(),
        policy_version: found.policy_version,
        unseen: wanted.unseen,
    };
    admin_client::settle_aside(data_dir, &request).await
}

/// All pages of what is aside.
async fn look(data_dir: &Path, prefix: &str, region: Option<String>) -> Result<AsideAnswer> {
    let mut request = AsideRequest { prefix: prefix.to_owned(), region, after: None };
    let mut all = admin_client::aside(data_dir, &request).await?;
    while let Some(next) = all.next.take() {
        request.after = Some(next);
        let page = admin_client::aside(data_dir, &request).await?;
        if page.compared.is_none() {
            // It has ceased to answer: a part of the list must not be taken for the whole.
            return Ok(AsideAnswer { differences: Vec::new(), ..page });
        }
        all.differences.extend(page.differences);
        // A change between two pages is noticed when it is settled.
        (all.policy_version, all.next) = (page.policy_version.min(all.policy_version), page.next);
    }
    Ok(all)
}
