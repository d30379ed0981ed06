//! Reads of copies: by clients, at a region that has one, and by such a region, at the home.
//!
//! A copy is behind its home. What is there is served; that something is not there, only the home says. Lists are made of
//! a copy that has everything. Whether a blob exists is asked mostly by who is about to push, to the home: so it is the home
//! that is asked, and the copy speaks only when that does not answer.

use axum::body::Body;
use http::{HeaderValue, Method, StatusCode};
use raft::catalog::RepositoryName;
use raft::directory::{Elsewhere, Place};
use raft::id::RegionId;
use raft::policy::Role;

use super::elsewhere::{disagree, forwarded, not_in_copy, send, unknown};
use super::error::ApiError;
use super::route::Route;
use super::{Answer, Api, Head};
use crate::peer::Forwarded;
use crate::regions::{REPLICATION, Region, Telling, UNREADABLE};
use crate::registry::Reference;
use crate::replication::Wanted;

/// Where a read at a copy is answered.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    /// Here, if it is here, at home otherwise.
    Copy,
    /// Here, if the copy has everything.
    WholeCopy,
    /// At home; here only if that does not answer.
    HomeFirst,
    /// At home.
    Home,
}

/// The region for whose copy another node asks, as its certificate says; `None` for what clients ask.
pub(super) fn copying(head: &Head) -> Option<RegionId> {
    let forwarded = head.parts.extensions.get::<Forwarded>()?;
    head.parts.headers.contains_key(REPLICATION).then_some(forwarded.region)
}

/// Where a read is answered by what the namespace says.
fn source(route: &Route, head: &Head, place: &Place, own: RegionId) -> Source {
    match route {
        // What is not copied may have been before, and stays as it was then.
        Route::Manifest(_, Reference::Tag(tag)) => {
            let moves_here = place.moving.is_some_and(|moving| moving.to == own);
            let patterns = &place.replication.tags;
            let is_copied = moves_here || patterns.is_empty() || patterns.iter().any(|own| own.matches(tag.as_str()));
            if is_copied { Source::Copy } else { Source::Home }
        }
        Route::Tags(_) | Route::Referrers(..) => Source::WholeCopy,
        Route::Blob(..) if head.is_head() && place.elsewhere != Elsewhere::Refuse && !forwarded(head) => {
            Source::HomeFirst
        }
        _ => Source::Copy,
    }
}

impl Api {
    /// Answers a client's read at a region that has a copy.
    pub(super) async fn answer_from_copy(&self, home: &Region, place: &Place, route: &Route, head: &Head) -> Answer {
        let Some(repository) = route.repository() else { return Err(unknown()) };
        match source(route, head, place, self.regions.own()) {
            Source::Copy => match self.read(route, head).await {
                Err(error) if is_miss(&error) => {}
                answer => return answer,
            },
            Source::WholeCopy => {
                if self.is_whole(home, repository)? {
                    let answer = self.read(route, head).await;
                    let is_told = !answer.as_ref().err().is_some_and(is_miss);
                    // The read has waited for all that was acknowledged: what holds behind it held for it.
                    if is_told && self.is_whole(home, repository)? {
                        return answer;
                    }
                }
            }
            Source::HomeFirst => {
                let answer = self.hand_on(home, head, Body::empty()).await;
                let error = match answer {
                    Ok(answer) if !answer.status().is_server_error() => return Ok(answer),
                    answer => answer,
                };
                return match self.read(route, head).await {
                    Err(here) if is_miss(&here) => error,
                    answer => answer,
                };
            }
            Source::Home => {}
        }
        if forwarded(head) {
            return Err(disagree(home));
        }
        match place.elsewhere {
            Elsewhere::Refuse => Err(not_in_copy(home, place)),
            Elsewhere::Redirect if home.public_url.is_some() => Ok(send(home, head)),
            Elsewhere::Proxy | Elsewhere::Redirect => self.hand_on(home, head, Body::empty()).await,
        }
    }

    /// Whether the copy of a repository has everything, by the own catalog: it follows its home, has once had all that was
    /// there, and is a copy still.
    fn is_whole(&self, home: &Region, repository: &RepositoryName) -> Result<bool, ApiError> {
        let Some(scope) = self.regions.scope_of(repository.as_str()) else { return Ok(false) };
        let Wanted { prefix, source, scope, .. } = Wanted::of(scope, self.regions.own());
        Ok(source.id == home.id
            && self.registry.role(repository)? == Role::Replica
            && self.registry.has_whole_copy(source.id, &prefix, &scope)?)
    }

    /// Answers a region that copies what is here. That something is not here is said only by who owns it, or has kept it
    /// since he did.
    pub(super) async fn answer_copying(&self, asking: RegionId, route: &Route, head: &Head) -> Answer {
        let repository = match route {
            // What failed is asked for by tag: it may point elsewhere by then.
            Route::Manifest(name, _) | Route::Blob(name, _) if head.parts.method == Method::GET => name,
            _ => return Err(ApiError::method("GET")),
        };
        if self.regions.telling(asking, repository.as_str()) != Telling::Tells {
            return Err(unknown());
        }
        let answer = self.read(route, head).await;
        if answer.as_ref().err().is_some_and(is_miss) {
            return match self.registry.role(repository)? {
                Role::Home | Role::Fenced => answer,
                Role::Replica | Role::Foreign => Err(unknown()),
            };
        }
        answer.map_err(|error| {
            let is_unreadable = error.is_unreadable();
            if is_unreadable { error.with_header(UNREADABLE, HeaderValue::from_static("1")) } else { error }
        })
    }
}

fn is_miss(error: &ApiError) -> bool {
    error.status() == StatusCode::NOT_FOUND
}
