//! Who administers: whoever has the node's local socket, who may everything, or somebody who has come over the network, who
//! may what the rules let him.
//!
//! Every request of these paths carries one; without one it is refused. A request about a prefix may act on all that is below
//! it ([`Reach`]): then what is denied there counts too. What a path needs stands in `needs`; what hangs on
//! more than a request says (a job's scope, whom a rule is about) is asked here by whoever knows it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use raft::directory::{Action, Actions, Effect, Subject};
use raft::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::router::refuse;
use crate::access::{Access, Caller, Decision, NotPresent, Principal, Rights, Way};
use crate::audit::AuditEvent;
use crate::peer::Asker;

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

/// How far it goes what somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To what is named, and no further.
    Itself,
    /// To all that is below it too. Whoever operates the cluster is not bound by what is denied below: else any owner of a
    /// namespace could keep him from what is about all of them.
    Below,
}

/// What was decided about an action.
struct Decided<'a> {
    action: Action,
    namespace: &'a str,
    decision: Decision,
    /// Where below the namespace it is denied, if it is only there.
    below: Option<String>,
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
    pub(super) async fn anew(&self) -> Result<Self, NotPresent> {
        let Who::Client { caller, access, asked, .. } = self.who.as_ref() else { return Ok(self.clone()) };
        let (rights, now) = (access.present().await?, access.now());
        let groups = rights.groups(&caller.principal);
        let caller = Caller { groups, ..caller.clone() };
        let who = Who::Client { caller, access: access.clone(), rights, now, asked: Arc::clone(asked) };
        Ok(Self { who: Arc::new(who) })
    }

    /// For another node, which judges him by its own rules.
    ///
    /// # Errors
    /// When he cannot be told of.
    pub(super) fn tell(&self) -> Result<Asker, serde_json::Error> {
        let Who::Client { caller, .. } = self.who.as_ref() else { return Ok(Asker::Machine) };
        let Caller { principal, way, address, .. } = caller;
        let told = Told { principal: principal.to_string(), way: *way, address: *address };
        serde_json::to_string(&told).map(Asker::Caller)
    }

    /// Whom another node tells of; `None` if that makes no sense.
    pub(super) fn told(asker: &Asker, access: &Access) -> Option<Self> {
        let Asker::Caller(text) = asker else { return Some(Self::machine()) };
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
        self.may_within(Reach::Itself, any)
    }

    /// The same of what goes so far.
    pub(super) fn may_within(&self, reach: Reach, any: &[(Action, &str)]) -> bool {
        self.decide(reach, any).is_none_or(|decided| decided.decision.allowed)
    }

    /// The decision that lets him, or that about the first of these things. `None`: nobody decides, he may everything.
    fn decide<'a>(&self, reach: Reach, any: &[(Action, &'a str)]) -> Option<Decided<'a>> {
        let Who::Client { caller, rights, now, asked, .. } = self.who.as_ref() else { return None };
        asked.store(true, Ordering::Relaxed);
        let mut first = None;
        for &(action, namespace) in any {
            let (decision, below) = match reach {
                Reach::Below if action != Action::Operate && !self.operates() => {
                    rights.decide_throughout(caller, action, namespace, *now)
                }
                Reach::Below | Reach::Itself => (rights.decide(caller, action, namespace, *now), None),
            };
            let decided = Decided { action, namespace, decision, below: below.map(ToOwned::to_owned) };
            if decision.allowed {
                return Some(decided);
            }
            first.get_or_insert(decided);
        }
        first
    }

    /// The same as a decision about his request, which is counted, with the refusal that tells of the first.
    pub(super) fn check(&self, any: &[(Action, &str)]) -> Result<(), Denied> {
        self.check_within(Reach::Itself, any)
    }

    /// The same of a request that goes so far.
    pub(super) fn check_within(&self, reach: Reach, any: &[(Action, &str)]) -> Result<(), Denied> {
        let Who::Client { access, .. } = self.who.as_ref() else { return Ok(()) };
        let Some(decided) = self.decide(reach, any) else { return Err(self.nothing()) };
        access.count(decided.action, &decided.decision);
        if decided.decision.allowed { Ok(()) } else { Err(self.denied(decided)) }
    }

    fn nothing(&self) -> Denied {
        let message = format!("{} may not do this over the network", self.name());
        Denied { reason: message.clone(), message, namespace: String::new() }
    }

    fn denied(&self, decided: Decided<'_>) -> Denied {
        let Decided { action, namespace, decision, below } = decided;
        let because = decision.binding.map_or_else(|| "no rule allows it".to_owned(), |rule| format!("rule {rule}"));
        let lacks = |namespace| format!("{} has no right of {action} to {}", self.name(), place(namespace));
        let Some(below) = below else {
            let message = format!("{}: ask somebody who owns it for the right", lacks(namespace));
            return Denied { message, namespace: namespace.to_owned(), reason: format!("{action}: {because}") };
        };
        let message = format!(
            "{}, and this is about all of {}: ask somebody who owns it for the right, or name what is beside it",
            lacks(&below),
            place(namespace)
        );
        Denied { message, reason: format!("{action}: {because} at {below:?}"), namespace: namespace.to_owned() }
    }

    /// Whether he operates the cluster for certain: nor does who operates under a condition hand on what has none.
    fn operates(&self) -> bool {
        let Who::Client { caller, rights, now, asked, .. } = self.who.as_ref() else { return true };
        asked.store(true, Ordering::Relaxed);
        rights.unheld(caller, [Action::Operate].into_iter().collect(), "", *now).is_none()
    }

    /// Whether he may hand these actions on in a namespace: he has them all there himself, or operates the cluster.
    pub(super) fn may_grant(&self, actions: Actions, namespace: &str) -> Result<(), Denied> {
        let Who::Client { caller, rights, now, .. } = self.who.as_ref() else { return Ok(()) };
        if self.operates() {
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

    /// Whether he may let somebody in as this one, or begin an account in this group: all that rules give it is his to hand on.
    pub(super) fn may_become(&self, subject: &Subject) -> Result<(), Denied> {
        let Who::Client { rights, .. } = self.who.as_ref() else { return Ok(()) };
        rights.held(subject).into_iter().try_for_each(|(actions, namespace)| self.may_grant(actions, &namespace))
    }

    /// Whether he may let an account or a group go, or change who is in it: what rules deny it is his to hand on, too, since
    /// others have it then.
    pub(super) fn may_release(&self, subject: &Subject) -> Result<(), Denied> {
        let Who::Client { rights, .. } = self.who.as_ref() else { return Ok(()) };
        rights.lent(subject).into_iter().try_for_each(|(actions, namespace)| self.may_grant(actions, &namespace))
    }

    /// Whether he may begin a new account in these groups.
    pub(super) fn may_begin_in(&self, groups: &[String]) -> Result<(), Denied> {
        groups.iter().try_for_each(|group| self.may_become(&Subject::Group(group.clone())))
    }

    /// Whether he may take an account out of its groups and put it into these.
    pub(super) fn may_regroup(&self, account: &Subject, groups: &[String]) -> Result<(), Denied> {
        self.may_release(account)?;
        groups.iter().try_for_each(|group| self.may_release(&Subject::Group(group.clone())))
    }

    /// Whether he may make an account of somebody, with these groups or those that it has, or something that one logs in to
    /// it by: it is not to have what a rule denies him, or he got around it with a second name.
    pub(super) fn may_open(&self, account: &Subject, groups: Option<&[String]>) -> Result<(), Denied> {
        let Who::Client { caller, rights, .. } = self.who.as_ref() else { return Ok(()) };
        if self.operates() {
            return Ok(());
        }
        let groups = match groups {
            Some(groups) => groups.iter().cloned().collect(),
            None => rights.groups_of(account),
        };
        let Some((action, namespace)) = rights.evaded(caller, account, groups) else { return Ok(()) };
        let message = format!(
            "{account} would have {action} in {}, which a rule denies {}: put it into a group that the rule denies it too, or \
             ask somebody who operates the cluster",
            place(&namespace),
            self.name()
        );
        Err(Denied { message, namespace, reason: format!("{action}: not to have by another account") })
    }

    /// Whether a role may become this, or go, by him: what it allows now and then, wherever it is given to somebody.
    pub(super) fn may_define(&self, role: &str, becomes: Option<Actions>) -> Result<(), Denied> {
        let Who::Client { rights, .. } = self.who.as_ref() else { return Ok(()) };
        rights.role(role).into_iter().chain(becomes).try_for_each(|actions| {
            rights.given(role).into_iter().try_for_each(|namespace| self.may_grant(actions, &namespace))
        })
    }

    /// Whether he may make a rule, or take it away: what it gives must be his, and so must be what it denies, since others have
    /// it by taking the rule away.
    pub(super) fn may_bind(&self, effect: &Effect, namespace: &str) -> Result<(), Denied> {
        let Who::Client { rights, .. } = self.who.as_ref() else { return Ok(()) };
        let actions = match effect {
            Effect::Deny { actions } => Some(*actions),
            Effect::Allow { role } => rights.role(role),
        };
        // The directory refuses a role that it does not know.
        actions.map_or(Ok(()), |actions| self.may_grant(actions, namespace))
    }

    /// Version of the rules by which he is judged; `None`: he may whatever they say.
    pub(super) fn judged_at(&self) -> Option<u64> {
        let Who::Client { rights, .. } = self.who.as_ref() else { return None };
        Some(rights.version())
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
