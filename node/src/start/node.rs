//! A running node: what it consists of, what it is asked, and how it ends.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use storage::disk::Disks;
use storage::exec::Exec;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::groups::NodeGroups;
use super::servers::Servers;
use crate::admin::{Admin, Status, TokenAnswer};
use crate::audit::Keeping;
use crate::background::Background;
use crate::cluster::TokenError;
use crate::gateway::Gateway;
use crate::identity::Identity;
use crate::members::Members;
use crate::registry::Pulls;
use crate::replication::Puller;
use crate::reseal::Reseal;
use crate::scrub::Scrub;
use crate::shards::LocalDisks;
use crate::status::Readiness;

/// Bound on the others taking the vote of a node that was removed: an election, and one change of the voters.
const LAST_VOTE: Duration = Duration::from_secs(15);
/// Bound on handing over leaderships at the end.
const HAND_OVER: Duration = Duration::from_secs(5);
/// Bound on writing down what was pulled of late.
const LAST_PULLS: Duration = Duration::from_secs(2);
/// Bound on tasks that were ended letting go of what they hold.
const RELEASE: Duration = Duration::from_secs(5);
/// Pause between two looks at whether they have.
const RELEASE_POLL: Duration = Duration::from_millis(5);

/// A running node. Dropping it ends it at once, as a crash would; [`shutdown`](Self::shutdown) is the orderly end.
pub struct Node {
    pub(super) identity: Identity,
    pub(super) api_address: SocketAddr,
    pub(super) api_url: String,
    pub(super) admin: Admin,
    pub(super) readiness: watch::Sender<Readiness>,
    pub(super) members: Members,
    pub(super) gateway: Gateway,
    pub(super) pulls: Pulls,
    pub(super) background: Background,
    pub(super) puller: Puller,
    pub(super) scrub: Scrub,
    pub(super) reseal: Reseal,
    pub(super) local_disks: LocalDisks,
    pub(super) clients: Servers,
    /// Requests that other regions have handed on.
    pub(super) forwarded: TaskTracker,
    pub(super) peers: Servers,
    pub(super) audit: Keeping,
    pub(super) tasks: JoinSet<()>,
    pub(super) groups: NodeGroups,
    pub(super) disks: Arc<Disks>,
    pub(super) exec: Exec,
    pub(super) data_dir: PathBuf,
    pub(super) drain_timeout: Duration,
    /// Goes last: the data directory is the next process's from then on.
    pub(super) lock: Box<dyn Send + Sync>,
}

impl fmt::Debug for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Node")
            .field("identity", &self.identity)
            .field("api_address", &self.api_address)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Waits until the node takes requests.
    pub async fn wait_ready(&self) {
        // The sender lives as long as the node.
        let _ = self.readiness.subscribe().wait_for(Readiness::is_ready).await;
    }

    /// Completes when the node can never serve again, says why, and logs it as an error: it was removed from the cluster
    /// ([`is_dismissed`](Self::is_dismissed)), or a replica of its groups has stopped for good, most likely since a disk
    /// failed it. There is nothing to end in order then: the process ends, and starts anew from what is durable.
    pub async fn failed(&self) -> String {
        let failure = tokio::select! {
            biased;
            reason = self.members.dismissed() => {
                // Two that vote together need each other even for one of them to go: who ended at once would leave the
                // other without a quorum for good. Nobody may be left to take the vote away, or to tell of it.
                if timeout(LAST_VOTE, self.groups.voteless(self.identity.node)).await.is_err() {
                    warn!("this node was removed, and nobody has told it that its vote is not needed any more");
                }
                let dismissal = dismissal(&self.identity, &self.data_dir, &reason);
                error!("{dismissal}");
                return dismissal;
            }
            failure = self.groups.failed() => failure,
        };
        error!(
            failure,
            data_dir = %self.data_dir.display(),
            "this node cannot go on and ends: look at the disk of its data directory, then start it again"
        );
        failure
    }

    /// Whether this node was removed from the cluster: it serves no more, and never will.
    #[must_use]
    pub fn is_dismissed(&self) -> bool {
        self.members.is_dismissed()
    }

    /// What operators ask for, as on the local socket.
    #[must_use]
    pub const fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Whether the node takes requests, and why not.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.borrow().clone()
    }

    /// Who the node is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Address that clients connect to.
    #[must_use]
    pub const fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// URL at which clients reach the node.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// The cluster's status, as on the local socket.
    pub async fn status(&self) -> Status {
        self.admin.status().await
    }

    /// The scrub of the node's disks.
    #[must_use]
    pub const fn scrub(&self) -> &Scrub {
        &self.scrub
    }

    /// The node's disks, to be listed, added and removed.
    #[must_use]
    pub const fn local_disks(&self) -> &LocalDisks {
        &self.local_disks
    }

    /// Makes a join token, as on the local socket.
    pub async fn create_token(&self, lifetime_seconds: u64) -> Result<TokenAnswer, TokenError> {
        self.admin.create_token(lifetime_seconds, None).await
    }

    /// Ends the node in order: no new requests, those in progress finish for a while, leaderships are handed over,
    /// everything is closed. Takes some seconds longer than `shutdown.drain_seconds` at most.
    pub async fn shutdown(self) {
        let Self {
            readiness,
            admin,
            members,
            gateway,
            pulls,
            background,
            puller,
            scrub,
            reseal,
            local_disks,
            clients,
            forwarded,
            peers,
            mut audit,
            mut tasks,
            ..
        } = self;
        info!("shutting down");
        tasks.shutdown().await;
        readiness.send_replace(Readiness { reasons: vec!["the node is shutting down".to_owned()] });
        members.set_ready(false);
        puller.stop().await;
        clients.drain().await;
        forwarded.close();
        if timeout(self.drain_timeout, forwarded.wait()).await.is_err() {
            info!("requests of other regions were cut off at the end of the drain");
        }
        if timeout(self.drain_timeout, gateway.drain()).await.is_err() {
            info!("uploads were cut off at the end of the drain");
        }
        if !matches!(timeout(LAST_PULLS, pulls.flush()).await, Ok(Ok(()))) {
            info!("pull times of the last minute are lost");
        }
        background.stop().await;
        scrub.stop().await;
        reseal.stop().await;
        audit.settle().await;
        let mut heirs: Vec<_> = members.live().iter().map(|member| member.id).collect();
        heirs.retain(|id| *id != members.own());
        // The directory may be led from any region.
        heirs.extend(members.remotes().iter().filter(|remote| remote.live).map(|remote| remote.id));
        self.groups.hand_over(&heirs, HAND_OVER).await;
        peers.drain().await;
        // Peers and operators have changed things until now.
        audit.stop().await;
        drop((admin, gateway, pulls, members, scrub, reseal, local_disks));
        self.groups.shutdown().await;
        let (groups, disks) = (self.groups, self.disks);
        let released = async {
            while !groups.is_released() || !is_released(&disks) {
                sleep(RELEASE_POLL).await;
            }
        };
        if timeout(RELEASE, released).await.is_err() {
            warn!("something still holds a group or a disk of this node after its end");
        }
        // Closing an engine takes a moment.
        self.exec.run(move || drop((groups, disks))).await;
        drop(self.lock);
        info!("shut down");
    }
}

/// What a removed node tells its operator.
fn dismissal(identity: &Identity, data_dir: &Path, reason: &str) -> String {
    format!(
        "node {} ({}) was removed from cluster {} ({reason}) and ends; it cannot come back: to use this machine again, \
         empty {} and its disks, and join anew with regnode join",
        identity.node,
        identity.name,
        identity.cluster,
        data_dir.display()
    )
}

/// Whether nobody else holds a disk.
fn is_released(disks: &Arc<Disks>) -> bool {
    // The list that is looked through holds each of them once more.
    Arc::strong_count(disks) == 1 && disks.all().iter().all(|disk| Arc::strong_count(disk) == 2)
}
