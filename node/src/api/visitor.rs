//! Whoever sends a request, as far as the gate has let him in, and what else he may do.

use std::sync::Arc;

use raft::catalog::RepositoryName;
use raft::directory::Action;
use raft::time::Timestamp;

use crate::access::{Access, Caller, Decision, Listing, Principal, Rights, Way};
use crate::audit::AuditEvent;

/// Somebody who was recognised, with the rules that hold for his request from its beginning to its end.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) caller: Caller,
    access: Access,
    rights: Arc<Rights>,
    now: Timestamp,
}

impl Visitor {
    /// This caller, judged by the rules as of now: whoever was known only by this login is among them.
    pub(super) fn new(caller: Caller, access: Access) -> Self {
        Self { caller, rights: access.rights(), now: access.now(), access }
    }

    /// What the rules say, and his token.
    pub(super) fn decide(&self, action: Action, repository: &str) -> Decision {
        let decision = self.rights.decide(&self.caller, action, repository, self.now);
        self.access.count(action, &decision);
        decision
    }

    /// Whether he may do it.
    pub(super) fn may(&self, action: Action, repository: &RepositoryName) -> bool {
        self.decide(action, repository.as_str()).allowed
    }

    /// Which repositories he is shown in lists. A token that is for nothing at all is what clients have that ask for none
    /// of the catalog (podman): it lists as its owner may.
    pub(super) fn listing(&self) -> Listing {
        if self.has_bare_token() {
            let caller = Caller { grants: None, ..self.caller.clone() };
            return self.rights.listing(&caller, self.now);
        }
        self.rights.listing(&self.caller, self.now)
    }

    /// Whether his credentials are ones that list repositories.
    pub(super) fn may_list(&self) -> bool {
        self.caller.may_list() || self.has_bare_token()
    }

    fn has_bare_token(&self) -> bool {
        let is_external = matches!(self.caller.principal, Principal::External { .. });
        !is_external && self.caller.grants.as_ref().is_some_and(|grants| grants.is_empty())
    }

    /// Whether he has shown anything.
    pub(super) fn is_stranger(&self) -> bool {
        self.caller.way == Way::None
    }

    /// How he stands in the catalog; nobody is nobody.
    pub(super) fn principal(&self) -> Option<String> {
        self.caller.principal.catalog_name()
    }

    /// The beginning of a record of what he does.
    pub(super) fn event(&self, action: &'static str) -> AuditEvent {
        AuditEvent::new(action, self.caller.principal.to_string()).by(self.caller.way.name()).from(self.caller.address)
    }
}
