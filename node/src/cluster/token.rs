//! Making a join token.

use raft::directory::{Command, Directory, Response, StateError, View};
use raft::group::{Group, ProposeError};
use raft::id::{RegionId, RequestId};

use super::clock::{AgreedTime, catch_up};
use crate::environment::Entropy;
use crate::identity::JoinToken;

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// This node's replica is still empty.
    #[error("this node does not know the cluster yet: wait until it is ready")]
    NotFounded,
    /// A machine cannot join a region that does not exist.
    #[error("there is no region {name:?}, there are {}: add one with: regnode region add", known.join(", "))]
    UnknownRegion {
        /// What was asked for.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
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

/// Name of the region that a machine is to be told to join: the one that is asked for, or the own one where there are
/// several. `None` where there is one only, and nobody asked.
pub(crate) fn region_to_join(
    directory: &Group<Directory>,
    own: RegionId,
    asked: Option<&str>,
) -> Result<Option<String>, TokenError> {
    let mut regions = View::new(directory.state()).regions()?;
    if let Some(name) = asked {
        if regions.iter().any(|(_, record)| record.name == name) {
            return Ok(Some(name.to_owned()));
        }
        let known = regions.into_iter().map(|(_, record)| record.name).collect();
        return Err(TokenError::UnknownRegion { name: name.to_owned(), known });
    }
    let several = regions.len() > 1;
    regions.retain(|(region, _)| *region == own);
    Ok(regions.pop().map(|(_, record)| record.name).filter(|_| several))
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
