//! What a deletion job would do, without doing it.

use std::sync::PoisonError;
use std::time::Duration;

use raft::catalog::{Digest, JobCursor, JobKind, JobScope, RepositoryName, Tag};
use raft::policy::OPERATOR;
use raft::time::Timestamp;
use tokio::time::Instant;

use super::jobs::{BulkDeletion, check_scope};
use super::judge::{Judge, Judged, Plan, Verdict};
use super::namespace::check_prefix;
use super::{Deletion, DeletionError};

/// Most tags of one page.
const PAGE_TAGS_MAX: usize = 1000;
/// How long the judgement of a repository is kept for its next page.
const KEPT: Duration = Duration::from_mins(1);

/// The judgement of a repository, for whom, and since when.
#[derive(Debug)]
pub(super) struct Kept {
    judge: Judge,
    plan: Plan,
    since: Instant,
}

/// A page of what would become of tags. It may be empty before the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// By repository and tag. Tags that a bulk deletion does not speak of are left out.
    pub entries: Vec<PreviewEntry>,
    /// Where to go on; `None` at the end.
    pub next: Option<JobCursor>,
}

/// What would become of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewEntry {
    /// Its repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// What it points to.
    pub digest: Digest,
    /// When it was set.
    pub pushed: Timestamp,
    /// When its manifest was last pulled.
    pub pulled: Option<Timestamp>,
    /// What would become of it, and why.
    pub verdict: Verdict,
}

impl Deletion {
    /// A page of what a bulk deletion would do.
    pub async fn preview_bulk(
        &self,
        bulk: &BulkDeletion,
        after: Option<JobCursor>,
        limit: usize,
    ) -> Result<Preview, DeletionError> {
        check_scope(&bulk.scope)?;
        self.preview(
            Judge { scope: bulk.scope.clone(), kind: bulk.kind(), principal: Some(OPERATOR.to_owned()) },
            after,
            limit,
        )
        .await
    }

    /// A page of what a run of retention at a prefix would do.
    pub async fn preview_retention(
        &self,
        prefix: &str,
        after: Option<JobCursor>,
        limit: usize,
    ) -> Result<Preview, DeletionError> {
        check_prefix(prefix)?;
        if after.is_none() {
            self.check_retention(prefix).await?;
        }
        let scope = JobScope::Namespace(prefix.to_owned());
        self.preview(Judge { scope, kind: JobKind::Retention, principal: None }, after, limit).await
    }

    async fn preview(&self, judge: Judge, after: Option<JobCursor>, limit: usize) -> Result<Preview, DeletionError> {
        let limit = limit.clamp(1, PAGE_TAGS_MAX);
        // The first page is judged anew: somebody may have changed the rules after a look at the last preview.
        let (mut plan, since) = match self.take_kept(&judge).filter(|_| after.is_some()) {
            Some(kept) => (Some(kept.plan), kept.since),
            None => (None, Instant::now()),
        };
        let (page, judge, plan) = self
            .read(move |view| {
                let page = judge.page(view, after.as_ref(), limit, &mut plan)?;
                Ok((page, judge, plan))
            })
            .await?;
        if let Some(plan) = plan {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept { judge, plan, since });
        }
        let entries = page.tags.into_iter().filter(|(_, judged)| judged.is_spoken_of()).map(entry);
        Ok(Preview { entries: entries.collect(), next: page.next })
    }

    fn take_kept(&self, judge: &Judge) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.filter(|kept| kept.judge == *judge && kept.since.elapsed() < KEPT)
    }
}

fn entry((repository, judged): (RepositoryName, Judged)) -> PreviewEntry {
    let verdict = judged.verdict();
    let Judged { tag, digest, pushed, pulled, .. } = judged;
    PreviewEntry { repository, tag, digest, pushed, pulled, verdict }
}
