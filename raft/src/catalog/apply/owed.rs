//! What is written for debts: only while they are there, and they go with it.
//!
//! What copies content writes it after the fact: by then the debt may be paid by another node, or found to be none by a
//! survey, and what the debt says may be no more true. So each such write names its debts.

use super::context::Context;
use super::{malformed, policy, replication};
use crate::catalog::limit::DEBTS_PER_COMMAND;
use crate::catalog::name::RepositoryName;
use crate::catalog::replication::{DebtItem, Owed};
use crate::catalog::response::Response;
use crate::catalog::table::{Debts, Replications};
use crate::key::Prefix;
use crate::machine::ApplyError;
use crate::table::Table;

/// Why this principal writes nothing in a repository for these debts; `None` if he does.
pub(super) fn refuse(
    context: &Context<'_, '_>,
    repository: &RepositoryName,
    principal: Option<&str>,
    owed: Option<&Owed>,
) -> Result<Option<Response>, ApplyError> {
    let Some(owed) = owed else {
        return Ok(policy::is_judged(principal).then(|| malformed("what is copied names the debts that it pays")));
    };
    if !policy::is_judged(principal) {
        return Ok(Some(malformed("debts are paid by those who copy alone")));
    }
    if owed.numbers.is_empty() || owed.numbers.len() > DEBTS_PER_COMMAND {
        return Ok(Some(malformed(format!("one debt to {DEBTS_PER_COMMAND}, not {}", owed.numbers.len()))));
    }
    let prefix = Prefix(owed.prefix.clone());
    let record = Replications::get(context.state, (&owed.source, &prefix))?;
    let of_now = record.is_some_and(|record| owed.numbers.iter().all(|number| *number >= record.round));
    if !of_now {
        return Ok(Some(Response::Stale));
    }
    for number in &owed.numbers {
        let debt = Debts::get(context.state, (&owed.source, &prefix, number))?;
        if debt.is_none_or(|debt| debt.repository != *repository) {
            return Ok(Some(Response::Stale));
        }
    }
    Ok(None)
}

/// Strikes off those of the debts that were paid by what was written. They were there before it.
pub(super) fn pay(
    context: &mut Context<'_, '_>,
    owed: Option<&Owed>,
    pays: impl Fn(&DebtItem) -> bool,
) -> Result<(), ApplyError> {
    let Some(owed) = owed else { return Ok(()) };
    let prefix = Prefix(owed.prefix.clone());
    let mut record = Replications::require(context.state, (&owed.source, &prefix))?;
    let mut bytes = owed.bytes;
    for number in &owed.numbers {
        let debt = Debts::get(context.state, (&owed.source, &prefix, number))?;
        if debt.is_some_and(|debt| pays(&debt.item)) {
            replication::strike_off(context, (owed.source, &prefix), &mut record, *number, bytes)?;
            // What several share has come once.
            bytes = 0;
        }
    }
    replication::put(context, owed.source, &prefix, record);
    Ok(())
}
