//! Who administers: whoever has the node's local socket, who may everything, or somebody who has come over the network, who
//! may what the rules let him.
//!
//! Every request of these paths carries one; without one it is refused. What a path needs stands in `needs`; what hangs on
//! more than a request says (a job's scope, whom a rule is about) is asked here by whoever knows it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use raft::directory::{Action, Actions, StateError, Subject};
use raft::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::router::refuse;
use crate::access::{Access, Caller, Decision, Principal, Rights, Way};
use crate::audit::AuditEvent;

/// Something that somebody may not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Denied {
    message: String,
    /// The namespace that it is about; the root's is empty.
    namespace: String,
    /// What the audit log is told.
    reason: String,
}

impl Denied {
    /// The namespace that it is about; the root's is empty.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What the audit log is told: the right that lacks, and why.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    /// The same in other words: what it is about is not told to who may not know of it.
    pub(super) fn in_words(self, message: String) -> Self {
        Self { message, ..self }
    }

    /// The answer. It takes the refusal along: whoever answers last records it.
    pub(super) fn refused(&self) -> Response {
        let mut response = refuse(StatusCode::FORBIDDEN, self.to_string());
        response.extensions_mut().insert(self.clone());
        response
    }
}

/// Who administers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Operator {
    who: Arc<Who>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each request, behind a pointer")]
enum Who {
    Machine,
    Client { caller: Caller, access: Access, rights: Arc<Rights>, now: Timestamp, asked: Arc<AtomicBool> },
}

/// Somebody as one node tells another of him.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    principal: String,
    way: Way,
    address: IpAddr,
}

impl Operator {
    /// Whoever has the local socket.
    #[must_use]
    pub fn machine() -> Self {
        Self { who: Arc::new(Who::Machine) }
    }

    /// Whether it is whoever has the local socket.
    pub(super) fn is_machine(&self) -> bool {
        matches!(self.who.as_ref(), Who::Machine)
    }

    /// Somebody who has come over the network, judged by the rules as of now. His token was looked at: from here on the rules
    /// alone count.
    pub(super) fn client(caller: Caller, access: &Access) -> Self {
        let caller = Caller { grants: None, ..caller };
        let (rights, now) = (access.rights(), access.now());
        let who = Who::Client { caller, access: access.clone(), rights, now, asked: Arc::default() };
        Self { who: Arc::new(who) }
    }

    /// The same one, judged by what the directory's replica says now: before something is handed on for good. Whoever asks
    /// has waited until the replica has caught up.
    ///
    /// # Errors
    /// When the rules cannot be read.
    pub(super) async fn anew(&self) -> Result<Self, StateError> {
        let Who::Client { caller, access, asked, .. } = self.who.as_ref() else { return Ok(self.clone()) };
        let (rights, now) = (access.present().await?, access.now());
        let groups = rights.groups(&caller.principal);
        let caller = Caller { groups, ..caller.clone() };
        let who = Who::Client { caller, access: access.clone(), rights, now, asked: Arc::clone(asked) };
        Ok(Self { who: Arc::new(who) })
    }

    /// For another node, which judges him by its own rules. `None` is the machine's operator.
    ///
    /// # Errors
    /// When he cannot be told of: without it he would be the machine's operator there.
    pub(super) fn tell(&self) -> Result<Option<String>, serde_json::Error> {
        let Who::Client { caller, .. } = self.who.as_ref() else { return Ok(None) };
        let Caller { principal, way, address, .. } = caller;
        let told = Told { principal: principal.to_string(), way: *way, address: *address };
        serde_json::to_string(&told).map(Some)
    }

    /// Whom another node tells of; `None` if that makes no sense.
    pub(super) fn told(text: &str, access: &Access) -> Option<Self> {
        let Told { principal, way, address } = serde_json::from_str(text).ok()?;
        let principal: Principal = principal.parse().ok()?;
        let groups = access.rights().groups(&principal);
        // What he has shown of his account, the other node has looked at.
        Some(Self::client(Caller { principal, groups, address, way, grants: None, shown: None }, access))
    }

    /// How he stands in records, catalogs and histories.
    pub(super) fn name(&self) -> String {
        match self.who.as_ref() {
            Who::Machine => Principal::Operator.to_string(),
            Who::Client { caller, .. } => caller.principal.to_string(),
        }
    }

    /// He as a caller.
    pub(super) fn caller(&self) -> Caller {
        match self.who.as_ref() {
            Who::Machine => Caller::operator(),
            Who::Client { caller, .. } => caller.clone(),
        }
    }

    /// The beginning of a record of what he does.
    pub(super) fn event(&self, action: &'static str) -> AuditEvent {
        match self.who.as_ref() {
            Who::Machine => AuditEvent::of_operator(action),
            Who::Client { caller, .. } => {
                AuditEvent::new(action, caller.principal.to_string()).by(caller.way.name()).from(caller.address)
            }
        }
    }

    /// Whether what he may was asked at all.
    pub(super) fn was_asked(&self) -> bool {
        match self.who.as_ref() {
            Who::Machine => true,
            Who::Client { asked, .. } => asked.load(Ordering::Relaxed),
        }
    }

    /// What he may is asked where his request is carried to.
    pub(super) fn is_asked_elsewhere(&self) {
        if let Who::Client { asked, .. } = self.who.as_ref() {
            asked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether he may do one of these things, each at a namespace; the root's is empty.
    pub(super) fn may(&self, any: &[(Action, &str)]) -> bool {
        self.decide(any).is_none_or(|(_, _, decision)| decision.allowed)
    }

    /// The decision that lets him, or that about the first of these things. `None`: nobody decides, he may everything.
    fn decide<'a>(&self, any: &[(Action, &'a str)]) -> Option<(Action, &'a str, Decision)> {
        let Who::Client { caller, rights, now, asked, .. } = self.who.as_ref() else { return None };
        asked.store(true, Ordering::Relaxed);
        let decided = any.iter().map(|(action, place)| (*action, *place, rights.decide(caller, *action, place, *now)));
        let decided: Vec<_> = decided.collect();
        decided.iter().find(|(_, _, decision)| decision.allowed).or_else(|| decided.first()).copied()
    }

    /// The same as a decision about his request, which is counted, with the refusal that tells of the first.
    pub(super) fn check(&self, any: &[(Action, &str)]) -> Result<(), Denied> {
        let Who::Client { access, .. } = self.who.as_ref() else { return Ok(()) };
        let decided = self.decide(any);
        if let Some((action, _, decision)) = &decided {
            access.count(*action, decision);
            if decision.allowed {
                return Ok(());
            }
        }
        Err(decided
            .map_or_else(|| self.nothing(), |(action, namespace, decision)| self.denied(action, namespace, decision)))
    }

    fn nothing(&self) -> Denied {
        let message = format!("{} may not do this over the network", self.name());
        Denied { reason: message.clone(), message, namespace: String::new() }
    }

    fn denied(&self, action: Action, namespace: &str, decision: Decision) -> Denied {
        let because = decision.binding.map_or_else(|| "no rule allows it".to_owned(), |rule| format!("rule {rule}"));
        let message = format!(
            "{} has no right of {action} to {}: ask somebody who owns it for the right",
            self.name(),
            place(namespace)
        );
        Denied { message, namespace: namespace.to_owned(), reason: format!("{action}: {because}") }
    }

    /// Whether he may hand these actions on in a namespace: he has them all there himself, or operates the cluster.
    pub(super) fn may_grant(&self, actions: Actions, namespace: &str) -> Result<(), Denied> {
        let Who::Client { caller, rights, now, asked, .. } = self.who.as_ref() else { return Ok(()) };
        asked.store(true, Ordering::Relaxed);
        // Nor does who operates under a condition hand on what has none.
        if rights.unheld(caller, [Action::Operate].into_iter().collect(), "", *now).is_none() {
            return Ok(());
        }
        let Some(action) = rights.unheld(caller, actions, namespace, *now) else { return Ok(()) };
        let message = format!(
            "{} does not have {action} without a condition in all of {}, and nobody hands on what he has not: ask somebody who \
             has it, or who operates the cluster",
            self.name(),
            place(namespace)
        );
        Err(Denied { message, namespace: namespace.to_owned(), reason: format!("{action}: not to hand on") })
    }

    /// Whether he may act on an account or a group as if it were his: all that rules say of it is his to hand on. Whoever
    /// gives somebody a password, a key or a group could be him.
    pub(super) fn may_become(&self, subject: &Subject) -> Result<(), Denied> {
        let Who::Client { rights, .. } = self.who.as_ref() else { return Ok(()) };
        rights.lent(subject).into_iter().try_for_each(|(actions, namespace)| self.may_grant(actions, &namespace))
    }

    /// Whether he may put somebody into these groups.
    pub(super) fn may_put_into(&self, groups: &[String]) -> Result<(), Denied> {
        groups.iter().try_for_each(|group| self.may_become(&Subject::Group(group.clone())))
    }

    /// Whether a role may be given these actions by him, wherever it is given to somebody.
    pub(super) fn may_define(&self, role: &str, actions: Actions) -> Result<(), Denied> {
        let Who::Client { rights, .. } = self.who.as_ref() else { return Ok(()) };
        rights.given(role).into_iter().try_for_each(|namespace| self.may_grant(actions, &namespace))
    }
}

/// A namespace as people read it.
fn place(namespace: &str) -> String {
    if namespace.is_empty() { "the whole registry".to_owned() } else { format!("{namespace:?}") }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Response> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| refuse(StatusCode::INTERNAL_SERVER_ERROR, "it is not known who asks".to_owned()))
    }
}

/// Says of every request that it is the machine's own operator's: for the local socket.
pub(super) async fn of_machine(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Operator::machine());
    next.run(request).await
}
