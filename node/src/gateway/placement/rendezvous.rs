//! Weighted rendezvous hashing: every extent ranks zones, nodes and disks in an order of its own, and something with
//! twice the free space comes first twice as often.
//!
//! Schindelhauer and Schomaker, "Weighted distributed hash tables": the score `-weight / ln(hash)` with a hash in
//! (0, 1).

use std::collections::BTreeMap;

use raft::id::NodeId;
use storage::shard::{DiskId, ExtentIndex, ObjectId};

use super::CandidateDisk;

/// The order of one extent.
#[derive(Clone, Debug)]
pub(super) struct Ranking {
    key: [u8; 32],
}

impl Ranking {
    pub(super) fn new(object: ObjectId, extent: ExtentIndex) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("regnode placement v1");
        hasher.update(&object.0);
        hasher.update(&extent.0.to_le_bytes());
        Self { key: *hasher.finalize().as_bytes() }
    }

    /// Nodes of each zone, the best zone first.
    pub(super) fn zones<'a>(
        &self,
        zones: BTreeMap<&str, Vec<(NodeId, &'a [CandidateDisk])>>,
    ) -> Vec<Vec<(NodeId, &'a [CandidateDisk])>> {
        let scored = zones.into_iter().map(|(zone, nodes)| {
            let weight = nodes.iter().map(|(_, disks)| available(disks)).sum();
            (self.score(b"zone", zone.as_bytes(), weight), nodes)
        });
        ranked(scored.collect())
    }

    /// Nodes, the best first.
    pub(super) fn nodes<'a>(&self, nodes: Vec<(NodeId, &'a [CandidateDisk])>) -> Vec<(NodeId, &'a [CandidateDisk])> {
        let scored = nodes
            .into_iter()
            .map(|(node, disks)| (self.score(b"node", &node.0.to_le_bytes(), available(disks)), (node, disks)));
        ranked(scored.collect())
    }

    /// Disks, the best first.
    pub(super) fn disks(&self, disks: &[CandidateDisk]) -> Vec<DiskId> {
        let scored = disks.iter().map(|disk| (self.disk(disk.id, disk.available_bytes), disk.id));
        ranked(scored.collect())
    }

    /// Score of one disk; the highest is the best.
    pub(super) fn disk(&self, disk: DiskId, available_bytes: u64) -> f64 {
        self.score(b"disk", &disk.0, available_bytes)
    }

    #[expect(clippy::cast_precision_loss, reason = "a score needs no more than 52 bits of hash or weight")]
    fn score(&self, kind: &[u8], id: &[u8], weight: u64) -> f64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(kind);
        hasher.update(id);
        let mut hash = [0; 8];
        hasher.finalize_xof().fill(&mut hash);
        let unit = ((u64::from_le_bytes(hash) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
        -(weight as f64) / unit.ln()
    }
}

fn available(disks: &[CandidateDisk]) -> u64 {
    disks.iter().map(|disk| disk.available_bytes).fold(0, u64::saturating_add)
}

/// Highest score first. The sort is stable and the input ordered by id, so equal scores keep the order of the ids.
fn ranked<T>(mut scored: Vec<(f64, T)>) -> Vec<T> {
    scored.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    scored.into_iter().map(|(_, item)| item).collect()
}
