//! How far this region's copies have come, for other nodes: `POST /replication/report`, `/replication/caught-up`. Only the
//! catalog's leader knows what its sources have answered; every other node asks it, once.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::{Method, StatusCode};
use tokio::time::timeout;

use super::replication::answered;
use super::router::{Admin, refuse};
use super::types::ErrorAnswer;
use crate::peer::{AdminRequest, Asker};
use crate::replication::{CaughtUpQuestion, RegionReport, caught_up};

/// Path at which the leader is asked.
const LEADERS: &str = "/replication/report/here";
/// Time for the leader's answer, to a node of another region.
const DEADLINE: Duration = Duration::from_secs(4);

/// The paths.
pub(super) fn of_copies() -> Router<Admin> {
    Router::new()
        .route("/replication/report", post(report))
        .route(LEADERS, post(here))
        .route("/replication/caught-up", post(judged))
}

async fn report(State(admin): State<Admin>) -> Response {
    told(of_region(&admin, DEADLINE).await)
}

async fn here(State(admin): State<Admin>) -> Response {
    told(own(&admin).and_then(|report| report.ok_or_else(|| "this node does not lead its catalog any more".to_owned())))
}

async fn judged(State(admin): State<Admin>, Json(question): Json<CaughtUpQuestion>) -> Response {
    answered(caught_up(admin.replication.core(), admin.deletion.regions(), &question).await)
}

fn told(report: Result<RegionReport, String>) -> Response {
    match report {
        Ok(report) => Json(report).into_response(),
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, error),
    }
}

/// What this node knows, if it is the one that copies.
fn own(admin: &Admin) -> Result<Option<RegionReport>, String> {
    admin.replication.report().map_err(|error| error.to_string())
}

/// How far the copies of this node's region have come, from whichever node of it knows.
pub(super) async fn of_region(admin: &Admin, deadline: Duration) -> Result<RegionReport, String> {
    if admin.deletion.regions().is_alone() {
        return Ok(RegionReport::default());
    }
    if let Some(report) = own(admin)? {
        return Ok(report);
    }
    let leader = admin.collector.catalog.status().leader.filter(|leader| *leader != admin.members.own());
    let Some(leader) = leader else {
        return Err("the region's catalog has no leader at the moment: try again".to_owned());
    };
    let request =
        AdminRequest { method: Method::POST, path: LEADERS.to_owned(), body: "{}".into(), asker: Asker::Machine };
    let asked = timeout(deadline, admin.peers.administer(leader, request, deadline)).await;
    let answer = asked.map_err(|_| "the leader of the region's catalog does not answer in time".to_owned())?;
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status == StatusCode::OK {
        return serde_json::from_slice(&answer.body).map_err(|error| error.to_string());
    }
    let refused = serde_json::from_slice::<ErrorAnswer>(&answer.body);
    Err(refused.map_or_else(|_| format!("the leader answers {}", answer.status), |refused| refused.error))
}
