//! The node's Raft groups: the cluster's directory and the own region's catalog, over one log.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft::catalog::Catalog;
use raft::directory::Directory;
use raft::group::{Group, GroupOptions, GroupResources, LogStore, Timing, Transport};
use raft::id::{GroupId, NodeId};
use raft::machine::Machine;
use tokio::time::sleep;
use tracing::warn;

use super::error::StartError;
use crate::config::Settings;
use crate::environment::{BoxFuture, Environment};
use crate::identity::{Identity, Store};
use crate::peer::{Frames, Groups, GroupsError};

/// Pause between two looks at who votes.
const VOTE_POLL: Duration = Duration::from_millis(100);

/// The groups of one node.
#[derive(Clone, Debug)]
pub(super) struct NodeGroups {
    pub(super) directory: Arc<Group<Directory>>,
    pub(super) catalog: Arc<Group<Catalog>>,
    log: Arc<LogStore>,
}

impl NodeGroups {
    /// Opens the log and both groups. Refuses a log that is not the one that this node has voted in before.
    pub(super) async fn open(
        environment: &Environment,
        settings: &Settings,
        identity: &Identity,
        store: &Store,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, StartError> {
        let log = open_log(environment, settings, identity, store).await?;
        let resources = GroupResources {
            log: Arc::clone(&log),
            engines: Arc::clone(&environment.engines),
            files: Arc::clone(&environment.files),
            exec: environment.exec,
            clock: Arc::clone(&environment.clock),
            transport,
            witness: environment.witness.clone(),
        };
        let options = |id: GroupId| {
            let directory = settings.data_dir.join("groups").join(id.to_string());
            GroupOptions {
                timing: timing(settings, id),
                snapshot_after_entries: settings.raft.snapshot_after_entries,
                ..GroupOptions::new(id, identity.node, settings.peer_address(), directory)
            }
        };
        let directory = Group::open(options(GroupId::Directory), resources.clone()).await?;
        let catalog = Group::open(options(GroupId::Catalog(identity.region)), resources).await?;
        Ok(Self { directory, catalog, log })
    }

    /// Completes when one of the groups has stopped by itself, and says which and why.
    pub(super) async fn failed(&self) -> String {
        let (id, failure) = tokio::select! {
            biased;
            failure = self.directory.failed() => (self.directory.id(), failure),
            failure = self.catalog.failed() => (self.catalog.id(), failure),
        };
        format!("group {id} has stopped: {failure}")
    }

    /// Completes when this node votes in no group any more, as far as it knows.
    pub(super) async fn voteless(&self, own: NodeId) {
        while self.directory.status().voters.contains(&own) || self.catalog.status().voters.contains(&own) {
            sleep(VOTE_POLL).await;
        }
    }

    /// Hands over what this node leads, as far as somebody can take it.
    pub(super) async fn hand_over(&self, heirs: &[NodeId], within: Duration) {
        let both = async { tokio::join!(hand_over(&self.directory, heirs), hand_over(&self.catalog, heirs)) };
        if tokio::time::timeout(within, both).await.is_err() {
            warn!("a leadership was not handed over in time, the others elect a leader by themselves");
        }
    }

    /// The log of both.
    pub(super) const fn log(&self) -> &Arc<LogStore> {
        &self.log
    }

    /// Whether nobody else holds a group.
    pub(super) fn is_released(&self) -> bool {
        Arc::strong_count(&self.directory) == 1 && Arc::strong_count(&self.catalog) == 1
    }

    /// Stops the groups, then the log.
    pub(super) async fn shutdown(&self) {
        tokio::join!(self.directory.shutdown(), self.catalog.shutdown());
        self.log.close().await;
    }
}

/// The pace of a group. The directory's voters are in several regions: a heartbeat has to be answered before the next one,
/// over lines that may be long, or reads are confirmed by nobody.
fn timing(settings: &Settings, group: GroupId) -> Timing {
    let raft = &settings.raft;
    let (heartbeat, election_min, election_max) = match group {
        GroupId::Directory => (
            raft.directory_heartbeat_milliseconds,
            raft.directory_election_min_milliseconds,
            raft.directory_election_max_milliseconds,
        ),
        GroupId::Catalog(_) => {
            (raft.heartbeat_milliseconds, raft.election_min_milliseconds, raft.election_max_milliseconds)
        }
    };
    Timing {
        heartbeat: Duration::from_millis(heartbeat),
        election_min: Duration::from_millis(election_min),
        election_max: Duration::from_millis(election_max),
    }
}

/// Opens the log. Its owner is recorded in it, and that it exists in the identity, before anything is voted: a log that is
/// missing later, or another node's, is noticed.
async fn open_log(
    environment: &Environment,
    settings: &Settings,
    identity: &Identity,
    store: &Store,
) -> Result<Arc<LogStore>, StartError> {
    let (path, node) = (settings.data_dir.join("log"), identity.node);
    let owner = Bytes::from([identity.cluster.0.as_slice(), &node.0.to_be_bytes()].concat());
    let reader = store.clone();
    let has_log = environment.exec.run(move || reader.has_log()).await?;
    let log = LogStore::open(Arc::clone(&environment.engines), &path, environment.exec).await?;
    let refused = match log.owner().await? {
        Some(found) if found == owner => None,
        Some(_) => Some(StartError::LogForeign { path, node }),
        None if has_log => Some(StartError::LogLost { path, node }),
        None => {
            log.set_owner(owner).await?;
            None
        }
    };
    if let Some(refused) = refused {
        log.close().await;
        return Err(refused);
    }
    if !has_log {
        let store = store.clone();
        environment.exec.run(move || store.write_has_log()).await?;
    }
    Ok(log)
}

async fn hand_over<M: Machine>(group: &Group<M>, heirs: &[NodeId]) {
    if !group.is_leader() {
        return;
    }
    let status = group.status();
    // The one that lacks least takes over soonest.
    let heir = status
        .voters
        .iter()
        .filter(|node| heirs.contains(node))
        .min_by_key(|node| (status.lag.get(node).copied().unwrap_or(u64::MAX), **node));
    if let Some(heir) = heir
        && let Err(error) = group.transfer_leadership(*heir).await
    {
        warn!(group = %status.group, %heir, %error, "the leadership was not handed over");
    }
}

impl Groups for NodeGroups {
    fn call(&self, group: GroupId, payload: Bytes) -> BoxFuture<'_, Result<Bytes, GroupsError>> {
        Box::pin(async move {
            let answer = if group == self.directory.id() {
                self.directory.handle(payload).await
            } else if group == self.catalog.id() {
                self.catalog.handle(payload).await
            } else {
                return Err(GroupsError::Unknown(group));
            };
            answer.map_err(|error| GroupsError::Failed(error.to_string()))
        })
    }

    fn snapshot(&self, group: GroupId, frames: Frames) -> BoxFuture<'_, Result<Bytes, GroupsError>> {
        Box::pin(async move {
            let answer = if group == self.directory.id() {
                self.directory.receive_snapshot(frames).await
            } else if group == self.catalog.id() {
                self.catalog.receive_snapshot(frames).await
            } else {
                return Err(GroupsError::Unknown(group));
            };
            answer.map_err(|error| GroupsError::Failed(error.to_string()))
        })
    }
}
