//! What an operator asks of a node or a disk: to be emptied, to leave, to stay after all. The request is weighed here and
//! then written into the directory; everything else follows from there, whatever crashes.

use std::sync::Arc;
use std::time::Duration;

use raft::catalog::{self, Catalog, DiskLocation};
use raft::directory::{
    self, Command, Directory, DiskRecord, DiskState, NAMESPACES_MAX, NamespaceRecord, NodeRecord, NodeState, Residency,
    Response,
};
use raft::group::{Group, ProposeError, ReadError};
use raft::id::{NodeId, RegionId, RequestId};
use storage::exec::Exec;
use storage::shard::DiskId;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::leave::{DirectoryVoters, Facts, Objection, Other, objection_to_drain, objections};
use super::loss::{Loss, loss};
use super::membership::candidates;
use super::plan::{Liveness, voters_without};
use crate::environment::Entropy;
use crate::members::{Member, Members};

/// How long a disk that its node speaks of may be unknown to the directory: nodes look every few seconds whether what
/// they have said there is still true.
const REGISTRATION: Duration = Duration::from_secs(10);
/// Between two looks at it.
const REGISTRATION_POLL: Duration = Duration::from_millis(200);

/// Carries out operators' requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Departures {
    /// Who answers.
    pub members: Members,
    /// The cluster's directory.
    pub directory: Arc<Group<Directory>>,
    /// The region's catalog.
    pub catalog: Arc<Group<Catalog>>,
    /// Ids of requests.
    pub entropy: Arc<dyn Entropy>,
    /// Where the catalog is looked through.
    pub exec: Exec,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DepartureError {
    /// There is no such node.
    #[error("there is no node {0:?}: regnode nodes lists them")]
    UnknownNode(String),
    /// There is no such disk.
    #[error("node {0} has no disk {1:?}: regnode disk list shows those that it has")]
    UnknownDisk(String, String),
    /// The beginning of an id fits several disks.
    #[error("several disks of node {0} begin with {1:?}: name more of the id")]
    AmbiguousDisk(String, String),
    /// It belongs to another region, whose catalog this node does not have.
    #[error("node {name} is in region {region}: ask a node there, which knows what it holds")]
    OtherRegion {
        /// Its name.
        name: String,
        /// Its region's name.
        region: String,
    },
    /// No quorum of the directory confirms who belongs to the cluster.
    #[error(
        "nothing was changed: the directory has no quorum, and without it no node comes, goes or is emptied ({0}); regnode \
         status says who does not answer"
    )]
    NoQuorum(ReadError),
    /// It would break what the cluster promises.
    #[error("{name} cannot go:{}", list(objections))]
    Objections {
        /// The node.
        name: String,
        /// Why, each in a sentence.
        objections: Vec<String>,
    },
    /// The disk holds something.
    #[error(
        "disk {disk} of node {name} still holds {shards} shards ({bytes} bytes): empty it first with regnode disk \
         drain, or, if it is dead, give it up with --force: its shards are then rebuilt from the other disks"
    )]
    DiskHolds {
        /// The node.
        name: String,
        /// The disk.
        disk: DiskId,
        /// Shards on it.
        shards: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The directory refused.
    #[error(transparent)]
    Refused(directory::Refusal),
    /// No quorum of the directory answers.
    #[error("the directory does not answer, nothing was changed for certain; try again: {0}")]
    Propose(#[from] ProposeError),
    /// No quorum confirms what is known.
    #[error("nothing was changed: {0}")]
    Read(#[from] ReadError),
    /// A state cannot be read.
    #[error(transparent)]
    State(#[from] directory::StateError),
}

fn list(objections: &[String]) -> String {
    objections.iter().flat_map(|objection| ["\n  - ", objection]).collect()
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departing {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its state now.
    pub state: NodeState,
    /// Shards that it holds.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was lost by force.
    pub loss: Option<Loss>,
}

/// What is wanted of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskWish {
    /// Use it (again).
    Use,
    /// Empty it.
    Drain,
    /// It is dead: rebuild what it held.
    GiveUp,
    /// It holds nothing: let it go for ever.
    Remove,
}

impl Departures {
    /// Begins to empty a node, named by name or id, if others can take what it holds. Repeating it changes nothing.
    pub async fn drain(&self, node: &str) -> Result<Departing, DepartureError> {
        let (id, record) = self.find(node).await?;
        if record.state == NodeState::Active {
            let facts = self.facts(id, &record)?;
            self.refuse_by(id, facts, objection_to_drain).await?;
        }
        self.begin(id, &record, false).await?;
        self.departing(id, None)
    }

    /// Lets a node that is being emptied stay.
    pub async fn undrain(&self, node: &str) -> Result<Departing, DepartureError> {
        let (id, record) = self.find(node).await?;
        if record.state == NodeState::Draining {
            self.propose(Command::SetNodeState { node: id, state: NodeState::Active }).await?;
            info!(node = %id, "the node stays after all");
        }
        self.departing(id, None)
    }

    /// Lets a node leave as soon as it holds nothing, if the others can do without it. By `force` it is removed now,
    /// whatever it holds.
    pub async fn leave(&self, node: &str, force: bool) -> Result<Departing, DepartureError> {
        let (id, record) = match self.find(node).await {
            Err(DepartureError::OtherRegion { .. }) if force => return self.give_up(node).await,
            found => found?,
        };
        if force {
            let loss = self.loss(id).await?;
            self.propose(Command::SetNodeState { node: id, state: NodeState::Removed }).await?;
            warn!(node = %id, name = record.info.name, extents_lost = loss.extents, "the node was removed by force");
            return self.departing(id, Some(loss));
        }
        if record.state != NodeState::Joining {
            // It would cost the others what they promise.
            let facts = self.facts(id, &record)?;
            self.refuse_by(id, facts, objections).await?;
        }
        self.begin(id, &record, true).await?;
        self.departing(id, None)
    }

    /// Removes a node of another region that does not answer as a whole: nobody there can be asked, and nobody here knows
    /// what the node holds.
    async fn give_up(&self, node: &str) -> Result<Departing, DepartureError> {
        let (id, record) = self.look_up(node)?;
        if self.members.remotes().iter().any(|remote| remote.region == record.region && remote.live) {
            return Err(self.other_region(&record));
        }
        self.propose(Command::SetNodeState { node: id, state: NodeState::Removed }).await?;
        warn!(node = %id, name = record.info.name, "a node of a region that does not answer was removed by force");
        let state = NodeState::Removed;
        Ok(Departing { node: id, name: record.info.name, state, shards: 0, bytes: 0, loss: None })
    }

    /// What would be lost if a node went now.
    pub async fn loss(&self, node: NodeId) -> Result<Loss, DepartureError> {
        let (state, members) = (self.catalog.state(), self.members.clone());
        // A node that is down may come back; one that was removed does not.
        let is_left = move |other: NodeId| !members.is_removed(other);
        let looked = self.exec.run(move || loss(&catalog::View::new(state), node, is_left)).await;
        Ok(looked?)
    }

    /// Says what is wanted of a disk, named by its id or the beginning of it.
    pub async fn set_disk(&self, node: &str, disk: &str, wish: DiskWish) -> Result<DiskRecord, DepartureError> {
        let begun = Instant::now();
        let (id, record, disk) = loop {
            let (id, record) = self.find(node).await?;
            match pick_disk(&record.info.name, &record.disks, disk) {
                // It was just added: its node is about to say so to the directory.
                Err(DepartureError::UnknownDisk(..))
                    if self.is_heard_of(id, disk) && begun.elapsed() < REGISTRATION =>
                {
                    sleep(REGISTRATION_POLL).await;
                }
                picked => break (id, record, picked?),
            }
        };
        let name = &record.info.name;
        let state = match wish {
            DiskWish::Use => DiskState::Active,
            DiskWish::Drain => DiskState::Draining,
            DiskWish::GiveUp => DiskState::Failed,
            DiskWish::Remove => {
                let held = self.catalog_view().disk_totals(DiskLocation { node: id, disk: disk.id })?;
                if held.shards > 0 {
                    let (shards, bytes) = (held.shards, held.bytes);
                    return Err(DepartureError::DiskHolds { name: name.clone(), disk: disk.id, shards, bytes });
                }
                DiskState::Removed
            }
        };
        self.propose(Command::SetDiskState { node: id, disk: disk.id, state }).await?;
        info!(node = %id, disk = %disk.id, ?state, "an operator has decided about a disk");
        Ok(DiskRecord { state, ..disk })
    }

    /// Whether a node speaks of a disk whose id begins so, whatever the directory knows.
    fn is_heard_of(&self, node: NodeId, disk: &str) -> bool {
        let names_it = |member: &Member| member.disks.iter().any(|named| named.id.to_string().starts_with(disk));
        !disk.is_empty() && self.members.all().iter().any(|member| member.id == node && names_it(member))
    }

    /// What is known of a node and of those that would remain.
    fn facts(&self, id: NodeId, record: &NodeRecord) -> Result<Facts, DepartureError> {
        let nodes = directory::View::new(self.directory.state()).nodes()?;
        let stays = |(node, other): &&(NodeId, NodeRecord)| {
            *node != id && other.region == record.region && other.state == NodeState::Active
        };
        let other = |(node, other): &(NodeId, NodeRecord)| {
            let member = self.members.get(*node);
            let free = member.iter().flat_map(|member| &member.disks).filter(|disk| disk.writable);
            Other {
                name: other.info.name.clone(),
                live: self.members.is_live(*node),
                free_bytes: free.map(|disk| disk.available_bytes).sum(),
            }
        };
        let (shards, bytes) = self.held(id)?;
        Ok(Facts {
            name: record.info.name.clone(),
            draining: record.state == NodeState::Draining,
            live: self.members.is_live(id),
            shards,
            bytes,
            others: nodes.iter().filter(stays).map(other).collect(),
            given_up: self.is_given_up(record.region)?,
            directory: self.directory_without(id, &nodes)?,
        })
    }

    /// Who would vote in the directory without a node, in a cluster of several regions.
    fn directory_without(&self, id: NodeId, nodes: &[(NodeId, NodeRecord)]) -> Result<DirectoryVoters, DepartureError> {
        let view = directory::View::new(self.directory.state());
        let Some(primary) = view.primary()?.filter(|_| view.regions().is_ok_and(|regions| regions.len() > 1)) else {
            return Ok(DirectoryVoters::default());
        };
        let status = self.directory.status();
        let liveness = |node| if self.members.is_live(node) { Liveness::Live } else { Liveness::Away };
        let candidates = candidates(self.members.own(), &status, nodes, liveness);
        let voters = voters_without(id, primary, &candidates, &status.voters.iter().copied().collect());
        let name = |node: &NodeId| {
            let record = nodes.iter().find(|(other, _)| other == node);
            record.map_or_else(|| format!("node {node}"), |(_, record)| record.info.name.clone())
        };
        let silent = voters.iter().filter(|node| !self.members.is_live(**node)).map(name).collect();
        Ok(DirectoryVoters { voters: voters.len(), silent })
    }

    /// Whether nothing is to rest in a region any more: it is not the primary, and no namespace names it.
    fn is_given_up(&self, region: RegionId) -> Result<bool, DepartureError> {
        let view = directory::View::new(self.directory.state());
        if view.primary()? == Some(region) {
            return Ok(false);
        }
        let names = |record: &NamespaceRecord| {
            let copied = matches!(&record.residency, Some(Residency::Replicated(copies)) if copies.contains(&region));
            let moving = record.moving.is_some_and(|moving| moving.to == region);
            let aside = record.aside.iter().any(|aside| aside.region == region);
            record.home == Some(region) || moving || copied || aside
        };
        let namespaces = view.namespaces(None, NAMESPACES_MAX)?;
        Ok(!namespaces.iter().any(|(_, record)| names(record)))
    }

    /// Refuses what others speak against, and says what force would do.
    async fn refuse_by<O: IntoIterator<Item = Objection>>(
        &self,
        id: NodeId,
        facts: Facts,
        objections: impl Fn(&Facts) -> O,
    ) -> Result<(), DepartureError> {
        let mut found: Vec<String> = objections(&facts).into_iter().map(|objection| objection.to_string()).collect();
        if found.is_empty() {
            return Ok(());
        }
        found.push(super::leave::by_force(&facts, &self.loss(id).await?));
        Err(DepartureError::Objections { name: facts.name, objections: found })
    }

    async fn begin(&self, id: NodeId, record: &NodeRecord, leave: bool) -> Result<(), DepartureError> {
        let (shards, bytes) = self.held(id)?;
        self.propose(Command::DrainNode { node: id, shards, bytes, leave }).await?;
        info!(node = %id, name = record.info.name, shards, bytes, leave, "the node is being emptied");
        Ok(())
    }

    /// A present node of the own region by name or id, as a quorum confirms it.
    async fn find(&self, text: &str) -> Result<(NodeId, NodeRecord), DepartureError> {
        self.directory.read_barrier().await.map_err(DepartureError::NoQuorum)?;
        let (id, record) = self.look_up(text)?;
        if record.region != self.members.region() {
            return Err(self.other_region(&record));
        }
        self.catalog.read_barrier().await?;
        Ok((id, record))
    }

    fn look_up(&self, text: &str) -> Result<(NodeId, NodeRecord), DepartureError> {
        let nodes = directory::View::new(self.directory.state()).nodes()?;
        let found = find_node(&nodes, text).map(|(id, record)| (id, record.clone()));
        found.ok_or_else(|| DepartureError::UnknownNode(text.to_owned()))
    }

    fn other_region(&self, record: &NodeRecord) -> DepartureError {
        // Without its name it is still known by its id.
        let region = directory::View::new(self.directory.state()).region(record.region).ok().flatten();
        let region = region.map_or_else(|| record.region.to_string(), |region| region.name);
        DepartureError::OtherRegion { name: record.info.name.clone(), region }
    }

    fn catalog_view(&self) -> catalog::View<Arc<dyn storage::kv::Engine>> {
        catalog::View::new(self.catalog.state())
    }

    /// Shards and bytes on a node.
    fn held(&self, node: NodeId) -> Result<(u64, u64), DepartureError> {
        let disks = self.catalog_view().disks_of(node)?;
        Ok(disks.iter().fold((0, 0), |(shards, bytes), (_, totals)| (shards + totals.shards, bytes + totals.bytes)))
    }

    async fn propose(&self, command: Command) -> Result<(), DepartureError> {
        match self.directory.propose(RequestId(self.entropy.id()), command).await? {
            Response::Refused(refusal) => Err(DepartureError::Refused(refusal)),
            _ => Ok(()),
        }
    }

    fn departing(&self, node: NodeId, loss: Option<Loss>) -> Result<Departing, DepartureError> {
        let record = directory::View::new(self.directory.state()).node(node)?;
        let record = record.ok_or_else(|| DepartureError::UnknownNode(node.to_string()))?;
        let (shards, bytes) = self.held(node)?;
        Ok(Departing { node, name: record.info.name, state: record.state, shards, bytes, loss })
    }
}

/// A node that was not removed, by its name or its id. A name that looks like an id is a name first; `#3` is an id for
/// certain.
pub(crate) fn find_node<'a>(nodes: &'a [(NodeId, NodeRecord)], text: &str) -> Option<(NodeId, &'a NodeRecord)> {
    let present = || nodes.iter().filter(|(_, record)| record.state != NodeState::Removed);
    if let Some(id) = text.strip_prefix('#') {
        return present().find(|(node, _)| node.to_string() == id).map(|(node, record)| (*node, record));
    }
    let named = present().find(|(_, record)| record.info.name == text);
    let found = named.or_else(|| present().find(|(node, _)| node.to_string() == text));
    found.map(|(node, record)| (*node, record))
}

fn pick_disk(name: &str, disks: &[DiskRecord], text: &str) -> Result<DiskRecord, DepartureError> {
    let fits = |disk: &&DiskRecord| disk.state != DiskState::Removed && disk.id.to_string().starts_with(text);
    let mut found = disks.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(disk), None) if !text.is_empty() => Ok(disk.clone()),
        (Some(_), Some(_)) => Err(DepartureError::AmbiguousDisk(name.to_owned(), text.to_owned())),
        _ => Err(DepartureError::UnknownDisk(name.to_owned(), text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_named_by_the_beginning_of_its_id() {
        let disk = |byte: u8, state| DiskRecord { id: DiskId([byte; 16]), capacity_bytes: 1, state };
        let disks = [disk(0x11, DiskState::Active), disk(0x12, DiskState::Active), disk(0x22, DiskState::Removed)];
        let pick = |text| pick_disk("n1", &disks, text);
        assert_eq!(pick("11").unwrap().id, DiskId([0x11; 16]));
        assert!(matches!(pick("1"), Err(DepartureError::AmbiguousDisk(..))));
        assert!(matches!(pick("22"), Err(DepartureError::UnknownDisk(..))), "it was removed");
        assert!(matches!(pick(""), Err(DepartureError::AmbiguousDisk(..))));
    }
}
