//! Behaviour of policies, by concept, and a policy in which everything is set.

mod effective;
mod form;
mod retention;
mod validate;

use super::*;

/// A policy that sets every field.
pub(crate) fn whole_policy() -> NamespacePolicy {
    let pattern = |text: &str| text.parse::<Pattern>().unwrap();
    let rule = RetentionRule {
        tags: pattern("pr-*"),
        keep_last: Some(10),
        pushed_within_seconds: Some(7200),
        pulled_within_seconds: Some(86_400),
    };
    NamespacePolicy {
        deletes: Some(false),
        untagged: Some(Untagged::Collect { after_seconds: 3600 }),
        grace_seconds: Some(7200),
        restore_seconds: Some(300),
        immutable: Some(vec![ImmutableRule { tags: pattern("v?.*"), except: vec!["ci".to_owned()] }]),
        retention: Some(Retention {
            rules: vec![rule],
            always_keep: vec![pattern("latest")],
            keep_signed: true,
            keep_referenced: false,
            every_seconds: 3600,
        }),
        quota: Quota { bytes: Some(1 << 40), tags: Some(1000), repositories: Some(10), manifests: Some(300) },
    }
}
