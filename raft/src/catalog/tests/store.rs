//! A catalog on the in-memory engine, whose invariants are checked after every command, and makers of its commands.

use std::path::Path;
use std::sync::Arc;

use storage::codec::Profile;
use storage::disk::RealFiles;
use storage::kv::{Bytes, Engine, EngineOptions, Engines, MemoryEngines, Pair, Scan};
use storage::shard::{Attempt, DiskId, ExtentIndex, Geometry, ObjectId, ShardIndex};
use tempfile::TempDir;

use super::invariants;
use crate::catalog::*;
use crate::id::{NodeId, RequestId};
use crate::machine::{Machine, Stamp, Transaction};
use crate::policy::{GRACE_SECONDS, NamespacePolicy, Role, Untagged};
use crate::time::Timestamp;

/// Length of every coded extent in these tests.
pub(super) const EXTENT_BYTES: u64 = 8;

pub(super) const LIFETIME_SECONDS: u64 = 3600;

/// A tag or a manifest is gone; which tags those are is told elsewhere.
pub(super) const DELETED: Response = Response::Deleted { tags: Vec::new() };

pub(super) struct Store {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) now: Timestamp,
    pub(super) requests: u128,
    attempts: u64,
    /// Every command that was applied.
    pub(super) history: Vec<(Command, Stamp)>,
    /// The last answer, whole.
    pub(super) answer: Option<Response>,
    _directory: TempDir,
}

impl Store {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(directory.path());
        let now = Timestamp(1_000_000_000_000);
        Self { engine, now, requests: 0, attempts: 0, history: Vec::new(), answer: None, _directory: directory }
    }

    /// Applies a command as a new request.
    pub(super) fn apply(&mut self, command: Command) -> Response {
        self.requests += 1;
        self.repeat(command)
    }

    /// Applies a command as request `number`, of a range of its own.
    pub(super) fn apply_as(&mut self, number: u8, command: Command) -> Response {
        let request = RequestId([number; 16]);
        let response = self.apply_unchecked(command, Stamp { time: self.now, request });
        invariants::check(&self.engine);
        self.told(response)
    }

    /// Applies a command under the request of the last one.
    pub(super) fn repeat(&mut self, command: Command) -> Response {
        let stamp = Stamp { time: self.now, request: RequestId(self.requests.to_be_bytes()) };
        let response = self.apply_unchecked(command, stamp);
        invariants::check(&self.engine);
        self.told(response)
    }

    /// An answer without the tags that it names, which few tests are about: `answer` has them.
    fn told(&mut self, response: Response) -> Response {
        self.answer = Some(response.clone());
        match response {
            Response::ManifestStored { created, .. } => Response::ManifestStored { created, tags: Vec::new() },
            Response::Deleted { .. } => DELETED,
            other => other,
        }
    }

    /// Applies a command without looking at the whole store after it.
    pub(super) fn apply_unchecked(&mut self, command: Command, stamp: Stamp) -> Response {
        self.history.push((command.clone(), stamp));
        let mut transaction = Transaction::new(self.engine.as_ref());
        let response = Catalog::apply(&mut transaction, command, stamp).unwrap();
        self.engine.write(transaction.into_batch()).unwrap();
        response
    }

    /// Lets time pass; the clock follows by ticks, since one command moves it by an hour at most.
    pub(super) fn wait(&mut self, seconds: u64) {
        let target = self.now.plus_seconds(seconds);
        while self.now < target {
            self.now = target.min(self.now.plus_seconds(3600));
            let stamp = Stamp { time: self.now, request: RequestId([0xff; 16]) };
            self.apply_unchecked(Command::Tick, stamp);
        }
        invariants::check(&self.engine);
    }

    pub(super) fn view(&self) -> View<Arc<dyn Engine>> {
        View::new(self.engine.clone())
    }

    /// Kinds of the events so far, in order.
    pub(super) fn events(&self) -> Vec<EventKind> {
        self.view().events(0, usize::MAX).unwrap().into_iter().map(|(_, event)| event.kind).collect()
    }

    /// An extent that no other has been.
    pub(super) fn coded(&mut self) -> CodedExtent {
        self.attempts += 1;
        coded(self.attempts)
    }

    pub(super) fn extents(&mut self, count: u64) -> Vec<NewExtent> {
        (0..count).map(|_| NewExtent { body: ExtentBody::Coded(self.coded()), shortfall: None }).collect()
    }

    pub(super) fn position(&self, number: u8) -> UploadPosition {
        self.view()
            .upload(session(number))
            .unwrap()
            .map_or(UploadPosition { offset_bytes: 0, epoch: 0 }, |upload| upload.position)
    }

    /// Begins session `number`, with the object of the same number.
    pub(super) fn start(&mut self, number: u8, repository: &str) -> Response {
        self.apply(start(number, repository))
    }

    pub(super) fn advance(&mut self, number: u8, extents: Vec<NewExtent>) -> Response {
        let advance = advance(self.position(number), extents);
        self.apply(Command::AdvanceUpload { session: session(number), advance })
    }

    pub(super) fn finish(&mut self, number: u8, extents: Vec<NewExtent>, blob: u8) -> Response {
        let advance = advance(self.position(number), extents);
        self.apply(Command::FinishUpload { session: session(number), advance, digest: digest(blob) })
    }

    /// Uploads blob `number` of one extent to a repository, by a session of that number.
    pub(super) fn push(&mut self, number: u8, repository: &str, blob: u8) -> Response {
        self.start(number, repository);
        let extents = self.extents(1);
        self.finish(number, extents, blob)
    }

    pub(super) fn put(&mut self, command: PutManifest) -> Response {
        self.apply(Command::PutManifest(command))
    }

    /// Sets the policy of a prefix, or removes it.
    pub(super) fn sync_policy(&mut self, prefix: &str, policy: Option<NamespacePolicy>) {
        let version = self.view().policy_version().unwrap() + 1;
        let changes = vec![(prefix.to_owned(), policy.map(NamespaceCopy::from))];
        assert_eq!(self.apply(Command::SyncPolicies { version, changes, complete: true }), Response::Done);
    }

    /// Says what this region is for a prefix, and nothing else of it.
    pub(super) fn sync_role(&mut self, prefix: &str, role: Option<Role>) {
        let version = self.view().policy_version().unwrap() + 1;
        let changes = vec![(prefix.to_owned(), Some(NamespaceCopy { role, ..NamespaceCopy::default() }))];
        assert_eq!(self.apply(Command::SyncPolicies { version, changes, complete: true }), Response::Done);
    }

    /// A catalog that collects untagged manifests after a day.
    pub(super) fn collecting() -> Self {
        let mut store = Self::new();
        let untagged = Some(Untagged::Collect { after_seconds: GRACE_SECONDS });
        store.sync_policy("", Some(NamespacePolicy { untagged, ..NamespacePolicy::default() }));
        store
    }

    /// Collects until nothing is due, and returns how much that was: items and bytes of blobs.
    pub(super) fn collect(&mut self) -> (u64, u64) {
        let mut sum = (0, 0);
        loop {
            let response = self.apply(Command::CollectGarbage { limit: 100 });
            let Response::Collected { items, bytes, more } = response else { panic!("{response:?}") };
            sum = (sum.0 + items, sum.1 + bytes);
            if !more {
                return sum;
            }
        }
    }

    /// When an item of the garbage queue is due.
    pub(super) fn deadline(&self, item: &GarbageItem) -> Option<Timestamp> {
        self.view().garbage_deadline(item).unwrap()
    }

    /// The manifests in the garbage queue.
    pub(super) fn manifest_garbage(&self) -> Vec<GarbageItem> {
        let mut items = self.garbage();
        items.retain(|item| matches!(item, GarbageItem::Manifest { .. }));
        items
    }

    /// What is in the garbage queue.
    pub(super) fn garbage(&self) -> Vec<GarbageItem> {
        let all = self.view().garbage(Timestamp(u64::MAX), usize::MAX).unwrap();
        let mut items: Vec<GarbageItem> = all.into_iter().map(|(_, item)| item).collect();
        items.sort();
        items
    }

    /// Discards, due or not.
    pub(super) fn discards(&self) -> Vec<DiscardKey> {
        let all = self.view().discards(Timestamp(u64::MAX), None, usize::MAX).unwrap();
        all.into_iter().map(|(key, _)| key).collect()
    }

    /// An extent that is coded over shards.
    pub(super) fn layout(&self, object: ObjectId, extent: u32) -> Option<CodedExtent> {
        self.view().extent(object, ExtentIndex(extent)).unwrap()?.body.into_coded()
    }

    /// Attempt of an extent.
    pub(super) fn attempt(&self, object: ObjectId, extent: u32) -> Attempt {
        self.layout(object, extent).expect("the extent is coded").attempt
    }

    /// Moves shards of an extent to other nodes, by a fresh attempt.
    pub(super) fn move_shards(
        &mut self,
        object: ObjectId,
        extent: u32,
        expected: Attempt,
        moves: &[(u8, u8)],
    ) -> Response {
        self.attempts += 1;
        let attempt = Attempt(self.attempts);
        let to = |node: u8| location(node).shard(attempt);
        let moves = moves.iter().map(|(shard, node)| ShardMove { shard: ShardIndex(*shard), to: to(*node) }).collect();
        self.apply(Command::MoveShards { object, extent: ExtentIndex(extent), expected, attempt, moves })
    }
}

/// An empty engine of the catalog.
pub(super) fn open(directory: &Path) -> Arc<dyn Engine> {
    let engines = MemoryEngines::new(Arc::new(RealFiles));
    let options = EngineOptions { columns: Catalog::COLUMNS, journal: false };
    engines.open(&directory.join("state"), &options).unwrap()
}

/// All rows of an engine.
pub(super) fn dump(engine: &Arc<dyn Engine>) -> Vec<(&'static str, Vec<Pair>)> {
    let rows = |column| engine.scan(&Scan::prefix(column, &[], usize::MAX)).unwrap();
    Catalog::COLUMNS.iter().map(|column| (column.0, rows(*column))).collect()
}

pub(super) fn repository(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

pub(super) fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

pub(super) fn digest(number: u8) -> Digest {
    Digest::from_bytes(Algorithm::Sha256, &[number; 32]).unwrap()
}

pub(super) fn session(number: u8) -> SessionId {
    SessionId([number; 16])
}

pub(super) fn object(number: u8) -> ObjectId {
    ObjectId([number; 16])
}

pub(super) fn location(node: u8) -> DiskLocation {
    DiskLocation { node: NodeId(node.into()), disk: DiskId([node; 16]) }
}

/// Profile 2+1 over nodes 1 to 3.
pub(super) fn coded(attempt: u64) -> CodedExtent {
    let profile = Profile::new(2, 1).unwrap();
    let geometry = Geometry { profile, block_size_bytes: 4, length_bytes: EXTENT_BYTES };
    CodedExtent::written(geometry, Attempt(attempt), &[1, 2, 3].map(location))
}

pub(super) fn start(number: u8, name: &str) -> Command {
    Command::StartUpload(StartUpload {
        session: session(number),
        object: object(number),
        repository: repository(name),
        principal: Some("robot".to_owned()),
        algorithm: Algorithm::Sha256,
        hash_state: Bytes::from_static(b"begin"),
        lifetime_seconds: LIFETIME_SECONDS,
    })
}

pub(super) fn advance(expected: UploadPosition, extents: Vec<NewExtent>) -> Advance {
    Advance {
        expected,
        hash_state: Bytes::from_static(b"state"),
        extents,
        replaced: Vec::new(),
        parity: 0,
        lifetime_seconds: LIFETIME_SECONDS,
    }
}

pub(super) fn manifest(name: &str, number: u8, tags: &[&str], blobs: &[u8]) -> PutManifest {
    PutManifest {
        repository: repository(name),
        digest: digest(number),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        bytes: Bytes::from(format!("manifest {number}")),
        tags: tags.iter().map(|name| tag(name)).collect(),
        blobs: blobs.iter().map(|number| digest(*number)).collect(),
        children: Vec::new(),
        subject: None,
        artifact_type: None,
        annotations: Vec::new(),
        principal: None,
        owed: None,
        made: None,
    }
}

pub(super) fn delete_tag(name: &str, text: &str) -> Command {
    Command::DeleteTag { repository: repository(name), tag: tag(text), principal: None, owed: None }
}

pub(super) fn delete_manifest(name: &str, number: u8) -> Command {
    Command::DeleteManifest { repository: repository(name), digest: digest(number), principal: None, owed: None }
}

pub(super) fn mount(name: &str, blob: u8, from: Option<&str>) -> Command {
    let (repository, from) = (repository(name), from.map(repository));
    Command::MountBlob { repository, digest: digest(blob), from, principal: None }
}

pub(super) fn touch(name: &str, blob: u8) -> Command {
    Command::TouchBlob { repository: repository(name), digest: digest(blob) }
}

pub(super) fn unlink(name: &str, blob: u8) -> Command {
    Command::UnlinkBlob { repository: repository(name), digest: digest(blob), principal: None }
}

pub(super) fn restore_manifest(name: &str, number: u8) -> Command {
    let target = RestoreTarget::Manifest(digest(number));
    Command::Restore { repository: repository(name), target, principal: Some("operator".to_owned()) }
}

pub(super) fn restore_tag(name: &str, text: &str) -> Command {
    let target = RestoreTarget::Tag(tag(text));
    Command::Restore { repository: repository(name), target, principal: Some("operator".to_owned()) }
}

pub(super) fn index(name: &str, number: u8, tags: &[&str], children: &[u8]) -> PutManifest {
    PutManifest {
        children: children.iter().map(|number| digest(*number)).collect(),
        ..manifest(name, number, tags, &[])
    }
}

pub(super) fn referrer(name: &str, number: u8, subject: u8) -> PutManifest {
    PutManifest {
        subject: Some(digest(subject)),
        artifact_type: Some("application/spdx+json".to_owned()),
        annotations: vec![("key".to_owned(), "value".to_owned())],
        ..manifest(name, number, &[], &[])
    }
}

pub(super) fn blob_item(store: &Store, number: u8) -> GarbageItem {
    let generation = store.view().blob(&digest(number)).unwrap().unwrap().generation;
    GarbageItem::Blob { digest: digest(number), generation }
}

pub(super) fn link_item(name: &str, number: u8) -> GarbageItem {
    GarbageItem::Link { repository: repository(name), digest: digest(number) }
}

pub(super) fn manifest_item(store: &Store, name: &str, number: u8) -> GarbageItem {
    let record = store.view().manifest(&repository(name), &digest(number)).unwrap().unwrap();
    GarbageItem::Manifest { repository: repository(name), digest: digest(number), generation: record.generation }
}
