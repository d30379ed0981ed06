//! Changes of roles and rules that were judged by a version of who may do what.

use super::*;

fn judged(made_from: u64, change: JudgedChange) -> Command {
    Command::Judged { made_from, change }
}

fn role(name: &str, actions: &[Action]) -> JudgedChange {
    JudgedChange::SetRole { name: name.to_owned(), description: String::new(), actions: Actions::of(actions) }
}

fn rule(subject: &str, role: &str) -> JudgedChange {
    JudgedChange::AddBinding {
        subject: subject.parse().unwrap(),
        effect: Effect::Allow { role: role.to_owned() },
        namespace: String::new(),
        condition: Condition::default(),
        note: String::new(),
        by: "user:anna".to_owned(),
    }
}

fn changed(made_from: u64, store: &Store) -> AccessRefusal {
    AccessRefusal::Changed { made_from, version: store.version() }
}

#[test]
fn of_two_changes_that_were_judged_at_once_one_is_refused() {
    // Each alone may be: a role that nobody has may say anything, and one that says little may be given. Not both.
    let changes = || (role("mine", &[Action::Operate]), rule("authenticated", "mine"));
    for set_first in [true, false] {
        let mut store = Store::founded();
        store.changes(judged(store.version(), role("mine", &[Action::Pull])));
        let (version, (set, give)) = (store.version(), changes());
        let (first, second) = if set_first { (set, give) } else { (give, set) };
        let done = store.apply(judged(version, first));
        assert!(!matches!(done, Response::Refused(_)), "{done:?}");
        let refusal = changed(version, &store);
        store.refuses(judged(version, second), refusal);
        let given = !store.bound().is_empty();
        let says = store.view().role("mine").unwrap().unwrap().actions;
        assert!(!given || !says.contains(Action::Operate), "set first: {set_first}");
    }
}

#[test]
fn a_change_is_refused_once_anything_has_changed() {
    let mut store = Store::founded();
    store.changes(judged(store.version(), role("mine", &[Action::Pull])));
    let id = store.bind("authenticated", "reader");
    let before = store.version();
    store.add_user("anna");
    let changes = [
        role("mine", &[Action::Push]),
        role("other", &[Action::Push]),
        JudgedChange::RemoveRole { name: "mine".to_owned() },
        rule("user:anna", "mine"),
        JudgedChange::RemoveBinding { id },
    ];
    for change in changes {
        let refusal = changed(before, &store);
        store.refuses(judged(before, change), refusal);
    }
}

#[test]
fn a_repetition_of_what_was_done_is_done() {
    let mut store = Store::founded();
    let version = store.version();
    store.changes(judged(version, role("mine", &[Action::Pull])));
    store.keeps(judged(version, role("mine", &[Action::Pull])));
    let give = judged(store.version(), rule("authenticated", "mine"));
    let made = store.apply(give.clone());
    assert!(matches!(made, Response::Bound { .. }), "{made:?}");
    assert_eq!(store.repeat(give), made);
    let Response::Bound { id } = made else { panic!("{made:?}") };
    let take = judged(store.version(), JudgedChange::RemoveBinding { id });
    store.changes(take.clone());
    store.keeps(take);
    let forget = judged(store.version(), JudgedChange::RemoveRole { name: "mine".to_owned() });
    store.changes(forget.clone());
    store.keeps(forget);
}
