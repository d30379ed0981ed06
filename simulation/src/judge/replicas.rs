//! Equal applied index means equal state: what state machine replication promises (Schneider 1990), whatever snapshots,
//! restarts and repeated applications lie between two replicas.
//!
//! The whole state of a replica is hashed from time to time, which costs as much as the state is large; every other
//! replica that is met at the same entry, at any time, must come to the same hash.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use node::start::Node;
use raft::group::{Position, StateDigest};
use raft::id::GroupId;
use storage::kv::EngineError;

use super::Court;

const JUDGE: &str = "replicas";
/// Entries whose digests are kept per group; replicas that are further apart are not compared.
const KEPT: usize = 4096;

/// A digest and the number of the node that it was first seen on.
type Seen = (StateDigest, usize);

/// The judge.
#[derive(Debug)]
pub struct Replicas {
    court: Court,
    seen: Mutex<BTreeMap<GroupId, BTreeMap<Option<Position>, Seen>>>,
}

impl Replicas {
    /// A judge that accuses before this court.
    #[must_use]
    pub fn new(court: Court) -> Self {
        Self { court, seen: Mutex::default() }
    }

    /// Hashes the states of a node and compares them with all that were seen.
    ///
    /// # Errors
    /// When an engine fails: a replica whose engine does is about to stop, or will be asked again.
    pub fn inspect(&self, number: usize, node: &Node) -> Result<(), EngineError> {
        for (group, digest) in node.state_digests()? {
            self.record(number, group, digest);
        }
        Ok(())
    }

    fn record(&self, number: usize, group: GroupId, digest: StateDigest) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let group_seen = seen.entry(group).or_default();
        let (known, first) = *group_seen.entry(digest.applied).or_insert((digest, number));
        if known != digest {
            let applied = digest.applied.map_or_else(|| "nothing".to_owned(), |position| position.to_string());
            let (ours, theirs) = (short(&digest), short(&known));
            let text = format!(
                "{group}: after {applied} node {number} has {} rows ({ours}), node {first} has {} ({theirs})",
                digest.rows, known.rows
            );
            self.court.accuse(JUDGE, text);
        }
        while group_seen.len() > KEPT {
            group_seen.pop_first();
        }
    }
}

fn short(digest: &StateDigest) -> String {
    hex::encode(&digest.hash[..6])
}

#[cfg(test)]
mod tests {
    use raft::group::Leadership;
    use raft::id::NodeId;

    use super::*;

    fn digest(index: u64, hash: u8) -> StateDigest {
        let applied = Some(Position { leadership: Leadership { term: 1, node: NodeId(1) }, index });
        StateDigest { applied, rows: 3, hash: [hash; 32] }
    }

    #[test]
    fn states_are_compared_across_nodes_and_time() {
        let court = Court::default();
        let judge = Replicas::new(court.clone());
        judge.record(1, GroupId::Directory, digest(5, 1));
        judge.record(2, GroupId::Directory, digest(6, 2));
        judge.record(2, GroupId::Directory, digest(5, 1));
        assert_eq!(court.first(), None);
        judge.record(3, GroupId::Directory, digest(6, 3));
        assert!(court.first().unwrap().text.contains("node 3 has 3 rows"));
    }

    #[test]
    fn the_memory_is_bounded() {
        let judge = Replicas::new(Court::default());
        for index in 0..2 * KEPT as u64 {
            judge.record(1, GroupId::Directory, digest(index, 1));
        }
        assert_eq!(judge.seen.lock().unwrap()[&GroupId::Directory].len(), KEPT);
    }
}
