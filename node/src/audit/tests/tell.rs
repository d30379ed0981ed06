//! What the cluster is told of a log, and what that proves.

use std::sync::Arc;
use std::time::Duration;

use raft::id::NodeId;
use storage::disk::RealFiles;
use storage::exec::Exec;
use storage::kv::MemoryEngines;
use tokio::time::sleep;

use crate::audit::metrics::Metrics;
use crate::audit::start::{AuditParts, start};
use crate::audit::testing::event;
use crate::audit::{AuditLog, Fault, Keeping};
use crate::config::AuditSettings;
use crate::deletion::{DirectoryRecords, testing};
use crate::environment::{Environment, real};

fn environment() -> Environment {
    let files = Arc::new(RealFiles);
    Environment { exec: Exec::inline(), ..real(Arc::<RealFiles>::clone(&files), Arc::new(MemoryEngines::new(files))) }
}

fn begin(data_dir: &std::path::Path, directory: &Arc<dyn DirectoryRecords>) -> (AuditLog, Keeping) {
    start(AuditParts {
        environment: &environment(),
        settings: &AuditSettings::default(),
        data_dir,
        node: 1,
        name: "n1",
        directory: Arc::clone(directory),
        metrics: Metrics::default(),
    })
}

fn told(directory: &Arc<dyn DirectoryRecords>) -> Vec<(NodeId, u64)> {
    let heads = directory.view().audit_heads().unwrap();
    heads.into_iter().map(|(node, head)| (node, head.sequence)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_cluster_is_told_of_the_newest_record_and_again_when_there_are_more() {
    let data_dir = tempfile::tempdir().unwrap();
    let directory = testing::directory();
    let (log, keeping) = begin(data_dir.path(), &directory);
    log.audit().record(event(1)).await;
    sleep(Duration::from_mins(1)).await;
    assert_eq!(told(&directory), [(NodeId(1), 2)]);
    log.audit().record(event(2)).await;
    sleep(Duration::from_mins(6)).await;
    assert_eq!(told(&directory), [(NodeId(1), 3)]);
    // At an orderly end at once.
    log.audit().record(event(3)).await;
    keeping.stop().await;
    assert_eq!(told(&directory), [(NodeId(1), 4)]);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_the_cluster_was_told_of_cannot_be_cut_off_or_written_anew() {
    let data_dir = tempfile::tempdir().unwrap();
    let directory = testing::directory();
    let path = data_dir.path().join("audit/00000000000000000001.jsonl");
    let (log, keeping) = begin(data_dir.path(), &directory);
    for number in 1..=3 {
        log.audit().record(event(number)).await;
    }
    keeping.stop().await;
    let whole = environment().files.read(&path).unwrap();
    assert_eq!(log.verify(None).await.unwrap().faults, []);

    let cut: Vec<u8> = whole.split_inclusive(|byte| *byte == b'\n').take(2).flatten().copied().collect();
    environment().files.replace(&path, &cut).unwrap();
    assert_eq!(log.verify(None).await.unwrap().faults, [Fault::Truncated { first: 3, last: 4 }]);

    // Another log of the same length, whole in itself.
    let other_dir = tempfile::tempdir().unwrap();
    let (other, other_keeping) = begin(other_dir.path(), &testing::directory());
    for number in 11..=13 {
        other.audit().record(event(number)).await;
    }
    other_keeping.stop().await;
    let forged = environment().files.read(&other_dir.path().join("audit/00000000000000000001.jsonl")).unwrap();
    environment().files.replace(&path, &forged).unwrap();
    assert_eq!(log.verify(None).await.unwrap().faults, [Fault::Replaced { record: 4, segment: 1 }]);

    // The node goes on behind what it has told.
    environment().files.replace(&path, &cut).unwrap();
    let (log, keeping) = begin(data_dir.path(), &directory);
    log.audit().flush().await;
    assert_eq!(log.state().sequence, 5);
    assert_eq!(log.verify(None).await.unwrap().faults, [Fault::Missing { first: 3, last: 4 }]);
    keeping.stop().await;
    assert_eq!(told(&directory), [(NodeId(1), 5)]);
}
