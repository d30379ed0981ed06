//! The cost of a command is that of what it names, not of the store: reads are counted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use storage::kv::{Batch, Bytes, Column, Engine, EngineError, Pair, Scan};
use storage::seal::Seals;
use storage::shard::{Attempt, ExtentIndex, ShardIndex};

use super::store::*;
use crate::catalog::*;
use crate::id::RequestId;
use crate::machine::{Machine, Stamp, Transaction};
use crate::policy::GRACE_SECONDS;

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

    fn rewrite(&self, goes_on: &dyn Fn() -> bool) -> Result<(), EngineError> {
        self.engine.rewrite(goes_on)
    }

    fn seals(&self) -> Result<Seals, EngineError> {
        self.engine.seals()
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
            delete_tag("app", "stable"),
            delete_manifest("app", 99),
            touch("app", 1),
            mount("new", 1, Some("app")),
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
    // Clock, totals, manifest, tag, repository, garbage entry; role, policy and usage of two prefixes; a link and a blob
    // per layer.
    assert!(small[2] <= 18 + 2 * layers.len(), "a manifest of ten layers takes {} reads", small[2]);
}

/// Applies a command, and returns how many rows it read and how many it wrote.
fn measure(store: &mut Store, command: Command) -> (usize, usize) {
    let counting = Counting { engine: store.engine.clone(), reads: AtomicUsize::new(0) };
    let mut transaction = Transaction::new(&counting);
    store.requests += 1;
    let request = RequestId(store.requests.to_be_bytes());
    Catalog::apply(&mut transaction, command, Stamp { time: store.now, request }).unwrap();
    let batch = transaction.into_batch();
    let writes = batch.changes.len();
    store.engine.write(batch).unwrap();
    (counting.reads.into_inner(), writes)
}

/// A digest of a manifest that the tests do not name.
fn other(number: u32) -> Digest {
    let mut raw = [0xee; 32];
    raw[..4].copy_from_slice(&number.to_be_bytes());
    Digest::from_bytes(Algorithm::Sha256, &raw).unwrap()
}

/// What it costs to delete ten images among `others`, to collect them, and to restore one of them.
fn deletion_costs(others: u32) -> Vec<(usize, usize)> {
    let mut store = Store::collecting();
    for number in 1..=10 {
        store.push(number, "acme/app", number);
        let tag = format!("m{number}");
        store.put(manifest("acme/app", 100 + number, &[&tag], &[number, 1]));
    }
    for number in 0..others {
        let tags = [format!("a{number}"), format!("z{number}")];
        let put = manifest("acme/app", 0, &[&tags[0], &tags[1]], &[1]);
        let put = Command::PutManifest(PutManifest { digest: other(number), ..put });
        let request = RequestId((u128::from(number) << 64).to_be_bytes());
        store.apply_unchecked(put, Stamp { time: store.now, request });
    }
    let mut costs = Vec::new();
    for number in 101..=104 {
        costs.push(measure(&mut store, delete_manifest("acme/app", number)));
    }
    for number in 5..=10 {
        costs.push(measure(&mut store, delete_tag("acme/app", &format!("m{number}"))));
    }
    costs.push(measure(&mut store, restore_tag("acme/app", "m4")));
    for _ in 0..3 {
        store.wait(GRACE_SECONDS + TOUCH_INTERVAL_SECONDS_MAX);
        for _ in 0..4 {
            costs.push(measure(&mut store, Command::CollectGarbage { limit: 10 }));
        }
    }
    let totals = store.view().totals().unwrap();
    assert_eq!((totals.manifests, totals.blobs, totals.garbage.items()), (u64::from(others) + 1, 2, 0));
    costs
}

#[test]
fn deleting_and_collecting_cost_what_is_deleted_however_large_the_store_is() {
    let small = deletion_costs(40);
    assert_eq!(deletion_costs(1000), small);
    let collections = &small[11..];
    // Of each item: its rows, its edges, what it held and the counts of two namespaces and a repository.
    assert!(collections.iter().all(|(reads, writes)| *reads <= 10 * 60 && *writes <= 10 * 20), "{collections:?}");
    let idle = collections.last().unwrap();
    assert!(idle.0 <= 6 && idle.1 <= 2, "a collection of nothing: {idle:?}");
}

#[test]
fn the_history_of_a_tag_costs_the_same_however_long_it_is() {
    let mut store = Store::new();
    let turn = |number: u64| {
        Command::PutManifest(manifest("app", if number.is_multiple_of(2) { 10 } else { 11 }, &["v1"], &[]))
    };
    store.put(manifest("app", 11, &[], &[]));
    let costs: Vec<_> = (0..3 * TAG_CHANGES_KEPT).map(|number| measure(&mut store, turn(number))).collect();
    let kept = usize::try_from(TAG_CHANGES_KEPT).unwrap();
    let (first, later) = (costs[2], costs[kept + 2]);
    assert!(costs[2..kept].iter().all(|cost| *cost == first), "{costs:?}");
    assert_eq!(later, (first.0, first.1 + 1), "the oldest row goes");
    assert!(costs[kept..].iter().all(|cost| *cost == later), "{costs:?}");
    assert_eq!(store.view().tag_history(&repository("app"), &tag("v1"), usize::MAX).unwrap().len(), kept);
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

/// What it costs to evict ten images among `others` that stay.
fn eviction_costs(others: u32) -> Vec<(usize, usize)> {
    let mut store = Store::new();
    for number in 1..=10 {
        store.push(number, "acme/app", number);
        store.put(manifest("acme/app", 100 + number, &[&format!("m{number}")], &[number, 1]));
    }
    for number in 0..others {
        let put =
            PutManifest { repository: repository(&format!("other/{number}")), ..manifest("other", 0, &["a"], &[]) };
        let put = Command::PutManifest(PutManifest { digest: other(number), ..put });
        let request = RequestId((u128::from(number) << 64).to_be_bytes());
        store.apply_unchecked(put, Stamp { time: store.now, request });
    }
    store.sync_role("acme", Some(crate::policy::Role::Foreign));
    let policy_version = store.view().policy_version().unwrap();
    let evict = Command::Evict { repository: repository("acme/app"), limit: 8, policy_version };
    let costs = (0..6).map(|_| measure(&mut store, evict.clone())).collect();
    let totals = store.view().totals().unwrap();
    assert_eq!((totals.manifests, totals.garbage.blobs), (u64::from(others), 10));
    costs
}

#[test]
fn evicting_costs_what_leaves_however_large_the_store_is() {
    let small = eviction_costs(20);
    assert_eq!(eviction_costs(500), small);
    assert!(small.iter().all(|(reads, writes)| *reads <= 8 * 60 && *writes <= 8 * 20), "{small:?}");
}
