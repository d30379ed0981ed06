//! What somebody may see in lists of repositories: worked out once a list, then a look-up a name, and whole namespaces that
//! he may not see are passed over.

use std::borrow::Cow;

use raft::directory::Action;
use raft::time::Timestamp;

use super::caller::{Caller, GrantKind, Principal};
use super::decide::is_external;
use super::rights::Rights;
use super::rules::covers;

/// Which repositories somebody sees in a list. A token that lets him list lets him see what the rules let him pull; another
/// one shows nothing but the repositories that it names.
#[derive(Debug)]
pub struct Listing {
    /// From which text on names are seen, or not. By the text, beginning with the empty one, and by turns.
    steps: Vec<(String, bool)>,
}

impl Listing {
    /// Whether a repository stands in the list.
    #[must_use]
    pub fn shows(&self, repository: &str) -> bool {
        self.steps[self.step(repository)].1
    }

    /// The first text, in the order of bytes, that is not before another one and from which on a repository may stand in
    /// the list. It need not be a valid name. `None`: nothing more comes.
    #[must_use]
    pub fn next<'a>(&'a self, from: &'a str) -> Option<Cow<'a, str>> {
        let step = self.step(from);
        if self.steps[step].1 {
            return Some(Cow::Borrowed(from));
        }
        self.steps.get(step + 1).map(|(text, _)| Cow::Borrowed(text.as_str()))
    }

    /// The last step that begins at a text or before.
    fn step(&self, text: &str) -> usize {
        // The first one begins with the empty text.
        self.steps.partition_point(|(begin, _)| begin.as_str() <= text).saturating_sub(1)
    }
}

impl Rights {
    /// What a caller sees in lists of repositories.
    #[must_use]
    pub fn listing(&self, caller: &Caller, now: Timestamp) -> Listing {
        let mut texts = vec![String::new()];
        if self.stands(caller, now) {
            if rules_bound_lists(caller) {
                let pull = self.rules.of(caller).filter(|rule| rule.is_about(Action::Pull));
                texts.extend(pull.flat_map(|rule| borders(&rule.record.namespace)));
            } else {
                let named = named(caller);
                texts.extend(named.flat_map(|name| [name.to_owned(), format!("{name}\0")]));
            }
        }
        texts.sort_unstable();
        texts.dedup();
        let mut steps: Vec<(String, bool)> = Vec::new();
        for text in texts {
            let seen = self.is_listed(caller, &text, now);
            if steps.last().is_none_or(|(_, before)| *before != seen) {
                steps.push((text, seen));
            }
        }
        Listing { steps }
    }

    /// Whether a caller sees anything at a prefix or below it: whether there can be a repository there that stands in his
    /// list. The root's prefix is empty.
    #[must_use]
    pub fn sees_any(&self, caller: &Caller, prefix: &str, now: Timestamp) -> bool {
        if self.is_listed(caller, prefix, now) {
            return true;
        }
        if !rules_bound_lists(caller) {
            return named(caller).any(|name| covers(prefix, name) && self.is_listed(caller, name, now));
        }
        // Once it is denied it is denied all the way down.
        if !self.stands(caller, now) || self.ruling(caller, Action::Pull, prefix, now).deny.is_some() {
            return false;
        }
        let allow = self.rules.of_below(caller, prefix).filter(|rule| rule.is_about(Action::Pull) && !rule.denies());
        allow.into_iter().any(|rule| self.is_listed(caller, &rule.record.namespace, now))
    }

    fn is_listed(&self, caller: &Caller, repository: &str, now: Timestamp) -> bool {
        if !rules_bound_lists(caller) {
            return self.allows(caller, Action::Pull, repository, now);
        }
        if caller.principal == Principal::Operator {
            return true;
        }
        self.stands(caller, now) && self.ruling(caller, Action::Pull, repository, now).allows(caller)
    }
}

/// Whether only the rules bound what a caller sees in lists.
fn rules_bound_lists(caller: &Caller) -> bool {
    caller.may_list() && (caller.grants.is_some() || !is_external(caller))
}

/// The repositories that a caller's token names.
fn named(caller: &Caller) -> impl Iterator<Item = &str> {
    let grants = caller.grants.as_deref().unwrap_or_default();
    grants.iter().filter(|grant| grant.kind == GrantKind::Repository).map(|grant| grant.name.as_str())
}

/// Texts at which a namespace's part of all texts begins or ends: itself, and what begins with it and a slash.
fn borders(namespace: &str) -> Vec<String> {
    if namespace.is_empty() {
        return Vec::new();
    }
    // '0' is the byte after '/'.
    ["", "\0", "/", "0"].map(|end| format!("{namespace}{end}")).into()
}
