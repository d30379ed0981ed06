//! The audit log of whole nodes: what is pushed and pulled is in it, it goes on over a restart, and the cluster knows its end.

use raft::directory::View;
use raft::id::NodeId;

use super::tests::{environment, pull_blob, push_blob, settings, start};
use crate::audit::{AuditLog, Fault, Filter, PAGE_RECORDS_MAX, Record};
use crate::cluster::{Certificates, InitAccess, init};

async fn actions(log: &AuditLog) -> Vec<(u64, String)> {
    let page = log.search(Filter::default(), None, PAGE_RECORDS_MAX).await.unwrap();
    assert!(page.ended);
    let record = |raw: &serde_json::value::RawValue| {
        let record: Record<'_> = serde_json::from_str(raw.get()).unwrap();
        (record.sequence, record.action.into_owned())
    };
    page.records.iter().map(|raw| record(raw)).collect()
}

async fn faults(log: &AuditLog) -> Vec<Fault> {
    let step = log.verify(None).await.unwrap();
    assert!(step.ended);
    step.faults
}

#[tokio::test]
async fn a_push_and_a_pull_are_recorded_and_the_log_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment();
    let settings = settings(directory.path(), "n1");
    init(&environment, &settings, "main", Certificates::Issued, InitAccess::open("owner")).await.unwrap();
    let node = start(&environment, &settings).await;
    let digest = push_blob(&node, b"audited").await;
    pull_blob(&node, &digest).await;
    let log = node.admin().audit_log.clone();
    log.audit().flush().await;
    let first = actions(&log).await;
    let count = |action: &str| first.iter().filter(|(_, found)| found == action).count();
    assert_eq!((count("start"), count("push"), count("pull")), (1, 1, 1), "{first:?}");
    assert_eq!(faults(&log).await, []);
    drop(log);
    node.shutdown().await;

    let node = start(&environment, &settings).await;
    let log = node.admin().audit_log.clone();
    log.audit().flush().await;
    let second = actions(&log).await;
    assert!(second.len() > first.len() && second.starts_with(&first), "{second:?}");
    let numbers: Vec<u64> = second.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(faults(&log).await, []);
    // The first run has told the cluster of its end: whoever cuts it off is found out.
    let heads = View::new(node.admin().directory.state()).audit_heads().unwrap();
    let (owner, head) = heads[0];
    assert!(owner == NodeId(1) && head.sequence >= first.len() as u64, "{heads:?}");
    drop(log);
    node.shutdown().await;
    let segment = settings.data_dir.join("audit/00000000000000000001.jsonl");
    let content = environment.files.read(&segment).unwrap();
    let kept = content.split_inclusive(|byte| *byte == b'\n').next().unwrap().to_vec();
    environment.files.replace(&segment, &kept).unwrap();
    let node = start(&environment, &settings).await;
    let log = node.admin().audit_log.clone();
    log.audit().flush().await;
    let missing = faults(&log).await;
    assert!(matches!(missing[..], [Fault::Missing { first: 2, .. }]), "{missing:?}");
    drop(log);
    node.shutdown().await;
}
