//! The directory's read side: typed reads over a group's state engine or over a transaction.
//!
//! Nodes and regions are few, lists of them are whole; namespaces come by pages. A view says what this replica has
//! applied.

use super::audit::ResidencyAudit;
use super::certificate::{AcmeAccountRecord, CertificateRecord, ChallengeRecord};
use super::limit::AUDITS_MAX;
use super::namespace::NamespaceRecord;
use super::place::Place;
use super::record::{ClusterRecord, JoinTokenRecord, NodeRecord, RegionRecord};
use super::table::{
    AcmeAccounts, CertificateState, Certificates, Challenges, Cluster, DirectoryClock, JoinTokens, Namespaces,
    NodeNames, Nodes, PolicyVersion, Regions, ResidencyAudits,
};
use crate::catalog::RepositoryName;
use crate::id::{NodeId, RegionId};
use crate::machine::State;
use crate::table::{StateError, Table};
use crate::time::Timestamp;

/// Reads of the directory.
#[derive(Clone, Debug)]
pub struct View<S> {
    pub(super) state: S,
}

impl<S: State> View<S> {
    /// A view of this state.
    pub fn new(state: S) -> Self {
        Self { state }
    }

    /// The cluster; `None` before it is founded.
    pub fn cluster(&self) -> Result<Option<ClusterRecord>, StateError> {
        Cluster::get(&self.state, ())
    }

    /// A node, removed ones included.
    pub fn node(&self, node: NodeId) -> Result<Option<NodeRecord>, StateError> {
        Nodes::get(&self.state, &node)
    }

    /// A node by its name, removed ones left out.
    pub fn node_by_name(&self, name: &str) -> Result<Option<(NodeId, NodeRecord)>, StateError> {
        let Some(node) = NodeNames::get(&self.state, &name.to_owned())? else { return Ok(None) };
        Ok(self.node(node)?.map(|record| (node, record)))
    }

    /// All nodes by id, removed ones included.
    pub fn nodes(&self) -> Result<Vec<(NodeId, NodeRecord)>, StateError> {
        Nodes::scan::<()>(&self.state, (), None, usize::MAX)
    }

    /// A region.
    pub fn region(&self, region: RegionId) -> Result<Option<RegionRecord>, StateError> {
        Regions::get(&self.state, &region)
    }

    /// All regions by id.
    pub fn regions(&self) -> Result<Vec<(RegionId, RegionRecord)>, StateError> {
        Regions::scan::<()>(&self.state, (), None, usize::MAX)
    }

    /// Region that keeps the directory's majority where there are two of them; `None` before the cluster is founded.
    pub fn primary(&self) -> Result<Option<RegionId>, StateError> {
        Ok(self.cluster()?.map(|cluster| cluster.primary))
    }

    /// A region by its name.
    pub fn region_named(&self, name: &str) -> Result<Option<(RegionId, RegionRecord)>, StateError> {
        Ok(self.regions()?.into_iter().find(|(_, region)| region.name == name))
    }

    /// A join token, used and expired ones included.
    pub fn join_token(&self, token: [u8; 8]) -> Result<Option<JoinTokenRecord>, StateError> {
        JoinTokens::get(&self.state, &token)
    }

    /// A namespace as it was set, nothing inherited. The root's prefix is empty.
    pub fn namespace(&self, prefix: &str) -> Result<Option<NamespaceRecord>, StateError> {
        Namespaces::get(&self.state, &prefix.to_owned())
    }

    /// Namespaces that are set, by prefix, the root first, behind `after`.
    pub fn namespaces(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, NamespaceRecord)>, StateError> {
        let after = after.map(ToOwned::to_owned);
        Namespaces::scan::<()>(&self.state, (), after.as_ref(), limit)
    }

    /// Grows with each change of a namespace, or of the regions that they can name; 0 before the first.
    pub fn policy_version(&self) -> Result<u64, StateError> {
        Ok(PolicyVersion::get(&self.state, ())?.unwrap_or_default().version)
    }

    /// Where the data of a repository rests; `None` before the cluster is founded.
    pub fn place(&self, repository: &RepositoryName) -> Result<Option<Place>, StateError> {
        self.place_at(repository.as_str())
    }

    /// The same for what is below a prefix, the root's is empty, where no longer one says anything.
    pub fn place_at(&self, prefix: &str) -> Result<Option<Place>, StateError> {
        super::apply::place(&self.state, prefix)
    }

    /// Audits of residency that are kept, the newest first.
    pub fn residency_audits(&self, limit: usize) -> Result<Vec<ResidencyAudit>, StateError> {
        let audits = ResidencyAudits::scan::<()>(&self.state, (), None, AUDITS_MAX)?;
        Ok(audits.into_iter().rev().take(limit).map(|(_, audit)| audit).collect())
    }

    /// Grows with each change of the certificates that the nodes show; 0 before the first.
    pub fn certificate_version(&self) -> Result<u64, StateError> {
        Ok(CertificateState::get(&self.state, ())?.unwrap_or_default().version)
    }

    /// All domains with what there is of their certificates.
    pub fn certificates(&self) -> Result<Vec<(String, CertificateRecord)>, StateError> {
        Certificates::scan::<()>(&self.state, (), None, usize::MAX)
    }

    /// What there is of a domain's certificate.
    pub fn certificate(&self, domain: &str) -> Result<Option<CertificateRecord>, StateError> {
        Certificates::get(&self.state, &domain.to_owned())
    }

    /// The account at the ACME authority with this directory URL.
    pub fn acme_account(&self, authority: &str) -> Result<Option<AcmeAccountRecord>, StateError> {
        AcmeAccounts::get(&self.state, &authority.to_owned())
    }

    /// The challenge with a token, expired ones included.
    pub fn challenge(&self, token: &str) -> Result<Option<ChallengeRecord>, StateError> {
        Challenges::get(&self.state, &token.to_owned())
    }

    /// All challenges, expired ones included; [`CHALLENGES_MAX`](super::limit::CHALLENGES_MAX) bounds those that are not.
    pub fn challenges(&self) -> Result<Vec<(String, ChallengeRecord)>, StateError> {
        Challenges::scan::<()>(&self.state, (), None, usize::MAX)
    }

    /// Time of the last command that was applied; zero before the first.
    pub fn clock(&self) -> Result<Timestamp, StateError> {
        Ok(DirectoryClock::get(&self.state, ())?.unwrap_or_default())
    }
}
