//! People whom somebody outside vouches for become users here, so that rules and tokens can name them.

use std::time::Duration;

use raft::directory::{CONFIRMED_EVERY_SECONDS, Command, IssuerRecord, Response, UserRecord, is_user_name};
use raft::id::RequestId;
use raft::time::Timestamp;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::source::{OutsideError, Outsider};
use super::{Known, Login, LoginError};
use crate::access::{Principal, Rights, Way};

/// Bound on this node hearing of a user whom the directory has taken in.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
/// Bound on the directory noting that somebody was where he logs in.
const NOTED_WITHIN: Duration = Duration::from_secs(1);
/// Pause between two looks at whether it has.
const HEARD_POLL: Duration = Duration::from_millis(20);

impl Login {
    /// Asks where people's passwords are kept outside: of a user the one place that is his, else all of them in order.
    pub(super) async fn ask_sources(
        &self,
        (name, user): (&str, Option<&UserRecord>),
        password: &str,
    ) -> Result<Option<(String, Outsider)>, LoginError> {
        let of_user = user.and_then(|user| user.source.as_deref());
        let mut failure = None;
        for source in self.shared.sources.iter().filter(|source| of_user.is_none_or(|own| own == source.name())) {
            match source.verify(name, password).await {
                Ok(Some(outsider)) => return Ok(Some((source.name().to_owned(), outsider))),
                Ok(None) => {}
                Err(error) => {
                    warn!(source = source.name(), %error, "a login cannot be verified outside");
                    failure = Some(LoginError::Unavailable(
                        "the login cannot be verified now: try again, or ask the operator".to_owned(),
                    ));
                }
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// The same question about nobody, for a password that is wrong here: whoever guesses at the name of somebody here waits
    /// as long as for any other name, and hears as well that the places outside do not answer. His password is told to none
    /// of them as his.
    pub(super) async fn ask_for_nobody(&self, is_name: bool) -> Result<(), LoginError> {
        if !is_name || self.shared.sources.is_empty() {
            return Ok(());
        }
        let random = || format!("{:032x}", u128::from_be_bytes(self.shared.entropy.id()));
        self.ask_sources((&format!("nobody-{}", random()), None), &random()).await.map(drop)
    }

    /// The person of an ID token.
    pub(super) async fn person(&self, token: &str) -> Result<Known, LoginError> {
        let Some(outside) = &self.shared.outside else { return Err(LoginError::Wrong) };
        let person = outside.person(token).await.map_err(OutsideError::told)?;
        let rights = self.rights()?;
        let user = self.provision(&person.name, &person.issuer, person.outsider, &rights).await?;
        match user {
            Some(_) => {
                let principal = Principal::User(person.name);
                self.standing(&principal, Way::Token, false)?.ok_or(LoginError::Wrong)
            }
            None => Err(LoginError::Wrong),
        }
    }

    /// The user of a name who has logged in elsewhere, taken in or brought up to date. `None`: the name is somebody else's,
    /// or he may not log in.
    pub(super) async fn provision(
        &self,
        name: &str,
        source: &str,
        outsider: Outsider,
        rights: &Rights,
    ) -> Result<Option<UserRecord>, LoginError> {
        let present = rights.user(name);
        // Another issuer of the name does not speak of the users of the one before.
        let vouches_by = rights.issuer(source).and_then(IssuerRecord::vouches_by);
        let is_known_so = |user: &UserRecord| user.vouched.is_none() || user.vouched == vouches_by;
        let is_his =
            present.is_none_or(|user| user.source.as_deref() == Some(source) && !user.disabled && is_known_so(user));
        if !is_his || !is_user_name(name) {
            info!(name, source, "a login outside is not taken: the name is no user of that source, or he is disabled");
            return Ok(None);
        }
        let mut groups = match outsider.groups {
            Some(groups) => groups,
            None => present.map(|user| user.groups.clone()).unwrap_or_default(),
        };
        groups.retain(|group| rights.has_group(group));
        groups.sort();
        groups.dedup();
        let display = match (outsider.display, present) {
            (display, Some(user)) if display.is_empty() => user.display.clone(),
            (display, _) => display,
        };
        let is_as_told = |user: &UserRecord| user.display == display && user.groups == groups;
        let command = Command::ProvisionUser {
            name: name.to_owned(),
            source: source.to_owned(),
            display: display.clone(),
            groups: groups.clone(),
        };
        let request = RequestId(self.shared.entropy.id());
        if let Some(user) = present.filter(|user| is_as_told(user)) {
            let is_due = |last: Timestamp| last.plus_seconds(CONFIRMED_EVERY_SECONDS) <= self.shared.access.now();
            if user.confirmed.is_none_or(is_due) {
                // That he was there is written down if it can be: where the directory has no quorum he logs in all the same.
                let noted = timeout(NOTED_WITHIN, self.shared.directory.propose(request, command)).await;
                debug!(name, source, ?noted, "a login outside is noted");
            }
            return Ok(Some(user.clone()));
        }
        match self.shared.directory.propose(request, command).await {
            Ok(Response::Refused(refusal)) => {
                warn!(name, source, %refusal, "a login outside is not taken");
                Ok(None)
            }
            Ok(_) => self.hear_of(name, source, is_as_told).await.map(Some),
            Err(error) => {
                warn!(name, source, %error, "a login outside cannot be written down");
                Err(LoginError::Unavailable("the login cannot be written down now: try again".to_owned()))
            }
        }
    }

    /// Waits until this node knows a user whom the directory has taken in, as he is now.
    async fn hear_of(
        &self,
        name: &str,
        source: &str,
        is_as_told: impl Fn(&UserRecord) -> bool,
    ) -> Result<UserRecord, LoginError> {
        let deadline = Instant::now() + HEARD_WITHIN;
        loop {
            let rights = self.shared.access.rights();
            let user = rights.user(name).filter(|user| user.source.as_deref() == Some(source));
            match user {
                Some(user) if is_as_told(user) || Instant::now() >= deadline => return Ok(user.clone()),
                None if Instant::now() >= deadline => {
                    let message = "this node has not heard of the new user yet: try again";
                    return Err(LoginError::Unavailable(message.to_owned()));
                }
                _ => sleep(HEARD_POLL).await,
            }
        }
    }
}
