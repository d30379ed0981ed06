//! Pushes race the collection of the same layers: a grace of seconds, none for bytes without a link and for the last
//! repository, while nodes crash, one is cut off and all lose their power. No manifest lacks a blob, nothing that a client
//! was told of goes within its grace; and when everything is deleted in the end, nothing is left.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::traffic::{Customs, Setting, Stage, ordinary, play_as};
use crate::cluster::Fate;
use crate::configuration::WorkloadConfiguration;
use crate::garbage::GarbageConfiguration;
use crate::judge::Court;
use crate::seed::Seed;
use crate::trace::Trace;
use crate::workload::OperationKind;

const NODES: usize = 3;
const CLIENTS: usize = 5;
/// What a client is promised, in seconds.
const GRACE_SECONDS: u64 = 20;
/// Between two things that happen: about a grace, so that collection is under way at each.
const PAUSE: Duration = Duration::from_secs(15);
/// How long a node is away.
const AWAY: Duration = Duration::from_secs(6);

/// Runs the scenario with a seed.
///
/// # Errors
/// The first thing that was not as it must be.
pub fn collection_races_pushes(seed: Seed, trace: &Trace, court: &Court) -> Result<()> {
    let setting = Setting {
        regions: 1,
        nodes: NODES,
        founders: NODES,
        disks: 1,
        clients: CLIENTS,
        grace_seconds: 20,
        limit: Duration::from_hours(2),
    };
    let garbage = GarbageConfiguration {
        grace_seconds: Some(GRACE_SECONDS),
        bytes_at_once: true,
        restore_seconds: 0,
        untagged_seconds: Some(0),
        none_in_the_last: true,
        emptied_in_the_end: true,
    };
    let customs = Customs { workload: restless(), garbage };
    let statistics = play_as(seed, setting, customs, trace, court, story)?;
    for kind in [OperationKind::PushDocker, OperationKind::Mount, OperationKind::DeleteManifest] {
        ensure!(statistics.succeeded.contains_key(&kind), "{kind} never succeeded: {statistics:?}");
    }
    Ok(())
}

async fn story(stage: Stage) -> Result<()> {
    let all: Vec<usize> = (1..=NODES).collect();
    for crashed in [2, 1] {
        sleep(PAUSE).await;
        stage.control.fate(crashed, Fate::Crash).await;
        sleep(AWAY).await;
        stage.control.fate(crashed, Fate::Start).await;
        stage.ready(&all).await.with_context(|| format!("node {crashed} is back"))?;
    }
    sleep(PAUSE).await;
    stage.control.isolate(NODES, true);
    sleep(PAUSE).await;
    stage.control.isolate(NODES, false);
    stage.ready(&all).await.context("the partition is over")?;
    sleep(PAUSE).await;
    for number in &all {
        stage.control.fate(*number, Fate::PowerLoss).await;
    }
    for number in &all {
        stage.control.fate(*number, Fate::Start).await;
    }
    stage.ready(&all).await.context("the cluster is back after a power loss of all")?;
    sleep(PAUSE).await;
    Ok(())
}

/// Few layers, which are pushed, mounted, looked for and deleted all the time.
fn restless() -> WorkloadConfiguration {
    let operations = [
        (OperationKind::PushDocker, 6),
        (OperationKind::PushContainerd, 3),
        (OperationKind::PushIndex, 2),
        (OperationKind::Pull, 3),
        (OperationKind::MoveTag, 2),
        (OperationKind::DeleteTag, 3),
        (OperationKind::DeleteManifest, 4),
        (OperationKind::DeleteBlob, 1),
        (OperationKind::HeadBlob, 8),
        (OperationKind::Mount, 5),
        (OperationKind::Refer, 1),
        (OperationKind::Abandon, 1),
    ];
    WorkloadConfiguration {
        repositories: 3,
        tags: 2,
        layers: 12,
        layer_bytes_max: 100 << 10,
        pause_milliseconds_max: 500,
        operations: BTreeMap::from(operations),
        ..ordinary(CLIENTS)
    }
}
