//! The paths of the local socket for users and robots: `POST /users`, `/user/show`, `/user/add`, `/user/set`,
//! `/user/remove`, the same for robots, `/robot/trust`, `/secret/add`, `/secret/remove`, `/sessions/end`.

use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use raft::directory::{AccessRefusal, Command, RobotRecord, SecretRecord, Subject, TrustRule, UserRecord};

use super::access_changes::{AccessChanges, AccessError, SecretWish, UserEdit};
use super::access_refusal::{answered, refused};
use super::audited::{Recorded, recorded};
use super::identity_types::{
    AddRobotRequest, AddSecretRequest, AddUserRequest, ChangedAnswer, Hidden, NameRequest, RemoveSecretRequest,
    RobotAnswer, RobotEntry, RobotsAnswer, SecretAnswer, SecretEntry, SetRobotRequest, SetUserRequest, SubjectRequest,
    TrustEntry, TrustRequest, UserAnswer, UserEntry, UsersAnswer,
};
use super::namespace_types::PageRequest;
use super::operator::Operator;
use super::router::refuse;
use super::types::VERSION;

/// Users, or robots, in one page.
const PAGE: usize = 200;

/// The paths.
pub(super) fn router<S>() -> Router<S>
where
    AccessChanges: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/users", post(users))
        .route("/user/show", post(show_user))
        .route("/user/add", post(add_user))
        .route("/user/set", post(set_user))
        .route("/user/remove", post(remove_user))
        .route("/robots", post(robots))
        .route("/robot/show", post(show_robot))
        .route("/robot/add", post(add_robot))
        .route("/robot/set", post(set_robot))
        .route("/robot/trust", post(trust))
        .route("/robot/remove", post(remove_robot))
        .route("/secret/add", post(add_secret))
        .route("/secret/remove", post(remove_secret))
        .route("/sessions/end", post(end_sessions))
}

async fn users(State(changes): State<AccessChanges>, Json(request): Json<PageRequest>) -> Response {
    let (view, reading) = changes.confirmed_view().await;
    let read = view.users(request.after.as_deref(), PAGE + 1).map(|mut users| {
        let next = (users.len() > PAGE).then(|| users[PAGE - 1].0.clone());
        users.truncate(PAGE);
        let users = users.into_iter().map(|(name, record)| user_entry(name, record)).collect();
        UsersAnswer { version: VERSION, reading, users, next }
    });
    answered(read.map_err(AccessError::from))
}

async fn show_user(State(changes): State<AccessChanges>, Json(NameRequest { name }): Json<NameRequest>) -> Response {
    let (view, reading) = changes.confirmed_view().await;
    let read = || {
        let record = view.user(&name)?.ok_or_else(|| AccessRefusal::UserUnknown(name.clone()))?;
        Ok(UserAnswer { version: VERSION, reading, user: user_entry(name.clone(), record) })
    };
    answered(read())
}

async fn add_user(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<AddUserRequest>,
) -> Response {
    let AddUserRequest { name, display, password, source, groups } = request;
    let password = password.map(|Hidden(password)| password);
    let after = groups_text(&groups);
    let outcome = async {
        // Rules may name him before he is there.
        let operator = changes.judged(&operator).await?;
        let user = Subject::User(name.clone());
        operator.may_become(&user)?;
        operator.may_begin_in(&groups)?;
        operator.may_open(&user, Some(&groups))?;
        changes.add_user(&name, display, password, source, groups).await
    };
    let outcome = outcome.await;
    let record = Recorded::new("user", format!("user:{name}")).change(None, Some(after));
    recorded(answered(outcome.map(|()| changed(name))), record)
}

async fn set_user(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<SetUserRequest>,
) -> Response {
    let SetUserRequest { name, display, password, disabled, groups } = request;
    let record = Recorded::new(if groups.is_some() { "member" } else { "user" }, format!("user:{name}"));
    let what = changes_text(&[
        ("display", display.clone()),
        ("password", password.as_ref().map(|_| "another".to_owned())),
        ("disabled", disabled.map(|disabled| disabled.to_string())),
        ("groups", groups.as_ref().map(|groups| groups.join(","))),
    ]);
    let password = password.map(|Hidden(password)| password);
    let edit = UserEdit { display, password, disabled, groups };
    let outcome = async {
        let operator = changes.judged(&operator).await?;
        let user = Subject::User(name.clone());
        operator.may_become(&user)?;
        if let Some(groups) = &edit.groups {
            operator.may_regroup(&user, groups)?;
        }
        if edit.password.is_some() || edit.disabled == Some(false) || edit.groups.is_some() {
            operator.may_open(&user, edit.groups.as_deref())?;
        }
        changes.set_user(&name, edit).await
    };
    let outcome = outcome.await;
    let before = outcome.as_ref().ok().map(|before| {
        let disabled = if before.disabled { "; disabled" } else { "" };
        format!("{}{disabled}", groups_text(&before.groups))
    });
    recorded(answered(outcome.map(|_| changed(name))), record.change(before, Some(what)))
}

async fn remove_user(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(NameRequest { name }): Json<NameRequest>,
) -> Response {
    let outcome = async {
        let before = changes.user(&name).await?;
        let operator = changes.judged(&operator).await?;
        operator.may_release(&Subject::User(name.clone()))?;
        changes.propose(Command::RemoveUser { name: name.clone() }).await?;
        Ok::<_, AccessError>(before)
    };
    let outcome = outcome.await;
    let before = outcome.as_ref().ok().map(|before| groups_text(&before.groups));
    let record = Recorded::new("user", format!("user:{name}")).change(before, None);
    recorded(answered(outcome.map(|_| changed(name))), record)
}

async fn robots(State(changes): State<AccessChanges>, Json(request): Json<PageRequest>) -> Response {
    let (view, reading) = changes.confirmed_view().await;
    let read = view.robots(request.after.as_deref(), PAGE + 1).map(|mut robots| {
        let next = (robots.len() > PAGE).then(|| robots[PAGE - 1].0.clone());
        robots.truncate(PAGE);
        let robots = robots.into_iter().map(|(name, record)| robot_entry(name, record)).collect();
        RobotsAnswer { version: VERSION, reading, robots, next }
    });
    answered(read.map_err(AccessError::from))
}

async fn show_robot(State(changes): State<AccessChanges>, Json(NameRequest { name }): Json<NameRequest>) -> Response {
    let (view, reading) = changes.confirmed_view().await;
    let read = || {
        let record = view.robot(&name)?.ok_or_else(|| AccessRefusal::RobotUnknown(name.clone()))?;
        Ok(RobotAnswer { version: VERSION, reading, robot: robot_entry(name.clone(), record) })
    };
    answered(read())
}

async fn add_robot(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<AddRobotRequest>,
) -> Response {
    let AddRobotRequest { name, description, groups, lifetime_seconds } = request;
    let after = groups_text(&groups);
    let outcome = async {
        // A repetition would be harmless to the directory, but a second secret that nobody expects would follow.
        if changes.current().await?.robot(&name)?.is_some() {
            return Err(AccessRefusal::RobotExists(name.clone()).into());
        }
        let operator = changes.judged(&operator).await?;
        let robot = Subject::Robot(name.clone());
        operator.may_become(&robot)?;
        operator.may_begin_in(&groups)?;
        operator.may_open(&robot, Some(&groups))?;
        changes.propose(Command::AddRobot { name: name.clone(), description, groups, lifetime_seconds }).await
    };
    let outcome = outcome.await;
    let record = Recorded::new("robot", format!("robot:{name}")).change(None, Some(after));
    recorded(answered(outcome.map(|_| changed(name))), record)
}

async fn set_robot(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<SetRobotRequest>,
) -> Response {
    let SetRobotRequest { name, description, groups, disabled } = request;
    let record = Recorded::new(if groups.is_some() { "member" } else { "robot" }, format!("robot:{name}"));
    let what = changes_text(&[
        ("description", description.clone()),
        ("disabled", disabled.map(|disabled| disabled.to_string())),
        ("groups", groups.as_ref().map(|groups| groups.join(","))),
    ]);
    let outcome = async {
        let before = changes.robot(&name).await?;
        let operator = changes.judged(&operator).await?;
        let robot = Subject::Robot(name.clone());
        operator.may_become(&robot)?;
        if let Some(groups) = &groups {
            operator.may_regroup(&robot, groups)?;
        }
        if disabled == Some(false) || groups.is_some() {
            operator.may_open(&robot, groups.as_deref())?;
        }
        let command = Command::SetRobot { name: name.clone(), description, groups, disabled };
        changes.propose(command).await?;
        Ok::<_, AccessError>(before)
    };
    let outcome = outcome.await;
    let before = outcome.as_ref().ok().map(|before| {
        let disabled = if before.disabled { "; disabled" } else { "" };
        format!("{}{disabled}", groups_text(&before.groups))
    });
    recorded(answered(outcome.map(|_| changed(name))), record.change(before, Some(what)))
}

async fn trust(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<TrustRequest>,
) -> Response {
    let TrustRequest { name, issuer, claims } = request;
    let robot = name.clone();
    let outcome = async {
        let operator = changes.judged(&operator).await?;
        operator.may_become(&Subject::Robot(name.clone()))?;
        if claims.is_empty() {
            let mut gone = changes.robot(&name).await?.trusts;
            gone.retain(|rule| rule.issuer == issuer);
            if gone.is_empty() {
                return Err(AccessError::Unknown(format!("robot {name:?} trusts nothing of issuer {issuer:?}")));
            }
            changes.propose(Command::Distrust { robot, issuer }).await?;
            return Ok((Some(trusts_text(&gone)), None));
        }
        operator.may_open(&Subject::Robot(name.clone()), None)?;
        let rule = TrustRule { issuer, claims };
        let after = trusts_text(std::slice::from_ref(&rule));
        changes.propose(Command::Trust { robot, rule }).await?;
        Ok::<_, AccessError>((None, Some(after)))
    };
    let outcome = outcome.await;
    let mut record = Recorded::new("robot", format!("robot:{name}"));
    if let Ok((before, after)) = &outcome {
        record = record.change(before.clone(), after.clone());
    }
    recorded(answered(outcome.map(|_| changed(name))), record)
}

async fn remove_robot(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(NameRequest { name }): Json<NameRequest>,
) -> Response {
    let outcome = async {
        let before = changes.robot(&name).await?;
        let operator = changes.judged(&operator).await?;
        operator.may_release(&Subject::Robot(name.clone()))?;
        changes.propose(Command::RemoveRobot { name: name.clone() }).await?;
        Ok::<_, AccessError>(before)
    };
    let outcome = outcome.await;
    let before = outcome.as_ref().ok().map(|before| groups_text(&before.groups));
    let record = Recorded::new("robot", format!("robot:{name}")).change(before, None);
    recorded(answered(outcome.map(|_| changed(name))), record)
}

async fn add_secret(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<AddSecretRequest>,
) -> Response {
    let AddSecretRequest { subject: text, name, lifetime_seconds, others_end_after_seconds } = request;
    let subject = match text.parse::<Subject>() {
        Ok(subject) => subject,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let login = login_name(&subject);
    let outcome = async {
        let operator = changes.judged(&operator).await?;
        operator.may_become(&subject)?;
        operator.may_open(&subject, None)?;
        let host = changes.host()?;
        let made = changes.add_secret(SecretWish { subject, name, lifetime_seconds, others_end_after_seconds }).await?;
        Ok::<_, AccessError>((host, made))
    };
    match outcome.await {
        Ok((host, made)) => {
            let record = Recorded::new("secret", text.clone()).change(None, Some(made.id.clone()));
            let answer = SecretAnswer {
                version: VERSION,
                subject: text,
                login,
                secret: Hidden(made.text),
                id: made.id,
                expires_milliseconds: made.expires.map(|expires| expires.0),
                host,
            };
            recorded(Json(answer).into_response(), record)
        }
        Err(error) => recorded(refused(&error), Recorded::new("secret", text)),
    }
}

async fn remove_secret(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<RemoveSecretRequest>,
) -> Response {
    let RemoveSecretRequest { subject: text, id } = request;
    let subject = match text.parse::<Subject>() {
        Ok(subject) => subject,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let outcome = async {
        changes.judged(&operator).await?.may_become(&subject)?;
        changes.remove_secret(subject, &id).await
    };
    let outcome = outcome.await;
    let record = Recorded::new("secret", text).change(outcome.as_ref().ok().cloned(), None);
    recorded(answered(outcome.map(changed)), record)
}

async fn end_sessions(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<SubjectRequest>,
) -> Response {
    let text = request.subject;
    let subject = match text.parse::<Subject>() {
        Ok(subject) => subject,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let outcome = async {
        changes.judged(&operator).await?.may_become(&subject)?;
        changes.propose(Command::EndSessions { subject }).await
    };
    let outcome = outcome.await;
    let record = Recorded::new("sessions", text.clone());
    recorded(answered(outcome.map(|_| changed(text))), record)
}

/// The name by which a user or a robot logs in.
fn login_name(subject: &Subject) -> String {
    match subject {
        Subject::User(name) | Subject::Group(name) => name.clone(),
        Subject::Robot(name) => format!("robot+{name}"),
        Subject::Anonymous | Subject::Authenticated => String::new(),
    }
}

pub(super) fn changed(name: String) -> ChangedAnswer {
    ChangedAnswer { version: VERSION, name }
}

/// Groups as the audit log has them.
fn groups_text(groups: &[String]) -> String {
    if groups.is_empty() { "in no group".to_owned() } else { format!("groups {}", groups.join(",")) }
}

/// What is changed, as the audit log has it.
fn changes_text(changes: &[(&str, Option<String>)]) -> String {
    let named = changes.iter().filter_map(|(what, value)| Some(format!("{what} {}", value.as_ref()?)));
    named.collect::<Vec<_>>().join("; ")
}

/// Rules of trust, as the audit log has them.
fn trusts_text(trusts: &[TrustRule]) -> String {
    let rule = |rule: &TrustRule| {
        let claims: Vec<String> = rule.claims.iter().map(|(claim, pattern)| format!("{claim}={pattern}")).collect();
        format!("trusts {} {}", rule.issuer, claims.join(" "))
    };
    trusts.iter().map(rule).collect::<Vec<_>>().join("; ")
}

fn user_entry(name: String, record: UserRecord) -> UserEntry {
    UserEntry {
        name,
        display: record.display,
        source: record.source,
        has_password: record.password.is_some(),
        groups: record.groups,
        disabled: record.disabled,
        created_milliseconds: record.created.0,
        sessions_from_milliseconds: record.sessions_from.0,
        confirmed_milliseconds: record.confirmed.map(|last| last.0),
        keys: record.keys.into_iter().map(secret_entry).collect(),
    }
}

fn robot_entry(name: String, record: RobotRecord) -> RobotEntry {
    let trust = |rule: TrustRule| TrustEntry { issuer: rule.issuer, claims: rule.claims };
    RobotEntry {
        login: format!("robot+{name}"),
        name,
        description: record.description,
        groups: record.groups,
        disabled: record.disabled,
        created_milliseconds: record.created.0,
        expires_milliseconds: record.expires.map(|expires| expires.0),
        sessions_from_milliseconds: record.sessions_from.0,
        secrets: record.secrets.into_iter().map(secret_entry).collect(),
        trusts: record.trusts.into_iter().map(trust).collect(),
    }
}

fn secret_entry(record: SecretRecord) -> SecretEntry {
    SecretEntry {
        id: hex::encode(record.id),
        name: record.name,
        created_milliseconds: record.created.0,
        expires_milliseconds: record.expires.map(|expires| expires.0),
        last_used_milliseconds: record.last_used.map(|used| used.0),
    }
}
