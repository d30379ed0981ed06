//! A node on disks and a catalog of its own: what it says of its files and of its catalog, and what a run makes of answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft::catalog::{
    Advance, Algorithm, Catalog, CodedExtent, Command, Digest, DiskLocation, ExtentBody, NewExtent, Response,
    SessionId, StartUpload, UploadPosition, View,
};
use raft::directory::{self, Moving, NamespaceRecord, Residency as Rests};
use raft::id::{NodeId, RegionId, RequestId};
use raft::machine::{Machine, Stamp, Transaction};
use raft::time::Timestamp;
use storage::codec::Profile;
use storage::disk::{Disks, Files, KnownDisks, RealFiles, Reserve};
use storage::exec::Exec;
use storage::kv::{Engine, EngineOptions, Engines, MemoryEngines};
use storage::seal::Keys;
use storage::shard::{Attempt, DiskId, ExtentIndex, Geometry, ObjectId, ShardIndex, ShardName, ShardWriter, checksum};
use tempfile::TempDir;

use super::answer::Answerer;
use super::judge::{LEAVING_GRACE, Standing};
use super::leaving::Leaving;
use super::question::{
    HoldingsAnswer, HoldingsQuestion, InventoryAnswer, InventoryQuestion, TraceAnswer, TraceQuestion, TracedObject,
    TracedOwner,
};
use super::reach::Reach;
use super::report::{FindingKind, Report};
use super::run::Run;
use super::{Metrics, Parts};
use crate::environment::{BoxFuture, Entropy};
use crate::gateway::catalog::{CatalogError, Records};
use crate::members::testing::FixedSource;
use crate::peer::testing::MemoryNetwork;
use crate::peer::{self, Peers, Security};
use crate::regions;

const OWN: RegionId = RegionId(1);
const FAR: RegionId = RegionId(2);
const BLOCK: u32 = 64;

/// The catalog's state machine, applied to at once.
#[derive(Debug)]
struct Books {
    engine: Arc<dyn Engine>,
    requests: AtomicU64,
    _directory: TempDir,
}

impl Books {
    fn apply(&self, command: Command) -> Response {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut request = [0; 16];
        request[..8].copy_from_slice(&number.to_le_bytes());
        let stamp = Stamp { time: Timestamp(1_000_000_000_000), request: RequestId(request) };
        let mut transaction = Transaction::new(self.engine.as_ref());
        let response = Catalog::apply(&mut transaction, command, stamp).unwrap();
        self.engine.write(transaction.into_batch()).unwrap();
        response
    }
}

impl Records for Books {
    fn propose(&self, _request: RequestId, command: Command) -> BoxFuture<'_, Result<Response, CatalogError>> {
        Box::pin(async move { Ok(self.apply(command)) })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), CatalogError>> {
        Box::pin(async { Ok(()) })
    }

    fn view(&self) -> View<Arc<dyn Engine>> {
        View::new(Arc::clone(&self.engine))
    }

    fn is_leader(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

/// A node of the first of two regions. `far` is at home in the other one, and `far/pinned` is pinned there.
struct World {
    answerer: Arc<Answerer>,
    books: Arc<Books>,
    disks: Arc<Disks>,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = crate::deletion::testing::directory();
        let mut request = 100;
        let mut set = async |command: directory::Command| {
            request += 1;
            directory.propose(RequestId([request; 16]), command).await.unwrap()
        };
        let added = set(directory::Command::AddRegion { name: "far".to_owned() }).await;
        assert!(!matches!(added, directory::Response::Refused(_)), "{added:?}");
        let moving = Some(Moving { to: FAR, fenced: true });
        for (prefix, record) in [
            ("far", NamespaceRecord { moving, ..NamespaceRecord::default() }),
            ("far", NamespaceRecord { home: Some(FAR), ..NamespaceRecord::default() }),
            ("far/pinned", NamespaceRecord { residency: Some(Rests::Pinned), ..NamespaceRecord::default() }),
        ] {
            let made_from = directory.view().policy_version().unwrap();
            let command = directory::Command::SetNamespace { prefix: prefix.to_owned(), record, made_from };
            let answer = set(command).await;
            assert!(!matches!(answer, directory::Response::Refused(_)), "{answer:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let directories = [folder.path().join("one"), folder.path().join("two")];
        let mut next = 0;
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
        let books = Arc::new(Books { engine, requests: AtomicU64::new(1), _directory: state });
        for group in ["directory", "catalog-1"] {
            RealFiles.create_directory_all(&folder.path().join("groups").join(group)).unwrap();
        }
        let network = Arc::new(MemoryNetwork::default());
        let parts = Parts {
            node: NodeId(1),
            region: OWN,
            disks: Arc::clone(&disks),
            files: Arc::new(RealFiles),
            groups: folder.path().join("groups"),
            records: Arc::<Books>::clone(&books),
            regions: regions::testing::alone(&directory, Exec::inline()),
            directory,
            source: Arc::new(FixedSource::of(&[1])),
            peers: Peers::new(NodeId(1), OWN, network, Security::Plaintext, peer::Metrics::default()),
            entropy: Arc::new(Zeros),
            exec: Exec::inline(),
            audit_hours: 24,
            metrics: Metrics::default(),
        };
        Self { answerer: Arc::new(Answerer { parts, leaving: Leaving::default() }), books, disks, folder }
    }

    /// Uploads an object of two shards to a repository: one on each disk.
    fn push(&self, number: u8, repository: &str, finished: bool) {
        let session = SessionId([number; 16]);
        let start = StartUpload {
            session,
            object: object(number),
            repository: repository.parse().unwrap(),
            principal: None,
            algorithm: Algorithm::Sha256,
            hash_state: Vec::new().into(),
            lifetime_seconds: 604_800,
        };
        self.books.apply(Command::StartUpload(start));
        for shard in [0, 1] {
            self.write(shard + 1, number, shard);
        }
        let disks = [1, 2].map(|disk| DiskLocation { node: NodeId(1), disk: DiskId([disk; 16]) });
        let body = ExtentBody::Coded(CodedExtent::written(geometry(), Attempt(7), &disks));
        let advance = Advance {
            expected: UploadPosition { offset_bytes: 0, epoch: 0 },
            hash_state: Vec::new().into(),
            extents: vec![NewExtent { body, shortfall: None }],
            replaced: Vec::new(),
            parity: 1,
            lifetime_seconds: 604_800,
        };
        let digest = Digest::from_bytes(Algorithm::Sha256, &[number; 32]).unwrap();
        let response = self.books.apply(if finished {
            Command::FinishUpload { session, advance, digest }
        } else {
            Command::AdvanceUpload { session, advance }
        });
        assert!(matches!(response, Response::Published { .. } | Response::Uploaded { .. }), "{response:?}");
    }

    /// Writes a shard file.
    fn write(&self, disk: u8, number: u8, shard: u8) {
        let disk = self.disks.get(DiskId([disk; 16])).unwrap();
        let mut writer = ShardWriter::create(&disk, name(number, shard), geometry().profile, BLOCK).unwrap();
        for stripe in 0..geometry().stripes() {
            let block = vec![number; geometry().block_length_bytes(stripe) as usize];
            writer.append(checksum(&name(number, shard), stripe, &block), &block).unwrap();
        }
        writer.finish().unwrap();
    }

    fn plant(&self, path: &str, content: &[u8]) {
        let path = self.folder.path().join(path);
        RealFiles.create_directory_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        RealFiles.create(&path).unwrap().write_all_at(content, 0).unwrap();
    }

    /// All answers about the node's disks as one.
    async fn inventory(&self) -> InventoryAnswer {
        let mut all = InventoryAnswer::default();
        let mut after = None;
        loop {
            let question = InventoryQuestion { policy_version: 1, namespace: None, after };
            let mut answer = self.answerer.as_ref().inventory(question).await.unwrap();
            after = answer.next.take();
            all.disks.extend(answer.disks);
            all.strays.extend(answer.strays);
            all.foreign.extend(answer.foreign);
            all.holdings.extend(answer.holdings);
            all.foreign_groups.extend(answer.foreign_groups);
            all.errors.extend(answer.errors);
            for (sum, more) in [
                (&mut all.shards, answer.shards),
                (&mut all.uploads, answer.uploads),
                (&mut all.unlinked, answer.unlinked),
                (&mut all.others, answer.others),
            ] {
                sum.add_all(more);
            }
            if after.is_none() {
                return all;
            }
        }
    }

    async fn holdings(&self) -> HoldingsAnswer {
        let mut all = HoldingsAnswer::default();
        let mut after = None;
        loop {
            let answer =
                self.answerer.as_ref().holdings(HoldingsQuestion { policy_version: 1, namespace: None, after }).await;
            let answer = answer.unwrap();
            all.holdings.extend(answer.holdings);
            all.foreign.extend(answer.foreign);
            all.strangers.extend(answer.strangers);
            after = answer.next;
            if after.is_none() {
                return all;
            }
        }
    }
}

fn object(number: u8) -> ObjectId {
    ObjectId([number; 16])
}

fn name(number: u8, shard: u8) -> ShardName {
    ShardName { object: object(number), extent: ExtentIndex(0), attempt: Attempt(7), shard: ShardIndex(shard) }
}

fn geometry() -> Geometry {
    Geometry { profile: Profile::new(1, 1).unwrap(), block_size_bytes: BLOCK, length_bytes: 150 }
}

#[tokio::test]
async fn every_file_is_told_with_whose_it_is() {
    let world = World::new().await;
    world.push(1, "acme/app", true);
    world.push(2, "acme/app", false);
    world.push(3, "far/pinned/app", true);
    // Copied here from elsewhere, one of them under another name and beside the pages.
    world.write(1, 4, 0);
    world.write(2, 5, 1);
    let page = format!("shards/05/{}", name(5, 1));
    let hidden = RealFiles.read(&world.folder.path().join("two").join(&page)).unwrap();
    RealFiles.remove(&world.folder.path().join("two").join(&page)).unwrap();
    world.plant("two/old/backup", &hidden);
    world.plant("one/notes.txt", b"no shard");
    world.plant("groups/catalog-2/state", b"of another region");

    let answer = world.inventory().await;
    assert_eq!(answer.disks.len(), 2);
    assert_eq!((answer.shards.files, answer.uploads.files, answer.others.files), (8, 2, 1), "{answer:?}");
    let held: Vec<_> =
        answer.holdings.iter().map(|held| (held.namespace.as_str(), held.standing, held.files.files)).collect();
    assert_eq!(held.iter().map(|(_, _, files)| files).sum::<u64>(), 2);
    assert!(
        held.iter().all(|(namespace, standing, _)| namespace.is_empty() && *standing == Standing::Home),
        "{held:?}"
    );
    assert!(
        answer.foreign.len() == 2 && answer.foreign.iter().all(|file| file.namespace == "far/pinned" && file.pinned)
    );
    let strays: BTreeMap<&str, &str> =
        answer.strays.iter().map(|stray| (stray.object.as_str(), stray.at.path.as_str())).collect();
    let [four, five] = [4, 5].map(|number| object(number).to_string());
    assert!(strays[four.as_str()].ends_with(&name(4, 0).to_string()), "{strays:?}");
    assert!(strays[five.as_str()].ends_with("two/old/backup"), "{strays:?}");
    assert!(answer.foreign_groups.len() == 1 && answer.foreign_groups[0].ends_with("catalog-2"), "{answer:?}");
}

#[tokio::test]
async fn what_the_catalog_is_about_to_unlink_is_no_stray() {
    let world = World::new().await;
    world.push(2, "acme/app", false);
    world.write(1, 4, 0);
    world.books.apply(Command::CancelUpload { session: SessionId([2; 16]), repository: "acme/app".parse().unwrap() });
    let answer = world.inventory().await;
    assert_eq!((answer.unlinked.files, answer.strays.len()), (2, 1), "{answer:?}");
}

#[tokio::test]
async fn many_files_are_told_page_by_page_each_once() {
    let world = World::new().await;
    for number in 0..1300 {
        world.plant(&format!("one/shards/{:02x}/{number:05}", number % 2), b"x");
    }
    world.plant("two/last", b"x");
    assert_eq!(world.inventory().await.others.files, 1301);
}

#[tokio::test]
async fn the_catalog_is_told_with_what_may_not_be_there() {
    let world = World::new().await;
    world.push(1, "acme/app", true);
    world.push(2, "acme/app", false);
    world.push(3, "far/pinned/app", true);
    let answer = world.holdings().await;
    let uploads: u64 = answer.holdings.iter().map(|held| held.uploads).sum();
    let repositories: u64 = answer.holdings.iter().map(|held| held.repositories).sum();
    assert!(repositories == 1 && uploads >= 1, "{answer:?}");
    let of_repository = &answer.foreign[0];
    assert_eq!((of_repository.repository.as_str(), of_repository.pinned), ("far/pinned/app", true));
    assert!(of_repository.what.contains("takes it for its own"), "{answer:?}");
    assert!(answer.strangers.is_empty());
}

#[tokio::test]
async fn an_object_is_traced_to_its_namespace() {
    let world = World::new().await;
    world.push(1, "acme/app", true);
    world.push(2, "far/x", false);
    let objects = [1, 2, 9].map(|number| object(number).to_string()).to_vec();
    let question = TraceQuestion { policy_version: 1, namespace: None, found_in: FAR.0, objects };
    let known = world.answerer.as_ref().trace(question).await.unwrap().known;
    let told: Vec<_> = known
        .iter()
        .map(|traced| traced.owner.as_ref().map(|owner| (owner.namespace.as_str(), owner.standing)))
        .collect();
    assert_eq!(told, [Some(("", Standing::Foreign)), Some(("far", Standing::Home))], "{known:?}");
}

#[tokio::test(start_paused = true)]
async fn a_question_waits_for_the_directory_and_is_refused_when_that_does_not_come() {
    let world = World::new().await;
    let question = InventoryQuestion { policy_version: 1_000_000, namespace: None, after: None };
    let error = world.answerer.as_ref().inventory(question).await.unwrap_err();
    assert!(error.to_string().contains("1000000 is needed"), "{error}");
}

/// Answers that were made up; what has none does not answer.
#[derive(Debug, Default)]
struct MadeUp {
    inventory: Option<InventoryAnswer>,
    holdings: BTreeMap<RegionId, HoldingsAnswer>,
    known: Option<Vec<TracedObject>>,
    traced: Mutex<Vec<String>>,
}

fn silent<A>(answer: Option<A>) -> Result<A, String> {
    answer.ok_or_else(|| "it does not answer".to_owned())
}

impl Reach for MadeUp {
    fn inventory(&self, _node: NodeId, _question: InventoryQuestion) -> BoxFuture<'_, Result<InventoryAnswer, String>> {
        Box::pin(async { silent(self.inventory.clone()) })
    }

    fn holdings(&self, region: RegionId, _question: HoldingsQuestion) -> BoxFuture<'_, Result<HoldingsAnswer, String>> {
        Box::pin(async move { silent(self.holdings.get(&region).cloned()) })
    }

    fn trace(&self, _region: RegionId, question: TraceQuestion) -> BoxFuture<'_, Result<TraceAnswer, String>> {
        self.traced.lock().unwrap().extend(question.objects);
        Box::pin(async { silent(self.known.clone()).map(|known| TraceAnswer { known }) })
    }
}

/// A run over the one node that the directory knows, with the files of a world.
async fn run(world: &World, reach: MadeUp) -> Report {
    Run::new(Arc::clone(&world.answerer), None, None).through(Arc::new(reach)).carry_out().await
}

fn answering(inventory: InventoryAnswer) -> MadeUp {
    let holdings = [OWN, FAR].map(|region| (region, HoldingsAnswer::default())).into();
    MadeUp { inventory: Some(inventory), holdings, known: Some(Vec::new()), ..MadeUp::default() }
}

#[tokio::test(start_paused = true)]
async fn a_copied_shard_is_a_violation_and_what_nobody_knows_is_counted() {
    let world = World::new().await;
    world.write(1, 4, 0);
    world.write(2, 5, 0);
    let inventory = world.inventory().await;
    let owner = TracedOwner { namespace: "far/pinned".to_owned(), standing: Standing::Foreign, pinned: true };
    let known = vec![TracedObject { object: object(4).to_string(), owner: Some(owner), asked: true }];
    let report = run(&world, MadeUp { known: Some(known), ..answering(inventory) }).await;
    assert!(report.is_complete(), "{:?}", report.missing);
    let [found] = report.violations.as_slice() else { panic!("{:?}", report.violations) };
    assert_eq!((found.kind, found.region.as_str()), (FindingKind::CopiedShard, "main"));
    assert_eq!((found.node.as_deref(), found.namespace.as_deref()), (Some("node-1"), Some("far/pinned")));
    assert!(found.path.as_ref().unwrap().ends_with(&name(4, 0).to_string()), "{found:?}");
    let node = &report.regions[0].nodes[0];
    assert_eq!((node.unknown.files, node.pinned.files), (1, 1));
    assert!(report.notes.iter().any(|note| note.contains("no catalog knows")), "{:?}", report.notes);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_leaves_it_incomplete() {
    let world = World::new().await;
    world.write(1, 4, 0);
    let inventory = world.inventory().await;
    let silent_node = run(&world, MadeUp { inventory: None, ..answering(inventory.clone()) }).await;
    assert!(silent_node.missing[0].contains("node 1 (node-1) was not looked through"), "{silent_node:?}");
    let silent_trace = run(&world, MadeUp { known: None, ..answering(inventory.clone()) }).await;
    assert!(silent_trace.missing[0].contains("of region far was not found out"), "{silent_trace:?}");
    let mut silent_disk = inventory;
    silent_disk.disks[0].error = Some("it is failing".to_owned());
    let silent_disk = run(&world, answering(silent_disk)).await;
    assert!(silent_disk.missing[0].contains("it is failing"), "{silent_disk:?}");
    assert!(!silent_disk.audit(OWN).unwrap().complete && silent_disk.audit(FAR).unwrap().complete);
}

#[tokio::test(start_paused = true)]
async fn what_has_to_go_leaves_until_its_grace_is_over() {
    let world = World::new().await;
    world.push(3, "far/pinned/app", true);
    let reach = |holdings| MadeUp { holdings, ..answering(InventoryAnswer::default()) };
    let both = async || BTreeMap::from([(OWN, world.holdings().await), (FAR, HoldingsAnswer::default())]);
    let first = run(&world, reach(both().await)).await;
    assert!(first.violations.is_empty() && first.leaving_total > 0, "{first:?}");
    tokio::time::advance(LEAVING_GRACE + Duration::from_secs(2)).await;
    let late = run(&world, reach(both().await)).await;
    assert!(late.violations_total > 0 && late.leaving_total == 0, "{late:?}");
    assert_eq!(late.violations[0].kind, FindingKind::ForeignRepository);
}
