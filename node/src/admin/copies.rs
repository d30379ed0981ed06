//! The path of the local socket for copies: `POST /replication/status`. Each region knows how far its own copies are; those
//! that have some are asked, all at once, and one that does not answer is named with the reason.
//!
//! What a region calls in sync was so when its home answered last, and somebody may have pushed since. So each such copy is
//! held against its home once more, after the question: what is told then is true of all that was acknowledged before it.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::replication_report::of_region;
use super::replication_types::{
    CopyFailure, CopyState, CopyStatus, RegionCopies, ReplicationAnswer, ReplicationRequest,
};
use super::router::Admin;
use super::types::{ErrorAnswer, VERSION};
use crate::peer::{AdminRequest, Asker};
use crate::regions::{Region, Regions};
use crate::replication::{CaughtUp, CaughtUpQuestion, DebtError, RegionReport, ScopeReport, Stage, caught_up};

/// Time for a region's answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// The same for the page of a status.
const STATUS_DEADLINE: Duration = Duration::from_secs(2);
/// Copies in a status.
const STATUS_COPIES: usize = 100;
/// Copies of a region that are held against their homes for one answer; the others are told as their region sees them.
const VERIFIED: usize = 64;

/// The path.
pub(super) fn router() -> Router<Admin> {
    Router::new().route("/replication/status", post(status))
}

async fn status(State(admin): State<Admin>, Json(request): Json<ReplicationRequest>) -> Response {
    let regions = admin.deletion.regions();
    let namespace = request.namespace.as_deref();
    let others: Vec<Region> = regions.others().into_iter().filter(|region| has_copies(regions, region)).collect();
    let elsewhere = join_all(others.into_iter().map(async |region| {
        let report = far(&admin, &region, "/replication/report", &serde_json::json!({})).await;
        told(&admin, Some(&region), report, namespace).await
    }));
    let own = async { told(&admin, None, of_region(&admin, DEADLINE).await, namespace).await };
    let (own, elsewhere) = tokio::join!(own, elsewhere);
    let regions = std::iter::once(own).chain(elsewhere).collect();
    Json(ReplicationAnswer { version: VERSION, regions }).into_response()
}

/// What a region says of its copies; the own one without a region.
async fn told(
    admin: &Admin,
    region: Option<&Region>,
    report: Result<RegionReport, String>,
    namespace: Option<&str>,
) -> RegionCopies {
    let regions = admin.deletion.regions();
    let name = region.map_or_else(|| name(regions, regions.own()), |region| region.name.clone());
    let report = match report {
        Ok(report) => report,
        Err(error) => return RegionCopies { region: name, error: Some(error), copies: Vec::new() },
    };
    let reports = covering(&report.scopes, namespace).into_iter().enumerate();
    let copies = join_all(reports.map(async |(number, report)| {
        let copy = copy(report, regions);
        if copy.state == CopyState::InSync && number < VERIFIED {
            verified(copy, asked_anew(admin, region, report).await)
        } else {
            copy
        }
    }));
    RegionCopies { region: name, error: None, copies: copies.await }
}

/// Has a region hold a copy against its home.
async fn asked_anew(admin: &Admin, region: Option<&Region>, report: &ScopeReport) -> Result<CaughtUp, String> {
    let regions = admin.deletion.regions();
    let policy_version = regions.places().version();
    let question = CaughtUpQuestion { prefix: report.prefix.clone(), source: report.source, policy_version };
    match region {
        Some(region) => far(admin, region, "/replication/caught-up", &question).await,
        None => caught_up(admin.replication.core(), regions, &question).await.map_err(|error| error.to_string()),
    }
}

/// A copy that was in sync when its home answered last, as it is now.
fn verified(copy: CopyStatus, now: Result<CaughtUp, String>) -> CopyStatus {
    match now {
        Ok(now) if now.in_sync => copy,
        Ok(now) => CopyStatus {
            state: CopyState::Behind,
            events_behind: Some(now.behind_events),
            items_waiting: now.debts,
            items_failing: now.failing,
            failures: now.errors.iter().map(failure).collect(),
            ..copy
        },
        Err(error) => CopyStatus { state: CopyState::Waiting, events_behind: None, waits_for: Some(error), ..copy },
    }
}

/// Whether a region is to have a copy of anything.
fn has_copies(regions: &Regions, region: &Region) -> bool {
    regions.places().places().any(|(_, place)| place.copies().contains(&region.id))
}

/// What another region answers.
async fn far<T: DeserializeOwned>(
    admin: &Admin,
    region: &Region,
    path: &str,
    question: &impl Serialize,
) -> Result<T, String> {
    let body = serde_json::to_vec(question).map_err(|error| error.to_string())?.into();
    let request = AdminRequest { method: Method::POST, path: path.to_owned(), body, asker: Asker::Machine };
    let answer = admin.deletion.regions().administer(region, request, DEADLINE).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status == StatusCode::OK {
        return serde_json::from_slice(&answer.body).map_err(|error| error.to_string());
    }
    let refused = serde_json::from_slice::<ErrorAnswer>(&answer.body);
    Err(refused.map_or_else(|_| format!("its node answered {}", answer.status), |refused| refused.error))
}

/// The own region's copies for a status, those that lack most first; none while nobody knows.
pub(super) async fn of_status(admin: &Admin) -> Vec<CopyStatus> {
    let regions = admin.deletion.regions();
    let report = of_region(admin, STATUS_DEADLINE).await.unwrap_or_default();
    let mut copies: Vec<CopyStatus> = report.scopes.iter().map(|report| copy(report, regions)).collect();
    copies.sort_by_key(|copy| {
        let lag = copy.lag_seconds.unwrap_or(u64::MAX);
        (copy.state == CopyState::InSync, std::cmp::Reverse((copy.items_failing, lag)))
    });
    copies.truncate(STATUS_COPIES);
    copies
}

/// The reports about a namespace: of it and of what is below it, or of what it is a part of.
fn covering<'a>(reports: &'a [ScopeReport], namespace: Option<&str>) -> Vec<&'a ScopeReport> {
    let Some(namespace) = namespace else { return reports.iter().collect() };
    let own = |report: &&ScopeReport| is_below(&report.prefix, namespace);
    let mut found: Vec<&ScopeReport> = reports.iter().filter(own).collect();
    if !found.iter().any(|report| report.prefix == namespace) {
        let around = reports.iter().filter(|report| is_below(namespace, &report.prefix));
        found.extend(around.max_by_key(|report| report.prefix.len()));
    }
    found
}

/// Whether a prefix is another one, or below it.
fn is_below(prefix: &str, other: &str) -> bool {
    other.is_empty() || prefix.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn name(regions: &Regions, region: raft::id::RegionId) -> String {
    regions.region(region).map_or_else(|| region.to_string(), |region| region.name)
}

fn copy(report: &ScopeReport, regions: &Regions) -> CopyStatus {
    let state = state(report);
    let silent = || format!("region {} has not answered of late", name(regions, report.source));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is told to people")]
    let bytes_per_second = report.bytes_per_second.max(0.0) as u64;
    CopyStatus {
        namespace: report.prefix.clone(),
        from: name(regions, report.source),
        state,
        moving: report.exact,
        synced_milliseconds: report.synced_milliseconds,
        lag_seconds: report.lag_seconds,
        events_behind: report.behind_events,
        items_waiting: report.debts,
        items_failing: report.failing,
        failures: report.errors.iter().map(failure).collect(),
        waits_for: match state {
            CopyState::InSync => None,
            _ => report.trouble.clone().or_else(|| (!report.source_answers).then(silent)),
        },
        items_arrived: report.arrived_items,
        bytes_arrived: report.arrived_bytes,
        bytes_per_second,
    }
}

const fn state(report: &ScopeReport) -> CopyState {
    match report.stage {
        _ if report.in_sync => CopyState::InSync,
        _ if !report.source_answers => CopyState::Waiting,
        Stage::Waiting => CopyState::Waiting,
        Stage::Surveying => CopyState::Comparing,
        Stage::Following => CopyState::Behind,
    }
}

fn failure(error: &DebtError) -> CopyFailure {
    let what = format!("{} of {}", error.item, error.repository);
    CopyFailure { what, error: error.error.clone(), failures: error.failures }
}

#[cfg(test)]
mod tests {
    use raft::id::RegionId;
    use storage::exec::Exec;

    use super::*;
    use crate::deletion::testing::directory;
    use crate::regions::testing::alone;

    fn report(prefix: &str) -> ScopeReport {
        ScopeReport {
            source: RegionId(1),
            region: RegionId(2),
            prefix: prefix.to_owned(),
            stage: Stage::Following,
            surveyed: None,
            exact: false,
            in_sync: false,
            source_answers: true,
            behind_events: Some(0),
            debts: 1,
            debt_bytes: 0,
            failing: 0,
            errors: Vec::new(),
            trouble: None,
            heard_milliseconds: None,
            synced_milliseconds: None,
            lag_seconds: None,
            arrived_items: 0,
            arrived_bytes: 0,
            bytes_per_second: 0.0,
        }
    }

    #[test]
    fn a_namespace_is_copied_by_itself_by_parts_or_as_a_part() {
        let reports = ["", "acme", "acme/app", "acme2"].map(report);
        let found =
            |namespace| covering(&reports, namespace).iter().map(|report| report.prefix.as_str()).collect::<Vec<_>>();
        assert_eq!(found(Some("acme")), ["acme", "acme/app"]);
        assert_eq!(found(Some("acme/ml")), ["acme"]);
        assert_eq!(found(Some("other")), [""]);
        assert_eq!((found(Some("")).len(), found(None).len()), (4, 4));
    }

    #[test]
    fn what_was_pushed_since_the_last_answer_is_not_in_sync() {
        let regions = alone(&directory(), Exec::threads());
        let in_sync = || copy(&ScopeReport { in_sync: true, debts: 0, ..report("acme") }, &regions);
        let now = CaughtUp { in_sync: true, ..CaughtUp::default() };
        assert_eq!(verified(in_sync(), Ok(now)).state, CopyState::InSync);
        let behind = verified(in_sync(), Ok(CaughtUp { behind_events: 3, debts: 2, ..CaughtUp::default() }));
        assert_eq!((behind.state, behind.events_behind, behind.items_waiting), (CopyState::Behind, Some(3), 2));
        let silent = verified(in_sync(), Err("it does not answer".to_owned()));
        assert_eq!((silent.state, silent.events_behind), (CopyState::Waiting, None));
    }

    #[test]
    fn only_what_was_verified_a_moment_ago_is_in_sync() {
        let following = report("acme");
        assert_eq!(state(&following), CopyState::Behind);
        assert_eq!(state(&ScopeReport { in_sync: true, ..report("acme") }), CopyState::InSync);
        assert_eq!(state(&ScopeReport { stage: Stage::Surveying, ..report("acme") }), CopyState::Comparing);
        assert_eq!(state(&ScopeReport { source_answers: false, ..report("acme") }), CopyState::Waiting);
    }
}
