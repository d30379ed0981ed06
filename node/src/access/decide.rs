//! The decision: may this caller do that there?
//!
//! Of all rules that cover the repository, are about the caller and hold now, one that denies the action decides; if there
//! is none, one that allows it; if there is none either, it is denied. A token bounds what the rules allow. Whoever an
//! outside token service vouches for has what his token says, unless a rule denies it.

use std::sync::Arc;

use raft::directory::{Action, BindingId};
use raft::time::Timestamp;

use super::caller::{Caller, Grant, GrantKind, Principal};
use super::rights::Rights;
use super::rule::Rule;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether he may.
    pub allowed: bool,
    /// The rule that decides: of several the one of the longest namespace, then the oldest.
    pub binding: Option<BindingId>,
    /// Whether only his token keeps him from it: the rules allow it, or would not deny it to who brings such a token.
    pub beyond_token: bool,
}

impl Decision {
    const DENIED: Self = Self { allowed: false, binding: None, beyond_token: false };
    const ALLOWED: Self = Self { allowed: true, binding: None, beyond_token: false };
    const BEYOND_TOKEN: Self = Self { allowed: false, binding: None, beyond_token: true };
}

/// What the rules say, whatever the token does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ruling<'a> {
    /// The deciding one of those that deny it.
    pub(super) deny: Option<&'a Arc<Rule>>,
    /// The deciding one of those that allow it.
    pub(super) allow: Option<&'a Arc<Rule>>,
}

impl Ruling<'_> {
    /// Whether it is allowed: by a rule, or for somebody from outside by his token unless a rule denies it.
    pub(super) fn allows(&self, caller: &Caller) -> bool {
        self.deny.is_none() && (self.allow.is_some() || is_external(caller))
    }
}

impl Rights {
    /// Whether a caller may do something with a repository, or below a prefix of repositories' names; the root's is empty.
    #[must_use]
    pub fn decide(&self, caller: &Caller, action: Action, repository: &str, now: Timestamp) -> Decision {
        if caller.principal == Principal::Operator {
            return Decision::ALLOWED;
        }
        if !self.stands(caller, now) {
            return Decision::DENIED;
        }
        let ruling = self.ruling(caller, action, repository, now);
        if !ruling.allows(caller) {
            return Decision { binding: ruling.deny.map(|rule| rule.id), ..Decision::DENIED };
        }
        if !is_granted(caller, action, repository) {
            return Decision::BEYOND_TOKEN;
        }
        let binding = if is_external(caller) { None } else { ruling.allow.map(|rule| rule.id) };
        Decision { binding, ..Decision::ALLOWED }
    }

    /// Whether he may, and no more about it.
    #[must_use]
    pub fn allows(&self, caller: &Caller, action: Action, repository: &str, now: Timestamp) -> bool {
        self.decide(caller, action, repository, now).allowed
    }

    /// The same of what acts on all that is below a prefix: a rule that denies the action anywhere there denies the whole.
    /// Where that is, is told too.
    #[must_use]
    pub fn decide_throughout(
        &self,
        caller: &Caller,
        action: Action,
        prefix: &str,
        now: Timestamp,
    ) -> (Decision, Option<&str>) {
        let decision = self.decide(caller, action, prefix, now);
        if !decision.allowed || caller.principal == Principal::Operator {
            return (decision, None);
        }
        let below = self.rules.of_below(caller, prefix);
        let denying = below.filter(|rule| rule.denies() && rule.is_about(action) && rule.unmet(caller, now).is_none());
        let key = |rule: &Arc<Rule>| (rule.record.namespace.clone(), rule.id);
        match denying.min_by_key(|rule| key(rule)) {
            Some(rule) => (Decision { binding: Some(rule.id), ..Decision::DENIED }, Some(&rule.record.namespace)),
            None => (decision, None),
        }
    }

    /// What the rules say.
    pub(super) fn ruling(&self, caller: &Caller, action: Action, repository: &str, now: Timestamp) -> Ruling<'_> {
        let mut ruling = Ruling::default();
        for place in self.rules.covering(repository) {
            let mut here = Ruling::default();
            let about = |rule: &&Arc<Rule>| rule.is_about(action);
            for rule in place.rules.of(caller).flatten().filter(about) {
                let slot = if rule.denies() { &mut here.deny } else { &mut here.allow };
                if slot.is_none_or(|other: &Arc<Rule>| rule.id < other.id) && rule.unmet(caller, now).is_none() {
                    *slot = Some(rule);
                }
            }
            // Each place is a longer prefix than the one before.
            ruling = Ruling { deny: here.deny.or(ruling.deny), allow: here.allow.or(ruling.allow) };
        }
        ruling
    }
}

/// Whether what a token says is the whole right.
pub(super) fn is_external(caller: &Caller) -> bool {
    matches!(caller.principal, Principal::External { .. })
}

/// Whether a caller's token goes as far. Without a token it is not asked; who is from outside has one.
pub(super) fn is_granted(caller: &Caller, action: Action, repository: &str) -> bool {
    let Some(grants) = caller.grants.as_deref() else { return !is_external(caller) };
    let Some(word) = token_word(action) else { return false };
    grants.iter().any(|grant| is_of(grant, repository) && grant.allows(word))
}

fn is_of(grant: &Grant, repository: &str) -> bool {
    grant.kind == GrantKind::Repository && grant.name == repository
}

/// What a token calls an action. The others are had by no token: it is made to move images, not to administer.
const fn token_word(action: Action) -> Option<&'static str> {
    match action {
        Action::Pull => Some("pull"),
        Action::Push | Action::Tag => Some("push"),
        Action::Delete => Some("delete"),
        Action::Policy | Action::Access | Action::Audit | Action::Operate => None,
    }
}
