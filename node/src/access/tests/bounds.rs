//! What may be handed on.

use raft::directory::{Action, Condition};
use raft::time::Timestamp;

use super::world::{NOW, World, caller};

fn unheld(world: World, actions: &str, namespace: &str) -> Option<Action> {
    let rights = world.rights();
    rights.unheld(&caller(&rights, "user:ann"), actions.parse().unwrap(), namespace, NOW)
}

fn owner() -> World {
    World::new().allow("user:ann", "owner", "acme")
}

#[test]
fn nobody_hands_on_what_he_has_not() {
    assert_eq!(unheld(owner(), "pull,push,access", "acme"), None);
    assert_eq!(unheld(owner(), "pull", "acme/app"), None);
    for (actions, namespace, lacks) in [
        ("pull,operate", "acme", Action::Operate),
        ("pull", "", Action::Pull),
        ("pull", "acme2", Action::Pull),
        ("audit", "acme", Action::Audit),
    ] {
        assert_eq!(unheld(owner(), actions, namespace), Some(lacks), "{actions} at {namespace:?}");
    }
    assert_eq!(unheld(World::new().allow("group:core", "writer", "acme"), "push", "acme"), None);
    assert_eq!(unheld(World::new(), "pull", "acme"), Some(Action::Pull));
    let mut disabled = owner();
    disabled.records.users.get_mut("ann").unwrap().disabled = true;
    assert_eq!(unheld(disabled, "pull", "acme"), Some(Action::Pull));
}

#[test]
fn what_is_denied_below_or_above_is_not_to_give() {
    for place in ["", "acme", "acme/secret"] {
        assert_eq!(unheld(owner().deny("user:ann", "push", place), "push", "acme"), Some(Action::Push), "at {place:?}");
    }
    assert_eq!(unheld(owner().deny("user:ann", "push", "other"), "push", "acme"), None);
    assert_eq!(unheld(owner().deny("user:bob", "push", "acme"), "push", "acme"), None);
}

#[test]
fn a_right_under_a_condition_is_none_to_hand_on() {
    let office = Condition { addresses: vec!["192.0.2.0/24".to_owned()], ..Condition::default() };
    let there = World::new().allow_when("user:ann", "owner", "acme", office);
    assert_eq!(unheld(there, "pull", "acme"), Some(Action::Pull));
    let over = Condition { not_after: Some(Timestamp(1)), ..Condition::default() };
    let denied = raft::directory::Effect::Deny { actions: "pull".parse().unwrap() };
    let denied = owner().add("user:ann", denied, "acme", over);
    assert_eq!(unheld(denied, "pull", "acme"), Some(Action::Pull), "a denial counts, whenever it holds");
}

/// What another account would have of what is denied to Ann, in these groups.
fn evaded(world: World, account: &str, groups: &[&str]) -> Option<(Action, String)> {
    let rights = world.rights();
    let groups = groups.iter().map(|&name| name.to_owned()).collect();
    rights.evaded(&caller(&rights, "user:ann"), &account.parse().unwrap(), groups)
}

#[test]
fn nobody_gets_around_a_denial_with_another_account() {
    let open = || World::new().allow("authenticated", "writer", "acme");
    for (denied, at, place) in
        [("user:ann", "acme/secret", "acme/secret"), ("group:core", "acme", "acme"), ("user:ann", "", "acme")]
    {
        for account in ["user:new", "robot:new", "user:bob", "robot:ci"] {
            let world = open().deny(denied, "push", at);
            assert_eq!(evaded(world, account, &[]), Some((Action::Push, place.to_owned())), "{denied} at {at:?}");
        }
    }
    // What is denied to her and had by nobody, elsewhere, or without a login is no matter.
    assert_eq!(evaded(open().deny("user:ann", "delete", "acme"), "user:new", &[]), None);
    assert_eq!(evaded(open().deny("user:ann", "push", "acme2"), "user:new", &[]), None);
    assert_eq!(evaded(open().deny("user:bob", "push", "acme"), "user:new", &[]), None);
    let anybodys = World::new().allow("anonymous", "reader", "").deny("user:ann", "pull", "acme");
    assert_eq!(evaded(anybodys, "user:new", &[]), None);
    // By the group that has it she gets around it too.
    let grouped = || World::new().allow("group:core", "writer", "acme").deny("user:ann", "push", "acme/secret");
    assert_eq!(evaded(grouped(), "user:new", &["core"]), Some((Action::Push, "acme/secret".to_owned())));
    assert_eq!(evaded(grouped(), "user:new", &[]), None);
}

#[test]
fn an_account_that_is_denied_the_same_gets_around_nothing() {
    let open = || World::new().allow("authenticated", "writer", "acme");
    for everybody in ["authenticated", "anonymous"] {
        assert_eq!(evaded(open().deny(everybody, "push", "acme"), "user:new", &[]), None, "{everybody}");
    }
    assert_eq!(evaded(open().deny("group:core", "push", "acme"), "user:new", &["core"]), None);
    assert_eq!(evaded(open().deny("user:ann", "push", "acme"), "user:ann", &[]), None);
    let of_ann = || open().deny("user:ann", "push", "acme/secret");
    for (at, evades) in [("", false), ("acme", false), ("acme/secret", false), ("acme/secret/x", true), ("b", true)] {
        let both = of_ann().deny("group:core", "push", at);
        let found = evaded(both, "user:new", &["core"]);
        assert_eq!(found.is_some(), evades, "denied at {at:?}: {found:?}");
    }
    // A denial that holds now and then is none to rely on, unless it is the same.
    let office = || Condition { addresses: vec!["192.0.2.0/24".to_owned()], ..Condition::default() };
    let denied = || raft::directory::Effect::Deny { actions: "push".parse().unwrap() };
    let sometimes = of_ann().add("group:core", denied(), "acme", office());
    assert!(evaded(sometimes, "user:new", &["core"]).is_some());
    let same = open().add("group:core", denied(), "acme", office());
    assert_eq!(evaded(same, "user:new", &["core"]), None);
}

#[test]
fn what_is_lent_to_somebody_is_what_rules_say_of_him_and_his_groups() {
    let world = World::new().allow("user:ann", "reader", "acme").deny("group:core", "push", "");
    let rights = world.allow("anonymous", "reader", "public").allow("user:bob", "reader", "b").rights();
    let texts = |rules: Vec<(raft::directory::Actions, String)>| {
        rules.into_iter().map(|(actions, place)| format!("{actions} {place}")).collect::<Vec<_>>()
    };
    let lent = |subject: &str| texts(rights.lent(&subject.parse().unwrap()));
    assert_eq!(texts(rights.held(&"user:ann".parse().unwrap())), ["pull acme"], "who is let in as her");
    assert_eq!(lent("user:ann"), ["pull acme", "push "]);
    assert_eq!(lent("group:core"), ["push "]);
    assert_eq!(lent("user:nobody"), [""; 0]);
    assert_eq!(rights.given("reader"), ["public", "acme", "b"]);
}
