//! Raft's safety properties (Ongaro, "Consensus: Bridging Theory and Practice", 2014, figure 3.2), watched on every
//! replica of every group through all its lives.
//!
//! - *Votes*: a replica's vote never goes backwards, and no restart shows an older one than was durable. Leaderships are
//!   ordered by (term, node) here: a term may see several leaders, each greater than the one before. That there is one log
//!   to a leadership is the next property.
//! - *Log matching*: an entry is named by its index and its leadership; the entry before it is the same wherever it stands.
//! - *Leader completeness*: whoever becomes leader has every entry that was committed under a lesser leadership. An
//!   applied entry was committed, under the applier's vote or a lesser one.
//! - *State machine safety*: an index is applied with the same entry by everybody, ever, also when it is applied again
//!   after a restart; entries are applied one after the other; what was applied is never truncated.
//! - *Durability*: a log shows after a restart what it acknowledged, a state what was flushed.
//!
//! Leader append-only is not watched: openraft's leaders have no way to truncate.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use raft::group::{Ballot, Leadership, Position, Replica, Restoration, Witness};
use raft::id::GroupId;

use super::Court;

const JUDGE: &str = "raft_safety";

/// The judge: one for all nodes of a run.
#[derive(Debug)]
pub struct RaftSafety {
    court: Court,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    replicas: BTreeMap<Replica, ReplicaBook>,
    groups: BTreeMap<GroupId, GroupBook>,
}

/// What is known of one replica.
#[derive(Debug, Default)]
struct ReplicaBook {
    /// The vote that it goes by.
    vote: Option<Ballot>,
    /// The greatest vote that was durable.
    durable_vote: Option<Ballot>,
    /// Entries of its log, as written.
    log: BTreeMap<u64, Leadership>,
    /// Last entry removed from the log's beginning.
    purged: Option<u64>,
    /// Last entry that was acknowledged as durable and not truncated since.
    durable: Option<u64>,
    /// Last entry applied.
    applied: Option<u64>,
    /// Last entry whose effects are durable.
    flushed: Option<Position>,
}

/// What is known of one group.
#[derive(Debug, Default)]
struct GroupBook {
    /// Applied entries by index.
    applied: BTreeMap<u64, Applied>,
    /// Leadership of the entry before each entry.
    before: BTreeMap<(u64, Leadership), Leadership>,
}

#[derive(Debug)]
struct Applied {
    leadership: Leadership,
    digest: [u8; 32],
    /// It was committed under this leadership or a lesser one.
    committed_by: Leadership,
    /// Who applied it first.
    first: Replica,
}

impl RaftSafety {
    /// A judge that accuses before this court.
    #[must_use]
    pub fn new(court: Court) -> Self {
        Self { court, books: Mutex::default() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, holds: bool, replica: Replica, text: impl FnOnce() -> String) {
        if !holds {
            self.court.accuse(JUDGE, format!("{replica}: {}", text()));
        }
    }

    /// A replica became leader: whatever was committed under a lesser leadership is in its log.
    fn elected(&self, books: &Books, replica: Replica, leadership: Leadership) {
        let (Some(group), Some(own)) = (books.groups.get(&replica.group), books.replicas.get(&replica)) else { return };
        // By log matching the last one stands for all before it.
        let last = group.applied.iter().rev().find(|(_, entry)| entry.committed_by < leadership);
        let Some((index, entry)) = last else { return };
        let has = own.purged >= Some(*index) || own.log.get(index) == Some(&entry.leadership);
        self.expect(has, replica, || {
            let found = own.log.get(index).map(ToString::to_string);
            let entry = Position { leadership: entry.leadership, index: *index };
            format!("leader completeness: the leader of {leadership} lacks {entry}, it has {found:?} there")
        });
    }

    /// A state shows an entry as its last one: it is the one that was applied there.
    fn shows(&self, group: &GroupBook, replica: Replica, position: Position) {
        let Some(applied) = group.applied.get(&position.index) else { return };
        self.expect(applied.leadership == position.leadership, replica, || {
            format!("state machine safety: its state ends with {position}, {} applied another one", applied.first)
        });
    }
}

impl Witness for RaftSafety {
    fn opened(&self, replica: Replica, vote: Option<Ballot>, purged: Option<Position>, entries: &[Position]) {
        let mut books = self.books();
        let book = books.replicas.entry(replica).or_default();
        self.expect(vote >= book.durable_vote, replica, || {
            format!("a durable vote is forgotten: {:?} became {vote:?}", book.durable_vote)
        });
        let first = purged.map_or(0, |purged| purged.index + 1);
        let gapless = (first..).zip(entries).all(|(index, entry)| entry.index == index);
        self.expect(gapless, replica, || format!("its log does not begin at {first}, or has a hole"));
        let last = entries.last().or(purged.as_ref()).map(|position| position.index);
        self.expect(last >= book.durable, replica, || {
            format!("acknowledged entries are lost: its log ends at {last:?}, {:?} was durable", book.durable)
        });
        for entry in entries.iter().filter(|entry| Some(entry.index) <= book.durable) {
            let written = book.log.get(&entry.index);
            let same = written.is_none_or(|written| *written == entry.leadership);
            self.expect(same, replica, || format!("its log shows {entry}, {written:?} was durable there"));
        }
        book.vote = vote;
        book.purged = purged.map(|purged| purged.index);
        book.log = entries.iter().map(|entry| (entry.index, entry.leadership)).collect();
    }

    fn voted(&self, replica: Replica, vote: Ballot) {
        let mut books = self.books();
        let book = books.replicas.entry(replica).or_default();
        self.expect(Some(vote) >= book.durable_vote, replica, || {
            format!("its vote goes backwards: {:?} became {vote:?}", book.durable_vote)
        });
        book.vote = book.vote.max(Some(vote));
        book.durable_vote = book.durable_vote.max(Some(vote));
        if vote.committed && vote.leadership.node == replica.node {
            self.elected(&books, replica, vote.leadership);
        }
    }

    fn appended(&self, replica: Replica, entries: &[Position]) {
        let mut books = self.books();
        let Books { replicas, groups } = &mut *books;
        let book = replicas.entry(replica).or_default();
        let group = groups.entry(replica.group).or_default();
        for entry in entries {
            let end = book.log.keys().next_back().copied().max(book.purged);
            let follows = entry.index <= end.map_or(0, |end| end + 1);
            self.expect(follows, replica, || format!("{entry} was written behind a log that ends at {end:?}"));
            let rewritten = book.log.get(&entry.index).is_some_and(|old| *old != entry.leadership);
            self.expect(!rewritten || book.applied < Some(entry.index), replica, || {
                format!("state machine safety: {entry} overwrites an entry that was applied")
            });
            book.log.insert(entry.index, entry.leadership);
            let before = entry.index.checked_sub(1).and_then(|index| book.log.get(&index));
            if let Some(before) = before {
                let known = *group.before.entry((entry.index, entry.leadership)).or_insert(*before);
                self.expect(known == *before, replica, || {
                    format!("log matching: {entry} follows an entry of {before} here, one of {known} elsewhere")
                });
            }
        }
    }

    fn persisted(&self, replica: Replica, last: Position) {
        let mut books = self.books();
        let book = books.replicas.entry(replica).or_default();
        // A truncation may have overtaken it.
        if book.log.get(&last.index) == Some(&last.leadership) {
            book.durable = book.durable.max(Some(last.index));
        }
    }

    fn truncated(&self, replica: Replica, from_index: u64) {
        let mut books = self.books();
        let book = books.replicas.entry(replica).or_default();
        self.expect(book.applied < Some(from_index), replica, || {
            format!("state machine safety: entries from {from_index} on are truncated, {:?} is applied", book.applied)
        });
        book.log.split_off(&from_index);
        book.durable = book.durable.min(from_index.checked_sub(1));
    }

    fn purged(&self, replica: Replica, last: Position) {
        let mut books = self.books();
        let book = books.replicas.entry(replica).or_default();
        let flushed = book.flushed.map(|position| position.index);
        self.expect(flushed >= Some(last.index), replica, || {
            format!("entries up to {} are purged, only those up to {flushed:?} are durable in its state", last.index)
        });
        book.log = book.log.split_off(&(last.index + 1));
        book.purged = book.purged.max(Some(last.index));
    }

    fn applied(&self, replica: Replica, entry: Position, digest: &dyn Fn() -> [u8; 32]) {
        let mut books = self.books();
        let Books { replicas, groups } = &mut *books;
        let book = replicas.entry(replica).or_default();
        let group = groups.entry(replica.group).or_default();
        let next = book.applied.map_or(0, |applied| applied + 1);
        self.expect(entry.index == next, replica, || format!("it applies {entry} where {next} is next"));
        book.applied = Some(entry.index);
        let written = book.log.get(&entry.index);
        self.expect(written.is_none_or(|written| *written == entry.leadership), replica, || {
            format!("state machine safety: it applies {entry}, its log has one of {written:?}")
        });
        let committed_by = book.vote.map_or(entry.leadership, |vote| vote.leadership.max(entry.leadership));
        let digest = digest();
        let (leadership, first) = (entry.leadership, replica);
        let known = group.applied.entry(entry.index).or_insert(Applied { leadership, digest, committed_by, first });
        known.committed_by = known.committed_by.min(committed_by);
        self.expect((known.leadership, known.digest) == (leadership, digest), replica, || {
            let Applied { leadership, first, .. } = known;
            format!("state machine safety: it applies {entry}, {first} applied another one of {leadership}")
        });
    }

    fn flushed(&self, replica: Replica, applied: Position) {
        let mut books = self.books();
        let book = books.replicas.entry(replica).or_default();
        if book.flushed.is_none_or(|flushed| flushed.index < applied.index) {
            book.flushed = Some(applied);
        }
    }

    fn restored(&self, replica: Replica, applied: Option<Position>, restoration: Restoration) {
        let mut books = self.books();
        let Books { replicas, groups } = &mut *books;
        let book = replicas.entry(replica).or_default();
        let index = applied.map(|position| position.index);
        let least = match restoration {
            Restoration::Opened => book.flushed.map(|position| position.index),
            Restoration::Installed => book.applied,
        };
        self.expect(index >= least, replica, || {
            format!("its state goes back: it was {restoration:?} at {index:?}, {least:?} was reached for good")
        });
        if let Some(position) = applied {
            self.shows(groups.entry(replica.group).or_default(), replica, position);
            // What an engine shows when it is opened it has read from its disk, and what is installed was synced.
            book.flushed = Some(position);
        }
        book.applied = index;
    }
}

#[cfg(test)]
mod tests {
    use raft::id::{NodeId, RegionId};

    use super::*;

    struct Play {
        judge: RaftSafety,
        court: Court,
    }

    fn replica(node: u64) -> Replica {
        Replica { group: GroupId::Catalog(RegionId(1)), node: NodeId(node) }
    }

    fn leadership(term: u64, node: u64) -> Leadership {
        Leadership { term, node: NodeId(node) }
    }

    fn ballot(term: u64, node: u64, committed: bool) -> Ballot {
        Ballot { leadership: leadership(term, node), committed }
    }

    fn entry(term: u64, index: u64) -> Position {
        Position { leadership: leadership(term, term), index }
    }

    impl Play {
        fn new() -> Self {
            let court = Court::default();
            Self { judge: RaftSafety::new(court.clone()), court }
        }

        /// A replica that wrote, synced and applied entries of term 1.
        fn worked(&self, node: u64, count: u64) {
            let judge = &self.judge;
            judge.restored(replica(node), None, Restoration::Opened);
            judge.opened(replica(node), None, None, &[]);
            judge.voted(replica(node), ballot(1, 1, true));
            let entries: Vec<Position> = (0..count).map(|index| entry(1, index)).collect();
            judge.appended(replica(node), &entries);
            judge.persisted(replica(node), entries[entries.len() - 1]);
            for entry in entries {
                judge.applied(replica(node), entry, &|| [1; 32]);
            }
        }

        fn holds(&self) {
            assert_eq!(self.court.all(), Vec::new());
        }

        fn accuses(&self, part: &str) {
            let violations = self.court.all();
            assert!(violations.iter().any(|violation| violation.text.contains(part)), "{part}: {violations:?}");
        }
    }

    #[test]
    fn an_honest_life_is_not_accused() {
        let play = Play::new();
        play.worked(1, 5);
        play.worked(2, 5);
        let judge = &play.judge;
        judge.flushed(replica(1), entry(1, 3));
        judge.purged(replica(1), entry(1, 2));
        // Power is lost: the state goes back to what was flushed, the log keeps what was acknowledged.
        judge.restored(replica(1), Some(entry(1, 3)), Restoration::Opened);
        judge.opened(replica(1), Some(ballot(1, 1, true)), Some(entry(1, 2)), &[entry(1, 3), entry(1, 4)]);
        judge.applied(replica(1), entry(1, 4), &|| [1; 32]);
        // A new leader in the same term, of a greater node, and one of the next term.
        judge.voted(replica(1), ballot(1, 2, false));
        judge.voted(replica(2), ballot(1, 2, true));
        judge.voted(replica(1), ballot(2, 1, true));
        // A tail that was not committed is replaced.
        judge.appended(replica(2), &[entry(1, 5), entry(1, 6)]);
        judge.truncated(replica(2), 5);
        judge.persisted(replica(2), entry(1, 6));
        judge.appended(replica(2), &[entry(2, 5)]);
        // Somebody new gets a snapshot.
        judge.restored(replica(3), None, Restoration::Opened);
        judge.opened(replica(3), None, None, &[]);
        judge.restored(replica(3), Some(entry(1, 4)), Restoration::Installed);
        judge.purged(replica(3), entry(1, 4));
        judge.appended(replica(3), &[entry(2, 5)]);
        play.holds();
    }

    #[test]
    fn a_vote_that_goes_backwards_is_accused() {
        let play = Play::new();
        play.judge.voted(replica(1), ballot(2, 3, false));
        play.judge.voted(replica(1), ballot(2, 2, true));
        play.accuses("goes backwards");
    }

    #[test]
    fn a_forgotten_vote_is_accused() {
        let play = Play::new();
        play.judge.voted(replica(1), ballot(2, 3, false));
        play.judge.opened(replica(1), Some(ballot(1, 3, true)), None, &[]);
        play.accuses("a durable vote is forgotten");
    }

    #[test]
    fn acknowledged_entries_that_a_restart_loses_are_accused() {
        let play = Play::new();
        play.worked(1, 5);
        play.judge.opened(replica(1), Some(ballot(1, 1, true)), None, &[entry(1, 0), entry(1, 1)]);
        play.accuses("acknowledged entries are lost");
    }

    #[test]
    fn a_log_that_shows_other_entries_after_a_restart_is_accused() {
        let play = Play::new();
        play.worked(1, 2);
        play.judge.opened(replica(1), Some(ballot(1, 1, true)), None, &[entry(1, 0), entry(2, 1)]);
        play.accuses("was durable there");
    }

    #[test]
    fn an_index_applied_with_two_entries_is_accused() {
        let play = Play::new();
        play.worked(1, 5);
        play.judge.applied(replica(2), entry(1, 0), &|| [2; 32]);
        play.accuses("state machine safety");
    }

    #[test]
    fn another_entry_when_it_is_applied_again_is_accused() {
        let play = Play::new();
        play.worked(1, 5);
        play.judge.restored(replica(1), None, Restoration::Opened);
        play.judge.applied(replica(1), entry(1, 0), &|| [2; 32]);
        play.accuses("state machine safety");
    }

    #[test]
    fn a_leader_without_a_committed_entry_is_accused() {
        let play = Play::new();
        play.worked(1, 5);
        play.judge.opened(replica(2), None, None, &[]);
        play.judge.voted(replica(2), ballot(2, 2, true));
        play.accuses("leader completeness");
    }

    #[test]
    fn a_stale_leader_need_not_have_what_was_committed_later() {
        let play = Play::new();
        play.judge.voted(replica(1), ballot(3, 3, true));
        play.judge.applied(replica(1), entry(1, 0), &|| [1; 32]);
        play.judge.opened(replica(2), None, None, &[]);
        play.judge.voted(replica(2), ballot(2, 2, true));
        play.holds();
    }

    #[test]
    fn a_flushed_state_that_a_restart_loses_is_accused() {
        let play = Play::new();
        play.worked(1, 5);
        play.judge.flushed(replica(1), entry(1, 3));
        play.judge.restored(replica(1), Some(entry(1, 2)), Restoration::Opened);
        play.accuses("its state goes back");
    }

    #[test]
    fn a_purge_of_what_is_not_flushed_is_accused() {
        let play = Play::new();
        play.worked(1, 5);
        play.judge.flushed(replica(1), entry(1, 1));
        play.judge.purged(replica(1), entry(1, 3));
        play.accuses("are purged");
    }

    #[test]
    fn a_truncation_of_what_was_applied_is_accused() {
        let play = Play::new();
        play.worked(1, 5);
        play.judge.truncated(replica(1), 4);
        play.accuses("are truncated");
    }

    #[test]
    fn one_entry_with_two_predecessors_is_accused() {
        let play = Play::new();
        play.judge.appended(replica(1), &[entry(1, 0), entry(3, 1)]);
        play.judge.appended(replica(2), &[entry(2, 0), entry(3, 1)]);
        play.accuses("log matching");
    }

    #[test]
    fn a_gap_among_applied_entries_is_accused() {
        let play = Play::new();
        play.worked(1, 2);
        play.judge.applied(replica(1), entry(1, 3), &|| [1; 32]);
        play.accuses("is next");
    }
}
