//! The generic Raft group: a machine of this project, replicated. All of openraft stands in this module.
//!
//! A [`Group`] is one replica. It writes its log through the node's one [`LogStore`], keeps its state in an engine of
//! its own, reaches its peers through a [`Transport`], and answers them in [`Group::handle`] and
//! [`Group::receive_snapshot`]. What a machine does is in [`crate::machine`]; nothing here knows any machine.

mod coalesce;
mod config;
mod core;
mod digest;
mod error;
mod group_commit;
mod handle;
mod incarnation;
mod log_keys;
mod log_store;
mod maintenance;
mod members;
mod message;
mod network;
mod options;
mod propose;
mod read_index;
mod record;
mod runtime;
mod snapshot;
mod snapshot_stream;
mod state_machine;
mod state_store;
mod status;
mod succession;
mod takeover;
#[cfg(test)]
mod tests;
mod transport;
mod wire;
mod witness;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::BasicNode;
use openraft::async_runtime::WatchReceiver;
use openraft::error::{Fatal, InitializeError, RaftError};
use storage::kv::{Engine, EngineError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use self::config::Types;
use self::core::Core;
use self::incarnation::Heard;
use self::log_store::GroupLog;
use self::state_machine::StateMachine;
use self::state_store::StateStore;
use crate::id::{GroupId, NodeId};
use crate::machine::Machine;

pub use digest::StateDigest;
pub use error::{GroupError, HandleError, MembersError, ProposeError, ReadError, ReceiveError, TakeoverError};
pub use incarnation::Incarnation;
pub use log_store::LogStore;
pub use options::{GroupOptions, GroupResources, MAX_APPEND_BYTES, SNAPSHOT_AFTER_ENTRIES, Timing};
pub use propose::COMMAND_LIMIT_BYTES;
pub use runtime::seed_randomness;
pub use status::{GroupStatus, Role};
pub use transport::{MESSAGE_LIMIT_BYTES, Transport, TransportError};
pub use witness::{Ballot, Leadership, Position, Replica, Restoration, Witness};

/// How long a shutdown waits for openraft's tasks to let go of their handles.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

type Raft<M> = openraft::Raft<Types, StateMachine<M>>;

/// One replica of a machine.
#[derive(Debug)]
pub struct Group<M: Machine> {
    options: GroupOptions,
    resources: GroupResources,
    /// The present life of the replica, of one incarnation.
    core: watch::Sender<Arc<Core<M>>>,
    /// What others have said of incarnations.
    heard: Heard,
    /// Held while one life ends and another begins; true once none is to begin any more.
    closed: tokio::sync::Mutex<bool>,
    log: GroupLog,
    state: Arc<StateStore<M>>,
    applied: watch::Receiver<u64>,
    /// Held by the one snapshot that is being received.
    receiving: tokio::sync::Mutex<()>,
    /// Joins higher incarnations.
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl<M: Machine> Group<M> {
    /// Opens the replica in its directory, and starts it. What was acknowledged before a crash is there again when
    /// this returns; whether somebody leads is another question.
    ///
    /// # Errors
    /// When the options make no sense, or the log or the state cannot be read.
    pub async fn open(options: GroupOptions, resources: GroupResources) -> Result<Arc<Self>, GroupError> {
        let state = {
            let (options, resources) = (options.clone(), resources.clone());
            let exec = resources.exec;
            Arc::new(exec.run(move || StateStore::<M>::open(&options, &resources)).await?)
        };
        let log = resources.log.group(options.id, options.max_append_bytes, resources.observer(&options));
        let heard = Heard::new(Incarnation::default());
        let core = Self::begin_life(&options, &resources, (&log, &state), &heard).await?;
        let group = Arc::new(Self {
            applied: state.applied_index(),
            options,
            resources,
            core: watch::Sender::new(core),
            heard,
            closed: tokio::sync::Mutex::new(false),
            log,
            state,
            receiving: tokio::sync::Mutex::new(()),
            follower: Mutex::new(None),
        });
        let follower = tokio::spawn(takeover::follow(Arc::downgrade(&group), group.heard.subscribe()));
        *group.follower.lock().unwrap_or_else(PoisonError::into_inner) = Some(follower);
        Ok(group)
    }

    /// Finishes what a crash has interrupted, and starts openraft over the stores.
    async fn begin_life(
        options: &GroupOptions,
        resources: &GroupResources,
        (log, state): (&GroupLog, &Arc<StateStore<M>>),
        heard: &Heard,
    ) -> Result<Arc<Core<M>>, GroupError> {
        let failed = |source| {
            let (doing, path) = ("finish a change of the incarnation", options.directory.clone());
            GroupError::File { doing, path, source }
        };
        succession::finish(log, state, resources.exec).await.map_err(failed)?;
        let incarnation = succession::incarnation(log).map_err(failed)?;
        heard.note(incarnation);
        Core::start(incarnation, (options, resources), (log, state), heard).await
    }

    /// The present life of the replica.
    fn core(&self) -> Arc<Core<M>> {
        Arc::clone(&self.core.borrow())
    }

    /// The group.
    pub fn id(&self) -> GroupId {
        self.options.id
    }

    /// Makes this node the only voter of a group that does not exist yet. On a replica that belongs to a group
    /// already it does nothing.
    ///
    /// # Errors
    /// When the replica has stopped.
    pub async fn initialize(&self) -> Result<(), GroupError> {
        let own = BTreeMap::from([(self.options.node.0, BasicNode::new(&self.options.address))]);
        match self.core().raft.initialize(own).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(GroupError::Stopped { group: self.id(), message: error.to_string() }),
        }
    }

    /// The current state, for reading. It keeps showing the same replica's state while it is held, unless a snapshot
    /// replaces the state: then it shows the old one. Take it anew for each request.
    pub fn state(&self) -> Arc<dyn Engine> {
        self.state.engine()
    }

    /// Hash of the whole state and what it has applied, of one moment. Blocks, costs as much as the state is large, and
    /// holds up the application of entries meanwhile: for the simulator and for checks of a store at rest.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn state_digest(&self) -> Result<StateDigest, EngineError> {
        self.state.digest()
    }

    /// The directory with its state and its snapshots.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.options.directory
    }

    /// Writes the state and its snapshot anew, so that nothing of them is left under another key than the current one. They
    /// are used meanwhile, but for a moment in which writes wait. What came in between, a snapshot that was just being
    /// taken or received, may still be under the old key: ask `storage::seal::survey`, and repeat. It is broken off when
    /// the future is dropped, for which [`shutdown`](Self::shutdown) waits some seconds, and when the replica joins another
    /// incarnation; a table that is being compacted is brought to its end first.
    ///
    /// # Errors
    /// When the engine or the file system fails, or has no room for it; some of it is written anew then.
    pub async fn rewrite(&self) -> Result<(), GroupError> {
        let (state, path) = (Arc::clone(&self.state), self.options.directory.clone());
        // Another incarnation is not kept waiting: it begins once nobody holds the state.
        let core = self.core();
        let rewrite = move |goes_on: &dyn Fn() -> bool| state.rewrite(&|| goes_on() && !core.is_leaving());
        let rewritten = self.resources.exec.run_while(rewrite).await;
        rewritten.map_err(|source| GroupError::File { doing: "write the state anew", path, source })
    }

    /// Follows the index of the last applied entry (0 before the first). Wakes up after each batch of entries, when
    /// [`state`](Self::state) shows their effects.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.clone()
    }

    /// Whether this node believes that it leads. It may have been replaced without knowing.
    pub fn is_leader(&self) -> bool {
        self.core().raft.is_leader()
    }

    /// The leader as far as is known.
    pub fn leader(&self) -> Option<NodeId> {
        self.core().raft.metrics().borrow_watched().current_leader.map(NodeId)
    }

    /// Address of a member, as the membership says.
    fn address(&self, node: NodeId) -> Option<String> {
        member_address(&self.core().raft, node)
    }

    /// Stops the replica: no vote, no append, no answer from now on. What was applied is made durable, and all
    /// handles of the group but its own are released; dropping the group closes its engine.
    pub async fn shutdown(&self) {
        *self.closed.lock().await = true;
        let follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(follower) = follower {
            follower.abort();
            // Cancelled is what it shall be.
            let _ = follower.await;
        }
        self.core().stop().await;
        if !self.released(SHUTDOWN_WAIT).await {
            warn!(group = %self.id(), "openraft's tasks still hold the group's engines after its shutdown");
        }
        let state = Arc::clone(&self.state);
        if let Err(error) = self.resources.exec.run(move || state.flush()).await {
            warn!(group = %self.id(), %error, "the state was not flushed at shutdown; the log brings it back");
        }
    }
}

/// Address of a member, as the membership says.
fn member_address<M: Machine>(raft: &Raft<M>, node: NodeId) -> Option<String> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    metrics.membership_config.get_node(&node.0).map(|node| node.addr.clone())
}

/// The error of a replica that openraft has stopped.
fn stopped(group: GroupId, error: &Fatal<Types>) -> GroupError {
    GroupError::Stopped { group, message: error.to_string() }
}
