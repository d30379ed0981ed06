//! Frozen encodings of what is copied from other regions.

use super::super::store::*;
use super::{pattern, sha512};
use crate::catalog::*;
use crate::golden::Samples;
use crate::id::RegionId;
use crate::time::Timestamp;

fn scope() -> ReplicationScope {
    ReplicationScope { tags: vec![pattern("v*"), pattern("latest")], deletes: true, exact: false, bounds: 7 }
}

fn items() -> [(&'static str, DebtItem); 5] {
    [
        ("debt-tag", DebtItem::Tag { tag: tag("v1"), digest: digest(1) }),
        ("debt-manifest", DebtItem::Manifest { digest: sha512(2) }),
        ("debt-tag-gone", DebtItem::TagGone { tag: tag("v1") }),
        ("debt-manifest-gone", DebtItem::ManifestGone { digest: digest(1) }),
        ("debt-blob", DebtItem::Blob { digest: digest(1) }),
    ]
}

pub(super) fn commands() -> Vec<Command> {
    let (source, prefix) = (RegionId(2), "lib".to_owned());
    let stage = ReplicationStage::Surveying { after: Some(repository("lib/app")) };
    let expected = ReplicationPosition { scope: scope(), stage, cursor: 300, round: 290 };
    let next = ReplicationPosition { stage: ReplicationStage::Following, ..expected.clone() };
    let time = Timestamp(1_700_000_000_000);
    let owed = |(_, item)| NewDebt { repository: repository("lib/app"), item, time, length_bytes: 300 };
    let failed = FailedDebt { number: 301, error: "no answer".to_owned(), retry_seconds: 600 };
    vec![
        Command::AdvanceReplication(AdvanceReplication {
            source,
            prefix: prefix.clone(),
            expected: Some(expected),
            next,
            policy_version: 300,
            heard: time,
            debts: items().map(owed).into(),
        }),
        Command::SettleDebts(SettleDebts {
            source,
            prefix: prefix.clone(),
            round: 290,
            settled: vec![SettledDebt { number: 300, bytes: 5 << 40 }],
            failed: vec![failed],
        }),
        Command::DropReplication { source, prefix, limit: 1024 },
        Command::Evict { repository: repository("lib/app"), limit: 1024, policy_version: 300 },
    ]
}

#[test]
fn records_of_replication_are_frozen() {
    let mut samples = Samples::new();
    let time = Timestamp(1_700_000_000_000);
    let after = Some(repository("lib/app"));
    for (name, stage, synced) in [
        ("replication-surveying", ReplicationStage::Surveying { after }, None),
        ("replication-following", ReplicationStage::Following, Some(time)),
        ("replication-void", ReplicationStage::Void, None),
    ] {
        let record = ReplicationRecord {
            scope: scope(),
            stage,
            cursor: 300,
            heard: time.plus_seconds(60),
            synced,
            round: 290,
            next_debt: 400,
            debts: 99,
            failing: 3,
            arrived_items: 1 << 20,
            arrived_bytes: 9 << 40,
        };
        samples.add(name, &record);
    }
    for (name, item) in items() {
        let record = DebtRecord {
            repository: repository("lib/app"),
            item,
            time,
            length_bytes: 300,
            failures: 2,
            error: Some("no answer".to_owned()),
            not_before: time.plus_seconds(600),
        };
        samples.add(name, &record);
    }
    samples.compare("catalog/replication.txt");
}
