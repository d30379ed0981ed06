//! What namespaces and repositories use, beside what they may.

use std::sync::Arc;

use raft::catalog::{RepositoryName, StateError, UsageRecord, View};
use raft::policy::Quota;
use serde::{Deserialize, Serialize};
use storage::kv::Engine;

use super::namespace::check_prefix;
use super::{Deletion, DeletionError};

/// Rows read at once.
const PAGE_ROWS: usize = 64;

/// What a namespace uses and what bounds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Its prefix, empty for the root; a repository's own name is one too.
    pub namespace: String,
    /// What was set there; nothing inherited.
    pub quota: Quota,
    /// What is in use at and below it.
    pub usage: UsageRecord,
}

impl Deletion {
    /// What is in use at and below a prefix.
    pub async fn usage(&self, prefix: &str) -> Result<Bound, DeletionError> {
        check_prefix(prefix)?;
        let namespace = prefix.to_owned();
        self.read(move |view| {
            let quota = quota_at(view, &namespace)?;
            Ok(Bound { quota, usage: view.usage(&namespace)?, namespace })
        })
        .await
    }

    /// The same of each prefix one component longer, by name, behind `after`, at most `limit` of them.
    pub async fn usages(&self, below: &str, after: Option<&str>, limit: usize) -> Result<Vec<Bound>, DeletionError> {
        check_prefix(below)?;
        let (below, after) = (below.to_owned(), after.map(ToOwned::to_owned));
        self.read(move |view| {
            let mut after = after;
            let mut bounds = Vec::new();
            'pages: while bounds.len() < limit {
                let rows = view.usages(&below, after.as_deref(), PAGE_ROWS)?;
                let end = rows.len() < PAGE_ROWS;
                for (namespace, usage) in rows {
                    if let Some(child) = deeper(&below, &namespace) {
                        // Everything below it is passed over at one go: no name has a character behind this one.
                        after = Some(format!("{child}/~"));
                        continue 'pages;
                    }
                    after = Some(namespace.clone());
                    let quota = quota_at(view, &namespace)?;
                    bounds.push(Bound { namespace, quota, usage });
                    if bounds.len() == limit {
                        break 'pages;
                    }
                }
                if end {
                    break;
                }
            }
            Ok(bounds)
        })
        .await
    }
}

/// The quota that is set at a prefix itself.
fn quota_at(view: &View<Arc<dyn Engine>>, prefix: &str) -> Result<Quota, StateError> {
    let set = match prefix.parse::<RepositoryName>() {
        Ok(name) => view.policy(&name)?.0.quotas.pop(),
        Err(_) => view.policies(None, 1)?.pop().map(|(at, copy)| (at, copy.policy.quota)),
    };
    Ok(set.filter(|(at, _)| at == prefix).map(|(_, quota)| quota).unwrap_or_default())
}

/// The prefix one component longer than `below` that a longer one lies below; `None` if it is such a prefix itself.
fn deeper<'a>(below: &str, namespace: &'a str) -> Option<&'a str> {
    let inner = if below.is_empty() { 0 } else { below.len() + 1 };
    let end = namespace.get(inner..)?.find('/')?;
    namespace.get(..inner + end)
}

#[cfg(test)]
mod tests {
    use super::deeper;

    #[test]
    fn one_step_is_told_from_several() {
        assert_eq!(deeper("", "a"), None);
        assert_eq!(deeper("", "a/b/c"), Some("a"));
        assert_eq!(deeper("a", "a/b"), None);
        assert_eq!(deeper("a", "a/b/c/d"), Some("a/b"));
    }
}
