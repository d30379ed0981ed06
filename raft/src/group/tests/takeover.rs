//! A group whose majority is lost is founded anew from what is left: nobody goes back, nothing is mixed, and what was
//! begun is finished after a crash.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::harness::{Cluster, GROUP, Machines, Node, leader, retry, wait_for};
use super::toy::{Set, Toy, count, value};
use crate::codec;
use crate::group::config::Payload;
use crate::group::incarnation::Incarnation;
use crate::group::log_store::{GroupLog, LogStore};
use crate::group::message::{Addressed, Append, Ballot, Request, Response};
use crate::group::options::MAX_APPEND_BYTES;
use crate::group::record::{LeaderRecord, LogIdRecord, VoteRecord};
use crate::group::state_store::{Item, StateStore};
use crate::group::succession::{self, Found};
use crate::group::{GroupOptions, GroupResources, HandleError, Role, TakeoverError};
use crate::id::{NodeId, RequestId};
use crate::machine::Stamp;
use crate::time::Timestamp;

/// What the clock of every replica says, which stands still.
const NOW: Timestamp = Timestamp(1_000_000);
const REQUEST: RequestId = RequestId([8; 16]);

fn first(text: &str) -> Set {
    Set { key: "first".to_owned(), value: Bytes::copy_from_slice(text.as_bytes()) }
}

async fn take_over(node: &Node, text: &str) -> Incarnation {
    let present = node.group.incarnation();
    let incarnation = node.group.take_over(present, present, REQUEST, first(text)).await.unwrap();
    wait_for("the founder to lead", || node.group.is_leader()).await;
    incarnation
}

/// Takes these into the founder's group, as voters.
async fn take_in(founder: &Node, others: &[u64]) {
    let mut voters: BTreeSet<NodeId> = founder.group.status().voters.into_iter().collect();
    for id in others {
        retry("adding a learner", || founder.group.add_learner(NodeId(*id), format!("node-{id}"))).await;
        voters.insert(NodeId(*id));
    }
    retry("changing voters", || founder.group.change_voters(voters.clone())).await;
}

fn shows(node: &Node, key: &str) -> Option<Bytes> {
    value(node.group.state().as_ref(), key)
}

async fn check_takeover(machines: Machines) {
    let mut cluster = Cluster::new(machines);
    cluster.snapshot_after_entries = 50;
    let mut nodes = cluster.start_voters(3).await;
    for number in 0..20 {
        nodes[0].set("kept", format!("{number}")).await.unwrap();
    }
    nodes[2].group.read_barrier().await.unwrap();
    let third = nodes.pop().unwrap();
    cluster.net.isolate(NodeId(3));
    for number in 0..120 {
        nodes[0].set("unheard", format!("{number}")).await.unwrap();
    }
    assert!(third.set("refused", "no quorum").await.is_err());

    let incarnation = take_over(&third, "third").await;
    assert_eq!(incarnation, Incarnation { number: NOW.0, founder: NodeId(3) });
    assert_eq!(third.group.status().voters, [NodeId(3)]);
    third.set("new", "new").await.unwrap();
    third.group.read_barrier().await.unwrap();
    assert_eq!(shows(&third, "kept").unwrap(), "19");
    assert_eq!(shows(&third, "first").unwrap(), "third");
    // Those that were given up run on behind the cut.
    nodes[1].set("unheard", "later").await.unwrap();
    nodes[0].group.read_barrier().await.unwrap();
    cluster.net.heal();
    let joined = || nodes.iter().all(|node| node.group.incarnation() == incarnation);
    wait_for("the old majority to notice", joined).await;
    assert!(nodes.iter().all(|node| !node.group.is_leader() && node.group.status().voters.is_empty()));
    assert_eq!(shows(&nodes[0], "unheard").unwrap(), "later", "until it knows better it shows what it knew");

    take_in(&third, &[1, 2]).await;
    for node in &nodes {
        node.group.read_barrier().await.unwrap();
        assert_eq!(shows(node, "unheard"), None);
        assert_eq!((shows(node, "kept").unwrap(), shows(node, "new").unwrap()), ("19".into(), "new".into()));
        assert_eq!(count(node.group.state().as_ref()), count(third.group.state().as_ref()));
    }
    // From now on it is a group as any other: it bears the loss of the founder.
    third.stop().await;
    nodes[0].set("after", "the founder").await.unwrap();
    for node in nodes.drain(..) {
        node.stop().await;
    }
    let nodes = [cluster.start(1).await, cluster.start(2).await, cluster.start(3).await];
    leader(&nodes.each_ref()).await;
    for node in &nodes {
        node.group.read_barrier().await.unwrap();
        assert_eq!(node.group.incarnation(), incarnation);
        assert_eq!(shows(node, "after").unwrap(), "the founder");
        assert_eq!(shows(node, "unheard"), None);
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_group_goes_on_and_the_lost_ones_follow_when_they_return() {
    check_takeover(Machines::rocks()).await;
    check_takeover(Machines::memory().0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_were_down_follow_when_they_start() {
    let cluster = Cluster::new(Machines::rocks());
    let mut nodes = cluster.start_voters(3).await;
    nodes[0].set("kept", "kept").await.unwrap();
    nodes[2].group.read_barrier().await.unwrap();
    let third = nodes.pop().unwrap();
    for node in nodes {
        node.stop().await;
    }
    let incarnation = take_over(&third, "third").await;
    // Together they would be a majority of what was.
    let returned = [cluster.start(1).await, cluster.start(2).await];
    take_in(&third, &[1, 2]).await;
    for node in returned {
        node.group.read_barrier().await.unwrap();
        assert_eq!(node.group.incarnation(), incarnation);
        assert_eq!(shows(&node, "first").unwrap(), "third");
        node.stop().await;
    }
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_took_over_unheard_of_each_other_one_goes_on() {
    let cluster = Cluster::new(Machines::memory().0);
    let nodes = cluster.start_voters(3).await;
    nodes[0].set("kept", "kept").await.unwrap();
    for node in &nodes {
        node.group.read_barrier().await.unwrap();
    }
    for id in 1..=3 {
        cluster.net.isolate(NodeId(id));
    }
    take_over(&nodes[1], "second").await;
    let incarnation = take_over(&nodes[2], "third").await;
    nodes[1].set("only", "second").await.unwrap();
    cluster.net.heal();
    take_in(&nodes[2], &[1, 2]).await;
    for node in &nodes {
        node.group.read_barrier().await.unwrap();
        assert_eq!(node.group.incarnation(), incarnation);
        assert_eq!((shows(node, "only"), shows(node, "first").unwrap()), (None, "third".into()));
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_voted_or_acknowledged_across_incarnations() {
    let cluster = Cluster::new(Machines::memory().0);
    let node = cluster.start(1).await;
    node.group.initialize().await.unwrap();
    node.set("kept", "kept").await.unwrap();
    let incarnation = take_over(&node, "anew").await;
    let term = node.group.status().term;
    let vote = VoteRecord { leader: LeaderRecord { term: 1000, node: 2 }, committed: false };
    let ballot = Ballot { vote, last_log_id: None, leadership_transfer: true };
    let append = Append { vote, previous: None, entries: Vec::new(), committed: None };
    for request in
        [Request::Vote(ballot.clone()), Request::PreVote(ballot), Request::Append(append), Request::ReadIndex]
    {
        let old = Addressed { incarnation: Incarnation::default(), request };
        let answer = node.group.handle(Bytes::from(codec::encode(&old))).await.unwrap();
        assert_eq!(codec::decode::<Response>(&answer).unwrap(), Response::OtherIncarnation(incarnation));
    }
    assert_eq!(node.group.status().term, term);
    let again = node.group.take_over(Incarnation::default(), incarnation, REQUEST, first("again")).await;
    assert!(matches!(again, Err(TakeoverError::Incarnation { .. })), "{again:?}");
    // A message of a higher one is not acted on either: the replica gives up what it has first.
    let higher = incarnation.next(NodeId(2), NOW);
    let request = Addressed { incarnation: higher, request: Request::ReadIndex };
    let answer = node.group.handle(Bytes::from(codec::encode(&request))).await.unwrap();
    assert_eq!(codec::decode::<Response>(&answer).unwrap(), Response::OtherIncarnation(incarnation));
    wait_for("the replica to join", || node.group.incarnation() == higher).await;
    assert_eq!(node.group.status().role, Role::Learner);
    assert_eq!(node.group.last_position().await.unwrap(), None);
    let empty = node.group.take_over(higher, higher, REQUEST, first("again")).await;
    assert!(matches!(empty, Err(TakeoverError::Empty { .. })), "{empty:?}");
    assert_eq!(shows(&node, "kept").unwrap(), "kept");
    node.stop().await;
}

/// The stores of a node that does not run.
struct Stores {
    log: Arc<LogStore>,
    part: GroupLog,
    state: Arc<StateStore<Toy>>,
}

impl Stores {
    async fn open(cluster: &Cluster, id: u64) -> Self {
        let engines = Arc::clone(&cluster.machines.engines);
        let directory = cluster.machines.path(&format!("{id}-log"));
        let log = LogStore::open(Arc::clone(&engines), &directory, cluster.exec).await.unwrap();
        let options = GroupOptions::new(GROUP, NodeId(id), "", cluster.machines.path(&format!("{id}-group")));
        let resources = GroupResources {
            log: Arc::clone(&log),
            engines,
            files: Arc::clone(&cluster.machines.files),
            exec: cluster.exec,
            clock: Arc::new(super::storage_suite::NoClock),
            transport: Arc::new(super::storage_suite::NoTransport),
            witness: None,
        };
        let state = Arc::new(StateStore::open(&options, &resources).unwrap());
        Self { part: log.group(GROUP, MAX_APPEND_BYTES, None), log, state }
    }

    async fn begin_to_found(&self, id: u64, now: Timestamp) -> Found {
        let last = succession::last_position(&self.part, &self.state).unwrap().unwrap();
        let found = Found {
            incarnation: succession::incarnation(&self.part).unwrap().next(NodeId(id), now),
            term: succession::next_term(&self.part, last).unwrap(),
            address: format!("node-{id}"),
            last,
            stamp: Stamp { time: now, request: REQUEST },
            command: Bytes::from(codec::encode(&first("crashed"))),
        };
        succession::begin_to_found(&self.part, found.clone()).await.unwrap();
        found
    }

    async fn close(self) {
        let Self { log, part, state } = self;
        drop((part, state));
        log.close().await;
    }
}

/// Three nodes that have stopped, each of which has heard of everything.
async fn stopped_cluster() -> Cluster {
    let cluster = Cluster::new(Machines::rocks());
    let nodes = cluster.start_voters(3).await;
    for number in 0..10 {
        nodes[0].set("kept", format!("{number}")).await.unwrap();
    }
    for node in &nodes {
        node.group.read_barrier().await.unwrap();
    }
    for node in nodes {
        node.stop().await;
    }
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founding_that_a_crash_interrupts_is_finished() {
    for applied_before in [false, true] {
        let cluster = stopped_cluster().await;
        let stores = Stores::open(&cluster, 3).await;
        let found = stores.begin_to_found(3, NOW).await;
        if applied_before {
            succession::apply_all(&stores.part, &stores.state, &found).unwrap();
        }
        stores.close().await;
        let node = cluster.start(3).await;
        wait_for("the founder to lead", || node.group.is_leader()).await;
        assert_eq!(node.group.incarnation(), found.incarnation);
        assert_eq!((shows(&node, "kept").unwrap(), shows(&node, "first").unwrap()), ("9".into(), "crashed".into()));
        assert_eq!(count(node.group.state().as_ref()), 11, "each was applied once");
        let (one, two) = (cluster.start(1).await, cluster.start(2).await);
        take_in(&node, &[1, 2]).await;
        for other in [one, two] {
            other.group.read_barrier().await.unwrap();
            assert_eq!(shows(&other, "first").unwrap(), "crashed");
            other.stop().await;
        }
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joining_that_a_crash_interrupts_is_finished() {
    for outdated_before in [false, true] {
        let cluster = stopped_cluster().await;
        let stores = Stores::open(&cluster, 1).await;
        let incarnation = Incarnation::default().next(NodeId(3), NOW);
        succession::begin_to_join(&stores.part, incarnation).await.unwrap();
        if outdated_before {
            stores.state.outdate().unwrap();
            let log_id = LogIdRecord { leader: LeaderRecord { term: 9, node: 3 }, index: 0 };
            let item = Item { log_id, payload: Payload::Blank, answer: false };
            assert!(stores.state.apply(vec![item]).is_err(), "a state that is outdated takes no entry");
        }
        stores.close().await;
        let one = cluster.start(1).await;
        assert_eq!((one.group.incarnation(), one.group.last_position().await.unwrap()), (incarnation, None));
        assert_eq!(shows(&one, "kept").unwrap(), "9");
        let three = cluster.start(3).await;
        assert_eq!(take_over(&three, "third").await, incarnation);
        take_in(&three, &[1]).await;
        one.group.read_barrier().await.unwrap();
        assert_eq!(shows(&one, "first").unwrap(), "third");
        one.stop().await;
        three.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founding_that_crashed_does_not_beat_a_later_one_that_lives() {
    let cluster = stopped_cluster().await;
    let stores = Stores::open(&cluster, 3).await;
    // Earlier, by the greater node, and nobody heard of it.
    let crashed = stores.begin_to_found(3, Timestamp(NOW.0 - 1)).await;
    stores.close().await;
    let two = cluster.start(2).await;
    let living = take_over(&two, "living").await;
    two.set("acknowledged", "by the living").await.unwrap();
    let three = cluster.start(3).await;
    assert!(living > crashed.incarnation);
    take_in(&two, &[3]).await;
    for node in [&two, &three] {
        node.group.read_barrier().await.unwrap();
        assert_eq!(node.group.incarnation(), living);
        assert_eq!((shows(node, "first").unwrap(), shows(node, "kept").unwrap()), ("living".into(), "9".into()));
        assert_eq!(shows(node, "acknowledged").unwrap(), "by the living");
    }
    two.stop().await;
    three.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founder_that_is_lost_before_anybody_has_its_state_does_not_take_the_last_log_with_it() {
    let cluster = Cluster::new(Machines::memory().0);
    let mut nodes = cluster.start_voters(3).await;
    nodes[0].set("kept", "kept").await.unwrap();
    for node in &nodes {
        node.group.read_barrier().await.unwrap();
    }
    let (third, second, first_node) = (nodes.pop().unwrap(), nodes.pop().unwrap(), nodes.pop().unwrap());
    first_node.stop().await;
    cluster.net.isolate(NodeId(2));
    // A clock that went ahead.
    let lost = Incarnation { number: NOW.0 + 7, founder: NodeId(1) };
    let word = Addressed { incarnation: lost, request: Request::ReadIndex };
    third.group.handle(Bytes::from(codec::encode(&word))).await.unwrap();
    wait_for("the third to join", || third.group.incarnation() == lost).await;
    cluster.net.heal();
    // The second asks the third for its vote, again and again.
    let ballot = Request::PreVote(Ballot {
        vote: VoteRecord { leader: LeaderRecord { term: 1000, node: 2 }, committed: false },
        last_log_id: None,
        leadership_transfer: false,
    });
    let old = Addressed { incarnation: Incarnation::default(), request: ballot };
    let answer = third.group.handle(Bytes::from(codec::encode(&old))).await;
    assert!(matches!(answer, Err(HandleError::Joining { incarnation, .. }) if incarnation == lost), "{answer:?}");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(second.group.incarnation(), Incarnation::default(), "there is nothing to give up its log for");
    let incarnation = second.group.take_over(Incarnation::default(), lost, REQUEST, first("second")).await.unwrap();
    assert!(incarnation > lost);
    take_in(&second, &[3]).await;
    third.group.read_barrier().await.unwrap();
    assert_eq!((shows(&third, "kept").unwrap(), shows(&third, "first").unwrap()), ("kept".into(), "second".into()));
    second.stop().await;
    third.stop().await;
}
