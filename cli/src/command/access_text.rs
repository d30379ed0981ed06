//! Rules and explanations as text for people.

use std::fmt::Write as _;

use node::access::{ExplainedRule, Explanation};
use node::admin::{ConditionEntry, NamedEffect, RuleEntry};

use super::status_text::{table, trimmed};
use crate::arguments::root_or;
use crate::figures::{count, moment};

/// The rules.
pub(super) fn rules(rules: &[RuleEntry]) -> String {
    if rules.is_empty() {
        return "there are no such rules: what nothing allows is denied; see regnode access grant --help\n".to_owned();
    }
    let mut rows = table(&["RULE", "SUBJECT", "DOES", "NAMESPACE", "ONLY", "BY", "WHEN", "NOTE"]);
    for rule in rules {
        rows.add_row([
            rule.id.to_string(),
            rule.subject.clone(),
            effect(&rule.effect),
            root_or(&rule.namespace).to_owned(),
            condition(&rule.condition),
            rule.created_by.clone(),
            moment(rule.created_milliseconds),
            rule.note.clone(),
        ]);
    }
    trimmed(&format!("{rows}\n"))
}

fn effect(effect: &NamedEffect) -> String {
    match effect {
        NamedEffect::Allow(role) => format!("allows {role}"),
        NamedEffect::Deny(actions) => format!("denies {}", actions.join(", ")),
    }
}

/// When a rule holds; nothing for one that always does.
fn condition(condition: &ConditionEntry) -> String {
    only(
        &condition.addresses,
        condition.not_before_milliseconds,
        condition.not_after_milliseconds,
        condition.daily_minutes,
    )
}

fn only(addresses: &[String], since: Option<u64>, until: Option<u64>, daily: Option<(u16, u16)>) -> String {
    let from = (!addresses.is_empty()).then(|| format!("from {}", addresses.join(" or ")));
    let since = since.map(|since| format!("since {}", moment(since)));
    let until = until.map(|until| format!("until {}", moment(until)));
    let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let daily = daily.map(|(from, to)| format!("{}-{} UTC", time(from), time(to)));
    from.into_iter().chain(since).chain(until).chain(daily).collect::<Vec<_>>().join(", ")
}

/// A rule in a sentence.
fn sentence(rule: &RuleEntry) -> String {
    let what = match &rule.effect {
        NamedEffect::Allow(role) => format!("{} has the role {role}", rule.subject),
        NamedEffect::Deny(actions) => format!("{} is denied {}", rule.subject, actions.join(", ")),
    };
    let place = match rule.namespace.as_str() {
        "" => "everywhere".to_owned(),
        namespace => format!("in {namespace} and below"),
    };
    let only = condition(&rule.condition);
    let only = if only.is_empty() { String::new() } else { format!(", only {only}") };
    format!("{what} {place}{only}")
}

/// What is said once a rule was made.
pub(super) fn added(rule: &RuleEntry) -> String {
    let mut text = format!("rule {}: {}", rule.id, sentence(rule));
    if rule.subject == "anonymous" && matches!(rule.effect, NamedEffect::Allow(_)) {
        text.push_str("\nmind: that is everybody who reaches this registry, without a login");
    }
    text
}

/// What is said once a rule was taken away.
pub(super) fn removed(rule: &RuleEntry) -> String {
    format!("rule {} is taken away: no longer does it hold that {}", rule.id, sentence(rule))
}

/// Whether somebody may do something, and why.
pub(super) fn explanation(explained: &Explanation) -> String {
    let verdict = if explained.allowed { "allowed" } else { "denied" };
    let groups = match explained.groups.as_slice() {
        [] => String::new(),
        groups => format!(", who belongs to {}", groups.join(", ")),
    };
    let mut text = format!(
        "{verdict}: {} to {} {}\n{}\n\nasked as {}{groups}, from {}, at {}\n",
        explained.principal,
        explained.action,
        if explained.repository.is_empty() { "/" } else { explained.repository.as_str() },
        explained.reason,
        explained.principal,
        explained.address,
        moment(explained.at_milliseconds)
    );
    if explained.rules.is_empty() {
        text.push_str("\nno rule is about this caller or covers this repository: regnode access grant makes one\n");
        return text;
    }
    let mut rows = table(&["", "RULE", "SUBJECT", "DOES", "NAMESPACE", "ONLY", "WHY"]);
    for rule in &explained.rules {
        rows.add_row([
            if explained.deciding == Some(rule.id) { "=>".to_owned() } else { String::new() },
            rule.id.to_string(),
            rule.subject.clone(),
            does(rule),
            root_or(&rule.namespace).to_owned(),
            only(&rule.addresses, rule.not_before_milliseconds, rule.not_after_milliseconds, rule.daily),
            rule.reason.clone(),
        ]);
    }
    write!(text, "\n{rows}\n").expect("a string takes any text");
    if explained.left_out > 0 {
        let more = count(explained.left_out, "further rule", "further rules");
        writeln!(text, "\nand {more}, which came less near to it").expect("a string takes any text");
    }
    trimmed(&text)
}

fn does(rule: &ExplainedRule) -> String {
    match &rule.role {
        Some(role) if rule.actions.is_empty() => format!("allows {role}"),
        Some(role) => format!("allows {role} ({})", rule.actions.join(", ")),
        None => format!("denies {}", rule.actions.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use node::access::Outcome;

    use super::*;

    const START: u64 = 1_800_000_000_000;

    fn rule(id: u64, subject: &str, effect: NamedEffect, namespace: &str) -> RuleEntry {
        RuleEntry {
            id,
            subject: subject.to_owned(),
            effect,
            namespace: namespace.to_owned(),
            condition: ConditionEntry::default(),
            note: String::new(),
            created_milliseconds: START,
            created_by: "operator".to_owned(),
        }
    }

    fn conditional() -> RuleEntry {
        let denied = NamedEffect::Deny(vec!["push".to_owned(), "tag".to_owned()]);
        let condition = ConditionEntry {
            addresses: vec!["10.0.0.0/8".to_owned(), "192.0.2.7/32".to_owned()],
            not_before_milliseconds: Some(START),
            not_after_milliseconds: Some(START + 86_400_000),
            daily_minutes: Some((1320, 365)),
        };
        RuleEntry { condition, note: "nightly freeze".to_owned(), ..rule(12, "group:contractors", denied, "acme/app") }
    }

    #[test]
    fn rules_read_well() {
        let open = rule(3, "anonymous", NamedEffect::Allow("reader".to_owned()), "");
        let texts =
            [rules(&[open.clone(), conditional()]), added(&open), added(&conditional()), removed(&conditional())];
        insta::assert_snapshot!(texts.join("\n----\n"));
        assert!(rules(&[]).contains("what nothing allows is denied"));
    }

    fn explained(id: u64, outcome: Outcome, denies: bool, reason: &str) -> ExplainedRule {
        let actions = if denies { ["push", "tag"].as_slice() } else { &["pull", "push", "tag"] };
        ExplainedRule {
            id,
            subject: "group:developers".to_owned(),
            role: (!denies).then(|| "writer".to_owned()),
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            denies,
            namespace: "acme".to_owned(),
            addresses: Vec::new(),
            not_before_milliseconds: None,
            not_after_milliseconds: denies.then_some(START),
            daily: None,
            note: String::new(),
            outcome,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn an_explanation_reads_well() {
        let denied = Explanation {
            version: 1,
            principal: "user:alice".to_owned(),
            groups: vec!["developers".to_owned()],
            address: "192.0.2.7".parse().unwrap(),
            at_milliseconds: START,
            action: "push".to_owned(),
            repository: "acme/app".to_owned(),
            allowed: false,
            deciding: Some(12),
            beyond_token: false,
            reason: "rule 12 denies it".to_owned(),
            rules: vec![
                explained(12, Outcome::Decides, true, "it denies push and decides"),
                explained(3, Outcome::Overruled, false, "it would allow push, but does not decide"),
            ],
            left_out: 2,
        };
        let nobody = Explanation {
            principal: "anonymous".to_owned(),
            groups: Vec::new(),
            deciding: None,
            reason: "no rule allows anonymous to push here".to_owned(),
            rules: Vec::new(),
            left_out: 0,
            ..denied.clone()
        };
        insta::assert_snapshot!(format!("{}----\n{}", explanation(&denied), explanation(&nobody)));
    }
}
