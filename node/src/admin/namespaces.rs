//! The paths of the local socket for namespaces: `POST /namespaces`, `/namespace/set`, `/namespace/remove`,
//! `/namespace/show`, `/namespace/explain`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use raft::policy::{NamespacePolicy, Policy, Sources};

use super::namespace_types::{
    ExplainAnswer, ExplainRequest, ExplainedTag, NamespaceAnswer, NamespaceEntry, NamespaceRequest, NamespacesAnswer,
    PageRequest, PolicyChangedAnswer, PolicyField, SetNamespaceRequest,
};
use super::refusal::refused;
use super::router::Admin;
use super::types::VERSION;
use crate::deletion::{Applied, DeletionError, TagExplanation};

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

async fn list(State(admin): State<Admin>, Json(request): Json<PageRequest>) -> Response {
    match admin.deletion.namespaces().await {
        Ok(all) => Json(page(all, request.after.as_deref())).into_response(),
        Err(error) => refused(&error),
    }
}

/// The page behind `after`.
fn page(all: Vec<(String, NamespacePolicy)>, after: Option<&str>) -> NamespacesAnswer {
    let mut rest = all.into_iter().filter(|(prefix, _)| after.is_none_or(|after| prefix.as_str() > after));
    let entry = |(prefix, policy)| NamespaceEntry { prefix, policy };
    let namespaces: Vec<NamespaceEntry> = rest.by_ref().take(PAGE).map(entry).collect();
    let more = rest.next().is_some();
    let next = namespaces.last().filter(|_| more).map(|last| last.prefix.clone());
    NamespacesAnswer { version: VERSION, namespaces, next }
}

async fn set(State(admin): State<Admin>, Json(request): Json<SetNamespaceRequest>) -> Response {
    let SetNamespaceRequest { prefix, set, unset } = request;
    let changed = admin.deletion.edit_namespace(&prefix, |own| merged(own, set.clone(), &unset)).await;
    policy_changed(changed, prefix)
}

async fn remove(State(admin): State<Admin>, Json(request): Json<NamespaceRequest>) -> Response {
    policy_changed(admin.deletion.remove_namespace(&request.prefix).await, request.prefix)
}

fn policy_changed(outcome: Result<Applied, DeletionError>, prefix: String) -> Response {
    match outcome {
        Ok(Applied { version, in_force }) => {
            Json(PolicyChangedAnswer { version: VERSION, prefix, policy_version: version, in_force }).into_response()
        }
        Err(error) => refused(&error),
    }
}

/// A policy with some fields changed.
fn merged(own: NamespacePolicy, set: NamespacePolicy, unset: &[PolicyField]) -> Result<NamespacePolicy, DeletionError> {
    let mut policy = own;
    for field in unset {
        let both = match field {
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
        };
        if both {
            let name = field.name();
            return Err(DeletionError::Invalid(format!("{name} is to be set and unset at once: do one of the two")));
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
    Ok(policy)
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
    match admin.deletion.namespace(&request.prefix).await {
        Ok(status) => Json(NamespaceAnswer {
            version: VERSION,
            prefix: status.prefix,
            own: status.own,
            effective: effective(&status.policy),
            sources: sources(status.sources),
            bounds: status.bounds,
            usage: status.usage,
            policy_version: status.version,
            in_force: status.in_force,
        })
        .into_response(),
        Err(error) => refused(&error),
    }
}

async fn explain(State(admin): State<Admin>, Json(request): Json<ExplainRequest>) -> Response {
    match admin.deletion.explain(&request.repository, request.tag.as_ref()).await {
        Ok(found) => Json(ExplainAnswer {
            version: VERSION,
            repository: found.repository,
            effective: effective(&found.policy),
            tag: found.tag.map(|tag| explained(tag, &found.policy)),
            sources: sources(found.sources),
            bounds: found.bounds,
            policy_version: found.version,
            in_force: found.in_force,
        })
        .into_response(),
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
    use raft::policy::{Quota, Untagged};

    use super::*;

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
        let policy = merged(own.clone(), set.clone(), &[PolicyField::Deletes, PolicyField::QuotaTags]).unwrap();
        let expected = NamespacePolicy {
            untagged: Some(Untagged::Keep),
            grace_seconds: Some(7),
            quota: quota(Some(11), None),
            ..NamespacePolicy::default()
        };
        assert_eq!(policy, expected);
        assert_eq!(merged(own.clone(), NamespacePolicy::default(), &[]).unwrap(), own);
        let error = merged(own, set, &[PolicyField::QuotaBytes]).unwrap_err().to_string();
        assert!(error.contains("quota-bytes"), "{error}");
    }

    #[test]
    fn every_field_can_be_unset() {
        let full = NamespacePolicy {
            quota: Quota { bytes: Some(1), tags: Some(1), repositories: Some(1), manifests: Some(1) },
            ..effective(&Policy::default())
        };
        let all = PolicyField::ALL.map(|(field, _)| field);
        assert_eq!(merged(full, NamespacePolicy::default(), &all).unwrap(), NamespacePolicy::default());
    }

    #[test]
    fn a_long_list_has_pages() {
        let all: Vec<_> = (0..=PAGE).map(|number| (format!("n{number:05}"), NamespacePolicy::default())).collect();
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
