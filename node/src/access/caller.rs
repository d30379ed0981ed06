//! Who asks: what was found out about the sender of a request, and what his token allows at most.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::Arc;

use raft::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Who somebody is. As text: `anonymous`, `user:NAME`, `robot:NAME`, `token:ISSUER/SUBJECT`, `operator`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// Somebody who showed nothing.
    Anonymous,
    /// A person who has an account.
    User(String),
    /// A program that has an account.
    Robot(String),
    /// Whom an outside token service vouches for; he has no account here.
    External {
        /// The issuer's name in the directory.
        issuer: String,
        /// Whom the issuer calls so.
        subject: String,
    },
    /// Whoever may open the node's local socket: he may everything.
    Operator,
}

impl Principal {
    /// How he stands in catalogs, histories and the audit log; nobody is nobody.
    #[must_use]
    pub fn catalog_name(&self) -> Option<String> {
        (*self != Self::Anonymous).then(|| self.to_string())
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => formatter.write_str("anonymous"),
            Self::User(name) => write!(formatter, "user:{name}"),
            Self::Robot(name) => write!(formatter, "robot:{name}"),
            Self::External { issuer, subject } => write!(formatter, "token:{issuer}/{subject}"),
            Self::Operator => formatter.write_str("operator"),
        }
    }
}

/// A text that names no principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a principal: anonymous, user:NAME, robot:NAME or token:ISSUER/SUBJECT expected")]
pub struct PrincipalError;

impl FromStr for Principal {
    type Err = PrincipalError;

    /// Reads what `Display` writes, but for the operator: nobody becomes him by a text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "anonymous" {
            return Ok(Self::Anonymous);
        }
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or(PrincipalError)?;
        match kind {
            "user" => Ok(Self::User(name.to_owned())),
            "robot" => Ok(Self::Robot(name.to_owned())),
            "token" => {
                let (issuer, subject) = name.split_once('/').ok_or(PrincipalError)?;
                if issuer.is_empty() || subject.is_empty() {
                    return Err(PrincipalError);
                }
                Ok(Self::External { issuer: issuer.to_owned(), subject: subject.to_owned() })
            }
            _ => Err(PrincipalError),
        }
    }
}

/// How he showed who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Not at all.
    None,
    /// By a password.
    Password,
    /// By a personal access key or a robot's secret.
    Key,
    /// By a TLS certificate of his own.
    Certificate,
    /// By a bearer token.
    Token,
    /// By opening the node's local socket.
    Socket,
}

impl Way {
    /// The word for it in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password => "password",
            Self::Key => "key",
            Self::Certificate => "certificate",
            Self::Token => "token",
            Self::Socket => "socket",
        }
    }
}

/// What kind of thing a token's grant is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantKind {
    /// A repository.
    Repository,
    /// The registry itself: the list of its repositories is called `catalog`, its administration `admin`.
    Registry,
    /// Something that this registry does not have: it grants nothing.
    #[serde(other)]
    Other,
}

/// One line of a token's `access` claim, as the distribution project's token authentication has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: GrantKind,
    /// A repository's whole name, never a pattern; `catalog` or `admin` of the registry.
    pub name: String,
    /// What may be done, in the words of the token: `pull`, `push`, `delete`, `*` for all of them.
    pub actions: Vec<String>,
}

impl Grant {
    /// What tokens for administration say: `registry:admin:*`.
    #[must_use]
    pub fn administration() -> Self {
        Self { kind: GrantKind::Registry, name: Self::ADMINISTRATION.to_owned(), actions: vec!["*".to_owned()] }
    }

    /// Name of the administration among the things of a registry.
    pub const ADMINISTRATION: &'static str = "admin";

    /// Whether it lets its holder administer, as far as the rules do.
    #[must_use]
    pub fn is_administration(&self) -> bool {
        self.kind == GrantKind::Registry && self.name == Self::ADMINISTRATION && self.allows("*")
    }

    /// Whether it allows an action, in the words of a token.
    #[must_use]
    pub fn allows(&self, action: &str) -> bool {
        self.actions.iter().any(|granted| granted == action || granted == "*")
    }
}

/// What of his account somebody has shown, as it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When the sessions of the account began: it counts until they are ended.
    pub since: Timestamp,
    /// The secret that he showed, or by which he got his token: it counts for as long as that.
    pub secret: Option<[u8; 8]>,
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who he is.
    pub principal: Principal,
    /// Groups that he is in now, by the directory rather than by his token.
    pub groups: BTreeSet<String>,
    /// Where he asks from; proxies that are trusted are looked through.
    pub address: IpAddr,
    /// How he showed who he is.
    pub way: Way,
    /// What his token allows at most; without a token the rules alone count.
    pub grants: Option<Arc<[Grant]>>,
    /// What of his account he has shown. None: he has no account, or he is only asked about.
    pub shown: Option<Shown>,
}

impl Caller {
    /// Somebody who showed nothing.
    #[must_use]
    pub const fn anonymous(address: IpAddr) -> Self {
        Self {
            principal: Principal::Anonymous,
            groups: BTreeSet::new(),
            address,
            way: Way::None,
            grants: None,
            shown: None,
        }
    }

    /// Whoever came through the local socket.
    #[must_use]
    pub const fn operator() -> Self {
        Self {
            principal: Principal::Operator,
            groups: BTreeSet::new(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            way: Way::Socket,
            grants: None,
            shown: None,
        }
    }

    /// Whether his credentials are ones to administer with: no token, or one that says so. An outside token service lets
    /// nobody administer, whatever its tokens say.
    #[must_use]
    pub fn may_administer(&self) -> bool {
        !matches!(self.principal, Principal::External { .. })
            && self.grants.as_ref().is_none_or(|grants| grants.iter().any(Grant::is_administration))
    }

    /// Whether his token lets him list repositories; without a token it is not asked.
    #[must_use]
    pub fn may_list(&self) -> bool {
        self.grants.as_ref().is_none_or(|grants| {
            let catalog = |grant: &&Grant| grant.kind == GrantKind::Registry && grant.name == "catalog";
            grants.iter().filter(catalog).any(|grant| grant.allows("*"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_read_as_it_is_written_but_nobody_becomes_the_operator() {
        let external = Principal::External { issuer: "ci".to_owned(), subject: "project:a/b".to_owned() };
        let all =
            [Principal::Anonymous, Principal::User("a@b.c".to_owned()), Principal::Robot("ci".to_owned()), external];
        for principal in all {
            assert_eq!(principal.to_string().parse(), Ok(principal));
        }
        for text in ["operator", "", "user:", "user", "group:x", "token:ci", "token:/x", "token:ci/", "peer:1"] {
            assert_eq!(text.parse::<Principal>(), Err(PrincipalError), "{text}");
        }
    }

    #[test]
    fn nobody_has_no_name_in_catalogs() {
        assert_eq!(Principal::Anonymous.catalog_name(), None);
        assert_eq!(Principal::User("ann".to_owned()).catalog_name().as_deref(), Some("user:ann"));
        assert_eq!(Principal::Operator.catalog_name().as_deref(), Some("operator"));
    }

    #[test]
    fn a_grant_is_read_from_a_token_whatever_kind_it_is_of() {
        let text = r#"[{"type":"repository","name":"a/b","actions":["pull"]},
            {"type":"registry","name":"catalog","actions":["*"]},
            {"type":"repository(plugin)","name":"a/b","actions":["*"]}]"#;
        let grants: Vec<Grant> = serde_json::from_str(text).unwrap();
        assert_eq!(
            grants.iter().map(|grant| grant.kind).collect::<Vec<_>>(),
            [GrantKind::Repository, GrantKind::Registry, GrantKind::Other]
        );
        assert!(grants[0].allows("pull") && !grants[0].allows("push"));
        assert!(grants[2].allows("push"));
        let anonymous = Caller::anonymous(IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert!(anonymous.may_list());
        assert!(!Caller { grants: Some(grants[..1].into()), ..anonymous.clone() }.may_list());
        assert!(Caller { grants: Some(grants[..2].into()), ..anonymous }.may_list());
    }
}
