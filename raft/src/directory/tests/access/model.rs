//! What holds after any commands, in any order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::select;
use storage::kv::Bytes;

use super::*;
use crate::directory::table::{AccessState, BindingRequests, Bindings, RemovedBindings};
use crate::id::RegionId;
use crate::table::Table;
use crate::time::Timestamp;

const NAMES: [&str; 3] = ["a", "b", "c"];

fn name() -> impl Strategy<Value = String> {
    select(&NAMES[..]).prop_map(ToOwned::to_owned)
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(name(), 0..3)
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        Just(Subject::Anonymous),
        name().prop_map(Subject::User),
        name().prop_map(Subject::Robot),
        name().prop_map(Subject::Group)
    ]
}

fn account() -> impl Strategy<Value = Command> {
    let disabled = || prop::option::of(any::<bool>());
    let source = prop::option::of(select(vec!["ldap", "a"]).prop_map(ToOwned::to_owned));
    prop_oneof![
        (name(), source, names()).prop_map(|(name, source, groups)| {
            Command::AddUser { name, display: String::new(), password: None, source, groups }
        }),
        (name(), names()).prop_map(|(name, groups)| {
            Command::ProvisionUser { name, source: "ldap".to_owned(), display: String::new(), groups }
        }),
        (name(), disabled(), prop::option::of(names())).prop_map(|(name, disabled, groups)| {
            Command::SetUser { name, display: None, password: None, disabled, groups }
        }),
        name().prop_map(|name| Command::RemoveUser { name }),
        (name(), names(), prop::option::of(0..9_u64)).prop_map(|(name, groups, lifetime_seconds)| {
            Command::AddRobot { name, description: String::new(), groups, lifetime_seconds }
        }),
        (name(), disabled(), prop::option::of(names()))
            .prop_map(|(name, disabled, groups)| { Command::SetRobot { name, description: None, groups, disabled } }),
        (name(), name()).prop_map(|(robot, issuer)| trust(&robot, rule(&issuer, "acme/*"))),
        (name(), name()).prop_map(|(robot, issuer)| distrust(&robot, &issuer)),
        (name(), prop::collection::vec(subject(), 0..3), prop::collection::vec(subject(), 0..3))
            .prop_map(|(group, add, remove)| Command::Regroup { group, add, remove }),
        name().prop_map(|name| Command::RemoveRobot { name }),
    ]
}

fn secrets() -> impl Strategy<Value = Command> {
    let id = || (0..3_u8).prop_map(|id| [id; 8]);
    let seconds = || prop::option::of(0..90_u64);
    prop_oneof![
        (subject(), id(), seconds(), seconds()).prop_map(
            |(subject, id, lifetime_seconds, others_end_after_seconds)| {
                let (hash, name) = ([1; 32], String::new());
                Command::AddSecret { subject, id, hash, name, lifetime_seconds, others_end_after_seconds }
            }
        ),
        (subject(), id()).prop_map(|(subject, id)| Command::RemoveSecret { subject, id }),
        (subject(), id(), any::<u64>())
            .prop_map(|(subject, id, time)| { Command::NoteSecretUses { uses: vec![(subject, id, Timestamp(time))] } }),
        subject().prop_map(|subject| Command::EndSessions { subject }),
        (0..3_u8, 0..90_u64, 0..90_u64).prop_map(|(id, signs_after_seconds, others_retire_after_seconds)| {
            let part = Bytes::from_static(b"key");
            let key = NewSigningKey { id: [id; 8], public: part.clone(), wrapped_private: part };
            Command::AddSigningKey { key, signs_after_seconds, others_retire_after_seconds }
        }),
        id().prop_map(|id| Command::RemoveSigningKey { id }),
    ]
}

fn rules() -> impl Strategy<Value = Command> {
    let purpose = prop_oneof![
        Just(IssuerUse::Workload),
        Just(IssuerUse::Tokens),
        names().prop_map(|groups| {
            let pairs: Vec<(&str, &str)> = groups.iter().map(|group| ("theirs", group.as_str())).collect();
            people(&pairs)
        })
    ];
    let effect = prop_oneof![
        select(vec!["reader", "a", "b"]).prop_map(|role| Effect::Allow { role: role.to_owned() }),
        Just(Effect::Deny { actions: Actions::of(&[Action::Pull]) })
    ];
    let actions = select(vec![Actions::EMPTY, Actions::of(&[Action::Pull]), Actions::ALL]);
    prop_oneof![
        2 => name().prop_map(|name| group(&name)),
        1 => name().prop_map(|name| Command::RemoveGroup { name }),
        2 => (name(), actions).prop_map(|(name, actions)| {
            Command::SetRole { name, description: String::new(), actions }
        }),
        1 => name().prop_map(|name| Command::RemoveRole { name }),
        4 => (subject(), effect).prop_map(|(subject, effect)| bind(&subject.to_string(), effect, "")),
        1 => (0..9_u64).prop_map(|id| Command::RemoveBinding { id: BindingId(id) }),
        2 => (name(), purpose).prop_map(|(name, purpose)| {
            let url = format!("https://{name}.example.com");
            set_issuer(&name, IssuerRecord { issuer: url, ..issuer(purpose) })
        }),
        1 => name().prop_map(|name| Command::RemoveIssuer { name }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => account(),
        3 => secrets(),
        8 => rules(),
        1 => Just(Command::BeginAnew { primary: RegionId(1) }),
    ]
}

/// Who may do what.
#[derive(Debug, PartialEq, Eq)]
struct Rules {
    users: BTreeMap<String, UserRecord>,
    robots: BTreeMap<String, RobotRecord>,
    groups: BTreeMap<String, GroupRecord>,
    roles: BTreeMap<String, RoleRecord>,
    bindings: BTreeMap<BindingId, BindingRecord>,
    issuers: BTreeMap<String, IssuerRecord>,
    keys: Vec<([u8; 8], SigningKeyRecord)>,
}

impl Rules {
    fn of(store: &Store) -> Self {
        let view = store.view();
        Self {
            users: view.users(None, usize::MAX).unwrap().into_iter().collect(),
            robots: view.robots(None, usize::MAX).unwrap().into_iter().collect(),
            groups: view.groups().unwrap().into_iter().collect(),
            roles: view.roles().unwrap().into_iter().collect(),
            bindings: view.bindings(None, usize::MAX).unwrap().into_iter().collect(),
            issuers: view.issuers().unwrap().into_iter().collect(),
            keys: view.signing_keys().unwrap(),
        }
    }

    /// The same without when secrets were used, which decides nothing.
    fn deciding(mut self) -> Self {
        let keys = self.users.values_mut().flat_map(|user| &mut user.keys);
        for secret in keys.chain(self.robots.values_mut().flat_map(|robot| &mut robot.secrets)) {
            secret.last_used = None;
        }
        self
    }

    fn has_subject(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Anonymous | Subject::Authenticated => true,
            Subject::User(name) => self.users.contains_key(name),
            Subject::Robot(name) => self.robots.contains_key(name),
            Subject::Group(name) => self.groups.contains_key(name),
        }
    }

    /// Nothing names what is not there.
    fn check(&self, now: Timestamp) {
        let members = self.users.values().map(|user| &user.groups);
        for groups in members.chain(self.robots.values().map(|robot| &robot.groups)) {
            assert!(groups.is_sorted_by(|one, next| one < next), "groups are sorted, each once");
            assert!(groups.iter().all(|group| self.groups.contains_key(group)));
        }
        for binding in self.bindings.values() {
            assert!(self.has_subject(&binding.subject), "{binding:?}");
            if let Effect::Allow { role } = &binding.effect {
                assert!(built_in_role(role).is_some() || self.roles.contains_key(role), "{binding:?}");
            }
        }
        for rule in self.robots.values().flat_map(|robot| &robot.trusts) {
            assert_eq!(self.issuers[&rule.issuer].purpose, IssuerUse::Workload);
        }
        for issuer in self.issuers.values() {
            if let IssuerUse::People { groups, .. } = &issuer.purpose {
                assert!(groups.iter().all(|(_, ours)| self.groups.contains_key(ours)));
            }
        }
        let ids = |secrets: &[SecretRecord]| secrets.iter().map(|secret| secret.id).collect::<BTreeSet<_>>().len();
        assert!(self.users.values().all(|user| ids(&user.keys) == user.keys.len()));
        assert!(self.robots.values().all(|robot| ids(&robot.secrets) == robot.secrets.len()));
        let used = self.users.values().flat_map(|user| &user.keys).filter_map(|key| key.last_used);
        assert!(used.into_iter().all(|time| time <= now), "nothing was used in the future");
    }

    /// What must hold between two moments of which the second is `now`.
    fn follows(&self, before: &Self, now: Timestamp) {
        for (name, user) in &self.users {
            let old = before.users.get(name).filter(|old| old.created == user.created);
            let begun = old.map_or(now, |old| old.sessions_from);
            // Two that begin in one moment are told apart.
            let latest = Timestamp(now.0 + 1000);
            assert!((begun..=latest).contains(&user.sessions_from), "sessions that have ended begin again");
            let relevant = |user: &UserRecord| (user.password.clone(), user.disabled);
            let changed = old.is_some_and(|old| relevant(old) != relevant(user));
            assert!(!changed || user.sessions_from > begun);
        }
        let end = |key: &SigningKeyRecord| key.retires.unwrap_or(Timestamp(u64::MAX));
        for (id, key) in &self.keys {
            let old = before.keys.iter().find(|(other, old)| other == id && old.created == key.created);
            assert!(old.is_none_or(|(_, old)| end(key) <= end(old)), "a key lasts longer than was said");
        }
        let signed = |rules: &Self| rules.keys.iter().any(|(_, key)| key.signs(now));
        assert!(!signed(before) || signed(self), "nobody signs any more");
    }
}

/// What is counted is what there is, and each binding is found by the request that made it.
fn check_counts(store: &Store, rules: &Rules) -> AccessStateRecord {
    let counted = AccessState::get(&store.engine, ()).unwrap().unwrap();
    let there = [rules.users.len(), rules.robots.len(), rules.groups.len(), rules.bindings.len()];
    assert_eq!([counted.users, counted.robots, counted.groups, counted.bindings], there.map(|rows| rows as u64));
    let by_request: BTreeMap<_, _> =
        BindingRequests::scan::<()>(&store.engine, (), None, usize::MAX).unwrap().into_iter().collect();
    let stored = Bindings::scan::<()>(&store.engine, (), None, usize::MAX).unwrap();
    let made: BTreeMap<_, _> = stored.iter().map(|(id, stored)| (stored.added_by.unwrap(), *id)).collect();
    let removed = RemovedBindings::scan::<()>(&store.engine, (), None, usize::MAX).unwrap();
    let removed: BTreeSet<_> = removed.into_iter().map(|((_, request), ())| request).collect();
    let holding: BTreeMap<_, _> =
        by_request.iter().filter(|(request, _)| !removed.contains(request)).map(|(key, id)| (*key, *id)).collect();
    assert_eq!((holding, by_request.len()), (made, rules.bindings.len() + removed.len()));
    assert!(rules.bindings.keys().all(|id| *id < counted.next_binding));
    counted
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_names_what_is_not_there(commands in prop::collection::vec((command(), 0..50_u64), 0..60)) {
        let mut store = Store::founded();
        let mut rules = Rules::of(&store);
        let mut counted = check_counts(&store, &rules);
        for (command, pause_seconds) in commands {
            store.now = store.now.plus_seconds(pause_seconds);
            let answer = store.apply(command.clone());
            let after = Rules::of(&store);
            after.check(store.now);
            after.follows(&rules, store.now);
            let next = check_counts(&store, &after);
            prop_assert!(next.next_binding >= counted.next_binding, "an id is given out twice");
            let added = |id: &&BindingId| !rules.bindings.contains_key(id);
            prop_assert!(after.bindings.keys().filter(added).all(|id| *id >= counted.next_binding));
            let refused = matches!(answer, Response::Refused(_));
            prop_assert!(!refused || (after == rules && next == counted), "a refusal changes nothing: {command:?}");
            // A repetition of what was not refused is not refused either, and finds everything as it was asked for.
            if !refused && !matches!(command, Command::BeginAnew { .. } | Command::EndSessions { .. }) {
                prop_assert_eq!(store.repeat(command.clone()), answer, "{:?}", &command);
                prop_assert_eq!(&Rules::of(&store), &after, "{:?}", &command);
                prop_assert_eq!(check_counts(&store, &after), next, "{:?}", &command);
            }
            let moved = matches!(command, Command::BeginAnew { .. } | Command::EndSessions { .. });
            let (now, then) = (Rules::of(&store).deciding(), rules.deciding());
            prop_assert!(moved || (now != then) == (next.version > counted.version), "uncounted: {command:?}");
            (rules, counted) = (after, next);
        }
    }
}
