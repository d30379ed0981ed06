//! The paths of the local socket that let nodes and disks come and go: `POST /node/drain`, `/node/undrain`,
//! `/node/leave`, `/disk/wish`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use raft::directory::NodeState;

use super::router::{Admin, refuse};
use super::types::{DepartingAnswer, DiskWishAnswer, DiskWishRequest, LossAnswer, NodeRequest, VERSION, WishedDisk};
use crate::cluster::{Departing, DepartureError, DiskWish};

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/node/drain", post(drain))
        .route("/node/undrain", post(undrain))
        .route("/node/leave", post(leave))
        .route("/disk/wish", post(wish))
}

async fn drain(State(admin): State<Admin>, Json(request): Json<NodeRequest>) -> Response {
    departing(admin.departures.drain(&admin.node_or_own(request.node)).await)
}

async fn undrain(State(admin): State<Admin>, Json(request): Json<NodeRequest>) -> Response {
    departing(admin.departures.undrain(&admin.node_or_own(request.node)).await)
}

async fn leave(State(admin): State<Admin>, Json(request): Json<NodeRequest>) -> Response {
    departing(admin.departures.leave(&admin.node_or_own(request.node), request.force).await)
}

async fn wish(State(admin): State<Admin>, Json(request): Json<DiskWishRequest>) -> Response {
    let wish = match request.wish {
        WishedDisk::Use => DiskWish::Use,
        WishedDisk::Drain => DiskWish::Drain,
        WishedDisk::GiveUp => DiskWish::GiveUp,
        WishedDisk::Remove => DiskWish::Remove,
    };
    let node = admin.node_or_own(request.node);
    match admin.departures.set_disk(&node, &request.disk, wish).await {
        Ok(disk) => {
            let state = super::types::disk_state(disk.state).to_owned();
            Json(DiskWishAnswer { version: VERSION, disk: disk.id.to_string(), state }).into_response()
        }
        Err(error) => refused(&error),
    }
}

fn departing(outcome: Result<Departing, DepartureError>) -> Response {
    match outcome {
        Ok(departing) => {
            let loss = departing.loss.map(|loss| LossAnswer {
                extents: loss.extents,
                bytes: loss.bytes,
                at_least: loss.at_least,
            });
            Json(DepartingAnswer {
                version: VERSION,
                node: departing.node.0,
                name: departing.name,
                state: state(departing.state).to_owned(),
                shards: departing.shards,
                bytes: departing.bytes,
                loss,
            })
            .into_response()
        }
        Err(error) => refused(&error),
    }
}

/// A node's state in one word.
pub(crate) const fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Joining => "joining",
        NodeState::Active => "active",
        NodeState::Draining => "draining",
        NodeState::Removed => "removed",
    }
}

fn refused(error: &DepartureError) -> Response {
    let status = match error {
        DepartureError::UnknownNode(_) | DepartureError::UnknownDisk(..) => StatusCode::NOT_FOUND,
        DepartureError::Propose(_) | DepartureError::Read(_) | DepartureError::NoQuorum(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        DepartureError::State(_) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::CONFLICT,
    };
    refuse(status, error.to_string())
}
