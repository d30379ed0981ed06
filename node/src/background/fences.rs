//! A fence that nobody lifts: who moved a namespace has died between ending its writes and setting its new home.
//!
//! The leader of the home's catalog lets writes in again after a time in which a move that is alive has long ended. The
//! move stays, and its copy; who repeats it fences again. A move that wanted to end at the same moment is refused, since
//! the directory's version is another one then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft::directory::{Command, Moving, NamespaceRecord, Response, StateError, View};
use raft::id::{NodeId, RequestId};
use storage::kv::Engine;
use storage::switch;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::leader::{Duty, Left};
use crate::deletion::DirectoryRecords;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;

/// Rest between two looks. One read of the namespaces each, if they have changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long a fence may last: several times as long as a move lets it.
const FENCED_MAX: Duration = Duration::from_mins(2);
/// How long the directory's quorum is waited for.
const CONFIRM: Duration = Duration::from_secs(6);
/// Namespaces read at once.
const PAGE_NAMESPACES: usize = 512;

/// The work.
#[derive(Debug)]
pub(super) struct Fences {
    directory: Arc<dyn DirectoryRecords>,
    /// Version of the namespaces that was looked at last.
    version: Option<u64>,
    /// Since when each fenced prefix of this region has been seen.
    seen: BTreeMap<String, Instant>,
}

impl Fences {
    /// The fences of this directory.
    pub(super) const fn new(directory: Arc<dyn DirectoryRecords>) -> Self {
        Self { directory, version: None, seen: BTreeMap::new() }
    }

    /// Lifts one, if it still stands.
    async fn lift(&self, core: &Arc<Core>, prefix: &str) -> Result<(), StateError> {
        if !matches!(timeout(CONFIRM, self.directory.barrier()).await, Ok(Ok(()))) {
            return Ok(());
        }
        let view = self.directory.view();
        // The version first: what changes after it is noticed.
        let made_from = view.policy_version()?;
        let Some(record) = view.namespace(prefix)? else { return Ok(()) };
        let Some(Moving { to, fenced: true }) = record.moving else { return Ok(()) };
        let record = NamespaceRecord { moving: Some(Moving { to, fenced: false }), ..record };
        let command = Command::SetNamespace { prefix: prefix.to_owned(), record, made_from };
        match self.directory.propose(RequestId(core.entropy.id()), command).await {
            Ok(Response::Done) => {
                info!(namespace = prefix, "nobody has ended the move of its home, writes are let in again");
            }
            Ok(response) => warn!(?response, namespace = prefix, "the fence of a move cannot be lifted"),
            Err(error) => warn!(%error, namespace = prefix, "the fence of a move cannot be lifted"),
        }
        Ok(())
    }
}

/// Prefixes whose home is the region of this node, and fenced.
fn fenced(view: &View<Arc<dyn Engine>>, own: NodeId) -> Result<Vec<String>, StateError> {
    let Some(node) = view.node(own)? else { return Ok(Vec::new()) };
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = view.namespaces(after.as_deref(), PAGE_NAMESPACES)?;
        let end = page.len() < PAGE_NAMESPACES;
        after = page.last().map(|(last, _)| last.clone());
        for (prefix, record) in page {
            let home = || Ok::<_, StateError>(view.place_at(&prefix)?.map(|place| place.home));
            if record.moving.is_some_and(|moving| moving.fenced) && home()? == Some(node.region) {
                found.push(prefix);
            }
        }
        if end {
            return Ok(found);
        }
    }
}

/// What was seen before and still is, with what is seen now.
fn seen(before: &BTreeMap<String, Instant>, fenced: Vec<String>, now: Instant) -> BTreeMap<String, Instant> {
    fenced.into_iter().map(|prefix| (prefix.clone(), before.get(&prefix).copied().unwrap_or(now))).collect()
}

impl Duty for Fences {
    const NAME: &'static str = "fences";
    const LOOK_INTERVAL: Duration = LOOK_INTERVAL;
    const ROUND_REST: Duration = LOOK_INTERVAL;

    async fn round(&mut self, core: &Arc<Core>) -> Result<Left, CatalogError> {
        let view = self.directory.view();
        let version = view.policy_version()?;
        if self.version != Some(version) {
            let own = core.roster.own();
            let fenced = core.exec.run(move || fenced(&view, own)).await?;
            self.seen = seen(&self.seen, fenced, Instant::now());
            self.version = Some(version);
        }
        let old: Vec<String> =
            self.seen.iter().filter(|(_, since)| since.elapsed() >= FENCED_MAX).map(|(at, _)| at.clone()).collect();
        for prefix in old {
            self.lift(core, &prefix).await?;
        }
        Ok(Left::Nothing)
    }

    fn retire(&mut self) {
        self.version = None;
        self.seen.clear();
    }

    fn hurried(&self) -> bool {
        switch::rare("background.fences.hurry")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fence_is_as_old_as_it_was_seen_without_a_break() {
        let first = Instant::now();
        let before = seen(&BTreeMap::new(), vec!["acme".to_owned(), "tools".to_owned()], first);
        tokio::time::advance(Duration::from_mins(1)).await;
        let now = Instant::now();
        let then = seen(&before, vec!["acme".to_owned(), "other".to_owned()], now);
        assert_eq!(then, BTreeMap::from([("acme".to_owned(), first), ("other".to_owned(), now)]));
        assert!(seen(&then, Vec::new(), now).is_empty());
    }
}
