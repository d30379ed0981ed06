//! Founding a cluster, second half: the first node initialises both groups and proposes the cluster's first record.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft::catalog::Catalog;
use raft::directory::{Command, Directory, NodeInfo, Refusal, Response};
use raft::group::{Group, GroupError};
use raft::id::{RegionId, RequestId};
use tracing::{info, warn};

use super::FEATURE_LEVEL;
use crate::environment::Environment;
use crate::identity::{Founding, Identity, IdentityError, Store};

/// Pause after a failed attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// Why the cluster was not founded.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// A group failed.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// An identity file failed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The directory refused.
    #[error("the directory refuses to be founded: {0}")]
    Refused(Refusal),
    /// The directory has another node as the region's founder.
    #[error("the directory has another node as the founder of region {0}: remove this one, and join the machine anew")]
    OtherFounder(RegionId),
    /// The directory is that of another cluster.
    #[error("the directory belongs to another cluster than this node")]
    Foreign,
}

/// Founds the cluster that `store` says is to be founded. Every step may be repeated.
pub async fn found(
    environment: &Environment,
    store: &Store,
    identity: &Identity,
    founding: Founding,
    info: NodeInfo,
    (directory, catalog): (&Arc<Group<Directory>>, &Arc<Group<Catalog>>),
) -> Result<(), FoundError> {
    directory.initialize().await?;
    catalog.initialize().await?;
    let reader = store.clone();
    let authority = environment.exec.run(move || reader.credentials()).await?.map(|credentials| credentials.authority);
    let command = Command::Found {
        cluster: identity.cluster.0,
        ca_certificate: authority.map_or_else(Bytes::new, |certificate| Bytes::copy_from_slice(&certificate)),
        wrapped_ca_key: Bytes::from(founding.wrapped_authority_key),
        feature_level: FEATURE_LEVEL,
        region: founding.region,
        node: info,
        access: founding.access,
    };
    // There is one founding of a cluster: its id serves as the request's.
    let request = RequestId(identity.cluster.0);
    loop {
        match directory.propose(request, command.clone()).await {
            Ok(Response::Refused(Refusal::AlreadyFounded)) => {
                let cluster = raft::directory::View::new(directory.state()).cluster();
                if cluster.is_ok_and(|cluster| cluster.is_some_and(|cluster| cluster.id != identity.cluster.0)) {
                    return Err(FoundError::Foreign);
                }
                break;
            }
            Ok(Response::Refused(refusal)) => return Err(FoundError::Refused(refusal)),
            Ok(_) => break,
            Err(error) => {
                warn!(%error, "the directory is not founded yet");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    let store = store.clone();
    environment.exec.run(move || store.remove_founding()).await?;
    info!(cluster = %identity.cluster, "cluster founded");
    Ok(())
}
