//! From one incarnation of a group to a higher one: found by this replica, or joined since somebody spoke of it.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::Group;
use super::core::Core;
use super::error::{GroupError, TakeoverError};
use super::incarnation::Incarnation;
use super::succession::{self, Found};
use super::witness::Position;
use crate::codec;
use crate::id::RequestId;
use crate::machine::{Machine, Stamp};

/// How long a change waits for openraft's tasks to let go of the stores: nothing may write to them any more.
const RELEASE_WAIT: Duration = Duration::from_secs(30);

impl<M: Machine> Group<M> {
    /// The lineage that this replica is of.
    pub fn incarnation(&self) -> Incarnation {
        self.core().incarnation
    }

    /// The end of what this replica has heard of, committed or not; `None` for one that has heard of nothing. Where the
    /// majority is lost for good, the greatest of those that are left knows the most.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn last_position(&self) -> Result<Option<Position>, GroupError> {
        let (log, state) = (self.log.clone(), Arc::clone(&self.state));
        let last = self.resources.exec.run(move || succession::last_position(&log, &state)).await;
        Ok(last.map_err(|source| self.file_error("read the end of the log", source))?.map(Into::into))
    }

    /// Founds the group anew from this replica, with this node as its only member, in a higher incarnation than its own, than
    /// `floor` (the highest that anybody is of, what it may have) and than any that was founded before this moment.
    /// Everything that the replica has heard of is kept, then `command` is applied. For a group whose majority is lost for good: what
    /// the others agreed on without this replica's knowledge is lost, and they give up what they have as soon as they hear
    /// of it. Whether the majority is lost is for the caller to know. A crash leaves the replica as it was, or
    /// the next start finishes it.
    ///
    /// # Errors
    /// [`TakeoverError`], also when the replica is not of the incarnation that the caller has seen, or has heard of a higher
    /// one that somebody has something of.
    pub async fn take_over(
        &self,
        expected: Incarnation,
        floor: Incarnation,
        request: RequestId,
        command: M::Command,
    ) -> Result<Incarnation, TakeoverError> {
        let group = self.id();
        let closed = self.closed.lock().await;
        let core = self.core();
        if *closed {
            return Err(TakeoverError::Closed { group });
        }
        // Somebody who has something of a higher one has told of it: this replica is about to join that.
        let present = core.incarnation.max(self.heard.highest());
        if present != expected {
            return Err(TakeoverError::Incarnation { group, expected, present });
        }
        if self.last_position().await?.is_none() {
            return Err(TakeoverError::Empty { group });
        }
        let now = self.resources.clock.now();
        let incarnation = floor.max(expected).next(self.options.node, now);
        let stamp = Stamp { time: now, request };
        let command = Bytes::from(codec::encode(&command));
        let begin = async {
            let last = succession::last_position(&self.log, &self.state)?;
            let last = last.ok_or_else(|| io::Error::other("the log was emptied meanwhile"))?;
            let (term, address) = (succession::next_term(&self.log, last)?, self.options.address.clone());
            succession::begin_to_found(&self.log, Found { incarnation, term, address, last, stamp, command }).await
        };
        warn!(%group, %incarnation, "the group is founded anew from this replica");
        self.change_life(&core, begin).await?;
        self.heard.note(incarnation);
        Ok(incarnation)
    }

    /// Joins a higher incarnation, with nothing of the present one but what is shown until a snapshot comes.
    async fn join(&self, incarnation: Incarnation) -> Result<(), GroupError> {
        let closed = self.closed.lock().await;
        let core = self.core();
        if *closed || incarnation <= core.incarnation {
            return Ok(());
        }
        warn!(
            group = %self.id(), present = %core.incarnation, joined = %incarnation,
            "the group was founded anew elsewhere: this replica gives up its log and its vote, and joins"
        );
        self.change_life(&core, succession::begin_to_join(&self.log, incarnation)).await
    }

    /// Ends a life of the replica and begins the next one, after the stores were changed in between.
    async fn change_life(
        &self,
        core: &Arc<Core<M>>,
        begin: impl Future<Output = io::Result<()>>,
    ) -> Result<(), GroupError> {
        core.set_leaving(true);
        let outcome = async {
            core.stop().await;
            if !self.released(RELEASE_WAIT).await {
                let message = "its tasks do not let go of its log and its state".to_owned();
                return Err(GroupError::Stopped { group: self.id(), message });
            }
            begin.await.map_err(|source| self.file_error("begin another incarnation", source))?;
            Self::begin_life(&self.options, &self.resources, (&self.log, &self.state), &self.heard).await
        };
        match outcome.await {
            Ok(next) => {
                info!(group = %self.id(), incarnation = %next.incarnation, "the replica goes on");
                self.core.send_replace(next);
                Ok(())
            }
            Err(error) => {
                // Whoever waits for a failure hears of this one.
                core.set_leaving(false);
                self.core.send_modify(|_| {});
                Err(error)
            }
        }
    }

    /// Waits until nothing but the group itself holds the stores; false if something still does at the end.
    pub(super) async fn released(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while Arc::strong_count(&self.state) > 1 || self.log.is_shared() {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(Duration::from_millis(2)).await;
        }
        true
    }

    fn file_error(&self, doing: &'static str, source: io::Error) -> GroupError {
        GroupError::File { doing, path: self.options.directory.clone(), source }
    }
}

/// Joins whatever higher incarnation is heard of. Ends with the group.
pub(super) async fn follow<M: Machine>(group: Weak<Group<M>>, mut heard: watch::Receiver<Incarnation>) {
    loop {
        let highest = *heard.borrow_and_update();
        let Some(group) = group.upgrade() else { return };
        if highest > group.incarnation()
            && let Err(failure) = group.join(highest).await
        {
            error!(group = %group.id(), %failure, "the replica cannot join the group's new incarnation and has stopped");
            return;
        }
        drop(group);
        if heard.changed().await.is_err() {
            return;
        }
    }
}
