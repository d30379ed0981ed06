//! What an operator does to regions: added, described, made the primary, retired, let go of what is foreign to them. Each is one command of the directory,
//! which decides.

use std::sync::Arc;

use raft::directory::{Command, Directory, Refusal, RegionRecord, Response, StateError, View};
use raft::group::{Group, ProposeError, ReadError};
use raft::id::{RegionId, RequestId};
use tracing::info;

use crate::environment::Entropy;

/// Carries out operators' requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RegionChanges {
    /// The cluster's directory.
    pub directory: Arc<Group<Directory>>,
    /// Ids of requests.
    pub entropy: Arc<dyn Entropy>,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// There is no such region.
    #[error("there is no region {name:?}, there are {}: regnode region list shows them", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// The directory refused.
    #[error(transparent)]
    Refused(Refusal),
    /// No quorum of the directory answers.
    #[error("the directory does not answer, nothing was changed for certain; try again: {0}")]
    Propose(#[from] ProposeError),
    /// No quorum confirms what is known.
    #[error(
        "nothing was changed: the directory has no quorum, and without it no region comes, goes or changes ({0}); regnode \
         status says who does not answer"
    )]
    NoQuorum(#[from] ReadError),
    /// A state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl RegionChanges {
    /// Adds a region. Its first node founds it.
    pub async fn add(&self, name: &str) -> Result<RegionId, RegionError> {
        self.directory.read_barrier().await?;
        self.propose(Command::AddRegion { name: name.to_owned() }).await?;
        let (region, _) = self.find(name).await?;
        info!(%region, name, "region added");
        Ok(region)
    }

    /// Changes what is said of a region: its public URL, and how fast replication may fill it.
    pub async fn set(&self, name: &str, edit: impl FnOnce(&mut RegionRecord)) -> Result<RegionId, RegionError> {
        let (region, mut record) = self.find(name).await?;
        edit(&mut record);
        let RegionRecord { public_url, inbound_bytes_per_second, .. } = record;
        info!(%region, name, ?public_url, ?inbound_bytes_per_second, "the region is described anew");
        self.propose(Command::SetRegion { region, public_url, inbound_bytes_per_second }).await?;
        Ok(region)
    }

    /// Lets a region keep the directory's majority where there are two.
    pub async fn set_primary(&self, name: &str) -> Result<RegionId, RegionError> {
        let (region, _) = self.find(name).await?;
        self.propose(Command::SetPrimary { region }).await?;
        info!(%region, name, "the primary region is set");
        Ok(region)
    }

    /// Forgets a region that nobody is in and nothing names.
    pub async fn retire(&self, name: &str) -> Result<RegionId, RegionError> {
        let (region, _) = self.find(name).await?;
        self.propose(Command::RetireRegion { region }).await?;
        info!(%region, name, "region retired");
        Ok(region)
    }

    /// Lets what is foreign to a region be taken away from it again, after a takeover.
    pub async fn release(&self) -> Result<(), RegionError> {
        self.propose(Command::ReleaseEvictions).await?;
        info!("what rests in regions that are foreign to it is taken away again");
        Ok(())
    }

    /// A region by its name, as a quorum confirms it.
    async fn find(&self, name: &str) -> Result<(RegionId, RegionRecord), RegionError> {
        self.directory.read_barrier().await?;
        let view = View::new(self.directory.state());
        if let Some(found) = view.region_named(name)? {
            return Ok(found);
        }
        let known = view.regions()?.into_iter().map(|(_, record)| record.name).collect();
        Err(RegionError::Unknown { name: name.to_owned(), known })
    }

    async fn propose(&self, command: Command) -> Result<(), RegionError> {
        match self.directory.propose(RequestId(self.entropy.id()), command).await? {
            Response::Refused(refusal) => Err(RegionError::Refused(refusal)),
            _ => Ok(()),
        }
    }
}
