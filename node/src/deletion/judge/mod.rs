//! Which tags a deletion job deletes, and why: the same for its steps and for the preview of it.
//!
//! Tags are judged in the order of repositories and names, page by page. Where a rule speaks of all tags of a repository
//! at once, the whole repository is judged and its judgement kept until the walk has passed it: some hundred bytes a tag.

mod repository;

use std::sync::Arc;

use raft::catalog::{JobCursor, JobKind, JobScope, RepositoryName, StateError, Tag, View};
use storage::kv::Engine;

pub use repository::Verdict;
use repository::by_pattern;
pub(crate) use repository::{Judged, Plan, by_retention};

/// Repositories that a page passes over, having no tag that it speaks of, before it ends.
const REPOSITORIES_PER_PAGE: usize = 256;
/// The last tag of all: a cursor there is behind every tag of its repository.
const LAST_TAG: [u8; 128] = [b'z'; 128];

/// A job to be carried out or looked at beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judge {
    /// Where it deletes.
    pub(crate) scope: JobScope,
    /// What it deletes.
    pub(crate) kind: JobKind,
    /// In whose name; retention deletes in nobody's, whoever began it.
    pub(crate) principal: Option<String>,
}

/// Tags in order.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The tags, with their repositories.
    pub(crate) tags: Vec<(RepositoryName, Judged)>,
    /// Where to go on; `None` at the end of all.
    pub(crate) next: Option<JobCursor>,
}

impl Judge {
    /// At most `limit` tags behind `after`. `plan` is what the last page left, and is left for the next one.
    pub(crate) fn page(
        &self,
        view: &View<Arc<dyn Engine>>,
        after: Option<&JobCursor>,
        limit: usize,
        plan: &mut Option<Plan>,
    ) -> Result<Page, StateError> {
        let mut page = Page::default();
        let mut at = after.cloned();
        for _ in 0..REPOSITORIES_PER_PAGE {
            let Some((repository, tag)) = self.next_repository(view, at.as_ref())? else {
                *plan = None;
                return Ok(Page { next: None, ..page });
            };
            let room = limit - page.tags.len();
            let (judged, more) = self.judge(view, &repository, tag.as_ref(), room, plan)?;
            page.tags.extend(judged.into_iter().map(|judged| (repository.clone(), judged)));
            at = Some((repository, more.unwrap_or_else(last_tag)));
            if page.tags.len() >= limit {
                break;
            }
        }
        Ok(Page { next: at, ..page })
    }

    /// The repository to go on in, and the tag to go on behind.
    fn next_repository(
        &self,
        view: &View<Arc<dyn Engine>>,
        at: Option<&JobCursor>,
    ) -> Result<Option<(RepositoryName, Option<Tag>)>, StateError> {
        if at.is_some_and(|(repository, _)| !holds(&self.scope, repository)) {
            // A client's own invention: nothing outside is told.
            return Ok(None);
        }
        if let Some((repository, tag)) = at
            && tag.as_str().as_bytes() != LAST_TAG
        {
            return Ok(Some((repository.clone(), Some(tag.clone()))));
        }
        let behind = at.map(|(repository, _)| repository);
        let next = match &self.scope {
            JobScope::Repository(only) => behind.is_none().then(|| only.clone()),
            JobScope::Namespace(prefix) => view.repositories_below(prefix, behind, 1)?.pop(),
        };
        Ok(next.map(|repository| (repository, None)))
    }

    /// Judges tags of one repository, and names the last of them if more follow.
    fn judge(
        &self,
        view: &View<Arc<dyn Engine>>,
        repository: &RepositoryName,
        after: Option<&Tag>,
        limit: usize,
        plan: &mut Option<Plan>,
    ) -> Result<(Vec<Judged>, Option<Tag>), StateError> {
        match &self.kind {
            JobKind::Tags { pattern, older_than_seconds } => {
                by_pattern(view, repository, (pattern, *older_than_seconds), self.principal.as_deref(), (after, limit))
            }
            JobKind::Retention => {
                if plan.as_ref().is_none_or(|plan| plan.repository != *repository) {
                    *plan = by_retention(view, repository, self.reach())?;
                }
                Ok(plan.as_ref().map_or_else(|| (Vec::new(), None), |plan| plan.behind(after, limit)))
            }
        }
    }

    /// Length of the longest prefix whose retention this job carries out. Namespaces below it that set their own have
    /// runs of their own.
    fn reach(&self) -> usize {
        match &self.scope {
            JobScope::Namespace(prefix) => prefix.len(),
            JobScope::Repository(_) => usize::MAX,
        }
    }
}

/// Whether a repository is one of a scope's. Where to go on is said by clients too, who may not see others.
fn holds(scope: &JobScope, repository: &RepositoryName) -> bool {
    match scope {
        JobScope::Repository(only) => only == repository,
        JobScope::Namespace(prefix) => {
            let rest = repository.as_str().strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
        }
    }
}

/// The last tag of all.
fn last_tag() -> Tag {
    let text = String::from_utf8_lossy(&LAST_TAG);
    text.parse().expect("128 letters are a tag")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repositories_of_the_scope_are_places_to_go_on() {
        let namespace = |prefix: &str| JobScope::Namespace(prefix.to_owned());
        let repository = |name: &str| JobScope::Repository(name.parse().unwrap());
        for (scope, name, is_held) in [
            (repository("acme/app"), "acme/app", true),
            (repository("acme/app"), "acme/app/x", false),
            (repository("acme/app"), "secret/app", false),
            (namespace("acme"), "acme/app", true),
            (namespace("acme"), "acme", true),
            (namespace("acme"), "acmesecret/app", false),
            (namespace("acme"), "secret/app", false),
            (namespace(""), "secret/app", true),
        ] {
            assert_eq!(holds(&scope, &name.parse().unwrap()), is_held, "{scope:?} {name}");
        }
    }
}
