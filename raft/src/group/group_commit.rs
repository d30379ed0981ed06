//! Group commit: one sync of the log's engine serves all writes that wait for one.
//!
//! Writers write without a sync and leave a callback here. One task takes all callbacks that wait, syncs once, and
//! calls them; what is written meanwhile is the next round. After a failed sync nothing is known about what reached
//! the disk, so every later round fails too: the replicas stop and the node must be restarted.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use openraft::storage::IOFlushed;
use storage::exec::Exec;
use storage::kv::Engine;
use storage::switch;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::error;

use super::config::Types;
use super::witness::{Observer, Position};

/// Callbacks taken in one round.
const ROUND_LIMIT: usize = 4096;

/// Who waits for a sync.
struct Waiter {
    done: IOFlushed<Types>,
    /// Told of the last entry before anybody else learns that it is durable.
    observer: Option<(Observer, Position)>,
}

enum Message {
    Written(Waiter),
    Close,
}

/// The queue of those who wait for a sync, and the task that serves them.
#[derive(Debug)]
pub(super) struct GroupCommit {
    queue: mpsc::UnboundedSender<Message>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl GroupCommit {
    /// Starts the task. Must be called within a runtime.
    pub(super) fn start(engine: Arc<dyn Engine>, exec: Exec) -> Self {
        let (queue, receiver) = mpsc::unbounded_channel();
        let task = tokio::spawn(serve(engine, exec, receiver));
        Self { queue, task: Mutex::new(Some(task)) }
    }

    /// Calls `done` once everything that was written before this call is durable, and tells the observer just before.
    pub(super) fn after_sync(&self, done: IOFlushed<Types>, observer: Option<(Observer, Position)>) {
        let waiter = Waiter { done, observer };
        if let Err(mpsc::error::SendError(Message::Written(waiter))) = self.queue.send(Message::Written(waiter)) {
            waiter.done.io_completed(Err(io::Error::other("the log store is closed")));
        }
    }

    /// Waits until everything that was written before this call is durable.
    pub(super) async fn sync(&self) -> io::Result<()> {
        let (sender, receiver) = <Types as openraft::type_config::TypeConfigExt>::oneshot();
        self.after_sync(IOFlushed::signal(sender), None);
        receiver.await.unwrap_or_else(|_| Err(io::Error::other("the log store is closed")))
    }

    /// Serves who waits already, then ends the task and lets go of the engine.
    pub(super) async fn close(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Both fail only when the task has ended already, which is what is wanted.
        let _ = self.queue.send(Message::Close);
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

fn round_limit() -> usize {
    if switch::rare("raft.group_commit.single") { 1 } else { ROUND_LIMIT }
}

async fn serve(engine: Arc<dyn Engine>, exec: Exec, mut receiver: mpsc::UnboundedReceiver<Message>) {
    let mut failed: Option<String> = None;
    let mut round = Vec::new();
    let mut open = true;
    while open && receiver.recv_many(&mut round, round_limit()).await > 0 {
        let mut waiting = Vec::with_capacity(round.len());
        for message in round.drain(..) {
            match message {
                Message::Written(waiter) => waiting.push(waiter),
                Message::Close => open = false,
            }
        }
        if waiting.is_empty() {
            continue;
        }
        if failed.is_none() && !switch::broken("raft.group_commit.skip_sync") {
            let engine = Arc::clone(&engine);
            if let Err(failure) = exec.run(move || engine.sync()).await {
                error!(%failure, "the raft log cannot be synced; this node's replicas stop");
                failed = Some(failure.to_string());
            }
        }
        for Waiter { done, observer } in waiting {
            if let (None, Some((Observer { witness, replica }, last))) = (&failed, observer) {
                witness.persisted(replica, last);
            }
            done.io_completed(failed.as_ref().map_or(Ok(()), |message| Err(io::Error::other(message.clone()))));
        }
    }
}
