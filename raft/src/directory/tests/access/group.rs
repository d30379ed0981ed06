//! Groups.

use super::*;

#[test]
fn a_group_is_added_once() {
    let mut store = Store::founded();
    store.add_group("core");
    store.keeps(group("core"));
    let other = Command::AddGroup { name: "core".to_owned(), description: "others".to_owned() };
    store.refuses(other, AccessRefusal::GroupExists("core".to_owned()));
    let bad = AccessRefusal::NameInvalid { kind: "group".to_owned(), name: "a/b".to_owned() };
    store.refuses(group("a/b"), bad);
    let long = Command::AddGroup { name: "long".to_owned(), description: "a".repeat(DESCRIPTION_LENGTH_MAX + 1) };
    assert!(store.reason(long).starts_with("the description of group \"long\" has 1025 bytes"));
    let record = GroupRecord { description: "a team".to_owned(), created: store.now };
    assert_eq!(store.view().groups().unwrap(), [("core".to_owned(), record.clone())]);
    assert_eq!(store.view().group("core").unwrap(), Some(record));
}

#[test]
fn a_group_goes_from_everything_that_names_it() {
    let mut store = Store::founded();
    for name in ["core", "core-eu", "ops"] {
        store.add_group(name);
    }
    store.changes(user("anna", &["core", "core-eu", "ops"]));
    store.changes(user("bert", &["ops"]));
    store.changes(robot("ci", &["core", "ops"]));
    store.changes(set_issuer("corp", issuer(people(&[("dev", "core"), ("dev", "ops"), ("staff", "core")]))));
    let (_, kept) = (store.bind("group:core", "writer"), store.bind("group:core-eu", "writer"));
    let remove = Command::RemoveGroup { name: "core".to_owned() };
    store.changes(remove.clone());
    store.keeps(remove);
    assert_eq!(store.user("anna").groups, ["core-eu", "ops"]);
    assert_eq!((store.user("bert").groups, store.robot("ci").groups), (strings(&["ops"]), strings(&["ops"])));
    assert_eq!(store.view().issuer("corp").unwrap().unwrap().purpose, people(&[("dev", "ops")]));
    assert_eq!(store.bound(), [kept]);
    store.add_group("core");
    assert_eq!(store.user("anna").groups, ["core-eu", "ops"], "another one of the name begins empty");
}

#[test]
fn a_group_goes_from_more_members_than_are_looked_at_together() {
    let mut store = Store::founded();
    store.add_group("core");
    let names: Vec<String> = (0..1203).map(|number| format!("u{number}")).collect();
    for name in &names {
        store.apply(user(name, &["core"]));
        store.apply(robot(name, &["core"]));
        store.apply(allow("group:core", "reader", ""));
    }
    store.changes(Command::RemoveGroup { name: "core".to_owned() });
    assert!(names.iter().all(|name| store.user(name).groups.is_empty() && store.robot(name).groups.is_empty()));
    assert!(store.bound().is_empty());
}

#[test]
fn members_come_and_go_all_at_once_or_not_at_all() {
    let mut store = Store::founded();
    store.refuses(regroup("core", &[], &[]), AccessRefusal::GroupUnknown("core".to_owned()));
    for name in ["aaa", "core"] {
        store.add_group(name);
    }
    store.add_user("anna");
    store.changes(user("bert", &["aaa", "core"]));
    store.add_robot("ci");
    store.keeps(regroup("core", &["user:bert"], &["user:anna"]));
    let all = regroup("core", &["user:anna", "robot:ci"], &["user:bert"]);
    store.changes(all.clone());
    store.keeps(all);
    let groups = |store: &Store| (store.user("anna").groups, store.user("bert").groups, store.robot("ci").groups);
    let expected = (strings(&["core"]), strings(&["aaa"]), strings(&["core"]));
    assert_eq!(groups(&store), expected);
    let (nobody, both) = (AccessRefusal::UserUnknown("eve".to_owned()), "user:anna".parse().unwrap());
    store.refuses(regroup("core", &["user:bert", "user:eve"], &["user:anna"]), nobody);
    store.refuses(regroup("core", &["user:anna"], &["user:anna"]), AccessRefusal::RegroupedTwice(both));
    let group = "group:aaa".parse().unwrap();
    store.refuses(regroup("core", &["user:bert", "group:aaa"], &[]), AccessRefusal::NoMember(group));
    let many = AccessRefusal::TooManyRegrouped { members: 1001, most: 1000 };
    store.refuses(regroup("core", &vec!["user:bert"; REGROUPED_MAX + 1], &[]), many);
    assert_eq!(groups(&store), expected, "nothing of a refused change is done");
}

#[test]
fn two_operators_who_regroup_at_the_same_time_lose_nothing() {
    let mut store = Store::founded();
    for name in ["core", "ops"] {
        store.add_group(name);
    }
    store.add_user("anna");
    // Each has seen her in no group.
    store.changes(regroup("ops", &["user:anna"], &[]));
    store.changes(regroup("core", &["user:anna"], &[]));
    assert_eq!(store.user("anna").groups, ["core", "ops"]);
}

#[test]
fn nobody_is_in_more_groups_than_may_be() {
    let mut store = Store::founded();
    let names: Vec<String> = (0..=GROUPS_PER_SUBJECT_MAX).map(|number| format!("g{number}")).collect();
    store.add_user("anna");
    for name in &names {
        store.add_group(name);
        let answer = store.apply(regroup(name, &["user:anna"], &[]));
        assert_eq!(answer == Response::Done, name != names.last().unwrap(), "{answer:?}");
    }
    assert_eq!(store.user("anna").groups.len(), GROUPS_PER_SUBJECT_MAX);
}
