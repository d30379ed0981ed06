//! Issuers outside: what they have signed about machines, people and rights counts here as far as the directory says.
//!
//! `jws` takes a token apart, `ring` has the issuer's keys (`discovery` fetches them, `jwks` and `chain` read them),
//! `verify` checks the token; then `workload` compares its claims with robots' rules, `people` makes a user of it, `tokens`
//! a caller. `htpasswd` is the simplest place outside: a file with names and passwords.
//!
//! Architecture invariants: the directory alone says which issuers count, for what, and which algorithms they use; a token
//! never says where its keys are; whether an account may be used at all is asked by `login`, not here.

mod algorithm;
mod chain;
mod claims;
mod discovery;
mod htpasswd;
mod json;
mod jwks;
mod jws;
mod metrics;
mod people;
mod ring;
#[cfg(test)]
mod tests;
mod tokens;
mod verify;
mod workload;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use raft::directory::{BY_CERTIFICATE, IssuerRecord, IssuerUse, TrustRule};
use raft::time::Clock;
use serde_json::{Map, Value};
use storage::exec::Exec;
use tracing::warn;

pub use chain::{BundleError, check_roots};
pub use htpasswd::Htpasswd;
pub use jwks::{KeySetError, check_key_set};
pub use metrics::Metrics;

use crate::access::{Access, Caller, Rights};
use crate::environment::{BoxFuture, Environment};
use crate::login::{OutsideError, OutsidePerson, OutsideTokens, Outsider};
use crate::serve::ClientCertificate;
use crate::web::WebClient;
use jws::Jws;
use ring::Ring;

/// Verifies what issuers outside have signed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Federation {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    access: Access,
    web: WebClient,
    clock: Arc<dyn Clock>,
    exec: Exec,
    metrics: Metrics,
    /// By the issuer's name.
    rings: Mutex<BTreeMap<String, Arc<Ring>>>,
}

impl Federation {
    /// Issuers as the directory has them, asked over the environment's network.
    #[must_use]
    pub fn new(access: Access, environment: &Environment, metrics: Metrics) -> Self {
        let web = WebClient::new(environment);
        let clock = Arc::clone(&environment.clock);
        let exec = environment.exec;
        Self { shared: Arc::new(Shared { access, web, clock, exec, metrics, rings: Mutex::default() }) }
    }

    /// The ring of an issuer; a new one when its record has changed.
    fn ring(&self, name: &str, record: &IssuerRecord, rights: &Rights) -> Arc<Ring> {
        let mut rings = self.shared.rings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ring) = rings.get(name).filter(|ring| ring.is_of(record)) {
            return Arc::clone(ring);
        }
        // Those of issuers that are gone go too.
        rings.retain(|known, _| rights.issuer(known).is_some());
        let ring = Arc::new(Ring::new(name, record, &self.shared.web, self.shared.metrics.clone()));
        rings.insert(name.to_owned(), Arc::clone(&ring));
        ring
    }

    /// The claims of a token that is for one of these audiences.
    async fn verified<'c>(
        &self,
        token: &'c Jws<'_>,
        (name, record): (&str, &IssuerRecord),
        (audiences, late_seconds): (&[&str], u64),
        rights: &Rights,
    ) -> Result<&'c Map<String, Value>, OutsideError> {
        let ring = self.ring(name, record, rights);
        let now = (self.shared.clock.now(), late_seconds);
        let verified = verify::verify(token, record, audiences, (&ring, self.shared.exec), now).await;
        verified.map_err(|invalid| invalid.of_issuer(name))
    }

    fn rights(&self) -> Result<Arc<Rights>, OutsideError> {
        let rights = self.shared.access.rights();
        if rights.is_known() {
            return Ok(rights);
        }
        Err(OutsideError::Unavailable("this node does not know the cluster's issuers yet".to_owned()))
    }

    async fn caller_of(&self, token: &str, address: IpAddr, late_seconds: u64) -> Result<Caller, OutsideError> {
        let (rights, token) = (self.rights()?, read(token)?);
        let issuer = issuer_of(&rights, &token, |purpose| matches!(purpose, IssuerUse::Tokens))?;
        let claims = self.verified(&token, issuer, (&audiences_of(issuer.1), late_seconds), &rights).await?;
        tokens::caller(claims, issuer.0, address).map_err(|error| refused(issuer.0, &error))
    }

    async fn robot_of(&self, robot: &str, token: &str) -> Result<(), OutsideError> {
        let (rights, token) = (self.rights()?, read(token)?);
        let issuer = issuer_of(&rights, &token, |purpose| matches!(purpose, IssuerUse::Workload))?;
        let claims = self.verified(&token, issuer, (&audiences_of(issuer.1), 0), &rights).await?;
        // Asked last: without a token that counts nobody learns which robots there are.
        let trusted = rights.robot(robot).is_some_and(|record| workload::trusts(&record.trusts, issuer.0, claims));
        if !trusted {
            let why = "no rule of the robot fits its claims, or there is no such robot; see regnode robot show";
            return Err(refused(issuer.0, &why));
        }
        Ok(())
    }

    async fn person_of(&self, token: &str) -> Result<OutsidePerson, OutsideError> {
        let (rights, token) = (self.rights()?, read(token)?);
        let issuer = issuer_of(&rights, &token, |purpose| matches!(purpose, IssuerUse::People { .. }))?;
        let IssuerUse::People { client_id, user_claim, groups_claim, groups } = &issuer.1.purpose else {
            return Err(refused(issuer.0, &"it is not of an issuer of people"));
        };
        let mut clients = audiences_of(issuer.1);
        clients.push(client_id);
        let claims = self.verified(&token, issuer, (&clients, 0), &rights).await?;
        let person = people::person(claims, &clients, user_claim, groups_claim.as_deref(), groups);
        let person = person.map_err(|error| refused(issuer.0, &error))?;
        Ok(OutsidePerson {
            name: person.name,
            issuer: issuer.0.to_owned(),
            outsider: Outsider { display: person.display, groups: groups_claim.is_some().then_some(person.groups) },
        })
    }
}

impl OutsideTokens for Federation {
    fn caller<'a>(
        &'a self,
        token: &'a str,
        address: IpAddr,
        late_seconds: u64,
    ) -> BoxFuture<'a, Result<Caller, OutsideError>> {
        Box::pin(self.caller_of(token, address, late_seconds))
    }

    fn robot<'a>(&'a self, robot: &'a str, token: &'a str) -> BoxFuture<'a, Result<(), OutsideError>> {
        Box::pin(self.robot_of(robot, token))
    }

    fn person<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<OutsidePerson, OutsideError>> {
        Box::pin(self.person_of(token))
    }

    /// None also if several robots fit: who he is must not hang on an order.
    fn certificate(&self, certificate: &ClientCertificate) -> Option<String> {
        let rights = self.shared.access.rights();
        let about = |rules: &[TrustRule]| rules.iter().any(|rule| rule.issuer == BY_CERTIFICATE);
        let mut fitting = rights
            .robots()
            .filter(|(_, robot)| about(&robot.trusts) && workload::trusts_certificate(&robot.trusts, &certificate.sans))
            .map(|(name, _)| name);
        let robot = fitting.next()?;
        if let Some(other) = fitting.next() {
            warn!(robot, other, "a client's certificate fits the rules of several robots and is none of them");
            return None;
        }
        Some(robot.to_owned())
    }
}

fn read(token: &str) -> Result<Jws<'_>, OutsideError> {
    Jws::read(token).map_err(|error| OutsideError::Refused(format!("the token cannot be used: {error}")))
}

fn refused(issuer: &str, why: &dyn std::fmt::Display) -> OutsideError {
    OutsideError::Refused(format!("a token of issuer {issuer:?} does not count: {why}"))
}

fn audiences_of(record: &IssuerRecord) -> Vec<&str> {
    record.audiences.iter().map(String::as_str).collect()
}

/// The issuer that a token says it is of, among those of one use: one `iss` may stand for several uses, as GitLab's does
/// for its people and its jobs.
fn issuer_of<'r>(
    rights: &'r Rights,
    token: &Jws<'_>,
    is_meant: impl Fn(&IssuerUse) -> bool,
) -> Result<(&'r str, &'r IssuerRecord), OutsideError> {
    let told = token.issuer();
    let of_it = |record: &IssuerRecord| Some(record.issuer.as_str()) == told && is_meant(&record.purpose);
    let found = rights.issuers().iter().find(|(_, record)| of_it(record));
    found.map(|(name, record)| (name.as_str(), record)).ok_or_else(|| {
        OutsideError::Refused(
            "the token is of no issuer that is known for this use; see regnode issuer list".to_owned(),
        )
    })
}
