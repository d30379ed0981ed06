//! What every answer needs: places as new as the question, a catalog as new as the listing, and whose an object is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{Digest, ObjectState, RepositoryName, StateError, View};
use raft::directory::{Place, Residency};
use raft::id::RegionId;
use storage::kv::Engine;
use storage::shard::ObjectId;
use tokio::time::{Instant, sleep};

use super::Parts;
use super::judge::{Known, Owner, standing};
use super::leaving::Leaving;
use crate::gateway::catalog::CatalogError;
use crate::regions::Places;

/// How long the directory's replica is waited for that is behind.
const CATCH_UP: Duration = Duration::from_secs(5);
/// Between two looks at it.
const POLL: Duration = Duration::from_millis(50);
/// Links of a blob that are read at a time.
const LINKS_AT_ONCE: usize = 1024;

/// A catalog as it is looked at here.
pub(super) type Catalog = View<Arc<dyn Engine>>;

/// Why a question is not answered. `Display` is for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// This node's replica of the directory is older than the question.
    #[error("this node's replica of the directory is at version {have} of the namespaces, {need} is needed: try again")]
    Behind {
        /// The version here.
        have: u64,
        /// The one that was asked for.
        need: u64,
    },
    /// The catalog does not answer.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The question makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl From<StateError> for AnswerError {
    fn from(error: StateError) -> Self {
        Self::Catalog(error.into())
    }
}

/// Answers for this node and its region.
#[derive(Debug)]
pub(crate) struct Answerer {
    pub(super) parts: Parts,
    pub(super) leaving: Leaving,
}

impl Answerer {
    /// Places that are at least so new.
    pub(super) async fn places(&self, version: u64) -> Result<Arc<Places>, AnswerError> {
        let end = Instant::now() + CATCH_UP;
        loop {
            let places = self.parts.regions.places();
            if places.version() >= version {
                return Ok(places);
            }
            if Instant::now() >= end {
                return Err(AnswerError::Behind { have: places.version(), need: version });
            }
            sleep(POLL).await;
        }
    }

    /// The catalog with everything that was acknowledged before the call.
    pub(super) async fn catalog(&self) -> Result<Catalog, AnswerError> {
        self.parts.records.barrier().await?;
        Ok(self.parts.records.view())
    }
}

/// Whom a repository belongs to, and what is asked for.
#[derive(Clone, Debug)]
pub(super) struct Owners {
    pub(super) places: Arc<Places>,
    /// Region that is judged.
    pub(super) region: RegionId,
    /// Only what is below it counts.
    pub(super) namespace: Option<String>,
}

impl Owners {
    /// Whether a repository is of what was asked for.
    pub(super) fn is_asked(&self, repository: &str) -> bool {
        self.namespace.as_deref().is_none_or(|asked| is_below(repository, asked))
    }

    /// The namespace that a repository is told with, and what holds there; `None` if the directory says nothing.
    pub(super) fn of(&self, repository: &str) -> Option<(&str, Owner)> {
        let (prefix, place) = self.places.place_at(repository)?;
        // What is below the prefix that was asked for is told with it, unless a longer one says something itself.
        let asked = self.namespace.as_deref().filter(|asked| is_below(repository, asked));
        let prefix = asked.filter(|asked| asked.len() > prefix.len()).unwrap_or(prefix);
        Some((prefix, self.owner(place)))
    }

    fn owner(&self, place: &Place) -> Owner {
        Owner { standing: standing(place, self.region), pinned: place.residency == Residency::Pinned }
    }

    /// What a catalog knows of an object, and whether anything of it is of what was asked for.
    pub(super) fn known(&self, view: &Catalog, object: ObjectId) -> Result<KnownObject, StateError> {
        let Some(record) = view.object(object)? else { return Ok(KnownObject::new(Known::Not, true)) };
        let ObjectState::Published(digest) = record.state else {
            return Ok(KnownObject::new(Known::Uploading, true));
        };
        self.linked(view, &digest)
    }

    fn linked(&self, view: &Catalog, digest: &Digest) -> Result<KnownObject, StateError> {
        let (mut owners, mut asked, mut first) = (BTreeMap::new(), false, None);
        let mut after: Option<RepositoryName> = None;
        loop {
            let page = view.repositories_of(digest, after.as_ref(), LINKS_AT_ONCE)?;
            for repository in &page {
                asked |= self.is_asked(repository.as_str());
                if let Some((prefix, owner)) = self.of(repository.as_str()) {
                    owners.entry(prefix.to_owned()).or_insert(owner);
                }
            }
            first = first.or_else(|| page.first().cloned());
            let full = page.len() == LINKS_AT_ONCE;
            after = page.into_iter().next_back();
            if !full {
                break;
            }
        }
        if owners.is_empty() {
            return Ok(KnownObject::new(Known::Unlinked, true));
        }
        Ok(KnownObject { known: Known::Linked(owners), asked, repository: first })
    }
}

/// What is known of an object.
#[derive(Clone, Debug)]
pub(super) struct KnownObject {
    pub(super) known: Known,
    /// Whether it is of what was asked for, or may be.
    pub(super) asked: bool,
    /// The first repository that links it.
    pub(super) repository: Option<RepositoryName>,
}

impl KnownObject {
    fn new(known: Known, asked: bool) -> Self {
        Self { known, asked, repository: None }
    }
}

/// Whether a name is a prefix or below it; the root's is empty.
pub(super) fn is_below(name: &str, prefix: &str) -> bool {
    prefix.is_empty() || name == prefix || name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}
