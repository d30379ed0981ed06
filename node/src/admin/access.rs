//! The paths of the local socket for roles and rules: `GET /roles`, `POST /role/set`, `/role/remove`, `/rules`, `/rule/add`,
//! `/rule/remove`, `/access/explain`.

use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use raft::catalog::RepositoryName;
use raft::directory::{
    AccessRefusal, Action, Actions, BUILT_IN_ROLES, BindingId, BindingRecord, Condition, Effect, JudgedChange,
    Response as Answer, Subject, built_in_role,
};
use raft::time::Timestamp;

use super::access_changes::{AccessChanges, AccessError, judging};
use super::access_refusal::{answered, refused};
use super::access_types::{
    AddRuleRequest, ConditionEntry, ExplainAccessRequest, NamedEffect, RoleEntry, RolesAnswer, RuleAnswer, RuleEntry,
    RuleRequest, RulesAnswer, RulesRequest, SetRoleRequest,
};
use super::audited::{Recorded, recorded};
use super::identities::changed;
use super::identity_types::NameRequest;
use super::operator::{Denied, Operator, Reach};
use super::router::{Admin, refuse};
use super::types::VERSION;
use crate::access::{ExplainedRule, Explanation, Outcome, Rights};

/// Rules in one page.
const PAGE: usize = 500;

/// The paths.
pub(super) fn router<S>() -> Router<S>
where
    AccessChanges: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/roles", get(roles))
        .route("/role/set", post(set_role))
        .route("/role/remove", post(remove_role))
        .route("/rules", post(rules))
        .route("/rule/add", post(add_rule))
        .route("/rule/remove", post(remove_rule))
}

/// The path that asks the rules as they are applied.
pub(super) fn explaining() -> Router<Admin> {
    Router::new().route("/access/explain", post(explain))
}

async fn roles(State(changes): State<AccessChanges>) -> Response {
    let (view, reading) = changes.confirmed_view().await;
    let built_in = BUILT_IN_ROLES.map(|(name, actions)| RoleEntry {
        name: name.to_owned(),
        description: String::new(),
        actions: names(actions),
        built_in: true,
    });
    let read = view.roles().map(|own| {
        let own = own.into_iter().map(|(name, record)| RoleEntry {
            name,
            description: record.description,
            actions: names(record.actions),
            built_in: false,
        });
        RolesAnswer { version: VERSION, reading, roles: built_in.into_iter().chain(own).collect() }
    });
    answered(read.map_err(AccessError::from))
}

async fn set_role(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<SetRoleRequest>,
) -> Response {
    let SetRoleRequest { name, description, actions } = request;
    let record = Recorded::new("access", format!("role:{name}"));
    let (name_of, changes, operator) = (&name, &changes, &operator);
    let attempt = || async {
        let (name, actions) = (name_of.clone(), parsed(&actions)?);
        let before = changes.current().await?.role(&name)?;
        let operator = changes.judged(operator).await?;
        operator.may_define(&name, Some(actions))?;
        let change = JudgedChange::SetRole { name, description: description.clone(), actions };
        changes.propose_judged(&operator, change).await?;
        Ok::<_, AccessError>((before.map(|before| before.actions.to_string()), actions.to_string()))
    };
    match judging(attempt).await {
        Ok((before, after)) => recorded(answered(Ok(changed(name))), record.change(before, Some(after))),
        Err(error) => recorded(refused(&error), record),
    }
}

async fn remove_role(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(NameRequest { name }): Json<NameRequest>,
) -> Response {
    let record = Recorded::new("access", format!("role:{name}"));
    let (name_of, changes, operator) = (&name, &changes, &operator);
    let attempt = || async {
        let (view, name) = (changes.current().await?, name_of.clone());
        let before = view.role(&name)?.map(|before| before.actions.to_string());
        if before.is_none() && built_in_role(&name).is_none() {
            let known = view.roles()?.into_iter().map(|(known, _)| known).collect();
            return Err(AccessRefusal::RoleUnknown { name, known }.into());
        }
        let operator = changes.judged(operator).await?;
        if before.is_some() {
            operator.may_define(&name, None)?;
        }
        changes.propose_judged(&operator, JudgedChange::RemoveRole { name }).await?;
        Ok::<_, AccessError>(before)
    };
    match judging(attempt).await {
        Ok(before) => recorded(answered(Ok(changed(name))), record.change(before, None)),
        Err(error) => recorded(refused(&error), record),
    }
}

async fn rules(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<RulesRequest>,
) -> Response {
    let (view, reading) = changes.confirmed_view().await;
    let subject = match request.subject.as_deref().map(str::parse::<Subject>).transpose() {
        Ok(subject) => subject,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let wanted = |record: &BindingRecord| {
        subject.as_ref().is_none_or(|subject| *subject == record.subject)
            && request.covering.as_ref().is_none_or(|covered| covers(&record.namespace, covered))
    };
    let read = view.bindings(request.after.map(BindingId), PAGE).map(|page| {
        let last = page.last().map(|(BindingId(id), _)| *id);
        let next = last.filter(|_| page.len() == PAGE);
        let all = operator.may(&[(Action::Operate, "")]);
        let shown = |record: &BindingRecord| all || operator.may(&to_see(&record.namespace));
        let rules = page.into_iter().filter(|(_, record)| wanted(record) && shown(record));
        let rules = rules.map(|(id, record)| entry(id, record));
        RulesAnswer { version: VERSION, reading, rules: rules.collect(), next }
    });
    answered(read.map_err(AccessError::from))
}

/// What lets somebody see the rules of a namespace.
fn to_see(namespace: &str) -> [(Action, &str); 3] {
    [(Action::Access, namespace), (Action::Audit, namespace), (Action::Operate, "")]
}

/// What lets somebody change them.
fn to_change(namespace: &str) -> [(Action, &str); 2] {
    [(Action::Access, namespace), (Action::Operate, "")]
}

/// Whether a namespace is another one, or above it.
fn covers(namespace: &str, covered: &str) -> bool {
    let rest = covered.strip_prefix(namespace);
    namespace.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

async fn add_rule(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(request): Json<AddRuleRequest>,
) -> Response {
    let record = Recorded::new("access", request.subject.clone()).namespace(&request.namespace);
    let (changes, operator) = (&changes, &operator);
    let attempt = || async {
        let AddRuleRequest { subject, effect, namespace, condition, note } = request.clone();
        let subject = subject.parse::<Subject>().map_err(|error| AccessError::Invalid(error.to_string()))?;
        let effect = match effect {
            NamedEffect::Allow(role) => Effect::Allow { role },
            NamedEffect::Deny(actions) => Effect::Deny { actions: parsed(&actions)? },
        };
        let condition = condition_of(condition);
        let operator = changes.judged(operator).await?;
        operator.may_bind(&effect, &namespace)?;
        let by = operator.name();
        let asked = BindingRecord {
            subject: subject.clone(),
            effect: effect.clone(),
            namespace: namespace.clone(),
            condition: condition.clone(),
            note: note.clone(),
            created: changes.clock()?,
            created_by: by.clone(),
        };
        let change = JudgedChange::AddBinding { subject, effect, namespace, condition, note, by };
        let made = changes.propose_judged(&operator, change).await?;
        let Answer::Bound { id } = made else {
            return Err(AccessError::Invalid(format!("the directory answers with {made:?}: use its version")));
        };
        // It is made: that it cannot be read again now is no failure.
        let rule = entry(id, changes.binding(id).await.unwrap_or(asked));
        Ok::<_, AccessError>(RuleAnswer { version: VERSION, rule })
    };
    let outcome = judging(attempt).await;
    let after = outcome.as_ref().ok().map(|answer| rule_text(&answer.rule));
    recorded(answered(outcome), record.change(None, after))
}

async fn remove_rule(
    State(changes): State<AccessChanges>,
    operator: Operator,
    Json(RuleRequest { id }): Json<RuleRequest>,
) -> Response {
    let id = BindingId(id);
    let (changes, operator) = (&changes, &operator);
    let attempt = || async {
        let record = match changes.binding(id).await {
            Ok(record) => record,
            // Which rules there are, only who may change all of them is told.
            Err(error) => {
                operator.check_within(Reach::Below, &to_change("")).map_err(|denied| hidden_rule(denied, id))?;
                return Err(error);
            }
        };
        let operator = changes.judged(operator).await?;
        // To take away what a rule gives gives nobody anything.
        let gives = matches!(record.effect, Effect::Allow { .. });
        let may =
            operator.check_within(if gives { Reach::Itself } else { Reach::Below }, &to_change(&record.namespace));
        may.map_err(|denied| hidden_rule(denied, id))?;
        if matches!(record.effect, Effect::Deny { .. }) {
            operator.may_bind(&record.effect, &record.namespace)?;
        }
        changes.propose_judged(&operator, JudgedChange::RemoveBinding { id }).await?;
        Ok(RuleAnswer { version: VERSION, rule: entry(id, record) })
    };
    let outcome = judging(attempt).await;
    let record = match &outcome {
        Ok(RuleAnswer { rule, .. }) => {
            let record = Recorded::new("access", rule.subject.clone()).namespace(&rule.namespace);
            record.change(Some(rule_text(rule)), None)
        }
        Err(_) => Recorded::new("access", format!("rule {id}")),
    };
    recorded(answered(outcome), record)
}

/// The same for a rule that there is not as for one that he may not change: where others have rules is not told.
fn hidden_rule(denied: Denied, BindingId(id): BindingId) -> Denied {
    denied.in_words(format!("there is no rule {id}, or the caller has no right of access where it holds"))
}

async fn explain(
    State(admin): State<Admin>,
    operator: Operator,
    Json(request): Json<ExplainAccessRequest>,
) -> Response {
    match explained(&admin.access.rights(), &request, admin.access.now()) {
        Ok(mut explanation) => {
            // Rules about him that hold elsewhere, and rules about others further up, are told to who may see them there.
            let is_told =
                |rule: &ExplainedRule| rule.outcome != Outcome::Subject && covers(&rule.namespace, &request.repository);
            explanation.rules.retain(|rule| is_told(rule) || operator.may(&to_see(&rule.namespace)));
            Json(explanation).into_response()
        }
        Err((status, message)) => refuse(status, message),
    }
}

/// Asks the rules, as a request of a client would.
fn explained(
    rights: &Rights,
    request: &ExplainAccessRequest,
    now: Timestamp,
) -> Result<Explanation, (StatusCode, String)> {
    let invalid = |error: String| (StatusCode::BAD_REQUEST, error);
    if !rights.is_known() {
        let message = "this node has not read the rules yet: try again".to_owned();
        return Err((StatusCode::SERVICE_UNAVAILABLE, message));
    }
    let subject = request.subject.parse::<Subject>().map_err(|error| invalid(error.to_string()))?;
    let action = request.action.parse::<Action>().map_err(|error| invalid(error.to_string()))?;
    // The root is asked about too: who may operate the cluster, or look at its audit log.
    if !request.repository.is_empty() {
        request.repository.parse::<RepositoryName>().map_err(|error| invalid(error.to_string()))?;
    }
    let unknown = match &subject {
        Subject::User(name) if rights.user(name).is_none() => Some(AccessRefusal::UserUnknown(name.clone())),
        Subject::Robot(name) if rights.robot(name).is_none() => Some(AccessRefusal::RobotUnknown(name.clone())),
        _ => None,
    };
    if let Some(unknown) = unknown {
        return Err((StatusCode::NOT_FOUND, unknown.to_string()));
    }
    let Some(caller) = rights.as_caller(&subject, request.address) else {
        return Err(invalid(format!("{subject} is nobody who asks: name user:NAME, robot:NAME or anonymous")));
    };
    let at = request.at_milliseconds.map_or(now, Timestamp);
    Ok(rights.explain(&caller, action, &request.repository, at))
}

fn names(actions: Actions) -> Vec<String> {
    actions.iter().map(|action| action.name().to_owned()).collect()
}

fn parsed(actions: &[String]) -> Result<Actions, AccessError> {
    let parsed: Result<Actions, _> = actions.iter().map(|action| action.parse::<Action>()).collect();
    parsed.map_err(|error| AccessError::Invalid(error.to_string()))
}

fn condition_of(entry: ConditionEntry) -> Condition {
    Condition {
        addresses: entry.addresses,
        not_before: entry.not_before_milliseconds.map(Timestamp),
        not_after: entry.not_after_milliseconds.map(Timestamp),
        daily: entry.daily_minutes,
    }
}

fn entry(BindingId(id): BindingId, record: BindingRecord) -> RuleEntry {
    let effect = match record.effect {
        Effect::Allow { role } => NamedEffect::Allow(role),
        Effect::Deny { actions } => NamedEffect::Deny(names(actions)),
    };
    let condition = record.condition;
    RuleEntry {
        id,
        subject: record.subject.to_string(),
        effect,
        namespace: record.namespace,
        condition: ConditionEntry {
            addresses: condition.addresses,
            not_before_milliseconds: condition.not_before.map(|time| time.0),
            not_after_milliseconds: condition.not_after.map(|time| time.0),
            daily_minutes: condition.daily,
        },
        note: record.note,
        created_milliseconds: record.created.0,
        created_by: record.created_by,
    }
}

/// A rule, as the audit log has it.
fn rule_text(rule: &RuleEntry) -> String {
    let effect = match &rule.effect {
        NamedEffect::Allow(role) => format!("allow {role}"),
        NamedEffect::Deny(actions) => format!("deny {}", actions.join(",")),
    };
    let condition = if rule.condition == ConditionEntry::default() { "" } else { " under conditions" };
    let note = if rule.note.is_empty() { String::new() } else { format!(": {}", rule.note) };
    format!("rule {} {effect}{condition}{note}", rule.id)
}
