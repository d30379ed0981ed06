//! What an operator can ask of a running node, through the same functions that the local socket calls, and what he sees
//! there.

use node::admin::{AsideRequest, ForceLookRequest, ForceRequest, SettleRequest};
use node::cluster::DiskWish;
use node::deletion::{Applied, BulkDeletion, Deletion, DeletionError, HomeChange};
use node::reseal::State;
use node::start::Node;
use raft::catalog::JobScope;
use raft::catalog::View;
use raft::directory::{NamespaceRecord, Replication, Residency};
use raft::id::GroupId;
use raft::policy::NamespacePolicy;
use storage::shard::DiskId;

use crate::cluster::Control;

/// An order. Nodes and disks are named as on the command line. To repeat one changes nothing.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// A node is to be emptied.
    Drain(String),
    /// A node that is being emptied stays.
    Undrain(String),
    /// A node leaves once it is empty.
    Leave(String),
    /// A node leaves at once, whatever it holds.
    LeaveByForce(String),
    /// Something is wanted of a node's disk.
    Disk(String, DiskId, DiskWish),
    /// A policy is set for a namespace, and in force.
    Policy(String, NamespacePolicy),
    /// A namespace has its home in a region from now on, with what is in it. It is refused until everything has moved.
    Home(String, String),
    /// A namespace is copied to these regions.
    Copied(String, Vec<String>, Replication),
    /// A namespace whose home is lost has it in a region with a copy.
    Forced(String, String),
    /// What a former home has of a namespace is given up.
    Settled(String, String),
    /// Bytes of a namespace stay in its home region, or may be read from others.
    Pinned(String, bool),
    /// All tags go, and the manifests that nothing else holds.
    DeleteTags,
    /// The node that is asked scrubs all its disks.
    Scrub,
    /// The node that is asked gets another data key.
    RotateKey,
}

impl Order {
    /// Gives the order to a node. The error is the node's own, or says that its process has ended meanwhile.
    pub(crate) async fn give(&self, control: &Control, through: usize) -> Result<(), String> {
        let order = self.clone();
        let answer = control.order(through, move |node| Box::pin(async move { order.carry_out(node).await }));
        answer.await.unwrap_or_else(|error| Err(format!("{error:#}")))
    }

    async fn carry_out(&self, node: &Node) -> Result<(), String> {
        let deletion = &node.admin().deletion;
        let departures = &node.admin().departures;
        let outcome = match self {
            Self::Drain(name) => departures.drain(name).await.map(drop),
            Self::Undrain(name) => departures.undrain(name).await.map(drop),
            Self::Leave(name) => departures.leave(name, false).await.map(drop),
            Self::LeaveByForce(name) => departures.leave(name, true).await.map(drop),
            Self::Disk(name, disk, wish) => departures.set_disk(name, &disk.to_string(), *wish).await.map(drop),
            Self::Policy(prefix, policy) => {
                return told(deletion.set_namespace(prefix, policy.clone()).await);
            }
            Self::Home(prefix, region) => {
                let home = async { deletion.set_home(prefix, Some(deletion.region_named(region).await?)).await };
                return match home.await {
                    Ok(HomeChange::Applied(applied)) => told(Ok(applied)),
                    Ok(HomeChange::Moving(progress)) => Err(format!("it is on its way: {progress:?}")),
                    Err(error) => Err(error.to_string()),
                };
            }
            Self::Copied(prefix, regions, replication) => {
                let mut copies = Vec::new();
                for region in regions {
                    copies.push(deletion.region_named(region).await.map_err(|error| error.to_string())?);
                }
                let (residency, replication) = (Residency::Replicated(copies), replication.clone());
                let edit = |record| {
                    let (residency, replication) = (Some(residency.clone()), Some(replication.clone()));
                    Ok(NamespaceRecord { residency, replication, ..record })
                };
                return told(deletion.edit_namespace(prefix, edit).await);
            }
            Self::Forced(prefix, region) => return told(forced(deletion, prefix, region).await),
            Self::Settled(prefix, region) => return told(settled(deletion, prefix, region).await),
            Self::Pinned(prefix, pinned) => {
                let residency = if *pinned { Residency::Pinned } else { Residency::Home };
                let edit = |record| Ok(NamespaceRecord { residency: Some(residency.clone()), ..record });
                return told(deletion.edit_namespace(prefix, edit).await);
            }
            Self::DeleteTags => {
                let tags = "*".parse().map_err(|error| format!("{error}"))?;
                let bulk = BulkDeletion { scope: JobScope::Namespace(String::new()), tags, older_than_seconds: None };
                let job = deletion.start_bulk(bulk, None).await;
                return job.map(drop).map_err(|error| error.to_string());
            }
            Self::RotateKey => {
                let rotated = node.admin().reseal.vault().rotate().await;
                return rotated.map(drop).map_err(|error| error.to_string());
            }
            Self::Scrub => return node.scrub().start(&[]).map(drop).map_err(|error| error.to_string()),
        };
        outcome.map_err(|error| error.to_string())
    }
}

/// Makes a region the home without the present one, unless it is it already.
async fn forced(deletion: &Deletion, prefix: &str, region: &str) -> Result<Applied, DeletionError> {
    let to = deletion.region_named(region).await?;
    let placed = deletion.namespace(prefix).await?.placed.place;
    if placed.home == to {
        return deletion.edit_namespace(prefix, Ok).await;
    }
    let (prefix, to) = (prefix.to_owned(), region.to_owned());
    let look = ForceLookRequest { prefix: prefix.clone(), to: to.clone(), after: None };
    let policy_version = deletion.look_before_force(&look).await?.policy_version;
    let force = ForceRequest { prefix, to, policy_version, without_copy: false, although_it_answers: false };
    deletion.force_home(&force).await
}

/// Gives up what a former home has, unless that was done already.
async fn settled(deletion: &Deletion, prefix: &str, region: &str) -> Result<Applied, DeletionError> {
    let former = deletion.region_named(region).await?;
    if !deletion.namespace(prefix).await?.placed.place.is_aside(former) {
        return deletion.edit_namespace(prefix, Ok).await;
    }
    let look = AsideRequest { prefix: prefix.to_owned(), region: None, after: None };
    let policy_version = deletion.compare_aside(&look).await?.policy_version;
    let (prefix, region) = (prefix.to_owned(), region.to_owned());
    deletion.settle_aside(&SettleRequest { prefix, region, policy_version, unseen: false }).await
}

/// Whether a change of a namespace is in force.
fn told(outcome: Result<Applied, DeletionError>) -> Result<(), String> {
    match outcome {
        Ok(applied) if applied.in_force => Ok(()),
        Ok(applied) => Err(format!("version {} is not in force yet", applied.version)),
        Err(error) => Err(error.to_string()),
    }
}

/// Ids of a node's disks, as it knows them itself; `None` while it cannot say.
pub(crate) async fn disks_of(control: &Control, number: usize) -> Option<Vec<DiskId>> {
    let order = control.order(number, |node| {
        Box::pin(async move { node.disks().all().iter().map(|disk| disk.id()).collect::<Vec<_>>() })
    });
    order.await.ok()
}

/// What a node still has to bring under its newest data key, for people; `None` while it cannot say.
pub(crate) async fn left_to_reseal(control: &Control, number: usize) -> Option<Option<String>> {
    let order = control.order(number, |node| {
        Box::pin(async move {
            match node.admin().reseal.state() {
                State::Settled => None,
                State::Working => Some("it is at work".to_owned()),
                State::Waiting(what) => Some(what),
            }
        })
    });
    order.await.ok()
}

/// Shards that the catalog places on a disk; `None` while the node that is asked cannot say.
pub(crate) async fn placed(control: &Control, through: usize, disk: DiskId) -> Option<u64> {
    let order = control.order(through, move |node| {
        Box::pin(async move {
            let is_catalog = |group: &GroupId| matches!(group, GroupId::Catalog(_));
            let catalog = node.group_statuses().into_iter().map(|status| status.group).find(is_catalog)?;
            let totals = View::new(node.group_state(catalog)?).disks().ok()?;
            Some(totals.iter().filter(|(at, _)| at.disk == disk).map(|(_, held)| held.shards).sum())
        })
    });
    order.await.ok().flatten()
}
