//! People and robots by name: passwords, keys, secrets, and tokens of workloads in their place. Certificates too.
//!
//! Login names: a user's name, `robot+NAME` for a robot.

use std::net::IpAddr;

use raft::directory::{SecretRecord, Subject, UserRecord, is_user_name};
use raft::time::Timestamp;
use tracing::info;

use super::lockout::{Attempt, Trial};
use super::secret::{SecretKind, ShownSecret};
use super::source::OutsideError;
use super::token::{Session, is_token};
use super::verified::{Fingerprint, LIFETIME_OUTSIDE};
use super::ways::is_of_browser_login;
use super::{Known, Login, LoginError};
use crate::access::{Principal, Rights, Way};
use crate::audit::{AuditEvent, Outcome};
use crate::serve::Client;

/// What robots' names begin with where they log in.
const ROBOT_PREFIX: &str = "robot+";
/// The name that stands for whoever an ID token says.
const ID_TOKEN_NAME: &str = "oidc";

/// Somebody who was not recognised.
struct Unknown {
    /// What he is told.
    error: LoginError,
    /// What the audit log is told beyond that.
    why: Option<String>,
}

impl From<LoginError> for Unknown {
    fn from(error: LoginError) -> Self {
        Self { error, why: None }
    }
}

impl Login {
    /// Whoever shows a name and a password, or what stands in its place.
    pub(super) async fn basic(&self, name: &str, password: &str, address: IpAddr) -> Result<Known, LoginError> {
        let (found, claimed) = match name.strip_prefix(ROBOT_PREFIX) {
            Some(robot) => (self.robot(robot, password, address).await, Principal::Robot(robot.to_owned())),
            None => (self.user(name, password, address).await, Principal::User(name.to_owned())),
        };
        self.shared.metrics.tried(kind_of(name, password), found.as_ref().map_err(|unknown| &unknown.error));
        match found {
            Ok(known) => Ok(known),
            Err(Unknown { error, why }) => {
                if error == LoginError::Wrong {
                    self.record_refusal(claimed, why.as_deref(), address).await;
                }
                Err(error)
            }
        }
    }

    /// A wrong password is a record; how often there can be one is what lock-outs bound.
    async fn record_refusal(&self, claimed: Principal, why: Option<&str>, address: IpAddr) {
        let name = match &claimed {
            Principal::User(name) | Principal::Robot(name) => name.as_str(),
            _ => "",
        };
        // What is no name may be a password that was typed in the wrong field.
        let actor = if is_user_name(name) { claimed.to_string() } else { Principal::Anonymous.to_string() };
        let event = AuditEvent::new("login", actor).from(address).outcome(Outcome::Refused);
        let detail = why.unwrap_or("wrong name or password, or the account may not be used");
        self.shared.audit.record(event.detail(detail)).await;
    }

    /// A token that does not count is a record too, of nobody: what it says of its holder is not to be believed.
    pub(crate) async fn record_bad_token(&self, why: &str, address: IpAddr) {
        let event = AuditEvent::new("login", Principal::Anonymous.to_string());
        self.shared.audit.record(event.from(address).outcome(Outcome::Refused).detail(why)).await;
    }

    async fn user(&self, name: &str, password: &str, address: IpAddr) -> Result<Known, Unknown> {
        if let Some(shown) = ShownSecret::parse(password).filter(|shown| shown.kind == SecretKind::Key) {
            return Ok(self.by_secret(&Principal::User(name.to_owned()), &shown, address)?);
        }
        let rights = self.rights()?;
        let user = rights.user(name);
        if is_token(password) && user.is_none_or(|user| user.source.is_some()) && self.shared.outside.is_some() {
            return self.by_id_token(name, password, address).await;
        }
        Ok(self.by_password((name, user), password, &rights, address).await?)
    }

    async fn robot(&self, name: &str, password: &str, address: IpAddr) -> Result<Known, Unknown> {
        let principal = Principal::Robot(name.to_owned());
        if let Some(shown) = ShownSecret::parse(password).filter(|shown| shown.kind == SecretKind::Robot) {
            return Ok(self.by_secret(&principal, &shown, address)?);
        }
        let attempt = Attempt::by_secret(address);
        let Some(outside) = self.shared.outside.as_ref().filter(|_| is_token(password)) else {
            return Err(self.failed_or_locked(&attempt).into());
        };
        match outside.robot(name, password).await {
            Ok(()) => match self.standing(&principal, Way::Token, false)? {
                Some(known) => Ok(known),
                None => Err(self.failed_or_locked(&attempt).into()),
            },
            Err(error @ OutsideError::Unavailable(_)) => Err(error.told().into()),
            Err(OutsideError::Refused(why)) => {
                let error = self.failed_or_locked(&attempt);
                if error == LoginError::Wrong {
                    info!(robot = name, why, "a robot's token does not count");
                }
                Err(Unknown { error, why: Some(why) })
            }
        }
    }

    /// The robot that trusts the certificate of the connection. A robot that may not log in is not nobody: its requests
    /// are to fail where somebody sees it.
    pub(super) fn by_certificate(&self, client: &Client) -> Result<Option<Known>, LoginError> {
        let (Some(certificate), Some(outside)) = (&client.certificate, &self.shared.outside) else { return Ok(None) };
        // Whether one is trusted is not known before the rules are.
        self.rights()?;
        let Some(name) = outside.certificate(certificate) else { return Ok(None) };
        self.standing(&Principal::Robot(name), Way::Certificate, false)?.map(Some).ok_or(LoginError::Wrong)
    }

    /// A secret of 32 random bytes.
    fn by_secret(&self, principal: &Principal, shown: &ShownSecret, address: IpAddr) -> Result<Known, LoginError> {
        let attempt = Attempt::by_secret(address);
        let (rights, now) = (self.rights()?, self.shared.access.now());
        let secrets = secrets(&rights, principal);
        let record = secrets.iter().find(|record| record.id == shown.id);
        let go_on = match principal {
            Principal::User(name) => rights.user(name).is_some_and(|user| rights.keys_count(user, now)),
            _ => true,
        };
        let is_right = |record: &&SecretRecord| shown.matches(&record.hash) && record.is_valid(now);
        let Some(record) = record.filter(is_right).filter(|_| go_on) else {
            return Err(self.failed_or_locked(&attempt));
        };
        let known = self.standing(principal, Way::Key, true)?.ok_or_else(|| self.failed_or_locked(&attempt))?;
        self.shared.uses.note(|| subject(principal), record, now);
        Ok(Known { session: Session { secret: Some(record.id), ..known.session }, ..known })
    }

    async fn by_password(
        &self,
        (name, user): (&str, Option<&UserRecord>),
        password: &str,
        rights: &Rights,
        address: IpAddr,
    ) -> Result<Known, LoginError> {
        let shared = &self.shared;
        let is_name = is_user_name(name);
        let attempt = if is_name { Attempt::by_password(name, address) } else { Attempt::by_secret(address) };
        shared.lockout.check(&attempt)?;
        let principal = Principal::User(name.to_owned());
        let enabled = user.filter(|user| !user.disabled);
        let fingerprint = self.fingerprint(name, enabled, password);
        let is_known = || enabled.is_some() && shared.verified.get(fingerprint).is_some();
        let known = |user: &UserRecord, lasting| {
            shared.lockout.succeeded(&attempt);
            let session = Session { principal: principal.clone(), since: user.sessions_from, secret: None };
            Ok(Known { session, way: Way::Password, lasting })
        };
        if let Some(user) = enabled.filter(|_| is_known()) {
            return known(user, user.source.is_none());
        }
        let _turn = shared.verified.turn(fingerprint).await;
        if let Some(user) = enabled.filter(|_| is_known()) {
            return known(user, user.source.is_none());
        }
        // One hash for every name, whether it exists, and wherever its password is.
        let here = enabled.filter(|user| user.source.is_none()).and_then(|user| user.password.as_deref());
        let mut trial = Trial::new(&shared.lockout, &attempt);
        let outcome = async {
            let right = shared.passwords.verify(password, here, || trial.begin()).await?;
            if let Some(user) = enabled.filter(|_| right) {
                shared.verified.insert(fingerprint, ());
                return known(user, true);
            }
            let is_elsewhere = is_name && user.is_none_or(|user| !user.disabled && user.source.is_some());
            let found = if is_elsewhere {
                self.ask_sources((name, user), password).await
            } else {
                self.ask_for_nobody(is_name).await.map(|()| None)
            };
            if found.is_err() && user.is_some_and(|user| user.source.is_none()) {
                // It is known to be wrong, or it could be guessed for nothing while nobody outside answers.
                shared.lockout.failed(&attempt);
            }
            if let Some((source, outsider)) = found? {
                // It was right, whatever becomes of him here.
                trial.end();
                let Some(user) = self.provision(name, &source, outsider, rights).await? else {
                    return Err(self.failed(&attempt));
                };
                let fingerprint = self.fingerprint(name, Some(&user), password);
                shared.verified.insert_for(fingerprint, (), LIFETIME_OUTSIDE);
                return known(&user, false);
            }
            Err(self.failed(&attempt))
        };
        let outcome = outcome.await;
        trial.end();
        outcome
    }

    /// The person of an ID token, in the place of a password.
    async fn by_id_token(&self, name: &str, token: &str, address: IpAddr) -> Result<Known, Unknown> {
        let attempt = Attempt::by_secret(address);
        let found = if is_of_browser_login(token) {
            // It says where it was to be shown, which is not known of what comes as a password.
            Err(LoginError::Untrusted("the token is of a login by a browser, and no password".to_owned()))
        } else {
            self.person(token).await
        };
        match found {
            Ok(known) if known.session.principal == Principal::User(name.to_owned()) || name == ID_TOKEN_NAME => {
                Ok(known)
            }
            Ok(_) | Err(LoginError::Wrong) => Err(self.failed_or_locked(&attempt).into()),
            Err(LoginError::Malformed(why) | LoginError::Untrusted(why)) => {
                info!(user = name, why, "an ID token does not count");
                Err(Unknown { error: self.failed_or_locked(&attempt), why: Some(why) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What was shown cannot be guessed, so that it was verified before anybody asked whether it may be tried: others at
    /// an address who fail keep nobody out whose secret is right. Wrong ones go on to wait.
    fn failed_or_locked(&self, attempt: &Attempt) -> LoginError {
        self.shared.lockout.check(attempt).err().unwrap_or_else(|| self.failed(attempt))
    }

    fn failed(&self, attempt: &Attempt) -> LoginError {
        self.shared.lockout.failed(attempt);
        LoginError::Wrong
    }

    /// Somebody whose credential was found right, if his account may be used.
    pub(super) fn standing(&self, principal: &Principal, way: Way, lasting: bool) -> Result<Option<Known>, LoginError> {
        let (rights, now) = (self.rights()?, self.shared.access.now());
        let since = match principal {
            Principal::User(name) => rights.user(name).map(|user| user.sessions_from),
            Principal::Robot(name) => rights.robot(name).map(|robot| robot.sessions_from),
            _ => None,
        };
        let since: Option<Timestamp> = since.filter(|_| rights.standing(principal, now).is_ok());
        let session = |since| Session { principal: principal.clone(), since, secret: None };
        Ok(since.map(|since| Known { session: session(since), way, lasting }))
    }

    /// The entry of a password among those that were found right. Another password here, another place where it is kept,
    /// or the end of his sessions is another entry.
    fn fingerprint(&self, name: &str, user: Option<&UserRecord>, password: &str) -> Fingerprint {
        let kept = user.and_then(|user| user.password.as_deref()).unwrap_or_default();
        let source = user.and_then(|user| user.source.as_deref()).unwrap_or_default();
        let since = user.map_or(0, |user| user.sessions_from.0).to_le_bytes();
        let parts = [name.as_bytes(), kept.as_bytes(), source.as_bytes(), &since, password.as_bytes()];
        self.shared.verified.fingerprint(&parts)
    }
}

/// What somebody shows, for the metrics.
fn kind_of(name: &str, password: &str) -> &'static str {
    match ShownSecret::parse(password).map(|shown| shown.kind) {
        Some(SecretKind::Key) => "key",
        Some(SecretKind::Robot) => "secret",
        None if is_token(password) => "token",
        None if name.starts_with(ROBOT_PREFIX) => "secret",
        None => "password",
    }
}

fn secrets<'a>(rights: &'a Rights, principal: &Principal) -> &'a [SecretRecord] {
    match principal {
        Principal::User(name) => rights.user(name).map_or(&[], |user| &user.keys),
        Principal::Robot(name) => rights.robot(name).map_or(&[], |robot| &robot.secrets),
        _ => &[],
    }
}

fn subject(principal: &Principal) -> Subject {
    match principal {
        Principal::User(name) => Subject::User(name.clone()),
        Principal::Robot(name) => Subject::Robot(name.clone()),
        _ => Subject::Anonymous,
    }
}
