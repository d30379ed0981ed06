//! `GET /v2/_catalog`: the repositories with content. Not in the specification, but every client that searches asks.
//!
//! It is of all regions: each one is asked for its page, and the pages are merged in order. A region that does not answer
//! is left out, and a `Warning` says so.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use futures_util::future::join_all;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LINK, WARNING};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use raft::catalog::RepositoryName;
use raft::directory::Elsewhere;
use serde::Deserialize;
use tokio::time::timeout;

use super::paging::{append_names, invalid, next, size};
use super::visitor::Visitor;
use super::{Answer, Api, Head, headers};
use crate::access::Listing;
use crate::regions::{Region, Standing};
use crate::registry::Page;
use crate::serve::Client;
use crate::tenant::Tenant;

/// Size of a page when none is asked for.
const PAGE_DEFAULT: usize = 100;

/// Largest page; distribution refuses more too.
const PAGE_MAX: usize = 1000;

/// Most bytes of another region's page: as many names as a page has, of the greatest length.
const PAGE_BYTES: usize = 512 << 10;

/// Longest time for another region's page.
const REGION_DEADLINE: Duration = Duration::from_secs(5);

/// A page as another region sends it.
#[derive(Deserialize)]
struct Told {
    repositories: Vec<RepositoryName>,
}

impl Api {
    /// The repositories of all regions; of the own one alone for another region that asks for its part.
    pub(super) async fn list_repositories(&self, head: &Head, own_alone: bool) -> Answer {
        let query = head.query();
        let n = size(&query)?.unwrap_or(PAGE_DEFAULT);
        if n > PAGE_MAX {
            return Err(invalid(&n.to_string()));
        }
        let tenant = head.tenant.as_ref();
        let last = query.get("last").map(Cow::into_owned);
        // Below a tenant's namespace, behind a text that is no name itself.
        let last = tenant.map(|tenant| format!("{}/{}", tenant.namespace(), last.as_deref().unwrap_or(""))).or(last);
        let mut listed = Listed::default();
        let mut silent = Vec::new();
        let others = if own_alone { Vec::new() } else { self.regions.others() };
        if n > 0 {
            let theirs = others.iter().map(|region| self.part_of(region, head, last.as_deref(), n));
            let own = self.registry.repositories(last.clone(), n, shown(head));
            let (own, theirs) = tokio::join!(own, join_all(theirs));
            let mut parts = vec![Part::from(own?)];
            for (region, part) in others.iter().zip(theirs) {
                match part {
                    Some(part) => parts.push(part),
                    None => silent.push(region.name.as_str()),
                }
            }
            listed = merged(parts, n);
        }
        let mut json = String::from(r#"{"repositories":["#);
        append_names(&mut json, listed.names.iter().map(|name| head.shown(name.as_str())), true);
        json.push_str("]}\n");
        let mut response = Response::new(Body::from(json));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(last) = listed.next {
            headers::set_next(response.headers_mut(), &next("/v2/_catalog", head.shown(last.as_str()), Some(n)));
        }
        for region in silent {
            let text = format!("199 regnode \"region {region} does not answer: its repositories are left out\"");
            response.headers_mut().append(WARNING, headers::value(text));
        }
        Ok(response)
    }

    /// The page of another region, as that shows it to who asks here; `None` if it does not answer.
    async fn part_of(&self, region: &Region, head: &Head, last: Option<&str>, n: usize) -> Option<Part> {
        let path = next("/v2/_catalog", last.unwrap_or_default(), Some(n));
        let (mut parts, ()) = Request::builder().method(Method::GET).uri(path).body(()).ok()?.into_parts();
        if let Some(credentials) = head.parts.headers.get(AUTHORIZATION) {
            parts.headers.insert(AUTHORIZATION, credentials.clone());
        }
        if let Some(client) = head.parts.extensions.get::<Client>() {
            // Its part comes in full names.
            parts.extensions.insert(Client { tenant: None, ..client.clone() });
        }
        let asked = async {
            let answer =
                self.regions.forward(region, &parts, Body::empty()).await.map_err(|error| error.to_string())?;
            if answer.status() != StatusCode::OK {
                return Err(format!("it answers {}", answer.status()));
            }
            let more = answer.headers().contains_key(LINK);
            let body =
                Limited::new(answer.into_body(), PAGE_BYTES).collect().await.map_err(|error| error.to_string())?;
            let listing = serde_json::from_slice::<Told>(&body.to_bytes()).map_err(|error| error.to_string())?;
            Ok(Part::from(Page { items: listing.repositories, more }))
        };
        match timeout(REGION_DEADLINE, asked).await.unwrap_or_else(|_| Err("it takes too long".to_owned())) {
            Ok(part) => {
                let mut part = part.bounded(head.tenant.as_ref());
                part.names.retain(|name| self.is_listed(name));
                Some(part)
            }
            Err(error) => {
                tracing::debug!(region = region.name, error, "a region gives no list of its repositories");
                None
            }
        }
    }

    /// What this region refuses it does not name either.
    fn is_listed(&self, name: &RepositoryName) -> bool {
        match self.regions.standing(name.as_str()) {
            Standing::Foreign(_, place) => place.elsewhere != Elsewhere::Refuse,
            _ => true,
        }
    }
}

/// Where the names go on that who asks is shown.
fn shown(head: &Head) -> impl Fn(&str) -> Option<String> + Send + use<> {
    let (visitor, tenant) = (head.visitor.clone(), head.tenant.clone());
    // Worked out where the names are read: of many rules that takes a while.
    let listing = OnceCell::new();
    move |text| {
        let listing: &Option<Listing> = listing.get_or_init(|| visitor.as_ref().map(Visitor::listing));
        let next = listing.as_ref()?.next(text)?;
        // The list begins below the namespace of a tenant: what is not there is behind it.
        tenant.as_ref().is_none_or(|tenant| tenant.has(text)).then(|| next.into_owned())
    }
}

/// What a region says.
struct Part {
    names: Vec<RepositoryName>,
    /// Where it goes on: behind this name it may have others.
    end: Option<RepositoryName>,
}

impl From<Page<RepositoryName>> for Part {
    fn from(page: Page<RepositoryName>) -> Self {
        Self { end: page.items.last().filter(|_| page.more).cloned(), names: page.items }
    }
}

impl Part {
    /// As much of it as is below a tenant's namespace: the list begins there, and ends with the first name that is not.
    fn bounded(mut self, tenant: Option<&Tenant>) -> Self {
        if let Some(tenant) = tenant
            && let Some(end) = self.names.iter().position(|name| !tenant.has(name.as_str()))
        {
            self.names.truncate(end);
            self.end = None;
        }
        self
    }
}

/// A page of all regions.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    names: Vec<RepositoryName>,
    /// The name behind which the next page begins.
    next: Option<RepositoryName>,
}

/// The first names of all parts, each name once, as far as every part tells.
fn merged(parts: Vec<Part>, limit: usize) -> Listed {
    let end = parts.iter().filter_map(|part| part.end.clone()).min();
    let all: BTreeSet<RepositoryName> = parts.into_iter().flat_map(|part| part.names).collect();
    let mut told = all.into_iter().filter(|name| end.as_ref().is_none_or(|end| name <= end));
    let names: Vec<RepositoryName> = told.by_ref().take(limit).collect();
    let next = if told.next().is_some() { names.last().cloned() } else { end };
    Listed { names, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(names: &[&str], more: bool) -> Part {
        Part::from(Page { items: names.iter().map(|name| name.parse().unwrap()).collect(), more })
    }

    fn listed(parts: Vec<Part>, limit: usize) -> (Vec<String>, Option<String>) {
        let Listed { names, next } = merged(parts, limit);
        (names.iter().map(ToString::to_string).collect(), next.map(|name| name.to_string()))
    }

    fn expected(names: &[&str], next: Option<&str>) -> (Vec<String>, Option<String>) {
        (names.iter().map(ToString::to_string).collect(), next.map(ToOwned::to_owned))
    }

    #[test]
    fn pages_are_merged_in_order() {
        let both = |one: Part, two: Part, limit| listed(vec![one, two], limit);
        assert_eq!(both(part(&["a", "c"], false), part(&["b", "c"], false), 9), expected(&["a", "b", "c"], None));
        assert_eq!(both(part(&["a", "c"], false), part(&["b"], false), 2), expected(&["a", "b"], Some("b")));
        assert_eq!(both(part(&["a", "b"], false), part(&[], false), 2), expected(&["a", "b"], None));
        assert_eq!(listed(vec![part(&["a", "b"], true)], 2), expected(&["a", "b"], Some("b")));
    }

    #[test]
    fn nothing_is_passed_over_behind_the_end_of_a_part() {
        let parts = vec![part(&["a", "d"], true), part(&["b", "x", "z"], true)];
        assert_eq!(listed(parts, 3), expected(&["a", "b", "d"], Some("d")));
        // All names of a part may be hidden here: the list goes on behind them.
        let mut hidden = part(&["b", "c"], true);
        hidden.names.clear();
        assert_eq!(listed(vec![part(&["a", "x"], false), hidden], 2), expected(&["a"], Some("c")));
    }
}
