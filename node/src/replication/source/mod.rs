//! Answers regions with a copy, at the home: what is below a prefix, and what happens there.
//!
//! Whom something is told is decided by the directory as this node knows it, which has to be at least as new as that of the
//! asking region and as the policies that the own catalog goes by. What belongs to the question and is not to be told
//! is never left out of an answer: there is no answer then, and the asking region asks again once it has heard of the
//! change.

mod feed;
mod survey;

use std::collections::BTreeSet;
use std::sync::Arc;

use raft::catalog::{RepositoryName, StateError, View};
use raft::id::RegionId;
use raft::policy::{Role, covers, is_prefix, prefixes};
use storage::exec::Exec;
use storage::kv::Engine;

use super::QuestionError;
use super::question::{
    FeedAnswer, FeedQuestion, PULLS_MAX, PositionAnswer, PositionQuestion, PullsTaken, PullsTold, SurveyAnswer,
    SurveyQuestion,
};
use crate::gateway::Gateway;
use crate::gateway::catalog::{CatalogError, Records};
use crate::regions::{Places, Regions, Telling};
use crate::registry::Pulls;

/// Answers what regions with copies ask of this one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Source {
    records: Arc<dyn Records>,
    exec: Exec,
    regions: Regions,
    pulls: Pulls,
}

impl Source {
    /// Answers from the catalog of this gateway.
    #[must_use]
    pub fn new(gateway: &Gateway, regions: Regions, pulls: Pulls) -> Self {
        let core = gateway.core();
        Self { records: Arc::clone(&core.records), exec: core.exec, regions, pulls }
    }

    /// What has happened below a prefix, from an event on. `asking` is the region that the asking node's certificate names.
    pub async fn feed(&self, asking: RegionId, question: FeedQuestion) -> Result<FeedAnswer, QuestionError> {
        let FeedQuestion { prefix, except, policy_version, blobs, cursor, limit } = question;
        let told = Told { blobs, ..self.told(asking, prefix, except, policy_version).await? };
        self.read(told, move |told, view, position| feed::read(told, view, position, cursor, limit as usize)).await
    }

    /// A page of what is below a prefix.
    pub async fn survey(&self, asking: RegionId, question: SurveyQuestion) -> Result<SurveyAnswer, QuestionError> {
        let SurveyQuestion { prefix, except, policy_version, blobs, after, limit } = question;
        let told = Told { blobs, ..self.told(asking, prefix, except, policy_version).await? };
        self.read(told, move |told, view, position| survey::read(told, view, position, after, limit as usize)).await
    }

    /// How far the catalog has come.
    pub async fn position(
        &self,
        asking: RegionId,
        question: PositionQuestion,
    ) -> Result<PositionAnswer, QuestionError> {
        let PositionQuestion { prefix, policy_version } = question;
        let told = self.told(asking, prefix, Vec::new(), policy_version).await?;
        self.read(told, |_, _, position| Ok(position)).await
    }

    /// Notes pulls by clients of a region with a copy, as if they had come here.
    ///
    /// # Errors
    /// That there are too many. What is not that region's to tell of is passed over.
    pub fn pulls(&self, asking: RegionId, told: &PullsTold) -> Result<PullsTaken, QuestionError> {
        if told.pulls.len() > PULLS_MAX {
            return Err(QuestionError::Invalid(format!("at most {PULLS_MAX} pulls are told at once")));
        }
        let (places, own) = (self.regions.places(), self.regions.own());
        let mut noted = 0;
        for (repository, digest) in &told.pulls {
            let place = places.place(repository.as_str());
            if place.is_some_and(|place| place.home == own && place.role(asking) == Role::Replica) {
                self.pulls.note(repository, digest);
                noted += 1;
            }
        }
        Ok(PullsTaken { noted })
    }

    /// Waits until all that was acknowledged is here, and looks at whom what may be told.
    async fn told(
        &self,
        asking: RegionId,
        prefix: String,
        except: Vec<String>,
        version: u64,
    ) -> Result<Told, QuestionError> {
        let malformed = std::iter::once(&prefix).chain(&except).find(|text| !is_prefix(text));
        if let Some(malformed) = malformed {
            return Err(QuestionError::Invalid(format!("{malformed:?} is not a namespace")));
        }
        self.records.barrier().await?;
        let except = except.into_iter().collect();
        let (own, places) = (self.regions.own(), self.regions.places());
        let told = Told { asking, own, prefix, except, blobs: false, places };
        told.check_version(version, "the region that asks")?;
        told.check_place(&told.prefix)?;
        Ok(told)
    }

    /// Reads off the asynchronous threads.
    async fn read<T, F>(&self, told: Told, work: F) -> Result<T, QuestionError>
    where
        T: Send + 'static,
        F: FnOnce(&Told, &Reading, PositionAnswer) -> Result<T, QuestionError> + Send + 'static,
    {
        let view = self.records.view();
        let reading = move || {
            let position = position(&view)?;
            told.check_version(position.policy_version, "the catalog here")?;
            work(&told, &view, position)
        };
        self.exec.run(reading).await
    }
}

/// What is read.
pub(super) type Reading = View<Arc<dyn Engine>>;

/// How far the catalog has come. The order matters: each of them is true of the moments of those that are read after it.
fn position(view: &Reading) -> Result<PositionAnswer, QuestionError> {
    let policy_version = view.policy_version()?;
    let clock = view.clock()?;
    let end = view.event_sequences()?.end;
    Ok(PositionAnswer { end, clock, policy_version })
}

/// What a question is about, and whether it may be told.
#[derive(Debug)]
pub(super) struct Told {
    asking: RegionId,
    own: RegionId,
    prefix: String,
    except: BTreeSet<String>,
    /// Whether it is also about blobs that no manifest uses.
    pub(super) blobs: bool,
    places: Arc<Places>,
}

impl Told {
    /// The prefix.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the question is about a repository.
    pub(super) fn is_about(&self, repository: &RepositoryName) -> bool {
        covers(&self.prefix, repository) && !prefixes(repository).any(|prefix| self.except.contains(prefix))
    }

    /// Whether a repository that the question is about may be told of.
    ///
    /// # Errors
    /// That it may not: then there is no answer at all.
    pub(super) fn check(&self, view: &Reading, repository: &RepositoryName) -> Result<(), QuestionError> {
        // What is kept from this region must not be named to it either.
        self.check_place(repository.as_str()).map_err(|_| {
            QuestionError::Behind(
                "a part of this has another place by now: the region that asks has not heard of it yet".to_owned(),
            )
        })?;
        match view.role(repository)? {
            Role::Home | Role::Fenced => Ok(()),
            Role::Replica | Role::Foreign => Err(QuestionError::Behind(format!(
                "the catalog of region {} does not go by it yet that it is the home: ask again",
                self.name(self.own)
            ))),
        }
    }

    fn check_version(&self, needed: u64, whose: &str) -> Result<(), QuestionError> {
        let known = self.places.version();
        if known >= needed {
            return Ok(());
        }
        Err(QuestionError::Behind(format!(
            "this node knows version {known} of the namespaces and {whose} version {needed}: ask again"
        )))
    }

    /// Whether what is at a prefix is this region's to tell, and the asking region's to know.
    fn check_place(&self, at: &str) -> Result<(), QuestionError> {
        match self.places.telling(self.own, self.asking, at) {
            Telling::Tells => Ok(()),
            Telling::NotHome(home) => {
                let (own, home) = (self.name(self.own), self.name(home));
                Err(QuestionError::Refused(format!("region {own} is not the home of {at:?}: region {home} is")))
            }
            Telling::NotTold => {
                let asking = self.name(self.asking);
                Err(QuestionError::Refused(format!("region {asking} is not to have a copy of {at:?}")))
            }
            Telling::Unknown => {
                Err(QuestionError::Behind("this node has not heard from the cluster's directory yet".to_owned()))
            }
        }
    }

    fn name(&self, region: RegionId) -> String {
        self.places.region(region).map_or_else(|| region.to_string(), |region| region.name.clone())
    }
}

impl From<CatalogError> for QuestionError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Unavailable { message, .. } => Self::Unavailable(message),
            CatalogError::TooLarge { message } | CatalogError::Internal { message } => Self::Internal(message),
        }
    }
}

impl From<StateError> for QuestionError {
    fn from(error: StateError) -> Self {
        CatalogError::from(error).into()
    }
}
