//! The paths of the local socket for groups: `GET /groups`, `POST /group/add`, `/group/remove`, `/group/show`,
//! `/group/member`.
//!
//! Who belongs to a group stands with the members, so that is looked for among all of them, away from the requests' threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use raft::directory::{AccessRefusal, Command, StateError, Subject, View};
use storage::kv::Engine;

use super::access_changes::{AccessChanges, AccessError};
use super::access_refusal::answered;
use super::audited::{Recorded, recorded};
use super::identities::changed;
use super::identity_types::{AddGroupRequest, GroupEntry, GroupsAnswer, MembersAnswer, MembersRequest, NameRequest};
use super::operator::Operator;
use super::types::VERSION;

/// Users, or robots, that are read at once.
const PAGE: usize = 500;

/// The paths.
pub(super) fn router<S>() -> Router<S>
where
    AccessChanges: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/groups", get(groups))
        .route("/group/add", post(add))
        .route("/group/remove", post(remove))
        .route("/group/show", post(show))
        .route("/group/member", post(member))
}

async fn groups(State(changes): State<AccessChanges>) -> Response {
    let (view, reading) = changes.confirmed_view().await;
    let read = changes.exec.run(move || {
        let mut counted: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        each_member(&view, |subject, groups| {
            for group in groups {
                let (users, robots) = counted.entry(group.clone()).or_default();
                *(if matches!(subject, Subject::User(_)) { users } else { robots }) += 1;
            }
        })?;
        let entry = |(name, record): (String, raft::directory::GroupRecord)| {
            let (users, robots) = counted.get(&name).copied().unwrap_or_default();
            let (description, created_milliseconds) = (record.description, record.created.0);
            GroupEntry { name, description, created_milliseconds, users, robots }
        };
        let groups = view.groups()?.into_iter().map(entry).collect();
        Ok::<_, AccessError>(GroupsAnswer { version: VERSION, reading, groups })
    });
    answered(read.await)
}

/// Calls for all users and robots with the groups that they belong to.
fn each_member(view: &View<Arc<dyn Engine>>, mut visit: impl FnMut(Subject, &[String])) -> Result<(), StateError> {
    let mut after: Option<String> = None;
    loop {
        let page = view.users(after.as_deref(), PAGE)?;
        let whole = page.len() == PAGE;
        after = page.last().map(|(name, _)| name.clone());
        for (name, record) in page {
            visit(Subject::User(name), &record.groups);
        }
        if !whole {
            break;
        }
    }
    let mut after: Option<String> = None;
    loop {
        let page = view.robots(after.as_deref(), PAGE)?;
        let whole = page.len() == PAGE;
        after = page.last().map(|(name, _)| name.clone());
        for (name, record) in page {
            visit(Subject::Robot(name), &record.groups);
        }
        if !whole {
            return Ok(());
        }
    }
}

async fn add(State(changes): State<AccessChanges>, Json(request): Json<AddGroupRequest>) -> Response {
    let AddGroupRequest { name, description } = request;
    let outcome = changes.propose(Command::AddGroup { name: name.clone(), description }).await;
    let record = Recorded::new("member", format!("group:{name}")).change(None, Some("added".to_owned()));
    recorded(answered(outcome.map(|_| changed(name))), record)
}

async fn remove(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(NameRequest { name }): Json<NameRequest>,
) -> Response {
    let outcome = async {
        changes.group(&name).await?;
        let operator = changes.judged(&operator).await?;
        operator.may_release(&Subject::Group(name.clone()))?;
        changes.propose(Command::RemoveGroup { name: name.clone() }).await
    };
    let outcome = outcome.await;
    let record = Recorded::new("member", format!("group:{name}")).change(None, Some("removed".to_owned()));
    recorded(answered(outcome.map(|_| changed(name))), record)
}

async fn show(State(changes): State<AccessChanges>, Json(NameRequest { name }): Json<NameRequest>) -> Response {
    answered(members(&changes, name).await)
}

async fn members(changes: &AccessChanges, name: String) -> Result<MembersAnswer, AccessError> {
    let (view, reading) = changes.confirmed_view().await;
    let read = changes.exec.run(move || {
        let mut members = Vec::new();
        each_member(&view, |subject, groups| {
            if groups.contains(&name) {
                members.push(subject.to_string());
            }
        })?;
        let record = view.group(&name)?.ok_or_else(|| AccessRefusal::GroupUnknown(name.clone()))?;
        Ok(MembersAnswer { version: VERSION, reading, name, description: record.description, members })
    });
    read.await
}

async fn member(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<MembersRequest>,
) -> Response {
    let MembersRequest { name, add, remove } = request;
    let record = Recorded::new("member", format!("group:{name}"));
    let signed = |sign: &str, subjects: &[String]| -> Vec<String> {
        subjects.iter().map(|subject| format!("{sign}{subject}")).collect()
    };
    let after = [signed("+", &add), signed("-", &remove)].concat().join(" ");
    let outcome = async {
        // One command: all of it is done, or nothing, and nothing of what somebody else does meanwhile is lost.
        let (add, remove) = (subjects(&add)?, subjects(&remove)?);
        let operator = changes.judged(&operator).await?;
        operator.may_release(&Subject::Group(name.clone()))?;
        changes.propose(Command::Regroup { group: name.clone(), add, remove }).await?;
        members(&changes, name.clone()).await
    };
    recorded(answered(outcome.await), record.change(None, Some(after)))
}

fn subjects(texts: &[String]) -> Result<Vec<Subject>, AccessError> {
    let parsed = texts.iter().map(|text| text.parse::<Subject>());
    parsed.collect::<Result<_, _>>().map_err(|error| AccessError::Invalid(error.to_string()))
}
