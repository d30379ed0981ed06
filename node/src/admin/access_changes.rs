//! What an operator does to users, robots, groups, roles, rules, issuers and token keys: each is a command or two of the
//! directory, which decides. What is secret is made here, handed out once, and only its hash goes on.

use std::sync::Arc;
use std::time::Duration;

use raft::directory::{
    AccessRefusal, BindingId, BindingRecord, Command, GroupRecord, IssuerRecord, JudgedChange, NewSigningKey, Refusal,
    Response, RobotRecord, StateError, Subject, UserRecord, View,
};
use raft::group::{ProposeError, ReadError};
use raft::id::{NodeId, RequestId};
use raft::time::Timestamp;
use storage::exec::Exec;
use storage::kv::Engine;
use tokio::time::sleep;
use tracing::info;

use super::access_types::Confirmation;
use super::operator::{Denied, Operator};
use crate::access::NotPresent;
use crate::cluster::confirm_directory;
use crate::deletion::DirectoryRecords;
use crate::environment::Entropy;
use crate::identity::{ClusterId, ClusterKey};
use crate::login::{PasswordRule, SecretKind, check_password, hash_password, new_secret, new_signing_key};

/// Time for the directory's quorum to confirm what is shown.
const CONFIRMATION: Duration = Duration::from_secs(3);
/// How often a change is judged, if others change who may do what each time before it is made.
const JUDGED_TIMES_MAX: u32 = 6;
/// Pause before it is judged for the second time; it doubles.
const JUDGED_AGAIN: Duration = Duration::from_millis(20);

/// Carries out operators' requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessChanges {
    /// The cluster's directory.
    pub(crate) directory: Arc<dyn DirectoryRecords>,
    /// Ids of requests, secrets, salts.
    pub entropy: Arc<dyn Entropy>,
    /// Hashing of passwords.
    pub exec: Exec,
    /// The node.
    pub own: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// What private keys are wrapped with; `None` without certificates, as in the simulator.
    pub cluster_key: Option<ClusterKey>,
    /// Seconds after which everything is over that a token key has signed.
    pub tokens_over_after_seconds: u64,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// What it names does not exist.
    #[error("{0}")]
    Unknown(String),
    /// The password is none.
    #[error(transparent)]
    Password(#[from] PasswordRule),
    /// The directory refused.
    #[error(transparent)]
    Refused(Refusal),
    /// No quorum of the directory answers.
    #[error("the directory does not answer, nothing was changed for certain; try again: {0}")]
    Propose(#[from] ProposeError),
    /// No quorum confirms what is known.
    #[error(
        "nothing was changed: the directory has no quorum, and without it nobody is given or denied anything ({0}); \
         regnode status says who does not answer"
    )]
    NoQuorum(#[from] ReadError),
    /// A state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// Whoever asks may not do it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// What whoever asks may is not known at this moment.
    #[error(transparent)]
    NotPresent(#[from] NotPresent),
    /// A key could not be made.
    #[error("a key could not be made: {0}")]
    Key(String),
}

impl From<AccessRefusal> for AccessError {
    fn from(refusal: AccessRefusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl AccessError {
    /// Whether nothing was done since who may do what has changed meanwhile.
    fn is_of_a_race(&self) -> bool {
        matches!(self, Self::Refused(Refusal::Access(AccessRefusal::Changed { .. })))
    }
}

/// Judges a change and makes it, anew if others have changed who may do what in between. After some times it is refused:
/// it can be tried again.
pub(super) async fn judging<A, F: Future<Output = Result<A, AccessError>>>(
    attempt: impl Fn() -> F,
) -> Result<A, AccessError> {
    for times in 1..JUDGED_TIMES_MAX {
        match attempt().await {
            Err(error) if error.is_of_a_race() => sleep(JUDGED_AGAIN * (1 << (times - 1))).await,
            outcome => return outcome,
        }
    }
    attempt().await
}

/// A secret that was made; what it opens by is nowhere else.
#[derive(Clone)]
pub(super) struct Made {
    /// The secret.
    pub(super) text: String,
    /// Its id, hexadecimal.
    pub(super) id: String,
    /// When it ends.
    pub(super) expires: Option<Timestamp>,
}

/// What is to be changed of a user.
#[derive(Debug, Default)]
pub(super) struct UserEdit {
    pub(super) display: Option<String>,
    pub(super) password: Option<String>,
    pub(super) disabled: Option<bool>,
    pub(super) groups: Option<Vec<String>>,
}

/// A new secret of somebody.
#[derive(Debug)]
pub(super) struct SecretWish {
    pub(super) subject: Subject,
    pub(super) name: String,
    pub(super) lifetime_seconds: Option<u64>,
    pub(super) others_end_after_seconds: Option<u64>,
}

impl AccessChanges {
    /// What this node knows, after its quorum was asked to confirm it.
    pub(super) async fn confirmed_view(&self) -> (View<Arc<dyn Engine>>, Confirmation) {
        let reading = confirm_directory(self.directory.as_ref(), CONFIRMATION).await;
        let confirmation =
            Confirmation { confirmed: reading.confirmed, as_of_milliseconds: reading.as_of_milliseconds };
        (self.directory.view(), confirmation)
    }

    /// What a quorum confirms: what a change is decided on.
    pub(super) async fn current(&self) -> Result<View<Arc<dyn Engine>>, AccessError> {
        self.directory.barrier().await?;
        Ok(self.directory.view())
    }

    /// Whoever asks, as a quorum confirms him: what he hands on is his when the directory is asked, not only when his request
    /// came.
    pub(super) async fn judged(&self, operator: &Operator) -> Result<Operator, AccessError> {
        if !operator.is_machine() {
            self.directory.barrier().await?;
        }
        Ok(operator.anew().await?)
    }

    /// Proposes a command.
    pub(super) async fn propose(&self, command: Command) -> Result<Response, AccessError> {
        match self.directory.propose(RequestId(self.entropy.id()), command).await? {
            Response::Refused(refusal) => Err(AccessError::Refused(refusal)),
            response => Ok(response),
        }
    }

    /// Changes a role or a rule for somebody as he was [`judged`](Self::judged). It is refused if who may do what has changed
    /// since.
    pub(super) async fn propose_judged(
        &self,
        judged: &Operator,
        change: JudgedChange,
    ) -> Result<Response, AccessError> {
        let command = match judged.judged_at() {
            Some(made_from) => Command::Judged { made_from, change },
            None => change.into(),
        };
        self.propose(command).await
    }

    /// A user who is there.
    pub(super) async fn user(&self, name: &str) -> Result<UserRecord, AccessError> {
        let found = self.current().await?.user(name)?;
        found.ok_or_else(|| AccessRefusal::UserUnknown(name.to_owned()).into())
    }

    /// A robot that is there.
    pub(super) async fn robot(&self, name: &str) -> Result<RobotRecord, AccessError> {
        let found = self.current().await?.robot(name)?;
        found.ok_or_else(|| AccessRefusal::RobotUnknown(name.to_owned()).into())
    }

    /// A group that is there.
    pub(super) async fn group(&self, name: &str) -> Result<GroupRecord, AccessError> {
        let found = self.current().await?.group(name)?;
        found.ok_or_else(|| AccessRefusal::GroupUnknown(name.to_owned()).into())
    }

    /// Time of the last change that this node has heard of.
    pub(super) fn clock(&self) -> Result<Timestamp, AccessError> {
        Ok(self.directory.view().clock()?)
    }

    /// A rule that is there.
    pub(super) async fn binding(&self, id: BindingId) -> Result<BindingRecord, AccessError> {
        let found = self.current().await?.binding(id)?;
        found.ok_or_else(|| AccessRefusal::BindingUnknown(id).into())
    }

    /// The hash of a password that is good enough.
    async fn hashed(&self, name: &str, password: String) -> Result<String, AccessError> {
        check_password(name, &password)?;
        let entropy = Arc::clone(&self.entropy);
        Ok(self.exec.run(move || hash_password(&password, entropy.as_ref())).await)
    }

    /// Adds a user.
    pub(super) async fn add_user(
        &self,
        name: &str,
        display: String,
        password: Option<String>,
        source: Option<String>,
        groups: Vec<String>,
    ) -> Result<(), AccessError> {
        // Before the hashing, which is slow on purpose.
        if self.current().await?.user(name)?.is_some() {
            return Err(AccessRefusal::UserExists(name.to_owned()).into());
        }
        let password = match password {
            Some(password) => Some(self.hashed(name, password).await?),
            None => None,
        };
        self.propose(Command::AddUser { name: name.to_owned(), display, password, source, groups }).await?;
        info!(name, "user added");
        Ok(())
    }

    /// Changes what is said of a user; what was said before.
    pub(super) async fn set_user(&self, name: &str, edit: UserEdit) -> Result<UserRecord, AccessError> {
        let before = self.user(name).await?;
        let UserEdit { display, password, disabled, groups } = edit;
        let password = match password {
            Some(password) => Some(self.hashed(name, password).await?),
            None => None,
        };
        let (new_password, regrouped) = (password.is_some(), groups.is_some());
        self.propose(Command::SetUser { name: name.to_owned(), display, password, disabled, groups }).await?;
        info!(name, new_password, ?disabled, regrouped, "user changed");
        Ok(before)
    }

    /// Makes a secret of a user or a robot.
    pub(super) async fn add_secret(&self, wish: SecretWish) -> Result<Made, AccessError> {
        let kind = match &wish.subject {
            Subject::User(name) => {
                self.user(name).await?;
                SecretKind::Key
            }
            Subject::Robot(name) => {
                self.robot(name).await?;
                SecretKind::Robot
            }
            other => return Err(AccessRefusal::NoAccount(other.clone()).into()),
        };
        let SecretWish { subject, name, lifetime_seconds, others_end_after_seconds } = wish;
        let made = new_secret(kind, self.entropy.as_ref());
        let (id, hash) = (made.id, made.hash);
        let of = subject.clone();
        self.propose(Command::AddSecret { subject, id, hash, name, lifetime_seconds, others_end_after_seconds })
            .await?;
        let view = self.directory.view();
        let secrets = match &of {
            Subject::User(name) => view.user(name)?.map(|user| user.keys),
            Subject::Robot(name) => view.robot(name)?.map(|robot| robot.secrets),
            _ => None,
        };
        let expires = secrets.into_iter().flatten().find(|secret| secret.id == id).and_then(|secret| secret.expires);
        let id = hex::encode(id);
        info!(subject = %of, id, "secret made");
        Ok(Made { text: made.text, id, expires })
    }

    /// Takes a secret away, named by its id or the beginning of it; the whole id.
    pub(super) async fn remove_secret(&self, subject: Subject, named: &str) -> Result<String, AccessError> {
        let secrets = match &subject {
            Subject::User(name) => self.user(name).await?.keys,
            Subject::Robot(name) => self.robot(name).await?.secrets,
            other => return Err(AccessRefusal::NoAccount(other.clone()).into()),
        };
        let wanted = named.to_ascii_lowercase();
        let mut matching = secrets.iter().filter(|secret| hex::encode(secret.id).starts_with(&wanted));
        let id = match (matching.next(), matching.next()) {
            (Some(secret), None) if !wanted.is_empty() => secret.id,
            (Some(_), Some(_)) => {
                let message = format!("several secrets of {subject} begin with {named:?}: write more of the id");
                return Err(AccessError::Invalid(message));
            }
            _ => {
                let ids: Vec<String> = secrets.iter().map(|secret| hex::encode(secret.id)).collect();
                let known = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
                return Err(AccessError::Unknown(format!("{subject} has no secret {named:?}, but {known}")));
            }
        };
        self.propose(Command::RemoveSecret { subject: subject.clone(), id }).await?;
        let id = hex::encode(id);
        info!(%subject, id, "secret taken away");
        Ok(id)
    }

    /// Sets an issuer; what was said of it before.
    pub(super) async fn set_issuer(
        &self,
        name: &str,
        record: IssuerRecord,
    ) -> Result<Option<IssuerRecord>, AccessError> {
        let before = self.current().await?.issuer(name)?;
        self.propose(Command::SetIssuer { name: name.to_owned(), record }).await?;
        info!(name, "issuer set");
        Ok(before)
    }

    /// Makes a new token key; its id, hexadecimal.
    pub(super) async fn rotate_token_key(
        &self,
        signs_after_seconds: u64,
        others_retire_after_seconds: Option<u64>,
    ) -> Result<String, AccessError> {
        let Some(cluster_key) = self.cluster_key.clone() else {
            return Err(AccessError::Key("this node has no cluster key".to_owned()));
        };
        let (entropy, cluster) = (Arc::clone(&self.entropy), self.cluster);
        let made = self.exec.run(move || new_signing_key(entropy.as_ref(), cluster, &cluster_key)).await;
        let key: NewSigningKey = made.map_err(|error| AccessError::Key(error.to_string()))?;
        let id = hex::encode(key.id);
        let over = signs_after_seconds.saturating_add(self.tokens_over_after_seconds);
        let others_retire_after_seconds = others_retire_after_seconds.unwrap_or(over);
        self.propose(Command::AddSigningKey { key, signs_after_seconds, others_retire_after_seconds }).await?;
        info!(id, signs_after_seconds, others_retire_after_seconds, "token key made");
        Ok(id)
    }

    /// Host, and port, at which clients log in to this node.
    pub(super) fn host(&self) -> Result<String, AccessError> {
        let url = self.directory.view().node(self.own)?.map(|record| record.info.api_url).unwrap_or_default();
        let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        Ok(host.trim_end_matches('/').to_owned())
    }
}
