//! Where each peer is, and the connections to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft::id::{NodeId, RegionId};

use super::Security;
use super::channel::Link;
use super::metrics::Metrics;
use super::region_book::RegionBook;
use super::security::Dialled;
use crate::environment::Network;

/// Addresses and connections, by node.
pub(super) struct AddressBook {
    network: Arc<dyn Network>,
    security: Security,
    metrics: Metrics,
    regions: RegionBook,
    links: Mutex<BTreeMap<NodeId, Link>>,
}

impl AddressBook {
    pub(super) fn new(region: RegionId, network: Arc<dyn Network>, security: Security, metrics: Metrics) -> Self {
        Self { network, security, metrics, regions: RegionBook::new(region), links: Mutex::default() }
    }

    /// Whether TLS is off.
    pub(super) fn is_plaintext(&self) -> bool {
        matches!(self.security, Security::Plaintext)
    }

    /// Where the nodes are.
    pub(super) const fn regions(&self) -> &RegionBook {
        &self.regions
    }

    /// Sets a node's address. Connections to another one are left to the calls that still use them.
    pub(super) fn learn(&self, node: NodeId, address: &str) {
        let mut links = self.links();
        if links.get(&node).is_none_or(|link| *link.address != *address) {
            links.insert(node, self.connect(node, address));
        }
    }

    /// The connections to a node; opened to `hint` when no address is known.
    pub(super) fn link(&self, node: NodeId, hint: Option<&str>) -> Option<Link> {
        let mut links = self.links();
        if let Some(link) = links.get(&node) {
            return Some(link.clone());
        }
        let link = self.connect(node, hint.filter(|address| !address.is_empty())?);
        links.insert(node, link.clone());
        Some(link)
    }

    /// Address of a node.
    pub(super) fn address(&self, node: NodeId) -> Option<String> {
        self.links().get(&node).map(|link| link.address.to_string())
    }

    /// Takes fresh connections to a node from now on.
    pub(super) fn reconnect(&self, node: NodeId) {
        if let Some(link) = self.links().get_mut(&node) {
            *link = self.connect(node, &link.address);
        }
    }

    /// Takes fresh connections to every node from now on; calls end on those that they have begun on.
    pub(super) fn reconnect_all(&self) {
        for (node, link) in self.links().iter_mut() {
            *link = self.connect(*node, &link.address);
        }
    }

    /// Forgets a node.
    pub(super) fn forget(&self, node: NodeId) {
        self.links().remove(&node);
        self.regions.forget(node);
    }

    fn connect(&self, node: NodeId, address: &str) -> Link {
        Link::new(
            &self.network,
            &self.security.towards(node),
            Some(Dialled { node, regions: self.regions.clone() }),
            address,
            &self.metrics,
        )
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<NodeId, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AddressBook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AddressBook").field("links", &self.links()).finish_non_exhaustive()
    }
}
