//! Requests about repositories that rest in another region: passed on to their home, sent there, or refused, as their
//! namespace says; read from a copy where there is one (`copies`). A request that another region has passed on is answered here or not at all.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use futures_util::StreamExt as _;
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};
use raft::catalog::RepositoryName;
use raft::directory::{Elsewhere, Place, Residency};
use raft::policy::Role;
use serde_json::json;

use super::copies::copying;
use super::error::{ApiError, Code};
use super::inbound::Inbound;
use super::route::Route;
use super::tenancy::Turned;
use super::{Answer, Api, Head, headers};
use crate::gateway::BodyError;
use crate::peer::Forwarded;
use crate::regions::{ForwardError, Region, Standing};

/// Seconds after which a client may try again when its own region or that of the home does not know enough yet.
const STALE_RETRY_SECONDS: u64 = 1;

/// Seconds after which a client may try again when another region does not answer.
const REGION_RETRY_SECONDS: u64 = 10;

/// The namespace whose names stay out of the logs here: it is pinned to another region, or may be.
pub(super) fn pinned(standing: &Standing) -> Option<&str> {
    match standing {
        Standing::Foreign(_, place) if place.residency == Residency::Pinned => Some(&place.sources.residency),
        Standing::Unknown => Some(""),
        _ => None,
    }
}

/// Whether a node of another region has passed the request on.
pub(super) fn forwarded(head: &Head) -> bool {
    head.parts.extensions.get::<Forwarded>().is_some()
}

impl Api {
    /// What this node is for what a request is about.
    pub(super) fn standing(&self, route: &Route) -> Standing {
        match route {
            Route::Ping | Route::Catalog => Standing::Home,
            Route::Usage(prefix) => self.regions.standing(prefix),
            route => route.repository().map_or(Standing::Home, |name| self.regions.standing(name.as_str())),
        }
    }

    /// Answers here or elsewhere.
    pub(super) async fn answer_as(&self, standing: Standing, route: Route, head: Head, body: Inbound) -> Answer {
        if let Some(asking) = copying(&head) {
            return self.answer_copying(asking, &route, &head).await;
        }
        let is_read = head.parts.method == Method::GET || head.parts.method == Method::HEAD;
        match standing {
            Standing::Home if self.regions.is_alone() => self.answer(route, head, body).await,
            Standing::Home => {
                let repository = route.repository().cloned();
                let tells_all = matches!(route, Route::Tags(_) | Route::Referrers(..));
                let answer = self.answer(route, head, body).await;
                let is_miss = answer.as_ref().err().is_some_and(|error| error.status() == StatusCode::NOT_FOUND);
                match repository {
                    Some(name) if is_miss || tells_all => self.unless_moved(&name, answer),
                    _ => answer,
                }
            }
            Standing::Replica(home, place) if is_read && rests_with_copies(&route) => {
                self.answer_from_copy(&home, &place, &route, &head).await
            }
            Standing::Unknown => Err(unknown()),
            Standing::Replica(home, _) | Standing::Foreign(home, _) if forwarded(&head) => Err(disagree(&home)),
            Standing::Replica(home, _) => self.pass_on(&home, head, body).await,
            Standing::Foreign(home, place) => match place.elsewhere {
                Elsewhere::Refuse => Err(refuse(&home, &place)),
                Elsewhere::Redirect if is_read && may_be_sent(&route) && home.public_url.is_some() => {
                    Ok(send(&home, &head))
                }
                Elsewhere::Proxy | Elsewhere::Redirect => self.pass_on(&home, head, body).await,
            },
        }
    }

    /// That something is not here says nothing once the home is elsewhere. This node's replica of the directory may not have
    /// heard of that; the catalog, behind whose log the answer is, has: nobody pushes to a new home before the old one is
    /// fenced. A fence alone is no change yet: who knows as much of the namespaces as the catalog, and knows of no more than
    /// the fence, says what is not here.
    fn unless_moved(&self, repository: &RepositoryName, answer: Answer) -> Answer {
        match self.registry.role(repository)? {
            Role::Home => answer,
            Role::Fenced if self.is_fenced_home(repository)? => answer,
            Role::Fenced | Role::Replica | Role::Foreign => Err(unknown()),
        }
    }

    fn is_fenced_home(&self, repository: &RepositoryName) -> Result<bool, ApiError> {
        let in_force = self.registry.policy_version()?;
        let places = self.regions.places();
        let place = places.place(repository.as_str());
        let is_fenced = |place: &Arc<Place>| place.role(self.regions.own()) == Role::Fenced;
        Ok(places.version() >= in_force
            && place.is_some_and(|place| place.home == self.regions.own() && is_fenced(place)))
    }

    /// Has the home region answer, as a stream in both directions.
    async fn pass_on(&self, home: &Region, head: Head, body: Inbound) -> Answer {
        let broken = Arc::new(OnceLock::new());
        let body = if body.is_empty() { Body::empty() } else { noted(body, Arc::clone(&broken)) };
        let answer = self.hand_on(home, &head, body).await;
        answer.map_err(|error| match broken.get() {
            // The client's fault, which the home region cannot tell.
            Some(body) => ApiError::from(BodyError::clone(body)),
            None => error,
        })
    }

    /// The same with a body of which nothing is to be said.
    pub(super) async fn hand_on(&self, home: &Region, head: &Head, body: Body) -> Answer {
        let mut answer = self.regions.forward(home, &head.parts, body).await?;
        // Whoever has made it was told whose names it is to have.
        answer.extensions_mut().insert(Turned);
        Ok(answer)
    }
}

/// A body that notes why it broke off.
fn noted(body: Inbound, broken: Arc<OnceLock<BodyError>>) -> Body {
    Body::from_stream(body.inspect(move |part| {
        if let Err(error) = part {
            // It breaks off once.
            let _ = broken.set(error.clone());
        }
    }))
}

/// Whether regions with a copy have it too: upload sessions, usage and histories are the home's.
const fn rests_with_copies(route: &Route) -> bool {
    matches!(route, Route::Tags(_) | Route::Manifest(..) | Route::Referrers(..) | Route::Blob(..))
}

/// Whether clients are sent to the home region for it: uploads never, clients lose their credentials on the way.
const fn may_be_sent(route: &Route) -> bool {
    rests_with_copies(route)
}

/// Sends a client to the home region's public URL.
pub(super) fn send(home: &Region, head: &Head) -> Response<Body> {
    let mut response = headers::empty(StatusCode::TEMPORARY_REDIRECT);
    let path = head.parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let url = home.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    response.headers_mut().insert(LOCATION, headers::value(format!("{url}{path}")));
    response
}

fn refuse(home: &Region, place: &Place) -> ApiError {
    let namespace = &place.sources.elsewhere;
    let what = if namespace.is_empty() { "this".to_owned() } else { format!("namespace {namespace:?}") };
    denied(home, place, &format!("{what} is served in its home region {} alone", home.name))
}

/// A copy does not have it, and requests are not passed on.
pub(super) fn not_in_copy(home: &Region, place: &Place) -> ApiError {
    denied(home, place, &format!("the copy in this region does not have it: its home is region {}", home.name))
}

fn denied(home: &Region, place: &Place, why: &str) -> ApiError {
    let whither = match &home.public_url {
        Some(url) => format!("use {url}"),
        None => "use one of its nodes".to_owned(),
    };
    let namespace = &place.sources.elsewhere;
    ApiError::new(Code::Denied, format!("{why}: {whither}"))
        .with_detail(json!({ "namespace": namespace, "region": home.name, "url": home.public_url }))
}

pub(super) fn disagree(home: &Region) -> ApiError {
    let message = format!(
        "another region has passed this on as if this were its home, but here region {} is: its home has changed just \
         now; try again",
        home.name
    );
    ApiError::new(Code::Unavailable, message).with_header(RETRY_AFTER, STALE_RETRY_SECONDS.into())
}

pub(super) fn unknown() -> ApiError {
    let message = "this node does not know yet which region is the home of this: it has not caught up with the \
                   cluster's directory; try again";
    ApiError::new(Code::Unavailable, message).with_header(RETRY_AFTER, STALE_RETRY_SECONDS.into())
}

impl From<ForwardError> for ApiError {
    fn from(error: ForwardError) -> Self {
        let seconds = match error {
            ForwardError::Unreachable { .. } => REGION_RETRY_SECONDS,
            ForwardError::Lost { .. } | ForwardError::Busy { .. } => STALE_RETRY_SECONDS,
        };
        Self::new(Code::Unavailable, error.to_string()).with_header(RETRY_AFTER, HeaderValue::from(seconds))
    }
}
