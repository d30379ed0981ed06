//! One binding, ready to be applied: the role's actions are looked up and the condition is read.

use raft::directory::{Action, Actions, BindingId, BindingRecord, Effect, Subject};
use raft::time::Timestamp;

use super::caller::{Caller, Principal};
use super::condition::{Unmet, When};

/// A rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its binding's id.
    pub(super) id: BindingId,
    /// The binding.
    pub(super) record: BindingRecord,
    /// What it allows or denies.
    pub(super) actions: Actions,
    when: When,
}

impl Rule {
    /// A rule of a binding. A role that is not known allows nothing.
    pub(super) fn new(id: BindingId, record: BindingRecord, role: impl FnOnce(&str) -> Option<Actions>) -> Self {
        let actions = match &record.effect {
            Effect::Allow { role: name } => role(name).unwrap_or(Actions::EMPTY),
            Effect::Deny { actions } => *actions,
        };
        let when = When::read(&record.condition);
        Self { id, record, actions, when }
    }

    /// Whether it takes away.
    pub(super) fn denies(&self) -> bool {
        matches!(self.record.effect, Effect::Deny { .. })
    }

    /// Whether it says something about an action.
    pub(super) fn is_about(&self, action: Action) -> bool {
        self.actions.contains(action)
    }

    /// Why its condition keeps it from holding; `None` when it holds. What nobody can read gives nothing and takes all
    /// that it is about.
    pub(super) fn unmet(&self, caller: &Caller, now: Timestamp) -> Option<Unmet> {
        match self.when.unmet(caller.address, now) {
            Some(Unmet::Unreadable) if self.denies() => None,
            unmet => unmet,
        }
    }

    /// Whether it is about a caller: about himself, one of his groups, everybody who is known, or everybody.
    pub(super) fn matches(&self, caller: &Caller) -> bool {
        match &self.record.subject {
            Subject::Anonymous => true,
            Subject::Authenticated => caller.principal != Principal::Anonymous,
            Subject::User(name) => matches!(&caller.principal, Principal::User(own) if own == name),
            Subject::Robot(name) => matches!(&caller.principal, Principal::Robot(own) if own == name),
            Subject::Group(name) => caller.groups.contains(name),
        }
    }
}
