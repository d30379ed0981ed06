//! What is worth a record: who did what, from where, to what, and what came of it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Most characters of each text of a record. What a stranger sends as his name must not fill a disk.
pub(super) const TEXT_CHARACTERS_MAX: usize = 512;

/// The action of a pull: a manifest or a blob was given out. Left out of the log with `audit.pulls = false`.
pub const PULL: &str = "pull";

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not allowed.
    Refused,
    /// It was allowed, and did not work.
    Failed,
}

impl Outcome {
    /// The word of it in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Something that goes into the audit log. Node, number, time and chain are added when it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// What was done: `login`, `denied`, `pull`, `push`, `tag`, `delete`, `policy`, `member`, `access`, `token`, and what
    /// else a room names its actions.
    pub action: &'static str,
    /// Who: a principal as text (`user:anna`, `robot:ci`, `anonymous`, `operator`).
    pub actor: String,
    /// How he showed who he is (`password`, `key`, `certificate`, `token`, `socket`, `none`). Empty: not known.
    pub way: &'static str,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The domain of a tenant by which the client asked. Empty: none.
    pub domain: String,
    /// The repository or namespace that is concerned. Empty: none.
    pub repository: String,
    /// What within it, or what else: a tag, a digest, a user, a node. Empty: nothing.
    pub target: String,
    /// What it was before, for changes.
    pub before: Option<String>,
    /// What it is now, for changes.
    pub after: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// Whatever else helps to understand it, for people. Never a secret. Empty: nothing.
    pub detail: String,
}

impl AuditEvent {
    /// Something that was done. The other fields are empty; the methods below fill them.
    #[must_use]
    pub fn new(action: &'static str, actor: impl Into<String>) -> Self {
        Self {
            action,
            actor: actor.into(),
            way: "",
            address: None,
            domain: String::new(),
            repository: String::new(),
            target: String::new(),
            before: None,
            after: None,
            outcome: Outcome::Done,
            detail: String::new(),
        }
    }

    /// Something that the operator did through the local socket.
    #[must_use]
    pub fn of_operator(action: &'static str) -> Self {
        Self::new(action, "operator").by("socket")
    }

    /// How the actor showed who he is.
    #[must_use]
    pub const fn by(mut self, way: &'static str) -> Self {
        self.way = way;
        self
    }

    /// Where the request came from.
    #[must_use]
    pub const fn from(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// The domain of a tenant by which the client asked, if it did.
    #[must_use]
    pub fn at(mut self, domain: Option<&str>) -> Self {
        domain.unwrap_or_default().clone_into(&mut self.domain);
        self
    }

    /// The repository or namespace that is concerned.
    #[must_use]
    pub fn repository(mut self, repository: impl Into<String>) -> Self {
        self.repository = repository.into();
        self
    }

    /// What within the repository, or what else.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    /// What a change made of what.
    #[must_use]
    pub fn change(mut self, before: Option<String>, after: Option<String>) -> Self {
        self.before = before;
        self.after = after;
        self
    }

    /// What came of it.
    #[must_use]
    pub const fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Whatever else helps to understand it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Whether `audit.pulls` decides on it: a pull that went well. A refused one is always written.
    pub(super) fn is_pull(&self) -> bool {
        self.action == PULL && self.outcome == Outcome::Done
    }

    /// The same with no text longer than [`TEXT_CHARACTERS_MAX`], so that a waiting event has a known size.
    pub(super) fn bounded(mut self) -> Self {
        for text in [&mut self.actor, &mut self.domain, &mut self.repository, &mut self.target, &mut self.detail] {
            bound(text);
        }
        for text in [&mut self.before, &mut self.after].into_iter().flatten() {
            bound(text);
        }
        self
    }
}

/// Cuts a text that is too long, and shows that it was cut.
fn bound(text: &mut String) {
    // Most are shorter in bytes already.
    if text.len() > TEXT_CHARACTERS_MAX
        && let Some((end, _)) = text.char_indices().nth(TEXT_CHARACTERS_MAX)
    {
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_show_it() {
        let event = AuditEvent::new("login", "ä".repeat(600)).detail("x".repeat(512)).bounded();
        assert_eq!(event.actor, format!("{}…", "ä".repeat(512)));
        assert_eq!(event.detail, "x".repeat(512));
    }

    #[test]
    fn only_pulls_that_went_well_can_be_left_out() {
        assert!(AuditEvent::new(PULL, "anonymous").is_pull());
        assert!(!AuditEvent::new(PULL, "anonymous").outcome(Outcome::Refused).is_pull());
        assert!(!AuditEvent::new("push", "anonymous").is_pull());
    }
}
