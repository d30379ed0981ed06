//! Generators of users, robots, groups, roles, bindings, issuers and signing keys.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{any_bytes, request, text, timestamp};
use crate::directory::{
    AccessStateRecord, Action, Actions, AuditHead, BindingId, BindingRecord, Condition, Effect, GroupRecord,
    IssuerKeys, IssuerRecord, IssuerUse, RobotRecord, RoleRecord, SecretRecord, SigningKeyRecord, StoredBinding,
    Subject, TrustRule, UserRecord,
};

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..3)
}

fn any_actions() -> impl Strategy<Value = Actions> {
    vec(select(&Action::ALL[..]), 0..4).prop_map(|actions| actions.into_iter().collect())
}

pub(crate) fn any_subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        Just(Subject::Anonymous),
        Just(Subject::Authenticated),
        text().prop_map(Subject::User),
        text().prop_map(Subject::Robot),
        text().prop_map(Subject::Group)
    ]
}

fn any_secret() -> impl Strategy<Value = SecretRecord> {
    let times = (timestamp(), option::of(timestamp()), option::of(timestamp()));
    (any::<[u8; 8]>(), any::<[u8; 32]>(), text(), times).prop_map(|(id, hash, name, (created, expires, last_used))| {
        SecretRecord { id, hash, name, created, expires, last_used }
    })
}

pub(crate) fn any_user() -> impl Strategy<Value = UserRecord> {
    let said = (text(), option::of(text()), option::of(text()), texts());
    let outside = (option::of(text()), option::of(timestamp()));
    (said, any::<bool>(), timestamp(), timestamp(), vec(any_secret(), 0..3), outside).prop_map(
        |((display, password, source, groups), disabled, created, sessions_from, keys, (vouched, confirmed))| {
            UserRecord { display, password, source, groups, disabled, created, sessions_from, keys, vouched, confirmed }
        },
    )
}

fn any_trust() -> impl Strategy<Value = TrustRule> {
    (text(), vec((text(), text()), 0..3)).prop_map(|(issuer, claims)| TrustRule { issuer, claims })
}

pub(crate) fn any_robot() -> impl Strategy<Value = RobotRecord> {
    let times = (timestamp(), option::of(timestamp()), timestamp());
    (text(), texts(), any::<bool>(), times, vec(any_secret(), 0..3), vec(any_trust(), 0..3)).prop_map(
        |(description, groups, disabled, (created, expires, sessions_from), secrets, trusts)| RobotRecord {
            description,
            groups,
            disabled,
            created,
            expires,
            sessions_from,
            secrets,
            trusts,
        },
    )
}

pub(crate) fn any_group() -> impl Strategy<Value = GroupRecord> {
    (text(), timestamp()).prop_map(|(description, created)| GroupRecord { description, created })
}

pub(crate) fn any_role() -> impl Strategy<Value = RoleRecord> {
    (text(), any_actions()).prop_map(|(description, actions)| RoleRecord { description, actions })
}

pub(crate) fn binding_id() -> impl Strategy<Value = BindingId> {
    any::<u64>().prop_map(BindingId)
}

pub(crate) fn any_stored_binding() -> impl Strategy<Value = StoredBinding> {
    let effect = prop_oneof![
        text().prop_map(|role| Effect::Allow { role }),
        any_actions().prop_map(|actions| Effect::Deny { actions })
    ];
    let times = (option::of(timestamp()), option::of(timestamp()), option::of(any::<(u16, u16)>()));
    let condition = (texts(), times).prop_map(|(addresses, (not_before, not_after, daily))| Condition {
        addresses,
        not_before,
        not_after,
        daily,
    });
    let made = (text(), timestamp(), text(), option::of(request()));
    (any_subject(), effect, text(), condition, made).prop_map(
        |(subject, effect, namespace, condition, (note, created, created_by, added_by))| {
            let binding = BindingRecord { subject, effect, namespace, condition, note, created, created_by };
            StoredBinding { binding, added_by }
        },
    )
}

pub(crate) fn any_issuer() -> impl Strategy<Value = IssuerRecord> {
    let people = (text(), text(), option::of(text()), vec((text(), text()), 0..3)).prop_map(
        |(client_id, user_claim, groups_claim, groups)| IssuerUse::People {
            client_id,
            user_claim,
            groups_claim,
            groups,
        },
    );
    let purpose = prop_oneof![Just(IssuerUse::Workload), people, Just(IssuerUse::Tokens)];
    let keys = prop_oneof![
        Just(IssuerKeys::Discover),
        text().prop_map(IssuerKeys::JwksUrl),
        text().prop_map(IssuerKeys::Jwks),
        text().prop_map(IssuerKeys::Certificates)
    ];
    (text(), texts(), purpose, keys, option::of(text()), texts(), timestamp()).prop_map(
        |(issuer, audiences, purpose, keys, authority, algorithms, created)| IssuerRecord {
            issuer,
            audiences,
            purpose,
            keys,
            authority,
            algorithms,
            created,
        },
    )
}

pub(crate) fn any_signing_key() -> impl Strategy<Value = SigningKeyRecord> {
    (any_bytes(), any_bytes(), timestamp(), timestamp(), option::of(timestamp())).prop_map(
        |(public, wrapped_private, created, signs_from, retires)| SigningKeyRecord {
            public,
            wrapped_private,
            created,
            signs_from,
            retires,
        },
    )
}

pub(crate) fn any_audit_head() -> impl Strategy<Value = AuditHead> {
    (any::<u64>(), any::<[u8; 32]>(), timestamp()).prop_map(|(sequence, hash, time)| AuditHead { sequence, hash, time })
}

pub(crate) fn any_access_state() -> impl Strategy<Value = AccessStateRecord> {
    let counts = (any::<[u64; 5]>(), binding_id(), timestamp());
    counts.prop_map(|([version, users, robots, groups, bindings], next_binding, sessions)| AccessStateRecord {
        version,
        next_binding,
        users,
        robots,
        groups,
        bindings,
        sessions,
    })
}
