//! The generic Raft group: a machine of this project, replicated. All of openraft stands in this module.
//!
//! A [`Group`] is one replica. It writes its log through the node's one [`LogStore`], keeps its state in an engine of
//! its own, reaches its peers through a [`Transport`], and answers them in [`Group::handle`] and
//! [`Group::receive_snapshot`]. What a machine does is in [`crate::machine`]; nothing here knows any machine.

mod coalesce;
mod config;
mod digest;
mod error;
mod group_commit;
mod handle;
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
#[cfg(test)]
mod tests;
mod transport;
mod wire;
mod witness;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::BasicNode;
use openraft::async_runtime::WatchReceiver;
use openraft::error::{Fatal, InitializeError, RaftError};
use storage::kv::{Engine, EngineError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use self::coalesce::Coalescer;
use self::config::{Types, raft_config};
use self::log_store::GroupLog;
use self::network::Network;
use self::read_index::Round;
use self::state_machine::StateMachine;
use self::state_store::StateStore;
use crate::id::{GroupId, NodeId};
use crate::machine::Machine;

pub use digest::StateDigest;
pub use error::{GroupError, HandleError, MembersError, ProposeError, ReadError, ReceiveError};
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
    raft: Raft<M>,
    log: GroupLog,
    state: Arc<StateStore<M>>,
    applied: watch::Receiver<u64>,
    /// Read rounds while this node leads.
    own_reads: Coalescer<Round>,
    /// Read rounds while another node leads.
    leader_reads: Coalescer<Round>,
    /// Held by the one snapshot that is being received.
    receiving: tokio::sync::Mutex<()>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl<M: Machine> Group<M> {
    /// Opens the replica in its directory, and starts it. What was acknowledged before a crash is there again when
    /// this returns; whether somebody leads is another question.
    ///
    /// # Errors
    /// When the options make no sense, or the log or the state cannot be read.
    pub async fn open(options: GroupOptions, resources: GroupResources) -> Result<Arc<Self>, GroupError> {
        let config = Arc::new(raft_config(&options)?);
        let (id, exec) = (options.id, resources.exec);
        let state = {
            let (options, resources) = (options.clone(), resources.clone());
            Arc::new(exec.run(move || StateStore::<M>::open(&options, &resources)).await?)
        };
        let log = resources.log.group(id, options.max_append_bytes, resources.observer(&options));
        let network = Network {
            group: id,
            node: options.node,
            transport: Arc::clone(&resources.transport),
            files: Arc::clone(&resources.files),
            exec,
        };
        let machine = StateMachine::new(Arc::clone(&state), exec);
        let raft = Raft::<M>::new(options.node.0, config, network, log.clone(), machine)
            .await
            .map_err(|error| stopped(id, &error))?;
        if raft.voter_ids().eq([options.node.0]) {
            // Nobody else can lead, so there is nothing to wait for. A failure shows in every later call.
            let _ = raft.trigger().elect(false).await;
        }
        let (own_reads, own_task) = Coalescer::start(read_index::own_rounds(raft.clone()));
        let (leader_reads, leader_task) = Coalescer::start(read_index::leader_rounds(
            raft.clone(),
            Arc::clone(&resources.transport),
            id,
            options.timing,
        ));
        let tasks = vec![
            own_task,
            leader_task,
            tokio::spawn(maintenance::run(id, raft.clone(), Arc::clone(&state), exec)),
            tokio::spawn(maintenance::report_leaders(id, raft.clone())),
        ];
        Ok(Arc::new(Self {
            applied: state.applied_index(),
            options,
            resources,
            raft,
            log,
            state,
            own_reads,
            leader_reads,
            receiving: tokio::sync::Mutex::new(()),
            tasks: Mutex::new(tasks),
        }))
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
        match self.raft.initialize(own).await {
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

    /// Follows the index of the last applied entry (0 before the first). Wakes up after each batch of entries, when
    /// [`state`](Self::state) shows their effects.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.clone()
    }

    /// Whether this node believes that it leads. It may have been replaced without knowing.
    pub fn is_leader(&self) -> bool {
        self.raft.is_leader()
    }

    /// The leader as far as is known.
    pub fn leader(&self) -> Option<NodeId> {
        self.raft.metrics().borrow_watched().current_leader.map(NodeId)
    }

    /// Address of a member, as the membership says.
    fn address(&self, node: NodeId) -> Option<String> {
        member_address(&self.raft, node)
    }

    /// Stops the replica: no vote, no append, no answer from now on. What was applied is made durable, and all
    /// handles of the group but its own are released; dropping the group closes its engine.
    pub async fn shutdown(&self) {
        // It ends with the core task; there is nothing to do about one that panicked.
        let _ = self.raft.shutdown().await;
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            // Cancelled is what it shall be.
            let _ = task.await;
        }
        let deadline = tokio::time::Instant::now() + SHUTDOWN_WAIT;
        while Arc::strong_count(&self.state) > 1 || self.log.is_shared() {
            if tokio::time::Instant::now() >= deadline {
                warn!(group = %self.id(), "openraft's tasks still hold the group's engines after its shutdown");
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let state = Arc::clone(&self.state);
        if let Err(error) = self.resources.exec.run(move || state.flush()).await {
            warn!(group = %self.id(), %error, "the state was not flushed at shutdown; the log brings it back");
        }
    }
}

impl<M: Machine> Drop for Group<M> {
    /// A replica that was not shut down ends as in a crash: openraft stops with the last handle, and those tasks hold some.
    fn drop(&mut self) {
        for task in self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
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
