//! The paths of the local socket for namespaces: `POST /namespaces`, `/namespace/set`, `/namespace/remove`,
//! `/namespace/show`, `/namespace/explain`.
//!
//! What is set is read from the directory here. What a namespace holds is asked of its home region; if that does not
//! answer, the rest is said all the same.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use raft::directory::{Action, NamespaceRecord};
use raft::id::RegionId;
use raft::policy::{NamespacePolicy, Policy, Sources};

use super::audited::{Recorded, recorded, unchanged};
use super::carried::{Elsewhere, elsewhere};
use super::namespace_types::{
    ExplainAnswer, ExplainRequest, ExplainedTag, NamespaceAnswer, NamespaceEntry, NamespaceRequest, NamespacesAnswer,
    PageRequest, PolicyChangedAnswer, PolicyField, SetNamespaceRequest,
};
use super::operator::Operator;
use super::place_types::{HeldAnswer, HeldRequest, NamedResidency, OwnPlace};
use super::places::{Wish, own_place, place_answer, placed};
use super::refusal::refused;
use super::router::Admin;
use super::types::VERSION;
use crate::deletion::{Applied, DeletionError, Explanation, HomeChange, Listing, NamespaceStatus, TagExplanation};

/// Namespaces in one page.
const PAGE: usize = 200;

/// The paths.
pub(super) fn router() -> Router<Admin> {
    Router::new()
        .route("/namespaces", post(list))
        .route("/namespace/set", post(set))
        .route("/namespace/remove", post(remove))
        .route("/namespace/show", post(show))
        .route("/namespace/explain", post(explain))
}

/// The paths that nodes of other regions ask for: what this region's catalog says.
pub(super) fn of_catalog() -> Router<Admin> {
    Router::new()
        .route("/namespace/show", post(show_here))
        .route("/namespace/explain", post(explain_here))
        .route("/namespace/held", post(held))
}

async fn list(State(admin): State<Admin>, operator: Operator, Json(request): Json<PageRequest>) -> Response {
    match admin.deletion.namespaces().await {
        Ok(mut all) => {
            let everything = operator.may(&[(Action::Operate, "")]);
            all.namespaces.retain(|(prefix, _)| everything || operator.may(&to_see(prefix)));
            Json(page(all, request.after.as_deref())).into_response()
        }
        Err(error) => refused(&error),
    }
}

/// What lets somebody see what is set at a namespace.
fn to_see(prefix: &str) -> [(Action, &str); 3] {
    [(Action::Pull, prefix), (Action::Policy, prefix), (Action::Audit, prefix)]
}

/// The page behind `after`.
fn page(all: Listing, after: Option<&str>) -> NamespacesAnswer {
    let Listing { namespaces, names, reading } = all;
    let mut rest = namespaces.into_iter().filter(|(prefix, _)| after.is_none_or(|after| prefix.as_str() > after));
    let entry = |(prefix, record): (String, NamespaceRecord)| {
        let place = own_place(&record, &names);
        NamespaceEntry { prefix, policy: record.policy, place }
    };
    let namespaces: Vec<NamespaceEntry> = rest.by_ref().take(PAGE).map(entry).collect();
    let more = rest.next().is_some();
    let next = namespaces.last().filter(|_| more).map(|last| last.prefix.clone());
    let (confirmed, as_of_milliseconds) = (reading.confirmed, reading.as_of_milliseconds);
    NamespacesAnswer { version: VERSION, namespaces, next, confirmed, as_of_milliseconds }
}

async fn set(State(admin): State<Admin>, Json(request): Json<SetNamespaceRequest>) -> Response {
    let prefix = request.prefix.clone();
    let before = said(&admin, &prefix);
    let response = home_changed(change(&admin, request).await, prefix.clone());
    audited_change(&admin, &prefix, before, response)
}

/// What a namespace says itself, as the audit log has it; nothing if it says nothing.
fn said(admin: &Admin, prefix: &str) -> Option<String> {
    let record = raft::directory::View::new(admin.directory.state()).namespace(prefix).ok()??;
    serde_json::to_string(&record).ok()
}

/// A response with what became of a namespace. One that says that a home is still moving is asked for again and again: only
/// what changes something is worth a record.
fn audited_change(admin: &Admin, prefix: &str, before: Option<String>, response: Response) -> Response {
    let after = said(admin, prefix);
    if before == after {
        return unchanged(response);
    }
    recorded(response, Recorded::new("policy", String::new()).namespace(prefix).change(before, after))
}

/// Changes what is asked for: the home first, since that alone can be refused for what is there.
async fn change(admin: &Admin, request: SetNamespaceRequest) -> Result<HomeChange, DeletionError> {
    let SetNamespaceRequest { prefix, set, place, mut unset } = request;
    let unsets_home = unset.contains(&PolicyField::Home);
    let home = match &place.home {
        Some(_) if unsets_home => return Err(both(PolicyField::Home)),
        Some(name) => Some(admin.deletion.region_named(name).await?),
        None => None,
    };
    unset.retain(|field| *field != PolicyField::Home);
    let copies = copies(admin, &place).await?;
    let replication = admin.deletion.placed_now(&prefix).await?.place.replication;
    let wish = Wish { place: &place, copies: &copies, replication: &replication, unset: &unset };
    let edit = |present: NamespaceRecord| placed(merged(present, set.clone(), &unset)?, &wish);
    let edited = edit(NamespaceRecord::default())?;
    edited.policy.check().map_err(|error| DeletionError::Invalid(error.to_string()))?;
    let moved = if home.is_some() || unsets_home { Some(admin.deletion.set_home(&prefix, home).await?) } else { None };
    match moved {
        // The rest is done by the repetition that ends the move.
        Some(HomeChange::Moving(progress)) => Ok(HomeChange::Moving(progress)),
        Some(applied) if edited == NamespaceRecord::default() && unset.is_empty() => Ok(applied),
        _ => admin.deletion.edit_namespace(&prefix, edit).await.map(HomeChange::Applied),
    }
}

/// Regions that are to have a copy.
async fn copies(admin: &Admin, place: &OwnPlace) -> Result<Vec<RegionId>, DeletionError> {
    let mut copies = Vec::new();
    if let Some(NamedResidency::Replicated(names)) = &place.residency {
        for name in names {
            copies.push(admin.deletion.region_named(name).await?);
        }
    }
    Ok(copies)
}

async fn remove(State(admin): State<Admin>, operator: Operator, Json(request): Json<NamespaceRequest>) -> Response {
    // What it says of where data rests is the operators' to take back.
    let says_where = |record: NamespaceRecord| own_place(&record, &BTreeMap::new()) != OwnPlace::default();
    let record = raft::directory::View::new(admin.directory.state()).namespace(&request.prefix);
    if record.map_or(true, |record| record.is_some_and(says_where))
        && let Err(denied) = operator.check(&[(Action::Operate, "")])
    {
        return denied.refused();
    }
    let removed = async {
        if !request.prefix.is_empty()
            && let HomeChange::Moving(progress) = admin.deletion.set_home(&request.prefix, None).await?
        {
            return Ok(HomeChange::Moving(progress));
        }
        admin.deletion.remove_namespace(&request.prefix).await.map(HomeChange::Applied)
    };
    let before = said(&admin, &request.prefix);
    let response = home_changed(removed.await, request.prefix.clone());
    audited_change(&admin, &request.prefix, before, response)
}

fn home_changed(outcome: Result<HomeChange, DeletionError>, prefix: String) -> Response {
    match outcome {
        Ok(HomeChange::Applied(applied)) => policy_changed(Ok(applied), prefix),
        Ok(HomeChange::Moving(progress)) => Json(PolicyChangedAnswer {
            version: VERSION,
            prefix,
            policy_version: 0,
            in_force: false,
            moving: Some(*progress),
        })
        .into_response(),
        Err(error) => refused(&error),
    }
}

/// The answer to a change that was made.
pub(super) fn policy_changed(outcome: Result<Applied, DeletionError>, prefix: String) -> Response {
    match outcome {
        Ok(Applied { version, in_force }) => {
            let moving = None;
            Json(PolicyChangedAnswer { version: VERSION, prefix, policy_version: version, in_force, moving })
                .into_response()
        }
        Err(error) => refused(&error),
    }
}

fn both(field: PolicyField) -> DeletionError {
    let name = field.name();
    DeletionError::Invalid(format!("{name} is to be set and unset at once: do one of the two"))
}

/// What was set, with some fields of the policy changed.
fn merged(
    present: NamespaceRecord,
    set: NamespacePolicy,
    unset: &[PolicyField],
) -> Result<NamespaceRecord, DeletionError> {
    let NamespaceRecord { mut policy, .. } = present;
    for field in unset {
        let twice = match field {
            PolicyField::Deletes => take(&mut policy.deletes, set.deletes.as_ref()),
            PolicyField::Untagged => take(&mut policy.untagged, set.untagged.as_ref()),
            PolicyField::Grace => take(&mut policy.grace_seconds, set.grace_seconds.as_ref()),
            PolicyField::Restore => take(&mut policy.restore_seconds, set.restore_seconds.as_ref()),
            PolicyField::Immutable => take(&mut policy.immutable, set.immutable.as_ref()),
            PolicyField::Retention => take(&mut policy.retention, set.retention.as_ref()),
            PolicyField::QuotaBytes => take(&mut policy.quota.bytes, set.quota.bytes.as_ref()),
            PolicyField::QuotaTags => take(&mut policy.quota.tags, set.quota.tags.as_ref()),
            PolicyField::QuotaRepositories => take(&mut policy.quota.repositories, set.quota.repositories.as_ref()),
            PolicyField::QuotaManifests => take(&mut policy.quota.manifests, set.quota.manifests.as_ref()),
            PolicyField::Home | PolicyField::Residency | PolicyField::Elsewhere | PolicyField::Replication => false,
        };
        if twice {
            return Err(both(*field));
        }
    }
    put(&mut policy.deletes, set.deletes);
    put(&mut policy.untagged, set.untagged);
    put(&mut policy.grace_seconds, set.grace_seconds);
    put(&mut policy.restore_seconds, set.restore_seconds);
    put(&mut policy.immutable, set.immutable);
    put(&mut policy.retention, set.retention);
    put(&mut policy.quota.bytes, set.quota.bytes);
    put(&mut policy.quota.tags, set.quota.tags);
    put(&mut policy.quota.repositories, set.quota.repositories);
    put(&mut policy.quota.manifests, set.quota.manifests);
    Ok(NamespaceRecord { policy, ..present })
}

/// Empties a field. Whether it is to be set at once.
fn take<T>(field: &mut Option<T>, set: Option<&T>) -> bool {
    *field = None;
    set.is_some()
}

fn put<T>(field: &mut Option<T>, set: Option<T>) {
    if set.is_some() {
        *field = set;
    }
}

async fn show(State(admin): State<Admin>, Json(request): Json<NamespaceRequest>) -> Response {
    let status = match admin.deletion.namespace(&request.prefix).await {
        Ok(status) => status,
        Err(error) => return refused(&error),
    };
    let mut answer = shown(status);
    // What it holds, only its home knows; all else is said without.
    if let Some(there) = elsewhere::<NamespaceAnswer>(&admin, &request.prefix, "/namespace/show", &request).await {
        (answer.usage, answer.bounds) = match there {
            Elsewhere::Answered(there) => {
                answer.in_force &= there.in_force;
                (there.usage, there.bounds)
            }
            Elsewhere::Refused(_) => (None, Vec::new()),
        };
    }
    Json(answer).into_response()
}

async fn show_here(State(admin): State<Admin>, Json(request): Json<NamespaceRequest>) -> Response {
    match admin.deletion.namespace(&request.prefix).await {
        Ok(status) => Json(shown(status)).into_response(),
        Err(error) => refused(&error),
    }
}

fn shown(status: NamespaceStatus) -> NamespaceAnswer {
    NamespaceAnswer {
        version: VERSION,
        prefix: status.prefix,
        own: status.own,
        own_place: own_place(&status.placed.own, &status.placed.names),
        place: place_answer(&status.placed),
        effective: effective(&status.policy),
        sources: sources(status.sources),
        bounds: status.bounds,
        usage: Some(status.usage),
        policy_version: status.version,
        in_force: status.in_force,
        confirmed: status.reading.confirmed,
        as_of_milliseconds: status.reading.as_of_milliseconds,
    }
}

async fn explain(State(admin): State<Admin>, Json(request): Json<ExplainRequest>) -> Response {
    let subject = request.repository.as_str();
    match elsewhere::<ExplainAnswer>(&admin, subject, "/namespace/explain", &request).await {
        None => explain_here(State(admin), Json(request)).await,
        Some(Elsewhere::Refused(response)) => response,
        Some(Elsewhere::Answered(there)) => match admin.deletion.placed_now(subject).await {
            // Of what is said there, only what this region is for it is another thing here.
            Ok(placed) => Json(ExplainAnswer { place: place_answer(&placed), ..there }).into_response(),
            Err(error) => refused(&error),
        },
    }
}

async fn explain_here(State(admin): State<Admin>, Json(request): Json<ExplainRequest>) -> Response {
    match admin.deletion.explain(&request.repository, request.tag.as_ref()).await {
        Ok(found) => Json(explanation(found)).into_response(),
        Err(error) => refused(&error),
    }
}

fn explanation(found: Explanation) -> ExplainAnswer {
    ExplainAnswer {
        version: VERSION,
        repository: found.repository,
        place: place_answer(&found.placed),
        effective: effective(&found.policy),
        tag: found.tag.map(|tag| explained(tag, &found.policy)),
        sources: sources(found.sources),
        bounds: found.bounds,
        policy_version: found.version,
        in_force: found.in_force,
        confirmed: found.reading.confirmed,
        as_of_milliseconds: found.reading.as_of_milliseconds,
    }
}

async fn held(State(admin): State<Admin>, Json(request): Json<HeldRequest>) -> Response {
    match admin.deletion.held(&request.prefix, &request.except, request.policy_version).await {
        Ok(held) => Json(HeldAnswer::from(held)).into_response(),
        Err(error) => refused(&error),
    }
}

fn explained(found: TagExplanation, policy: &Policy) -> ExplainedTag {
    let TagExplanation { tag, digest, immutable, retention } = found;
    ExplainedTag {
        movable: digest.is_none() || immutable.is_none(),
        deletable: digest.is_some() && immutable.is_none() && policy.deletes,
        tag,
        digest: digest.map(|digest| digest.to_string()),
        immutable,
        retention,
    }
}

/// What holds, in the form in which it is set.
fn effective(policy: &Policy) -> NamespacePolicy {
    NamespacePolicy {
        deletes: Some(policy.deletes),
        untagged: Some(policy.untagged),
        grace_seconds: Some(policy.grace_seconds),
        restore_seconds: Some(policy.restore_seconds),
        immutable: Some(policy.immutable.clone()),
        retention: policy.retention.clone(),
        ..NamespacePolicy::default()
    }
}

fn sources(sources: Sources) -> BTreeMap<String, Option<String>> {
    let Sources { deletes, untagged, grace_seconds, restore_seconds, immutable, retention } = sources;
    let named = [
        ("deletes", deletes),
        ("untagged", untagged),
        ("grace_seconds", grace_seconds),
        ("restore_seconds", restore_seconds),
        ("immutable", immutable),
        ("retention", retention),
    ];
    named.into_iter().map(|(field, namespace)| (field.to_owned(), namespace)).collect()
}

#[cfg(test)]
mod tests {
    use raft::directory::{Replication, Residency};
    use raft::policy::{Quota, Untagged};

    use super::*;
    use crate::cluster::Reading;

    fn quota(bytes: Option<u64>, tags: Option<u64>) -> Quota {
        Quota { bytes, tags, ..Quota::default() }
    }

    #[test]
    fn fields_that_are_not_named_stay() {
        let own = NamespacePolicy {
            deletes: Some(false),
            grace_seconds: Some(5),
            quota: quota(Some(10), Some(20)),
            ..NamespacePolicy::default()
        };
        let set = NamespacePolicy {
            untagged: Some(Untagged::Keep),
            grace_seconds: Some(7),
            quota: quota(Some(11), None),
            ..NamespacePolicy::default()
        };
        let record =
            |policy: &NamespacePolicy| NamespaceRecord { policy: policy.clone(), ..NamespaceRecord::default() };
        let unset = [PolicyField::Deletes, PolicyField::QuotaTags];
        let policy = merged(record(&own), set.clone(), &unset).unwrap().policy;
        let expected = NamespacePolicy {
            untagged: Some(Untagged::Keep),
            grace_seconds: Some(7),
            quota: quota(Some(11), None),
            ..NamespacePolicy::default()
        };
        assert_eq!(policy, expected);
        assert_eq!(merged(record(&own), NamespacePolicy::default(), &[]).unwrap().policy, own);
        let error = merged(record(&own), set, &[PolicyField::QuotaBytes]).unwrap_err().to_string();
        assert!(error.contains("quota-bytes"), "{error}");
    }

    #[test]
    fn every_field_can_be_unset() {
        let full = NamespacePolicy {
            quota: Quota { bytes: Some(1), tags: Some(1), repositories: Some(1), manifests: Some(1) },
            ..effective(&Policy::default())
        };
        let all = PolicyField::ALL.map(|(field, _)| field);
        let place = OwnPlace::default();
        let full = NamespaceRecord {
            residency: Some(Residency::Pinned),
            elsewhere: Some(raft::directory::Elsewhere::Refuse),
            replication: Some(Replication::default()),
            policy: full,
            ..NamespaceRecord::default()
        };
        let rest = merged(full, NamespacePolicy::default(), &all).unwrap();
        let wish = Wish { place: &place, copies: &[], replication: &Replication::default(), unset: &all };
        assert_eq!(placed(rest, &wish).unwrap(), NamespaceRecord::default());
    }

    #[test]
    fn a_long_list_has_pages() {
        let namespaces = (0..=PAGE).map(|number| (format!("n{number:05}"), NamespaceRecord::default())).collect();
        let reading = Reading { confirmed: true, as_of_milliseconds: 1 };
        let all = Listing { namespaces, names: BTreeMap::new(), reading };
        let first = page(all.clone(), None);
        assert_eq!((first.namespaces.len(), first.next.as_deref()), (PAGE, Some("n00199")));
        let second = page(all, first.next.as_deref());
        assert_eq!((second.namespaces.len(), second.next), (1, None));
    }

    #[test]
    fn an_immutable_tag_can_be_set_once() {
        let tag = |digest: Option<&str>, immutable: Option<&str>| TagExplanation {
            tag: "v1".parse().unwrap(),
            digest: digest.map(|digest| digest.parse().unwrap()),
            immutable: immutable.map(ToOwned::to_owned),
            retention: None,
        };
        let digest = format!("sha256:{}", "0".repeat(64));
        let allowed = |tag, policy: &Policy| {
            let explained = explained(tag, policy);
            (explained.movable, explained.deletable)
        };
        let (on, off) = (Policy::default(), Policy { deletes: false, ..Policy::default() });
        assert_eq!(allowed(tag(None, Some("v*")), &on), (true, false));
        assert_eq!(allowed(tag(Some(&digest), Some("v*")), &on), (false, false));
        assert_eq!(allowed(tag(Some(&digest), None), &on), (true, true));
        assert_eq!(allowed(tag(Some(&digest), None), &off), (true, false));
    }
}
