//! The home of a namespace changes while nothing is below it.
//!
//! From the moment that the directory names the new home in `moving`, the catalog of the old one refuses writes, in the
//! order of its log. So what is counted there once it has taken that up is all that there will be. The home is set only
//! if the directory has not changed since: whoever takes the move back, lets somebody push, and begins again, makes the
//! count begin again too. A crash in between leaves `moving`, which a repetition ends.

use std::time::Duration;

use http::{Method, StatusCode};
use raft::catalog::StateError;
use raft::directory::{Command, NamespaceRecord, Place, View};
use raft::id::RegionId;
use raft::policy::is_prefix;
use serde::{Deserialize, Serialize};

use super::namespace::{EDITS_MAX, check_prefix};
use super::place::not_founded;
use super::{Applied, Deletion, DeletionError};
use crate::admin::{ErrorAnswer, HeldAnswer, HeldRequest, VERSION};
use crate::peer::AdminRequest;

/// How long another region's answer is waited for; it waits itself until its catalog has taken the change up.
const ANSWER: Duration = Duration::from_secs(14);

/// What a region holds below a prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Whether its catalog has taken up the version of the policies that was asked about: only then the rest is final.
    pub in_force: bool,
    /// Repositories, those included of which only the blobs of a push under way are there, or of a deleted image whose
    /// grace is not over.
    pub repositories: u64,
}

/// The next thing to do about a home.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It is as it should be.
    Nothing,
    /// Nothing moves: this is all that changes.
    Set(NamespaceRecord),
    /// Writes are to end.
    Fence(NamespaceRecord),
    /// Writes have ended: if nothing is at the old home, this is set.
    Look {
        /// Its home until then.
        old: RegionId,
        /// Its home then.
        new: RegionId,
        /// What is to be set then.
        then: NamespaceRecord,
    },
}

/// What is to be done next. `present` is set at the prefix, `place` holds there, `inherited` holds without it.
fn step(present: &NamespaceRecord, place: &Place, inherited: RegionId, wanted: Option<RegionId>) -> Step {
    let target = wanted.unwrap_or(inherited);
    let settled = NamespaceRecord { home: wanted, moving: None, ..present.clone() };
    if target == place.home {
        return if settled == *present { Step::Nothing } else { Step::Set(settled) };
    }
    if present.moving != Some(target) {
        return Step::Fence(NamespaceRecord { moving: Some(target), ..present.clone() });
    }
    Step::Look { old: place.home, new: target, then: settled }
}

impl Deletion {
    /// The region of this name.
    pub async fn region_named(&self, name: &str) -> Result<RegionId, DeletionError> {
        self.directory.barrier().await?;
        let view = self.directory.view();
        if let Some((region, _)) = view.region_named(name)? {
            return Ok(region);
        }
        let known: Vec<String> = view.regions()?.into_iter().map(|(_, region)| region.name).collect();
        Err(DeletionError::Invalid(format!(
            "there is no region {name:?}, there are {}: regnode region list tells of them",
            known.join(", ")
        )))
    }

    /// Gives a prefix another home, or lets it inherit it again, and waits until that is in force. Refused while anything
    /// is below the prefix at its present home.
    pub async fn set_home(&self, prefix: &str, wanted: Option<RegionId>) -> Result<Applied, DeletionError> {
        check_prefix(prefix)?;
        if prefix.is_empty() && wanted.is_none() {
            return Err(DeletionError::Invalid("the root always has a home: name another one".to_owned()));
        }
        for _ in 0..EDITS_MAX {
            self.directory.barrier().await?;
            let view = self.directory.view();
            // The version first: what changes after it is noticed.
            let made_from = view.policy_version()?;
            let present = view.namespace(prefix)?.unwrap_or_default();
            let place = view.place_at(prefix)?.ok_or_else(not_founded)?;
            let shorter = prefix.rsplit_once('/').map_or("", |(shorter, _)| shorter);
            let inherited = view.place_at(shorter)?.ok_or_else(not_founded)?;
            let next = step(&present, &place, inherited.home, wanted);
            let record = match next {
                Step::Nothing => return self.applied(prefix).await,
                Step::Set(record) => record,
                Step::Fence(record) => {
                    if present.moving.is_none() && place.moving.is_some() {
                        return Err(DeletionError::Conflict(
                            "the home of a shorter prefix is changing, and this one's with it: wait for it to end"
                                .to_owned(),
                        ));
                    }
                    match self.set(prefix, record, made_from).await {
                        Ok(()) | Err(DeletionError::Conflict(_)) => continue,
                        Err(error) => return Err(error),
                    }
                }
                Step::Look { old, new, then } => {
                    let except = own_homes(&view, prefix)?;
                    let held =
                        self.held_in(old, HeldRequest { prefix: prefix.to_owned(), policy_version: made_from, except });
                    let refused = match held.await {
                        Ok(held) => self.refuse_move(prefix, old, new, held),
                        Err(error) => Some(error),
                    };
                    if let Some(refused) = refused {
                        self.take_back(prefix, new).await;
                        return Err(refused);
                    }
                    then
                }
            };
            match self.set(prefix, record, made_from).await {
                Err(DeletionError::Conflict(_)) => {}
                Err(error) => return Err(error),
                Ok(()) => return self.applied(prefix).await,
            }
        }
        Err(DeletionError::Conflict("others keep changing namespaces: try again".to_owned()))
    }

    async fn set(&self, prefix: &str, record: NamespaceRecord, made_from: u64) -> Result<(), DeletionError> {
        self.change(Command::SetNamespace { prefix: prefix.to_owned(), record, made_from }).await
    }

    /// What a change at a prefix has made, once it is in force in this region and at the prefix's home.
    pub(super) async fn applied(&self, prefix: &str) -> Result<Applied, DeletionError> {
        self.directory.barrier().await?;
        let view = self.directory.view();
        let version = view.policy_version()?;
        let home = view.place_at(prefix)?.map(|place| place.home);
        let here = self.wait_in_force(version).await?;
        let Some(home) = home.filter(|home| *home != self.regions.own()) else {
            return Ok(Applied { version, in_force: here });
        };
        // Nothing is asked about but the version.
        let request = HeldRequest { prefix: String::new(), policy_version: version, except: Vec::new() };
        let there = self.held_in(home, request).await.is_ok_and(|held| held.in_force);
        Ok(Applied { version, in_force: here && there })
    }

    /// Why a namespace cannot move.
    fn refuse_move(&self, prefix: &str, old: RegionId, new: RegionId, held: Held) -> Option<DeletionError> {
        let name = |id: RegionId| self.regions.region(id).map_or_else(|| id.to_string(), |region| region.name);
        let (from, to) = (name(old), name(new));
        let prefix = if prefix.is_empty() { "/" } else { prefix };
        if !held.in_force {
            return Some(DeletionError::Unavailable(format!(
                "the catalog of region {from} has not taken the change up in time, so that somebody may still push there: \
                 the home of {prefix} stays; try again"
            )));
        }
        let what = match held.repositories {
            0 => return None,
            1 => "1 repository".to_owned(),
            repositories => format!("{repositories} repositories"),
        };
        Some(DeletionError::Conflict(format!(
            "{prefix} holds {what} in region {from}: its home can become {to} only while nothing is below it; delete what \
             is there and wait until its grace is over (regnode gc status), or choose another prefix"
        )))
    }

    /// Ends a move that cannot be made. Should this fail, `moving` stays, and is told by regnode namespace show.
    async fn take_back(&self, prefix: &str, new: RegionId) {
        let edit = |present: NamespaceRecord| {
            let moving = present.moving.filter(|moving| *moving != new);
            Ok(NamespaceRecord { moving, ..present })
        };
        if let Err(error) = self.edit_namespace(prefix, edit).await {
            tracing::warn!(%error, namespace = prefix, "a change of its home is neither made nor taken back");
        }
    }

    /// What a region holds below a prefix, asked there.
    async fn held_in(&self, region: RegionId, request: HeldRequest) -> Result<Held, DeletionError> {
        if region == self.regions.own() {
            return self.held(&request.prefix, &request.except, request.policy_version).await;
        }
        let unknown = || DeletionError::Unavailable(format!("region {region} is not known here yet: try again"));
        let region = self.regions.region(region).ok_or_else(unknown)?;
        let body = serde_json::to_vec(&request).map_err(|error| DeletionError::Internal(error.to_string()))?;
        let request = AdminRequest { method: Method::POST, path: "/namespace/held".to_owned(), body: body.into() };
        let answer = self.regions.administer(&region, request, ANSWER).await;
        let answer = answer.map_err(|error| DeletionError::Unavailable(error.to_string()))?;
        if answer.status != StatusCode::OK {
            let error = serde_json::from_slice::<ErrorAnswer>(&answer.body).map(|answer| answer.error);
            let error = error.unwrap_or_else(|_| format!("it answers {}", answer.status));
            return Err(DeletionError::Unavailable(format!("region {}: {error}", region.name)));
        }
        let answer = serde_json::from_slice::<HeldAnswer>(&answer.body);
        answer.map(|HeldAnswer { held, .. }| held).map_err(|error| DeletionError::Internal(error.to_string()))
    }

    /// What this region holds below a prefix but not below some longer ones, once a version of the policies is in force.
    pub async fn held(&self, prefix: &str, except: &[String], version: u64) -> Result<Held, DeletionError> {
        check_prefix(prefix)?;
        if let Some(malformed) = except.iter().find(|except| !is_prefix(except)) {
            return Err(DeletionError::Invalid(format!("{malformed:?} is not a namespace")));
        }
        let in_force = self.wait_in_force(version).await?;
        let (prefix, except) = (prefix.to_owned(), except.to_vec());
        self.read(move |view| {
            let mut repositories = view.usage(&prefix)?.repositories;
            for except in &except {
                repositories = repositories.saturating_sub(view.usage(except)?.repositories);
            }
            Ok(Held { in_force, repositories })
        })
        .await
    }
}

/// The shortest prefixes below one that have a home of their own: they do not move with it.
fn own_homes<S: raft::machine::State>(view: &View<S>, prefix: &str) -> Result<Vec<String>, StateError> {
    const PAGE: usize = 512;
    let inner = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let mut found: Vec<String> = Vec::new();
    let mut after = Some(prefix.to_owned());
    loop {
        let page = view.namespaces(after.as_deref(), PAGE)?;
        let end = page.len() < PAGE;
        after = page.last().map(|(last, _)| last.clone()).or(after);
        for (at, record) in page {
            let covered =
                |shorter: &String| at.strip_prefix(shorter.as_str()).is_some_and(|rest| rest.starts_with('/'));
            if at.starts_with(&inner) && record.home.is_some() && !found.iter().any(covered) {
                found.push(at);
            }
        }
        if end {
            return Ok(found);
        }
    }
}

impl From<Held> for HeldAnswer {
    fn from(held: Held) -> Self {
        Self { version: VERSION, held }
    }
}

#[cfg(test)]
mod tests {
    use raft::directory::{Elsewhere, PlaceSources, Residency};

    use super::*;

    const EU: RegionId = RegionId(1);
    const US: RegionId = RegionId(2);

    fn place(home: RegionId) -> Place {
        let (residency, sources) = (Residency::Home, PlaceSources::default());
        Place { home, residency, elsewhere: Elsewhere::Proxy, moving: None, sources }
    }

    fn record(home: Option<RegionId>, moving: Option<RegionId>) -> NamespaceRecord {
        NamespaceRecord { home, moving, ..NamespaceRecord::default() }
    }

    #[test]
    fn writes_end_before_anybody_counts() {
        let next = |present: NamespaceRecord, wanted| step(&present, &place(EU), EU, wanted);
        assert_eq!(next(record(None, None), Some(US)), Step::Fence(record(None, Some(US))));
        let then = record(Some(US), None);
        assert_eq!(next(record(None, Some(US)), Some(US)), Step::Look { old: EU, new: US, then });
        let third = RegionId(3);
        assert_eq!(next(record(None, Some(third)), Some(US)), Step::Fence(record(None, Some(US))), "another way");
    }

    #[test]
    fn a_move_is_taken_back_by_naming_the_present_home() {
        let next = |present: NamespaceRecord, wanted| step(&present, &place(EU), EU, wanted);
        assert_eq!(next(record(None, Some(US)), Some(EU)), Step::Set(record(Some(EU), None)));
        assert_eq!(next(record(None, Some(US)), None), Step::Set(record(None, None)));
        assert_eq!(next(record(Some(EU), None), Some(EU)), Step::Nothing);
        assert_eq!(next(record(None, None), None), Step::Nothing);
    }

    #[test]
    fn to_inherit_a_home_again_is_a_move_too() {
        let next = |present: NamespaceRecord| step(&present, &place(US), EU, None);
        assert_eq!(next(record(Some(US), None)), Step::Fence(record(Some(US), Some(EU))));
        assert_eq!(next(record(Some(US), Some(EU))), Step::Look { old: US, new: EU, then: record(None, None) });
    }
}
