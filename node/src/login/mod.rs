//! Who is it: passwords, keys, certificates and tokens of those who send requests, and the token service that clients get
//! their tokens from.
//!
//! `authorization` reads the header, `basic` knows people and robots by name, `bearer` by token, `provision` takes in whom
//! somebody outside vouches for; `service` is the token service's HTTP and `grants` what it grants. What a caller may is
//! for `access` to say.
//!
//! What holds: nothing in an answer tells whether a name exists, nor does the time it takes. The account of every credential,
//! tokens too, is looked at anew with each request. Nothing that a token says chooses how the token is checked.

mod authorization;
mod basic;
mod bearer;
mod error;
mod form;
mod grants;
mod keys;
mod lockout;
mod metrics;
mod passwords;
mod proven;
mod provision;
mod realm;
mod scope;
mod secret;
mod service;
mod source;
mod stretch;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod token;
mod uses;
mod verified;
mod ways;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use storage::exec::Exec;

use self::authorization::{Credentials, credentials};
use self::keys::Keys;
use self::lockout::Lockout;
use self::passwords::Passwords;
use self::proven::Proven;
use self::realm::Addresses;
use self::token::{Names, Session};
use self::uses::Uses;
use self::verified::{PASSWORDS_MAX, Verified};
use crate::access::{Access, Caller, Principal, Rights, Way};
use crate::audit::Audit;
use crate::deletion::DirectoryRecords;
use crate::environment::Entropy;
use crate::identity::{ClusterId, ClusterKey};
use crate::serve::Client;

pub use error::{Leeway, LoginError};
pub use keys::new_signing_key;
pub use metrics::Metrics;
pub use passwords::{PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN, PasswordRule, check_password, hash_password};
pub use secret::{NewSecret, SecretKind, new_secret};
pub use service::router;
pub use source::{OutsideError, OutsidePerson, OutsideTokens, Outsider, PasswordSource, SourceError};
pub(crate) use stretch::{Stretch, stretch};
pub use ways::{Issuer, Ways, bound_nonce};

/// What a node's settings say of logins.
#[derive(Clone, Debug)]
pub(crate) struct LoginOptions {
    /// How long an access token counts.
    pub(crate) token_lifetime_seconds: u64,
    /// How long a refresh token counts.
    pub(crate) refresh_lifetime_seconds: u64,
    /// How long a refresh token counts that one administers with.
    pub(crate) session_seconds: u64,
    /// How long a token that has expired still names the principal of an upload that it has begun.
    pub(crate) upload_lifetime_seconds: u64,
    /// URL at which clients reach the registry; empty: where they came to.
    pub(crate) public_url: String,
    /// URL of this node.
    pub(crate) api_url: String,
}

/// What logins are recognised by.
#[derive(Debug)]
pub(crate) struct LoginParts {
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// Opens the keys that sign tokens; none in the simulator.
    pub(crate) cluster_key: Option<ClusterKey>,
    /// Accounts and keys.
    pub(crate) access: Access,
    /// Where people from outside are written down, and when secrets were used.
    pub(crate) directory: Arc<dyn DirectoryRecords>,
    /// Where logins are recorded.
    pub(crate) audit: Audit,
    /// Randomness.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Where passwords are hashed.
    pub(crate) exec: Exec,
    /// Passwords that are kept elsewhere, in the order in which they are asked.
    pub(crate) sources: Vec<Arc<dyn PasswordSource>>,
    /// Tokens of others.
    pub(crate) outside: Option<Arc<dyn OutsideTokens>>,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// What the settings say.
    pub(crate) options: LoginOptions,
}

/// Recognises who sends requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Login {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    access: Access,
    directory: Arc<dyn DirectoryRecords>,
    audit: Audit,
    entropy: Arc<dyn Entropy>,
    sources: Vec<Arc<dyn PasswordSource>>,
    outside: Option<Arc<dyn OutsideTokens>>,
    options: LoginOptions,
    addresses: Addresses,
    names: Names,
    keys: Keys,
    passwords: Passwords,
    verified: Verified<()>,
    proven: Proven,
    lockout: Lockout,
    uses: Uses,
    metrics: Metrics,
}

/// Somebody who was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    session: Session,
    way: Way,
    /// Whether he may have a refresh token: only who logs in here. Whoever is vouched for elsewhere comes again.
    lasting: bool,
}

impl Known {
    /// Somebody who showed nothing.
    fn anonymous() -> Self {
        let session = Session { principal: Principal::Anonymous, since: raft::time::Timestamp(0), secret: None };
        Self { session, way: Way::None, lasting: false }
    }

    /// He as a caller, as far as rules count alone.
    fn caller(&self, rights: &Rights, client: &Client) -> Caller {
        let groups = rights.groups(&self.session.principal);
        Caller {
            principal: self.session.principal.clone(),
            groups,
            address: client.address,
            way: self.way,
            grants: None,
            shown: Some(self.session.shown()).filter(|_| self.session.principal != Principal::Anonymous),
        }
    }
}

impl Login {
    /// Begins; [`keep`](Self::keep) has to run beside it.
    pub(crate) fn new(parts: LoginParts) -> Self {
        let LoginParts { cluster, cluster_key, access, directory, audit, entropy, .. } = parts;
        let LoginParts { exec, sources, outside, metrics, options, .. } = parts;
        let addresses = Addresses { public_url: options.public_url.clone(), api_url: options.api_url.clone() };
        let shared = Shared {
            names: Names::new(cluster),
            keys: Keys::new(cluster, cluster_key),
            passwords: Passwords::new(exec),
            verified: Verified::new(entropy.as_ref(), PASSWORDS_MAX),
            proven: Proven::new(entropy.as_ref(), metrics.clone()),
            lockout: Lockout::new(metrics.clone()),
            uses: Uses::new(Arc::clone(&directory), Arc::clone(&entropy)),
            metrics,
            access,
            directory,
            audit,
            entropy,
            sources,
            outside,
            options,
            addresses,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Tells the directory which secrets are used, for ever.
    pub(crate) fn keep(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shared.uses.clone().keep()
    }

    /// Who sends a request with these headers. No credentials are somebody too: the anonymous one.
    ///
    /// # Errors
    /// When what was shown does not count, see [`LoginError`].
    pub async fn identify(&self, headers: &HeaderMap, client: &Client, leeway: Leeway) -> Result<Caller, LoginError> {
        match credentials(headers)? {
            Credentials::Bearer(token) => self.bearer(&token, client, leeway).await,
            Credentials::None if client.certificate.is_none() => Ok(Caller::anonymous(client.address)),
            shown => {
                let known = self.known(shown, client).await?;
                let rights = self.rights()?;
                Ok(known.caller(&rights, client))
            }
        }
    }

    /// The value of `WWW-Authenticate` that sends a client to the token service, for a scope if it is about one.
    #[must_use]
    pub fn challenge(
        &self,
        headers: &HeaderMap,
        client: &Client,
        scope: Option<&str>,
        error: Option<&str>,
    ) -> HeaderValue {
        realm::challenge(&self.realm(headers, client), &self.shared.names.service, scope, error)
    }

    fn realm(&self, headers: &HeaderMap, client: &Client) -> String {
        self.shared.addresses.realm(headers, client)
    }

    /// Whoever shows something else than a token.
    async fn known(&self, shown: Credentials, client: &Client) -> Result<Known, LoginError> {
        match shown {
            Credentials::Basic { name, password } => self.basic(&name, &password, client.address).await,
            Credentials::None => {
                let found = self.by_certificate(client);
                if let Some(outcome) = found.as_ref().map(Option::as_ref).transpose() {
                    self.shared.metrics.tried("certificate", outcome);
                }
                Ok(found?.unwrap_or_else(Known::anonymous))
            }
            Credentials::Bearer(_) => {
                Err(LoginError::Malformed("a token is given for a password or a refresh token only".to_owned()))
            }
        }
    }

    fn rights(&self) -> Result<Arc<Rights>, LoginError> {
        let rights = self.shared.access.rights();
        if rights.is_known() {
            return Ok(rights);
        }
        Err(LoginError::Unavailable("this node does not know the access rules yet: try again".to_owned()))
    }
}
