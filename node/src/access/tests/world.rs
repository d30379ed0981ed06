//! A small world of accounts, rules and callers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use raft::directory::{
    Action, Actions, BindingId, BindingRecord, Condition, Effect, IssuerKeys, IssuerRecord, IssuerUse, RobotRecord,
    RoleRecord, UserRecord,
};
use raft::time::Timestamp;

use crate::access::{Caller, Decision, Grant, GrantKind, Principal, Records, Rights, Way};

/// The moment at which everything is asked.
pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A world to which rules are added: their ids count from 1.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) records: Records,
}

impl World {
    /// Ann is in the group `core`, Bob in none, there is the robot `ci`, and the issuer `gitlab` gives tokens.
    pub(super) fn new() -> Self {
        let mut records = Records::default();
        records.users.insert("ann".to_owned(), user(&["core"]));
        records.users.insert("bob".to_owned(), user(&[]));
        records.robots.insert("ci".to_owned(), robot());
        records.groups.insert("core".to_owned());
        let tagger = RoleRecord { description: String::new(), actions: Actions::of(&[Action::Tag]) };
        records.roles.insert("tagger".to_owned(), tagger);
        records.issuers.insert("gitlab".to_owned(), issuer(IssuerUse::Tokens));
        Self { records }
    }

    pub(super) fn add(mut self, subject: &str, effect: Effect, namespace: &str, condition: Condition) -> Self {
        let id = BindingId(self.records.bindings.len() as u64 + 1);
        let record = BindingRecord {
            subject: subject.parse().unwrap(),
            effect,
            namespace: namespace.to_owned(),
            condition,
            note: String::new(),
            created: Timestamp(0),
            created_by: "operator".to_owned(),
        };
        self.records.bindings.insert(id, record);
        self
    }

    pub(super) fn allow(self, subject: &str, role: &str, namespace: &str) -> Self {
        self.allow_when(subject, role, namespace, Condition::default())
    }

    pub(super) fn allow_when(self, subject: &str, role: &str, namespace: &str, condition: Condition) -> Self {
        self.add(subject, Effect::Allow { role: role.to_owned() }, namespace, condition)
    }

    pub(super) fn deny(self, subject: &str, actions: &str, namespace: &str) -> Self {
        self.add(subject, Effect::Deny { actions: actions.parse().unwrap() }, namespace, Condition::default())
    }

    pub(super) fn rights(self) -> Rights {
        Rights::new(self.records)
    }
}

pub(super) fn user(groups: &[&str]) -> UserRecord {
    UserRecord {
        display: String::new(),
        password: None,
        source: None,
        groups: groups.iter().map(|&name| name.to_owned()).collect(),
        disabled: false,
        created: Timestamp(0),
        sessions_from: Timestamp(0),
        keys: Vec::new(),
        vouched: None,
        confirmed: None,
    }
}

pub(super) fn robot() -> RobotRecord {
    RobotRecord {
        description: String::new(),
        groups: Vec::new(),
        disabled: false,
        created: Timestamp(0),
        expires: None,
        sessions_from: Timestamp(0),
        secrets: Vec::new(),
        trusts: Vec::new(),
    }
}

pub(super) fn issuer(purpose: IssuerUse) -> IssuerRecord {
    IssuerRecord {
        issuer: "https://gitlab.example".to_owned(),
        audiences: vec!["registry".to_owned()],
        purpose,
        keys: IssuerKeys::Discover,
        authority: None,
        algorithms: vec!["RS256".to_owned()],
        created: Timestamp(0),
    }
}

/// Somebody by his text, with the groups that the rights know, from 192.0.2.1, without a token.
pub(super) fn caller(rights: &Rights, principal: &str) -> Caller {
    let principal: Principal = if principal == "operator" { Principal::Operator } else { principal.parse().unwrap() };
    let groups = rights.groups(&principal);
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    Caller { principal, groups, address, way: Way::Password, grants: None, shown: None }
}

/// The same with a token: `NAME:pull,push` for a repository, `catalog` for the list of them.
pub(super) fn with_token(mut caller: Caller, grants: &[&str]) -> Caller {
    let grant = |text: &&str| match text.split_once(':') {
        Some((name, actions)) => Grant {
            kind: GrantKind::Repository,
            name: name.to_owned(),
            actions: actions.split(',').map(ToOwned::to_owned).collect(),
        },
        None => Grant { kind: GrantKind::Registry, name: (*text).to_owned(), actions: vec!["*".to_owned()] },
    };
    caller.grants = Some(grants.iter().map(grant).collect());
    caller.way = Way::Token;
    caller
}

/// What is decided, and by which rule.
pub(super) fn decide(rights: &Rights, principal: &str, action: Action, repository: &str) -> (bool, Option<u64>) {
    let decision = rights.decide(&caller(rights, principal), action, repository, NOW);
    assert!(!decision.beyond_token);
    told(decision)
}

pub(super) fn told(decision: Decision) -> (bool, Option<u64>) {
    (decision.allowed, decision.binding.map(|BindingId(id)| id))
}

/// The roles, for the oracle.
pub(super) fn roles(records: &Records) -> BTreeMap<String, Actions> {
    let own = records.roles.iter().map(|(name, record)| (name.clone(), record.actions));
    let built_in = raft::directory::BUILT_IN_ROLES.map(|(name, actions)| (name.to_owned(), actions));
    own.chain(built_in).collect()
}
