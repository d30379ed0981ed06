//! All rules together against a naive reading of the words: every binding is looked at, one after the other.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::select;
use raft::directory::{Action, Actions, BindingId, BindingRecord, Condition, Effect, Subject};
use raft::time::Timestamp;

use super::world::{NOW, World, caller, roles, with_token};
use crate::access::{Caller, Decision, GrantKind, Principal, Records, Rights};

const NAMES: [&str; 16] =
    ["", "a", "a-b", "a.b", "a0", "a/b", "a/b-c", "a/b/c", "a/b/c/d", "a/c", "ab", "b", "b/a", "b/a/c", "b/b", "c"];
const PRINCIPALS: [&str; 7] =
    ["anonymous", "user:ann", "user:bob", "robot:ci", "user:gone", "token:gitlab/x", "operator"];

/// Whether a path is another one or below it, by comparing components.
fn is_at_or_below(name: &str, namespace: &str) -> bool {
    let parts = |text: &str| text.split('/').filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect::<Vec<_>>();
    parts(name).starts_with(&parts(namespace))
}

fn matches(subject: &Subject, caller: &Caller) -> bool {
    match (subject, &caller.principal) {
        (Subject::Anonymous, _) => true,
        (Subject::Authenticated, principal) => *principal != Principal::Anonymous,
        (Subject::User(name), Principal::User(own)) | (Subject::Robot(name), Principal::Robot(own)) => name == own,
        (Subject::Group(name), _) => caller.groups.contains(name),
        _ => false,
    }
}

fn holds(condition: &Condition, caller: &Caller, now: Timestamp) -> bool {
    let minute = (now.0 / 1000 / 60) % 1440;
    let in_window = |(from, to): (u16, u16)| {
        // Minute by minute from the begin until the end comes.
        let mut at = from;
        loop {
            if u64::from(at) == minute {
                return true;
            }
            at = (at + 1) % 1440;
            if at == to {
                return false;
            }
        }
    };
    let near = |network: &String| network.parse::<ipnet::IpNet>().unwrap().contains(&caller.address);
    (condition.addresses.is_empty() || condition.addresses.iter().any(near))
        && condition.not_before.is_none_or(|begin| begin <= now)
        && condition.not_after.is_none_or(|end| now < end)
        && condition.daily.is_none_or(in_window)
}

fn has(binding: &BindingRecord, roles: &BTreeMap<String, Actions>, action: Action) -> bool {
    match &binding.effect {
        Effect::Allow { role } => roles.get(role).is_some_and(|actions| actions.contains(action)),
        Effect::Deny { actions } => actions.contains(action),
    }
}

/// The decision as the words say it.
fn naive(records: &Records, caller: &Caller, action: Action, repository: &str, now: Timestamp) -> Decision {
    let denied = Decision { allowed: false, binding: None, beyond_token: false };
    let external = matches!(caller.principal, Principal::External { .. });
    match &caller.principal {
        Principal::Operator => return Decision { allowed: true, ..denied },
        Principal::User(name) if !records.users.contains_key(name) => return denied,
        _ => {}
    }
    let roles = roles(records);
    let mut counting: Vec<(BindingId, &BindingRecord)> = records.bindings.iter().map(|(id, it)| (*id, it)).collect();
    counting.retain(|(_, it)| is_at_or_below(repository, &it.namespace) && matches(&it.subject, caller));
    counting.retain(|(_, it)| holds(&it.condition, caller, now) && has(it, &roles, action));
    let first = |denies: bool| {
        let of_kind = counting.iter().filter(|(_, it)| matches!(it.effect, Effect::Deny { .. }) == denies);
        of_kind.min_by_key(|(id, it)| (Reverse(it.namespace.len()), *id)).map(|(id, _)| *id)
    };
    if let Some(id) = first(true) {
        return Decision { binding: Some(id), ..denied };
    }
    let allow = first(false);
    if allow.is_none() && !external {
        return denied;
    }
    let word = match action {
        Action::Pull => "pull",
        Action::Push | Action::Tag => "push",
        Action::Delete => "delete",
        _ => "-",
    };
    let granted = caller.grants.as_ref().map(|grants| {
        grants.iter().any(|grant| {
            let names = grant.kind == GrantKind::Repository && grant.name == repository;
            let says = grant.actions.iter().any(|said| said == word || (said == "*" && word != "-"));
            names && says
        })
    });
    if !granted.unwrap_or(!external) {
        return Decision { beyond_token: true, ..denied };
    }
    Decision { allowed: true, binding: if external { None } else { allow }, ..denied }
}

fn condition() -> impl Strategy<Value = Condition> {
    let networks = prop::collection::vec(select(vec!["192.0.2.0/24", "198.51.100.0/25", "2001:db8::/32"]), 0..3);
    let near = || prop::option::weighted(0.2, (NOW.0 - 2..NOW.0 + 3).prop_map(Timestamp));
    let now = (NOW.0 / 60_000 % 1440) as u16;
    let minute = move || prop_oneof![now - 2..now + 3, 0..1440_u16];
    let daily = prop::option::weighted(0.2, (minute(), minute()));
    let networks = prop_oneof![3 => Just(Vec::new()), 1 => networks];
    (networks, near(), near(), daily).prop_map(|(addresses, not_before, not_after, daily)| Condition {
        addresses: addresses.into_iter().map(ToOwned::to_owned).collect(),
        not_before,
        not_after,
        daily,
    })
}

fn world() -> impl Strategy<Value = World> {
    let subjects = vec!["anonymous", "authenticated", "user:ann", "user:bob", "robot:ci", "group:core", "group:other"];
    let roles = select(vec!["reader", "writer", "maintainer", "owner", "operator", "tagger"]);
    let actions = prop::collection::vec(select(Action::ALL.to_vec()), 1..3);
    let effect = prop_oneof![
        3 => roles.prop_map(|role| Effect::Allow { role: role.to_owned() }),
        1 => actions.prop_map(|actions| Effect::Deny { actions: actions.into_iter().collect() }),
    ];
    let rule = (select(subjects), effect, select(NAMES.to_vec()), condition());
    prop::collection::vec(rule, 0..14).prop_map(|rules| {
        rules.into_iter().fold(World::new(), |world, (subject, effect, namespace, condition)| {
            world.add(subject, effect, namespace, condition)
        })
    })
}

#[derive(Clone, Debug)]
struct Question {
    principal: &'static str,
    address: IpAddr,
    grants: Option<Vec<String>>,
    groups: Vec<&'static str>,
    now: Timestamp,
}

fn question() -> impl Strategy<Value = Question> {
    let addresses = ["192.0.2.7", "198.51.100.200", "2001:db8::1"].map(|text| text.parse::<IpAddr>().unwrap());
    let words = select(vec!["pull", "push", "delete", "*", "pull,push"]);
    let named = (select(NAMES[1..].to_vec()), words).prop_map(|(name, words)| format!("{name}:{words}"));
    let grant = prop_oneof![5 => named, 1 => Just("catalog".to_owned())];
    let grants = prop::option::of(prop::collection::vec(grant, 0..5));
    let groups = prop::sample::subsequence(vec!["core", "other", "third", "fourth"], 0..=4);
    (select(PRINCIPALS.to_vec()), select(addresses.to_vec()), grants, groups, NOW.0 - 1..NOW.0 + 2).prop_map(
        |(principal, address, grants, groups, now)| Question {
            principal,
            address,
            grants,
            groups,
            now: Timestamp(now),
        },
    )
}

fn ask(rights: &Rights, question: &Question) -> Caller {
    let mut caller = caller(rights, question.principal);
    caller.address = question.address;
    caller.groups.extend(question.groups.iter().map(|&group| group.to_owned()));
    match &question.grants {
        Some(grants) => with_token(caller, &grants.iter().map(String::as_str).collect::<Vec<_>>()),
        None => caller,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_decision_is_that_of_a_naive_reading(world in world(), question in question()) {
        let records = World::new().records;
        let records = Records { bindings: world.records.bindings.clone(), ..records };
        let rights = world.rights();
        let caller = ask(&rights, &question);
        for name in NAMES {
            for action in Action::ALL {
                let expected = naive(&records, &caller, action, name, question.now);
                prop_assert_eq!(rights.decide(&caller, action, name, question.now), expected, "{} {}", action, name);
                let told = rights.explain(&caller, action, name, question.now);
                prop_assert_eq!(told.deciding, expected.binding.map(|id| id.0));
                prop_assert_eq!(told.allowed, expected.allowed);
                let decides = told.rules.iter().find(|rule| rule.outcome == crate::access::Outcome::Decides);
                prop_assert_eq!(decides.map(|rule| rule.id), told.deciding);
            }
        }
    }

    #[test]
    fn a_list_is_what_a_naive_reading_lets_him_pull(world in world(), question in question()) {
        let records = Records { bindings: world.records.bindings.clone(), ..World::new().records };
        let rights = world.rights();
        let caller = ask(&rights, &question);
        // Who may list is bound by the rules alone; one from outside has whatever is not denied.
        let lists = caller.grants.is_some() && caller.may_list();
        let seen = |name: &str| {
            if !lists {
                return naive(&records, &caller, Action::Pull, name, question.now).allowed;
            }
            let decision = naive(&records, &caller, Action::Pull, name, question.now);
            decision.allowed || decision.beyond_token
        };
        let listing = rights.listing(&caller, question.now);
        let deeper = NAMES.iter().flat_map(|name| ["", "/x", "-x", "0"].map(|end| format!("{name}{end}")));
        let mut names: Vec<String> = deeper.filter(|name| !name.is_empty() && !name.starts_with('/')).collect();
        names.sort_unstable();
        names.dedup();
        for name in &names {
            prop_assert_eq!(listing.shows(name), seen(name), "{}", name);
            let next = listing.next(name);
            let first = names.iter().find(|other| *other >= name && seen(other));
            prop_assert!(next.is_some() || first.is_none());
            if let (Some(next), Some(first)) = (next, first) {
                prop_assert!(*next <= **first, "{} {} {}", name, next, first);
            }
        }
        for prefix in NAMES {
            let any = names.iter().filter(|name| is_at_or_below(name, prefix)).any(|name| seen(name));
            prop_assert_eq!(rights.sees_any(&caller, prefix, question.now), any, "{}", prefix);
        }
    }
}
