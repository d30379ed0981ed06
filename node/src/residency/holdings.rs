//! What a region's catalog holds, by namespace: repositories and open uploads, against the directory's places.
//!
//! First all repositories with content and whether they may be here, then what the catalog itself calls leaving, which
//! are also such that have nothing left but histories, tombstones or uploads, then the uploads.

use std::sync::Arc;

use raft::catalog::{RepositoryName, SessionId, StateError};
use raft::directory::NodeState;
use raft::policy::Role;

use super::answer::{AnswerError, Answerer, Catalog, Owners};
use super::judge::Standing;
use super::question::{
    ForeignRepository, HoldingsAnswer, HoldingsCursor, HoldingsQuestion, ITEMS_MAX, NAMESPACES_MAX, NamespaceHolding,
};
use crate::regions::Places;

/// Rows read at once.
const ROWS_AT_ONCE: usize = 1000;
/// Rows looked at for one answer.
const ROWS_MAX: usize = 20_000;

impl Answerer {
    /// Answers with the next repositories or uploads.
    pub(crate) async fn holdings(&self, question: HoldingsQuestion) -> Result<HoldingsAnswer, AnswerError> {
        let places = self.places(question.policy_version).await?;
        let region = self.parts.region;
        let owners = Owners { places: Arc::clone(&places), region, namespace: question.namespace };
        let first = question.after.is_none();
        let cursor = question.after.unwrap_or(HoldingsCursor::Repository(None));
        let page = Page::begin(cursor).map_err(AnswerError::Invalid)?;
        let view = self.catalog().await?;
        let looked = move || page.look(&view, &owners);
        let Looked { mut answer, found, watched } = self.parts.exec.run(looked).await?;
        if let Some((after, to, present)) = watched {
            self.forget((after.as_ref(), to.as_ref()), &present, places);
        }
        for (name, mut foreign) in found {
            foreign.leaving_seconds = self.leaving.seen(&name).as_secs();
            answer.foreign.push(foreign);
        }
        if first {
            answer.strangers = self.strangers()?;
        }
        Ok(answer)
    }

    /// Notes what this region has to let go, all of it: its time counts from the first look.
    pub(super) async fn watch_leaving(&self) -> Result<(), AnswerError> {
        let mut after: Option<RepositoryName> = None;
        loop {
            let (view, from) = (self.parts.records.view(), after.clone());
            let page = self.parts.exec.run(move || view.evictable(from.as_ref(), ROWS_AT_ONCE)).await?;
            let full = page.len() == ROWS_AT_ONCE;
            let to = page.last().filter(|_| full).cloned();
            self.forget((after.as_ref(), to.as_ref()), &page, self.parts.regions.places());
            for name in &page {
                self.leaving.seen(name);
            }
            if !full {
                return Ok(());
            }
            after = to;
        }
    }

    /// Forgets what has gone from a stretch of names in which the catalog calls only these foreign. What it takes for its
    /// own against the directory's word is remembered as long as it is there.
    fn forget(
        &self,
        stretch: (Option<&RepositoryName>, Option<&RepositoryName>),
        present: &[RepositoryName],
        places: Arc<Places>,
    ) {
        let (view, owners) = (self.parts.records.view(), Owners { places, region: self.parts.region, namespace: None });
        let is_foreign = |name: &RepositoryName| {
            owners.of(name.as_str()).is_some_and(|(_, owner)| owner.standing == Standing::Foreign)
        };
        // What cannot be read is not known to have gone.
        let stays = |name: &RepositoryName| is_foreign(name) && !matches!(view.repository(name), Ok(None));
        self.leaving.only(stretch, present, stays);
    }

    /// Members of the catalog's group that are no nodes of its region.
    fn strangers(&self) -> Result<Vec<String>, AnswerError> {
        let members = self.parts.source.catalog_members();
        let nodes = self.parts.directory.view().nodes()?;
        let own = |node| {
            let found = nodes.iter().find(|(id, _)| *id == node);
            found.is_some_and(|(_, record)| record.region == self.parts.region && record.state != NodeState::Removed)
        };
        Ok(members.into_iter().filter(|node| !own(*node)).map(|node| node.to_string()).take(ITEMS_MAX).collect())
    }
}

/// The part of a catalog that an answer is about.
#[derive(Clone, Debug)]
enum Page {
    Repositories(Option<RepositoryName>),
    Leaving(Option<RepositoryName>),
    Uploads(Option<SessionId>),
}

/// Behind a repository up to another one, the repositories of that stretch that have to go.
type Watched = (Option<RepositoryName>, Option<RepositoryName>, Vec<RepositoryName>);

/// What a look has brought to light.
#[derive(Debug, Default)]
struct Looked {
    answer: HoldingsAnswer,
    found: Vec<(RepositoryName, ForeignRepository)>,
    watched: Option<Watched>,
}

impl Page {
    fn begin(cursor: HoldingsCursor) -> Result<Self, String> {
        let name = |text: Option<String>| {
            text.map(|text| text.parse::<RepositoryName>()).transpose().map_err(|error| error.to_string())
        };
        Ok(match cursor {
            HoldingsCursor::Repository(after) => Self::Repositories(name(after)?),
            HoldingsCursor::Leaving(after) => Self::Leaving(name(after)?),
            HoldingsCursor::Upload(after) => {
                let session = after.map(|text| text.parse::<SessionId>()).transpose();
                Self::Uploads(session.map_err(|error| error.to_string())?)
            }
        })
    }

    /// Looks at the catalog. Blocks.
    fn look(self, view: &Catalog, owners: &Owners) -> Result<Looked, StateError> {
        match self {
            Self::Repositories(after) => repositories(view, owners, after),
            Self::Leaving(after) => leaving(view, owners, after),
            Self::Uploads(after) => uploads(view, owners, after),
        }
    }
}

fn repositories(view: &Catalog, owners: &Owners, mut after: Option<RepositoryName>) -> Result<Looked, StateError> {
    let (mut looked, mut rows) = (Looked::default(), 0);
    while rows < ROWS_MAX && looked.found.len() < ITEMS_MAX / 2 && looked.answer.holdings.len() < NAMESPACES_MAX / 2 {
        let page = view.repositories(after.as_ref().map(RepositoryName::as_str), ROWS_AT_ONCE / 2)?;
        rows += page.len();
        for repository in &page {
            if !owners.is_asked(repository.as_str()) {
                continue;
            }
            let Some((namespace, owner)) = owners.of(repository.as_str()) else { continue };
            let Some(record) = view.repository(repository)? else { continue };
            if owner.standing != Standing::Foreign {
                let holding = holding(&mut looked.answer.holdings, namespace, owner.standing);
                holding.repositories += 1;
                holding.manifests += record.manifests;
                holding.tags += record.tags;
            } else if view.role(repository)? != Role::Foreign {
                let what = format!(
                    "{} manifests, {} tags, {} blobs; the catalog takes it for its own",
                    record.manifests, record.tags, record.links
                );
                looked.found.push(foreign(repository, namespace, owner.pinned, what));
            }
        }
        if page.len() < ROWS_AT_ONCE / 2 {
            looked.answer.next = Some(HoldingsCursor::Leaving(None));
            return Ok(looked);
        }
        after = page.into_iter().next_back();
    }
    looked.answer.next = Some(HoldingsCursor::Repository(after.map(|name| name.to_string())));
    Ok(looked)
}

/// What the catalog itself calls foreign: it is on its way out.
fn leaving(view: &Catalog, owners: &Owners, after: Option<RepositoryName>) -> Result<Looked, StateError> {
    let mut looked = Looked::default();
    let page = view.evictable(after.as_ref(), ITEMS_MAX)?;
    let full = page.len() == ITEMS_MAX;
    let last = page.last().filter(|_| full).cloned();
    for repository in &page {
        let Some((namespace, owner)) = owners.of(repository.as_str()) else { continue };
        if owner.standing != Standing::Foreign || !owners.is_asked(repository.as_str()) {
            continue;
        }
        let what = match view.repository(repository)? {
            Some(record) => {
                format!("{} manifests, {} tags, {} blobs", record.manifests, record.tags, record.links)
            }
            None => "histories of tags, tombstones or uploads".to_owned(),
        };
        looked.found.push(foreign(repository, namespace, owner.pinned, what));
    }
    let next = last.as_ref().map(|last| HoldingsCursor::Leaving(Some(last.to_string())));
    looked.answer.next = Some(next.unwrap_or(HoldingsCursor::Upload(None)));
    looked.watched = Some((after, last, page));
    Ok(looked)
}

fn uploads(view: &Catalog, owners: &Owners, mut after: Option<SessionId>) -> Result<Looked, StateError> {
    let (mut looked, mut rows) = (Looked::default(), 0);
    while rows < ROWS_MAX && looked.found.len() < ITEMS_MAX / 2 && looked.answer.holdings.len() < NAMESPACES_MAX / 2 {
        let page = view.uploads(after, ROWS_AT_ONCE / 2)?;
        rows += page.len();
        for (_, upload) in &page {
            let repository = &upload.repository;
            if !owners.is_asked(repository.as_str()) {
                continue;
            }
            let Some((namespace, owner)) = owners.of(repository.as_str()) else { continue };
            let over = upload.finished.is_some();
            if owner.standing != Standing::Foreign {
                holding(&mut looked.answer.holdings, namespace, owner.standing).uploads += u64::from(!over);
            } else if view.role(repository)? != Role::Foreign {
                let what = if over { "over" } else { "open" };
                let what = format!("the session of an upload of {} bytes that is {what}", upload.position.offset_bytes);
                looked.found.push(foreign(repository, namespace, owner.pinned, what));
            }
        }
        if page.len() < ROWS_AT_ONCE / 2 {
            return Ok(looked);
        }
        after = page.last().map(|(session, _)| *session);
    }
    looked.answer.next = Some(HoldingsCursor::Upload(after.map(|session| session.to_string())));
    Ok(looked)
}

fn foreign(
    repository: &RepositoryName,
    namespace: &str,
    pinned: bool,
    what: String,
) -> (RepositoryName, ForeignRepository) {
    let found = ForeignRepository {
        repository: repository.to_string(),
        namespace: namespace.to_owned(),
        pinned,
        what,
        leaving_seconds: 0,
    };
    (repository.clone(), found)
}

fn holding<'a>(
    holdings: &'a mut Vec<NamespaceHolding>,
    namespace: &str,
    standing: Standing,
) -> &'a mut NamespaceHolding {
    let at = holdings.binary_search_by(|holding| holding.namespace.as_str().cmp(namespace));
    let at = at.unwrap_or_else(|at| {
        let fresh = NamespaceHolding {
            namespace: namespace.to_owned(),
            standing,
            repositories: 0,
            manifests: 0,
            tags: 0,
            uploads: 0,
        };
        holdings.insert(at, fresh);
        at
    });
    &mut holdings[at]
}
