//! What is copied from other regions: each debt belongs to a replication, and is counted there.

use super::Audit;
use crate::catalog::limit::DEBTS_MAX;
use crate::catalog::replication::{ReplicationRecord, ReplicationStage};
use crate::catalog::table::{Debts, Replications};
use crate::id::RegionId;
use crate::key::Prefix;
use crate::machine::State;
use crate::policy::{covers, is_prefix};
use crate::table::StateError;

const COUNTS: &str = "what is owed of a replication is counted exactly";
const DEBTS: &str = "a debt belongs to a replication";
const SYNCED: &str = "what is in sync was heard";

pub(super) fn audit<S: State>(audit: &mut Audit<'_, S>) -> Result<(), StateError> {
    audit.each::<Replications>(|audit, (source, prefix), record| replication(audit, source, &prefix, &record))?;
    audit.each::<Debts>(|audit, (source, prefix, number), debt| {
        let record = audit.get::<Replications>((&source, &prefix))?;
        let counted = record.is_some_and(|record| number < record.next_debt);
        audit.expect(counted, DEBTS, || format!("{number} of {:?} from region {source}", prefix.0));
        audit.expect(covers(&prefix.0, &debt.repository), DEBTS, || {
            format!("{number} of {:?} from region {source} is about {}", prefix.0, debt.repository)
        });
        Ok(())
    })
}

fn replication<S: State>(
    audit: &mut Audit<'_, S>,
    source: RegionId,
    prefix: &Prefix,
    record: &ReplicationRecord,
) -> Result<(), StateError> {
    let (mut debts, mut failing) = (0, 0);
    audit.each_of::<Debts, (RegionId, Prefix)>((&source, prefix), |_, _, debt| {
        debts += 1;
        failing += u64::from(debt.failures > 0);
        Ok(())
    })?;
    let counted = (record.debts, record.failing) == (debts, failing) && debts <= DEBTS_MAX;
    audit.expect(counted && is_prefix(&prefix.0), COUNTS, || {
        format!("{:?} from region {source} has {debts} debts, {failing} of them failing: {record:?}", prefix.0)
    });
    let synced = record.synced.is_none_or(|synced| synced <= record.heard);
    let told = record.stage != ReplicationStage::Following || debts > 0 || record.synced == Some(record.heard);
    audit.expect(synced && told, SYNCED, || format!("{:?} from region {source}: {record:?}", prefix.0));
    Ok(())
}
