//! The judges that look into running nodes, and when each of them looks.
//!
//! A look at everything costs as much as the state is large, so that the cheap samples are taken each time, the dear ones
//! now and then, and all of them once more when the run has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use node::start::Node;

use super::Court;
use super::bounds::Bounds;
use super::catalog::Catalog;
use super::replicas::Replicas;
use super::shards::{Excused, Shards};

/// Virtual time between two hashes of a node's states.
const HASH_INTERVAL: Duration = Duration::from_secs(2);
/// Virtual time between two audits of a node's catalog.
const AUDIT_INTERVAL: Duration = Duration::from_secs(7);

/// Files of a node below a directory, in order. What the disk's faults do to a process does not matter to it.
pub type FilesBelow = Arc<dyn Fn(usize, &Path) -> Vec<PathBuf> + Send + Sync>;

/// Where the judges look.
#[derive(Clone)]
pub struct Ground {
    /// Nodes of the cluster.
    pub nodes: usize,
    /// Entries of a log after which a snapshot is due.
    pub snapshot_after_entries: u64,
    /// Directory of the Raft groups on every node.
    pub groups: PathBuf,
    /// Lists files.
    pub files_below: FilesBelow,
    /// Counts the connections that a node has open.
    pub open_connections: Arc<dyn Fn(usize) -> usize + Send + Sync>,
}

impl fmt::Debug for Ground {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ground").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

/// When something was last looked at, and what the last look is due for.
#[derive(Debug, Default)]
struct Diary {
    hashed: BTreeMap<usize, Duration>,
    audited: BTreeMap<usize, Duration>,
    /// Nodes that the last look has yet to come to; none before [`Inspection::settled`].
    awaited: Option<BTreeSet<usize>>,
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
}

/// The judges that look into running nodes.
#[derive(Debug)]
pub struct Inspection {
    replicas: Replicas,
    catalog: Catalog,
    bounds: Bounds,
    shards: Shards,
    nodes: usize,
    diary: Mutex<Diary>,
}

impl Inspection {
    /// The judges of a run. `excused` says which shards were destroyed on purpose.
    #[must_use]
    pub fn new(court: &Court, ground: &Ground, excused: Excused) -> Self {
        Self {
            replicas: Replicas::new(court.clone()),
            catalog: Catalog::new(court.clone()),
            bounds: Bounds::new(court.clone(), ground.clone()),
            shards: Shards::new(court.clone(), ground.clone(), excused),
            nodes: ground.nodes,
            diary: Mutex::default(),
        }
    }

    fn diary(&self) -> MutexGuard<'_, Diary> {
        self.diary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks into a node. To be called every hundred milliseconds or so, on the node's host.
    pub fn inspect(&self, number: usize, node: &Node) {
        let now = turmoil::sim_elapsed().unwrap_or_default();
        let (last, hash, audit) = {
            let mut diary = self.diary();
            let last = diary.awaited.as_ref().is_some_and(|awaited| awaited.contains(&number));
            let hash = Diary::is_due(&mut diary.hashed, number, now, HASH_INTERVAL);
            let audit = Diary::is_due(&mut diary.audited, number, now, AUDIT_INTERVAL);
            (last, hash, audit)
        };
        self.bounds.inspect(number, node);
        if hash || last {
            self.replicas.inspect(number, node);
        }
        if audit || last {
            self.catalog.inspect(number, node);
        }
        if last {
            self.shards.inspect(number, node);
            if let Some(awaited) = &mut self.diary().awaited {
                awaited.remove(&number);
            }
        }
    }

    /// The cluster has booted and nobody asks it anything: this is what rest looks like.
    pub fn booted(&self) {
        self.bounds.rests();
    }

    /// The run has come to rest: each node is looked into once more, at everything. Wait for
    /// [`is_complete`](Self::is_complete), then [`conclude`](Self::conclude).
    pub fn settled(&self) {
        self.diary().awaited = Some((1..=self.nodes).collect());
    }

    /// Whether all nodes were looked into since [`settled`](Self::settled).
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.diary().awaited.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Judges the run at rest. Returns the number of orphaned shards, of which `orphans_max` are explained by
    /// interruptions.
    pub fn conclude(&self, orphans_max: usize) -> usize {
        self.bounds.conclude();
        self.shards.conclude(orphans_max)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use anyhow::{Context, Result};
    use bytes::Bytes;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::cluster::{Control, DATA_DIR, Fate, Inspector, World};
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
        inspection.conclude(40);
        Ok(())
    }

    /// What is accused in a run with crashes, and whether the judges saw anything at all.
    fn accusations(sabotage: bool) -> Vec<String> {
        let court = Court::default();
        let held: Arc<OnceLock<Control>> = Arc::default();
        let computers = Arc::clone(&held);
        let files_below: FilesBelow = Arc::new(move |number, directory| {
            let Some(control) = computers.get() else { return Vec::new() };
            let computer = control.computer(number);
            let mut disks = computer.data_disks();
            disks.push(computer.system_disk().clone());
            disks.iter().flat_map(|disk| disk.files_below(directory)).collect()
        });
        let mut world = World::quiet(Seed(5), 3, Duration::from_mins(20));
        world.settings.snapshot_after_entries = 100;
        let ground = Ground {
            nodes: 3,
            snapshot_after_entries: world.settings.snapshot_after_entries,
            groups: Path::new(DATA_DIR).join("groups"),
            files_below,
            open_connections: Arc::new(|_| 0),
        };
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
