//! Machines.

use super::*;

fn set(name: &str) -> Command {
    Command::SetRobot { name: name.to_owned(), description: None, groups: None, disabled: None }
}

#[test]
fn a_robot_is_added_once_and_may_have_an_end() {
    let mut store = Store::founded();
    store.refuses(robot("ci", &["core"]), AccessRefusal::GroupUnknown("core".to_owned()));
    let lasting = |seconds| {
        let mut command = robot("ci", &[]);
        if let Command::AddRobot { lifetime_seconds, .. } = &mut command {
            *lifetime_seconds = seconds;
        }
        command
    };
    let begin = store.now;
    store.changes(lasting(Some(3600)));
    store.now = begin.plus_seconds(60);
    store.keeps(lasting(Some(3600)));
    store.refuses(lasting(None), AccessRefusal::RobotExists("ci".to_owned()));
    let added = store.robot("ci");
    assert_eq!((added.created, added.sessions_from, added.expires), (begin, begin, Some(begin.plus_seconds(3600))));
    assert!(added.secrets.is_empty() && added.trusts.is_empty() && !added.disabled);
    let bad = AccessRefusal::NameInvalid { kind: "robot".to_owned(), name: "a@b".to_owned() };
    store.refuses(robot("a@b", &[]), bad);
    assert_eq!(store.view().robots(None, 9).unwrap(), [("ci".to_owned(), added)]);
}

#[test]
fn only_what_is_named_of_a_robot_changes() {
    let mut store = Store::founded();
    store.refuses(set("ci"), AccessRefusal::RobotUnknown("ci".to_owned()));
    store.add_group("core");
    store.add_robot("ci");
    let added = store.robot("ci");
    store.now = store.now.plus_seconds(60);
    store.keeps(set("ci"));
    let mut change = set("ci");
    if let Command::SetRobot { description, groups, .. } = &mut change {
        (*description, *groups) = (Some("tests".to_owned()), Some(strings(&["core"])));
    }
    store.changes(change.clone());
    store.keeps(change);
    let expected = RobotRecord { description: "tests".to_owned(), groups: strings(&["core"]), ..added };
    assert_eq!(store.robot("ci"), expected, "and no session ends");
    let mut unknown = set("ci");
    if let Command::SetRobot { groups, .. } = &mut unknown {
        *groups = Some(strings(&["nobody"]));
    }
    store.refuses(unknown, AccessRefusal::GroupUnknown("nobody".to_owned()));
    let mut odd = set("ci");
    if let Command::SetRobot { description, .. } = &mut odd {
        *description = Some("a\u{7}".to_owned());
    }
    assert!(store.reason(odd).starts_with("the description of robot \"ci\" holds control characters"));
}

#[test]
fn being_disabled_or_losing_a_trust_ends_sessions() {
    let mut store = Store::founded();
    store.add_robot("ci");
    let mut disable = set("ci");
    if let Command::SetRobot { disabled, .. } = &mut disable {
        *disabled = Some(true);
    }
    store.now = store.now.plus_seconds(60);
    store.changes(disable.clone());
    let ended = store.now;
    store.now = store.now.plus_seconds(60);
    store.keeps(disable);
    store.changes(trust("ci", rule(BY_CERTIFICATE, "a")));
    assert_eq!(store.robot("ci").sessions_from, ended, "who is trusted besides ends nothing");
    store.keeps(distrust("ci", "github"));
    assert_eq!(store.robot("ci").sessions_from, ended);
    store.changes(distrust("ci", BY_CERTIFICATE));
    store.keeps(distrust("ci", BY_CERTIFICATE));
    assert_eq!(store.robot("ci").sessions_from, store.now);
}

#[test]
fn a_robot_trusts_issuers_of_workloads() {
    let mut store = Store::founded();
    store.add_robot("ci");
    let unknown = || AccessRefusal::IssuerUnknown("github".to_owned());
    store.refuses(trust("ci", rule("github", "acme/*")), unknown());
    store.changes(set_issuer("github", issuer(IssuerUse::Tokens)));
    store.refuses(trust("ci", rule("github", "acme/*")), unknown());
    store.changes(set_issuer("github", issuer(IssuerUse::Workload)));
    store.changes(trust("ci", rule("github", "acme/*")));
    store.keeps(trust("ci", rule("github", "acme/*")));
    assert_eq!(store.robot("ci").trusts, [rule("github", "acme/*")]);
    let reason = store.reason(trust("ci", TrustRule { issuer: "github".to_owned(), claims: Vec::new() }));
    assert!(reason.starts_with("a rule of whom robot \"ci\" trusts names 0 claims"), "{reason}");
    for number in 1..TRUSTS_MAX {
        store.changes(trust("ci", rule(BY_CERTIFICATE, &number.to_string())));
    }
    let reason = store.reason(trust("ci", rule(BY_CERTIFICATE, "one more")));
    assert!(reason.contains("would be one of 17, 16 at most may be"), "{reason}");
    store.refuses(trust("none", rule(BY_CERTIFICATE, "a")), AccessRefusal::RobotUnknown("none".to_owned()));
    store.refuses(distrust("none", BY_CERTIFICATE), AccessRefusal::RobotUnknown("none".to_owned()));
}

#[test]
fn two_operators_who_trust_at_the_same_time_lose_nothing() {
    let mut store = Store::founded();
    store.add_robot("ci");
    // Each has seen a robot that trusts nobody.
    let (one, other) = (trust("ci", rule(BY_CERTIFICATE, "a")), trust("ci", rule(BY_CERTIFICATE, "b")));
    store.changes(one);
    store.changes(other);
    assert_eq!(store.robot("ci").trusts, [rule(BY_CERTIFICATE, "a"), rule(BY_CERTIFICATE, "b")]);
}

#[test]
fn a_robot_of_a_name_that_is_given_again_takes_no_token_of_the_one_before() {
    let mut store = Store::founded();
    // The clock stands still behind a leader that was ahead.
    store.add_robot("ci");
    let before = store.robot("ci").sessions_from;
    store.changes(Command::RemoveRobot { name: "ci".to_owned() });
    store.add_robot("ci");
    assert!(store.robot("ci").sessions_from > before);
}

#[test]
fn a_robot_goes_with_its_bindings() {
    let mut store = Store::founded();
    store.add_robot("ci");
    store.add_user("ci");
    let (_, other) = (store.bind("robot:ci", "writer"), store.bind("user:ci", "reader"));
    let remove = Command::RemoveRobot { name: "ci".to_owned() };
    store.changes(remove.clone());
    store.keeps(remove);
    assert_eq!((store.bound(), store.view().robot("ci").unwrap()), (vec![other], None));
}
