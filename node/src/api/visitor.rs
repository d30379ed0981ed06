//! Whoever sends a request, as far as the gate has let him in, and what else he may do.

use std::borrow::Cow;
use std::sync::Arc;

use raft::catalog::RepositoryName;
use raft::directory::Action;
use raft::time::Timestamp;

use crate::access::{Access, Caller, Decision, Listing, Principal, Rights, Way};
use crate::audit::AuditEvent;

/// Somebody who was recognised, with the rules that hold for his request from its beginning to its end.
#[derive(Clone, Debug)]
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

    /// The same of what is about all that is at a prefix and below.
    pub(super) fn decide_throughout(&self, action: Action, prefix: &str) -> Decision {
        let (decision, _) = self.rights.decide_throughout(&self.caller, action, prefix, self.now);
        self.access.count(action, &decision);
        decision
    }

    /// Whether he may do it.
    pub(super) fn may(&self, action: Action, repository: &RepositoryName) -> bool {
        self.decide(action, repository.as_str()).allowed
    }

    /// His claim to what he is about to do, to be looked at again just before it is done.
    pub(super) fn claim(&self, actions: &'static [Action], repository: &RepositoryName) -> Claim {
        let (caller, access) = (self.caller.clone(), self.access.clone());
        Claim { caller, access, version: self.rights.version(), now: self.now, actions, repository: repository.clone() }
    }

    /// He by the rules as they are at this moment: what was taken away from him since the request began counts.
    pub(super) fn anew(&self) -> Self {
        let rights = self.access.rights();
        let caller = present(&self.caller, &rights);
        Self { caller, access: self.access.clone(), rights, now: self.now }
    }

    /// Which repositories he is shown in lists. A token that is for nothing at all is what clients have that ask for none
    /// of the catalog (podman): it lists as its owner may.
    pub(super) fn listing(&self) -> Listing {
        self.rights.listing(&self.lister(), self.now)
    }

    /// Whether there is anything that he is shown in lists: found out without working them out.
    pub(super) fn sees_any(&self) -> bool {
        self.rights.sees_any(&self.lister(), "", self.now)
    }

    fn lister(&self) -> Cow<'_, Caller> {
        if self.has_bare_token() {
            return Cow::Owned(Caller { grants: None, ..self.caller.clone() });
        }
        Cow::Borrowed(&self.caller)
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

/// What somebody was found to have a right to, for a body that takes a while.
#[derive(Debug)]
pub(super) struct Claim {
    caller: Caller,
    access: Access,
    /// Version of the rules by which he was let in.
    version: u64,
    /// When he was let in: a rule that ends by itself meanwhile cuts nothing off, one that is taken away does.
    now: Timestamp,
    actions: &'static [Action],
    repository: RepositoryName,
}

impl Claim {
    /// Whether it still holds.
    pub(super) fn holds(&self) -> bool {
        let rights = self.access.rights();
        if rights.version() == self.version {
            return true;
        }
        let caller = present(&self.caller, &rights);
        self.actions.iter().all(|action| rights.allows(&caller, *action, self.repository.as_str(), self.now))
    }
}

/// A caller in the groups that he is in now.
fn present(caller: &Caller, rights: &Rights) -> Caller {
    Caller { groups: rights.groups(&caller.principal), ..caller.clone() }
}
