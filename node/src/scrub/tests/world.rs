//! Two disks in a temporary directory and a catalog without Raft.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use raft::catalog::{
    Advance, Algorithm, Catalog, CodedExtent, Command, Digest, DiskLocation, ExtentBody, NewExtent, Response,
    SessionId, ShortfallReason, StartUpload, UploadPosition, View,
};
use raft::id::{NodeId, RequestId};
use raft::machine::{Machine, Stamp, Transaction};
use raft::time::Timestamp;
use storage::codec::Profile;
use storage::disk::{Disks, Files, KnownDisks, RealFiles, Reserve};
use storage::kv::{Engine, EngineOptions, Engines, MemoryEngines};
use storage::seal::Keys;
use storage::shard::{Attempt, DiskId, ExtentIndex, Geometry, ObjectId, ShardIndex, ShardName, ShardWriter, checksum};
use tempfile::TempDir;

use super::super::context::Context;
use super::super::*;
use crate::environment::{BoxFuture, Entropy};
use crate::gateway::catalog::CatalogError;

pub(super) const NODE: NodeId = NodeId(1);
const BLOCK: u32 = 64;
pub(super) const PERIOD: Duration = Duration::from_secs(100_000);
pub(super) const GRACE: Duration = Duration::from_hours(1);

/// The catalog's state machine, applied to at once.
#[derive(Debug)]
pub(super) struct Books {
    engine: Arc<dyn Engine>,
    now: AtomicU64,
    commands: Mutex<Vec<Command>>,
    /// Proposals and barriers fail.
    pub(super) unavailable: AtomicBool,
    _directory: TempDir,
}

impl Books {
    pub(super) fn apply(&self, command: Command) -> Response {
        let number = self.now.fetch_add(1, Ordering::Relaxed);
        let mut request = [0; 16];
        request[..8].copy_from_slice(&number.to_le_bytes());
        self.apply_as(RequestId(request), command)
    }

    fn apply_as(&self, request: RequestId, command: Command) -> Response {
        let stamp = Stamp { time: Timestamp(self.now.load(Ordering::Relaxed)), request };
        let mut transaction = Transaction::new(self.engine.as_ref());
        let response = Catalog::apply(&mut transaction, command, stamp).unwrap();
        self.engine.write(transaction.into_batch()).unwrap();
        response
    }

    pub(super) fn wait(&self, time: Duration) {
        for _ in 0..time.as_secs().div_ceil(3600) {
            self.now.fetch_add(3_600_000, Ordering::Relaxed);
            self.apply(Command::Tick);
        }
    }

    fn check(&self) -> Result<(), CatalogError> {
        if self.unavailable.load(Ordering::Relaxed) {
            return Err(CatalogError::Unavailable { message: "no leader".to_owned(), uncertain: true });
        }
        Ok(())
    }
}

impl Records for Books {
    fn propose(&self, request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, CatalogError>> {
        Box::pin(async move {
            self.check()?;
            self.commands.lock().unwrap().push(command.clone());
            Ok(self.apply_as(request, command))
        })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), CatalogError>> {
        Box::pin(async { self.check() })
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        View::new(Arc::clone(&self.engine))
    }

    fn is_leader(&self) -> bool {
        true
    }
}

#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        buffer.fill(0xee);
        buffer[..8].copy_from_slice(&number);
    }
}

/// A node with two disks.
pub(super) struct World {
    pub(super) books: Arc<Books>,
    pub(super) disks: Arc<Disks>,
    local: LocalShards,
    pub(super) metrics: Metrics,
    pub(super) directory: TempDir,
}

pub(super) fn object(number: u8) -> ObjectId {
    // Spread over the pages of a disk.
    ObjectId([number.wrapping_mul(37); 16])
}

pub(super) fn attempt(number: u8) -> Attempt {
    Attempt(1000 + u64::from(number))
}

/// Three blocks in each shard, the last one short.
pub(super) fn geometry() -> Geometry {
    Geometry { profile: Profile::new(1, 1).unwrap(), block_size_bytes: BLOCK, length_bytes: 150 }
}

pub(super) fn name(number: u8, shard: u8) -> ShardName {
    ShardName { object: object(number), extent: ExtentIndex(0), attempt: attempt(number), shard: ShardIndex(shard) }
}

impl World {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut next = 0;
        let directories = [directory.path().join("one"), directory.path().join("two")];
        let disks = Disks::open(
            Arc::new(RealFiles),
            &directories,
            &KnownDisks::default(),
            Reserve { percent: 0 },
            &Keys::clear(),
            &mut || {
                next += 1;
                [next; 16]
            },
        );
        let disks = Arc::new(disks.unwrap());
        let state = tempfile::tempdir().unwrap();
        let options = EngineOptions { columns: Catalog::COLUMNS, journal: false };
        let engine = MemoryEngines::new(Arc::new(RealFiles)).open(&state.path().join("catalog"), &options).unwrap();
        let books = Books {
            engine,
            now: AtomicU64::new(1_000_000_000_000),
            commands: Mutex::default(),
            unavailable: AtomicBool::new(false),
            _directory: state,
        };
        let local = LocalShards::new(NODE, Arc::clone(&disks), Exec::inline(), crate::shards::Metrics::default());
        Self { books: Arc::new(books), disks, local, metrics: Metrics::default(), directory }
    }

    pub(super) fn context(&self) -> Arc<Context> {
        Arc::new(Context {
            local: self.local.clone(),
            records: Arc::<Books>::clone(&self.books),
            entropy: Arc::new(Counting::default()),
            exec: Exec::inline(),
            options: Options { period: PERIOD, orphan_grace: GRACE },
            metrics: self.metrics.clone(),
        })
    }

    pub(super) fn scrub(&self) -> Scrub {
        let context = self.context();
        Scrub::new(Parts {
            local: context.local.clone(),
            records: Arc::clone(&context.records),
            entropy: Arc::clone(&context.entropy),
            exec: context.exec,
            options: context.options,
            metrics: context.metrics.clone(),
        })
    }

    pub(super) fn location(disk: u8) -> DiskLocation {
        DiskLocation { node: NODE, disk: DiskId([disk; 16]) }
    }

    /// Writes a shard file to disk 1 or 2.
    pub(super) fn write(&self, disk: u8, name: ShardName) {
        let disk = self.disks.get(DiskId([disk; 16])).unwrap();
        let mut writer = ShardWriter::create(&disk, name, geometry().profile, BLOCK).unwrap();
        for stripe in 0..geometry().stripes() {
            let block = vec![name.object.0[0] ^ 7; geometry().block_length_bytes(stripe) as usize];
            writer.append(checksum(&name, stripe, &block), &block).unwrap();
        }
        writer.finish().unwrap();
    }

    /// Uploads an object: shard 0 on disk 1, shard 1 on disk 2.
    pub(super) fn push(&self, number: u8) {
        self.upload(number, true);
    }

    pub(super) fn upload(&self, number: u8, finished: bool) {
        let session = SessionId([number; 16]);
        self.books.apply(Command::StartUpload(StartUpload {
            session,
            object: object(number),
            repository: "acme/app".parse().unwrap(),
            principal: None,
            algorithm: Algorithm::Sha256,
            hash_state: Vec::new().into(),
            lifetime_seconds: 604_800,
        }));
        for shard in [0, 1] {
            self.write(shard + 1, name(number, shard));
        }
        let disks = [Self::location(1), Self::location(2)];
        let body = ExtentBody::Coded(CodedExtent::written(geometry(), attempt(number), &disks));
        let advance = Advance {
            expected: UploadPosition { offset_bytes: 0, epoch: 0 },
            hash_state: Vec::new().into(),
            extents: vec![NewExtent { body, shortfall: None }],
            replaced: Vec::new(),
            parity: 1,
            lifetime_seconds: 604_800,
        };
        let digest = Digest::from_bytes(Algorithm::Sha256, &[number; 32]).unwrap();
        let response = if finished {
            self.books.apply(Command::FinishUpload { session, advance, digest })
        } else {
            self.books.apply(Command::AdvanceUpload { session, advance })
        };
        assert!(matches!(response, Response::Published { .. } | Response::Uploaded { .. }), "{response:?}");
    }

    fn path(&self, disk: u8, name: &ShardName) -> PathBuf {
        let disk = if disk == 1 { "one" } else { "two" };
        let page = format!("{:02x}", name.object.0[0]);
        self.directory.path().join(disk).join("shards").join(page).join(name.to_string())
    }

    /// Flips a bit of the last block.
    pub(super) fn rot(&self, disk: u8, name: &ShardName) {
        let file = RealFiles.open(&self.path(disk, name)).unwrap();
        let last = file.length().unwrap() - 1;
        let mut byte = [0];
        file.read_exact_at(&mut byte, last).unwrap();
        file.write_all_at(&[byte[0] ^ 1], last).unwrap();
    }

    /// Cuts the file short.
    pub(super) fn cut(&self, disk: u8, name: &ShardName) {
        let path = self.path(disk, name);
        let content = RealFiles.read(&path).unwrap();
        RealFiles.replace(&path, &content[..content.len() - 1]).unwrap();
    }

    pub(super) fn remove(&self, disk: u8, name: &ShardName) {
        RealFiles.remove(&self.path(disk, name)).unwrap();
    }

    pub(super) fn exists(&self, disk: u8, name: &ShardName) -> bool {
        RealFiles.open(&self.path(disk, name)).is_ok()
    }

    /// Number of each object and shard on the list of shortfalls, with its cause.
    pub(super) fn listed(&self) -> Vec<(ObjectId, u8, ShortfallReason)> {
        let mut listed: Vec<_> = self
            .books
            .view()
            .shortfalls(None, 1000)
            .unwrap()
            .into_iter()
            .flat_map(|(key, record)| {
                record.missing.into_iter().map(move |missing| (key.object, missing.shard.0, missing.cause))
            })
            .collect();
        listed.sort();
        listed
    }

    pub(super) fn reports(&self) -> usize {
        self.books.commands.lock().unwrap().len()
    }
}
