//! The directory goes on in one region when its majority is lost for good with the others.
//!
//! Refused while there is any other way: while a quorum answers, while a voter of another region answers any node of this
//! one, while a node of this region that may know more is not asked. Of what is left the replica that knows the most goes
//! on, as it is, in an incarnation above all that anybody has told of; the others, here at once and there when they return, give up theirs for it (`raft::group::Group::take_over`).

mod inquiry;
mod refused;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use raft::catalog::Catalog;
use raft::directory::{Command, Directory, NodeRecord, NodeState, StateError, View};
use raft::group::{Group, Incarnation, Position};
use raft::id::{NodeId, RegionId, RequestId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tracing::{info, warn};

use self::inquiry::{Inquiry, knowledge};
pub use self::inquiry::{KnownMembers, KnownNode, KnownVoter};
pub use self::refused::TakeoverRefused;
use crate::environment::Entropy;
use crate::members::Members;
use crate::peer::{AdminRequest, Asker, PeerError, Peers, Refusal};

/// Bound on a quorum saying that there is one.
const QUORUM: Duration = Duration::from_secs(5);
/// Bound on a voter of another region saying that it is there.
const PROBE: Duration = Duration::from_secs(3);
/// Bound on a node of the own region saying how it stands: it looks for a quorum itself.
const STANDING: Duration = Duration::from_secs(8);
/// Bound on the one that goes on doing so.
const FOUNDING: Duration = Duration::from_secs(40);

/// Asks a node of the own region how its replica of the directory stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingQuestion {
    /// Voters of other regions that it is to look for, beside those that it knows.
    pub voters: Vec<NodeId>,
}

/// How a node's replica of the directory stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaStanding {
    /// Whether a quorum has just confirmed it.
    pub confirmed: bool,
    /// The lineage that it is of.
    pub incarnation: Incarnation,
    /// The end of what it has heard of: term, leader, index. `None` for nothing.
    pub last: Option<(u64, NodeId, u64)>,
    /// Moment that it shows, milliseconds since the Unix epoch.
    pub as_of_milliseconds: u64,
    /// Voters of other regions that answer it.
    pub answering: Vec<NodeId>,
    /// Whom it knows.
    pub replica: KnownMembers,
}

/// Lets the asked node's replica of the directory go on, if it finds that right too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundRequest {
    /// The lineage that it was of when it was chosen.
    pub expected: Incarnation,
    /// Nodes that are passed over if they do not answer.
    pub without: Vec<NodeId>,
    /// Regions whose votes are given up, as they were confirmed.
    pub lost: Vec<String>,
}

/// What a takeover would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The region that goes on.
    pub region: String,
    /// Those whose votes are given up, by name.
    pub lost: Vec<String>,
    /// The node whose replica goes on.
    pub founder: (NodeId, String),
    /// How that replica stands.
    pub standing: ReplicaStanding,
    /// The highest incarnation of any replica that answers, what it may have.
    pub floor: Incarnation,
    /// Nodes of the region that do not answer and are passed over.
    pub silent: Vec<String>,
}

/// What a takeover works with.
#[derive(Clone, Debug)]
pub struct Takeover {
    /// Who this node is and whom it knows.
    pub members: Members,
    /// The cluster's directory.
    pub directory: Arc<Group<Directory>>,
    /// The region's catalog.
    pub catalog: Arc<Group<Catalog>>,
    /// The way to the others.
    pub peers: Peers,
    /// Ids of requests.
    pub entropy: Arc<dyn Entropy>,
}

/// Path of [`StandingQuestion`], between nodes of one region.
pub const STANDING_PATH: &str = "/takeover/standing";
/// Path of [`FoundRequest`], between nodes of one region.
pub const FOUND_PATH: &str = "/takeover/found";

impl Takeover {
    /// How this node's replica stands.
    pub async fn standing(&self, question: &StandingQuestion) -> Result<ReplicaStanding, TakeoverRefused> {
        let (own, replica) = (self.members.own(), self.replica()?);
        let elsewhere = replica.voters.iter().filter(|voter| voter.elsewhere).map(|voter| voter.id);
        let voters: BTreeSet<NodeId> =
            elsewhere.chain(question.voters.iter().copied()).filter(|node| *node != own).collect();
        let probes = voters.into_iter().map(|voter| async move { self.answers(voter).await.then_some(voter) });
        let confirmation = timeout(QUORUM, self.directory.read_barrier());
        let (answering, confirmed) = tokio::join!(join_all(probes), confirmation);
        let last = self.directory.last_position().await?;
        Ok(ReplicaStanding {
            confirmed: matches!(confirmed, Ok(Ok(()))),
            incarnation: self.directory.incarnation(),
            last: last.map(|Position { leadership, index }| (leadership.term, leadership.node, index)),
            as_of_milliseconds: View::new(self.directory.state()).clock()?.0,
            answering: answering.into_iter().flatten().collect(),
            replica,
        })
    }

    /// What a takeover would do, if nothing speaks against it. `without` names nodes that are passed over if they do not
    /// answer.
    pub async fn look(&self, without: &[String]) -> Result<Outlook, TakeoverRefused> {
        let inquiry = self.inquire().await?;
        let passed_over = inquiry.named(without)?;
        self.outlook(inquiry, &passed_over)
    }

    /// Takes over, if what is given up is what was confirmed.
    pub async fn carry_out(&self, without: &[String], confirmed: &[String]) -> Result<Outlook, TakeoverRefused> {
        let inquiry = self.inquire().await?;
        let passed_over = inquiry.named(without)?;
        let outlook = self.outlook(inquiry, &passed_over)?;
        if outlook.lost != confirmed {
            return Err(TakeoverRefused::Changed);
        }
        let (founder, name) = &outlook.founder;
        warn!(%founder, lost = ?outlook.lost, "the directory is taken over: what is lost is given up");
        if *founder == self.members.own() {
            self.begin(outlook.standing.incarnation, outlook.floor).await?;
        } else {
            let without = passed_over.into_iter().collect();
            let request = FoundRequest { expected: outlook.standing.incarnation, without, lost: confirmed.to_vec() };
            let answer = self.ask::<serde_json::Value>(*founder, FOUND_PATH, &request, FOUNDING).await;
            answer.map_err(|message| TakeoverRefused::NotFounded { node: name.clone(), message })?;
            // The others hear of it from the founder; this one at once.
        }
        Ok(outlook)
    }

    /// Lets this node's replica go on, if it is right as this node sees it too: it may know nodes of which the one that
    /// asks has never heard, and somebody may know more by now.
    pub async fn found(&self, request: FoundRequest) -> Result<(), TakeoverRefused> {
        let inquiry = self.inquire().await?;
        let own = inquiry.standings.get(&self.members.own()).map(knowledge);
        let outlook = self.outlook(inquiry, &request.without.into_iter().collect())?;
        if own < Some(knowledge(&outlook.standing)) || outlook.lost != request.lost {
            return Err(TakeoverRefused::Changed);
        }
        self.begin(request.expected, outlook.floor).await
    }

    /// What follows from an inquiry.
    fn outlook(&self, inquiry: Inquiry, passed_over: &BTreeSet<NodeId>) -> Result<Outlook, TakeoverRefused> {
        let view = View::new(self.directory.state());
        let region = view.region(self.members.region())?.map_or_else(|| "unknown".to_owned(), |record| record.name);
        inquiry.outlook(self.members.own(), region, passed_over)
    }

    /// Lets this node's replica go on. All that speaks against it was looked at.
    async fn begin(&self, expected: Incarnation, floor: Incarnation) -> Result<(), TakeoverRefused> {
        let (directory, id) = (Arc::clone(&self.directory), RequestId(self.entropy.id()));
        let command = Command::BeginAnew { primary: self.members.region() };
        // In a task: it ends as a whole, whoever asked for it goes away.
        let founded = tokio::spawn(async move { directory.take_over(expected, floor, id, command).await }).await;
        let incarnation = founded.map_err(|error| TakeoverRefused::NotFounded {
            node: "this node".to_owned(),
            message: error.to_string(),
        })??;
        if self.directory.read_barrier().await.is_err() {
            warn!(%incarnation, "the directory was taken over and has not confirmed it yet");
        }
        info!(%incarnation, "the directory goes on from this node");
        Ok(())
    }

    /// Asks all nodes of the region of which anybody asked has heard. This node's replica alone may be an old one.
    async fn inquire(&self) -> Result<Inquiry, TakeoverRefused> {
        let catalog = timeout(QUORUM, self.catalog.read_barrier());
        let (inquiry, catalog) = tokio::join!(self.ask_all(), catalog);
        Ok(Inquiry { serves: matches!(catalog, Ok(Ok(()))), ..inquiry? })
    }

    async fn ask_all(&self) -> Result<Inquiry, TakeoverRefused> {
        let mut inquiry = Inquiry::default();
        inquiry.hear(self.replica()?);
        loop {
            let question = &StandingQuestion { voters: inquiry.voters_elsewhere() };
            let (known, heard) = (inquiry.nodes.clone(), inquiry.heard());
            for node in known.values().filter(|node| self.peers.address(node.id).is_none()) {
                self.peers.learn_region(node.id, self.members.region());
                self.peers.learn(node.id, &node.address);
            }
            let own = self.members.own();
            let others = known.keys().copied().filter(|node| *node != own);
            let asked = std::iter::once(own).chain(others);
            let answers = asked.map(|node| async move { (node, self.ask_standing(node, question).await) });
            inquiry.standings.clear();
            for (node, standing) in join_all(answers).await {
                if let Some(standing) = standing {
                    inquiry.hear(standing.replica.clone());
                    inquiry.standings.insert(node, standing);
                }
            }
            if inquiry.heard() == heard {
                return Ok(inquiry);
            }
        }
    }

    /// Whom this node's replica knows.
    fn replica(&self) -> Result<KnownMembers, StateError> {
        let view = View::new(self.directory.state());
        let (nodes, own) = (view.nodes()?, self.members.region());
        let regions: BTreeMap<RegionId, String> =
            view.regions()?.into_iter().map(|(id, record)| (id, record.name)).collect();
        let counts = |record: &NodeRecord| matches!(record.state, NodeState::Active | NodeState::Draining);
        let here = nodes.iter().filter(|(_, record)| record.region == own && counts(record));
        let node = |(id, record): &(NodeId, NodeRecord)| KnownNode {
            id: *id,
            name: record.info.name.clone(),
            address: record.info.peer_address.clone(),
        };
        let voter = |id: NodeId| {
            let record = nodes.iter().find(|(node, _)| *node == id).map(|(_, record)| record);
            let region = record.and_then(|record| regions.get(&record.region).cloned());
            KnownVoter {
                id,
                name: record.map_or_else(|| format!("node {id}"), |record| record.info.name.clone()),
                region: region.unwrap_or_else(|| "unknown".to_owned()),
                elsewhere: record.is_none_or(|record| record.region != own),
            }
        };
        let voters = self.directory.status().voters.into_iter().map(voter).collect();
        Ok(KnownMembers { nodes: here.map(node).collect(), voters })
    }

    /// Whether a node is there, whatever it says.
    async fn answers(&self, node: NodeId) -> bool {
        match self.peers.heartbeat(node, &self.members.beat(), PROBE).await {
            Ok(_) => true,
            Err(PeerError::Refused { refusal, .. }) => refusal != Refusal::WrongNode,
            Err(PeerError::Unreachable { .. } | PeerError::Lost { .. } | PeerError::Timeout { .. }) => false,
        }
    }

    async fn ask_standing(&self, node: NodeId, question: &StandingQuestion) -> Option<ReplicaStanding> {
        if node == self.members.own() {
            return self.standing(question).await.inspect_err(|error| warn!(%error, "the own replica is unknown")).ok();
        }
        let answer = self.ask(node, STANDING_PATH, question, STANDING).await;
        answer.inspect_err(|error| info!(%node, error, "a node does not say how its replica stands")).ok()
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        node: NodeId,
        path: &str,
        question: &impl Serialize,
        deadline: Duration,
    ) -> Result<A, String> {
        let body = Bytes::from(serde_json::to_vec(question).map_err(|error| error.to_string())?);
        let request = AdminRequest { method: Method::POST, path: path.to_owned(), body, asker: Asker::Machine };
        let answer = self.peers.administer(node, request, deadline).await.map_err(|error| error.to_string())?;
        if answer.status != StatusCode::OK {
            return Err(String::from_utf8_lossy(&answer.body).into_owned());
        }
        serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
    }
}
