//! In which region each peer is, as the directory has it: what its certificate is compared with, whether its group's
//! messages go to it, and how long it is waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use raft::id::{GroupId, NodeId, RegionId};

/// The regions of all peers that are known. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct RegionBook {
    own: RegionId,
    known: Arc<RwLock<BTreeMap<NodeId, RegionId>>>,
}

impl RegionBook {
    /// Nothing is known but the own region.
    pub(super) fn new(own: RegionId) -> Self {
        Self { own, known: Arc::default() }
    }

    /// The own region.
    pub(super) const fn own(&self) -> RegionId {
        self.own
    }

    /// The directory has a node in this region.
    pub(super) fn learn(&self, node: NodeId, region: RegionId) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(node, region);
    }

    /// Forgets a node that is none any more.
    pub(super) fn forget(&self, node: NodeId) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(&node);
    }

    /// The region of a node, if the directory is known to have it.
    pub(super) fn get(&self, node: NodeId) -> Option<RegionId> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&node).copied()
    }

    /// Whether a node is in another region, over a line that may be long.
    pub(super) fn is_far(&self, node: NodeId) -> bool {
        self.get(node).is_some_and(|region| region != self.own)
    }

    /// Whether messages of a group may go to a node: those of a catalog stay in its region. A node that this one has not
    /// heard of yet is one that the group's own members have let in.
    pub(super) fn may_have(&self, node: NodeId, group: GroupId) -> bool {
        match group {
            GroupId::Directory => true,
            GroupId::Catalog(region) => self.get(node).is_none_or(|known| known == region),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_stays_in_its_region() {
        let book = RegionBook::new(RegionId(1));
        let (near, far, unknown) = (NodeId(1), NodeId(2), NodeId(3));
        book.learn(near, RegionId(1));
        book.learn(far, RegionId(2));
        let own = GroupId::Catalog(RegionId(1));
        assert!(book.may_have(near, own) && book.may_have(unknown, own) && !book.may_have(far, own));
        assert!(book.may_have(far, GroupId::Directory) && book.may_have(far, GroupId::Catalog(RegionId(2))));
        assert!(book.is_far(far) && !book.is_far(near) && !book.is_far(unknown));
        book.forget(far);
        assert_eq!(book.get(far), None);
    }
}
