//! What is told about a decision.

use std::net::{IpAddr, Ipv4Addr};

use raft::directory::{Action, Condition, Subject};

use super::world::{NOW, World, caller, with_token};
use crate::access::{Caller, EXPLAINED_RULES_MAX, Explanation, Outcome, Rights};

fn explain(rights: &Rights, caller: &Caller, action: Action, repository: &str) -> (Explanation, Vec<String>) {
    let explanation = rights.explain(caller, action, repository, NOW);
    let decision = rights.decide(caller, action, repository, NOW);
    assert_eq!((explanation.allowed, explanation.beyond_token), (decision.allowed, decision.beyond_token));
    assert_eq!(explanation.deciding, decision.binding.map(|id| id.0));
    let rules = explanation.rules.iter().map(|rule| format!("{}: {}", rule.id, rule.reason)).collect();
    (explanation, rules)
}

#[test]
fn every_rule_that_was_looked_at_is_told_with_what_came_of_it() {
    let far = Condition { addresses: vec!["198.51.100.0/24".to_owned()], ..Condition::default() };
    let world = World::new().allow("user:ann", "writer", "").allow("group:core", "writer", "acme");
    let world = world.allow_when("user:ann", "owner", "acme", far).allow("user:ann", "reader", "acme/app");
    let world = world.allow("user:bob", "owner", "acme").allow("user:ann", "owner", "acme/apps");
    let rights = world.deny("authenticated", "delete", "acme").allow("user:bob", "owner", "other").rights();
    let (explanation, rules) = explain(&rights, &caller(&rights, "user:ann"), Action::Push, "acme/app");
    assert_eq!(explanation.reason, "rule 2 allows it");
    assert_eq!((explanation.principal.as_str(), explanation.groups.as_slice()), ("user:ann", &["core".to_owned()][..]));
    assert_eq!(
        rules,
        [
            "2: it allows push and decides",
            "1: it would allow push, but does not decide",
            "3: the request comes from none of its networks",
            "4: the role reader does not allow push",
            "7: it denies other actions than push",
            "5: it is about user:bob, not about user:ann",
            "6: \"acme/app\" is not \"acme/apps\" and not below it",
        ]
    );
    assert_eq!(explanation.rules[0].outcome, Outcome::Decides);
    assert_eq!(explanation.rules[0].actions, ["pull", "push", "tag"]);
    assert_eq!(explanation.rules[2].addresses, ["198.51.100.0/24"]);
    let text = serde_json::to_string(&explanation).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), explanation);
    assert!(text.contains(r#""outcome":"decides""#), "{text}");
}

#[test]
fn a_rule_that_denies_is_named_before_those_that_allow() {
    let world = World::new().allow("user:ann", "writer", "acme/app").deny("user:ann", "push", "");
    let rights = world.deny("anonymous", "push", "").rights();
    let (explanation, rules) = explain(&rights, &caller(&rights, "user:ann"), Action::Push, "acme/app");
    assert_eq!(explanation.reason, "rule 2 denies it");
    assert_eq!(
        rules,
        [
            "2: it denies push and decides",
            "1: it would allow push, but does not decide",
            "3: it denies push too, but a rule of a longer namespace or an older one decides",
        ]
    );
}

#[test]
fn what_no_rule_decides_is_told_as_well() {
    let mut world = World::new().allow("user:ann", "writer", "acme").deny("anonymous", "pull", "no");
    world.records.users.get_mut("bob").unwrap().disabled = true;
    let rights = world.rights();
    let reason = |caller: &Caller, name: &str| explain(&rights, caller, Action::Pull, name).0.reason;
    let ann = caller(&rights, "user:ann");
    assert_eq!(reason(&ann, "other"), "no rule allows user:ann to pull here");
    assert_eq!(reason(&caller(&rights, "user:bob"), "acme"), "the account is disabled");
    assert_eq!(reason(&caller(&rights, "operator"), "no"), "whoever has the local socket may everything");
    let token = with_token(ann, &["acme/x:pull"]);
    assert_eq!(reason(&token, "acme/x"), "rule 1 allows it");
    assert_eq!(reason(&token, "acme"), "rule 1 allows it, but the token does not");
    let gitlab = with_token(caller(&rights, "token:gitlab/x"), &["acme:pull", "no:pull"]);
    assert_eq!(reason(&gitlab, "acme"), "the token allows it, and no rule denies it");
    assert_eq!(reason(&gitlab, "other"), "no rule denies it, but the token does not allow it");
    assert_eq!(reason(&gitlab, "no"), "rule 2 denies it");
}

#[test]
fn no_more_rules_are_told_than_somebody_can_read_and_the_deciding_one_is_among_them() {
    let mut world = World::new();
    for _ in 0..=EXPLAINED_RULES_MAX {
        world = world.allow("user:bob", "reader", "acme");
    }
    let rights = world.allow("user:ann", "reader", "acme").rights();
    let (explanation, rules) = explain(&rights, &caller(&rights, "user:ann"), Action::Pull, "acme/app");
    assert_eq!((rules.len(), explanation.left_out), (EXPLAINED_RULES_MAX, 2));
    assert_eq!(explanation.rules[0].outcome, Outcome::Decides);
}

#[test]
fn whoever_can_log_in_can_be_asked_about() {
    let rights = World::new().rights();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let of = |text: &str| rights.as_caller(&text.parse::<Subject>().unwrap(), address);
    assert_eq!(of("user:ann").unwrap().groups.into_iter().collect::<Vec<_>>(), ["core"]);
    assert_eq!(of("robot:ci").unwrap().principal.to_string(), "robot:ci");
    assert_eq!(of("anonymous").unwrap().principal.to_string(), "anonymous");
    assert_eq!((of("group:core"), of("authenticated")), (None, None));
}
