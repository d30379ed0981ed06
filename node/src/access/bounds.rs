//! What somebody may hand on to others: no more than he has himself, as with Kubernetes' roles. Otherwise whoever may bind
//! roles in one namespace could give himself every action there, and who keeps accounts could become anybody.
//!
//! Counted is only what holds always: a right under a condition is none to hand on, and a rule that denies him something
//! anywhere at or below the place keeps him from giving it there.
//!
//! Nor does he get around a rule that denies him something by name, or by a group of his, with another account: one that he
//! makes, or gives a password or a key to, is not to have what he is denied.

use std::collections::BTreeSet;
use std::sync::Arc;

use raft::directory::{Action, Actions, Condition, Effect, Subject};
use raft::time::Timestamp;

use super::caller::{Caller, Principal};
use super::rights::Rights;
use super::rule::Rule;
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

    /// Whether a rule without a condition allows it there, and none denies any of it. The cluster is operated at the root
    /// alone: what is said of that below means nothing.
    fn holds(&self, caller: &Caller, action: Action, namespace: &str) -> bool {
        let mut allowed = false;
        for rule in self.rules.of(caller).filter(|rule| rule.is_about(action)) {
            let (record, place) = (&rule.record, rule.record.namespace.as_str());
            if rule.denies() {
                if covers(place, namespace) || action != Action::Operate && covers(namespace, place) {
                    return false;
                }
            } else if covers(place, namespace) && record.condition == Condition::default() {
                allowed = true;
            }
        }
        allowed
    }

    /// Something that an account would have, with these groups, and that a rule denies a caller, and where. Rules that deny
    /// it to the account as well are in order. What everybody has who shows nothing does not count: nobody needs an account
    /// for it.
    #[must_use]
    pub fn evaded(&self, caller: &Caller, account: &Subject, groups: BTreeSet<String>) -> Option<(Action, String)> {
        let principal = match account {
            Subject::User(name) => Principal::User(name.clone()),
            Subject::Robot(name) => Principal::Robot(name.clone()),
            Subject::Anonymous | Subject::Authenticated | Subject::Group(_) => return None,
        };
        let account = Caller { principal, groups, ..Caller::anonymous(caller.address) };
        let (withheld, given): (Vec<&Arc<Rule>>, Vec<_>) = self.rules.of(&account).partition(|rule| rule.denies());
        let shared: BTreeSet<_> = withheld.iter().map(|rule| rule.id).collect();
        for deny in self.rules.of(caller).filter(|rule| rule.denies() && !shared.contains(&rule.id)) {
            for allow in given.iter().filter(|rule| rule.record.subject != Subject::Anonymous) {
                let (denied, allowed) = (deny.record.namespace.as_str(), allow.record.namespace.as_str());
                // Where both are about it, if anywhere.
                let place = if covers(denied, allowed) { allowed } else { denied };
                if !covers(allowed, place) {
                    continue;
                }
                let binds = |other: &Rule, action: Action| {
                    let always = other.record.condition == Condition::default();
                    other.is_about(action) && covers(&other.record.namespace, place) && always
                };
                let both = deny.actions.iter().filter(|action| allow.is_about(*action));
                for action in both {
                    if !withheld.iter().any(|other| binds(other, action)) {
                        return Some((action, place.to_owned()));
                    }
                }
            }
        }
        None
    }

    /// Groups that an account is in now; nobody else is in any.
    #[must_use]
    pub fn groups_of(&self, subject: &Subject) -> BTreeSet<String> {
        match subject {
            Subject::User(name) => self.groups(&Principal::User(name.clone())),
            Subject::Robot(name) => self.groups(&Principal::Robot(name.clone())),
            _ => BTreeSet::new(),
        }
    }

    /// What the rules about a subject are about and where, whether they allow or deny: those that name it, and of a user or a
    /// robot also those that name one of its groups. What everybody has is not among it.
    #[must_use]
    pub fn lent(&self, subject: &Subject) -> Vec<(Actions, String)> {
        self.about(subject).map(|rule| (rule.actions, rule.record.namespace.clone())).collect()
    }

    /// The same of those rules that allow: what somebody has who is let in as him.
    #[must_use]
    pub fn held(&self, subject: &Subject) -> Vec<(Actions, String)> {
        let allowing = self.about(subject).filter(|rule| !rule.denies());
        allowing.map(|rule| (rule.actions, rule.record.namespace.clone())).collect()
    }

    fn about(&self, subject: &Subject) -> impl Iterator<Item = &Arc<Rule>> {
        let groups = self.groups_of(subject);
        let is_of = move |other: &Subject| {
            other == subject || matches!(other, Subject::Group(name) if groups.contains(name.as_str()))
        };
        self.rules.all().filter(move |rule| is_of(&rule.record.subject))
    }

    /// Where a role is given to somebody.
    #[must_use]
    pub fn given(&self, role: &str) -> Vec<String> {
        let gives = |effect: &Effect| matches!(effect, Effect::Allow { role: name } if name == role);
        let rules = self.rules.all().filter(|rule| gives(&rule.record.effect));
        rules.map(|rule| rule.record.namespace.clone()).collect()
    }
}
