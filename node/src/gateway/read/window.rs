//! One window fetched: data shards first; when one of them is missing, damaged or slow, as many others as the codec
//! needs for its stripes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use raft::catalog::ExtentBody;
use storage::codec::Codec;
use storage::shard::{ShardIndex, ShardName};
use storage::switch;
use tokio::time::{Instant, sleep_until};

use super::plan::Window;
use super::{ExtentSource, report};
use crate::environment::BoxFuture;
use crate::gateway::core::Core;
use crate::gateway::error::ReadError;
use crate::shards::ShardError;

/// Why a window was not fetched.
#[derive(Debug)]
pub(super) enum FetchError {
    /// The extent was written anew meanwhile.
    Replaced(ExtentBody),
    /// Too few shards can be read.
    Unreadable(String),
    /// What tells of the extent, or restores its blocks, failed.
    Failed(ReadError),
}

fn defect(message: impl ToString) -> FetchError {
    FetchError::Failed(ReadError::internal(message))
}

/// Fetches the verified bytes of a window, in order.
pub(super) async fn fetch(core: &Arc<Core>, source: &ExtentSource, window: &Window) -> Result<Vec<Bytes>, FetchError> {
    let mut fetch = Fetch::new(core, source, window);
    fetch.ask_wanted();
    let patience = if switch::rare("gateway.read.hedge_at_once") { Duration::ZERO } else { core.options.hedge_delay };
    let mut hedge_at = Instant::now() + patience;
    loop {
        fetch.ask_others();
        if fetch.is_complete() {
            break;
        }
        if fetch.pending.is_empty() {
            return Err(fetch.unreadable());
        }
        tokio::select! {
            biased;
            Some(answer) = fetch.pending.next() => fetch.take(answer)?,
            () = sleep_until(hedge_at) => {
                hedge_at = Instant::now() + core.options.hedge_delay;
                fetch.lose_patience();
            }
        }
    }
    fetch.into_bytes(window).await
}

type Answer = (usize, Range<u64>, Result<Vec<Bytes>, ShardError>);

/// A shard as this fetch sees it.
#[derive(Debug, Default)]
struct Holder {
    /// Blocks that were asked for.
    asked: Range<u64>,
    /// It will not answer, or has answered with an error.
    failed: bool,
    /// It has not answered in time.
    slow: bool,
    /// By stripe of the window.
    blocks: Vec<Option<Bytes>>,
}

struct Fetch<'a> {
    core: &'a Arc<Core>,
    source: &'a ExtentSource,
    first_stripe: u64,
    /// Blocks wanted of each data shard.
    wanted: Vec<Range<u64>>,
    /// By shard index.
    holders: Vec<Holder>,
    /// Shard indices in the order in which they are asked: data before parity, this node's own first.
    order: Vec<usize>,
    pending: FuturesUnordered<BoxFuture<'a, Answer>>,
    failures: Vec<String>,
}

impl<'a> Fetch<'a> {
    fn new(core: &'a Arc<Core>, source: &'a ExtentSource, window: &Window) -> Self {
        let geometry = &source.coded.geometry;
        let stripes = usize::try_from(window.stripes.end - window.stripes.start).unwrap_or(0);
        let shards = geometry.profile.shards();
        let holders = (0..shards).map(|_| Holder { blocks: vec![None; stripes], ..Holder::default() }).collect();
        let own = core.roster.own();
        let mut order: Vec<usize> = (0..shards.min(source.coded.shards.len())).collect();
        order.sort_by_key(|shard| (*shard >= geometry.profile.data(), source.coded.shards[*shard].node != own));
        Self {
            core,
            source,
            first_stripe: window.stripes.start,
            wanted: window.wanted(geometry),
            holders,
            order,
            pending: FuturesUnordered::new(),
            failures: Vec::new(),
        }
    }

    fn ask_wanted(&mut self) {
        for shard in self.order.clone() {
            if let Some(blocks) = self.wanted.get(shard).cloned()
                && !blocks.is_empty()
            {
                self.ask(shard, blocks);
            }
        }
    }

    /// Asks a shard for blocks. A node that is known to be away is not asked. Returns whether it was asked.
    fn ask(&mut self, shard: usize, blocks: Range<u64>) -> bool {
        let location = self.source.coded.shards[shard];
        let holder = &mut self.holders[shard];
        if !self.core.roster.is_live(location.node) {
            holder.failed = true;
            self.failures.push(format!("shard {shard}: node {} is away", location.node));
            return false;
        }
        holder.asked = blocks.clone();
        let name = ShardName {
            object: self.source.object,
            extent: self.source.index,
            attempt: location.attempt,
            shard: ShardIndex(u8::try_from(shard).unwrap_or(u8::MAX)),
        };
        let reading = self.core.store.read(location.on(), name, self.source.coded.geometry, blocks.clone());
        self.pending.push(Box::pin(async move { (shard, blocks, reading.await) }));
        true
    }

    /// Where a wanted block will not come by itself, asks as many shards for the whole stripes as the codec needs.
    fn ask_others(&mut self) {
        let stripes = self.stripes_in_need();
        if stripes.is_empty() {
            return;
        }
        let needed = self.source.coded.geometry.profile.data();
        let mut contributing = self.order.iter().filter(|shard| self.contributes(**shard, &stripes)).count();
        for shard in self.order.clone() {
            if contributing >= needed {
                break;
            }
            let holder = &self.holders[shard];
            if !holder.failed && !holder.slow && !self.contributes(shard, &stripes) && self.ask(shard, stripes.clone())
            {
                contributing += 1;
            }
        }
    }

    /// The stripes, as one run, that hold wanted blocks of shards that failed or are slow.
    fn stripes_in_need(&self) -> Range<u64> {
        let mut need = 0..0;
        for (shard, wanted) in self.wanted.iter().enumerate() {
            let holder = &self.holders[shard];
            if !(holder.failed || holder.slow) {
                continue;
            }
            for stripe in wanted.clone().filter(|stripe| self.block(shard, *stripe).is_none()) {
                need =
                    if need.is_empty() { stripe..stripe + 1 } else { need.start.min(stripe)..need.end.max(stripe + 1) };
            }
        }
        need
    }

    /// Whether a shard has given, or is expected to give, all blocks of these stripes.
    fn contributes(&self, shard: usize, stripes: &Range<u64>) -> bool {
        let holder = &self.holders[shard];
        let expected = |stripe: &u64| !holder.failed && !holder.slow && holder.asked.contains(stripe);
        stripes.clone().all(|stripe| self.block(shard, stripe).is_some() || expected(&stripe))
    }

    fn block(&self, shard: usize, stripe: u64) -> Option<&Bytes> {
        let row = usize::try_from(stripe.checked_sub(self.first_stripe)?).ok()?;
        self.holders[shard].blocks.get(row)?.as_ref()
    }

    fn is_complete(&self) -> bool {
        let needed = self.source.coded.geometry.profile.data();
        self.wanted.iter().enumerate().all(|(shard, wanted)| {
            wanted.clone().all(|stripe| {
                self.block(shard, stripe).is_some()
                    || (0..self.holders.len()).filter(|other| self.block(*other, stripe).is_some()).count() >= needed
            })
        })
    }

    fn take(&mut self, (shard, blocks, outcome): Answer) -> Result<(), FetchError> {
        let found = match outcome {
            Ok(found) => found,
            Err(failure) => return self.fail(shard, &failure),
        };
        for (stripe, block) in blocks.zip(found) {
            let row = usize::try_from(stripe - self.first_stripe).unwrap_or(usize::MAX);
            if let Some(cell) = self.holders[shard].blocks.get_mut(row) {
                *cell = Some(block);
            }
        }
        Ok(())
    }

    fn fail(&mut self, shard: usize, failure: &ShardError) -> Result<(), FetchError> {
        self.holders[shard].failed = true;
        self.failures.push(failure.to_string());
        if failure.is_unreachable() {
            self.core.roster.report_failure(self.source.coded.shards[shard].node);
            return Ok(());
        }
        let current = self.source.current(self.core).map_err(FetchError::Failed)?;
        match current {
            Some(ExtentBody::Coded(coded)) if coded.attempt == self.source.coded.attempt => {
                report(self.core, self.source, failure);
                Ok(())
            }
            Some(body) => Err(FetchError::Replaced(body)),
            // Not committed yet, or removed: nothing to report.
            None => Ok(()),
        }
    }

    fn lose_patience(&mut self) {
        for shard in 0..self.holders.len() {
            let (from, to) = (self.holders[shard].asked.start, self.holders[shard].asked.end);
            let owes = (from..to).any(|stripe| self.block(shard, stripe).is_none());
            let holder = &mut self.holders[shard];
            if owes && !holder.failed && !holder.slow {
                holder.slow = true;
                self.core.metrics.hedged_reads.inc();
            }
        }
    }

    fn unreadable(&mut self) -> FetchError {
        FetchError::Unreadable(std::mem::take(&mut self.failures).join("; "))
    }

    async fn into_bytes(mut self, window: &Window) -> Result<Vec<Bytes>, FetchError> {
        self.reconstruct().await?;
        let mut bytes = Vec::new();
        for piece in window.pieces(&self.source.coded.geometry) {
            let block = self.block(piece.shard, piece.stripe);
            let block = block.filter(|block| block.len() >= piece.bytes.end);
            let block = block.ok_or_else(|| defect("a block is shorter than its geometry"))?;
            bytes.push(block.slice(piece.bytes));
        }
        Ok(bytes)
    }

    /// Computes the wanted blocks that did not come.
    async fn reconstruct(&mut self) -> Result<(), FetchError> {
        let mut stripes: Vec<(usize, Vec<Option<Bytes>>)> = Vec::new();
        let mut missing = 0;
        for row in 0..self.holders.first().map_or(0, |holder| holder.blocks.len()) {
            let stripe = self.first_stripe + row as u64;
            let wanted = self.wanted.iter().enumerate().filter(|(_, wanted)| wanted.contains(&stripe));
            let absent = wanted.filter(|(shard, _)| self.holders[*shard].blocks[row].is_none()).count();
            if absent > 0 {
                missing += absent as u64;
                stripes.push((row, self.holders.iter().map(|holder| holder.blocks[row].clone()).collect()));
            }
        }
        if stripes.is_empty() {
            return Ok(());
        }
        let profile = self.source.coded.geometry.profile;
        let restored = self.core.exec.run(move || {
            let codec = Codec::new(profile);
            for (_, blocks) in &mut stripes {
                codec.reconstruct(blocks)?;
            }
            Ok::<_, storage::codec::CodecError>(stripes)
        });
        for (row, blocks) in restored.await.map_err(defect)? {
            for (holder, block) in self.holders.iter_mut().zip(blocks) {
                holder.blocks[row] = block;
            }
        }
        self.core.metrics.degraded_reads.inc();
        self.core.metrics.reconstructed_blocks.inc_by(missing);
        Ok(())
    }
}
