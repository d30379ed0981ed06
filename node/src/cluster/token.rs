//! Making a join token.

use raft::directory::{Command, Directory, Response, StateError, View};
use raft::group::{Group, ProposeError};
use raft::id::RequestId;

use super::clock::{AgreedTime, catch_up};
use crate::environment::Entropy;
use crate::identity::JoinToken;

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// This node's replica is still empty.
    #[error("this node does not know the cluster yet: wait until it is ready")]
    NotFounded,
    /// The directory refused.
    #[error("the directory refuses the token: {0}")]
    Refused(String),
    /// The directory did not answer.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The directory cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Makes a token with which one machine can join within `lifetime_seconds`.
pub async fn create_token(
    directory: &Group<Directory>,
    time: &AgreedTime,
    entropy: &dyn Entropy,
    lifetime_seconds: u64,
) -> Result<JoinToken, TokenError> {
    let cluster = View::new(directory.state()).cluster()?.ok_or(TokenError::NotFounded)?;
    catch_up(directory, time, entropy).await;
    let token = JoinToken::generate(entropy, &cluster.ca_certificate);
    let command = Command::AddJoinToken { token: token.id, secret_hash: token.secret_hash(), lifetime_seconds };
    match directory.propose(RequestId(entropy.id()), command).await? {
        Response::Refused(refusal) => Err(TokenError::Refused(refusal.to_string())),
        _ => Ok(token),
    }
}
