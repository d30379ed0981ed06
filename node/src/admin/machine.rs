//! The paths of the local socket that concern one machine: `GET /disks`, `POST /disk/add`, `GET` and `POST /scrub`.
//! `remote` answers them for other nodes too.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use storage::shard::DiskId;

use super::machine_types::{AddDiskRequest, OwnDisksAnswer, ScrubAnswer, ScrubRequest};
use super::router::{Admin, refuse};
use super::types::VERSION;
use crate::shards::DiskChangeError;

/// The paths, answered for this machine.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/disks", get(disks))
        .route("/disk/add", post(add_disk))
        .route("/scrub", get(|State(admin): State<Admin>| async move { scrub(&admin) }).post(start_scrub))
}

async fn disks(State(admin): State<Admin>) -> Response {
    Json(OwnDisksAnswer { version: VERSION, disks: admin.disks.list().await }).into_response()
}

async fn add_disk(State(admin): State<Admin>, Json(request): Json<AddDiskRequest>) -> Response {
    match admin.disks.add(request.path).await {
        Ok(disk) => Json(OwnDisksAnswer { version: VERSION, disks: vec![disk] }).into_response(),
        Err(error) => {
            let status = match error {
                DiskChangeError::Path { .. } => StatusCode::BAD_REQUEST,
                _ => StatusCode::CONFLICT,
            };
            refuse(status, with_cause(&error))
        }
    }
}

/// An error with what caused it.
fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn scrub(admin: &Admin) -> Response {
    let node = admin.members.own().0;
    Json(ScrubAnswer { version: VERSION, node, disks: admin.scrub.status() }).into_response()
}

async fn start_scrub(State(admin): State<Admin>, Json(request): Json<ScrubRequest>) -> Response {
    let chosen = match request.disk {
        None => Vec::new(),
        Some(named) => match pick(admin.scrub.status().into_iter().map(|disk| disk.disk), &named) {
            Ok(disk) => vec![disk],
            Err(message) => return refuse(StatusCode::NOT_FOUND, message),
        },
    };
    match admin.scrub.start(&chosen) {
        Ok(_) => scrub(&admin),
        Err(error) => refuse(StatusCode::NOT_FOUND, error.to_string()),
    }
}

/// The one disk whose id begins so.
fn pick(ids: impl Iterator<Item = String>, named: &str) -> Result<DiskId, String> {
    let mut fitting = ids.filter(|id| id.starts_with(named));
    let unknown = || format!("the node has no disk {named:?} that is scrubbed: regnode scrub status lists them");
    let id = fitting.next().ok_or_else(unknown)?;
    if fitting.next().is_some() {
        return Err(format!("several disks of the node begin with {named:?}: name more of the id"));
    }
    let mut bytes = [0; 16];
    hex::decode_to_slice(&id, &mut bytes).map_err(|_| unknown())?;
    Ok(DiskId(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_picked_by_the_beginning_of_its_id() {
        let ids = || ["11".repeat(16), "12".repeat(16)].into_iter();
        assert_eq!(pick(ids(), "11"), Ok(DiskId([0x11; 16])));
        assert!(pick(ids(), "1").unwrap_err().contains("several"));
        assert!(pick(ids(), "2").unwrap_err().contains("no disk"));
    }
}
