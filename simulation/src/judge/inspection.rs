//! The judges that look into running nodes, and when each of them looks.
//!
//! A look at everything costs as much as the state is large, so that the cheap samples are taken each time, the dear ones
//! now and then, and all of them once more when the run has come to rest. A look whose engine fails says nothing and is
//! counted; at rest it is taken again, and a node that could not be looked into then is accused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use node::start::Node;
use storage::shard::ShardName;

use super::bounds::Bounds;
use super::catalog::Catalog;
use super::copies::Copies;
use super::holdings::Holdings;
use super::mending::Noticed;
use super::replicas::Replicas;
use super::shards::{Excused, Strays};
use super::{Court, emptiness, mending, redundancy, shards};
use crate::cluster::{Control, DATA_DIR};
use crate::disk::Condition;

/// Name of the judge of the judges.
const JUDGE: &str = "inspection";
/// Virtual time between two hashes of a node's states.
const HASH_INTERVAL: Duration = Duration::from_secs(2);
/// Virtual time between two looks at the copies that a node has of other regions' content.
const COPIES_INTERVAL: Duration = Duration::from_millis(250);
/// Virtual time between two audits of a node's catalog.
const AUDIT_INTERVAL: Duration = Duration::from_secs(7);

/// Files of a node below a directory, in order. What the disk's faults do to a process does not matter to it.
pub type FilesBelow = Arc<dyn Fn(usize, &Path) -> Vec<PathBuf> + Send + Sync>;
/// Shard files of a node below a directory, and how they are.
pub type ShardsBelow = Arc<dyn Fn(usize, &Path) -> BTreeMap<ShardName, Condition> + Send + Sync>;

/// Where the judges look.
#[derive(Clone)]
pub struct Ground {
    /// The nodes that are members, by number.
    pub members: Arc<dyn Fn() -> BTreeSet<usize> + Send + Sync>,
    /// Entries of a log after which a snapshot is due.
    pub snapshot_after_entries: u64,
    /// Directory of the Raft groups on every node.
    pub groups: PathBuf,
    /// Lists files.
    pub files_below: FilesBelow,
    /// Lists shard files.
    pub shards_below: ShardsBelow,
    /// Counts the connections that a node has open.
    pub open_connections: Arc<dyn Fn(usize) -> usize + Send + Sync>,
}

impl fmt::Debug for Ground {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ground").field("members", &(self.members)()).finish_non_exhaustive()
    }
}

impl Ground {
    /// The ground of a simulated cluster, which is held as soon as it runs.
    #[must_use]
    pub fn of(held: &Arc<OnceLock<Control>>, snapshot_after_entries: u64) -> Self {
        let for_members = Arc::clone(held);
        let (for_files, for_shards, for_connections) = (Arc::clone(held), Arc::clone(held), Arc::clone(held));
        Self {
            members: Arc::new(move || for_members.get().map(Control::members).unwrap_or_default()),
            snapshot_after_entries,
            groups: Path::new(DATA_DIR).join("groups"),
            files_below: Arc::new(move |number, directory| {
                let Some(control) = for_files.get() else { return Vec::new() };
                let computer = control.computer(number);
                let disks = computer.data_disks().into_iter().chain([computer.system_disk().clone()]);
                disks.flat_map(|disk| disk.files_below(directory)).collect()
            }),
            shards_below: Arc::new(move |number, directory| {
                let Some(control) = for_shards.get() else { return BTreeMap::new() };
                let disks = control.computer(number).data_disks().into_iter();
                disks.flat_map(|disk| disk.shards_below(directory)).collect()
            }),
            open_connections: Arc::new(move |number| {
                for_connections.get().map_or(0, |control| control.computer(number).network().open_connections())
            }),
        }
    }

    /// A ground on which there is nothing.
    #[cfg(test)]
    pub(super) fn bare(nodes: usize) -> Self {
        Self { members: Arc::new(move || (1..=nodes).collect()), ..Self::of(&Arc::default(), 100) }
    }
}

/// Looks into a node that were taken, of one judge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Looks {
    taken: u64,
    failed: u64,
    /// Why the last one said nothing, if it did not.
    failure: Option<String>,
}

/// When something was last looked at, and what came of it.
#[derive(Debug, Default)]
struct Diary {
    hashed: BTreeMap<usize, Duration>,
    audited: BTreeMap<usize, Duration>,
    compared: BTreeMap<usize, Duration>,
    /// By judge and node.
    looks: BTreeMap<(&'static str, usize), Looks>,
    /// Whether the run has come to rest.
    settled: bool,
    /// What the nodes held when they were looked into after that.
    holdings: BTreeMap<usize, Holdings>,
    /// The strays that there were when their grace began.
    strays: Strays,
    /// Times that readers lost their patience, by node.
    hedged_reads: BTreeMap<usize, u64>,
    reading: Option<Reading>,
}

/// The final reading.
#[derive(Debug)]
struct Reading {
    began: Duration,
    /// Times that readers had lost their patience when it began.
    hedged_reads: u64,
    /// The damage that was met in it, if every reader waited for all answers.
    noticed: Option<Noticed>,
}

impl Diary {
    /// Whether it is time; if so, it is noted.
    fn is_due(times: &mut BTreeMap<usize, Duration>, number: usize, now: Duration, interval: Duration) -> bool {
        let due = times.get(&number).is_none_or(|last| now >= *last + interval);
        if due {
            times.insert(number, now);
        }
        due
    }

    /// Notes a look. Whether it said something.
    fn note<T, E: fmt::Display>(&mut self, judge: &'static str, number: usize, look: Result<T, E>) -> Option<T> {
        let looks = self.looks.entry((judge, number)).or_default();
        looks.taken += 1;
        looks.failure = look.as_ref().err().map(ToString::to_string);
        looks.failed += u64::from(look.is_err());
        look.ok()
    }

    /// Whether a node's holdings are yet to be taken, or were when others had not applied as much as by now.
    fn is_awaited(&self, number: usize) -> bool {
        let newest = |region| {
            let of_region = self.holdings.values().filter(|holdings| holdings.region == region);
            of_region.map(|holdings| holdings.applied).max().flatten()
        };
        self.settled && self.holdings.get(&number).is_none_or(|holdings| holdings.applied < newest(holdings.region))
    }
}

/// The judges that look into running nodes.
#[derive(Debug)]
pub struct Inspection {
    court: Court,
    ground: Ground,
    replicas: Replicas,
    catalog: Catalog,
    copies: Copies,
    bounds: Bounds,
    excused: ExcusedShards,
    diary: Mutex<Diary>,
}

/// [`Excused`], which cannot be shown.
struct ExcusedShards(Excused);

impl fmt::Debug for ExcusedShards {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ExcusedShards")
    }
}

impl Inspection {
    /// The judges of a run. `excused` says which shards were destroyed on purpose.
    #[must_use]
    pub fn new(court: &Court, ground: &Ground, excused: Excused) -> Self {
        Self {
            court: court.clone(),
            ground: ground.clone(),
            replicas: Replicas::new(court.clone()),
            catalog: Catalog::new(court.clone()),
            copies: Copies::new(court.clone()),
            bounds: Bounds::new(court.clone(), ground.clone()),
            excused: ExcusedShards(excused),
            diary: Mutex::default(),
        }
    }

    fn diary(&self) -> MutexGuard<'_, Diary> {
        self.diary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks into a node. To be called every hundred milliseconds or so, on the node's host.
    pub fn inspect(&self, number: usize, node: &Node) {
        let now = turmoil::sim_elapsed().unwrap_or_default();
        self.bounds.inspect(number, node);
        let mut diary = self.diary();
        diary.hedged_reads.insert(number, node.hedged_reads());
        let last = diary.is_awaited(number) && (self.ground.members)().contains(&number);
        let hash = Diary::is_due(&mut diary.hashed, number, now, HASH_INTERVAL);
        let audit = Diary::is_due(&mut diary.audited, number, now, AUDIT_INTERVAL);
        if Diary::is_due(&mut diary.compared, number, now, COPIES_INTERVAL) {
            diary.note("copies", number, self.copies.inspect(number, node));
        }
        let hashed = (hash || last).then(|| diary.note("replicas", number, self.replicas.inspect(number, node)));
        let audited = (audit || last).then(|| diary.note("catalog", number, self.catalog.inspect(number, node)));
        if last
            && let Some(holdings) = diary.note("shards", number, Holdings::take(&self.ground, number, node))
            && hashed.flatten().is_some()
            && audited.flatten().is_some()
        {
            diary.holdings.insert(number, holdings);
        }
    }

    /// The cluster has booted and nobody asks it anything: this is what rest looks like.
    pub fn booted(&self) {
        self.bounds.rests();
    }

    /// The final reading begins: nothing is wrong any more, nobody interrupts it.
    pub fn reading_begins(&self) {
        let mut diary = self.diary();
        let hedged_reads = diary.hedged_reads.values().sum();
        diary.reading =
            Some(Reading { began: turmoil::sim_elapsed().unwrap_or_default(), hedged_reads, noticed: None });
    }

    /// The final reading is over, and each node was looked at since.
    pub fn reading_ended(&self) {
        let mut diary = self.diary();
        let hedged_reads: u64 = diary.hedged_reads.values().sum();
        if let Some(reading) = diary.reading.as_mut().filter(|reading| reading.hedged_reads == hedged_reads) {
            let shards = |number| (self.ground.shards_below)(number, Path::new("/"));
            let noticed = |number| mending::noticed(number, shards(number), reading.began);
            reading.noticed = Some((self.ground.members)().into_iter().flat_map(noticed).collect());
        }
    }

    /// The run has come to rest: each node is looked into once more, at everything, until all looks are of the same
    /// state. Wait for [`is_complete`](Self::is_complete) for some time, then [`conclude`](Self::conclude).
    pub fn settled(&self) {
        let mut diary = self.diary();
        diary.settled = true;
        diary.holdings.clear();
    }

    /// Whether all nodes were looked into since [`settled`](Self::settled).
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let diary = self.diary();
        diary.settled && (self.ground.members)().into_iter().all(|number| !diary.is_awaited(number))
    }

    /// The grace of the strays begins that were seen since [`settled`](Self::settled).
    pub fn grace_begins(&self) {
        let mut diary = self.diary();
        diary.strays = diary.holdings.iter().map(|(number, held)| (*number, held.strays.clone())).collect();
        diary.settled = false;
    }

    /// Why the redundancy is not full, as far as was looked at since [`settled`](Self::settled).
    #[must_use]
    pub fn weakness(&self) -> Option<String> {
        let court = Court::default();
        redundancy::judge(&self.diary().holdings, &court);
        court.first().map(|violation| violation.text)
    }

    /// Judges the run at rest, which may come several times in a run.
    pub fn conclude(&self, demands: Demands) -> Conclusion {
        self.bounds.conclude(&(self.ground.members)());
        let mut diary = self.diary();
        for number in (self.ground.members)().into_iter().filter(|number| diary.is_awaited(*number)) {
            let failures = diary.looks.iter().filter(|((_, node), looks)| *node == number && looks.failure.is_some());
            let failures: Vec<String> = failures.map(|((judge, _), looks)| format!("{judge}: {looks:?}")).collect();
            self.court.accuse(JUDGE, format!("node {number} could not be looked into at rest: {failures:?}"));
        }
        if demands.whole {
            redundancy::judge(&diary.holdings, &self.court);
        }
        let noticed = diary.reading.as_ref().and_then(|reading| reading.noticed.clone());
        if let Some(noticed) = &noticed {
            mending::judge(&diary.holdings, noticed, &self.court);
        }
        if demands.scrubbed {
            mending::judge_scrubbed(&diary.holdings, &self.court);
        }
        if demands.no_strays {
            shards::judge_strays(&diary.holdings, &diary.strays, &self.court);
        }
        if demands.emptied {
            emptiness::judge(&diary.holdings, &self.court);
        }
        diary.settled = false;
        Conclusion {
            orphans: shards::judge(&diary.holdings, &self.excused.0, demands.orphans_max, &self.court),
            noticed: noticed.as_ref().map(Noticed::len),
            looks: diary.looks.values().map(|looks| looks.taken).sum(),
            failed_looks: diary.looks.values().map(|looks| looks.failed).sum(),
        }
    }
}

/// What is demanded of a run at rest besides what always holds.
#[expect(clippy::struct_excessive_bools, reason = "each demand is one of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// Orphaned shards that are explained by interruptions.
    pub orphans_max: usize,
    /// Every member of the cluster lives: the redundancy is full.
    pub whole: bool,
    /// All disks were scrubbed, and what was found is rebuilt: nothing is damaged.
    pub scrubbed: bool,
    /// The grace is over that [`Inspection::grace_begins`] began: none of its strays is left.
    pub no_strays: bool,
    /// Everything was deleted, and its graces are over: nothing is left.
    pub emptied: bool,
}

/// What was seen of a run at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Orphaned shards.
    pub orphans: usize,
    /// Damaged shards that were met in the final reading; not known when a reader lost its patience.
    pub noticed: Option<usize>,
    /// Dear looks into nodes.
    pub looks: u64,
    /// Those of them that said nothing, because an engine failed.
    pub failed_looks: u64,
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, Result};
    use bytes::Bytes;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::cluster::{Fate, Inspector, World};
    use crate::judge::raft_safety::RaftSafety;
    use crate::seed::Seed;
    use crate::trace::Trace;
    use crate::workload::Direct;

    const LONG: Duration = Duration::from_mins(2);

    #[test]
    fn dear_looks_are_taken_now_and_then_on_each_node() {
        let mut times = BTreeMap::new();
        let mut due =
            |number, seconds| Diary::is_due(&mut times, number, Duration::from_secs(seconds), Duration::from_secs(5));
        assert!(due(1, 0) && !due(1, 4) && due(2, 4) && due(1, 5) && !due(1, 9) && due(2, 9));
    }

    /// Pushes images through a node, with the patience that an election takes.
    async fn push(control: &Control, number: usize, count: u8) -> Result<()> {
        for image in 0..count {
            let layer = Bytes::from(vec![image; 100_000]);
            let client = Direct::new(&control.surroundings(), number);
            let tag = format!("tag-{number}-{image}");
            let tries = async {
                while client.push_image("library/app", &tag, &layer).await.is_err() {
                    sleep(Duration::from_secs(1)).await;
                }
            };
            timeout(LONG, tries).await.context("a push")?;
        }
        Ok(())
    }

    async fn story(control: Control, inspection: Arc<Inspection>, sabotage: bool) -> Result<()> {
        control.ready(&[1, 2, 3], LONG).await?;
        sleep(Duration::from_secs(20)).await;
        inspection.booted();
        push(&control, 1, 6).await?;
        control.fate(2, Fate::PowerLoss).await;
        push(&control, 3, 6).await?;
        control.fate(2, Fate::Start).await;
        control.ready(&[1, 2, 3], LONG).await?;
        for number in 1..=3 {
            control.fate(number, Fate::PowerLoss).await;
        }
        for number in 1..=3 {
            control.fate(number, Fate::Start).await;
        }
        control.ready(&[1, 2, 3], LONG).await?;
        push(&control, 2, 6).await?;
        control.redundant(1, LONG).await?;
        if sabotage {
            let disk = control.computer(1).data_disks()[0].clone();
            for shard in disk.shard_files() {
                disk.lose(&shard)?;
            }
        }
        sleep(Duration::from_secs(90)).await;
        inspection.settled();
        while !inspection.is_complete() {
            sleep(Duration::from_millis(100)).await;
        }
        inspection.conclude(Demands { orphans_max: 40, whole: true, ..Demands::default() });
        Ok(())
    }

    /// What is accused in a run with crashes, and whether the judges saw anything at all.
    fn accusations(sabotage: bool) -> Vec<String> {
        let court = Court::default();
        let held: Arc<OnceLock<Control>> = Arc::default();
        let mut world = World::quiet(Seed(5), 3, Duration::from_mins(20));
        world.settings.snapshot_after_entries = 100;
        let ground = Ground::of(&held, world.settings.snapshot_after_entries);
        let inspection = Arc::new(Inspection::new(&court, &ground, Arc::new(|_, _| false)));
        let looks = Arc::clone(&inspection);
        let inspector: Inspector = Arc::new(move |number, node| looks.inspect(number, node));
        world.inspector = Some(inspector);
        world.witness = Some(Arc::new(RaftSafety::new(court.clone())));
        let ended = world.run(&Trace::default(), &court, move |control| {
            // It is set once.
            let _ = held.set(control.clone());
            story(control, inspection, sabotage)
        });
        let violations: Vec<String> = court.all().iter().map(ToString::to_string).collect();
        assert!(ended.is_ok() || !violations.is_empty(), "{ended:?}");
        violations
    }

    #[test]
    fn a_cluster_that_lost_its_power_and_came_to_rest_is_not_accused() {
        assert_eq!(accusations(false), Vec::<String>::new());
    }

    #[test]
    fn a_shard_that_went_unnoticed_is_accused() {
        let violations = accusations(true);
        assert!(violations.iter().any(|text| text.contains("node 1 lacks")), "{violations:?}");
    }
}
