//! Bindings.

use super::*;
use crate::directory::table::{BindingRequests, RemovedBindings};
use crate::id::RegionId;
use crate::table::Table;
use crate::time::Timestamp;

fn deny(subject: &str, actions: &[Action], namespace: &str) -> Command {
    bind(subject, Effect::Deny { actions: Actions::of(actions) }, namespace)
}

#[test]
fn a_binding_is_kept_as_it_was_made() {
    let mut store = Store::founded();
    store.add_user("anna");
    let before = store.version();
    let condition = Condition {
        addresses: strings(&["10.0.0.0/8"]),
        not_before: Some(Timestamp(5)),
        not_after: Some(Timestamp(9)),
        daily: Some((480, 1080)),
    };
    let effect = Effect::Allow { role: "writer".to_owned() };
    let command = Command::AddBinding {
        subject: Subject::User("anna".to_owned()),
        effect: effect.clone(),
        namespace: "acme/prod".to_owned(),
        condition: condition.clone(),
        note: "until the audit".to_owned(),
        by: "user:admin".to_owned(),
    };
    let Response::Bound { id } = store.apply(command) else { panic!("it is not bound") };
    assert_eq!((id, store.version()), (BindingId(1), before + 1));
    let expected = BindingRecord {
        subject: Subject::User("anna".to_owned()),
        effect,
        namespace: "acme/prod".to_owned(),
        condition,
        note: "until the audit".to_owned(),
        created: store.now,
        created_by: "user:admin".to_owned(),
    };
    assert_eq!(store.view().binding(id).unwrap(), Some(expected.clone()));
    assert_eq!(store.view().bindings(None, 9).unwrap(), [(id, expected)]);
    assert!(store.view().bindings(Some(id), 9).unwrap().is_empty());
}

#[test]
fn a_repeated_request_gets_the_same_binding() {
    let mut store = Store::founded();
    let first = store.apply(allow("anonymous", "reader", ""));
    let version = store.version();
    assert_eq!(store.repeat(allow("anonymous", "reader", "")), first);
    assert_eq!((store.version(), store.bound().len()), (version, 1));
    let other = store.apply(allow("anonymous", "reader", ""));
    assert_eq!((first, other), (Response::Bound { id: BindingId(1) }, Response::Bound { id: BindingId(2) }));
}

#[test]
fn a_binding_is_removed_and_its_id_is_not_given_again() {
    let mut store = Store::founded();
    let remove = |id| Command::RemoveBinding { id: BindingId(id) };
    store.refuses(remove(1), AccessRefusal::BindingUnknown(BindingId(1)));
    store.refuses(remove(0), AccessRefusal::BindingUnknown(BindingId(0)));
    let id = store.bind("anonymous", "reader");
    store.changes(remove(id.0));
    store.keeps(remove(id.0));
    assert_eq!(store.bind("anonymous", "reader"), BindingId(id.0 + 1));
    assert_eq!(store.bound(), [BindingId(id.0 + 1)]);
}

#[test]
fn a_repeated_request_does_not_bring_a_removed_binding_back() {
    let mut store = Store::founded();
    let first = store.apply(allow("anonymous", "reader", ""));
    let request = store.last_request();
    store.changes(Command::RemoveBinding { id: BindingId(1) });
    let again = |store: &mut Store| store.repeat_of(request, allow("anonymous", "reader", ""));
    assert_eq!((again(&mut store), store.bound()), (first.clone(), Vec::new()));
    store.now = store.now.plus_seconds(REMOVED_BINDINGS_KEPT_SECONDS - 1);
    let other = store.bind("anonymous", "writer");
    assert_eq!((again(&mut store), store.bound()), (first, vec![other]));
    // Nobody repeats for hours: what is remembered is bounded by what was removed lately.
    store.now = store.now.plus_seconds(1);
    store.bind("anonymous", "writer");
    assert_eq!(RemovedBindings::scan::<()>(&store.engine, (), None, 9).unwrap(), []);
    assert_eq!(BindingRequests::scan::<()>(&store.engine, (), None, 9).unwrap().len(), 2);
}

#[test]
fn what_a_binding_names_must_exist() {
    let mut store = Store::founded();
    store.refuses(allow("user:anna", "reader", ""), AccessRefusal::UserUnknown("anna".to_owned()));
    store.refuses(allow("robot:ci", "reader", ""), AccessRefusal::RobotUnknown("ci".to_owned()));
    store.refuses(deny("group:core", &[Action::Pull], ""), AccessRefusal::GroupUnknown("core".to_owned()));
    let reason = store.reason(allow("anonymous", "boss", ""));
    let expected = "there is no role \"boss\", there are reader, writer, maintainer, owner, auditor, operator: add one \
                    with: regnode role set boss";
    assert_eq!(reason, expected);
    let actions = Actions::of(&[Action::Tag]);
    store.changes(Command::SetRole { name: "boss".to_owned(), description: String::new(), actions });
    store.add_group("core");
    store.bind("group:core", "boss");
    assert!(matches!(store.apply(deny("group:core", &[Action::Pull], "a")), Response::Bound { .. }));
}

#[test]
fn a_binding_that_makes_no_sense_is_refused() {
    let mut store = Store::founded();
    store.refuses(deny("anonymous", &[], ""), AccessRefusal::NoActions("the binding".to_owned()));
    for namespace in ["/", "acme/", "Acme", "a//b"] {
        let response = store.apply(allow("anonymous", "reader", namespace));
        assert_eq!(response, refused(Refusal::NamespaceInvalid(namespace.to_owned())));
    }
    let mut odd = allow("anonymous", "reader", "");
    if let Command::AddBinding { condition, .. } = &mut odd {
        condition.addresses = strings(&["10.0.0.1"]);
    }
    assert!(store.reason(odd).starts_with("a condition of the binding names \"10.0.0.1\": a network like"));
    let mut long = allow("anonymous", "reader", "");
    if let Command::AddBinding { note, .. } = &mut long {
        *note = "a".repeat(DESCRIPTION_LENGTH_MAX + 1);
    }
    assert!(store.reason(long).starts_with("the note of the binding has 1025 bytes"));
    let mut odd = allow("anonymous", "reader", "");
    if let Command::AddBinding { by, .. } = &mut odd {
        *by = "user:anna\n".to_owned();
    }
    assert!(store.reason(odd).starts_with("the name of who makes the binding holds control characters"));
    assert!(store.bound().is_empty());
}

#[test]
fn a_takeover_passes_over_what_a_lost_majority_may_have_given_out() {
    let mut store = Store::founded();
    store.bind("anonymous", "reader");
    let before = store.version();
    assert_eq!(store.apply(Command::BeginAnew { primary: RegionId(1) }), Response::Done);
    assert!(store.version() >= before + (1 << 20));
    let next = store.bind("anonymous", "writer");
    assert!(next.0 > 1 << 20, "{next}");
    store.keeps(Command::RemoveBinding { id: BindingId(7) });
    assert_eq!(store.bound(), [BindingId(1), next]);
}
