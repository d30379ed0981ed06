//! Policies as text for people, in the words in which they are typed.

use node::admin::PolicyField;
use node::deletion::Bound;
use raft::policy::{ImmutableRule, NamespacePolicy, QuotaResource, Retention, RetentionRule, Untagged};

use crate::figures::{exact, size};

/// What a namespace sets, each field as `name=value`.
pub(super) fn settings(policy: &NamespacePolicy) -> Vec<String> {
    let fields = [
        (PolicyField::Deletes, policy.deletes.map(|on| switch(on).to_owned())),
        (PolicyField::Untagged, policy.untagged.map(untagged)),
        (PolicyField::Grace, policy.grace_seconds.map(exact)),
        (PolicyField::Restore, policy.restore_seconds.map(exact)),
        (PolicyField::Immutable, policy.immutable.as_deref().map(|rules| immutable(rules).join("; "))),
        (PolicyField::Retention, policy.retention.as_ref().map(|retention| rules(retention).join("; "))),
        (PolicyField::QuotaBytes, policy.quota.bytes.map(size)),
        (PolicyField::QuotaTags, policy.quota.tags.map(|tags| tags.to_string())),
        (PolicyField::QuotaRepositories, policy.quota.repositories.map(|repositories| repositories.to_string())),
        (PolicyField::QuotaManifests, policy.quota.manifests.map(|manifests| manifests.to_string())),
    ];
    fields.into_iter().filter_map(|(field, value)| Some(format!("{}={}", field.name(), value?))).collect()
}

/// On or off.
pub(super) const fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// What becomes of manifests without a tag.
pub(super) fn untagged(untagged: Untagged) -> String {
    match untagged {
        Untagged::Keep => "keep".to_owned(),
        Untagged::Collect { after_seconds } => format!("collect after {}", exact(after_seconds)),
    }
}

/// Immutable tags, a line for all patterns with the same exceptions.
pub(super) fn immutable(rules: &[ImmutableRule]) -> Vec<String> {
    if rules.is_empty() {
        return vec!["none".to_owned()];
    }
    let mut lines: Vec<(String, &[String])> = Vec::new();
    for rule in rules {
        match lines.last_mut() {
            Some((patterns, except)) if *except == rule.except => {
                patterns.push_str(", ");
                patterns.push_str(rule.tags.as_str());
            }
            _ => lines.push((rule.tags.to_string(), &rule.except)),
        }
    }
    let line = |(patterns, except): (String, &[String])| {
        if except.is_empty() { patterns } else { format!("{patterns} (except by {})", except.join(", ")) }
    };
    lines.into_iter().map(line).collect()
}

/// A retention, a line for each rule and one for each other field.
pub(super) fn rules(retention: &Retention) -> Vec<String> {
    if retention.rules.is_empty() {
        return vec!["none".to_owned()];
    }
    let mut lines: Vec<String> = retention.rules.iter().map(rule).collect();
    if !retention.always_keep.is_empty() {
        let patterns: Vec<&str> = retention.always_keep.iter().map(raft::policy::Pattern::as_str).collect();
        lines.push(format!("always keep {}", patterns.join(", ")));
    }
    if !retention.keep_signed {
        lines.push("signed tags go as well".to_owned());
    }
    if !retention.keep_referenced {
        lines.push("tags of what an index lists go as well".to_owned());
    }
    lines.push(format!("every {}", exact(retention.every_seconds)));
    lines
}

fn rule(rule: &RetentionRule) -> String {
    let mut text = format!("tags={}", rule.tags);
    let conditions = [
        ("keep-last", rule.keep_last.map(|number| number.to_string())),
        ("pushed-within", rule.pushed_within_seconds.map(compact)),
        ("pulled-within", rule.pulled_within_seconds.map(compact)),
    ];
    for (name, value) in conditions {
        if let Some(value) = value {
            text = format!("{text},{name}={value}");
        }
    }
    text
}

/// A duration without blanks, as it can be typed.
fn compact(seconds: u64) -> String {
    exact(seconds).replace(' ', "")
}

/// How much of each quota is used: namespace, resource, used, allowed, percent.
pub(super) fn quotas(bounds: &[Bound]) -> Vec<[String; 5]> {
    let mut rows = Vec::new();
    for bound in bounds {
        for resource in QuotaResource::ALL {
            let Some(limit) = bound.quota.limit(resource) else { continue };
            let used = bound.usage.of(resource);
            let percent = u128::from(used) * 100 / u128::from(limit.max(1));
            rows.push([
                crate::arguments::root_or(&bound.namespace).to_owned(),
                resource.name().to_owned(),
                figure(resource, used),
                figure(resource, limit),
                format!("{percent}%"),
            ]);
        }
    }
    rows
}

/// A figure of what is used, with what is allowed, if that is bounded.
pub(super) fn of_quota(bound: &Bound, resource: QuotaResource) -> String {
    let used = figure(resource, bound.usage.of(resource));
    match bound.quota.limit(resource) {
        Some(limit) => format!("{used} of {}", figure(resource, limit)),
        None => used,
    }
}

fn figure(resource: QuotaResource, value: u64) -> String {
    if resource == QuotaResource::Bytes { size(value) } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use raft::catalog::UsageRecord;
    use raft::policy::Quota;

    use super::*;

    #[test]
    fn what_is_set_reads_as_it_is_typed() {
        let rule = |tags: &str, keep_last, pushed_within_seconds| RetentionRule {
            tags: tags.parse().unwrap(),
            keep_last,
            pushed_within_seconds,
            pulled_within_seconds: None,
        };
        let retention = Retention {
            rules: vec![rule("pr-*", Some(3), None), rule("*", None, Some(30 * 86_400))],
            always_keep: vec!["latest".parse().unwrap()],
            keep_signed: false,
            keep_referenced: true,
            every_seconds: 86_400,
        };
        let immutable_rule = |tags: &str, except: &[&str]| ImmutableRule {
            tags: tags.parse().unwrap(),
            except: except.iter().map(ToString::to_string).collect(),
        };
        let policy = NamespacePolicy {
            deletes: Some(false),
            untagged: Some(Untagged::Collect { after_seconds: 7 * 86_400 }),
            grace_seconds: Some(90_061),
            restore_seconds: Some(0),
            immutable: Some(vec![
                immutable_rule("v*", &[]),
                immutable_rule("r-*", &[]),
                immutable_rule("x", &["robot"]),
            ]),
            retention: Some(retention),
            quota: Quota { bytes: Some(10 << 30), tags: Some(7), ..Quota::default() },
        };
        let expected = [
            "deletes=off",
            "untagged=collect after 7days",
            "grace=1day 1h 1m 1s",
            "restore=0s",
            "immutable=v*, r-*; x (except by robot)",
            "retention=tags=pr-*,keep-last=3; tags=*,pushed-within=30days; always keep latest; signed tags go as well; every 1day",
            "quota-bytes=10.0 GiB",
            "quota-tags=7",
        ];
        assert_eq!(settings(&policy), expected);
        assert!(settings(&NamespacePolicy::default()).is_empty());
    }

    #[test]
    fn a_quota_says_how_much_of_it_is_used() {
        let bound = Bound {
            namespace: String::new(),
            quota: Quota { bytes: Some(4 << 30), ..Quota::default() },
            usage: UsageRecord { bytes: 1 << 30, tags: 5, ..UsageRecord::default() },
        };
        assert_eq!(
            quotas(std::slice::from_ref(&bound)),
            [["/", "bytes", "1.0 GiB", "4.0 GiB", "25%"].map(ToOwned::to_owned)]
        );
        assert_eq!(of_quota(&bound, QuotaResource::Bytes), "1.0 GiB of 4.0 GiB");
        assert_eq!(of_quota(&bound, QuotaResource::Tags), "5");
    }
}
