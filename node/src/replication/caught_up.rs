//! Whether a copy has caught up, as of a moment after the question: asked before anything is given up at the source.
//!
//! Any node of the region can tell. What its catalog says is read behind a barrier, and then the source is asked anew: if
//! nothing is owed, and the feed holds nothing of the scope between the position and its end, all that the source had by
//! then is here and verified.

use std::sync::Arc;

use raft::catalog::{ReplicationRecord, ReplicationStage};

use super::report::{CaughtUp, CaughtUpQuestion, DebtError, ERRORS_TOLD, Stage};
use super::scope::Wanted;
use super::trouble::Trouble;
use super::upstream::Upstream;
use super::{FEED_EVENTS_MAX, PositionQuestion, QuestionError};
use crate::gateway::catalog::CatalogError;
use crate::gateway::core::Core;
use crate::regions::Regions;

/// Questions until a feed that is long is left to the copying.
const QUESTIONS_MAX: usize = 16;
/// Debts looked through for those that could not be paid.
const DEBTS_LOOKED_AT: usize = 4096;

/// Whether the copy of a scope has caught up with its source.
pub(crate) async fn caught_up(
    core: &Arc<Core>,
    regions: &Regions,
    question: &CaughtUpQuestion,
) -> Result<CaughtUp, QuestionError> {
    judge(core, regions, question).await
}

/// The same over any source.
pub(crate) async fn judge(
    core: &Arc<Core>,
    upstream: &dyn Upstream,
    question: &CaughtUpQuestion,
) -> Result<CaughtUp, QuestionError> {
    let waits = |why: &str| Ok(CaughtUp { waits_for: Some(why.to_owned()), ..CaughtUp::default() });
    let Some(scopes) = upstream.scopes() else {
        return waits("the region with the copy has not heard from the directory yet");
    };
    if scopes.policy_version < question.policy_version {
        return waits("the region with the copy has not heard of the change in the directory yet");
    }
    let is_meant =
        |scope: &&crate::regions::Scope| scope.prefix == question.prefix && scope.source.id == question.source;
    let Some(scope) = scopes.scopes.iter().find(is_meant) else {
        return waits("the region is to have no copy of it, as far as it knows");
    };
    let wanted = Wanted::of(scope.clone(), upstream.own());
    core.records.barrier().await.map_err(|error| unavailable(&error))?;
    let view = core.records.view();
    if view.policy_version().map_err(internal)? < question.policy_version {
        return waits("the catalog of the region with the copy has not taken up the change yet");
    }
    let record = view.replication(wanted.source.id, &wanted.prefix).map_err(internal)?;
    let Some(record) = record else { return waits("the copy has not begun yet") };
    let errors = first_errors(core, &wanted, &record).map_err(internal)?;
    let told = told(&record, errors);
    let waits_for = if record.scope != wanted.scope {
        "what is to be copied has changed, and is compared anew"
    } else if record.stage != ReplicationStage::Following {
        "the copy is being compared with its source"
    } else {
        return ask(upstream, &wanted, &record, question, scopes.policy_version, told).await;
    };
    let (prefix, policy_version) = (wanted.prefix.clone(), scopes.policy_version);
    let position = upstream.position(&wanted.source, PositionQuestion { prefix, policy_version }).await?;
    let behind_events = position.end.saturating_sub(record.cursor);
    Ok(CaughtUp { behind_events, waits_for: Some(waits_for.to_owned()), ..told })
}

/// Is there anything that was not heard?
async fn ask(
    upstream: &dyn Upstream,
    wanted: &Wanted,
    record: &ReplicationRecord,
    question: &CaughtUpQuestion,
    policy_version: u64,
    told: CaughtUp,
) -> Result<CaughtUp, QuestionError> {
    let (mut cursor, mut goal, mut news) = (record.cursor, u64::MAX, 0);
    for asked in 0..QUESTIONS_MAX {
        let answer = upstream.feed(&wanted.source, wanted.feed(policy_version, cursor, FEED_EVENTS_MAX)).await?;
        if asked == 0 {
            if answer.policy_version < question.policy_version {
                let waits_for = Some("the catalog of the source has not taken up the change yet".to_owned());
                return Ok(CaughtUp { waits_for, ..told });
            }
            // What is acknowledged after the first answer is not what was asked for.
            goal = answer.end;
        }
        if answer.lost {
            let waits_for = Some("the source has forgotten what the copy has not heard yet".to_owned());
            return Ok(CaughtUp { behind_events: goal.saturating_sub(cursor), waits_for, ..told });
        }
        let is_news = |event: &&super::FeedEvent| {
            event.sequence < goal && wanted.holds(&event.repository) && wanted.takes(&event.item)
        };
        news += answer.events.iter().filter(is_news).count() as u64;
        cursor = answer.cursor_next;
        if cursor >= goal {
            break;
        }
    }
    let behind_events = news.saturating_add(goal.saturating_sub(cursor.min(goal)));
    let waits_for = match (behind_events, record.debts) {
        (0, 0) => return Ok(CaughtUp { in_sync: true, ..told }),
        (0, debts) => format!("{debts} things are still to be copied"),
        (events, _) => format!("{events} events of the source are still to be heard"),
    };
    Ok(CaughtUp { behind_events, waits_for: Some(waits_for), ..told })
}

/// What the catalog says.
fn told(record: &ReplicationRecord, errors: Vec<DebtError>) -> CaughtUp {
    CaughtUp {
        in_sync: false,
        exact: record.scope.exact,
        stage: Stage::from(&record.stage),
        behind_events: 0,
        debts: record.debts,
        failing: record.failing,
        errors,
        heard_milliseconds: Some(record.heard.0),
        synced_milliseconds: record.synced.map(|synced| synced.0),
        arrived_items: record.arrived_items,
        arrived_bytes: record.arrived_bytes,
        waits_for: None,
    }
}

/// The first debts of a scope that could not be paid.
pub(super) fn first_errors(
    core: &Arc<Core>,
    wanted: &Wanted,
    record: &ReplicationRecord,
) -> Result<Vec<DebtError>, raft::catalog::StateError> {
    if record.failing == 0 {
        return Ok(Vec::new());
    }
    let debts = core.records.view().debts(wanted.source.id, &wanted.prefix, None, DEBTS_LOOKED_AT)?;
    Ok(debts.iter().filter_map(|(_, debt)| DebtError::of(debt)).take(ERRORS_TOLD).collect())
}

fn unavailable(error: &CatalogError) -> QuestionError {
    QuestionError::Unavailable(error.to_string())
}

fn internal(error: raft::catalog::StateError) -> QuestionError {
    QuestionError::Internal(Trouble::from(error).to_string())
}
