//! What a cluster begins with.

use storage::kv::Bytes;

use super::*;
use crate::id::NodeId;

fn found_with(first: FirstAccess) -> Command {
    let mut command = found("one");
    if let Command::Found { access, .. } = &mut command {
        *access = first;
    }
    command
}

fn key() -> NewSigningKey {
    NewSigningKey { id: [7; 8], public: Bytes::from_static(b"public"), wrapped_private: Bytes::from_static(b"private") }
}

fn operator(name: &str) -> FirstAccess {
    FirstAccess { operator: Some((name.to_owned(), PHC.to_owned())), ..FirstAccess::default() }
}

#[test]
fn nobody_is_added_before_the_cluster_is_founded() {
    let mut store = Store::new();
    let role = Command::SetRole {
        name: "promoter".to_owned(),
        description: String::new(),
        actions: Actions::of(&[Action::Tag]),
    };
    let provision = Command::ProvisionUser {
        name: "anna".to_owned(),
        source: "ldap".to_owned(),
        display: String::new(),
        groups: Vec::new(),
    };
    let signing = Command::AddSigningKey { key: key(), signs_after_seconds: 0, others_retire_after_seconds: 0 };
    for command in [
        user("anna", &[]),
        provision,
        robot("ci", &[]),
        group("core"),
        role,
        allow("anonymous", "reader", ""),
        set_issuer("github", issuer(IssuerUse::Workload)),
        signing,
    ] {
        assert_eq!(store.apply(command), refused(Refusal::NotFounded));
    }
    let head = AuditHead { sequence: 1, hash: [0; 32], time: store.now };
    let head = Command::NoteAuditHead { node: NodeId(1), head };
    assert_eq!(store.apply(head), refused(Refusal::NodeUnknown(NodeId(1))));
    assert_eq!(store.version(), 0);
}

#[test]
fn a_cluster_is_closed_unless_something_else_is_said() {
    let store = Store::founded();
    let view = store.view();
    assert!(view.users(None, 9).unwrap().is_empty() && view.bindings(None, 9).unwrap().is_empty());
    assert!(view.signing_keys().unwrap().is_empty());
    assert_eq!(store.version(), 1, "that it is closed is something to read");
}

#[test]
fn a_cluster_may_begin_with_an_operator_a_key_and_what_everybody_may() {
    let mut store = Store::new();
    let first = FirstAccess { key: Some(key()), anonymous: Some("reader".to_owned()), ..operator("admin") };
    assert!(matches!(store.apply(found_with(first.clone())), Response::Admitted { .. }));
    let version = store.version();
    assert!(matches!(store.repeat(found_with(first)), Response::Admitted { .. }));
    assert_eq!(store.version(), version, "a repetition makes nothing anew");
    let admin = store.user("admin");
    assert_eq!((admin.password.as_deref(), admin.sessions_from, admin.disabled), (Some(PHC), store.now, false));
    let bindings = store.view().bindings(None, 9).unwrap();
    let said: Vec<_> =
        bindings.iter().map(|(id, binding)| (id.0, binding.subject.to_string(), &binding.effect)).collect();
    let role = |name: &str| Effect::Allow { role: name.to_owned() };
    let (all, read) = (role("operator"), role("reader"));
    assert_eq!(said, [(1, "user:admin".to_owned(), &all), (2, "anonymous".to_owned(), &read)]);
    let at_root = |binding: &BindingRecord| binding.namespace.is_empty() && binding.created_by == "operator";
    assert!(bindings.iter().all(|(_, binding)| at_root(binding) && binding.condition == Condition::default()));
    let keys = store.view().signing_keys().unwrap();
    assert!(keys.len() == 1 && keys[0].0 == [7; 8] && keys[0].1.signs(store.now));
    assert_eq!(store.bind("anonymous", "writer"), BindingId(3));
}

#[test]
fn a_cluster_is_not_founded_with_what_makes_no_sense() {
    let mut store = Store::new();
    let anonymous = FirstAccess { anonymous: Some("guest".to_owned()), ..operator("admin") };
    let weak = FirstAccess { operator: Some(("admin".to_owned(), "secret".to_owned())), ..FirstAccess::default() };
    let odd = FirstAccess { key: Some(NewSigningKey { public: Bytes::new(), ..key() }), ..operator("admin") };
    for (first, reason) in [
        (operator("The Boss"), "\"The Boss\" is not a name of a user"),
        (weak, "what is to be the password of user \"admin\" is not an argon2id hash"),
        (anonymous, "there is no role \"guest\", there are reader, writer, maintainer, owner, auditor, operator:"),
        (odd, "the signing key has a public part of 0 bytes"),
    ] {
        let Response::Refused(refusal) = store.apply(found_with(first)) else { panic!("{reason}") };
        assert!(refusal.to_string().starts_with(reason), "{refusal}");
        assert!(store.view().cluster().unwrap().is_none() && store.version() == 0);
    }
}
