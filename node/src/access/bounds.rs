//! What somebody may hand on to others: no more than he has himself, as with Kubernetes' roles. Otherwise whoever may bind
//! roles in one namespace could give himself every action there, and who keeps accounts could become anybody.
//!
//! Counted is only what holds always: a right under a condition is none to hand on, and a rule that denies him something
//! anywhere at or below the place keeps him from giving it there.

use raft::directory::{Action, Actions, Condition, Effect, Subject};
use raft::time::Timestamp;

use super::caller::{Caller, Principal};
use super::rights::Rights;
use super::rules::covers;

impl Rights {
    /// The first of some actions that a caller does not have for certain everywhere at and below a namespace.
    #[must_use]
    pub fn unheld(&self, caller: &Caller, actions: Actions, namespace: &str, now: Timestamp) -> Option<Action> {
        if caller.principal == Principal::Operator {
            return None;
        }
        let stands = self.stands(caller, now);
        actions.iter().find(|action| !stands || !self.holds(caller, *action, namespace))
    }

    /// Whether a rule without a condition allows it there, and none denies any of it.
    fn holds(&self, caller: &Caller, action: Action, namespace: &str) -> bool {
        let mut allowed = false;
        for rule in self.rules.of(caller).filter(|rule| rule.is_about(action)) {
            let (record, place) = (&rule.record, rule.record.namespace.as_str());
            if rule.denies() {
                if covers(place, namespace) || covers(namespace, place) {
                    return false;
                }
            } else if covers(place, namespace) && record.condition == Condition::default() {
                allowed = true;
            }
        }
        allowed
    }

    /// What the rules about a subject are about and where, whether they allow or deny: those that name it, and of a user or a
    /// robot also those that name one of its groups. What everybody has is not among it.
    #[must_use]
    pub fn lent(&self, subject: &Subject) -> Vec<(Actions, String)> {
        let groups = match subject {
            Subject::User(name) => self.groups(&Principal::User(name.clone())),
            Subject::Robot(name) => self.groups(&Principal::Robot(name.clone())),
            _ => std::collections::BTreeSet::new(),
        };
        let is_of = |other: &Subject| {
            other == subject || matches!(other, Subject::Group(name) if groups.contains(name.as_str()))
        };
        let rules = self.rules.all().filter(|rule| is_of(&rule.record.subject));
        rules.map(|rule| (rule.actions, rule.record.namespace.clone())).collect()
    }

    /// Where a role is given to somebody.
    #[must_use]
    pub fn given(&self, role: &str) -> Vec<String> {
        let gives = |effect: &Effect| matches!(effect, Effect::Allow { role: name } if name == role);
        let rules = self.rules.all().filter(|rule| gives(&rule.record.effect));
        rules.map(|rule| rule.record.namespace.clone()).collect()
    }
}
