//! Extents below their redundancy are written anew, the most dangerous first, one at a time.
//!
//! A degraded write waits until the cluster can do better; an extent with a missing or damaged shard is rebuilt as
//! soon as there is a safe place. Between two extents the work rests as long as the last one took, so that clients
//! keep at least half of the disks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{CodedExtent, Command, ExtentBody, Response, ShortfallKey, ShortfallRecord};
use storage::shard::{ExtentIndex, ObjectId};
use storage::switch;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::Metrics;
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;
use crate::gateway::placement::Placement;
use crate::gateway::write::{Avoided, discard, rewrite};

/// Rest between two looks at the list.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Longest rest between two extents.
const REST_MAX: Duration = Duration::from_secs(10);
/// Rest between two pages of the list.
const PAGE_REST: Duration = Duration::from_millis(50);
/// Time for which an extent that could not be rebuilt is left alone.
const FAILURE_REST: Duration = Duration::from_secs(30);
/// Entries read at a time.
const PAGE_ENTRIES: usize = 128;

/// Extents that could not be rebuilt, and when to try again.
type Failed = BTreeMap<(ObjectId, ExtentIndex), Instant>;

/// What is to be done with an entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Write it anew.
    Rewrite,
    /// The cluster can do no better at present.
    Wait,
    /// It speaks of shards that were replaced meanwhile.
    Ignore,
}

/// Decides about an entry. `placement` is where the extent would go now.
fn plan(shortfall: &ShortfallRecord, extent: Option<&CodedExtent>, placement: Option<&Placement>) -> Action {
    let Some(extent) = extent.filter(|extent| extent.attempt == shortfall.attempt) else { return Action::Ignore };
    let Some(placement) = placement else { return Action::Wait };
    let strength = |profile: storage::codec::Profile| (profile.parity(), profile.data());
    let better = strength(placement.profile) > strength(extent.geometry.profile);
    if !shortfall.missing.is_empty() || !placement.degraded || better { Action::Rewrite } else { Action::Wait }
}

/// Works until the node stops.
pub(super) async fn run(core: Arc<Core>, metrics: Metrics) {
    let mut cursor: Option<ShortfallKey> = None;
    let mut failed = Failed::new();
    loop {
        let next = if core.records.is_leader() {
            round(&core, &metrics, cursor.as_ref(), &mut failed).await.unwrap_or_else(|error| {
                warn!(%error, "the list of extents below their redundancy cannot be read");
                None
            })
        } else {
            failed.clear();
            None
        };
        let hurried = next.is_some() || switch::rare("background.reencode.hurry");
        sleep(if hurried { PAGE_REST } else { LOOK_INTERVAL }).await;
        cursor = next;
    }
}

/// Works off one page. Returns where to go on; `None` at the end of the list.
async fn round(
    core: &Arc<Core>,
    metrics: &Metrics,
    after: Option<&ShortfallKey>,
    failed: &mut Failed,
) -> Result<Option<ShortfallKey>, CatalogError> {
    failed.retain(|_, again| *again > Instant::now());
    let page = core.records.view().shortfalls(after, PAGE_ENTRIES)?;
    let full = page.len() == PAGE_ENTRIES;
    let last = page.last().map(|(key, _)| *key);
    for (key, shortfall) in page {
        if !core.records.is_leader() {
            return Ok(None);
        }
        if failed.contains_key(&(key.object, key.extent)) {
            continue;
        }
        let extent = match core.records.view().extent(key.object, key.extent)?.map(|record| record.body) {
            Some(ExtentBody::Coded(coded)) => Some(coded),
            Some(ExtentBody::Inline(_)) | None => None,
        };
        let placement = core.place(&BTreeSet::new(), key.object, key.extent).ok();
        if plan(&shortfall, extent.as_ref(), placement.as_ref()) == Action::Rewrite
            && let Some(extent) = extent
        {
            let began = Instant::now();
            if !work_off(core, metrics, &key, &shortfall, &extent).await {
                failed.insert((key.object, key.extent), Instant::now() + FAILURE_REST);
            }
            sleep(began.elapsed().min(REST_MAX)).await;
        }
    }
    Ok(last.filter(|_| full))
}

/// Whether it is done with: rebuilt, or not to be rebuilt any more.
async fn work_off(
    core: &Arc<Core>,
    metrics: &Metrics,
    key: &ShortfallKey,
    shortfall: &ShortfallRecord,
    extent: &CodedExtent,
) -> bool {
    let (object, index) = (key.object, key.extent);
    let written = match rewrite(core, object, index, extent, &mut Avoided::default()).await {
        Ok(written) => written,
        Err(error) => {
            metrics.reencode_failures.inc();
            warn!(%object, extent = index.0, reason = ?shortfall.reason, %error, "extent cannot be rebuilt yet");
            return false;
        }
    };
    let command = Command::ReplaceExtent {
        object,
        extent: index,
        expected: extent.attempt,
        body: written.coded.clone(),
        shortfall: written.shortfall(),
    };
    match core.propose(command).await {
        Ok(Response::Done) => {
            metrics.reencoded_extents.inc();
            info!(
                %object,
                extent = index.0,
                reason = ?shortfall.reason,
                before = %extent.geometry.profile,
                now = %written.coded.geometry.profile,
                "extent rebuilt"
            );
            true
        }
        Ok(_replaced_or_removed_meanwhile) => {
            discard(core, object, index, &written.coded);
            true
        }
        Err(error) => {
            metrics.reencode_failures.inc();
            warn!(%object, extent = index.0, %error, "rebuilt extent cannot be put in place");
            if !error.is_uncertain() {
                discard(core, object, index, &written.coded);
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::catalog::{ShardLocation, ShortfallReason};
    use raft::id::NodeId;
    use raft::time::Timestamp;
    use storage::shard::{Attempt, DiskId, Geometry, ShardIndex};

    use super::*;

    fn extent(profile: &str) -> CodedExtent {
        let geometry = Geometry { profile: profile.parse().unwrap(), block_size_bytes: 8, length_bytes: 100 };
        let location = ShardLocation { node: NodeId(1), disk: DiskId([1; 16]) };
        CodedExtent { geometry, attempt: Attempt(1), shards: vec![location; geometry.profile.shards()] }
    }

    fn placement(profile: &str, degraded: bool) -> Placement {
        Placement { profile: profile.parse().unwrap(), shards: Vec::new(), degraded }
    }

    fn shortfall(missing: &[u8]) -> ShortfallRecord {
        let missing: Vec<ShardIndex> = missing.iter().copied().map(ShardIndex).collect();
        let reason = if missing.is_empty() { ShortfallReason::DegradedWrite } else { ShortfallReason::ShardMissing };
        ShortfallRecord { attempt: Attempt(1), missing, reason, since: Timestamp(0) }
    }

    #[test]
    fn a_degraded_write_waits_for_a_better_cluster() {
        let extent = extent("1+1");
        for (now, degraded, expected) in [
            (Some("1+1"), true, Action::Wait),
            (Some("2+1"), true, Action::Rewrite),
            (Some("2+1"), false, Action::Rewrite),
            // The lost node was removed: the cluster is whole with what there is.
            (Some("1+1"), false, Action::Rewrite),
            (None, true, Action::Wait),
        ] {
            let placement = now.map(|profile| placement(profile, degraded));
            assert_eq!(plan(&shortfall(&[]), Some(&extent), placement.as_ref()), expected, "{now:?}");
        }
    }

    #[test]
    fn a_missing_shard_is_rebuilt_wherever_it_is_safe() {
        let extent = extent("2+1");
        assert_eq!(plan(&shortfall(&[1]), Some(&extent), Some(&placement("1+1", true))), Action::Rewrite);
        assert_eq!(plan(&shortfall(&[1]), Some(&extent), None), Action::Wait);
    }

    #[test]
    fn what_was_replaced_meanwhile_is_left_alone() {
        let replaced = CodedExtent { attempt: Attempt(2), ..extent("2+1") };
        assert_eq!(plan(&shortfall(&[1]), Some(&replaced), Some(&placement("2+1", false))), Action::Ignore);
        assert_eq!(plan(&shortfall(&[1]), None, Some(&placement("2+1", false))), Action::Ignore);
    }
}
