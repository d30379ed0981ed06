//! The state as openraft sees it: entries in, responses out, snapshots made and installed.
//!
//! Entries are applied in batches bounded in bytes and number, each off the asynchronous threads; responses go out
//! after the batch is written. What the batches do to the disk is [`super::state_store`]'s.

use std::io;
use std::sync::Arc;

use futures_util::{Stream, TryStreamExt};
use openraft::OptionalSend;
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use storage::exec::Exec;

use super::config::{Answer, LogId, Payload, SnapshotMeta, StoredMembership, Types};
use super::record::AppliedRecord;
use super::snapshot::{SnapshotData, StoredSnapshot};
use super::state_store::{Item, StateStore};
use crate::machine::Machine;

/// Bytes of commands in one batch.
const BATCH_BYTES: usize = 8 << 20;
/// Entries in one batch.
const BATCH_ENTRIES: usize = 1024;

/// The asynchronous face of a [`StateStore`].
#[derive(Debug)]
pub(super) struct StateMachine<M> {
    store: Arc<StateStore<M>>,
    exec: Exec,
}

impl<M> Clone for StateMachine<M> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), exec: self.exec }
    }
}

impl<M: Machine> StateMachine<M> {
    pub(super) fn new(store: Arc<StateStore<M>>, exec: Exec) -> Self {
        Self { store, exec }
    }

    /// Runs a method of the store where blocking is allowed.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&StateStore<M>) -> T + Send + 'static) -> T {
        let store = Arc::clone(&self.store);
        self.exec.run(move || work(&store)).await
    }

    async fn apply_batch(&self, batch: Vec<(Item, Option<ApplyResponder<Types>>)>) -> io::Result<()> {
        let (items, responders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let responses = self.blocking(move |store| store.apply(items)).await?;
        for (responder, response) in responders.into_iter().zip(responses) {
            if let (Some(responder), Some(response)) = (responder, response) {
                responder.send(Answer(response));
            }
        }
        Ok(())
    }
}

fn snapshot_of(stored: Arc<StoredSnapshot>) -> openraft::alias::SnapshotOf<Types, SnapshotData> {
    Snapshot { meta: stored.contents.clone().into(), snapshot: SnapshotData::Stored(stored) }
}

impl<M: Machine> RaftSnapshotBuilder<Types> for StateMachine<M> {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<openraft::alias::SnapshotOf<Types, SnapshotData>, io::Error> {
        Ok(snapshot_of(self.blocking(StateStore::take_snapshot).await?))
    }
}

impl<M: Machine> RaftStateMachine<Types> for StateMachine<M> {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let AppliedRecord { last_applied, membership } = self.store.applied();
        Ok((last_applied.map(Into::into), membership.into()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some((entry, responder)) = entries.try_next().await? {
            if let Payload::Normal(proposal) = &entry.payload {
                bytes += proposal.command.len();
            }
            let item = Item { log_id: entry.log_id.into(), payload: entry.payload, answer: responder.is_some() };
            batch.push((item, responder));
            if bytes >= BATCH_BYTES || batch.len() >= BATCH_ENTRIES {
                self.apply_batch(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.apply_batch(batch).await }
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: SnapshotData) -> Result<(), io::Error> {
        let contents = AppliedRecord::from(meta);
        self.blocking(move |store| store.install(&contents, &data)).await
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<openraft::alias::SnapshotOf<Types, SnapshotData>>, io::Error> {
        Ok(self.store.snapshot().map(snapshot_of))
    }
}
