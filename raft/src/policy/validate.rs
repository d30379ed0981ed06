//! What an operator may set. An error names the field and the way out.

use serde::{Deserialize, Serialize};

use super::OPERATOR;
use super::limit::{PRINCIPAL_LENGTH_MAX, RETENTION_EVERY_SECONDS_MIN, RULES_MAX, SECONDS_MAX};
use super::namespace::{ImmutableRule, NamespacePolicy, Quota, QuotaResource, Retention, RetentionRule, Untagged};

/// A value that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct PolicyError {
    /// The field, as in the policy: `retention.rules[0].keep_last`. Lists count from 0.
    pub field: String,
    /// What is wrong and the way out.
    pub problem: String,
}

impl PolicyError {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

type Checked = Result<(), PolicyError>;

impl NamespacePolicy {
    /// Whether every value makes sense.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self) -> Checked {
        if let Some(Untagged::Collect { after_seconds }) = self.untagged {
            time("untagged.collect.after_seconds", after_seconds)?;
        }
        time("grace_seconds", self.grace_seconds.unwrap_or(0))?;
        time("restore_seconds", self.restore_seconds.unwrap_or(0))?;
        let immutable = self.immutable.as_deref().unwrap_or_default();
        count("immutable", immutable.len(), "rules", "one pattern with '*' can stand for many tags")?;
        for (index, rule) in immutable.iter().enumerate() {
            principals(&format!("immutable[{index}].except"), rule)?;
        }
        self.retention.as_ref().map_or(Ok(()), retention)?;
        quota(&self.quota)
    }
}

fn time(field: &str, seconds: u64) -> Checked {
    if seconds > SECONDS_MAX {
        let problem = format!("{seconds} seconds are more than ten years: at most {SECONDS_MAX} are allowed");
        return Err(PolicyError::new(field, problem));
    }
    Ok(())
}

fn count(field: &str, count: usize, what: &str, way_out: &str) -> Checked {
    if count > RULES_MAX {
        return Err(PolicyError::new(field, format!("{count} {what}, at most {RULES_MAX} are allowed: {way_out}")));
    }
    Ok(())
}

fn principals(field: &str, rule: &ImmutableRule) -> Checked {
    count(field, rule.except.len(), "principals", "name those only who really need it")?;
    for (index, principal) in rule.except.iter().enumerate() {
        let field = format!("{field}[{index}]");
        if principal.trim().is_empty() {
            return Err(PolicyError::new(field, "a principal without a name: remove it, or write who is meant"));
        }
        let is_somebody = principal == OPERATOR
            || principal
                .strip_prefix("user:")
                .or_else(|| principal.strip_prefix("robot:"))
                .is_some_and(|name| !name.is_empty());
        if !is_somebody {
            let problem = format!("{principal:?} is nobody: user:NAME, robot:NAME or {OPERATOR} is expected");
            return Err(PolicyError::new(field, problem));
        }
        if principal.chars().count() > PRINCIPAL_LENGTH_MAX {
            let problem = format!("a principal's name has at most {PRINCIPAL_LENGTH_MAX} characters");
            return Err(PolicyError::new(field, problem));
        }
    }
    Ok(())
}

fn retention(retention: &Retention) -> Checked {
    count("retention.rules", retention.rules.len(), "rules", "one pattern with '*' can stand for many tags")?;
    let patterns = retention.always_keep.len();
    count("retention.always_keep", patterns, "patterns", "one pattern with '*' can stand for many tags")?;
    for (index, kept) in retention.rules.iter().enumerate() {
        rule(&format!("retention.rules[{index}]"), kept)?;
    }
    time("retention.every_seconds", retention.every_seconds)?;
    if retention.every_seconds < RETENTION_EVERY_SECONDS_MIN {
        let problem = format!(
            "{} seconds are too few, a run reads every tag of the namespace: at least {RETENTION_EVERY_SECONDS_MIN} are \
             allowed",
            retention.every_seconds
        );
        return Err(PolicyError::new("retention.every_seconds", problem));
    }
    Ok(())
}

fn rule(field: &str, rule: &RetentionRule) -> Checked {
    let conditions = [
        ("keep_last", rule.keep_last.map(u64::from)),
        ("pushed_within_seconds", rule.pushed_within_seconds),
        ("pulled_within_seconds", rule.pulled_within_seconds),
    ];
    if conditions.iter().all(|(_, value)| value.is_none()) {
        let problem = "it keeps nothing, so every tag that it speaks of would go: set keep_last, pushed_within_seconds \
                       or pulled_within_seconds";
        return Err(PolicyError::new(field, problem));
    }
    for (name, value) in conditions {
        if value == Some(0) {
            let problem = "0 keeps nothing: set at least 1, or leave it out";
            return Err(PolicyError::new(format!("{field}.{name}"), problem));
        }
    }
    time(&format!("{field}.pushed_within_seconds"), rule.pushed_within_seconds.unwrap_or(0))?;
    time(&format!("{field}.pulled_within_seconds"), rule.pulled_within_seconds.unwrap_or(0))
}

fn quota(quota: &Quota) -> Checked {
    for resource in QuotaResource::ALL {
        if quota.limit(resource) == Some(0) {
            let problem = "0 would refuse every push: set at least 1, or leave it out for no bound";
            return Err(PolicyError::new(format!("quota.{}", resource.name()), problem));
        }
    }
    Ok(())
}
