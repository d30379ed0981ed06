//! `GET /v2/_catalog`: the repositories with content. Not in the specification, but every client that searches asks.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

use super::paging::{append_names, invalid, next, size};
use super::{Answer, Api, Head, headers};

/// Size of a page when none is asked for.
const PAGE_DEFAULT: usize = 100;

/// Largest page; distribution refuses more too.
const PAGE_MAX: usize = 1000;

impl Api {
    pub(super) async fn list_repositories(&self, head: &Head) -> Answer {
        let query = head.query();
        let n = size(&query)?.unwrap_or(PAGE_DEFAULT);
        if n > PAGE_MAX {
            return Err(invalid(&n.to_string()));
        }
        let last = query.get("last").map(std::borrow::Cow::into_owned);
        let mut json = String::from(r#"{"repositories":["#);
        let mut link = None;
        if n > 0 {
            let page = self.registry.repositories(last, n).await?;
            append_names(&mut json, page.items.iter().map(raft::catalog::RepositoryName::as_str), true);
            link = page.items.last().filter(|_| page.more).map(|last| next("/v2/_catalog", last.as_str(), Some(n)));
        }
        json.push_str("]}\n");
        let mut response = Response::new(Body::from(json));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(link) = link {
            headers::set_next(response.headers_mut(), &link);
        }
        Ok(response)
    }
}
