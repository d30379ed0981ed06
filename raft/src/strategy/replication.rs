//! Generators of what is copied from other regions.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{digest, pattern, repository, tag, text, timestamp};
use crate::catalog::{DebtItem, DebtRecord, ReplicationRecord, ReplicationScope, ReplicationStage};
use crate::key::Prefix;

pub(crate) fn prefix() -> impl Strategy<Value = Prefix> {
    option::of(repository()).prop_map(|name| Prefix(name.map(String::from).unwrap_or_default()))
}

fn any_scope() -> impl Strategy<Value = ReplicationScope> {
    (vec(pattern(), 0..3), any::<bool>(), any::<bool>(), any::<u64>())
        .prop_map(|(tags, deletes, exact, bounds)| ReplicationScope { tags, deletes, exact, bounds })
}

pub(crate) fn any_replication_record() -> impl Strategy<Value = ReplicationRecord> {
    let stage = prop_oneof![
        Just(ReplicationStage::Following),
        Just(ReplicationStage::Void),
        option::of(repository()).prop_map(|after| ReplicationStage::Surveying { after })
    ];
    (any_scope(), stage, timestamp(), option::of(timestamp()), any::<[u64; 7]>()).prop_map(
        |(scope, stage, heard, synced, [cursor, round, next_debt, debts, failing, arrived_items, arrived_bytes])| {
            ReplicationRecord {
                scope,
                stage,
                cursor,
                heard,
                synced,
                round,
                next_debt,
                debts,
                failing,
                arrived_items,
                arrived_bytes,
            }
        },
    )
}

pub(crate) fn any_debt_record() -> impl Strategy<Value = DebtRecord> {
    let item = prop_oneof![
        (tag(), digest()).prop_map(|(tag, digest)| DebtItem::Tag { tag, digest }),
        digest().prop_map(|digest| DebtItem::Manifest { digest }),
        tag().prop_map(|tag| DebtItem::TagGone { tag }),
        digest().prop_map(|digest| DebtItem::ManifestGone { digest }),
        digest().prop_map(|digest| DebtItem::Blob { digest }),
    ];
    (repository(), item, timestamp(), any::<u64>(), any::<u32>(), option::of(text()), timestamp()).prop_map(
        |(repository, item, time, length_bytes, failures, error, not_before)| DebtRecord {
            repository,
            item,
            time,
            length_bytes,
            failures,
            error,
            not_before,
        },
    )
}
