//! What entries and whole states come to, as one hash: for those who compare replicas.

use storage::kv::{Column, Engine, EngineError, Scan};

use super::config::Payload;
use super::record::{EntryRecord, LogIdRecord};
use super::witness::Position;
use crate::codec;

/// Rows of one page while a state is hashed.
const PAGE_ROWS: usize = 256;

/// What a whole state comes to: equal on all replicas that have applied the same entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateDigest {
    /// Last entry applied; none before the first.
    pub applied: Option<Position>,
    /// Rows of all columns.
    pub rows: u64,
    /// BLAKE3 over all columns and their rows, in order.
    pub hash: [u8; 32],
}

/// Hash of an entry's encoding.
pub(super) fn of_entry(log_id: LogIdRecord, payload: &Payload) -> [u8; 32] {
    let record = EntryRecord { log_id, payload: payload.clone().into() };
    blake3::hash(&codec::encode(&record)).into()
}

/// Number of rows of an engine, and their hash. The caller sees to it that nothing is written meanwhile.
pub(super) fn of_state(engine: &dyn Engine, columns: &[Column]) -> Result<(u64, [u8; 32]), EngineError> {
    let mut hasher = blake3::Hasher::new();
    let mut rows = 0;
    for column in columns {
        add(&mut hasher, column.0.as_bytes());
        let mut scan = Scan::prefix(*column, &[], PAGE_ROWS);
        loop {
            let pairs = engine.scan(&scan)?;
            let Some((last, _)) = pairs.last() else { break };
            for (key, value) in &pairs {
                add(&mut hasher, key);
                add(&mut hasher, value);
            }
            rows += pairs.len() as u64;
            scan = scan.after(last);
        }
    }
    Ok((rows, hasher.finalize().into()))
}

/// Adds a text with its length, so that no two lists of texts come to the same.
fn add(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}
