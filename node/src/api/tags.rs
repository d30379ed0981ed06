//! `GET /v2/<name>/tags/list`: the tags of a repository in byte order (distribution-spec 1.1, "Listing Tags").
//!
//! Without `n` the list is whole, however long; a long one is read and sent page by page, never gathered.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use raft::catalog::{RepositoryName, Tag};

use super::paging::{PAGE_MAX, append_names, next, size};
use super::{Answer, Api, Head, headers};
use crate::registry::{Page, Registry, RegistryError};

impl Api {
    pub(super) async fn list_tags(&self, repository: &RepositoryName, head: &Head) -> Answer {
        let query = head.query();
        let n = size(&query)?;
        let last = query.get("last").map(std::borrow::Cow::into_owned);
        let limit = n.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let mut page = self.registry.tags(repository, last, limit).await?;
        if n == Some(0) {
            page.more = false;
        }
        let mut json = format!(r#"{{"name":"{}","tags":["#, head.shown(repository.as_str()));
        append_names(&mut json, page.items.iter().map(Tag::as_str), true);

        let mut link = None;
        let body = match (page.items.last(), page.more) {
            (Some(last), true) if n.is_none() => {
                Body::from_stream(rest(self.registry.clone(), repository.clone(), json, last.as_str().to_owned()))
            }
            (last, more) => {
                let path = format!("/v2/{repository}/tags/list");
                link = last.filter(|_| more).map(|last| next(&path, last.as_str(), Some(limit)));
                json.push_str("]}\n");
                Body::from(json)
            }
        };
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(link) = link {
            headers::set_next(response.headers_mut(), &link);
        }
        Ok(response)
    }
}

/// The list from its beginning, which was read already, to its end.
fn rest(
    registry: Registry,
    repository: RepositoryName,
    beginning: String,
    last: String,
) -> impl futures_util::Stream<Item = Result<Bytes, RegistryError>> {
    let beginning = stream::once(std::future::ready(Ok::<_, Infallible>(Bytes::from(beginning))));
    let pages = stream::try_unfold(Some(last), move |last| {
        let (registry, repository) = (registry.clone(), repository.clone());
        async move {
            let Some(last) = last else { return Ok(None) };
            let page = match registry.tags(&repository, Some(last), PAGE_MAX).await {
                // All of it was deleted meanwhile.
                Err(RegistryError::RepositoryUnknown(_)) => Page { items: Vec::new(), more: false },
                page => page?,
            };
            let mut json = String::new();
            append_names(&mut json, page.items.iter().map(Tag::as_str), false);
            let last = page.items.last().filter(|_| page.more).map(|last| last.as_str().to_owned());
            if last.is_none() {
                json.push_str("]}\n");
            }
            Ok(Some((Bytes::from(json), last)))
        }
    });
    beginning.map(|bytes| bytes.map_err(|never| match never {})).chain(pages)
}
