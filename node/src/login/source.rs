//! The seams to people and programs who are known elsewhere: password lists and directories outside, token issuers
//! outside. This room decides whom they may become here; whoever implements them verifies.

use std::fmt::Debug;
use std::net::IpAddr;

use tracing::warn;

use super::LoginError;
use crate::access::Caller;
use crate::environment::BoxFuture;
use crate::serve::ClientCertificate;

/// Somebody whose password was right elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outsider {
    /// His name as people read it; empty: none is known.
    pub display: String,
    /// Groups of this cluster that he is in, sorted; `None`: nothing is known of groups there, he is in those that he was put
    /// into here.
    pub groups: Option<Vec<String>>,
}

/// Something outside cannot say now whether a credential is good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// Where people have passwords that this cluster does not keep: a list in a file, a directory outside.
pub trait PasswordSource: Debug + Send + Sync + 'static {
    /// Its name, as users' `source` has it: `htpasswd`, `ldap`.
    fn name(&self) -> &str;

    /// Whether it knows the name and the password is right; `None` says no, whatever the reason.
    ///
    /// # Errors
    /// When it cannot be asked now.
    fn verify<'a>(&'a self, name: &'a str, password: &'a str) -> BoxFuture<'a, Result<Option<Outsider>, SourceError>>;
}

/// Why something that an issuer outside has signed does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    /// It does not count: wrong signature, issuer, audience, time, or nobody trusts it. For the operator's logs; never tells
    /// a secret.
    #[error("{0}")]
    Refused(String),
    /// It cannot be verified now.
    #[error("{0}")]
    Unavailable(String),
}

impl OutsideError {
    /// What becomes of it at the door. Whoever shows a token is told as little as possible of the issuers that are known
    /// here and of the way to them: the log has all of it.
    pub(super) fn told(self) -> LoginError {
        match self {
            Self::Refused(why) => LoginError::Untrusted(why),
            Self::Unavailable(why) => {
                warn!(why, "a token of an issuer cannot be verified");
                LoginError::Unavailable("the token cannot be verified now: try again".to_owned())
            }
        }
    }
}

/// A person whom an issuer outside vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsidePerson {
    /// The name that he has here.
    pub name: String,
    /// The issuer's name in the directory; it becomes the user's `source`.
    pub issuer: String,
    /// What else is known of him.
    pub outsider: Outsider,
}

/// Verifies what issuers outside have signed: JWTs of the directory's issuers.
pub trait OutsideTokens: Debug + Send + Sync + 'static {
    /// A bearer token of an issuer whose tokens count by themselves, as the caller that it makes: an external principal with
    /// its grants. It may have expired as many seconds ago.
    fn caller<'a>(
        &'a self,
        token: &'a str,
        address: IpAddr,
        late_seconds: u64,
    ) -> BoxFuture<'a, Result<Caller, OutsideError>>;

    /// Whether a robot of this name trusts the token of its workload. The robot's own state (disabled, expired) is the
    /// caller's to check.
    fn robot<'a>(&'a self, robot: &'a str, token: &'a str) -> BoxFuture<'a, Result<(), OutsideError>>;

    /// The robot that trusts a client's certificate; `None`: none does.
    fn certificate(&self, certificate: &ClientCertificate) -> Option<String>;

    /// The person of an ID token.
    fn person<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<OutsidePerson, OutsideError>>;
}
