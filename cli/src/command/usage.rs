//! `regnode usage`: what namespaces and repositories hold, and what they may.

use anyhow::Result;
use node::admin::UsageRequest;
use node::deletion::Bound;
use raft::policy::QuotaResource;
use serde::Serialize;

use super::node::data_dir;
use super::policy_text::of_quota;
use super::status_text::{table, trimmed};
use crate::admin_client;
use crate::arguments::{Usage, root_or};

/// A prefix, and what is one step below it.
#[derive(Debug, Serialize)]
struct Listing {
    total: Bound,
    below: Vec<Bound>,
}

/// Lists what a prefix holds, and what is one step below it.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn usage(usage: Usage) -> Result<()> {
    let data_dir = data_dir(&usage.ask).await?;
    let mut request = UsageRequest { prefix: usage.prefix, after: None };
    let mut below = Vec::new();
    let total = loop {
        let page = admin_client::usage(&data_dir, &request).await?;
        below.extend(page.below);
        request.after = page.next;
        if request.after.is_none() {
            break page.total;
        }
    };
    let listing = Listing { total, below };
    if usage.ask.json {
        println!("{}", serde_json::to_string_pretty(&listing)?);
    } else {
        print!("{}", text(&listing));
    }
    Ok(())
}

fn text(listing: &Listing) -> String {
    let mut rows = table(&["NAMESPACE OR REPOSITORY", "REPOSITORIES", "TAGS", "MANIFESTS", "BLOBS", "BYTES"]);
    for bound in std::iter::once(&listing.total).chain(&listing.below) {
        rows.add_row([
            root_or(&bound.namespace).to_owned(),
            of_quota(bound, QuotaResource::Repositories),
            of_quota(bound, QuotaResource::Tags),
            of_quota(bound, QuotaResource::Manifests),
            bound.usage.blobs.to_string(),
            of_quota(bound, QuotaResource::Bytes),
        ]);
    }
    trimmed(&format!("{rows}\n"))
}

#[cfg(test)]
mod tests {
    use raft::catalog::UsageRecord;
    use raft::policy::Quota;

    use super::*;

    #[test]
    fn usage_stands_beside_what_is_allowed() {
        let usage = UsageRecord { repositories: 2, manifests: 5, tags: 4, blobs: 9, bytes: 3 << 20 };
        let quota = Quota { bytes: Some(1 << 30), ..Quota::default() };
        let total = Bound { namespace: String::new(), quota: Quota::default(), usage };
        let listing = Listing { total, below: vec![Bound { namespace: "acme".to_owned(), quota, usage }] };
        insta::assert_snapshot!(text(&listing));
    }
}
