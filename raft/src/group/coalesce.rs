//! Many callers, one round of work: whoever asks while a round runs shares the next one.
//!
//! A round that has begun is never joined: it may have looked at the world before the caller asked.

use storage::switch;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Callers served by one round.
const ROUND_LIMIT: usize = 4096;

fn round_limit() -> usize {
    if switch::rare("raft.coalesce.single") { 1 } else { ROUND_LIMIT }
}

/// Shares rounds whose outcome is a `T`.
#[derive(Debug)]
pub(super) struct Coalescer<T> {
    queue: mpsc::UnboundedSender<oneshot::Sender<T>>,
}

impl<T: Clone + Send + 'static> Coalescer<T> {
    /// Starts the task that runs `round` whenever somebody waits. It ends when the coalescer is dropped.
    pub(super) fn start<F, R>(round: F) -> (Self, JoinHandle<()>)
    where
        F: Fn() -> R + Send + 'static,
        R: Future<Output = T> + Send,
    {
        let (queue, mut receiver) = mpsc::unbounded_channel::<oneshot::Sender<T>>();
        let task = tokio::spawn(async move {
            let mut waiting = Vec::new();
            while receiver.recv_many(&mut waiting, round_limit()).await > 0 {
                let outcome = round().await;
                for caller in waiting.drain(..) {
                    // A caller that went away needs no answer.
                    let _ = caller.send(outcome.clone());
                }
            }
        });
        (Self { queue }, task)
    }

    /// The outcome of a round that begins after this call. `None` when the task has ended.
    pub(super) async fn round(&self) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.queue.send(sender).ok()?;
        receiver.await.ok()
    }

    /// Completes when the task has ended: it was aborted, or a round has panicked.
    pub(super) async fn ended(&self) {
        self.queue.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn callers_during_a_round_share_the_next() {
        let rounds = Arc::new(AtomicU64::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let (coalescer, _task) = Coalescer::start({
            let (rounds, gate) = (Arc::clone(&rounds), Arc::clone(&gate));
            move || {
                let (rounds, gate) = (Arc::clone(&rounds), Arc::clone(&gate));
                async move {
                    let round = rounds.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.unwrap().forget();
                    round
                }
            }
        });
        let coalescer = Arc::new(coalescer);
        let ask = || {
            let coalescer = Arc::clone(&coalescer);
            tokio::spawn(async move { coalescer.round().await.unwrap() })
        };
        let first = ask();
        while rounds.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let later: Vec<_> = (0..10).map(|_| ask()).collect();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(2);
        assert_eq!(first.await.unwrap(), 0);
        for caller in later {
            assert_eq!(caller.await.unwrap(), 1);
        }
    }

    #[tokio::test]
    async fn a_round_that_panics_is_the_last_one_and_everybody_hears_of_it() {
        let (coalescer, task) = Coalescer::<()>::start(|| async { panic!("a fault of the program") });
        assert_eq!(coalescer.round().await, None);
        coalescer.ended().await;
        assert_eq!(coalescer.round().await, None);
        assert!(task.await.unwrap_err().is_panic());
    }
}
