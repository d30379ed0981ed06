//! Each rule of the decision in an example.

use raft::directory::{Action, Condition, IssuerUse};
use raft::time::Timestamp;

use super::world::{NOW, World, caller, decide, issuer, told, with_token};
use crate::access::{Decision, Fallen, Principal, Rights};

const DENIED: Decision = Decision { allowed: false, binding: None, beyond_token: false };
const BEYOND_TOKEN: Decision = Decision { beyond_token: true, ..DENIED };

#[test]
fn nobody_may_anything_unless_a_rule_says_so_but_who_has_the_socket() {
    let rights = World::new().rights();
    for action in Action::ALL {
        for principal in ["anonymous", "user:ann", "robot:ci"] {
            assert_eq!(decide(&rights, principal, action, "acme/app"), (false, None), "{principal} {action}");
        }
        assert_eq!(decide(&rights, "operator", action, "acme/app"), (true, None));
    }
    assert!(!Rights::default().is_known());
    let unknown = Rights::default();
    assert_eq!(decide(&unknown, "anonymous", Action::Pull, "acme/app"), (false, None));
}

#[test]
fn a_rule_holds_for_its_namespace_and_below_by_whole_components() {
    let rights = World::new().allow("user:ann", "reader", "acme/app").rights();
    for repository in ["acme/app", "acme/app/x", "acme/app/x/y"] {
        assert_eq!(decide(&rights, "user:ann", Action::Pull, repository), (true, Some(1)), "{repository}");
    }
    for repository in ["", "acme", "acme/apps", "acme/ap", "acme/app-x", "other/acme/app", "acme/x/app"] {
        assert_eq!(decide(&rights, "user:ann", Action::Pull, repository), (false, None), "{repository}");
    }
    let root = World::new().allow("user:ann", "reader", "").rights();
    assert_eq!(decide(&root, "user:ann", Action::Pull, "x"), (true, Some(1)));
    assert_eq!(decide(&root, "user:ann", Action::Pull, ""), (true, Some(1)));
}

#[test]
fn a_subject_is_whom_it_names() {
    let world = World::new().allow("anonymous", "reader", "everybody").allow("authenticated", "reader", "known");
    let world = world.allow("user:ann", "reader", "own").allow("robot:ci", "reader", "machine");
    let rights = world.allow("group:core", "reader", "group").rights();
    let may = |principal: &str| {
        let all = ["everybody", "known", "own", "machine", "group"];
        let may = |name: &&&str| decide(&rights, principal, Action::Pull, name).0;
        all.iter().filter(may).copied().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(may("anonymous"), "everybody");
    assert_eq!(may("user:ann"), "everybody known own group");
    assert_eq!(may("user:bob"), "everybody known");
    assert_eq!(may("robot:ci"), "everybody known machine");
}

#[test]
fn what_is_denied_below_is_denied_to_what_acts_on_all_of_it() {
    let over = Condition { not_after: Some(Timestamp(1)), ..Condition::default() };
    let ended = raft::directory::Effect::Deny { actions: "policy".parse().unwrap() };
    let world = World::new().allow("user:ann", "owner", "acme").deny("user:ann", "policy", "acme/b/secret");
    let world = world.deny("group:core", "policy,delete", "acme/a").deny("user:bob", "policy", "acme/c");
    let world = world.deny("user:ann", "policy", "acme2").add("user:ann", ended, "acme/d", over);
    let rights = world.rights();
    let ann = caller(&rights, "user:ann");
    let decided = |action, prefix: &str| {
        let (decision, below) = rights.decide_throughout(&ann, action, prefix, NOW);
        (told(decision), below.map(ToOwned::to_owned))
    };
    let at = |place: &str| Some(place.to_owned());
    assert_eq!(decided(Action::Policy, "acme"), ((false, Some(3)), at("acme/a")), "the first is told");
    assert_eq!(decided(Action::Policy, "acme/b"), ((false, Some(2)), at("acme/b/secret")));
    // The namespace itself is the plain decision's.
    assert_eq!(decided(Action::Policy, "acme/a"), ((false, Some(3)), None));
    assert_eq!(decided(Action::Policy, "acme/b/secret"), ((false, Some(2)), None));
    assert_eq!(decided(Action::Policy, "other"), ((false, None), None));
    // Other actions, people, places and times are no matter.
    for prefix in ["acme/c", "acme/d", "acme/e"] {
        assert_eq!(decided(Action::Policy, prefix), ((true, Some(1)), None), "{prefix}");
    }
    assert_eq!(decided(Action::Pull, "acme"), ((true, Some(1)), None));
    let all = World::new().allow("user:ann", "auditor", "").deny("user:ann", "audit", "acme/x").rights();
    let ann = caller(&all, "user:ann");
    let (decision, below) = all.decide_throughout(&ann, Action::Audit, "", NOW);
    assert_eq!((told(decision), below), ((false, Some(2)), Some("acme/x")), "below the root");
    let (decision, below) = all.decide_throughout(&caller(&all, "operator"), Action::Audit, "", NOW);
    assert!(decision.allowed && below.is_none());
}

#[test]
fn a_user_and_a_robot_of_one_name_are_two() {
    let mut world = World::new().allow("user:ann", "reader", "acme").allow("robot:ci", "reader", "other");
    world.records.robots.insert("ann".to_owned(), super::world::robot());
    world.records.users.insert("ci".to_owned(), super::world::user(&[]));
    let rights = world.rights();
    assert!(!decide(&rights, "robot:ann", Action::Pull, "acme").0);
    assert!(!decide(&rights, "user:ci", Action::Pull, "other").0);
}

#[test]
fn a_role_allows_its_actions_and_no_others() {
    let world = World::new().allow("user:ann", "writer", "w").allow("user:ann", "tagger", "t");
    let rights = world.allow("user:ann", "gone", "g").rights();
    let may = |name: &str| {
        let may = |action: &Action| decide(&rights, "user:ann", *action, name).0;
        Action::ALL.into_iter().filter(may).map(Action::name).collect::<Vec<_>>().join(",")
    };
    assert_eq!(may("w"), "pull,push,tag");
    assert_eq!(may("t"), "tag", "a role of the cluster's own");
    assert_eq!(may("g"), "", "a role that does not exist");
    assert_eq!(rights.role("tagger").unwrap().to_string(), "tag");
    assert_eq!(rights.role("gone"), None);
}

#[test]
fn a_rule_that_denies_wins_wherever_it_stands() {
    let world = World::new().allow("user:ann", "maintainer", "").deny("group:core", "push,tag", "acme");
    let rights = world.allow("user:ann", "owner", "acme/app").rights();
    assert_eq!(decide(&rights, "user:ann", Action::Push, "acme/app"), (false, Some(2)));
    assert_eq!(decide(&rights, "user:ann", Action::Pull, "acme/app"), (true, Some(3)));
    assert_eq!(decide(&rights, "user:ann", Action::Push, "other"), (true, Some(1)));
    let world = World::new().allow("user:ann", "reader", "").deny("anonymous", "pull", "secret");
    let rights = world.rights();
    assert_eq!(decide(&rights, "user:ann", Action::Pull, "secret/x"), (false, Some(2)), "everybody is denied");
    assert_eq!(decide(&rights, "operator", Action::Pull, "secret/x"), (true, None), "but for who has the socket");
}

#[test]
fn of_several_rules_the_longest_namespace_is_shown_and_then_the_oldest() {
    let world = World::new().allow("group:core", "reader", "acme").allow("user:ann", "reader", "acme");
    let world = world.allow("user:ann", "reader", "").allow("anonymous", "writer", "acme/app");
    let world = world.deny("user:ann", "delete", "").deny("user:ann", "delete", "acme");
    let rights = world.deny("authenticated", "delete", "acme").rights();
    assert_eq!(decide(&rights, "user:ann", Action::Pull, "acme/x"), (true, Some(1)));
    assert_eq!(decide(&rights, "user:ann", Action::Pull, "acme/app"), (true, Some(4)));
    assert_eq!(decide(&rights, "user:ann", Action::Pull, "other"), (true, Some(3)));
    assert_eq!(decide(&rights, "user:ann", Action::Delete, "acme/x"), (false, Some(6)));
    assert_eq!(decide(&rights, "user:bob", Action::Delete, "acme/x"), (false, Some(7)));
}

#[test]
fn a_rule_counts_only_while_its_condition_holds() {
    let from = |network: &str| Condition { addresses: vec![network.to_owned()], ..Condition::default() };
    let over = Condition { not_after: Some(NOW), ..Condition::default() };
    let world = World::new().allow_when("user:ann", "reader", "near", from("192.0.2.0/24"));
    let world = world.allow_when("user:ann", "reader", "far", from("198.51.100.0/24"));
    let rights = world.allow_when("user:ann", "reader", "over", over).rights();
    let may = |name: &str| decide(&rights, "user:ann", Action::Pull, name).0;
    assert!(may("near") && !may("far") && !may("over"));
    let mut ann = caller(&rights, "user:ann");
    ann.address = "::ffff:198.51.100.7".parse().unwrap();
    assert!(rights.allows(&ann, Action::Pull, "far", NOW) && !rights.allows(&ann, Action::Pull, "near", NOW));
    assert!(rights.allows(&ann, Action::Pull, "far", Timestamp(0)));
}

#[test]
fn what_cannot_be_read_gives_nothing_and_takes_all() {
    let broken = || Condition { addresses: vec!["everywhere".to_owned()], ..Condition::default() };
    let deny = raft::directory::Effect::Deny { actions: "push".parse().unwrap() };
    let world = World::new().allow_when("user:ann", "writer", "a", broken());
    let rights = world.allow("user:ann", "writer", "b").add("user:ann", deny, "b", broken()).rights();
    assert_eq!(decide(&rights, "user:ann", Action::Push, "a"), (false, None));
    assert_eq!(decide(&rights, "user:ann", Action::Push, "b"), (false, Some(3)));
}

#[test]
fn who_has_fallen_may_nothing_not_even_what_everybody_may() {
    let mut world = World::new().allow("anonymous", "reader", "");
    world.records.users.get_mut("bob").unwrap().disabled = true;
    let mut off = super::world::robot();
    off.disabled = true;
    world.records.robots.insert("off".to_owned(), off);
    world.records.robots.get_mut("ci").unwrap().expires = Some(NOW);
    world.records.issuers.insert("people".to_owned(), issuer(IssuerUse::Workload));
    let rights = world.rights();
    let standing = |principal: &str| rights.standing(&principal.parse::<Principal>().unwrap(), NOW);
    assert_eq!(standing("user:ann"), Ok(()));
    assert_eq!(standing("anonymous"), Ok(()));
    assert_eq!(standing("token:gitlab/x"), Ok(()));
    assert_eq!(rights.standing(&Principal::Robot("ci".to_owned()), Timestamp(NOW.0 - 1)), Ok(()));
    let fallen = [
        ("user:bob", Fallen::Disabled),
        ("user:gone", Fallen::Unknown),
        ("robot:off", Fallen::Disabled),
        ("robot:gone", Fallen::Unknown),
        ("robot:ci", Fallen::Expired),
        ("token:gone/x", Fallen::Issuer),
        ("token:people/x", Fallen::Issuer),
    ];
    for (principal, why) in fallen {
        assert_eq!(standing(principal), Err(why), "{principal}");
        let caller = with_token(caller(&rights, principal), &["acme:pull", "catalog"]);
        assert!(!rights.stands(&caller, NOW));
        assert_eq!(rights.decide(&caller, Action::Pull, "acme", NOW), DENIED, "{principal}");
        assert!(!rights.sees_any(&caller, "", NOW) && !rights.listing(&caller, NOW).shows("acme"), "{principal}");
    }
    assert!(decide(&rights, "anonymous", Action::Pull, "acme").0);
}

#[test]
fn a_token_is_the_most_that_may_be_and_the_rules_too() {
    let rights = World::new().allow("user:ann", "operator", "acme").rights();
    let ann = |grants: &[&str]| with_token(caller(&rights, "user:ann"), grants);
    let ask = |grants: &[&str], action, name: &str| rights.decide(&ann(grants), action, name, NOW);
    let pull_and_push = ["acme/app:pull", "acme/app:push", "other:pull"];
    assert_eq!(told(ask(&pull_and_push, Action::Pull, "acme/app")), (true, Some(1)));
    assert_eq!(told(ask(&pull_and_push, Action::Push, "acme/app")), (true, Some(1)));
    assert_eq!(told(ask(&pull_and_push, Action::Tag, "acme/app")), (true, Some(1)), "a tag is pushed");
    assert_eq!(ask(&pull_and_push, Action::Delete, "acme/app"), BEYOND_TOKEN);
    assert_eq!(ask(&pull_and_push, Action::Pull, "acme/app/x"), BEYOND_TOKEN, "a grant is for one repository");
    assert_eq!(ask(&pull_and_push, Action::Pull, "other"), DENIED, "the rules do not allow it");
    assert_eq!(ask(&["acme:delete"], Action::Pull, "acme"), BEYOND_TOKEN);
    assert_eq!(told(ask(&["acme:*"], Action::Delete, "acme")), (true, Some(1)));
    for action in [Action::Policy, Action::Access, Action::Audit, Action::Operate] {
        assert_eq!(ask(&["acme:*", "catalog"], action, "acme"), BEYOND_TOKEN, "no token gives {action}");
        assert!(decide(&rights, "user:ann", action, "acme").0, "without one he may");
    }
    assert_eq!(ask(&[], Action::Pull, "acme"), BEYOND_TOKEN);
}

#[test]
fn somebody_from_outside_may_what_his_token_says_unless_a_rule_denies_it() {
    let world = World::new().allow("authenticated", "reader", "").deny("authenticated", "delete", "acme");
    let rights = world.deny("user:x", "pull", "").rights();
    let gitlab = |grants: &[&str]| with_token(caller(&rights, "token:gitlab/x"), grants);
    let ask = |action, name: &str| rights.decide(&gitlab(&["acme:*", "b:pull"]), action, name, NOW);
    assert_eq!(told(ask(Action::Push, "acme")), (true, None), "no rule has to allow it");
    assert_eq!(told(ask(Action::Delete, "acme")), (false, Some(2)));
    assert_eq!(ask(Action::Pull, "c"), BEYOND_TOKEN, "the rules add nothing");
    assert_eq!(ask(Action::Push, "b"), BEYOND_TOKEN);
    let without = caller(&rights, "token:gitlab/x");
    assert_eq!(
        rights.decide(&without, Action::Pull, "b", NOW),
        BEYOND_TOKEN,
        "he has what his token says, and no token"
    );
}

#[test]
fn a_token_of_nobody_may_what_everybody_may() {
    let rights = World::new().allow("anonymous", "reader", "public").rights();
    let nobody = with_token(caller(&rights, "anonymous"), &["public/a:pull", "private:pull"]);
    assert!(rights.allows(&nobody, Action::Pull, "public/a", NOW));
    assert_eq!(rights.decide(&nobody, Action::Pull, "public/b", NOW), BEYOND_TOKEN);
    assert_eq!(rights.decide(&nobody, Action::Pull, "private", NOW), DENIED);
}

#[test]
fn open_rights_are_everybodys() {
    let rights = Rights::open();
    for action in [Action::Pull, Action::Push, Action::Tag, Action::Delete, Action::Policy, Action::Access] {
        assert_eq!(decide(&rights, "anonymous", action, "any/name"), (true, Some(1)));
    }
    assert!(!decide(&rights, "anonymous", Action::Operate, "").0);
    assert!(rights.is_known());
}
