//! Debts are paid: what they need is brought ahead, for several at a time, and becomes visible in their order.
//!
//! What fails is tried again later, and later still if it fails again; the others go on. What waits for the source, or for
//! the own catalog, is not a failure: nothing is struck off, and all of it is tried again soon.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use raft::catalog::{
    Command, DEBT_ERROR_BYTES_MAX, DebtRecord, FailedDebt, Owed, ReplicationRecord, ReplicationStage, Response,
    SettleDebts, SettledDebt, StateError, Tag, TagRecord, View,
};
use raft::policy::REPLICATION;
use raft::time::Timestamp;
use storage::kv::Engine;
use tokio::time::{sleep, timeout};

use super::copy::{Cause, Copier, Ready};
use super::scope::Wanted;
use super::transfer::For;
use super::trouble::Trouble;
use super::window::{Debt, Job, Work, plan};
use crate::gateway::core::Core;

/// Debts that are looked at and planned together.
const WINDOW: usize = 128;
/// Debts read at once, to find those whose time has come.
const PAGE: usize = 512;
/// Debts whose content is brought ahead of the one that becomes visible next.
const AHEAD: usize = 8;
/// Debts that are struck off by one command, and how long those wait for others.
const SETTLED_TOGETHER: usize = 64;
const SETTLE_WITHIN: Duration = Duration::from_millis(500);
/// Rest when nothing is owed, or nothing can be paid.
const REST: Duration = Duration::from_secs(1);
/// Seconds until what failed is tried again, doubled with each failure.
const RETRY_SECONDS: u64 = 5;
/// The most of it.
const RETRY_SECONDS_MAX: u64 = 600;

/// Seconds until what could not be paid so often is tried again.
fn retry_seconds(failures: u32) -> u64 {
    RETRY_SECONDS.saturating_mul(1_u64.checked_shl(failures).unwrap_or(u64::MAX)).min(RETRY_SECONDS_MAX)
}

/// Debts of a round whose time has come, in order.
fn due(view: &View<Arc<dyn Engine>>, wanted: &Wanted, round: u64, now: Timestamp) -> Result<Vec<Debt>, StateError> {
    // Those of former rounds have smaller numbers.
    let (mut found, mut after) = (Vec::new(), round.checked_sub(1));
    loop {
        let page = view.debts(wanted.source.id, &wanted.prefix, after, PAGE)?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|(number, _)| *number);
        let ready = |debt: &DebtRecord| debt.not_before <= now;
        found.extend(page.into_iter().filter(|(_, debt)| ready(debt)).take(WINDOW - found.len()));
        if is_last || found.len() == WINDOW {
            return Ok(found);
        }
    }
}

/// What became of a debt.
enum Paid {
    /// It is paid, or owed no more.
    Done {
        /// Bytes that came for it.
        bytes: u64,
    },
    Failed(String),
}

/// What was brought for a job.
enum Brought {
    Ready(Box<Ready>, Vec<Tag>),
    /// All of it is here, for so many bytes that came.
    Here(u64),
    /// Nothing has to be brought.
    Nothing,
    /// It is owed no more.
    Settled,
}

/// Pays the debts of one scope.
#[derive(Debug)]
pub(super) struct Payer<'a> {
    pub(super) copier: &'a Copier,
    pub(super) whom: For<'a>,
}

impl Payer<'_> {
    fn core(&self) -> &Arc<Core> {
        self.copier.transfers.gateway.core()
    }

    /// Pays for ever.
    pub(super) async fn run(&self) {
        loop {
            match self.round().await {
                Ok(true) => self.whom.state.paying_waits(None),
                Ok(false) => {
                    self.whom.state.paying_waits(None);
                    let _woken = timeout(REST, self.whom.state.owed.notified()).await;
                }
                Err(trouble) => {
                    self.whom.state.paying_waits(Some(trouble.to_string()));
                    sleep(REST).await;
                }
            }
        }
    }

    /// Pays what is due, some of it. False if nothing is.
    pub(super) async fn round(&self) -> Result<bool, Trouble> {
        let (round, jobs) = self.jobs().await?;
        if jobs.is_empty() {
            return Ok(false);
        }
        let mut struck = Struck::new(self, round);
        let outcome = self.work(jobs, &mut struck).await;
        // What was paid before somebody had to be waited for is paid.
        struck.flush().await?;
        outcome.map(|()| true)
    }

    /// What is to be done, and the round to which it belongs.
    async fn jobs(&self) -> Result<(u64, Vec<Job>), Trouble> {
        let (view, wanted, now) = (self.core().records.view(), self.whom.wanted.clone(), self.core().clock.now());
        let planned = self.core().exec.run(move || -> Result<(u64, Vec<Job>), StateError> {
            let record = view.replication(wanted.source.id, &wanted.prefix)?;
            let known = record.filter(|record| record.stage != ReplicationStage::Void && record.scope == wanted.scope);
            let Some(ReplicationRecord { round, .. }) = known else { return Ok((0, Vec::new())) };
            // Debts are put off by the catalog's clock, which may be ahead of this node's.
            let debts = due(&view, &wanted, round, now.max(view.clock()?))?;
            let wanted = wanted.clearing(&view)?;
            let points_to = |record: TagRecord| record.digest;
            let jobs = plan(&wanted, &debts, |repository, tag| {
                Ok::<_, StateError>(view.tag(repository, tag)?.map(points_to))
            })?;
            Ok((round, jobs))
        });
        Ok(planned.await?)
    }

    async fn work(&self, jobs: Vec<Job>, struck: &mut Struck<'_>) -> Result<(), Trouble> {
        let mut brought = pin!(stream::iter(jobs).map(|job| self.brought(job)).buffered(AHEAD));
        while let Some((job, brought)) = struck.meanwhile(brought.as_mut()).await? {
            let paid = match brought {
                Ok(brought) => self.pay(&job, brought).await,
                Err(trouble) => Err(trouble),
            };
            let paid = match paid {
                // Struck off with what was written.
                Ok(None) => continue,
                Ok(Some(bytes)) => Paid::Done { bytes },
                Err(Trouble::Failed(error)) => Paid::Failed(error),
                Err(wait @ Trouble::Wait(_)) => return Err(wait),
            };
            struck.note(&job, &paid).await?;
        }
        Ok(())
    }

    async fn brought(&self, job: Job) -> (Job, Result<Brought, Trouble>) {
        let brought = self.bring(&job).await;
        (job, brought)
    }

    /// Brings what a job needs, and asks the source again where time has passed.
    async fn bring(&self, job: &Job) -> Result<Brought, Trouble> {
        let (source, upstream) = (&self.whom.wanted.source, &self.copier.transfers.upstream);
        match &job.work {
            Work::Nothing => Ok(Brought::Settled),
            Work::RemoveManifest { .. } => Ok(Brought::Nothing),
            Work::Blob { digest } => {
                let came = self.copier.transfers.bring(self.whom, &job.repository, digest).await?;
                Ok(came.map_or(Brought::Settled, Brought::Here))
            }
            Work::RemoveTag { tag, asks } => {
                if *asks && upstream.tag(source, &job.repository, tag).await?.is_some() {
                    // It is there again, and the feed tells of that.
                    return Ok(Brought::Settled);
                }
                Ok(Brought::Nothing)
            }
            Work::Put { digest, tags, asks } => {
                for tag in tags.iter().filter(|_| *asks) {
                    if upstream.tag(source, &job.repository, tag).await? != Some(*digest) {
                        // It has moved on, or is gone, and the feed tells of that.
                        return Ok(Brought::Settled);
                    }
                }
                let ready = self.copier.prepare(self.whom, &job.repository, digest, &self.cause(job)).await?;
                Ok(ready.map_or(Brought::Settled, |ready| Brought::Ready(Box::new(ready), tags.clone())))
            }
        }
    }

    fn cause(&self, job: &Job) -> Cause {
        let wanted = self.whom.wanted;
        let (source, prefix, numbers) = (wanted.source.id, wanted.prefix.clone(), job.numbers.clone());
        Cause { made: job.made, owed: Owed { source, prefix, numbers, bytes: 0 } }
    }

    /// Makes visible what was brought, which strikes the debts off. `Some` if nothing was written, with the bytes that came:
    /// they are still to be struck off.
    async fn pay(&self, job: &Job, brought: Brought) -> Result<Option<u64>, Trouble> {
        let (repository, cause) = (job.repository.clone(), self.cause(job));
        let principal = Some(REPLICATION.to_owned());
        let command = match (&job.work, brought) {
            (_, Brought::Settled) => return Ok(Some(0)),
            (_, Brought::Here(bytes)) => return Ok(Some(bytes)),
            (Work::Put { digest, .. }, Brought::Ready(ready, tags)) => {
                let bytes = ready.bytes;
                if self.copier.put(*ready, tags.clone()).await? {
                    return Ok(None);
                }
                return self.copier.again(self.whom, (&repository, digest, &tags), &cause, bytes).await;
            }
            (Work::RemoveTag { tag, .. }, _) => {
                Command::DeleteTag { repository, tag: tag.clone(), principal, owed: Some(cause.owed) }
            }
            (Work::RemoveManifest { digest }, _) => {
                Command::DeleteManifest { repository, digest: *digest, principal, owed: Some(cause.owed) }
            }
            (Work::Nothing | Work::Blob { .. } | Work::Put { .. }, _) => return Ok(Some(0)),
        };
        match self.core().propose(command).await? {
            Response::Deleted { .. } => Ok(None),
            Response::TagUnknown | Response::ManifestUnknown => Ok(Some(0)),
            response => Err(Trouble::of(&response)),
        }
    }
}

/// What became of debts, told to the catalog some at a time.
struct Struck<'a> {
    payer: &'a Payer<'a>,
    round: u64,
    settled: Vec<SettledDebt>,
    failed: Vec<FailedDebt>,
}

impl<'a> Struck<'a> {
    const fn new(payer: &'a Payer<'a>, round: u64) -> Self {
        Self { payer, round, settled: Vec::new(), failed: Vec::new() }
    }

    /// The next item, and meanwhile tells what there is to tell.
    async fn meanwhile<T>(
        &mut self,
        mut items: std::pin::Pin<&mut impl Stream<Item = T>>,
    ) -> Result<Option<T>, Trouble> {
        loop {
            match timeout(SETTLE_WITHIN, items.next()).await {
                Ok(item) => return Ok(item),
                Err(_elapsed) => self.flush().await?,
            }
        }
    }

    async fn note(&mut self, job: &Job, paid: &Paid) -> Result<(), Trouble> {
        for (position, number) in job.numbers.iter().enumerate() {
            match paid {
                // What several share has come once.
                Paid::Done { bytes } => {
                    let bytes = if position == 0 { *bytes } else { 0 };
                    self.settled.push(SettledDebt { number: *number, bytes });
                }
                Paid::Failed(error) => self.failed.push(FailedDebt {
                    number: *number,
                    error: shortened(error, DEBT_ERROR_BYTES_MAX),
                    retry_seconds: retry_seconds(job.failures),
                }),
            }
        }
        if self.settled.len() + self.failed.len() >= SETTLED_TOGETHER {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Trouble> {
        if self.settled.is_empty() && self.failed.is_empty() {
            return Ok(());
        }
        let wanted = self.payer.whom.wanted;
        let command = Command::SettleDebts(SettleDebts {
            source: wanted.source.id,
            prefix: wanted.prefix.clone(),
            round: self.round,
            settled: std::mem::take(&mut self.settled),
            failed: std::mem::take(&mut self.failed),
        });
        match self.payer.core().propose(command).await? {
            Response::Count { .. } | Response::Done => Ok(()),
            response => Err(Trouble::of(&response)),
        }
    }
}

/// At most so many bytes of a text.
fn shortened(text: &str, bytes_max: usize) -> String {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_again_later_and_later() {
        let seconds: Vec<u64> = [0, 1, 2, 6, 7, 63, 64, u32::MAX].map(retry_seconds).into();
        assert_eq!(seconds, [5, 10, 20, 320, 600, 600, 600, 600]);
    }

    #[test]
    fn an_error_is_cut_between_letters() {
        assert_eq!(shortened("abcdef", 4), "abcd");
        assert_eq!(shortened("aaä", 3), "aa");
        assert_eq!(shortened("", 3), "");
    }
}
