//! What can be done: eight actions, and sets of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Something that a role may allow and a rule may deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Read manifests, blobs, tags and history of a repository.
    Pull,
    /// Upload blobs, mount them, put manifests by digest.
    Push,
    /// Make or move a tag.
    Tag,
    /// Delete manifests, tags and blobs.
    Delete,
    /// Policies, quotas, retention and jobs of a namespace.
    Policy,
    /// Bind roles at a namespace or below it.
    Access,
    /// Read the audit log, usage, and the history of all.
    Audit,
    /// Everything of the cluster: nodes, disks, regions, users, keys.
    Operate,
}

/// A text that is not an action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an action: pull, push, tag, delete, policy, access, audit and operate are")]
pub struct InvalidAction(String);

impl Action {
    /// All of them, in the order of their bits in [`Actions`].
    pub const ALL: [Self; 8] =
        [Self::Pull, Self::Push, Self::Tag, Self::Delete, Self::Policy, Self::Access, Self::Audit, Self::Operate];

    /// Its name, as operators write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Tag => "tag",
            Self::Delete => "delete",
            Self::Policy => "policy",
            Self::Access => "access",
            Self::Audit => "audit",
            Self::Operate => "operate",
        }
    }

    /// Its bit in [`Actions`].
    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Action {
    type Err = InvalidAction;

    fn from_str(text: &str) -> Result<Self, InvalidAction> {
        let named = Self::ALL.into_iter().find(|action| action.name() == text);
        named.ok_or_else(|| InvalidAction(text.chars().take(32).collect()))
    }
}

/// A set of actions: one bit each, so that a stored set keeps its meaning when actions are appended. `Display` lists
/// them, joined by commas, as [`FromStr`] reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actions(u16);

impl Actions {
    /// No action.
    pub const EMPTY: Self = Self(0);
    /// Every action.
    pub const ALL: Self = Self::of(&Action::ALL);

    /// The set of these.
    #[must_use]
    pub const fn of(actions: &[Action]) -> Self {
        let (mut bits, mut next) = (0, 0);
        while next < actions.len() {
            bits |= actions[next].bit();
            next += 1;
        }
        Self(bits)
    }

    /// Whether an action is in it.
    #[must_use]
    pub const fn contains(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// The set with one more.
    #[must_use]
    pub const fn with(self, action: Action) -> Self {
        Self(self.0 | action.bit())
    }

    /// Whether no action is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all that is in it is in the other one too.
    #[must_use]
    pub const fn is_subset(self, of: Self) -> bool {
        self.0 & !of.0 == 0
    }

    /// What is in it, in the order of [`Action::ALL`].
    pub fn iter(self) -> ActionsIter {
        ActionsIter { actions: self, next: 0 }
    }

    /// Whether it has no bit that this program knows no action for. A newer program's set may have some; a command with
    /// such a set is refused.
    #[must_use]
    pub(in crate::directory) const fn is_known(self) -> bool {
        self.is_subset(Self::ALL)
    }
}

/// Iterates over a set, in the order of [`Action::ALL`].
#[derive(Clone, Debug)]
pub struct ActionsIter {
    actions: Actions,
    next: usize,
}

impl Iterator for ActionsIter {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        while let Some(action) = Action::ALL.get(self.next) {
            self.next += 1;
            if self.actions.contains(*action) {
                return Some(*action);
            }
        }
        None
    }
}

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = ActionsIter;

    fn into_iter(self) -> ActionsIter {
        self.iter()
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        actions.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, action) in self.iter().enumerate() {
            let joint = if position == 0 { "" } else { "," };
            write!(formatter, "{joint}{action}")?;
        }
        Ok(())
    }
}

impl FromStr for Actions {
    type Err = InvalidAction;

    fn from_str(text: &str) -> Result<Self, InvalidAction> {
        text.split(',').map(|action| action.trim().parse::<Action>()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let set = Actions::of(&[Action::Delete, Action::Pull]);
        assert_eq!(set, Actions::EMPTY.with(Action::Pull).with(Action::Delete).with(Action::Pull));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Action::Pull, Action::Delete]);
        assert_eq!(set.iter().collect::<Actions>(), set);
        assert!(set.contains(Action::Pull) && !set.contains(Action::Push) && !set.is_empty());
        assert!(set.is_subset(Actions::ALL) && Actions::EMPTY.is_subset(set) && !Actions::ALL.is_subset(set));
        assert_eq!(Actions::ALL.iter().collect::<Vec<_>>(), Action::ALL);
        assert!(Actions::EMPTY.is_empty() && Actions::EMPTY.iter().next().is_none());
        assert!(Actions(255).is_known() && !Actions(256).is_known());
    }

    #[test]
    fn actions_are_read_as_they_are_written() {
        for action in Action::ALL {
            assert_eq!(action.name().parse(), Ok(action));
        }
        let set = Actions::of(&[Action::Pull, Action::Audit]);
        assert_eq!(set.to_string(), "pull,audit");
        assert_eq!("audit, pull".parse(), Ok(set));
        for bad in ["", "Pull", "pull,", "read"] {
            let error = bad.parse::<Actions>().unwrap_err().to_string();
            assert!(error.contains("is not an action: pull, push"), "{error}");
        }
    }
}
