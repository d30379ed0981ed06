//! Machines.

use super::*;

fn set(name: &str) -> Command {
    Command::SetRobot { name: name.to_owned(), description: None, groups: None, disabled: None, trusts: None }
}

fn trust(name: &str, rules: &[TrustRule]) -> Command {
    let trusts = Some(rules.to_vec());
    Command::SetRobot { name: name.to_owned(), description: None, groups: None, disabled: None, trusts }
}

fn rule(issuer: &str, repository: &str) -> TrustRule {
    TrustRule { issuer: issuer.to_owned(), claims: vec![("repository".to_owned(), repository.to_owned())] }
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
    store.changes(trust("ci", &[rule(BY_CERTIFICATE, "a"), rule(BY_CERTIFICATE, "b")]));
    assert_eq!(store.robot("ci").sessions_from, ended, "who is trusted besides ends nothing");
    store.changes(trust("ci", &[rule(BY_CERTIFICATE, "b")]));
    assert_eq!(store.robot("ci").sessions_from, store.now);
}

#[test]
fn a_robot_trusts_issuers_of_workloads() {
    let mut store = Store::founded();
    store.add_robot("ci");
    let unknown = || AccessRefusal::IssuerUnknown("github".to_owned());
    store.refuses(trust("ci", &[rule("github", "acme/*")]), unknown());
    store.changes(set_issuer("github", issuer(IssuerUse::Tokens)));
    store.refuses(trust("ci", &[rule("github", "acme/*")]), unknown());
    store.changes(set_issuer("github", issuer(IssuerUse::Workload)));
    store.changes(trust("ci", &[rule("github", "acme/*")]));
    store.keeps(trust("ci", &[rule("github", "acme/*")]));
    assert_eq!(store.robot("ci").trusts, [rule("github", "acme/*")]);
    let reason = store.reason(trust("ci", &[TrustRule { issuer: "github".to_owned(), claims: Vec::new() }]));
    assert!(reason.starts_with("a rule of whom robot \"ci\" trusts names 0 claims"), "{reason}");
    let reason = store.reason(trust("ci", &vec![rule(BY_CERTIFICATE, "a"); TRUSTS_MAX + 1]));
    assert!(reason.contains("is one of 17, 16 at most may be"), "{reason}");
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
