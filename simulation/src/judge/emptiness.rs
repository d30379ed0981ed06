//! Nothing is left. When everything was deleted, every grace is over and every queue is worked off, the catalog has no key
//! but those that tell of itself, and no disk a shard file. Source: issue 5 and section 6 of the design ("space comes back
//! by itself").

use std::collections::BTreeMap;

use raft::catalog::Catalog;
use raft::machine::Machine as _;
use storage::kv::{Engine, EngineError, Scan};

use super::Court;
use super::holdings::{Holdings, spelled};

const JUDGE: &str = "emptiness";
/// Rows of one page.
const PAGE_ROWS: usize = 1024;

/// Kind of the jobs, and that of the ends of those that have ended: there must be as many.
const JOBS: u8 = 38;
const ENDED_JOBS: u8 = 39;

/// Kinds of keys that are no content and stay: `raft::catalog::table` numbers them, and no number is ever used again.
const LASTING: &[(u8, &str)] = &[
    (22, "the feed of events, which ages by itself"),
    (23, "totals"),
    (24, "the clock"),
    (25, "requests that took effect, which age by themselves"),
    (26, "the order in which they do"),
    (27, "totals of each disk"),
    (33, "policies"),
    (34, "their version"),
    (JOBS, "the last deletion jobs"),
    (ENDED_JOBS, "the order in which they ended"),
    (40, "how many jobs there were"),
];

/// Keys of a catalog that tell of content, counted by kind.
///
/// # Errors
/// When the engine fails.
pub fn left(state: &dyn Engine) -> Result<BTreeMap<u8, u64>, EngineError> {
    let mut left = BTreeMap::new();
    let (mut jobs, mut ended) = (0_u64, 0_u64);
    for column in Catalog::COLUMNS {
        let mut scan = Scan::prefix(*column, &[], PAGE_ROWS);
        loop {
            let rows = state.scan(&scan)?;
            for (key, _) in &rows {
                let kind = key.first().copied().unwrap_or_default();
                jobs += u64::from(kind == JOBS);
                ended += u64::from(kind == ENDED_JOBS);
                if !LASTING.iter().any(|(lasting, _)| *lasting == kind) {
                    *left.entry(kind).or_default() += 1;
                }
            }
            let Some((last, _)) = rows.last().filter(|_| rows.len() >= PAGE_ROWS) else { break };
            scan = scan.after(last);
        }
    }
    if jobs > ended {
        left.insert(JOBS, jobs - ended);
    }
    Ok(left)
}

/// Accuses of every key and every shard file that is left.
pub fn judge(holdings: &BTreeMap<usize, Holdings>, court: &Court) {
    for (number, holdings) in holdings {
        if !holdings.left.is_empty() {
            let kinds: Vec<String> =
                holdings.left.iter().map(|(kind, count)| format!("{count} of kind {kind}")).collect();
            court.accuse(
                JUDGE,
                format!("all was deleted, and the catalog of node {number} still has keys: {}", kinds.join(", ")),
            );
        }
        let files = holdings.placed.keys().chain(&holdings.orphans);
        let count = files.clone().count();
        if count > 0 {
            let names = spelled(files);
            court.accuse(JUDGE, format!("all was deleted, and node {number} still has {count} shard files: {names}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use storage::disk::RealFiles;
    use storage::kv::{Batch, EngineOptions, Engines as _, MemoryEngines};

    use super::super::holdings::testing::{GOOD, shard};
    use super::*;

    fn judged(holdings: Holdings) -> Vec<String> {
        let court = Court::default();
        judge(&BTreeMap::from([(2, holdings)]), &court);
        court.all().into_iter().map(|violation| violation.text).collect()
    }

    #[test]
    fn a_key_or_a_file_that_is_left_is_accused() {
        assert!(judged(Holdings::default()).is_empty());
        let keys = judged(Holdings { left: BTreeMap::from([(7, 3)]), ..Holdings::default() });
        assert!(keys[0].contains("3 of kind 7"), "{keys:?}");
        let placed = judged(Holdings { placed: BTreeMap::from([(shard(1, 0), GOOD)]), ..Holdings::default() });
        assert!(placed[0].contains("1 shard files"), "{placed:?}");
        let orphans = judged(Holdings { orphans: [shard(1, 0)].into(), ..Holdings::default() });
        assert!(orphans[0].contains("1 shard files"), "{orphans:?}");
    }

    #[test]
    fn a_job_that_has_not_ended_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let engines = MemoryEngines::new(Arc::new(RealFiles));
        let options = EngineOptions { columns: Catalog::COLUMNS, journal: false };
        let engine = engines.open(&directory.path().join("catalog"), &options).unwrap();
        let put = |kind: u8, number: u8| {
            let mut batch = Batch::default();
            batch.put(Catalog::COLUMNS[0], vec![kind, number], vec![]);
            engine.write(batch).unwrap();
        };
        put(JOBS, 1);
        put(ENDED_JOBS, 1);
        assert!(left(engine.as_ref()).unwrap().is_empty());
        put(JOBS, 2);
        put(7, 1);
        assert_eq!(left(engine.as_ref()).unwrap(), BTreeMap::from([(7, 1), (JOBS, 1)]));
    }
}
