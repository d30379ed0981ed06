//! What readers find missing or damaged, told to the catalog once, in the background.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use raft::catalog::{Command, Shortfall, ShortfallReason};
use storage::shard::{Attempt, ExtentIndex, ObjectId, ShardIndex};
use storage::switch;
use tracing::{debug, warn};

use super::ExtentSource;
use crate::gateway::core::Core;
use crate::shards::ShardError;

/// Reports remembered. When there are more, all are forgotten, and at worst something is reported again.
const REMEMBERED_MAX: usize = 4096;

/// What was reported already.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Reports {
    reported: Mutex<BTreeSet<Report>>,
}

type Report = (ObjectId, ExtentIndex, Attempt, ShardIndex);

impl Reports {
    fn first(&self, report: Report) -> bool {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.len() >= REMEMBERED_MAX {
            reported.clear();
        }
        reported.insert(report)
    }

    fn forget(&self, report: &Report) {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).remove(report);
    }
}

/// Reports a shard that failed a read, if its failure means that it has to be rebuilt. The first time it is logged.
pub(in crate::gateway) fn report(core: &Arc<Core>, source: &ExtentSource, failure: &ShardError) {
    let reason = match failure {
        ShardError::Missing { .. } => {
            core.metrics.missing_shards.inc();
            ShortfallReason::ReadMissing
        }
        ShardError::Corrupt { .. } => {
            core.metrics.corrupt_shards.inc();
            ShortfallReason::ReadCorrupt
        }
        ShardError::Io { .. } => ShortfallReason::ReadFailed,
        // A node that is away keeps its shards, and so does one that is slow.
        ShardError::Unreachable { .. }
        | ShardError::TimedOut { .. }
        | ShardError::Busy { .. }
        | ShardError::NoSpace { .. } => return,
    };
    let place = *failure.place();
    let attempt = source.coded.attempt;
    let key = (source.object, source.index, attempt, place.name.shard);
    if !core.reports.first(key) || switch::broken("gateway.report.forget") {
        return;
    }
    warn!(
        object = %source.object,
        extent = source.index.0,
        shard = place.name.shard.0,
        disk = %place.location.disk,
        node = %place.location.node,
        error = %failure,
        "shard cannot be read, its extent is to be rebuilt"
    );
    let command = Command::ReportShortfall {
        object: source.object,
        extent: source.index,
        attempt,
        shortfall: Shortfall { missing: vec![place.name.shard], reason },
    };
    let core = Arc::clone(core);
    core.tasks.clone().spawn(async move {
        if let Err(error) = core.propose(command).await {
            debug!(%error, "shortfall could not be reported");
            core.reports.forget(&key);
        }
    });
}
