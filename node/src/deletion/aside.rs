//! What a former home has that the present one lacks: it was left without an answer, and clients may have pushed there
//! until it heard of that.
//!
//! Nothing of it is overwritten and nothing goes until an operator has looked and settled it. It is compared as of a
//! version of the directory that its catalog has taken up: nothing is added there then.

use std::time::Duration;

use raft::catalog::{Digest, InvalidName, RepositoryName, StateError};
use raft::directory::Command;
use raft::id::RegionId;
use tokio::time::Instant;
use tracing::warn;

use super::family::written;
use super::home::not_of_now;
use super::namespace::check_prefix;
use super::place::not_founded;
use super::{Applied, Deletion, DeletionError};
use crate::admin::{
    AsideAnswer, AsideRegion, AsideRequest, Difference, Holding, HoldingCursor, HoldingsAnswer, HoldingsRequest,
    SettleRequest, VERSION,
};

/// How long a former home is waited for; it waits itself until its catalog has taken the last change up.
const ANSWER: Duration = Duration::from_secs(8);
/// How long the home is waited for, which waits for the former one.
const HOME_ANSWER: Duration = Duration::from_secs(15);
/// How long one request goes on comparing pages of which nothing differs.
const REQUEST: Duration = Duration::from_secs(6);
/// Tags or manifests looked at for one page.
const PAGE: usize = 1000;

type View = raft::catalog::View<std::sync::Arc<dyn storage::kv::Engine>>;

impl Deletion {
    /// A page of what a former home has that this region, the present one, lacks or has otherwise.
    pub async fn compare_aside(&self, request: &AsideRequest) -> Result<AsideAnswer, DeletionError> {
        let AsideRequest { prefix, region, after } = request;
        check_prefix(prefix)?;
        self.directory.barrier().await?;
        let view = self.directory.view();
        let policy_version = view.policy_version()?;
        let place = view.place_at(prefix)?.ok_or_else(not_founded)?;
        let mut answer = AsideAnswer {
            version: VERSION,
            prefix: prefix.clone(),
            home: self.region_name(place.home),
            policy_version,
            regions: Vec::new(),
            compared: None,
            differences: Vec::new(),
            next: None,
        };
        let wanted = after.as_ref().map(|after| &after.region).or(region.as_ref());
        let named = |region: &RegionId| wanted.is_some_and(|wanted| self.region_name(*region) == *wanted);
        let copy = place.copies().into_iter().find(named);
        if let Some(wanted) = wanted
            && copy.is_none()
            && !place.aside.iter().any(|aside| named(&aside.region))
        {
            let at = written(prefix);
            let message = format!("nothing of {at} is aside in region {wanted}, and it has no copy of it");
            return Err(DeletionError::Unknown(message));
        }
        // What a copy has of a home that was lost, and the present one lacks, is of the same interest.
        if let Some(copy) = copy {
            let name = self.region_name(copy);
            self.compare(copy, &name, prefix, policy_version, after.clone(), &mut answer).await?;
        }
        for aside in &place.aside {
            let name = self.region_name(aside.region);
            let asked = answer.compared.is_none() && wanted.is_none_or(|wanted| *wanted == name);
            let compared = if asked {
                self.compare(aside.region, &name, prefix, policy_version, after.clone(), &mut answer).await
            } else {
                Ok(())
            };
            let problem = compared.err().map(|error| error.to_string());
            answer.regions.push(AsideRegion { region: name, since_milliseconds: aside.since.0, problem });
        }
        Ok(answer)
    }

    /// Compares pages of a region with what is here until something differs.
    async fn compare(
        &self,
        region: RegionId,
        name: &str,
        prefix: &str,
        policy_version: u64,
        mut after: Option<HoldingCursor>,
        answer: &mut AsideAnswer,
    ) -> Result<(), DeletionError> {
        let (begun, except) = (Instant::now(), self.staying(prefix)?);
        loop {
            let (prefix, except) = (prefix.to_owned(), except.clone());
            let request = HoldingsRequest { prefix, except, policy_version, after: after.take() };
            let page = self.holdings_of(region, request).await?;
            answer.compared = Some(name.to_owned());
            answer.differences = self.differences(page.holdings).await?;
            answer.next = page.next.map(|next| HoldingCursor { region: name.to_owned(), ..next });
            let done = answer.next.is_none() || !answer.differences.is_empty() || begun.elapsed() >= REQUEST;
            if done {
                return Ok(());
            }
            after.clone_from(&answer.next);
        }
    }

    /// A page of what a former home holds, once nothing is added there any more.
    async fn holdings_of(&self, region: RegionId, request: HoldingsRequest) -> Result<HoldingsAnswer, DeletionError> {
        let page: HoldingsAnswer = self.ask(region, "/namespace/holdings", &request, ANSWER).await?;
        if page.in_force {
            return Ok(page);
        }
        Err(DeletionError::Unavailable(format!(
            "the catalog of region {} has not heard yet that it is the home no more: somebody may still push there; try \
             again",
            self.region_name(region)
        )))
    }

    /// What of this is not here, or otherwise.
    async fn differences(&self, holdings: Vec<Holding>) -> Result<Vec<Difference>, DeletionError> {
        self.read(move |view| {
            let mut differences = Vec::new();
            for holding in holdings {
                if let Some(difference) = difference(view, holding)? {
                    differences.push(difference);
                }
            }
            Ok(differences)
        })
        .await
    }

    /// The same for a region that asks: the namespace's home alone is told.
    pub async fn holdings_for(
        &self,
        asking: RegionId,
        request: HoldingsRequest,
    ) -> Result<HoldingsAnswer, DeletionError> {
        check_prefix(&request.prefix)?;
        self.wait_in_force(request.policy_version).await?;
        let place = self.directory.view().place_at(&request.prefix)?.ok_or_else(not_founded)?;
        if place.home == asking {
            return self.holdings(request).await;
        }
        let (at, name) = (written(&request.prefix), self.region_name(asking));
        Err(DeletionError::Unavailable(format!("region {name} is not the home of {at}, as far as is known here")))
    }

    /// A page of what this region holds below a prefix, once a version of the policies is in force.
    pub async fn holdings(&self, request: HoldingsRequest) -> Result<HoldingsAnswer, DeletionError> {
        let HoldingsRequest { prefix, except, policy_version, after } = request;
        check_prefix(&prefix)?;
        let in_force = self.wait_in_force(policy_version).await?;
        let digest = after.as_ref().and_then(|after| after.digest.as_deref()).map(str::parse).transpose();
        let digest: Option<Digest> = digest.map_err(|error: InvalidName| DeletionError::Invalid(error.to_string()))?;
        self.read(move |view| {
            let mut reader = Holdings { view, prefix: &prefix, except: &except, found: Vec::new() };
            let next = match after {
                Some(after) if after.tags_told => reader.manifests(after.repository, digest)?,
                after => reader.tags(after)?,
            };
            Ok(HoldingsAnswer { version: VERSION, in_force, holdings: reader.found, next })
        })
        .await
    }

    /// Gives up what a former home has: from then on it is what the residency says, a copy or nothing.
    pub async fn settle_aside(&self, request: &SettleRequest) -> Result<Applied, DeletionError> {
        let SettleRequest { prefix, region: name, policy_version, unseen } = request;
        check_prefix(prefix)?;
        let region = self.region_named(name).await?;
        let version = self.directory.view().policy_version()?;
        if version != *policy_version {
            return Err(not_of_now(*policy_version, version));
        }
        if !unseen && let Some(problem) = self.uncompared(prefix, name).await? {
            return Err(DeletionError::Conflict(format!(
                "{problem}. What region {name} has of {at} that the home lacks cannot be told; if it is never coming back, or \
                 that does not matter, say --unseen",
                at = written(prefix)
            )));
        }
        self.change(Command::SettleAside { prefix: prefix.clone(), region, made_from: version }).await?;
        warn!(namespace = prefix, region = name, "what its former home has was given up");
        self.applied(prefix).await
    }
}

impl Deletion {
    /// Why what a former home has cannot be compared at the present one.
    async fn uncompared(&self, prefix: &str, region: &str) -> Result<Option<String>, DeletionError> {
        let home = self.directory.view().place_at(prefix)?.ok_or_else(not_founded)?.home;
        let look = AsideRequest { prefix: prefix.to_owned(), region: Some(region.to_owned()), after: None };
        let found = if home == self.regions.own() {
            self.compare_aside(&look).await?
        } else {
            self.ask::<AsideAnswer>(home, "/namespace/aside", &look, HOME_ANSWER).await?
        };
        if found.compared.is_some() {
            return Ok(None);
        }
        let problem = found.regions.into_iter().find(|aside| aside.region == region).and_then(|aside| aside.problem);
        Ok(Some(problem.unwrap_or_else(|| format!("nothing of {} is aside in region {region}", written(prefix)))))
    }
}

/// What of a holding is not here, or otherwise.
fn difference(view: &View, holding: Holding) -> Result<Option<Difference>, StateError> {
    let Holding { repository, tag, digest, pushed_milliseconds } = holding;
    let here = tag.as_ref().map(|tag| view.tag(&repository, tag)).transpose()?.flatten();
    let parsed = digest.parse::<Digest>().ok();
    let manifest_at_home = match &parsed {
        Some(digest) => view.manifest(&repository, digest)?.is_some(),
        None => false,
    };
    let same = match (&tag, &here) {
        (None, _) => manifest_at_home,
        (Some(_), here) => here.as_ref().map(|here| here.digest) == parsed && parsed.is_some(),
    };
    let (at_home, at_home_milliseconds) =
        here.map_or((None, None), |here| (Some(here.digest.to_string()), Some(here.updated.0)));
    Ok((!same).then_some(Difference {
        repository,
        tag,
        digest,
        pushed_milliseconds,
        at_home,
        at_home_milliseconds,
        manifest_at_home,
    }))
}

/// Reads a page of what is below a prefix.
struct Holdings<'a> {
    view: &'a View,
    prefix: &'a str,
    except: &'a [String],
    found: Vec<Holding>,
}

impl Holdings<'_> {
    /// Whether a repository is below a prefix that does not count.
    fn excepted(&self, repository: &RepositoryName) -> bool {
        let covers = |except: &String| {
            let rest = repository.as_str().strip_prefix(except.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.except.iter().any(covers)
    }

    /// Tags, behind a cursor.
    fn tags(&mut self, after: Option<HoldingCursor>) -> Result<Option<HoldingCursor>, StateError> {
        let after = after.and_then(|after| after.repository.zip(after.tag));
        let page = self.view.tags_below(self.prefix, after.as_ref(), PAGE)?;
        let last = page.last().filter(|_| page.len() == PAGE).map(|(last, _)| last.clone());
        for ((repository, tag), record) in page {
            if !self.excepted(&repository) {
                let (digest, pushed_milliseconds) = (record.digest.to_string(), record.updated.0);
                self.found.push(Holding { repository, tag: Some(tag), digest, pushed_milliseconds });
            }
        }
        let start = HoldingCursor { region: String::new(), repository: None, tag: None, tags_told: true, digest: None };
        Ok(Some(match last {
            Some((repository, tag)) => {
                HoldingCursor { repository: Some(repository), tag: Some(tag), tags_told: false, ..start }
            }
            None => start,
        }))
    }

    /// Manifests that nothing holds, of the rest of a repository and of those behind it.
    fn manifests(
        &mut self,
        mut repository: Option<RepositoryName>,
        mut digest: Option<Digest>,
    ) -> Result<Option<HoldingCursor>, StateError> {
        let mut left = PAGE;
        loop {
            // Behind the last manifest of a repository the next one begins.
            let current = match (repository.take(), digest) {
                (Some(repository), Some(_)) => repository,
                (after, _) => match self.view.repositories_below(self.prefix, after.as_ref(), 1)?.pop() {
                    Some(next) => next,
                    None => return Ok(None),
                },
            };
            let rows = if self.excepted(&current) {
                Vec::new()
            } else {
                self.view.manifests_of(&current, digest.take().as_ref(), left)?
            };
            let whole = rows.len() < left;
            left = left.saturating_sub(rows.len().max(1));
            digest = rows.last().filter(|_| !whole).map(|(last, _)| *last);
            for (found, record) in rows {
                let held = record.tags > 0 || !self.view.parents(&current, &found, None, 1)?.is_empty();
                if !held {
                    let (digest, pushed_milliseconds) = (found.to_string(), record.pushed.0);
                    self.found.push(Holding { repository: current.clone(), tag: None, digest, pushed_milliseconds });
                }
            }
            repository = Some(current);
            if left == 0 {
                let digest = digest.map(|digest| digest.to_string());
                return Ok(Some(HoldingCursor {
                    region: String::new(),
                    repository,
                    tag: None,
                    tags_told: true,
                    digest,
                }));
            }
        }
    }
}
