//! One life of a replica: openraft over the log and the state, with the tasks that go with it.
//!
//! It is of one incarnation from its beginning to its end. A replica that changes to another one ends this life and begins
//! the next over the same stores ([`super::succession`]); nothing of the first one runs any more by then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use openraft::async_runtime::WatchReceiver;
use openraft::storage::RaftLogStorage as _;
use storage::exec::Exec;
use tokio::task::JoinHandle;

use super::coalesce::Coalescer;
use super::config::raft_config;
use super::error::GroupError;
use super::incarnation::{Heard, Incarnation};
use super::log_store::GroupLog;
use super::network::Network;
use super::options::{GroupOptions, GroupResources};
use super::read_index::{self, Round};
use super::state_machine::StateMachine;
use super::state_store::StateStore;
use super::{Raft, maintenance, stopped};
use crate::machine::Machine;

/// Why a replica stops that has panicked where it confirms reads.
pub(super) const NO_READS: &str = "it cannot confirm reads any more, by a fault of the program";

/// A replica at work.
#[derive(Debug)]
pub(super) struct Core<M: Machine> {
    /// The lineage that it is of.
    pub(super) incarnation: Incarnation,
    pub(super) raft: Raft<M>,
    /// Read rounds while this node leads.
    pub(super) own_reads: Coalescer<Round>,
    /// Read rounds while another node leads.
    pub(super) leader_reads: Coalescer<Round>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Whether it ends for another life of the replica to begin.
    leaving: AtomicBool,
}

impl<M: Machine> Core<M> {
    /// Begins, with what the log and the state hold.
    pub(super) async fn start(
        incarnation: Incarnation,
        (options, resources): (&GroupOptions, &GroupResources),
        (log, state): (&GroupLog, &Arc<StateStore<M>>),
        heard: &Heard,
    ) -> Result<Arc<Self>, GroupError> {
        let config = Arc::new(raft_config(options)?);
        let (id, exec) = (options.id, resources.exec);
        let network = Network {
            group: id,
            node: options.node,
            incarnation,
            heard: heard.clone(),
            transport: Arc::clone(&resources.transport),
            files: Arc::clone(&resources.files),
            engines: Arc::clone(&resources.engines),
            exec,
        };
        bridge(log, state, options, exec).await?;
        let machine = StateMachine::new(Arc::clone(state), exec);
        let raft = Raft::<M>::new(options.node.0, config, network, log.clone(), machine)
            .await
            .map_err(|error| stopped(id, &error))?;
        if raft.voter_ids().eq([options.node.0]) {
            // Nobody else can lead, so there is nothing to wait for. A failure shows in every later call.
            let _ = raft.trigger().elect(false).await;
        }
        let (own_reads, own_task) = Coalescer::start(read_index::own_rounds(raft.clone()));
        let leader_rounds = read_index::leader_rounds(raft.clone(), options, resources, incarnation, heard.clone());
        let (leader_reads, leader_task) = Coalescer::start(leader_rounds);
        let tasks = vec![
            own_task,
            leader_task,
            tokio::spawn(maintenance::run(id, raft.clone(), Arc::clone(state), exec)),
            tokio::spawn(maintenance::report_leaders(id, raft.clone())),
        ];
        let (tasks, leaving) = (Mutex::new(tasks), AtomicBool::new(false));
        Ok(Arc::new(Self { incarnation, raft, own_reads, leader_reads, tasks, leaving }))
    }

    /// Ends: no vote, no append, no answer from now on. openraft's tasks may take a moment longer to let go of the stores.
    pub(super) async fn stop(&self) {
        // It ends with the core task; there is nothing to do about one that panicked.
        let _ = self.raft.shutdown().await;
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            // Cancelled is what it shall be.
            let _ = task.await;
        }
    }

    /// Completes when it has stopped, and says why. One that cannot confirm reads any more is as good as stopped.
    pub(super) async fn failed(&self) -> String {
        tokio::select! {
            biased;
            failure = self.openraft_failed() => failure,
            () = self.own_reads.ended() => NO_READS.to_owned(),
            () = self.leader_reads.ended() => NO_READS.to_owned(),
        }
    }

    async fn openraft_failed(&self) -> String {
        let mut metrics = self.raft.metrics();
        loop {
            let failure = metrics.borrow_watched().running_state.as_ref().err().map(ToString::to_string);
            if let Some(failure) = failure {
                return failure;
            }
            if metrics.changed().await.is_err() {
                return "its task has ended".to_owned();
            }
        }
    }

    /// Says whether it ends for another life to begin.
    pub(super) fn set_leaving(&self, leaving: bool) {
        self.leaving.store(leaving, Ordering::SeqCst);
    }

    /// Whether it ends, or has ended, for another life to begin.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }
}

/// Sees to it that a snapshot and the log together give the state, before openraft looks at them.
async fn bridge<M: Machine>(
    log: &GroupLog,
    state: &Arc<StateStore<M>>,
    options: &GroupOptions,
    exec: Exec,
) -> Result<(), GroupError> {
    let (state, mut log) = (Arc::clone(state), log.clone());
    let bridged = async {
        let ends = log.get_log_state().await?;
        let [purged, last] = [ends.last_purged_log_id, ends.last_log_id].map(|id| id.map(|id| id.index));
        exec.run(move || state.bridge(purged, last)).await
    };
    let (doing, path) = ("take a snapshot of a state that is ahead of its log", options.directory.clone());
    bridged.await.map_err(|source| GroupError::File { doing, path, source })
}

impl<M: Machine> Drop for Core<M> {
    /// A replica that was not shut down ends as in a crash: openraft stops with the last handle, and those tasks hold some.
    fn drop(&mut self) {
        for task in self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}
