//! Resources stay bounded and return to their resting values: tasks, connections, memory budgets, the Raft log, the
//! directories of states and snapshots.
//!
//! Each node is sampled all the time. Ceilings hold during the whole run and are generous: they stop what grows without
//! end, not what is merely large. The strict comparison is made at rest: what a node holds after the storm, when nobody
//! asks it anything, is what it held after the boot, within a stated slack.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use node::gateway::Load;
use node::start::Node;
use raft::group::{GroupStatus, Role};

use super::Court;
use super::inspection::{FilesBelow, Ground};

const JUDGE: &str = "bounds";

/// Tasks of one node at any time. A request takes some ten to twenty of them; the clients of a run have a few dozen
/// requests in flight, those included whose client went away and whose connection has yet to time out.
const TASKS_MAX: usize = 4000;
/// Connections of one node at any time: those of peers, and those of clients that went away without a word, which stay
/// until they time out.
const STREAMS_MAX: usize = 1000;
/// Entries of one log at any time, beyond the fourfold of those after which a snapshot is due: a snapshot may be slow
/// or fail, and the log grows meanwhile.
const LOG_SLACK: u64 = 20_000;
/// States and snapshots of one group at any time: the current one, the one that replaces it, and those that somebody
/// still reads.
const DIRECTORIES_MAX: usize = 8;

/// Samples of which the calmest counts at rest: what is being answered at one moment is not what is held.
const CALM_SAMPLES: usize = 10;
/// Tasks that a leader has for each other replica of a group: one for its entries, one for its heartbeats.
const TASKS_PER_FOLLOWER: usize = 2;
/// Tasks of a connection: the side that opened it has two, the other one.
const TASKS_PER_CONNECTION: usize = 2;
/// Tasks that hold the way to another node, whether it is connected or not: one for each kind of connection.
const TASKS_PER_WAY: usize = 2;
/// Tasks of a request that another node has sent and that is being answered.
const TASKS_PER_REQUEST: usize = 3;
/// Connections at rest for each other node that a node may not have had after the boot: those for bulk, one that it
/// opened and one that the other did. The first shard opens them.
const RESTING_STREAMS_PER_PEER: usize = 2;
/// The same besides for each node that was no member then: one for messages that it opened, and one that the other did.
const RESTING_STREAMS_PER_NEW_PEER: usize = 2;
/// The same for the node itself: who asks a leader that it has just become itself does so over a connection, of which
/// it has both ends.
const RESTING_STREAMS_TO_ITSELF: usize = 2;
/// Entries of a log at rest, in quarters of those after which a snapshot is due: a snapshot is taken after four
/// quarters, one quarter is kept for followers that were away for a short time, and purges go by eighths.
const RESTING_LOG_QUARTERS: u64 = 6;
/// Entries that come while a snapshot is being taken.
const RESTING_LOG_SLACK: u64 = 200;

/// What a node holds at one moment.
#[derive(Clone, Debug, Default)]
struct Sample {
    tasks: usize,
    streams: usize,
    load: Load,
    groups: Vec<GroupStatus>,
    /// States and snapshots by group.
    directories: BTreeMap<String, Directories>,
}

impl Sample {
    /// Replicas that this node leads, besides its own.
    fn followers(&self) -> usize {
        let led = self.groups.iter().filter(|status| status.role == Role::Leader);
        led.map(|status| members(status).saturating_sub(1)).sum()
    }

    /// Other nodes that this node has a way to, lost ones included as long as they are members.
    fn peers(&self) -> usize {
        self.groups.iter().map(members).max().unwrap_or_default().saturating_sub(1)
    }
}

/// Members of a group, as a replica knows.
fn members(status: &GroupStatus) -> usize {
    status.voters.iter().chain(&status.learners).collect::<BTreeSet<_>>().len()
}

/// Directories of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Directories {
    states: usize,
    snapshots: usize,
    /// Snapshots that come in or are being made.
    unfinished: usize,
}

#[derive(Debug, Default)]
struct Books {
    latest: BTreeMap<usize, Sample>,
    /// Tasks of the last samples.
    tasks: BTreeMap<usize, VecDeque<usize>>,
    resting: BTreeMap<usize, Sample>,
}

impl Books {
    fn note(&mut self, number: usize, sample: Sample) {
        let tasks = self.tasks.entry(number).or_default();
        tasks.push_back(sample.tasks);
        if tasks.len() > CALM_SAMPLES {
            tasks.pop_front();
        }
        self.latest.insert(number, sample);
    }

    /// What the nodes hold, with the tasks of the calmest of the last moments.
    fn calm(&self) -> BTreeMap<usize, Sample> {
        let calm = |(number, sample): (&usize, &Sample)| {
            let tasks = self.tasks.get(number).and_then(|tasks| tasks.iter().min().copied());
            (*number, Sample { tasks: tasks.unwrap_or(sample.tasks), ..sample.clone() })
        };
        self.latest.iter().map(calm).collect()
    }
}

/// The judge.
#[derive(Debug)]
pub struct Bounds {
    court: Court,
    ground: Ground,
    books: Mutex<Books>,
}

impl Bounds {
    /// A judge that accuses before this court.
    #[must_use]
    pub fn new(court: Court, ground: Ground) -> Self {
        Self { court, ground, books: Mutex::default() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Samples a node. Must be called on its host.
    pub fn inspect(&self, number: usize, node: &Node) {
        let sample = Sample {
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            streams: (self.ground.open_connections)(number),
            load: node.load(),
            groups: node.group_statuses(),
            directories: directories(&self.ground.files_below, number, &self.ground.groups),
        };
        self.record(number, sample);
    }

    fn record(&self, number: usize, sample: Sample) {
        self.stays_below(number, "tasks", sample.tasks, TASKS_MAX);
        self.stays_below(number, "connections", sample.streams, STREAMS_MAX);
        for status in &sample.groups {
            let max = 4 * self.ground.snapshot_after_entries + LOG_SLACK;
            if log_length(status) > max {
                let text = format!("node {number}: the log of {} has {} entries", status.group, log_length(status));
                self.court.accuse(JUDGE, format!("{text}, at most {max} are expected"));
            }
        }
        for (group, found) in &sample.directories {
            let count = found.states.max(found.snapshots).max(found.unfinished);
            self.stays_below(number, &format!("directories of {group}"), count, DIRECTORIES_MAX);
        }
        self.books().note(number, sample);
    }

    fn stays_below(&self, number: usize, what: &str, count: usize, max: usize) {
        if count > max {
            self.court.accuse(JUDGE, format!("node {number} has {count} {what}, at most {max} are expected"));
        }
    }

    /// What the nodes hold now is what they hold at rest.
    pub fn rests(&self) {
        let mut books = self.books();
        books.resting = books.calm();
    }

    /// Compares what these nodes hold now with what they held at rest.
    pub fn conclude(&self, members: &BTreeSet<usize>) {
        let books = self.books();
        for (number, sample) in books.calm().into_iter().filter(|(number, _)| members.contains(number)) {
            if let Some(resting) = books.resting.get(&number) {
                self.returns(number, &sample, resting);
            }
        }
    }

    fn returns(&self, number: usize, sample: &Sample, resting: &Sample) {
        let returns = |what: &str, now: usize, then: usize, slack: usize| {
            self.court_unless(now <= then + slack, || {
                format!(
                    "node {number} has {now} {what} at rest, it had {then} after the boot and may have {slack} more"
                )
            });
        };
        let peers = sample.peers();
        let new_peers = peers.saturating_sub(resting.peers());
        let streams =
            RESTING_STREAMS_PER_PEER * peers + RESTING_STREAMS_PER_NEW_PEER * new_peers + RESTING_STREAMS_TO_ITSELF;
        returns("connections", sample.streams, resting.streams, streams);
        // What was led after the boot may be led by another one now, and the other way round.
        let tasks = TASKS_PER_FOLLOWER * sample.followers()
            + TASKS_PER_CONNECTION * sample.streams.saturating_sub(resting.streams)
            + TASKS_PER_WAY * (1 + new_peers)
            + TASKS_PER_REQUEST * peers;
        returns("tasks", sample.tasks, resting.tasks.saturating_sub(TASKS_PER_FOLLOWER * resting.followers()), tasks);
        self.court_unless(sample.load == Load::default(), || format!("node {number} at rest: {:?}", sample.load));
        for status in &sample.groups {
            let (length, due) = (log_length(status), self.ground.snapshot_after_entries);
            let max = due * RESTING_LOG_QUARTERS / 4 + RESTING_LOG_SLACK;
            self.court_unless(length <= max, || {
                let group = status.group;
                format!("node {number} at rest: the log of {group} has {length} entries, {max} are expected at most")
            });
        }
        for (group, found) in &sample.directories {
            // A snapshot may just have been taken; the one before goes within a second or so.
            let rests = found.states == 1 && found.snapshots <= 2 && found.unfinished <= 1;
            self.court_unless(rests, || format!("node {number} at rest: {group} has {found:?}"));
        }
    }

    fn court_unless(&self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.court.accuse(JUDGE, text());
        }
    }
}

/// Entries between the last one purged and the last one.
fn log_length(status: &GroupStatus) -> u64 {
    let end = |index: Option<u64>| index.map_or(0, |index| index + 1);
    end(status.last_log_index).saturating_sub(end(status.purged_index))
}

/// Directories of each group, told by the files in them.
fn directories(files_below: &FilesBelow, number: usize, groups: &Path) -> BTreeMap<String, Directories> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files_below(number, groups) {
        if let Some((group, name)) = group_and_directory(&path, groups) {
            found.entry(group).or_default().insert(name);
        }
    }
    found.into_iter().map(|(group, names)| (group, count(names.into_iter()))).collect()
}

fn group_and_directory(path: &Path, groups: &Path) -> Option<(String, String)> {
    let below: PathBuf = path.strip_prefix(groups).ok()?.to_owned();
    let mut parts = below.iter().map(|part| part.to_string_lossy().into_owned());
    let (group, name, _file) = (parts.next()?, parts.next()?, parts.next()?);
    Some((group, name))
}

fn count(names: impl Iterator<Item = String>) -> Directories {
    let mut found = Directories::default();
    for name in names {
        if Path::new(&name).extension().is_some_and(|end| end == "tmp") || name.starts_with("incoming-") {
            found.unfinished += 1;
        } else if name.starts_with("state-") {
            found.states += 1;
        } else if name.starts_with("snapshot-") {
            found.snapshots += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use raft::id::{GroupId, NodeId};

    use super::*;

    fn bounds() -> (Bounds, Court) {
        let court = Court::default();
        (Bounds::new(court.clone(), Ground::bare(3)), court)
    }

    fn status(last: u64, purged: u64) -> GroupStatus {
        GroupStatus {
            group: GroupId::Directory,
            role: Role::Follower,
            leader: None,
            term: 1,
            last_log_index: Some(last),
            committed_index: None,
            applied_index: None,
            snapshot_index: None,
            purged_index: Some(purged),
            voters: vec![NodeId(1), NodeId(2)],
            learners: vec![NodeId(3)],
            addresses: BTreeMap::new(),
            lag: BTreeMap::new(),
            failure: None,
        }
    }

    fn resting() -> Sample {
        let directories = Directories { states: 1, snapshots: 1, unfinished: 0 };
        Sample {
            tasks: 50,
            streams: 6,
            groups: vec![status(120, 80)],
            directories: BTreeMap::from([("directory".to_owned(), directories)]),
            ..Sample::default()
        }
    }

    fn after(end: &Sample) -> Option<String> {
        let (bounds, court) = bounds();
        bounds.record(1, resting());
        bounds.rests();
        for _ in 0..CALM_SAMPLES {
            bounds.record(1, end.clone());
        }
        bounds.conclude(&BTreeSet::from([1]));
        court.first().map(|violation| violation.text)
    }

    #[test]
    fn a_node_that_returns_to_rest_is_not_accused() {
        assert_eq!(after(&resting()), None);
        assert_eq!(after(&Sample { tasks: 58, streams: 9, ..resting() }), None);
    }

    #[test]
    fn what_does_not_return_is_accused() {
        assert!(after(&Sample { tasks: 100, ..resting() }).unwrap().contains("100 tasks"));
        assert!(after(&Sample { streams: 20, ..resting() }).unwrap().contains("20 connections"));
        let load = Load { write_budget_used_bytes: 1024, ..Load::default() };
        assert!(after(&Sample { load, ..resting() }).unwrap().contains("write_budget_used_bytes: 1024"));
        assert!(after(&Sample { groups: vec![status(900, 80)], ..resting() }).unwrap().contains("820 entries"));
        let left = Directories { states: 2, snapshots: 1, unfinished: 0 };
        let directories = BTreeMap::from([("directory".to_owned(), left)]);
        assert!(after(&Sample { directories, ..resting() }).unwrap().contains("states: 2"));
    }

    #[test]
    fn who_leads_has_tasks_for_it_and_whoever_does_not_has_none() {
        let leads = |tasks, streams, role| {
            let groups = vec![GroupStatus { role, ..status(120, 80) }];
            after(&Sample { tasks, streams, groups, ..resting() })
        };
        // Two peers: one request of each, a way to itself, four tasks for two followers.
        assert_eq!(leads(62, 6, Role::Leader), None);
        assert!(leads(63, 6, Role::Leader).unwrap().contains("63 tasks at rest, it had 50"));
        assert!(leads(59, 6, Role::Follower).is_some());
        assert_eq!(leads(74, 12, Role::Leader), None);
        assert!(leads(74, 13, Role::Leader).unwrap().contains("13 connections"));
    }

    #[test]
    fn a_moment_in_which_much_is_answered_is_not_accused() {
        let (bounds, court) = bounds();
        bounds.record(1, resting());
        bounds.rests();
        for tasks in [90, 50, 90] {
            bounds.record(1, Sample { tasks, ..resting() });
        }
        bounds.conclude(&BTreeSet::from([1]));
        assert_eq!(court.first(), None);
    }

    #[test]
    fn ceilings_hold_all_the_time() {
        for sample in [
            Sample { tasks: TASKS_MAX + 1, ..resting() },
            Sample { streams: STREAMS_MAX + 1, ..resting() },
            Sample { groups: vec![status(30_000, 0)], ..resting() },
        ] {
            let (bounds, court) = bounds();
            bounds.record(1, sample);
            assert!(court.first().is_some());
        }
    }

    #[test]
    fn directories_are_told_by_the_files_in_them() {
        let files: FilesBelow = Arc::new(|_, groups| {
            let below = |path: &str| groups.join(path);
            vec![
                below("directory/state-2/memory-engine"),
                below("directory/state-3/memory-engine"),
                below("directory/snapshot-7/contents"),
                below("directory/snapshot-7/state/checkpoint"),
                below("directory/snapshot-8.tmp/contents"),
                below("directory/incoming-9/checkpoint"),
            ]
        });
        let found = directories(&files, 1, Path::new("/data/groups"));
        assert_eq!(found["directory"], Directories { states: 2, snapshots: 1, unfinished: 2 });
    }
}
