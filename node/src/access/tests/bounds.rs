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

#[test]
fn what_is_lent_to_somebody_is_what_rules_say_of_him_and_his_groups() {
    let world = World::new().allow("user:ann", "reader", "acme").deny("group:core", "push", "");
    let rights = world.allow("anonymous", "reader", "public").allow("user:bob", "reader", "b").rights();
    let lent = |subject: &str| {
        let lent = rights.lent(&subject.parse().unwrap());
        lent.into_iter().map(|(actions, place)| format!("{actions} {place}")).collect::<Vec<_>>()
    };
    assert_eq!(lent("user:ann"), ["pull acme", "push "]);
    assert_eq!(lent("group:core"), ["push "]);
    assert_eq!(lent("user:nobody"), [""; 0]);
    assert_eq!(rights.given("reader"), ["public", "acme", "b"]);
}
