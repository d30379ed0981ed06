//! Generators of policies, usage and jobs.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{digest, repository, tag, text, timestamp};
use crate::catalog::{
    JobId, JobKind, JobRecord, JobScope, JobState, JobTotals, NamespaceCopy, PolicyVersionRecord, PolicyWalkRecord,
    RetentionRunRecord, UsageBlobRecord, UsageRecord,
};
use crate::policy::{ImmutableRule, NamespacePolicy, Pattern, Quota, Retention, RetentionRule, Role, Untagged};

pub(crate) fn pattern() -> impl Strategy<Value = Pattern> {
    "[a-cA-C0-9._*?-]{1,6}".prop_map(|pattern| pattern.parse().unwrap())
}

fn any_untagged() -> impl Strategy<Value = Untagged> {
    let collect = any::<u64>().prop_map(|after_seconds| Untagged::Collect { after_seconds });
    prop_oneof![Just(Untagged::Keep), collect]
}

fn any_immutable_rule() -> impl Strategy<Value = ImmutableRule> {
    (pattern(), vec(text(), 0..3)).prop_map(|(tags, except)| ImmutableRule { tags, except })
}

fn any_retention_rule() -> impl Strategy<Value = RetentionRule> {
    (pattern(), option::of(any::<u32>()), option::of(any::<u64>()), option::of(any::<u64>())).prop_map(
        |(tags, keep_last, pushed_within_seconds, pulled_within_seconds)| RetentionRule {
            tags,
            keep_last,
            pushed_within_seconds,
            pulled_within_seconds,
        },
    )
}

fn any_retention() -> impl Strategy<Value = Retention> {
    let rules = vec(any_retention_rule(), 0..3);
    (rules, vec(pattern(), 0..3), any::<bool>(), any::<bool>(), any::<u64>()).prop_map(
        |(rules, always_keep, keep_signed, keep_referenced, every_seconds)| Retention {
            rules,
            always_keep,
            keep_signed,
            keep_referenced,
            every_seconds,
        },
    )
}

fn any_quota() -> impl Strategy<Value = Quota> {
    let limit = || option::of(any::<u64>());
    (limit(), limit(), limit(), limit()).prop_map(|(bytes, tags, repositories, manifests)| Quota {
        bytes,
        tags,
        repositories,
        manifests,
    })
}

pub(crate) fn any_policy() -> impl Strategy<Value = NamespacePolicy> {
    let times = (option::of(any::<u64>()), option::of(any::<u64>()));
    let lists = (option::of(vec(any_immutable_rule(), 0..3)), option::of(any_retention()));
    (option::of(any::<bool>()), option::of(any_untagged()), times, lists, any_quota()).prop_map(
        |(deletes, untagged, (grace_seconds, restore_seconds), (immutable, retention), quota)| NamespacePolicy {
            deletes,
            untagged,
            grace_seconds,
            restore_seconds,
            immutable,
            retention,
            quota,
        },
    )
}

pub(crate) fn any_namespace_copy() -> impl Strategy<Value = NamespaceCopy> {
    let role = select(vec![Role::Home, Role::Replica, Role::Foreign, Role::Fenced]);
    (option::of(role), any_policy()).prop_map(|(role, policy)| NamespaceCopy { role, policy })
}

pub(crate) fn any_policy_version() -> impl Strategy<Value = PolicyVersionRecord> {
    (any::<u64>(), any::<u64>()).prop_map(|(complete, begun)| PolicyVersionRecord { complete, begun })
}

pub(crate) fn any_policy_walk() -> impl Strategy<Value = PolicyWalkRecord> {
    option::of((repository(), digest())).prop_map(|cursor| PolicyWalkRecord { cursor })
}

pub(crate) fn any_namespaces_version() -> impl Strategy<Value = crate::directory::PolicyVersionRecord> {
    any::<u64>().prop_map(|version| crate::directory::PolicyVersionRecord { version })
}

pub(crate) fn any_usage_record() -> impl Strategy<Value = UsageRecord> {
    any::<[u64; 5]>().prop_map(|[repositories, manifests, tags, blobs, bytes]| UsageRecord {
        repositories,
        manifests,
        tags,
        blobs,
        bytes,
    })
}

pub(crate) fn any_usage_blob_record() -> impl Strategy<Value = UsageBlobRecord> {
    any::<u64>().prop_map(|repositories| UsageBlobRecord { repositories })
}

pub(crate) fn job_id() -> impl Strategy<Value = JobId> {
    any::<u64>().prop_map(JobId)
}

pub(crate) fn any_job_record() -> impl Strategy<Value = JobRecord> {
    let scope = prop_oneof![text().prop_map(JobScope::Namespace), repository().prop_map(JobScope::Repository)];
    let tags = (pattern(), option::of(any::<u64>()))
        .prop_map(|(pattern, older_than_seconds)| JobKind::Tags { pattern, older_than_seconds });
    let kind = prop_oneof![Just(JobKind::Retention), tags];
    let state = select(vec![JobState::Running, JobState::Done, JobState::Cancelled]);
    let cursor = option::of((repository(), tag()));
    let times = (timestamp(), option::of(timestamp()));
    (scope, kind, state, cursor, any::<[u64; 4]>(), option::of(text()), times).prop_map(
        |(scope, kind, state, cursor, [examined, deleted, kept, protected], principal, (started, ended))| JobRecord {
            scope,
            kind,
            state,
            cursor,
            examined,
            deleted,
            kept,
            protected,
            principal,
            started,
            ended,
        },
    )
}

pub(crate) fn any_job_totals() -> impl Strategy<Value = JobTotals> {
    any::<[u64; 3]>().prop_map(|[last, running, ended]| JobTotals { last, running, ended })
}

pub(crate) fn any_retention_run() -> impl Strategy<Value = RetentionRunRecord> {
    (any::<u64>(), timestamp(), option::of(timestamp())).prop_map(|(every_seconds, due, last)| RetentionRunRecord {
        every_seconds,
        due,
        last,
    })
}
