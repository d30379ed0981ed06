//! `GET /v2/_regnode/history/<name>/<tag>` and `GET /v2/_regnode/usage/<prefix>`: what the local socket says of tags and
//! namespaces, for those who have no shell on a node. Not in the specification; no repository's name begins with `_`.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use raft::catalog::{RepositoryName, Tag};
use raft::directory::Action;
use serde::Serialize;

use super::error::ApiError;
use super::paging::size;
use super::{Answer, Api, Head};
use crate::admin::{self, HistoryAnswer, NamespaceUsageAnswer};

/// Changes in one answer: more of a tag are not kept.
const CHANGES_MAX: usize = 100;

impl Api {
    /// The last changes of a tag, the newest first; `n` says how many.
    pub(super) async fn tag_history(&self, repository: &RepositoryName, tag: &Tag, head: &Head) -> Answer {
        let limit = size(&head.query())?.unwrap_or(CHANGES_MAX).min(CHANGES_MAX);
        let changes = self.registry.tag_history(repository, tag, limit).await?;
        let shown = head.shown(repository.as_str()).parse();
        json(&HistoryAnswer {
            version: admin::VERSION,
            repository: shown.unwrap_or_else(|_| repository.clone()),
            tag: tag.clone(),
            changes: changes.into_iter().map(admin::change).collect(),
        })
    }

    /// What is in use below a prefix, and what is allowed there. Of the namespaces above it that bound it, those that he who
    /// asks may look into.
    pub(super) async fn usage(&self, prefix: &str, head: &Head) -> Answer {
        let (usage, mut bounds) = self.registry.usage(prefix).await?;
        if let Some(visitor) = &head.visitor {
            let may = |action, namespace: &str| visitor.decide(action, namespace).allowed;
            bounds.retain(|bound| {
                bound.namespace == prefix || may(Action::Pull, &bound.namespace) || may(Action::Audit, &bound.namespace)
            });
        }
        if let Some(tenant) = &head.tenant {
            // What is above a tenant's namespace has no name at its domain.
            bounds.retain(|bound| bound.namespace == tenant.namespace() || tenant.has(&bound.namespace));
            for bound in &mut bounds {
                bound.namespace = head.shown(&bound.namespace).to_owned();
            }
        }
        let namespace = head.shown(prefix).to_owned();
        json(&NamespaceUsageAnswer { version: admin::VERSION, namespace, usage, bounds })
    }
}

fn json(answer: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(answer).map_err(|error| ApiError::internal(error.to_string()))?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
