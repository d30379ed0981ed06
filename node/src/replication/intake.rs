//! What the source says becomes debts: a survey of all that it has first, then its events.
//!
//! Each answer is taken in by one command, which names the position that it builds on; another node that leads meanwhile
//! takes in the same, and one of the two is refused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{
    AdvanceReplication, Command, DEBTS_MAX, DEBTS_PER_COMMAND, DebtItem, Digest, NewDebt, ReplicationPosition,
    ReplicationRecord, ReplicationStage, RepositoryName, Response, SettleDebts, SettledDebt, StateError,
};
use raft::time::Timestamp;
use tokio::time::{Instant, sleep};
use tracing::{debug, info};

use super::scope::Wanted;
use super::state::ScopeState;
use super::survey::{owed, resumed, stage_after};
use super::trouble::Trouble;
use super::upstream::Upstream;
use super::{FeedAnswer, FeedEvent, PositionQuestion, SurveyCursor};
use crate::gateway::core::Core;

/// Rest between two questions when there is nothing more to hear.
const POLL: Duration = Duration::from_secs(1);
/// Rest when the source or the own catalog has to be waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How far a copy in which nothing happens has come is written down as often.
const WRITE_DOWN: Duration = Duration::from_secs(5);
/// Events without a debt after which it is written down at once.
const UNWRITTEN_MAX: u64 = 8192;
/// Most of what a survey compares by one question.
const SURVEYED_AT_ONCE: u32 = 1024;
const _: () = assert!(SURVEYED_AT_ONCE as usize == DEBTS_PER_COMMAND, "what it finds fits into one command");

/// What an answer of the feed means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The source has forgotten events that were not heard: only a survey helps.
    Lost,
    /// What is to be taken in.
    Page(Page),
}

/// A page of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The first event that it does not cover.
    pub(super) cursor: u64,
    /// Events behind it.
    pub(super) behind: u64,
    /// The source's time up to which everything is taken in then.
    pub(super) heard: Timestamp,
    /// What is owed by it.
    pub(super) debts: Vec<NewDebt>,
}

/// Manifests of a repository.
type Listed = BTreeSet<(RepositoryName, Digest)>;

/// What an answer means where everything up to `heard` was taken in before, and indexes that are here list some manifests.
pub(super) fn heard(wanted: &Wanted, heard: Timestamp, answer: FeedAnswer, listed: &Listed) -> Heard {
    if answer.lost {
        return Heard::Lost;
    }
    let FeedAnswer { cursor_next, end, clock, events, .. } = answer;
    let heard = if cursor_next >= end {
        clock
    } else {
        // More events may have the time of the last one.
        events.last().map_or(heard, |last| Timestamp(last.time.0.saturating_sub(1)).max(heard))
    };
    let is_listed = |event: &FeedEvent| match event.item {
        DebtItem::Manifest { digest } => listed.contains(&(event.repository.clone(), digest)),
        _ => false,
    };
    let is_taken = |event: &FeedEvent| wanted.takes(&event.item) || is_listed(event);
    let taken = events.into_iter().filter(|event| wanted.holds(&event.repository) && is_taken(event));
    let debt = |event: FeedEvent| NewDebt {
        repository: event.repository,
        item: event.item,
        time: event.time,
        length_bytes: event.length_bytes,
    };
    let debts = taken.map(debt).collect();
    Heard::Page(Page { cursor: cursor_next, behind: end.saturating_sub(cursor_next), heard, debts })
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more to hear.
    More,
    /// There is not, for now.
    Rest,
}

/// What is remembered between two steps, of one round.
#[derive(Debug, Default)]
struct Memory {
    /// The round.
    round: u64,
    /// Where the survey goes on.
    surveyed: Option<SurveyCursor>,
    /// Where the feed is read on, ahead of what is written down.
    cursor: Option<u64>,
    /// When it was written down last.
    written: Option<Instant>,
}

/// Hears the source of one scope.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    core: &'a Arc<Core>,
    upstream: &'a dyn Upstream,
    wanted: &'a Wanted,
    state: &'a ScopeState,
    memory: Memory,
}

impl<'a> Intake<'a> {
    pub(super) fn new(
        core: &'a Arc<Core>,
        upstream: &'a dyn Upstream,
        wanted: &'a Wanted,
        state: &'a ScopeState,
    ) -> Self {
        Self { core, upstream, wanted, state, memory: Memory::default() }
    }

    /// Hears for ever.
    pub(super) async fn run(&mut self) {
        loop {
            match self.step().await {
                Ok(Next::More) => {}
                Ok(Next::Rest) => sleep(POLL).await,
                Err(trouble) => {
                    debug!(%trouble, source = self.wanted.source.name, "a copy has to wait");
                    // Whatever was refused: what is known may be old.
                    self.memory = Memory::default();
                    self.state.asking_waits(trouble.to_string());
                    sleep(PATIENCE).await;
                }
            }
        }
    }

    /// Asks once, and takes the answer in.
    pub(super) async fn step(&mut self) -> Result<Next, Trouble> {
        let record = self.core.records.view().replication(self.wanted.source.id, &self.wanted.prefix)?;
        let round = record.as_ref().map_or(0, |record| record.round);
        if self.memory.round != round {
            // Somebody else has begun it, and what was compared in another one says nothing.
            self.memory = Memory { round, ..Memory::default() };
        }
        match record {
            Some(record) if record.scope == self.wanted.scope => match record.stage.clone() {
                ReplicationStage::Surveying { after } => self.survey(&record, after.as_ref()).await,
                ReplicationStage::Following => self.follow(&record).await,
                ReplicationStage::Void => self.begin(Some(&record)).await,
            },
            record => self.begin(record.as_ref()).await,
        }
    }

    fn policy_version(&self) -> Result<u64, Trouble> {
        let scopes = self.upstream.scopes();
        scopes.map(|scopes| scopes.policy_version).ok_or_else(|| Trouble::wait("the directory is not known yet"))
    }

    /// Version of the directory by which just this is to be copied: nothing is begun for what another version asks for.
    fn asked_for(&self) -> Result<u64, Trouble> {
        let (scopes, own) = (self.upstream.scopes(), self.upstream.own());
        let found = scopes.filter(|scopes| {
            let same = scopes.scopes.iter().filter(|scope| scope.prefix == self.wanted.prefix);
            same.cloned().any(|scope| Wanted::of(scope, own) == *self.wanted)
        });
        found.map(|scopes| scopes.policy_version).ok_or_else(|| Trouble::wait("something else is to be copied by now"))
    }

    /// Begins a survey of everything. What the feed tells from now on is for afterwards.
    async fn begin(&mut self, record: Option<&ReplicationRecord>) -> Result<Next, Trouble> {
        let policy_version = self.asked_for()?;
        let question = PositionQuestion { prefix: self.wanted.prefix.clone(), policy_version };
        let position = self.upstream.position(&self.wanted.source, question).await?;
        self.memory = Memory::default();
        let (stage, cursor, round) = (ReplicationStage::Surveying { after: None }, position.end, 0);
        let scope = self.wanted.scope.clone();
        let next = ReplicationPosition { scope, stage, cursor, round };
        self.propose(record, next, policy_version, position.clock, Vec::new()).await?;
        self.state.answered(0);
        info!(namespace = self.wanted.prefix, source = self.wanted.source.name, "a copy is compared with its source");
        Ok(Next::More)
    }

    /// Compares a page.
    async fn survey(&mut self, record: &ReplicationRecord, after: Option<&RepositoryName>) -> Result<Next, Trouble> {
        if self.forget_debts(record).await? {
            return Ok(Next::More);
        }
        if record.debts.saturating_add(u64::from(SURVEYED_AT_ONCE)) > DEBTS_MAX {
            return Ok(Next::Rest);
        }
        let from = self.memory.surveyed.clone().or_else(|| resumed(after));
        let question = self.wanted.survey(self.policy_version()?, from.clone(), SURVEYED_AT_ONCE);
        let mut page = self.upstream.survey(&self.wanted.source, question).await?;
        let (view, wanted) = (self.core.records.view(), self.wanted.clone());
        let compared = self.core.exec.run(move || -> Result<_, StateError> {
            let debts = owed(&wanted, &view, from.as_ref(), &mut page)?;
            Ok((debts, page))
        });
        let (mut debts, page) = compared.await?;
        let (next, behind) = (page.next.clone(), page.end.saturating_sub(record.cursor));
        let mut position = record.clone();
        // All but the last of the commands leave the survey where it stands.
        while debts.len() > DEBTS_PER_COMMAND {
            let rest = debts.split_off(DEBTS_PER_COMMAND);
            let stage = position.stage.clone();
            self.advance(&position, stage, record.cursor, record.heard, debts).await?;
            self.room().await?;
            debts = rest;
        }
        position.stage = stage_after(after, &page);
        self.advance(record, position.stage.clone(), record.cursor, record.heard, debts).await?;
        self.state.answered(behind);
        self.state.owed.notify_one();
        self.memory.surveyed = next;
        if position.stage == ReplicationStage::Following {
            self.memory = Memory { round: record.round, ..Memory::default() };
            let (namespace, source) = (&self.wanted.prefix, &self.wanted.source.name);
            info!(namespace, source, "a copy was compared with its source, whose changes are followed now");
        }
        Ok(Next::More)
    }

    /// What was owed before a survey is found again by it, if it is still owed. False if nothing of it is left.
    async fn forget_debts(&self, record: &ReplicationRecord) -> Result<bool, Trouble> {
        let (source, prefix, round) = (self.wanted.source.id, self.wanted.prefix.clone(), record.round);
        let first = self.core.records.view().debts(source, &prefix, None, 1)?;
        if first.first().is_none_or(|(number, _)| *number >= round) {
            return Ok(false);
        }
        let debts = self.core.records.view().debts(source, &prefix, None, DEBTS_PER_COMMAND)?;
        let former = debts.into_iter().map(|(number, _)| number).filter(|number| *number < round);
        let settled = former.map(|number| SettledDebt { number, bytes: 0 }).collect();
        let command = SettleDebts { source, prefix, round, settled, failed: Vec::new() };
        match self.core.propose(Command::SettleDebts(command)).await? {
            Response::Count { .. } => Ok(true),
            response => Err(Trouble::of(&response)),
        }
    }

    /// Waits until more debts can be taken in.
    async fn room(&self) -> Result<(), Trouble> {
        loop {
            let record = self.core.records.view().replication(self.wanted.source.id, &self.wanted.prefix)?;
            let debts = record.map_or(0, |record| record.debts);
            if debts.saturating_add(DEBTS_PER_COMMAND as u64) <= DEBTS_MAX {
                return Ok(());
            }
            sleep(POLL).await;
        }
    }

    /// Takes in what has happened.
    async fn follow(&mut self, record: &ReplicationRecord) -> Result<Next, Trouble> {
        let room = DEBTS_MAX.saturating_sub(record.debts).min(DEBTS_PER_COMMAND as u64);
        if room == 0 {
            return Ok(Next::Rest);
        }
        let cursor = self.memory.cursor.unwrap_or(record.cursor).max(record.cursor);
        let room = usize::try_from(room).unwrap_or(DEBTS_PER_COMMAND);
        let question = self.wanted.feed(self.policy_version()?, cursor, room);
        let answer = self.upstream.feed(&self.wanted.source, question).await?;
        let listed = self.listed(&answer)?;
        let page = match heard(self.wanted, record.heard, answer, &listed) {
            Heard::Page(page) => page,
            Heard::Lost => {
                info!(namespace = self.wanted.prefix, "the source has forgotten what this copy has not heard yet");
                return self.begin(Some(record)).await;
            }
        };
        if self.is_written(record, &page) {
            let owes = !page.debts.is_empty();
            let stage = ReplicationStage::Following;
            self.advance(record, stage, page.cursor, page.heard, page.debts).await?;
            self.memory.written = Some(Instant::now());
            if owes {
                self.state.owed.notify_one();
            }
        }
        self.memory.cursor = Some(page.cursor);
        self.state.answered(page.behind);
        Ok(if page.behind > 0 { Next::More } else { Next::Rest })
    }

    /// Manifests of an answer that an index here lists: where not everything is copied, an index may have come before them.
    fn listed(&self, answer: &FeedAnswer) -> Result<Listed, Trouble> {
        let (view, mut listed) = (self.core.records.view(), Listed::new());
        for FeedEvent { repository, item, .. } in &answer.events {
            if let DebtItem::Manifest { digest } = item
                && !self.wanted.takes(item)
                && !view.parents(repository, digest, None, 1)?.is_empty()
            {
                listed.insert((repository.clone(), *digest));
            }
        }
        Ok(listed)
    }

    /// Whether a page is written down now. One without a debt can wait.
    fn is_written(&self, record: &ReplicationRecord, page: &Page) -> bool {
        let changes = page.cursor != record.cursor || page.heard > record.heard;
        let is_due = self.memory.written.is_none_or(|at| at.elapsed() >= WRITE_DOWN);
        let many = page.cursor.saturating_sub(record.cursor) > UNWRITTEN_MAX;
        !page.debts.is_empty() || (changes && (is_due || many))
    }

    /// Moves the replication on, in its round.
    async fn advance(
        &self,
        record: &ReplicationRecord,
        stage: ReplicationStage,
        cursor: u64,
        heard: Timestamp,
        debts: Vec<NewDebt>,
    ) -> Result<(), Trouble> {
        let (scope, round) = (self.wanted.scope.clone(), record.round);
        let next = ReplicationPosition { scope, stage, cursor, round };
        self.propose(Some(record), next, self.policy_version()?, heard, debts).await
    }

    async fn propose(
        &self,
        record: Option<&ReplicationRecord>,
        next: ReplicationPosition,
        policy_version: u64,
        heard: Timestamp,
        debts: Vec<NewDebt>,
    ) -> Result<(), Trouble> {
        let advance = AdvanceReplication {
            source: self.wanted.source.id,
            prefix: self.wanted.prefix.clone(),
            expected: record.map(ReplicationRecord::position),
            next,
            policy_version,
            heard,
            debts,
        };
        match self.core.propose(Command::AdvanceReplication(advance)).await? {
            Response::Done => Ok(()),
            response => Err(Trouble::of(&response)),
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::catalog::{Algorithm, ReplicationScope};
    use raft::id::RegionId;

    use super::*;
    use crate::regions::Region;
    use crate::registry::compute;

    fn wanted(tags: &[&str], follows_deletes: bool) -> Wanted {
        let tags = tags.iter().map(|pattern| pattern.parse().unwrap()).collect();
        Wanted {
            prefix: "acme".to_owned(),
            source: Region { id: RegionId(1), name: "eu".to_owned(), public_url: None },
            except: Vec::new(),
            scope: ReplicationScope { tags, deletes: follows_deletes, ..ReplicationScope::default() },
            follows_deletes,
            settled: true,
            priority: 5,
        }
    }

    fn event(sequence: u64, item: DebtItem) -> FeedEvent {
        let repository = "acme/app".parse().unwrap();
        FeedEvent { sequence, time: Timestamp(100 + sequence), repository, item, length_bytes: 7 }
    }

    fn answer(cursor_next: u64, end: u64, events: Vec<FeedEvent>) -> FeedAnswer {
        FeedAnswer { cursor_next, end, clock: Timestamp(900), lost: false, policy_version: 1, events }
    }

    fn page(wanted: &Wanted, answer: FeedAnswer) -> Page {
        match heard(wanted, Timestamp(50), answer, &Listed::new()) {
            Heard::Page(page) => page,
            Heard::Lost => panic!("lost"),
        }
    }

    #[test]
    fn events_become_debts_where_they_are_wanted() {
        let digest = compute(Algorithm::Sha256, b"a");
        let tag = |text: &str| DebtItem::Tag { tag: text.parse().unwrap(), digest };
        let gone = DebtItem::TagGone { tag: "v1".parse().unwrap() };
        let events = || {
            vec![
                event(3, DebtItem::Manifest { digest }),
                event(4, tag("v1")),
                event(5, tag("x")),
                event(6, gone.clone()),
            ]
        };
        let items = |wanted: &Wanted| -> Vec<DebtItem> {
            page(wanted, answer(7, 7, events())).debts.into_iter().map(|debt| debt.item).collect()
        };
        assert_eq!(items(&wanted(&[], false)), [DebtItem::Manifest { digest }, tag("v1"), tag("x")]);
        assert_eq!(items(&wanted(&[], true)).len(), 4);
        assert_eq!(items(&wanted(&["v*"], true)), [tag("v1"), gone.clone()]);
        let debts = page(&wanted(&[], false), answer(7, 7, events())).debts;
        assert_eq!((debts[0].time, debts[0].length_bytes), (Timestamp(103), 7));
    }

    #[test]
    fn everything_was_heard_up_to_the_sources_clock_only_at_the_end_of_its_feed() {
        let digest = compute(Algorithm::Sha256, b"a");
        let wanted = wanted(&[], false);
        let at_end = page(&wanted, answer(7, 7, vec![event(6, DebtItem::Manifest { digest })]));
        assert_eq!((at_end.heard, at_end.behind), (Timestamp(900), 0));
        let before = page(&wanted, answer(7, 9, vec![event(6, DebtItem::Manifest { digest })]));
        assert_eq!((before.heard, before.behind), (Timestamp(105), 2), "the next event may have the same time");
        let elsewhere = page(&wanted, answer(7, 9, Vec::new()));
        assert_eq!((elsewhere.cursor, elsewhere.heard), (7, Timestamp(50)), "nothing is known of its time");
    }

    #[test]
    fn forgotten_events_are_said_to_be_lost() {
        let lost = FeedAnswer { lost: true, ..answer(7, 7, Vec::new()) };
        assert_eq!(heard(&wanted(&[], false), Timestamp(50), lost, &Listed::new()), Heard::Lost);
    }
}
