//! Roles.

use super::*;
use crate::codec;

fn set(name: &str, actions: Actions) -> Command {
    Command::SetRole { name: name.to_owned(), description: "moves tags".to_owned(), actions }
}

#[test]
fn a_role_is_added_and_changed() {
    let mut store = Store::founded();
    let (tag, both) = (Actions::of(&[Action::Tag]), Actions::of(&[Action::Pull, Action::Tag]));
    for actions in [tag, both] {
        store.changes(set("promoter", actions));
        store.keeps(set("promoter", actions));
    }
    let record = RoleRecord { description: "moves tags".to_owned(), actions: both };
    assert_eq!(store.view().roles().unwrap(), [("promoter".to_owned(), record.clone())]);
    assert_eq!(store.view().role("promoter").unwrap(), Some(record));
    let bad = AccessRefusal::NameInvalid { kind: "role".to_owned(), name: "The Boss".to_owned() };
    store.refuses(set("The Boss", both), bad);
    store.refuses(set("idle", Actions::EMPTY), AccessRefusal::NoActions("the role \"idle\"".to_owned()));
    let mut long = set("long", both);
    if let Command::SetRole { description, .. } = &mut long {
        *description = "a".repeat(DESCRIPTION_LENGTH_MAX + 1);
    }
    assert!(store.reason(long).starts_with("the description of role \"long\" has 1025 bytes"));
}

#[test]
fn what_a_newer_program_can_do_is_refused() {
    let mut store = Store::founded();
    // The last byte of the encoding is that of the set: one bit more than this program knows.
    let mut bytes = codec::encode(&set("odd", Actions::of(&[Action::Pull])));
    bytes.pop();
    bytes.extend([251, 1, 1]);
    let newer: Command = codec::decode(&bytes).unwrap();
    store.refuses(newer, AccessRefusal::ActionsUnknown("the role \"odd\"".to_owned()));
}

#[test]
fn a_built_in_role_stays_what_it_is() {
    let mut store = Store::founded();
    for (name, _) in BUILT_IN_ROLES {
        let refusal = || AccessRefusal::RoleBuiltIn(name.to_owned());
        store.refuses(set(name, Actions::ALL), refusal());
        store.refuses(Command::RemoveRole { name: name.to_owned() }, refusal());
    }
}

#[test]
fn a_role_stays_while_a_binding_gives_it() {
    let mut store = Store::founded();
    store.changes(set("promoter", Actions::of(&[Action::Tag])));
    store.bind("authenticated", "reader");
    let binding = store.bind("anonymous", "promoter");
    let remove = Command::RemoveRole { name: "promoter".to_owned() };
    let (role, subject) = ("promoter".to_owned(), Subject::Anonymous);
    store.refuses(remove.clone(), AccessRefusal::RoleBound { role, binding, subject });
    store.changes(Command::RemoveBinding { id: binding });
    store.changes(remove.clone());
    store.keeps(remove);
    assert!(store.view().roles().unwrap().is_empty());
}
