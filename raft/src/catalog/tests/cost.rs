//! The cost of a command is that of what it names, not of the store: reads are counted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use storage::kv::{Batch, Bytes, Column, Engine, EngineError, Pair, Scan};
use storage::shard::{Attempt, ExtentIndex, ShardIndex};

use super::store::*;
use crate::catalog::*;
use crate::id::RequestId;
use crate::machine::{Machine, Stamp, Transaction};

/// An engine that counts what is read of it.
#[derive(Debug)]
struct Counting {
    engine: Arc<dyn Engine>,
    reads: AtomicUsize,
}

impl Engine for Counting {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.engine.get(column, key)
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Pair>, EngineError> {
        let pairs = self.engine.scan(scan)?;
        self.reads.fetch_add(1 + pairs.len(), Ordering::Relaxed);
        Ok(pairs)
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        self.engine.write(batch)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.engine.sync()
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), EngineError> {
        self.engine.checkpoint(directory)
    }
}

fn reads(store: &Store, command: Command) -> usize {
    let counting = Counting { engine: store.engine.clone(), reads: AtomicUsize::new(0) };
    let mut transaction = Transaction::new(&counting);
    Catalog::apply(&mut transaction, command, Stamp { time: store.now, request: RequestId([1; 16]) }).unwrap();
    counting.reads.into_inner()
}

#[test]
fn a_command_reads_what_it_names_however_large_the_store_is() {
    let layers: Vec<u8> = (1..=10).collect();
    let commands = || {
        [
            Command::Tick,
            start(200, "app"),
            Command::PutManifest(manifest("app", 100, &["latest"], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])),
            Command::DeleteTag { repository: repository("app"), tag: tag("stable") },
            Command::DeleteManifest { repository: repository("app"), digest: digest(99) },
            Command::TouchBlob { repository: repository("app"), digest: digest(1) },
            Command::MountBlob { repository: repository("new"), digest: digest(1), from: Some(repository("app")) },
            Command::ExpireUploads { limit: 100 },
        ]
    };
    let mut store = Store::new();
    for layer in &layers {
        store.push(*layer, "app", *layer);
    }
    store.put(manifest("app", 99, &["stable"], &layers));
    let small: Vec<usize> = commands().into_iter().map(|command| reads(&store, command)).collect();
    for number in 101..190 {
        store.push(number, "app", number);
        let tags = [format!("a{number}"), format!("z{number}")];
        store.put(manifest("app", number, &[&tags[0], &tags[1]], &[number]));
        store.put(manifest(&format!("other{number}"), 99, &["latest"], &[]));
    }
    let large: Vec<usize> = commands().into_iter().map(|command| reads(&store, command)).collect();
    assert_eq!(small, large);
    // Clock, totals, manifest, tag, repository, garbage entry; a link and a blob per layer.
    assert!(small[2] <= 10 + 2 * layers.len(), "a manifest of ten layers takes {} reads", small[2]);
}

#[test]
fn a_page_of_shards_costs_what_it_holds() {
    let (node, reason) = (location(1).node, ShortfallReason::NodeAway);
    let page = |limit| Command::ReportLocation { node, disk: None, after: None, limit, reason };
    let back = |limit| Command::ForgiveLocation { node, disk: None, after: None, limit, reason };
    let commands = |store: &Store| {
        let (object, extent, expected) = (object(1), ExtentIndex(0), store.attempt(object(1), 0));
        let attempt = Attempt(u64::MAX);
        let moves = vec![ShardMove { shard: ShardIndex(1), to: location(9).shard(attempt) }];
        [
            page(4),
            back(4),
            Command::MoveShards { object, extent, expected, attempt, moves },
            Command::AcceptProfile { object, extent, expected },
        ]
    };
    let costs = |store: &Store| commands(store).map(|command| reads(store, command));
    let mut store = Store::new();
    for number in 1..=4 {
        store.push(number, "app", number);
    }
    let small = costs(&store);
    for number in 101..=250 {
        store.push(number, "app", number);
    }
    assert_eq!(costs(&store), small);
    // Clock and totals, the request; of each shard its placement, extent and shortfall.
    assert!(small[0] <= 5 + 4 * 4, "a page of four shards takes {} reads", small[0]);
    // Its extent and its shortfall, the totals of two disks, the discard.
    assert!(small[2] <= 3 + 8, "a move of one shard takes {} reads", small[2]);
    let whole = reads(&store, page(u32::MAX));
    assert!(whole <= 5 + 4 * 154, "{whole}");
    store.start(5, "app");
    let extents = store.extents(300);
    store.advance(5, extents);
    let Response::Page { count, next: Some(_) } = store.apply(page(u32::MAX)) else { panic!() };
    assert_eq!(count, u64::from(LOCATION_SHARDS_MAX), "a page has its limit, whatever is asked");
}
