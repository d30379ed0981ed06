//! What sealing costs: shards and engines side by side with and without a key. A measurement, run by hand with
//! optimisation: `CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo test -p storage --test sealed_cost -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a measurement")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use storage::codec::Profile;
use storage::disk::RealFiles;
use storage::kv::{Batch, Column, Engine, EngineOptions, Engines, RocksEngines, Scan};
use storage::seal::Keys;
use storage::shard::{Attempt, Checksum, Geometry, ShardName, ShardReader, ShardWriter, checksum};
use support::{NAME, bytes, disk_under, keys};
use tokio::time::Instant;

const BLOCK: usize = 256 << 10;
const BLOCKS: u64 = 512;
const COLUMN: Column = Column("column");
const ROUNDS: usize = 5;

/// Time of the best round: what else the machine does only adds.
fn best(mut round: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| round()).min().unwrap()
}

fn show(what: &str, clear: Duration, sealed: Duration, bytes: u64) {
    let rate = |time: Duration| bytes as f64 / time.as_secs_f64() / 1e6;
    let ratio = sealed.as_secs_f64() / clear.as_secs_f64();
    println!(
        "{what:34} clear {clear:>10.2?} ({:7.0} MB/s)  sealed {sealed:>10.2?} ({:7.0} MB/s)  x{ratio:.2}",
        rate(clear),
        rate(sealed)
    );
}

fn both(measure: impl Fn(&Keys) -> Vec<(&'static str, Duration, u64)>) {
    let clear = measure(&Keys::clear());
    let sealed = measure(&keys(&[1], Some(1)));
    for ((what, clear, bytes), (_, sealed, _)) in clear.into_iter().zip(sealed) {
        show(what, clear, sealed, bytes);
    }
}

fn shards(keys: &Keys) -> Vec<(&'static str, Duration, u64)> {
    let disk = disk_under(Arc::new(RealFiles), keys);
    let geometry = Geometry {
        profile: Profile::new(1, 0).unwrap(),
        block_size_bytes: 256 << 10,
        length_bytes: BLOCKS * BLOCK as u64,
    };
    let name = ShardName { shard: storage::shard::ShardIndex(0), ..NAME };
    let content = bytes(1, BLOCK);
    let write = |name: ShardName, sync: bool| {
        let sums: Vec<Checksum> = (0..BLOCKS).map(|block| checksum(&name, block, &content)).collect();
        let begun = Instant::now();
        let mut writer = ShardWriter::create(&disk.disk, name, geometry.profile, geometry.block_size_bytes).unwrap();
        for pair in sums.chunks(4) {
            let blocks: Vec<(Checksum, &[u8])> = pair.iter().map(|sum| (*sum, content.as_slice())).collect();
            writer.append_all(&blocks).unwrap();
        }
        if sync {
            writer.finish().unwrap();
        }
        begun.elapsed()
    };
    let mut attempt = 10;
    let mut next = || {
        attempt += 1;
        ShardName { attempt: Attempt(attempt), ..name }
    };
    let written = best(|| write(next(), false));
    write(name, true);
    let read = best(|| {
        let begun = Instant::now();
        let reader = ShardReader::open(&disk.disk, name, geometry.profile, geometry.block_size_bytes).unwrap();
        for start in (0..BLOCKS).step_by(4) {
            reader.read(&geometry, start..start + 4).unwrap();
        }
        begun.elapsed()
    });
    let all = BLOCKS * BLOCK as u64;
    vec![("shard written, not synced", written, all), ("shard read, verified, cached", read, all)]
}

fn put(engine: &dyn Engine, number: u64, value: &[u8]) {
    let mut batch = Batch::default();
    batch.put(COLUMN, number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec(), value.to_vec());
    engine.write(batch).unwrap();
}

fn engines(keys: &Keys) -> Vec<(&'static str, Duration, u64)> {
    const SYNCS: u64 = 200;
    const KEYS: u64 = 60_000;
    let directory = tempfile::tempdir().unwrap();
    let engines = RocksEngines::new(keys.clone());
    let options = |journal| EngineOptions { columns: &[COLUMN], journal };
    let journal = engines.open(&directory.path().join("journal"), &options(true)).unwrap();
    let value = bytes(3, 1000);
    let synced = best(|| {
        let begun = Instant::now();
        for number in 0..SYNCS {
            put(journal.as_ref(), number, &value);
            journal.sync().unwrap();
        }
        begun.elapsed()
    });
    let unsynced = best(|| {
        let begun = Instant::now();
        for number in 0..10_000 {
            put(journal.as_ref(), number, &value);
        }
        begun.elapsed()
    });
    let path = directory.path().join("state");
    let state = engines.open(&path, &options(false)).unwrap();
    let filled = Instant::now();
    for number in 0..KEYS {
        put(state.as_ref(), number, &bytes(number, 1000));
    }
    state.sync().unwrap();
    let filled = filled.elapsed();
    let compacted = best(|| {
        let begun = Instant::now();
        state.rewrite(&|| true).unwrap();
        begun.elapsed()
    });
    let scanned = best(|| {
        // A cache that holds little of it, as in a large store.
        let begun = Instant::now();
        assert_eq!(state.scan(&Scan::prefix(COLUMN, b"", usize::MAX)).unwrap().len() as u64, KEYS);
        begun.elapsed()
    });
    let looked_up = best(|| {
        state.rewrite(&|| true).unwrap();
        let begun = Instant::now();
        for number in (0..KEYS).step_by(20) {
            let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            assert!(state.get(COLUMN, &key).unwrap().is_some());
        }
        begun.elapsed()
    });
    vec![
        ("journal, 1 KB synced each", synced, SYNCS * 1000),
        ("journal, 1 KB not synced", unsynced, 10_000_000),
        ("state filled and flushed", filled, KEYS * 1000),
        ("state compacted, opened again", compacted, KEYS * 1000),
        ("state scanned", scanned, KEYS * 1000),
        ("state looked up, cold cache", looked_up, KEYS / 20 * 1000),
    ]
}

#[test]
#[ignore = "a measurement, run by hand"]
fn what_sealing_costs() {
    both(shards);
    both(engines);
}
