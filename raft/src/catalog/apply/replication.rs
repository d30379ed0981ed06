//! What is copied from another region: heard, owed, paid.
//!
//! What moves a replication on names the position that it builds on, so that two leaders never mix what they heard. The
//! record says at any time how much is owed; that it is in sync is said here alone, in the very command after which
//! nothing is.

use std::collections::BTreeSet;

use super::context::{Context, subtract};
use super::{malformed, policy};
use crate::catalog::limit::{DEBT_ERROR_BYTES_MAX, DEBTS_MAX, DEBTS_PER_COMMAND};
use crate::catalog::name::RepositoryName;
use crate::catalog::replication::{
    AdvanceReplication, DebtRecord, FailedDebt, NewDebt, ReplicationPosition, ReplicationRecord, ReplicationScope,
    ReplicationStage, SettleDebts,
};
use crate::catalog::response::Response;
use crate::catalog::table::{Debts, Leftovers, PolicyVersion, Replications};
use crate::id::RegionId;
use crate::key::Prefix;
use crate::machine::ApplyError;
use crate::policy::{RULES_MAX, Role, covers, is_prefix, prefixes};
use crate::table::Table;
use crate::time::Timestamp;

/// Round of a position that begins one.
const NEW_ROUND: u64 = 0;

/// Takes in what a source has said.
pub(super) fn advance(context: &mut Context<'_, '_>, advance: AdvanceReplication) -> Result<Response, ApplyError> {
    if let Err(message) = check(&advance) {
        return Ok(malformed(message));
    }
    if !is_replica(context, &advance.prefix)? {
        return Ok(Response::Stale);
    }
    let AdvanceReplication { source, prefix, expected, next, policy_version, heard, debts } = advance;
    let prefix = Prefix(prefix);
    let present = Replications::get(context.state, (&source, &prefix))?;
    if present.as_ref().map(ReplicationRecord::position) != expected {
        return Ok(Response::Stale);
    }
    let begins = next.round == NEW_ROUND;
    if begins {
        let in_force = PolicyVersion::get(context.state, ())?.unwrap_or_default();
        if (in_force.begun, in_force.complete) != (policy_version, policy_version) {
            return Ok(Response::Stale);
        }
    }
    let is_new = present.is_none();
    let mut record = present.unwrap_or_else(|| fresh(&next.scope));
    if let Err(message) = follows(&record, &next, is_new) {
        return Ok(malformed(message));
    }
    if record.scope != next.scope {
        // What was found to be here was another question.
        record.synced = None;
    }
    if record.debts.saturating_add(debts.len() as u64) > DEBTS_MAX {
        return Ok(malformed(format!("more than {DEBTS_MAX} debts")));
    }
    if begins {
        record.round = context.next_generation();
    }
    record.scope = next.scope;
    record.stage = next.stage;
    record.cursor = next.cursor;
    record.heard = heard.max(record.heard);
    for debt in debts {
        owe(context, (source, &prefix), &mut record, debt);
    }
    put(context, source, &prefix, record);
    Ok(Response::Done)
}

/// Whether a position can follow; the message says why not.
fn follows(record: &ReplicationRecord, next: &ReplicationPosition, is_new: bool) -> Result<(), &'static str> {
    if next.round == NEW_ROUND {
        let whole = next.stage == ReplicationStage::Surveying { after: None };
        return if whole { Ok(()) } else { Err("a round that does not begin with a survey of everything") };
    }
    match next.stage {
        _ if is_new || next.round != record.round => Err("a round that nobody has begun"),
        _ if record.scope != next.scope => Err("another scope without a new round"),
        _ if record.stage == ReplicationStage::Void => Err("nothing is known that this could build on"),
        ReplicationStage::Void => Err("a stage that nobody asks for"),
        ReplicationStage::Surveying { .. } | ReplicationStage::Following => Ok(()),
    }
}

/// Nothing that is known of a replication holds any more, its debts neither.
pub(super) fn void(context: &mut Context<'_, '_>, record: &mut ReplicationRecord) {
    record.stage = ReplicationStage::Void;
    record.synced = None;
    record.round = context.next_generation();
}

/// Whether this region is a replica of what is below a prefix. Looked at in log order: where clients write, nothing is
/// taken in any more.
fn is_replica(context: &Context<'_, '_>, prefix: &str) -> Result<bool, ApplyError> {
    Ok(policy::role(context.state, prefix)?.0 == Role::Replica)
}

/// Whether what a source has said makes sense; the message says why not.
fn check(advance: &AdvanceReplication) -> Result<(), String> {
    let AdvanceReplication { prefix, next, debts, .. } = advance;
    if !is_prefix(prefix) {
        return Err(format!("{prefix:?} is not a prefix"));
    }
    if debts.len() > DEBTS_PER_COMMAND {
        return Err(format!("{} debts at once, more than {DEBTS_PER_COMMAND}", debts.len()));
    }
    if next.scope.tags.len() > RULES_MAX {
        return Err(format!("a scope of more than {RULES_MAX} patterns"));
    }
    match debts.iter().find(|debt| !covers(prefix, &debt.repository)) {
        Some(debt) => Err(format!("repository {} is not below {prefix:?}", debt.repository)),
        None => Ok(()),
    }
}

fn fresh(scope: &ReplicationScope) -> ReplicationRecord {
    ReplicationRecord {
        scope: scope.clone(),
        stage: ReplicationStage::Surveying { after: None },
        cursor: 0,
        heard: Timestamp(0),
        synced: None,
        round: NEW_ROUND,
        next_debt: 1,
        debts: 0,
        failing: 0,
        arrived_items: 0,
        arrived_bytes: 0,
    }
}

fn owe(
    context: &mut Context<'_, '_>,
    (source, prefix): (RegionId, &Prefix),
    record: &mut ReplicationRecord,
    debt: NewDebt,
) {
    let NewDebt { repository, item, time, length_bytes } = debt;
    let (failures, error, not_before) = (0, None, Timestamp(0));
    let debt = DebtRecord { repository, item, time, length_bytes, failures, error, not_before };
    let number = context.next_generation();
    Debts::put(context.state, (&source, prefix, &number), &debt);
    record.next_debt = number + 1;
    record.debts += 1;
}

/// What this region is for what is below a prefix has changed: remembers whether what is there was no copy, so that the
/// source never had it or has it no more. What may have come from clients since this region was the home, and was neither
/// fenced nor given up, is not among that.
pub(super) fn leave_over(context: &mut Context<'_, '_>, prefix: &String, before: Role) -> Result<(), ApplyError> {
    let (after, _) = policy::role(context.state, prefix)?;
    match (before, after) {
        (Role::Fenced | Role::Foreign, Role::Replica) => Leftovers::put(context.state, prefix, &()),
        (Role::Replica, Role::Replica) => {}
        // It may belong to what a shorter prefix covers.
        (Role::Home, Role::Replica) => {
            let above = prefix.match_indices('/').map(|(end, _)| &prefix[..end]);
            for covering in above.chain(["", prefix.as_str()]) {
                Leftovers::delete(context.state, &covering.to_owned());
            }
        }
        (_, Role::Home | Role::Fenced | Role::Foreign) => Leftovers::delete(context.state, prefix),
    }
    Ok(())
}

/// Stores the record. Where the events are followed and nothing is owed, all that was heard is here, and whatever was to
/// go has gone.
pub(super) fn put(context: &mut Context<'_, '_>, source: RegionId, prefix: &Prefix, mut record: ReplicationRecord) {
    if record.stage == ReplicationStage::Following && record.debts == 0 {
        record.synced = Some(record.heard);
        Leftovers::delete(context.state, &prefix.0);
    }
    Replications::put(context.state, (&source, prefix), &record);
}

/// Strikes debts off, and notes of others why they stay.
pub(super) fn settle(context: &mut Context<'_, '_>, settle: SettleDebts) -> Result<Response, ApplyError> {
    let SettleDebts { source, prefix, round, settled, failed } = settle;
    let number = settled.len() + failed.len();
    if number > DEBTS_PER_COMMAND {
        return Ok(malformed(format!("{number} debts at once, more than {DEBTS_PER_COMMAND}")));
    }
    if failed.iter().any(|debt| debt.error.len() > DEBT_ERROR_BYTES_MAX) {
        return Ok(malformed(format!("an error of more than {DEBT_ERROR_BYTES_MAX} bytes")));
    }
    if !is_replica(context, &prefix)? {
        return Ok(Response::Stale);
    }
    let prefix = Prefix(prefix);
    let Some(mut record) = Replications::get(context.state, (&source, &prefix))? else {
        return Ok(Response::Count { count: 0 });
    };
    if record.round != round {
        return Ok(Response::Stale);
    }
    let mut count = 0;
    for paid in settled {
        let struck = strike_off(context, (source, &prefix), &mut record, paid.number, paid.bytes)?;
        count += u64::from(struck);
    }
    for FailedDebt { number, error, retry_seconds } in failed {
        let key = (&source, &prefix, &number);
        let Some(mut debt) = Debts::get(context.state, key)? else { continue };
        record.failing += u64::from(debt.failures == 0);
        debt.failures = debt.failures.saturating_add(1);
        debt.error = Some(error);
        debt.not_before = context.now.plus_seconds(retry_seconds);
        Debts::put(context.state, key, &debt);
        count += 1;
    }
    put(context, source, &prefix, record);
    Ok(Response::Count { count })
}

/// A debt goes, for which so many bytes came. False if it is not there.
pub(super) fn strike_off(
    context: &mut Context<'_, '_>,
    (source, prefix): (RegionId, &Prefix),
    record: &mut ReplicationRecord,
    number: u64,
    bytes: u64,
) -> Result<bool, ApplyError> {
    let key = (&source, prefix, &number);
    let Some(debt) = Debts::get(context.state, key)? else { return Ok(false) };
    Debts::delete(context.state, key);
    strike(record, &debt)?;
    if number >= record.round {
        record.arrived_items += 1;
        record.arrived_bytes = record.arrived_bytes.saturating_add(bytes);
    }
    Ok(true)
}

/// The record counts a debt no more.
fn strike(record: &mut ReplicationRecord, debt: &DebtRecord) -> Result<(), ApplyError> {
    subtract(&mut record.debts, 1, "debts of a replication")?;
    subtract(&mut record.failing, u64::from(debt.failures > 0), "failing debts of a replication")
}

/// Forgets up to `limit` debts, and the record when none are left. What was forgotten is not here: from the first page on
/// the record says that nothing is known.
pub(super) fn forget(
    context: &mut Context<'_, '_>,
    source: RegionId,
    prefix: String,
    limit: u32,
) -> Result<Response, ApplyError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, DEBTS_PER_COMMAND);
    let prefix = Prefix(prefix);
    let Some(mut record) = Replications::get(context.state, (&source, &prefix))? else {
        return Ok(Response::Count { count: 0 });
    };
    let debts = Debts::scan::<(RegionId, Prefix)>(context.state, (&source, &prefix), None, limit)?;
    let mut count = debts.len() as u64;
    for ((_, _, number), debt) in debts {
        Debts::delete(context.state, (&source, &prefix, &number));
        strike(&mut record, &debt)?;
    }
    if record.debts == 0 {
        Replications::delete(context.state, (&source, &prefix));
        count += 1;
    } else {
        void(context, &mut record);
        put(context, source, &prefix, record);
    }
    Ok(Response::Count { count })
}

/// Whether it is known of a repository how far it was copied, from whichever source, as far as that counts: by a prefix that
/// says what this region is for the repository, or by a longer one. What is known of a shorter one is not about it.
pub(super) fn is_copied(context: &Context<'_, '_>, repository: &RepositoryName) -> Result<bool, ApplyError> {
    let (_, decides) = policy::role(context.state, repository.as_str())?;
    for source in sources(context)? {
        for prefix in prefixes(repository).filter(|prefix| prefix.len() >= decides.len()) {
            if Replications::contains(context.state, (&source, &Prefix(prefix.to_owned())))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What this region is for these prefixes has changed, or what they cover: what is known of them holds no more, since what
/// they cover may not be here, or may go. What is owed stays until a new round begins. As many steps as there are sources and
/// prefixes.
pub(super) fn begin_anew(context: &mut Context<'_, '_>, at: &BTreeSet<String>) -> Result<(), ApplyError> {
    if at.is_empty() {
        return Ok(());
    }
    for source in sources(context)? {
        for prefix in at {
            let prefix = Prefix(prefix.clone());
            let Some(mut record) = Replications::get(context.state, (&source, &prefix))? else { continue };
            void(context, &mut record);
            put(context, source, &prefix, record);
        }
    }
    Ok(())
}

/// Regions from which anything is copied. As many steps as there are.
fn sources(context: &Context<'_, '_>) -> Result<Vec<RegionId>, ApplyError> {
    let (mut sources, mut from) = (Vec::new(), Some(0));
    while let Some(number) = from {
        let key = (&RegionId(number), &Prefix(String::new()));
        let Some(((source, _), _)) = Replications::scan_from::<()>(context.state, (), key, 1)?.into_iter().next()
        else {
            break;
        };
        sources.push(source);
        from = source.0.checked_add(1);
    }
    Ok(sources)
}

/// Whether a repository is being copied here because this region is to become its home.
pub(super) fn is_moving_here(context: &Context<'_, '_>, repository: &RepositoryName) -> Result<bool, ApplyError> {
    let (role, decides) = policy::role(context.state, repository.as_str())?;
    if role != Role::Replica {
        return Ok(false);
    }
    for source in sources(context)? {
        for prefix in prefixes(repository).filter(|prefix| prefix.len() >= decides.len()) {
            let record = Replications::get(context.state, (&source, &Prefix(prefix.to_owned())))?;
            if record.is_some_and(|record| record.scope.exact) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
