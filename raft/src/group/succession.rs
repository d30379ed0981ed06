//! How a replica's stores get from one incarnation to a higher one, with nothing running over them.
//!
//! Either it joins: its log and its vote go, what it knew is shown until a snapshot of the new lineage replaces it, and no
//! entry is ever applied to that. Or it founds: whatever its log holds is applied, since a part of it may have been
//! acknowledged; a first command of the new lineage follows; and the log begins anew behind that, with this node as its
//! only member. Nobody ever gets an entry or a snapshot from before, whose members could vote by a membership that is
//! given up.
//!
//! What is to be done is written down before anything is, and done again from its beginning after a crash: each step
//! bears that.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storage::exec::Exec;
use storage::kv::Batch;

use super::config::{LogId, Payload, Proposal};
use super::incarnation::Incarnation;
use super::log_keys::{LOG, META};
use super::log_store::GroupLog;
use super::record::{LeaderRecord, LogIdRecord, MembershipRecord, VoteRecord};
use super::state_store::{Item, StateStore};
use crate::codec;
use crate::machine::{Machine, Stamp};
use crate::versioned;

/// Bytes of entries that are applied at once.
const BATCH_BYTES: u64 = 8 << 20;

/// What is to be done to a replica before it goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Pending {
    /// Its log is of a higher incarnation, and empty: the state is to follow.
    Join,
    /// A higher incarnation is to begin with it.
    Found(Found),
}

/// How an incarnation begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    /// The incarnation, with this node as its founder.
    pub incarnation: Incarnation,
    /// Term that this node leads at its beginning: higher than any that the replica has seen.
    pub term: u64,
    /// Where peers reach this node.
    pub address: String,
    /// End of the log that is kept.
    pub last: LogIdRecord,
    /// Stamp of the first command.
    pub stamp: Stamp,
    /// The first command, encoded.
    pub command: Bytes,
}

versioned! {
    Pending = 1, "pending change of incarnation";
}

impl Found {
    /// Position of an entry so far behind the log that is kept.
    fn position(&self, behind: u64) -> LogIdRecord {
        let leader = LeaderRecord { term: self.term, node: self.incarnation.founder.0 };
        LogIdRecord { leader, index: self.last.index + behind }
    }

    /// The first position of which the new lineage knows, which is that of its first membership.
    fn base(&self) -> LogIdRecord {
        self.position(2)
    }

    /// What is applied behind the log that is kept.
    fn beginning(&self) -> [Item; 2] {
        let founder = self.incarnation.founder.0;
        let members = MembershipRecord {
            voters: vec![BTreeSet::from([founder])],
            nodes: BTreeMap::from([(founder, self.address.clone())]),
        };
        let command = Payload::Normal(Proposal { stamp: self.stamp, command: self.command.clone() });
        let membership = Payload::Membership(members.into());
        [(1, command), (2, membership)].map(|(behind, payload)| Item {
            log_id: self.position(behind),
            payload,
            answer: false,
        })
    }
}

/// The incarnation of a group's log.
pub(super) fn incarnation(log: &GroupLog) -> io::Result<Incarnation> {
    Ok(log.meta(&log.keys().incarnation())?.unwrap_or_default())
}

/// The end of what a replica has heard of, applied or not; `None` for one that has heard of nothing.
pub(super) fn last_position<M: Machine>(log: &GroupLog, state: &StateStore<M>) -> io::Result<Option<LogIdRecord>> {
    let last: Option<LogId> = log.last_position()?;
    let applied: Option<LogId> = state.applied().last_applied.map(Into::into);
    Ok(last.max(applied).map(Into::into))
}

/// The term that follows on all that a replica has seen.
pub(super) fn next_term(log: &GroupLog, last: LogIdRecord) -> io::Result<u64> {
    let vote: Option<VoteRecord> = log.meta(&log.keys().vote())?;
    Ok(vote.map_or(0, |vote| vote.leader.term).max(last.leader.term) + 1)
}

/// Gives up the log and the vote for those of another incarnation, durably; [`finish`] is to follow.
pub(super) async fn begin_to_join(log: &GroupLog, incarnation: Incarnation) -> io::Result<()> {
    let (mut batch, keys) = (Batch::default(), log.keys());
    batch.delete_range(LOG, keys.start(), keys.end());
    for given_up in [keys.vote(), keys.committed(), keys.purged()] {
        batch.delete(META, given_up);
    }
    batch.put(META, keys.incarnation(), codec::encode(&incarnation));
    batch.put(META, keys.pending(), codec::encode(&Pending::Join));
    log.write_durably(batch).await
}

/// Writes down, durably, that an incarnation is to begin with this replica; [`finish`] is to follow.
pub(super) async fn begin_to_found(log: &GroupLog, found: Found) -> io::Result<()> {
    let mut batch = Batch::default();
    batch.put(META, log.keys().pending(), codec::encode(&Pending::Found(found)));
    log.write_durably(batch).await
}

/// Does what is to be done before the replica goes on, if anything is.
pub(super) async fn finish<M: Machine>(log: &GroupLog, state: &Arc<StateStore<M>>, exec: Exec) -> io::Result<()> {
    let keys = log.keys();
    let mut batch = Batch::default();
    match log.meta::<Pending>(&keys.pending())? {
        None => return Ok(()),
        Some(Pending::Join) => {
            let state = Arc::clone(state);
            exec.run(move || state.outdate()).await?;
        }
        Some(Pending::Found(found)) => {
            let founder = LeaderRecord { term: found.term, node: found.incarnation.founder.0 };
            let base = codec::encode(&found.base());
            batch.delete_range(LOG, keys.start(), keys.end());
            batch.put(META, keys.purged(), base.clone());
            batch.put(META, keys.committed(), base);
            batch.put(META, keys.vote(), codec::encode(&VoteRecord { leader: founder, committed: true }));
            batch.put(META, keys.incarnation(), codec::encode(&found.incarnation));
            let (log, state) = (log.clone(), Arc::clone(state));
            exec.run(move || apply_all(&log, &state, &found)).await?;
        }
    }
    batch.delete(META, keys.pending());
    log.write_durably(batch).await
}

/// Applies the rest of the log and what begins the new lineage, and takes the snapshot that everybody else begins with.
pub(super) fn apply_all<M: Machine>(log: &GroupLog, state: &StateStore<M>, found: &Found) -> io::Result<()> {
    let next = || state.applied().last_applied.map_or(0, |id| id.index + 1);
    while next() <= found.last.index {
        let entries = log.read(next(), found.last.index + 1, BATCH_BYTES)?;
        if entries.first().is_none_or(|entry| entry.log_id.index != next()) {
            let message = format!("entry {} is missing in the log", next());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let item =
            |entry: super::config::Entry| Item { log_id: entry.log_id.into(), payload: entry.payload, answer: false };
        state.apply(entries.into_iter().map(item).collect())?;
    }
    let rest: Vec<Item> = found.beginning().into_iter().filter(|item| item.log_id.index >= next()).collect();
    if !rest.is_empty() {
        state.apply(rest)?;
    }
    state.take_snapshot()?;
    Ok(())
}
