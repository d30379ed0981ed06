//! The catalog never contradicts itself: a visible manifest lacks no blob, reference counts are exact, no tag dangles,
//! totals are right. What all is asked stands in [`raft::catalog::audit`]; here a replica's whole catalog is asked it
//! while the run goes on.

use std::sync::Arc;

use node::start::Node;
use raft::catalog::StateError;
use raft::catalog::audit::audit;
use raft::id::GroupId;
use storage::kv::Engine;

use super::Court;

const JUDGE: &str = "catalog";
/// Findings of one look: the first matters, the next may explain it.
const FINDINGS: usize = 4;

/// The judge.
#[derive(Debug)]
pub struct Catalog {
    court: Court,
}

impl Catalog {
    /// A judge that accuses before this court.
    #[must_use]
    pub const fn new(court: Court) -> Self {
        Self { court }
    }

    /// Audits the catalog of a node.
    ///
    /// # Errors
    /// When an engine fails: a replica whose engine does is about to stop, or will be asked again.
    pub fn inspect(&self, number: usize, node: &Node) -> Result<(), StateError> {
        for status in node.group_statuses() {
            let (GroupId::Catalog(_), Some(state)) = (status.group, node.group_state(status.group)) else { continue };
            self.weigh(number, &state)?;
        }
        Ok(())
    }

    fn weigh(&self, number: usize, state: &Arc<dyn Engine>) -> Result<(), StateError> {
        for finding in audit(state, FINDINGS)? {
            self.court.accuse(JUDGE, format!("on node {number}: {finding}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use raft::catalog::{Algorithm, Catalog as Machine, Command, StartUpload};
    use raft::id::RequestId;
    use raft::machine::{Machine as _, Stamp, Transaction};
    use raft::time::Timestamp;
    use storage::disk::RealFiles;
    use storage::kv::{Batch, Bytes, EngineOptions, Engines, MemoryEngines, Scan};
    use storage::shard::ObjectId;

    use super::*;

    /// First byte of the keys of upload sessions.
    const UPLOADS: u8 = 17;

    fn begun(directory: &Path) -> Arc<dyn Engine> {
        let options = EngineOptions { columns: Machine::COLUMNS, journal: false };
        let engine = MemoryEngines::new(Arc::new(RealFiles)).open(&directory.join("state"), &options).unwrap();
        let command = Command::StartUpload(StartUpload {
            session: raft::catalog::SessionId([1; 16]),
            object: ObjectId([1; 16]),
            repository: "acme/app".parse().unwrap(),
            principal: None,
            algorithm: Algorithm::Sha256,
            hash_state: Bytes::from_static(b"begin"),
            lifetime_seconds: 3600,
        });
        let mut transaction = Transaction::new(engine.as_ref());
        let stamp = Stamp { time: Timestamp(1_000_000), request: RequestId([1; 16]) };
        Machine::apply(&mut transaction, command, stamp).unwrap();
        engine.write(transaction.into_batch()).unwrap();
        engine
    }

    #[test]
    fn a_sound_catalog_is_not_accused_and_one_that_lacks_rows_is() {
        let directory = tempfile::tempdir().unwrap();
        let engine = begun(directory.path());
        let court = Court::default();
        let judge = Catalog::new(court.clone());
        judge.weigh(1, &engine).unwrap();
        assert_eq!(court.first(), None);
        let blobs = *Machine::COLUMNS.iter().find(|column| column.0 == "blobs").unwrap();
        let rows = engine.scan(&Scan::prefix(blobs, &[UPLOADS], usize::MAX)).unwrap();
        assert_eq!(rows.len(), 1);
        let mut batch = Batch::default();
        batch.delete(blobs, rows[0].0.clone());
        engine.write(batch).unwrap();
        judge.weigh(1, &engine).unwrap();
        let violations = court.all();
        let purpose = violations.iter().any(|violation| violation.text.contains("an object has its purpose"));
        assert!(purpose, "{violations:?}");
    }
}
