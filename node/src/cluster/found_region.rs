//! Founding a region, second half: its first node initialises the region's catalog.
//!
//! Only a node that the directory, confirmed by a quorum, has as the region's founder does so. A machine that was admitted
//! to found it and then removed again, before it ever ran, must not: another one may be the founder by now, and there
//! would be two catalogs of one region.

use std::sync::Arc;
use std::time::Duration;

use raft::catalog::Catalog;
use raft::directory::{Directory, NodeState, StateError, View};
use raft::group::{Group, ReadError};
use tokio::time::sleep;
use tracing::{debug, info};

use super::found::FoundError;
use crate::environment::Environment;
use crate::identity::{Identity, Store};

/// Pause after a failed attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// What the directory says of a node that was told to found its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Founder {
    /// It is to found it, or has.
    This,
    /// Another one is.
    Other,
    /// It was removed, or the directory is not known here yet.
    Unknown,
}

#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    State(#[from] StateError),
}

/// Founds the region that `store` says this node is the first one of. Every step may be repeated.
///
/// # Errors
/// When the directory has another founder, or the catalog or the marker fails.
pub async fn found_region(
    environment: &Environment,
    store: &Store,
    identity: &Identity,
    (directory, catalog): (&Arc<Group<Directory>>, &Arc<Group<Catalog>>),
) -> Result<(), FoundError> {
    loop {
        match look(directory, identity).await {
            Ok(Founder::This) => break,
            Ok(Founder::Other) => return Err(FoundError::OtherFounder(identity.region)),
            Ok(Founder::Unknown) => {}
            Err(error) => debug!(%error, "the region is not founded yet: the directory does not answer"),
        }
        sleep(PAUSE).await;
    }
    catalog.initialize().await?;
    let store = store.clone();
    environment.exec.run(move || store.remove_founding_region()).await?;
    info!(region = %identity.region, "region founded");
    Ok(())
}

async fn look(directory: &Group<Directory>, identity: &Identity) -> Result<Founder, LookError> {
    directory.read_barrier().await?;
    let view = View::new(directory.state());
    let present = view.node(identity.node)?.is_some_and(|node| node.state != NodeState::Removed);
    let founder = view.region(identity.region)?.and_then(|region| region.founder);
    Ok(match founder {
        _ if !present => Founder::Unknown,
        Some(founder) if founder == identity.node => Founder::This,
        Some(_) => Founder::Other,
        None => Founder::Unknown,
    })
}
