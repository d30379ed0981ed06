//! The home of a namespace changes, with all that is below it.
//!
//! Three steps, each of them one change of the directory: `moving` names the new home, which has a copy of everything from
//! then on; `fenced` ends writes, and the rest arrives within seconds; the home is set. What is to be done next is read
//! from the directory and both catalogs each time, so that a repetition goes on after any crash, and naming the old home
//! takes the move back.
//!
//! What holds: the home is set only from the version of the directory that was fenced and checked. Before that the old
//! home's catalog has taken that version up, and so refuses writes in the order of its log; the new one has read its feed to
//! the end after that, owes nothing, and holds as many tags and manifests. Whoever lifts the fence, lets somebody push and
//! fences again makes all of that begin again.
//!
//! A fence that lasts is lifted, here or by the catalog's leader at the home (`background::fences`): writes go on, and the
//! copy too.

use std::time::Duration;

use raft::directory::{Command, Moving, NamespaceRecord, Place};
use raft::id::RegionId;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::family::{own_homes, residency};
use super::namespace::check_prefix;
use super::place::not_founded;
use super::{Applied, Deletion, DeletionError};
use crate::admin::{HeldRequest, MoveProgress, MoveStage};

/// How long one request drives a move before it tells how far that is.
const REQUEST: Duration = Duration::from_secs(8);
/// Between two looks at what has arrived.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How long nobody writes at most.
const FENCED: Duration = Duration::from_secs(30);
/// How long lifting a fence is tried.
const LIFTING: Duration = Duration::from_mins(1);

/// What became of a request to change a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HomeChange {
    /// It is as it should be.
    Applied(Applied),
    /// Content is on its way: the same request again drives it on.
    Moving(Box<MoveProgress>),
}

/// The next thing to do about a home.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It is as it should be.
    Nothing,
    /// No content moves: this is all that changes. So a move is taken back, too.
    Set(NamespaceRecord),
    /// The new home is to get a copy.
    Begin(NamespaceRecord),
    /// It gets one: once nearly all is there, writes are to end.
    Copy(NamespaceRecord),
    /// Writes have ended: once all is there, this is set.
    Switch(NamespaceRecord),
}

/// What is to be done next. `present` is set at the prefix, `place` holds there, `inherited` holds without it.
fn step(present: &NamespaceRecord, place: &Place, inherited: RegionId, wanted: Option<RegionId>) -> Step {
    let target = wanted.unwrap_or(inherited);
    let settled = NamespaceRecord { home: wanted, moving: None, ..present.clone() };
    if target == place.home {
        return if settled == *present { Step::Nothing } else { Step::Set(settled) };
    }
    let moving = |fenced| NamespaceRecord { moving: Some(Moving { to: target, fenced }), ..present.clone() };
    match present.moving {
        Some(Moving { to, fenced: true }) if to == target => {
            let residency = residency(place, target).or(settled.residency);
            Step::Switch(NamespaceRecord { residency, ..settled })
        }
        Some(Moving { to, fenced: false }) if to == target => Step::Copy(moving(true)),
        _ => Step::Begin(moving(false)),
    }
}

/// Somebody has confirmed what was told of another version than that of now.
pub(super) fn not_of_now(confirmed: u64, version: u64) -> DeletionError {
    DeletionError::Conflict(format!(
        "namespaces or regions have changed since that was told, from version {confirmed} to {version}: look again"
    ))
}

/// What the directory says about a home that is to change.
#[derive(Debug)]
struct Situation {
    made_from: u64,
    place: Place,
    /// A shorter prefix is moving, and this one with it.
    carried: bool,
    target: RegionId,
    next: Step,
}

/// How writes came to be let in again.
#[derive(Debug)]
enum Finished {
    /// The home is the new one.
    Switched,
    /// The rest took too long.
    Lifted(Box<MoveProgress>),
    /// Somebody else has done something about it.
    Overtaken,
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

    /// Gives a prefix another home, or lets it inherit it again, and waits until that is in force. What is below it moves
    /// along: if that takes longer than a request may, it is told how far it has come, and a repetition goes on.
    pub async fn set_home(&self, prefix: &str, wanted: Option<RegionId>) -> Result<HomeChange, DeletionError> {
        check_prefix(prefix)?;
        if prefix.is_empty() && wanted.is_none() {
            return Err(DeletionError::Invalid("the root always has a home: name another one".to_owned()));
        }
        let (begun, mut told) = (Instant::now(), None);
        while begun.elapsed() < REQUEST {
            let situation = self.situation(prefix, wanted).await?;
            let (made_from, target) = (situation.made_from, situation.target);
            let set = match situation.next {
                Step::Nothing => return self.applied(prefix).await.map(HomeChange::Applied),
                Step::Set(ref record) => self.set(prefix, record.clone(), made_from).await,
                Step::Begin(ref record) => {
                    self.refuse_beginning(prefix, &situation).await?;
                    info!(namespace = prefix, to = %target, "its home begins to move");
                    self.set(prefix, record.clone(), made_from).await
                }
                Step::Copy(ref fenced) => {
                    let arrival = self.arrival(prefix, &situation.place, target, made_from).await?;
                    let nearly = arrival.nearly;
                    told = Some(self.told(&situation, MoveStage::Copying, arrival.progress));
                    if !nearly {
                        sleep(LOOK_INTERVAL).await;
                        continue;
                    }
                    self.set(prefix, fenced.clone(), made_from).await
                }
                Step::Switch(_) => {
                    told = Some(self.told(&situation, MoveStage::Fenced, MoveProgress::default()));
                    let rest = REQUEST.saturating_sub(begun.elapsed());
                    match self.finish_within(prefix, wanted, rest).await? {
                        None | Some(Finished::Switched | Finished::Overtaken) => Ok(()),
                        Some(Finished::Lifted(progress)) => return Ok(HomeChange::Moving(progress)),
                    }
                }
            };
            match set {
                // What others have changed is looked at in the next round.
                Ok(()) | Err(DeletionError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match told {
            Some(told) => Ok(HomeChange::Moving(Box::new(told))),
            None => Err(DeletionError::Conflict("others keep changing namespaces: try again".to_owned())),
        }
    }

    /// What the directory says now.
    async fn situation(&self, prefix: &str, wanted: Option<RegionId>) -> Result<Situation, DeletionError> {
        self.directory.barrier().await?;
        let view = self.directory.view();
        // The version first: what changes after it is noticed.
        let made_from = view.policy_version()?;
        let present = view.namespace(prefix)?.unwrap_or_default();
        let place = view.place_at(prefix)?.ok_or_else(not_founded)?;
        let shorter = prefix.rsplit_once('/').map_or("", |(shorter, _)| shorter);
        let inherited = view.place_at(shorter)?.ok_or_else(not_founded)?;
        let next = step(&present, &place, inherited.home, wanted);
        let carried = present.moving.is_none() && place.moving.is_some();
        Ok(Situation { made_from, place, carried, target: wanted.unwrap_or(inherited.home), next })
    }

    /// Refuses a move that cannot end well.
    async fn refuse_beginning(&self, prefix: &str, situation: &Situation) -> Result<(), DeletionError> {
        if situation.carried {
            return Err(DeletionError::Conflict(
                "the home of a shorter prefix is changing, and this one's with it: wait for it to end".to_owned(),
            ));
        }
        // Looked at again under the fence. A version that has passed is refused by the directory.
        match self.family(prefix, situation.made_from).await {
            Some(family) => self.refuse_family(&family, situation.target),
            None => Ok(()),
        }
    }

    /// Ends a move under its fence, in a task of its own: whoever asked may go away meanwhile, and the fence would stay.
    /// `None` if it has not ended within a time; it goes on.
    async fn finish_within(
        &self,
        prefix: &str,
        wanted: Option<RegionId>,
        within: Duration,
    ) -> Result<Option<Finished>, DeletionError> {
        let (this, prefix) = (self.clone(), prefix.to_owned());
        let finishing = tokio::spawn(async move { this.finish(&prefix, wanted).await });
        match timeout(within, finishing).await {
            Err(_elapsed) => Ok(None),
            Ok(Ok(finished)) => finished.map(Some),
            Ok(Err(error)) => Err(DeletionError::Internal(error.to_string())),
        }
    }

    /// Sets the new home once all is there, or lifts the fence when that takes too long.
    async fn finish(&self, prefix: &str, wanted: Option<RegionId>) -> Result<Finished, DeletionError> {
        let begun = Instant::now();
        let mut told = MoveProgress::default();
        while begun.elapsed() < FENCED {
            match self.finish_once(prefix, wanted).await {
                Ok(Ok(finished)) => return Ok(finished),
                Ok(Err(progress)) => told = progress,
                // Of a quorum that is away for a moment; it may be back before the time is over.
                Err(DeletionError::Unavailable(waits_for)) => told.waits_for = Some(waits_for),
                Err(error) => {
                    self.lift(prefix, wanted).await;
                    return Err(error);
                }
            }
            sleep(LOOK_INTERVAL).await;
        }
        self.lift(prefix, wanted).await;
        Ok(Finished::Lifted(Box::new(MoveProgress { lifted: true, stage: MoveStage::Copying, ..told })))
    }

    /// Sets the new home if all is there; tells how far it is otherwise.
    async fn finish_once(
        &self,
        prefix: &str,
        wanted: Option<RegionId>,
    ) -> Result<Result<Finished, MoveProgress>, DeletionError> {
        let situation = self.situation(prefix, wanted).await?;
        let Step::Switch(ref then) = situation.next else {
            let switched = situation.next == Step::Nothing;
            return Ok(Ok(if switched { Finished::Switched } else { Finished::Overtaken }));
        };
        let (made_from, target) = (situation.made_from, situation.target);
        let arrival = self.arrival(prefix, &situation.place, target, made_from).await?;
        if arrival.complete {
            match self.set(prefix, then.clone(), made_from).await {
                Ok(()) => {
                    info!(namespace = prefix, from = %situation.place.home, to = %target, "its home has moved");
                    return Ok(Ok(Finished::Switched));
                }
                Err(DeletionError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Err(self.told(&situation, MoveStage::Fenced, arrival.progress)))
    }

    /// Lets writes in again; the copy goes on. Should this fail, the home's catalog leader does it after a while.
    async fn lift(&self, prefix: &str, wanted: Option<RegionId>) {
        let begun = Instant::now();
        while begun.elapsed() < LIFTING {
            let lifted = async {
                let Situation { made_from, target, next: Step::Switch(_), .. } = self.situation(prefix, wanted).await?
                else {
                    return Ok(());
                };
                let present = self.directory.view().namespace(prefix)?.unwrap_or_default();
                let record = NamespaceRecord { moving: Some(Moving { to: target, fenced: false }), ..present };
                self.set(prefix, record, made_from).await
            };
            match lifted.await {
                Ok(()) => {
                    info!(namespace = prefix, "what is missing of its move takes too long, writes are let in again");
                    return;
                }
                Err(error) => warn!(%error, namespace = prefix, "the fence of its move is not lifted yet"),
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// A progress with the names of both homes.
    fn told(&self, situation: &Situation, stage: MoveStage, progress: MoveProgress) -> MoveProgress {
        let (from, to) = (self.region_name(situation.place.home), self.region_name(situation.target));
        MoveProgress { from, to, stage, ..progress }
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

    /// The prefixes below one that do not move with it.
    pub(super) fn staying(&self, prefix: &str) -> Result<Vec<String>, DeletionError> {
        Ok(own_homes(&self.directory.view(), prefix)?)
    }
}

#[cfg(test)]
mod tests {
    use raft::directory::{Elsewhere, PlaceSources, Replication, Residency};

    use super::*;

    const EU: RegionId = RegionId(1);
    const US: RegionId = RegionId(2);

    fn place(home: RegionId) -> Place {
        Place {
            home,
            residency: Residency::Home,
            elsewhere: Elsewhere::Proxy,
            replication: Replication::default(),
            moving: None,
            aside: Vec::new(),
            sources: PlaceSources::default(),
        }
    }

    fn record(home: Option<RegionId>, moving: Option<(RegionId, bool)>) -> NamespaceRecord {
        let moving = moving.map(|(to, fenced)| Moving { to, fenced });
        NamespaceRecord { home, moving, ..NamespaceRecord::default() }
    }

    #[test]
    fn a_copy_is_made_and_writes_end_before_the_home_changes() {
        let next = |present: NamespaceRecord, wanted| step(&present, &place(EU), EU, wanted);
        assert_eq!(next(record(None, None), Some(US)), Step::Begin(record(None, Some((US, false)))));
        let fenced = record(None, Some((US, true)));
        assert_eq!(next(record(None, Some((US, false))), Some(US)), Step::Copy(fenced.clone()));
        assert_eq!(next(fenced, Some(US)), Step::Switch(record(Some(US), None)));
        let third = RegionId(3);
        for begun in [(third, false), (third, true)] {
            let begins = Step::Begin(record(None, Some((US, false))));
            assert_eq!(next(record(None, Some(begun)), Some(US)), begins, "another way");
        }
    }

    #[test]
    fn a_move_is_taken_back_by_naming_the_present_home() {
        let next = |present: NamespaceRecord, wanted| step(&present, &place(EU), EU, wanted);
        for fenced in [false, true] {
            assert_eq!(next(record(None, Some((US, fenced))), Some(EU)), Step::Set(record(Some(EU), None)));
            assert_eq!(next(record(None, Some((US, fenced))), None), Step::Set(record(None, None)));
        }
        assert_eq!(next(record(Some(EU), None), Some(EU)), Step::Nothing);
        assert_eq!(next(record(None, None), None), Step::Nothing);
    }

    #[test]
    fn to_inherit_a_home_again_is_a_move_too() {
        let next = |present: NamespaceRecord| step(&present, &place(US), EU, None);
        assert_eq!(next(record(Some(US), None)), Step::Begin(record(Some(US), Some((EU, false)))));
        assert_eq!(next(record(Some(US), Some((EU, true)))), Step::Switch(record(None, None)));
    }

    #[test]
    fn the_old_home_becomes_a_copy_where_the_new_one_was_one() {
        let copies = |region| Residency::Replicated(vec![region]);
        let place = Place { residency: copies(US), ..place(EU) };
        let fenced = record(None, Some((US, true)));
        let expected = NamespaceRecord { residency: Some(copies(EU)), ..record(Some(US), None) };
        assert_eq!(step(&fenced, &place, EU, Some(US)), Step::Switch(expected), "though it is inherited");
    }
}
