//! There is no more of anything than may be.

use super::*;
use crate::directory::table::AccessState;
use crate::machine::Transaction;
use crate::table::Table;

impl Store {
    /// Sets what is counted, so that no test has to make thousands.
    fn count(&mut self, change: impl FnOnce(&mut AccessStateRecord)) {
        let mut transaction = Transaction::new(self.engine.as_ref());
        let mut record = AccessState::get(&transaction, ()).unwrap().unwrap();
        change(&mut record);
        AccessState::put(&mut transaction, (), &record);
        self.engine.write(transaction.into_batch()).unwrap();
    }
}

#[test]
fn what_can_become_many_is_counted() {
    let mut store = Store::founded();
    let (users, robots, groups, bindings) =
        (USERS_MAX as u64, ROBOTS_MAX as u64, GROUPS_MAX as u64, BINDINGS_MAX as u64);
    store.count(|count| {
        (count.users, count.robots, count.groups, count.bindings) = (users - 1, robots - 1, groups - 1, bindings - 1);
    });
    store.add_user("anna");
    store.add_robot("ci");
    store.add_group("core");
    store.bind("user:anna", "reader");
    store.refuses(user("bert", &[]), AccessRefusal::TooManyUsers(users));
    store.refuses(robot("cd", &[]), AccessRefusal::TooManyRobots(robots));
    store.refuses(group("ops"), AccessRefusal::TooManyGroups(groups));
    store.refuses(allow("anonymous", "reader", ""), AccessRefusal::TooManyBindings(bindings));
    let from_elsewhere = Command::ProvisionUser {
        name: "bert".to_owned(),
        source: "ldap".to_owned(),
        display: String::new(),
        groups: Vec::new(),
    };
    store.refuses(from_elsewhere, AccessRefusal::TooManyUsers(users));
    for present in [user("anna", &[]), robot("ci", &[]), group("core")] {
        store.keeps(present);
    }
    let name = |name: &str| name.to_owned();
    store.changes(Command::RemoveUser { name: name("anna") });
    store.changes(Command::RemoveRobot { name: name("ci") });
    store.changes(Command::RemoveGroup { name: name("core") });
    store.add_user("bert");
    store.add_robot("cd");
    store.add_group("ops");
    store.bind("anonymous", "reader");
}

#[test]
fn roles_and_issuers_are_few() {
    let mut store = Store::founded();
    let role = |number: usize| {
        let (name, actions) = (format!("role-{number}"), Actions::of(&[Action::Pull]));
        Command::SetRole { name, description: String::new(), actions }
    };
    for number in 0..ROLES_MAX {
        store.changes(role(number));
    }
    store.refuses(role(ROLES_MAX), AccessRefusal::TooManyRoles(ROLES_MAX as u64));
    store.keeps(role(0));
    let numbered = |number: usize| {
        let url = format!("https://{number}.example.com");
        set_issuer(&format!("issuer-{number}"), IssuerRecord { issuer: url, ..issuer(IssuerUse::Workload) })
    };
    for number in 0..ISSUERS_MAX {
        store.changes(numbered(number));
    }
    store.refuses(numbered(ISSUERS_MAX), AccessRefusal::TooManyIssuers(ISSUERS_MAX as u64));
    store.keeps(numbered(0));
}

#[test]
fn one_account_has_few_secrets_and_groups() {
    let mut store = Store::founded();
    store.add_user("anna");
    store.add_robot("ci");
    for subject in ["user:anna", "robot:ci"] {
        for id in 1..=16 {
            store.changes(secret(subject, id));
        }
        let refusal = AccessRefusal::TooManySecrets { subject: subject.parse().unwrap(), most: 16 };
        store.refuses(secret(subject, 17), refusal);
        store.keeps(secret(subject, 1));
    }
    let names: Vec<String> = (0..=GROUPS_PER_SUBJECT_MAX).map(|number| format!("g{number}")).collect();
    for name in &names {
        store.add_group(name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let too_many = |member: &str| {
        let most = GROUPS_PER_SUBJECT_MAX as u64;
        AccessRefusal::TooManyGroupsOf { member: member.parse().unwrap(), groups: most + 1, most }
    };
    store.refuses(user("bert", &names), too_many("user:bert"));
    store.refuses(robot("cd", &names), too_many("robot:cd"));
    let mut from_elsewhere = Command::ProvisionUser {
        name: "bert".to_owned(),
        source: "ldap".to_owned(),
        display: String::new(),
        groups: strings(&names),
    };
    store.refuses(from_elsewhere.clone(), too_many("user:bert"));
    if let Command::ProvisionUser { groups, .. } = &mut from_elsewhere {
        groups[0] = "not-here".to_owned();
    }
    store.changes(from_elsewhere);
    store.changes(user("carl", &names[1..]));
    assert_eq!(store.user("bert").groups, store.user("carl").groups);
}
