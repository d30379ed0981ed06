//! People.

use super::*;

fn set(name: &str) -> Command {
    Command::SetUser { name: name.to_owned(), display: None, password: None, disabled: None, groups: None }
}

fn provision(name: &str, source: &str, groups: &[&str]) -> Command {
    Command::ProvisionUser {
        name: name.to_owned(),
        source: source.to_owned(),
        display: "Anna".to_owned(),
        groups: strings(groups),
    }
}

fn elsewhere(name: &str, source: &str) -> Command {
    let source = Some(source.to_owned());
    Command::AddUser { name: name.to_owned(), display: String::new(), password: None, source, groups: Vec::new() }
}

#[test]
fn a_user_is_added_once_with_sorted_groups() {
    let mut store = Store::founded();
    store.refuses(user("anna", &["core"]), AccessRefusal::GroupUnknown("core".to_owned()));
    store.add_group("core");
    store.add_group("ops");
    store.changes(user("anna", &["ops", "core", "ops"]));
    let added = store.user("anna");
    assert_eq!(added.groups, ["core", "ops"]);
    assert_eq!((added.created, added.sessions_from, added.disabled), (store.now, store.now, false));
    assert_eq!((added.password.as_deref(), added.source, added.keys), (Some(PHC), None, Vec::new()));
    store.keeps(user("anna", &["core", "ops"]));
    store.refuses(user("anna", &["core"]), AccessRefusal::UserExists("anna".to_owned()));
    store.refuses(user("Anna", &[]), AccessRefusal::UserNameInvalid("Anna".to_owned()));
    assert_eq!(store.view().users(None, 9).unwrap(), [("anna".to_owned(), store.user("anna"))]);
    assert!(store.view().users(Some("anna"), 9).unwrap().is_empty());
}

#[test]
fn only_what_is_named_of_a_user_changes() {
    let mut store = Store::founded();
    store.refuses(set("anna"), AccessRefusal::UserUnknown("anna".to_owned()));
    store.add_group("core");
    store.add_user("anna");
    let added = store.user("anna");
    store.now = store.now.plus_seconds(60);
    store.keeps(set("anna"));
    let mut change = set("anna");
    if let Command::SetUser { display, groups, .. } = &mut change {
        (*display, *groups) = (Some("Anna".to_owned()), Some(strings(&["core"])));
    }
    store.changes(change.clone());
    store.keeps(change);
    let expected = UserRecord { display: "Anna".to_owned(), groups: strings(&["core"]), ..added };
    assert_eq!(store.user("anna"), expected, "and no session ends");
    let mut unknown = set("anna");
    if let Command::SetUser { groups, .. } = &mut unknown {
        *groups = Some(strings(&["nobody"]));
    }
    store.refuses(unknown, AccessRefusal::GroupUnknown("nobody".to_owned()));
    let mut long = set("anna");
    if let Command::SetUser { display, .. } = &mut long {
        *display = Some("a".repeat(LABEL_LENGTH_MAX + 1));
    }
    assert!(store.reason(long).starts_with("what people call user \"anna\" has 257 bytes: 256 at most"));
}

#[test]
fn another_password_or_being_disabled_ends_sessions() {
    let mut store = Store::founded();
    store.add_user("anna");
    let password = |hash: &str| {
        let mut command = set("anna");
        if let Command::SetUser { password, .. } = &mut command {
            *password = Some(hash.to_owned());
        }
        command
    };
    let disabled = |wanted| {
        let mut command = set("anna");
        if let Command::SetUser { disabled, .. } = &mut command {
            *disabled = Some(wanted);
        }
        command
    };
    for command in [password(OTHER_PHC), disabled(true), disabled(false)] {
        store.now = store.now.plus_seconds(60);
        store.changes(command.clone());
        assert_eq!(store.user("anna").sessions_from, store.now, "{command:?}");
        let ended = store.now;
        store.now = store.now.plus_seconds(60);
        store.keeps(command.clone());
        assert_eq!(store.user("anna").sessions_from, ended, "{command:?}: a repetition ends nothing");
    }
    store.refuses(password("secret"), AccessRefusal::PasswordInvalid("anna".to_owned()));
    assert_eq!(store.user("anna").password.as_deref(), Some(OTHER_PHC));
}

#[test]
fn a_user_has_his_password_in_one_place() {
    let mut store = Store::founded();
    let mut both = user("anna", &[]);
    if let Command::AddUser { source, .. } = &mut both {
        *source = Some("ldap".to_owned());
    }
    let refusal = || AccessRefusal::PasswordElsewhere { name: "anna".to_owned(), from: "ldap".to_owned() };
    store.refuses(both, refusal());
    store.changes(elsewhere("anna", "ldap"));
    store.keeps(elsewhere("anna", "ldap"));
    let mut password = set("anna");
    if let Command::SetUser { password, .. } = &mut password {
        *password = Some(PHC.to_owned());
    }
    store.refuses(password, refusal());
    store.refuses(elsewhere("bert", "corp"), AccessRefusal::SourceUnknown("corp".to_owned()));
    store.changes(set_issuer("corp", issuer(IssuerUse::Workload)));
    store.refuses(elsewhere("bert", "corp"), AccessRefusal::SourceUnknown("corp".to_owned()));
    store.changes(set_issuer("corp", issuer(people(&[]))));
    store.changes(elsewhere("bert", "corp"));
}

#[test]
fn who_logs_in_elsewhere_is_added_and_then_refreshed() {
    let mut store = Store::founded();
    store.add_group("core");
    store.changes(provision("anna", "ldap", &["nobody", "core", "No Name"]));
    let added = store.user("anna");
    assert_eq!((added.source.as_deref(), &added.password), (Some("ldap"), &None));
    assert_eq!(added.groups, ["core"], "groups that do not exist here are passed over");
    store.now = store.now.plus_seconds(60);
    store.keeps(provision("anna", "ldap", &["core"]));
    store.changes(provision("anna", "ldap", &[]));
    assert_eq!(store.user("anna"), UserRecord { groups: Vec::new(), ..added });
    let (name, present) = ("anna".to_owned(), Some("ldap".to_owned()));
    let other = AccessRefusal::OtherSource { name, present, from: "htpasswd".to_owned() };
    assert_eq!(
        other.to_string(),
        "user \"anna\" logs in at \"ldap\", not at \"htpasswd\": remove it first with: regnode user remove anna"
    );
    store.refuses(provision("anna", "htpasswd", &[]), other);
    store.add_user("bert");
    let reason = store.reason(provision("bert", "ldap", &[]));
    assert!(reason.starts_with("user \"bert\" logs in here, not at \"ldap\""), "{reason}");
    store.refuses(provision("Bert", "ldap", &[]), AccessRefusal::UserNameInvalid("Bert".to_owned()));
    store.refuses(provision("carl", "moon", &[]), AccessRefusal::SourceUnknown("moon".to_owned()));
}

#[test]
fn who_is_disabled_stays_so_when_he_logs_in_elsewhere() {
    let mut store = Store::founded();
    store.changes(provision("anna", "ldap", &[]));
    let mut disable = set("anna");
    if let Command::SetUser { disabled, .. } = &mut disable {
        *disabled = Some(true);
    }
    store.changes(disable);
    let mut renamed = provision("anna", "ldap", &[]);
    if let Command::ProvisionUser { display, .. } = &mut renamed {
        *display = format!("Anna\n{}", "\u{e9}".repeat(LABEL_LENGTH_MAX));
    }
    store.changes(renamed.clone());
    store.keeps(renamed);
    let anna = store.user("anna");
    assert!(anna.disabled);
    assert_eq!(anna.display, format!("Anna{}", "\u{e9}".repeat(126)), "a name from elsewhere is cut to what may be");
}

#[test]
fn a_user_goes_with_his_bindings() {
    let mut store = Store::founded();
    store.add_user("anna");
    store.add_user("bert");
    let (first, other) = (store.bind("user:anna", "reader"), store.bind("user:bert", "reader"));
    let second = store.bind("user:anna", "writer");
    assert_eq!(store.bound(), [first, other, second]);
    let remove = Command::RemoveUser { name: "anna".to_owned() };
    store.changes(remove.clone());
    store.keeps(remove);
    assert_eq!((store.bound(), store.view().user("anna").unwrap()), (vec![other], None));
    store.now = store.now.plus_seconds(60);
    store.add_user("anna");
    assert_eq!(store.user("anna").sessions_from, store.now, "tokens of the former one do not count");
}
