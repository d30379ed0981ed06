//! A state of a lineage that this replica has left: it is read until a snapshot of the new one replaces it, as on a node
//! that is cut off, and nothing can be applied to it.

use std::io;
use std::sync::atomic::Ordering;

use storage::kv::{Batch, Bytes, Engine};

use super::{APPLIED, GROUP, StateStore, lock};
use crate::codec;
use crate::group::record::AppliedRecord;
use crate::group::snapshot;
use crate::machine::Machine;

/// Key that a state has which is outdated.
const OUTDATED: &[u8] = b"outdated";

/// Whether a state is one of a lineage that was left.
pub(super) fn is_outdated(engine: &dyn Engine) -> Result<bool, storage::kv::EngineError> {
    Ok(engine.get(GROUP, OUTDATED)?.is_some())
}

impl<M: Machine> StateStore<M> {
    /// Lets the present state be outdated, durably: it counts as one that has applied nothing, no snapshot of it is left,
    /// and only a snapshot that comes in replaces it. May be repeated.
    pub(in crate::group) fn outdate(&self) -> io::Result<()> {
        // A snapshot without a state that is as far would be installed at the next start.
        lock(&self.snapshot).take();
        for entry in self.files.list(&self.directory)? {
            if entry.name.starts_with(snapshot::PREFIX) {
                snapshot::remove(self.files.as_ref(), &self.directory.join(&entry.name))?;
            }
        }
        self.files.sync_directory(&self.directory)?;
        {
            let mut applied = lock(&self.applied);
            let mut batch = Batch::default();
            batch.put(GROUP, Bytes::from_static(OUTDATED), Bytes::new());
            batch.put(GROUP, Bytes::from_static(APPLIED), codec::encode(&AppliedRecord::default()));
            self.engine().write(batch).map_err(io::Error::other)?;
            *applied = AppliedRecord::default();
            self.outdated.store(true, Ordering::SeqCst);
        }
        self.flush()?;
        self.applied_index.send_replace(0);
        Ok(())
    }

    /// Refuses to apply to a state that is outdated.
    pub(super) fn expect_present(&self) -> io::Result<()> {
        if !self.outdated.load(Ordering::SeqCst) {
            return Ok(());
        }
        let text = "the state is of a lineage that was left: a snapshot is needed, not an entry";
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }
}
