//! The gate: every request passes it before anything is looked up, so that who has no right to a repository learns nothing
//! of it, not even whether it exists.
//!
//! Who asks is the login's to say, what he may is the rules'; here it stands what each endpoint needs, and how a refusal
//! looks: 401 with a challenge for who can still do something about it (no credentials, or a token for something else),
//! 403 for who is known and has no right. A request that another region hands on is judged here again, by the client that
//! the first node tells of. What another region fetches for its copy passes: that it may have it is asked elsewhere.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method};
use raft::catalog::RepositoryName;
use raft::directory::Action;
use storage::switch;

use super::copies::copying;
use super::elsewhere::forwarded;
use super::error::{ApiError, Code};
use super::route::Route;
use super::visitor::{Claim, Visitor};
use super::{Api, Head};
use crate::access::{Caller, Decision, Principal};
use crate::audit::Outcome;
use crate::gateway::BodyError;
use crate::limit::Permit;
use crate::login::{Leeway, LoginError};
use crate::regions::told;
use crate::registry::Reference;
use crate::serve::Client;

/// Seconds after which a client may try again when this node does not know the rules yet, or cannot ask who somebody is.
const UNKNOWN_RETRY_SECONDS: u64 = 1;

/// Scope of the list of repositories.
const CATALOG_SCOPE: &str = "registry:catalog:*";

/// What an endpoint needs.
#[derive(Debug, PartialEq, Eq)]
enum Need<'a> {
    /// Credentials, whosever they are.
    Credentials,
    /// Something to list.
    List,
    /// All of these actions in a repository.
    All(&'a RepositoryName, &'static [Action]),
    /// One of these actions in a repository.
    Any(&'a str, &'static [Action]),
    /// One of these actions at a prefix and everywhere below.
    Throughout(&'a str, &'static [Action]),
    /// To have the right to push still, and to be who has begun the session, which is looked at later. The token may have
    /// expired meanwhile (moby#33558).
    Session(&'a RepositoryName),
}

impl<'a> Need<'a> {
    /// What a method of an endpoint needs; `None` if the endpoint has no such method.
    fn of(route: &'a Route, method: &Method, sets_tags: bool) -> Option<Self> {
        let is_read = method == Method::GET || method == Method::HEAD;
        match route {
            Route::Ping => is_read.then_some(Self::Credentials),
            Route::Catalog => is_read.then_some(Self::List),
            Route::History(name, _) => is_read.then_some(Self::Any(name.as_str(), &[Action::Pull, Action::Audit])),
            Route::Usage(prefix) => is_read.then_some(Self::Throughout(prefix, &[Action::Pull, Action::Audit])),
            Route::Tags(name) | Route::Referrers(name, _) | Route::Manifest(name, _) | Route::Blob(name, _)
                if is_read =>
            {
                Some(Self::All(name, &[Action::Pull]))
            }
            Route::Tags(_) | Route::Referrers(..) => None,
            Route::Manifest(name, reference) => match *method {
                Method::PUT if sets_tags || matches!(reference, Reference::Tag(_)) => {
                    Some(Self::All(name, &[Action::Push, Action::Tag]))
                }
                Method::PUT => Some(Self::All(name, &[Action::Push])),
                Method::DELETE => Some(Self::All(name, &[Action::Delete])),
                _ => None,
            },
            Route::Blob(name, _) => (method == Method::DELETE).then_some(Self::All(name, &[Action::Delete])),
            Route::Uploads(name) => (method == Method::POST).then_some(Self::All(name, &[Action::Push])),
            Route::Upload(name, _) => {
                let is_known = is_read || matches!(*method, Method::PATCH | Method::PUT | Method::DELETE);
                is_known.then_some(Self::Session(name))
            }
        }
    }

    /// The scope of a token that would do, with names as `shown` says them.
    fn scope(&self, shown: impl Fn(&'a str) -> &'a str) -> Option<String> {
        let words = |actions: &[Action]| match actions.first() {
            Some(Action::Push) => "pull,push",
            Some(Action::Delete) => "delete",
            _ => "pull",
        };
        match self {
            Self::Credentials => None,
            Self::List => Some(CATALOG_SCOPE.to_owned()),
            Self::All(name, actions) => Some(format!("repository:{}:{}", shown(name.as_str()), words(actions))),
            // The root is no repository that a token can be for.
            Self::Any(prefix, _) | Self::Throughout(prefix, _) => Some(shown(prefix))
                .filter(|prefix| !prefix.is_empty())
                .map(|prefix| format!("repository:{prefix}:pull")),
            Self::Session(name) => Some(format!("repository:{}:pull,push", shown(name.as_str()))),
        }
    }

    /// What it is about, for people.
    fn object(&self) -> String {
        match self {
            Self::Credentials => "the registry".to_owned(),
            Self::List => "the list of repositories".to_owned(),
            Self::All(name, _) | Self::Session(name) => format!("repository {:?}", name.as_str()),
            Self::Any(prefix, _) | Self::Throughout(prefix, _) => format!("{prefix:?}"),
        }
    }

    /// The same for the audit log.
    fn repository(&self) -> &str {
        match self {
            Self::Credentials | Self::List => "",
            Self::All(name, _) | Self::Session(name) => name.as_str(),
            Self::Any(prefix, _) | Self::Throughout(prefix, _) => prefix,
        }
    }
}

impl Api {
    /// Lets a request in, with who sends it and what he may have of the node; with nobody, if it is a region that copies.
    pub(super) async fn admit(&self, route: &Route, head: &Head) -> Result<Option<(Visitor, Permit)>, ApiError> {
        if copying(head).is_some() {
            return Ok(None);
        }
        let sets_tags = || head.query().all("tag").next().is_some();
        let method = &head.parts.method;
        let sets_tags = *method == Method::PUT && sets_tags();
        let need = Need::of(route, method, sets_tags).ok_or_else(|| ApiError::method(route.allowed()))?;
        let client = client(head)?;
        if !self.access.rights().is_known() {
            return Err(unavailable("this node does not know the rules of the cluster yet: try again"));
        }
        if self.audit.holds_up() {
            return Err(unavailable("the audit log of this node cannot be written, and nothing is done without it"));
        }
        let leeway = if matches!(need, Need::Session(_)) { Leeway::Upload } else { Leeway::None };
        let caller = self.login.identify(&head.parts.headers, &client, leeway).await;
        let permit = self.take(caller.as_ref().ok(), &client, &need, method)?;
        let caller = match caller {
            Ok(caller) => caller,
            Err(error) => return Err(self.not_recognised(&error, &need, head, &client).await),
        };
        let visitor = Visitor::new(caller, self.access.clone());
        match refused(&visitor, &need) {
            None => Ok(Some((visitor, permit))),
            Some(_) if switch::broken("api.gate.open") => Ok(Some((visitor, permit))),
            Some(refused) => Err(self.refuse(refused, &visitor, &need, head, &client).await),
        }
    }

    /// The claim of whoever sends a request, for the end of its body; none where a region copies.
    pub(super) fn claim(head: &Head, repository: &RepositoryName, actions: &'static [Action]) -> Option<Claim> {
        head.visitor.as_ref().map(|visitor| visitor.claim(actions, repository))
    }

    /// Asks once more, just before something is changed, whether it may be: rules and accounts may have changed since the
    /// request was let in.
    pub(super) async fn confirm(
        &self,
        head: &Head,
        repository: &RepositoryName,
        actions: &'static [Action],
    ) -> Result<(), ApiError> {
        if Self::claim(head, repository, actions).is_none_or(|claim| claim.holds()) {
            return Ok(());
        }
        Err(self.withdrawn(head, repository, actions).await)
    }

    /// The refusal of what somebody had a right to when his request began.
    pub(super) async fn withdrawn(
        &self,
        head: &Head,
        repository: &RepositoryName,
        actions: &'static [Action],
    ) -> ApiError {
        let denied = || ApiError::from(BodyError::Withdrawn);
        let (Some(visitor), Ok(client)) = (&head.visitor, client(head)) else { return denied() };
        let need = Need::All(repository, actions);
        let visitor = visitor.anew();
        match refused(&visitor, &need) {
            Some(refused) => self.refuse(refused, &visitor, &need, head, &client).await,
            // Given back already: this request was broken off all the same.
            None => denied(),
        }
    }

    /// Counts the request, whatever becomes of it.
    fn take(
        &self,
        caller: Option<&Caller>,
        client: &Client,
        need: &Need<'_>,
        method: &Method,
    ) -> Result<Permit, ApiError> {
        let principal = caller.map_or(&Principal::Anonymous, |caller| &caller.principal).to_string();
        let is_upload = match need {
            Need::Session(_) => matches!(*method, Method::PATCH | Method::PUT),
            _ => *method == Method::POST,
        };
        self.throttle.admit(&principal, client.address, is_upload).map_err(|error| too_many(&error, error.seconds))
    }

    fn challenge(&self, error: ApiError, need: &Need<'_>, why: Option<&str>, head: &Head, client: &Client) -> ApiError {
        let scope = need.scope(|full| head.shown(full));
        let challenge = self.login.challenge(&head.parts.headers, client, scope.as_deref(), why);
        error.with_header(WWW_AUTHENTICATE, challenge)
    }

    async fn not_recognised(&self, error: &LoginError, need: &Need<'_>, head: &Head, client: &Client) -> ApiError {
        let message = error.to_string();
        match error {
            LoginError::Wrong => self.challenge(ApiError::new(Code::Unauthorized, message), need, None, head, client),
            LoginError::Malformed(_) | LoginError::Untrusted(_) => {
                self.login.record_bad_token(&error.reason(), client.address).await;
                let error = ApiError::new(Code::Unauthorized, message);
                self.challenge(error, need, Some("invalid_token"), head, client)
            }
            LoginError::Locked { retry_after_seconds } => too_many(&message, *retry_after_seconds),
            LoginError::Unavailable(_) => unavailable(message),
        }
    }

    /// The refusal, which says nothing of what there is: all of it comes from the request, from who asks, and from the
    /// rules.
    async fn refuse(
        &self,
        refused: Refused,
        visitor: &Visitor,
        need: &Need<'_>,
        head: &Head,
        client: &Client,
    ) -> ApiError {
        let object = need.object();
        if visitor.is_stranger() {
            // Nothing was denied: so begins the conversation of every client.
            let error = ApiError::new(Code::Unauthorized, format!("a token or a login is needed for {object}"));
            return self.challenge(error, need, None, head, client);
        }
        let (who, right) = (&visitor.caller.principal, refused.right());
        let decision = &refused.decision;
        let lacks_scope = match who {
            // Whoever has logged in as nobody can still log in as somebody.
            Principal::Anonymous => true,
            _ => decision.as_ref().is_none_or(|decision| decision.beyond_token),
        };
        let because = match decision {
            Some(Decision { beyond_token: false, binding: Some(rule), .. }) => format!("rule {rule}"),
            Some(Decision { beyond_token: false, binding: None, .. }) => "no rule allows it".to_owned(),
            _ => "the token is not for it".to_owned(),
        };
        // Nobody is denied all the time, and whoever likes could fill the log with it.
        if *who != Principal::Anonymous {
            let event =
                visitor.event("denied").at(head.domain()).repository(need.repository()).outcome(Outcome::Refused);
            self.audit
                .record(event.detail(format!("{} {}: {right}: {because}", head.parts.method, head.parts.uri.path())))
                .await;
        }
        if lacks_scope {
            let error = ApiError::new(Code::Unauthorized, format!("the token is not for {right} of {object}"));
            return self.challenge(error, need, Some("insufficient_scope"), head, client);
        }
        let message = format!("{who} has no right of {right} to {object}: ask somebody who owns the namespace for it");
        ApiError::new(Code::Denied, message)
    }
}

/// What was refused.
struct Refused {
    /// The first action that is not allowed; `None` where it is about lists.
    action: Option<Action>,
    /// What the rules say of it.
    decision: Option<Decision>,
}

impl Refused {
    fn right(&self) -> &'static str {
        self.action.map_or("list", Action::name)
    }
}

/// What is refused to a visitor, if anything is.
fn refused(visitor: &Visitor, need: &Need<'_>) -> Option<Refused> {
    let refused = |action, decision: Decision| Refused { action: Some(action), decision: Some(decision) };
    match need {
        Need::Credentials => visitor.is_stranger().then_some(Refused { action: None, decision: None }),
        Need::List => {
            let is_nobody = visitor.caller.principal == Principal::Anonymous;
            let may = visitor.may_list() && (!is_nobody || visitor.sees_any());
            (!may).then_some(Refused { action: None, decision: None })
        }
        Need::All(name, actions) => actions.iter().find_map(|action| {
            let decision = visitor.decide(*action, name.as_str());
            (!decision.allowed).then(|| refused(*action, decision))
        }),
        Need::Any(prefix, actions) | Need::Throughout(prefix, actions) => {
            let mut first = None;
            for action in *actions {
                let decision = match need {
                    Need::Throughout(..) => visitor.decide_throughout(*action, prefix),
                    _ => visitor.decide(*action, prefix),
                };
                if decision.allowed {
                    return None;
                }
                first.get_or_insert((*action, decision));
            }
            first.map(|(action, decision)| refused(action, decision))
        }
        Need::Session(name) => {
            let decision = visitor.decide(Action::Push, name.as_str());
            (!decision.allowed).then(|| refused(Action::Push, decision))
        }
    }
}

/// The client as this node sees it, or as the node tells that has passed its request on.
fn client(head: &Head) -> Result<Client, ApiError> {
    if forwarded(head) {
        let untold = || unavailable("the region that has passed this on does not tell from whom it is: try again");
        return told(&head.parts.headers).ok_or_else(untold);
    }
    head.parts
        .extensions
        .get::<Client>()
        .cloned()
        .ok_or_else(|| ApiError::internal("a request of no client".to_owned()))
}

fn too_many(why: &impl ToString, retry_after_seconds: u64) -> ApiError {
    ApiError::new(Code::TooManyRequests, why.to_string()).with_header(RETRY_AFTER, retry_after_seconds.into())
}

fn unavailable(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::Unavailable, message).with_header(RETRY_AFTER, HeaderValue::from(UNKNOWN_RETRY_SECONDS))
}
