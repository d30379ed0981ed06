//! `GET /whoami`: who the node takes its caller for, and what he may in the whole registry.

use std::net::IpAddr;

use axum::routing::get;
use axum::{Json, Router};
use raft::directory::Action;
use serde::{Deserialize, Serialize};

use super::operator::Operator;
use super::router::Admin;
use super::types::VERSION;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoamiAnswer {
    /// Version of this form.
    pub version: u32,
    /// `user:NAME`, `robot:NAME`, or `operator` for whoever has the local socket.
    pub principal: String,
    /// Groups that he is in.
    pub groups: Vec<String>,
    /// How he showed who he is.
    pub way: String,
    /// Where he asks from.
    pub address: IpAddr,
    /// Actions that he may in the whole registry. He may have others in namespaces.
    pub actions: Vec<String>,
}

/// The path.
pub(super) fn router() -> Router<Admin> {
    Router::new().route("/whoami", get(whoami))
}

async fn whoami(operator: Operator) -> Json<WhoamiAnswer> {
    let caller = operator.caller();
    let actions = Action::ALL.into_iter().filter(|action| operator.may(&[(*action, "")]));
    Json(WhoamiAnswer {
        version: VERSION,
        principal: operator.name(),
        groups: caller.groups.into_iter().collect(),
        way: caller.way.name().to_owned(),
        address: caller.address,
        actions: actions.map(|action| action.name().to_owned()).collect(),
    })
}
