//! The form of a policy in TOML and JSON, as operators write it.

use proptest::prelude::*;

use crate::policy::*;
use crate::strategy::any_policy;

const WHOLE: &str = r#"
deletes = false
untagged = { collect = { after_seconds = 3600 } }
grace_seconds = 7200
restore_seconds = 0

[[immutable]]
tags = "v*"
except = ["robot:ci"]

[retention]
always_keep = ["latest"]
keep_signed = false

[[retention.rules]]
tags = "pr-*"
keep_last = 10
pulled_within_seconds = 86400

[quota]
bytes = 1000000
tags = 100
"#;

#[test]
fn a_whole_policy_reads_as_it_is_written() {
    let policy: NamespacePolicy = toml::from_str(WHOLE).unwrap();
    let rule = RetentionRule {
        tags: "pr-*".parse().unwrap(),
        keep_last: Some(10),
        pushed_within_seconds: None,
        pulled_within_seconds: Some(86_400),
    };
    let expected = NamespacePolicy {
        deletes: Some(false),
        untagged: Some(Untagged::Collect { after_seconds: 3600 }),
        grace_seconds: Some(7200),
        restore_seconds: Some(0),
        immutable: Some(vec![ImmutableRule { tags: "v*".parse().unwrap(), except: vec!["robot:ci".to_owned()] }]),
        retention: Some(Retention {
            rules: vec![rule],
            always_keep: vec!["latest".parse().unwrap()],
            keep_signed: false,
            keep_referenced: true,
            every_seconds: 86_400,
        }),
        quota: Quota { bytes: Some(1_000_000), tags: Some(100), ..Quota::default() },
    };
    assert_eq!(policy, expected);
    assert_eq!(policy.check(), Ok(()));
    assert!(!policy.is_empty());
}

#[test]
fn nothing_written_is_nothing_set() {
    let empty: NamespacePolicy = toml::from_str("").unwrap();
    assert!(empty.is_empty());
    assert_eq!(serde_json::from_str::<NamespacePolicy>("{}").unwrap(), empty);
    assert_eq!(serde_json::from_str::<NamespacePolicy>(r#"{"deletes": null, "retention": null}"#).unwrap(), empty);
    assert_eq!(toml::from_str::<NamespacePolicy>("untagged = \"keep\"").unwrap().untagged, Some(Untagged::Keep));
}

#[test]
fn a_field_that_nobody_knows_is_refused_by_name_at_every_depth() {
    for (text, field) in [
        ("delete = true", "delete"),
        ("quota = { byte = 1 }", "byte"),
        ("untagged = { collect = { seconds = 1 } }", "seconds"),
        ("immutable = [{ tags = \"*\", exempt = [] }]", "exempt"),
        ("retention = { rules = [], keep = 1 }", "keep"),
        ("retention = { rules = [{ tags = \"*\", last = 1 }] }", "last"),
    ] {
        let error = toml::from_str::<NamespacePolicy>(text).unwrap_err().to_string();
        let named = [format!("unknown field `{field}`"), format!("unexpected keys in table: {field},")];
        assert!(named.iter().any(|named| error.contains(named)), "{error}");
    }
}

#[test]
fn a_pattern_that_is_none_is_refused_with_the_reason() {
    let error = toml::from_str::<NamespacePolicy>("immutable = [{ tags = \"\" }]").unwrap_err().to_string();
    assert!(error.contains("is empty and would match nothing"), "{error}");
}

proptest! {
    #[test]
    fn json_keeps_every_policy(policy in any_policy()) {
        let text = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<NamespacePolicy>(&text).unwrap(), policy);
    }

    /// Numbers in TOML are signed, and those that pass the check fit.
    #[test]
    fn toml_keeps_every_policy(policy in any_policy()) {
        let policy = sensible(policy);
        let text = toml::to_string(&policy).unwrap();
        prop_assert_eq!(toml::from_str::<NamespacePolicy>(&text).unwrap(), policy);
    }
}

/// The policy with numbers that an operator could mean.
fn sensible(mut policy: NamespacePolicy) -> NamespacePolicy {
    let fit = |number: &mut u64| *number %= SECONDS_MAX;
    if let Some(Untagged::Collect { after_seconds }) = &mut policy.untagged {
        fit(after_seconds);
    }
    if let Some(retention) = &mut policy.retention {
        fit(&mut retention.every_seconds);
        for rule in &mut retention.rules {
            rule.pushed_within_seconds.as_mut().map(fit);
            rule.pulled_within_seconds.as_mut().map(fit);
        }
    }
    let quota = &mut policy.quota;
    let quotas = [&mut quota.bytes, &mut quota.tags, &mut quota.repositories, &mut quota.manifests];
    for number in quotas.into_iter().chain([&mut policy.grace_seconds, &mut policy.restore_seconds]) {
        number.as_mut().map(fit);
    }
    policy
}
