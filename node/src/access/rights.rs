//! The rules at one moment, and the accounts that they are about.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use raft::directory::{
    Actions, BindingId, BindingRecord, CONFIRMED_EVERY_SECONDS, IssuerRecord, IssuerUse, RobotRecord, RoleRecord,
    SigningKeyRecord, Subject, UserRecord, built_in_role,
};
use raft::time::Timestamp;

use super::caller::{Caller, Principal, Shown, Way};
use super::rule::Rule;
use super::rules::Rules;
use crate::tenant::Domains;

/// What the directory says, as it was read.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Version of the directory's rules that it was read at.
    pub(crate) version: u64,
    pub(crate) users: BTreeMap<String, UserRecord>,
    pub(crate) robots: BTreeMap<String, RobotRecord>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) roles: BTreeMap<String, RoleRecord>,
    pub(crate) bindings: BTreeMap<BindingId, BindingRecord>,
    pub(crate) issuers: BTreeMap<String, IssuerRecord>,
    pub(crate) signing_keys: BTreeMap<[u8; 8], SigningKeyRecord>,
    /// What names of the registry stand for: it says which names the rules are about.
    pub(crate) domains: Domains,
}

/// Why somebody has no rights at all, whatever the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fallen {
    /// The account was removed.
    #[error("there is no such account")]
    Unknown,
    /// The account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// The robot's time is over.
    #[error("the account has expired")]
    Expired,
    /// The issuer was removed, or is for something else now.
    #[error("the issuer of the token is not one that may say what its tokens allow")]
    Issuer,
}

/// Who may do what at one moment, as this node knows it.
#[derive(Debug, Default)]
pub struct Rights {
    known: bool,
    version: u64,
    users: BTreeMap<String, UserRecord>,
    robots: BTreeMap<String, RobotRecord>,
    groups: BTreeSet<String>,
    roles: BTreeMap<String, RoleRecord>,
    issuers: BTreeMap<String, IssuerRecord>,
    signing_keys: BTreeMap<[u8; 8], SigningKeyRecord>,
    domains: Domains,
    /// Seconds for which keys of people go on who were not confirmed where they log in elsewhere. `None`: for ever.
    people_keys_seconds: Option<u64>,
    pub(super) rules: Rules,
}

impl Rights {
    /// Puts in order what the directory says.
    pub(crate) fn new(records: Records) -> Self {
        let Records { version, users, robots, groups, roles, bindings, issuers, signing_keys, domains } = records;
        let rules = bindings.into_iter().map(|(id, record)| Rule::new(id, record, |name| role(&roles, name)));
        let rules = Rules::new(rules);
        Self {
            known: true,
            version,
            users,
            robots,
            groups,
            roles,
            issuers,
            signing_keys,
            domains,
            people_keys_seconds: None,
            rules,
        }
    }

    /// The same, where keys of people who log in elsewhere stop so many seconds after they were last there.
    #[must_use]
    pub(crate) fn with_people_keys(self, seconds: Option<u64>) -> Self {
        Self { people_keys_seconds: seconds, ..self }
    }

    /// For how many seconds they go on.
    pub(super) const fn people_keys_seconds(&self) -> Option<u64> {
        self.people_keys_seconds
    }

    /// Whether keys of a user count now: always, unless he was not seen for long where he logs in elsewhere. That somebody
    /// was there is noted once a day.
    #[must_use]
    pub fn keys_count(&self, user: &UserRecord, now: Timestamp) -> bool {
        let (Some(seconds), Some(_elsewhere)) = (self.people_keys_seconds, &user.source) else { return true };
        let seen = user.confirmed.unwrap_or(user.created);
        now < seen.plus_seconds(seconds.saturating_add(CONFIRMED_EVERY_SECONDS))
    }

    /// Everything is everybody's: for tests of what comes behind the gate.
    #[must_use]
    pub fn open() -> Self {
        let owner = BindingRecord {
            subject: Subject::Anonymous,
            effect: raft::directory::Effect::Allow { role: "owner".to_owned() },
            namespace: String::new(),
            condition: raft::directory::Condition::default(),
            note: String::new(),
            created: Timestamp(0),
            created_by: "operator".to_owned(),
        };
        Self::new(Records { bindings: BTreeMap::from([(BindingId(1), owner)]), ..Records::default() })
    }

    /// Whether the directory was read. Before, everything is refused, and should be answered as not yet available.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.known
    }

    /// Version of the directory's rules that this was read at.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// A person. `last_used` of his keys may be behind.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&UserRecord> {
        self.users.get(name)
    }

    /// A machine. `last_used` of its secrets may be behind.
    #[must_use]
    pub fn robot(&self, name: &str) -> Option<&RobotRecord> {
        self.robots.get(name)
    }

    /// All machines, by name.
    pub fn robots(&self) -> impl Iterator<Item = (&str, &RobotRecord)> {
        self.robots.iter().map(|(name, record)| (name.as_str(), record))
    }

    /// Whether a group exists.
    #[must_use]
    pub fn has_group(&self, name: &str) -> bool {
        self.groups.contains(name)
    }

    /// An issuer of tokens outside.
    #[must_use]
    pub fn issuer(&self, name: &str) -> Option<&IssuerRecord> {
        self.issuers.get(name)
    }

    /// All issuers, by name.
    #[must_use]
    pub const fn issuers(&self) -> &BTreeMap<String, IssuerRecord> {
        &self.issuers
    }

    /// The keys that the cluster signs its own tokens with, by id.
    #[must_use]
    pub const fn signing_keys(&self) -> &BTreeMap<[u8; 8], SigningKeyRecord> {
        &self.signing_keys
    }

    /// The domains that stand for namespaces.
    #[must_use]
    pub const fn domains(&self) -> &Domains {
        &self.domains
    }

    /// What a role allows, built in or not.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<Actions> {
        role(&self.roles, name)
    }

    /// Groups that somebody is in now.
    #[must_use]
    pub fn groups(&self, principal: &Principal) -> BTreeSet<String> {
        let groups = match principal {
            Principal::User(name) => self.user(name).map(|user| &user.groups),
            Principal::Robot(name) => self.robot(name).map(|robot| &robot.groups),
            Principal::Anonymous | Principal::External { .. } | Principal::Operator => None,
        };
        groups.into_iter().flatten().cloned().collect()
    }

    /// Whether somebody's account still counts.
    ///
    /// # Errors
    /// Why it does not: whoever has fallen may nothing, not even what everybody may.
    pub fn standing(&self, principal: &Principal, now: Timestamp) -> Result<(), Fallen> {
        match principal {
            Principal::Anonymous | Principal::Operator => Ok(()),
            Principal::User(name) => match self.user(name) {
                None => Err(Fallen::Unknown),
                Some(user) if user.disabled => Err(Fallen::Disabled),
                Some(_) => Ok(()),
            },
            Principal::Robot(name) => match self.robot(name) {
                None => Err(Fallen::Unknown),
                Some(robot) if robot.disabled => Err(Fallen::Disabled),
                Some(robot) if robot.expires.is_some_and(|end| now >= end) => Err(Fallen::Expired),
                Some(_) => Ok(()),
            },
            Principal::External { issuer, .. } => match self.issuer(issuer) {
                Some(IssuerRecord { purpose: IssuerUse::Tokens, .. }) => Ok(()),
                _ => Err(Fallen::Issuer),
            },
        }
    }

    /// Whether a caller's account still counts, and what he has shown of it.
    #[must_use]
    pub fn stands(&self, caller: &Caller, now: Timestamp) -> bool {
        let counts = |shown| self.counts(&caller.principal, shown, now);
        self.standing(&caller.principal, now).is_ok() && caller.shown.is_none_or(counts)
    }

    /// Whether what somebody has shown of his account still is of it: its sessions have not been ended since, and the
    /// secret is one of its own.
    #[must_use]
    pub fn counts(&self, principal: &Principal, shown: Shown, now: Timestamp) -> bool {
        let (since, secrets) = match principal {
            Principal::Anonymous => return true,
            Principal::User(name) => match self.user(name) {
                Some(user) if shown.secret.is_some() && !self.keys_count(user, now) => return false,
                Some(user) => (user.sessions_from, &user.keys),
                None => return false,
            },
            Principal::Robot(name) => match self.robot(name) {
                Some(robot) => (robot.sessions_from, &robot.secrets),
                None => return false,
            },
            Principal::External { .. } | Principal::Operator => return false,
        };
        let is_valid = |id| secrets.iter().any(|secret| secret.id == id && secret.is_valid(now));
        shown.since >= since && shown.secret.is_none_or(is_valid)
    }

    /// Somebody as if he asked from there, with the groups that he has now: to explain what he may. Only who can log in
    /// can be somebody, and everybody can be nobody.
    #[must_use]
    pub fn as_caller(&self, subject: &Subject, address: IpAddr) -> Option<Caller> {
        let (principal, way) = match subject {
            Subject::Anonymous => (Principal::Anonymous, Way::None),
            Subject::User(name) => (Principal::User(name.clone()), Way::Password),
            Subject::Robot(name) => (Principal::Robot(name.clone()), Way::Key),
            Subject::Authenticated | Subject::Group(_) => return None,
        };
        let groups = self.groups(&principal);
        Some(Caller { principal, groups, address, way, grants: None, shown: None })
    }
}

fn role(roles: &BTreeMap<String, RoleRecord>, name: &str) -> Option<Actions> {
    built_in_role(name).or_else(|| roles.get(name).map(|record| record.actions))
}
