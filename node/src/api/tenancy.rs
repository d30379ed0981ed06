//! Requests at the domain of a tenant: turned into full names where they enter, so that all the rest knows no other, and the
//! answers turned back where they leave.
//!
//! A request is turned once, by the node that its client has reached: what that passes on to another region is in full names,
//! and says whose names the answer is to have (`regions/client.rs`). An answer is turned once as well, where it is made: what
//! comes back from another region is as its client is to see it.

use axum::body::Body;
use http::header::{LINK, LOCATION, RETRY_AFTER};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri};

use super::error::{ApiError, Code};
use super::headers::value;
use super::route::Route;
use super::{Api, query, refuse};
use crate::peer::Forwarded;
use crate::regions::told;
use crate::serve::Client;
use crate::tenant::{Strayed, Tenant};

/// Seconds after which a client may try again when this node does not know yet whose domain it asks for.
const UNKNOWN_RETRY_SECONDS: u64 = 1;

/// What a request asks for, in full names.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) route: Route,
    /// Query that a client appended to the path.
    pub(super) more_query: Option<String>,
    /// Whose names the answer has; `None` for full ones.
    pub(super) tenant: Option<Tenant>,
}

impl Asked {
    /// What it is about, as a name: a repository or a namespace.
    pub(super) fn name(&self) -> &str {
        match &self.route {
            Route::Usage(prefix) => prefix,
            route => route.repository().map_or("", |name| name.as_str()),
        }
    }
}

impl Api {
    /// What a request asks for. One at the domain of a tenant is rewritten to full names.
    pub(super) fn asked(&self, parts: &mut Parts) -> Result<Asked, ApiError> {
        let parse = |parts: &Parts| Route::parse(parts.uri.path()).map_err(|error| refuse(error, &parts.method));
        if parts.extensions.get::<Forwarded>().is_some() {
            let tenant = told(&parts.headers).and_then(|client| client.tenant);
            let (route, more_query) = parse(parts)?;
            return Ok(Asked { route, more_query, tenant });
        }
        self.tenants.enter(parts)?;
        let (route, more_query) = parse(parts)?;
        let Some(tenant) = parts.extensions.get::<Client>().and_then(|client| client.tenant.clone()) else {
            return Ok(Asked { route, more_query, tenant: None });
        };
        let route = route.within(&tenant).map_err(|error| refuse(error, &parts.method))?;
        let uri = rewritten(&parts.uri, &route, more_query.as_deref(), &tenant).ok_or_else(|| {
            let message = "the URL is too long with the namespace of this domain in front of its names";
            ApiError::new(Code::NameInvalid, message).with_status(StatusCode::URI_TOO_LONG)
        })?;
        parts.uri = uri;
        Ok(Asked { route, more_query, tenant: Some(tenant) })
    }
}

impl From<Strayed> for ApiError {
    fn from(strayed: Strayed) -> Self {
        let message = strayed.to_string();
        match strayed {
            Strayed::Misdirected { .. } => {
                Self::new(Code::Unsupported, message).with_status(StatusCode::MISDIRECTED_REQUEST)
            }
            Strayed::Unknown | Strayed::Unconfirmed(_) => {
                Self::new(Code::Unavailable, message).with_header(RETRY_AFTER, UNKNOWN_RETRY_SECONDS.into())
            }
        }
    }
}

/// The URL of a request in full names. `None` if it is too long.
fn rewritten(uri: &Uri, route: &Route, more: Option<&str>, tenant: &Tenant) -> Option<Uri> {
    let mut text = route.path();
    if let Some(more) = more {
        let pairs = more.split('&').map(|pair| match pair.split_once('=') {
            Some((key, value)) => format!("&{}={}", query::encode_value(key), query::encode_value(value)),
            None => format!("&{}", query::encode_value(pair)),
        });
        text.extend(pairs);
    }
    if let Some(query) = uri.query() {
        text.push('?');
        match route {
            // The repository that a blob is mounted from.
            Route::Uploads(_) => text.push_str(&query::mapped(query, "from", |from| tenant.full(from))),
            _ => text.push_str(query),
        }
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// Marks an answer whose names are as the client is to see them: another region has made it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turned;

/// An answer in the tenant's names, as far as its headers have any: where something is, and where a list goes on.
pub(super) fn turned(mut response: Response<Body>, tenant: &Tenant) -> Response<Body> {
    if response.extensions_mut().remove::<Turned>().is_none() {
        shorten(response.headers_mut(), LOCATION, "/v2/", tenant);
        shorten(response.headers_mut(), LINK, "</v2/", tenant);
    }
    response
}

/// Takes the namespace out of a header behind what it begins with. Of what begins otherwise, a URL of another region or the
/// list of repositories, nothing is taken.
fn shorten(headers: &mut HeaderMap, name: HeaderName, lead: &str, tenant: &Tenant) {
    let Some(text) = headers.get(&name).and_then(|value| value.to_str().ok()) else { return };
    let Some(own) = text.strip_prefix(lead).and_then(|full| tenant.own(full)) else { return };
    let short: HeaderValue = value(format!("{lead}{own}"));
    headers.insert(name, short);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::route::RouteError;
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn acme() -> Tenant {
        Tenant::new("registry.acme.example", "acme").unwrap()
    }

    /// The path and the query of a request at the domain, in full names.
    fn full(uri: &str) -> String {
        let uri: Uri = uri.parse().unwrap();
        let (route, more) = Route::parse(uri.path()).unwrap();
        let route = route.within(&acme()).unwrap();
        let full = rewritten(&uri, &route, more.as_deref(), &acme()).unwrap();
        let again = Route::parse(full.path()).unwrap();
        assert_eq!(again, (route, more), "{full}: whoever gets it reads the same");
        full.path_and_query().unwrap().to_string()
    }

    #[test]
    fn every_endpoint_is_rewritten() {
        let session = "07070707-0707-0707-0707-070707070707";
        for (own, expected) in [
            ("/v2/".to_owned(), "/v2/".to_owned()),
            ("/v2/_catalog?n=2&last=a".to_owned(), "/v2/_catalog?n=2&last=a".to_owned()),
            ("/v2/app/tags/list?n=1&last=v1".to_owned(), "/v2/acme/app/tags/list?n=1&last=v1".to_owned()),
            ("/v2/acme/app/manifests/v1".to_owned(), "/v2/acme/acme/app/manifests/v1".to_owned()),
            ("/v2/a%2Fb/manifests/v1?tag=x".to_owned(), "/v2/acme/a/b/manifests/v1?tag=x".to_owned()),
            ("/v2%2Fapp/tags/list".to_owned(), "/v2/acme/app/tags/list".to_owned()),
            (format!("/v2/app/blobs/sha256:{HEX}"), format!("/v2/acme/app/blobs/sha256:{HEX}")),
            (format!("/v2/app/referrers/sha256%3A{HEX}"), format!("/v2/acme/app/referrers/sha256:{HEX}")),
            ("/v2/app/blobs/uploads".to_owned(), "/v2/acme/app/blobs/uploads/".to_owned()),
            (
                format!("/v2/app/blobs/uploads/{session}?from=x&digest=d"),
                format!("/v2/acme/app/blobs/uploads/{session}?from=x&digest=d"),
            ),
            (
                format!("/v2/app/blobs/uploads/{session}&digest=sha256:{HEX}"),
                format!("/v2/acme/app/blobs/uploads/{session}&digest=sha256%3A{HEX}"),
            ),
            ("/v2/_regnode/usage".to_owned(), "/v2/_regnode/usage/acme".to_owned()),
            ("/v2/_regnode/usage/team".to_owned(), "/v2/_regnode/usage/acme/team".to_owned()),
            ("/v2/_regnode/history/app/v1?n=3".to_owned(), "/v2/_regnode/history/acme/app/v1?n=3".to_owned()),
            ("https://registry.acme.example/v2/app/tags/list".to_owned(), "/v2/acme/app/tags/list".to_owned()),
        ] {
            assert_eq!(full(&own), expected, "{own}");
        }
    }

    #[test]
    fn a_blob_is_mounted_from_below_the_namespace_or_from_nowhere() {
        for (query, expected) in [
            ("mount=d&from=base", "mount=d&from=acme%2Fbase"),
            ("from=other%2Fapp&mount=d", "from=acme%2Fother%2Fapp&mount=d"),
            ("from=..%2Fother&mount=d", "from=acme%2F..%2Fother&mount=d"),
            ("fr%6fm=a&from=b?from=c", "fr%6fm=acme%2Fa&from=acme%2Fb?from=acme%2Fc"),
            ("from=&mount=d", "from=&mount=d"),
            ("mount=d&from", "mount=d&from"),
            ("from=a+b", "from=acme%2Fa%20b"),
            ("xfrom=a", "xfrom=a"),
        ] {
            assert_eq!(
                full(&format!("/v2/app/blobs/uploads/?{query}")),
                format!("/v2/acme/app/blobs/uploads/?{expected}")
            );
        }
    }

    #[test]
    fn a_name_is_as_long_as_it_is_with_the_namespace() {
        let named = |letters: usize| Route::parse(&format!("/v2/{}/tags/list", "a".repeat(letters))).unwrap().0;
        assert!(named(250).within(&acme()).is_ok());
        let error = named(251).within(&acme()).unwrap_err();
        assert_eq!(error, RouteError::Long(256));
        assert!(error.to_string().contains("256"), "{error}");
    }

    #[test]
    fn headers_lose_the_namespace_once_and_only_in_front() {
        let turn = |name: HeaderName, text: &str, is_turned: bool| {
            let mut response = Response::new(Body::empty());
            response.headers_mut().insert(&name, text.parse().unwrap());
            if is_turned {
                response.extensions_mut().insert(Turned);
            }
            turned(response, &acme()).headers()[&name].to_str().unwrap().to_owned()
        };
        for (full, own) in [
            ("/v2/acme/app/blobs/uploads/x", "/v2/app/blobs/uploads/x"),
            ("/v2/acme/acme/app/manifests/x", "/v2/acme/app/manifests/x"),
            ("/v2/acme-evil/app/manifests/x", "/v2/acme-evil/app/manifests/x"),
            ("https://eu.example.com/v2/acme/app/manifests/x", "https://eu.example.com/v2/acme/app/manifests/x"),
        ] {
            assert_eq!(turn(LOCATION, full, false), own);
        }
        assert_eq!(turn(LOCATION, "/v2/acme/app/blobs/x", true), "/v2/acme/app/blobs/x");
        let link = "</v2/acme/app/tags/list?last=v1&n=2>; rel=\"next\"";
        assert_eq!(turn(LINK, link, false), "</v2/app/tags/list?last=v1&n=2>; rel=\"next\"");
        let catalog = "</v2/_catalog?last=app&n=2>; rel=\"next\"";
        assert_eq!(turn(LINK, catalog, false), catalog);
    }

    proptest! {
        /// No path at a domain leads to what is not below its namespace.
        #[test]
        fn no_path_leads_out(text in "(\\.\\.|\\.|/|%2f|%2F|%2e|acme|other|-evil|_catalog|_regnode/usage|tags|A|[a-z]){0,12}", tail in prop::sample::select(vec![
            "/tags/list", "/manifests/v1", "/blobs/uploads/", "",
        ])) {
            let path = format!("/v2/{text}{tail}");
            let Ok(uri) = path.parse::<Uri>() else { return Ok(()) };
            let Ok((route, more)) = Route::parse(uri.path()) else { return Ok(()) };
            let Ok(route) = route.within(&acme()) else { return Ok(()) };
            let asked = Asked { route: route.clone(), more_query: more.clone(), tenant: Some(acme()) };
            let is_list = matches!(route, Route::Ping | Route::Catalog);
            prop_assert!(is_list || asked.name() == "acme" && matches!(route, Route::Usage(_)) || asked.name().starts_with("acme/"), "{:?}", route);
            let full = rewritten(&uri, &route, more.as_deref(), &acme()).unwrap();
            prop_assert_eq!(Route::parse(full.path()).unwrap(), (route, more));
        }
    }
}
