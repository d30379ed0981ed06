//! Why somebody may do something or not: every rule that was looked at, and what came of it.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use raft::directory::{Action, BindingId, Effect};
use raft::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::caller::{Caller, Principal};
use super::decide::{Decision, Ruling, is_external};
use super::rights::Rights;
use super::rule::Rule;
use super::rules::covers;

/// Rules that are told at most; those that come nearest to deciding come first.
pub const EXPLAINED_RULES_MAX: usize = 500;

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It decides.
    Decides,
    /// It says something about the action to the caller, and holds, but another one decides.
    Overruled,
    /// Its condition does not hold.
    Condition,
    /// It says nothing about the action.
    Action,
    /// It is about somebody else.
    Subject,
    /// It is about the caller, but its namespace does not cover the repository.
    Namespace,
}

/// A rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedRule {
    /// Its id.
    pub id: u64,
    /// Whom it is about.
    pub subject: String,
    /// The role that it gives; none if it denies.
    pub role: Option<String>,
    /// Names of the actions that it allows or denies.
    pub actions: Vec<String>,
    /// Whether it denies them.
    pub denies: bool,
    /// Its namespace, empty for the root.
    pub namespace: String,
    /// Networks from one of which the request must come, if any are said.
    pub addresses: Vec<String>,
    /// From when on it holds, milliseconds since the Unix epoch.
    pub not_before_milliseconds: Option<u64>,
    /// From when on it holds no more, milliseconds since the Unix epoch.
    pub not_after_milliseconds: Option<u64>,
    /// Minutes of the UTC day between which it holds.
    pub daily: Option<(u16, u16)>,
    /// What it is for, in the operator's words.
    pub note: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The same in a sentence.
    pub reason: String,
}

/// Why somebody may do something or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Version of this form.
    pub version: u32,
    /// Who asks.
    pub principal: String,
    /// Groups that he is in.
    pub groups: Vec<String>,
    /// Where he asks from.
    pub address: IpAddr,
    /// When he asks, milliseconds since the Unix epoch.
    pub at_milliseconds: u64,
    /// What he asks for.
    pub action: String,
    /// The repository, or the namespace.
    pub repository: String,
    /// Whether he may.
    pub allowed: bool,
    /// The rule that decides, if one does.
    pub deciding: Option<u64>,
    /// Whether only his token keeps him from it.
    pub beyond_token: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// The rules that were looked at: the deciding one first, then by how near they came to it.
    pub rules: Vec<ExplainedRule>,
    /// Rules that were looked at besides and are not told, since there are too many.
    pub left_out: u64,
}

impl Explanation {
    /// Version of the form that this program writes.
    pub const VERSION: u32 = 1;
}

impl Rights {
    /// Decides, and tells why.
    #[must_use]
    pub fn explain(&self, caller: &Caller, action: Action, repository: &str, now: Timestamp) -> Explanation {
        let decision = self.decide(caller, action, repository, now);
        let ruling = self.ruling(caller, action, repository, now);
        let asked = Asked { caller, action, repository, now };
        let covering = self.rules.covering(repository).flat_map(|place| place.rules.all());
        let elsewhere = self.rules.of(caller).filter(|rule| !covers(&rule.record.namespace, repository));
        let mut looked_at: Vec<(Outcome, &Arc<Rule>)> =
            covering.chain(elsewhere).map(|rule| (asked.outcome(rule, decision), rule)).collect();
        looked_at.sort_by_key(|(outcome, rule)| (*outcome, Reverse(rule.record.namespace.len()), rule.id));
        let left_out = looked_at.len().saturating_sub(EXPLAINED_RULES_MAX) as u64;
        looked_at.truncate(EXPLAINED_RULES_MAX);
        Explanation {
            version: Explanation::VERSION,
            principal: caller.principal.to_string(),
            groups: caller.groups.iter().cloned().collect(),
            address: caller.address,
            at_milliseconds: now.0,
            action: action.name().to_owned(),
            repository: repository.to_owned(),
            allowed: decision.allowed,
            deciding: decision.binding.map(|BindingId(id)| id),
            beyond_token: decision.beyond_token,
            reason: self.reason(&asked, decision, ruling),
            rules: looked_at.into_iter().map(|(outcome, rule)| asked.told(outcome, rule)).collect(),
            left_out,
        }
    }

    /// Why it was decided so.
    fn reason(&self, asked: &Asked<'_>, decision: Decision, ruling: Ruling<'_>) -> String {
        let Asked { caller, action, now, .. } = *asked;
        if caller.principal == Principal::Operator {
            return "whoever has the local socket may everything".to_owned();
        }
        if let Err(fallen) = self.standing(&caller.principal, now) {
            return fallen.to_string();
        }
        if let Some(rule) = ruling.deny {
            return format!("rule {} denies it", rule.id);
        }
        if decision.beyond_token {
            return match ruling.allow.filter(|_| !is_external(caller)) {
                Some(rule) => format!("rule {} allows it, but the token does not", rule.id),
                None => "no rule denies it, but the token does not allow it".to_owned(),
            };
        }
        if is_external(caller) {
            return "the token allows it, and no rule denies it".to_owned();
        }
        match ruling.allow {
            Some(rule) => format!("rule {} allows it", rule.id),
            None => format!("no rule allows {} to {action} here", caller.principal),
        }
    }
}

/// What somebody asks.
#[derive(Clone, Copy)]
struct Asked<'a> {
    caller: &'a Caller,
    action: Action,
    repository: &'a str,
    now: Timestamp,
}

impl Asked<'_> {
    fn outcome(&self, rule: &Rule, decision: Decision) -> Outcome {
        if !covers(&rule.record.namespace, self.repository) {
            Outcome::Namespace
        } else if !rule.matches(self.caller) {
            Outcome::Subject
        } else if !rule.is_about(self.action) {
            Outcome::Action
        } else if rule.unmet(self.caller, self.now).is_some() {
            Outcome::Condition
        } else if decision.binding == Some(rule.id) {
            Outcome::Decides
        } else {
            Outcome::Overruled
        }
    }

    fn told(&self, outcome: Outcome, rule: &Rule) -> ExplainedRule {
        let record = &rule.record;
        ExplainedRule {
            id: rule.id.0,
            subject: record.subject.to_string(),
            role: match &record.effect {
                Effect::Allow { role } => Some(role.clone()),
                Effect::Deny { .. } => None,
            },
            actions: rule.actions.iter().map(|action| action.name().to_owned()).collect(),
            denies: rule.denies(),
            namespace: record.namespace.clone(),
            addresses: record.condition.addresses.clone(),
            not_before_milliseconds: record.condition.not_before.map(|time| time.0),
            not_after_milliseconds: record.condition.not_after.map(|time| time.0),
            daily: record.condition.daily,
            note: record.note.clone(),
            outcome,
            reason: self.reason(outcome, rule),
        }
    }

    /// What came of a rule, in a sentence.
    fn reason(&self, outcome: Outcome, rule: &Rule) -> String {
        let principal = &self.caller.principal;
        match outcome {
            Outcome::Decides => {
                let verb = if rule.denies() { "denies" } else { "allows" };
                format!("it {verb} {} and decides", self.action)
            }
            Outcome::Overruled if rule.denies() => {
                format!("it denies {} too, but a rule of a longer namespace or an older one decides", self.action)
            }
            Outcome::Overruled => format!("it would allow {}, but does not decide", self.action),
            Outcome::Condition => rule.unmet(self.caller, self.now).map(|unmet| unmet.to_string()).unwrap_or_default(),
            Outcome::Action => match &rule.record.effect {
                Effect::Allow { role } => format!("the role {role} does not allow {}", self.action),
                Effect::Deny { .. } => format!("it denies other actions than {}", self.action),
            },
            Outcome::Subject => format!("it is about {}, not about {principal}", rule.record.subject),
            Outcome::Namespace => {
                format!("{:?} is not {:?} and not below it", self.repository, rule.record.namespace)
            }
        }
    }
}
