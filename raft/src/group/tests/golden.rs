//! The encodings that reach disks and peers, frozen: a change of `golden/group.txt` breaks running clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bytes::Bytes;
use proptest::prelude::*;

use crate::codec::{self, Versioned};
use crate::group::incarnation::Incarnation;
use crate::group::message::{
    Addressed, Append, Appended, Ballot, Cast, Proposed, ReadIndex, Request, Response, Transfer, Transferred,
};
use crate::group::record::{
    AppliedRecord, EntryRecord, LeaderRecord, LogIdRecord, MembershipRecord, PayloadRecord, StoredMembershipRecord,
    VoteRecord,
};
use crate::group::snapshot_stream::{Frame, Received};
use crate::group::succession::{Found, Pending};
use crate::id::{NodeId, RequestId};
use crate::machine::Stamp;
use crate::time::Timestamp;

const GOLDEN: &str = include_str!("../../../tests/golden/group.txt");

/// Encodes each value, checks that it comes back, and writes one line for it.
fn lines<T: Versioned + PartialEq + std::fmt::Debug>(out: &mut String, name: &str, values: &[T]) {
    for (index, value) in values.iter().enumerate() {
        let bytes = codec::encode(value);
        assert_eq!(&codec::decode::<T>(&bytes).unwrap(), value);
        writeln!(out, "{name} {index} {}", hex::encode(bytes)).unwrap();
    }
}

fn id(index: u64) -> LogIdRecord {
    LogIdRecord { leader: LeaderRecord { term: 3, node: 2 }, index }
}

fn vote(committed: bool) -> VoteRecord {
    VoteRecord { leader: LeaderRecord { term: 4, node: 1 }, committed }
}

fn membership() -> MembershipRecord {
    MembershipRecord {
        voters: vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 300])],
        nodes: BTreeMap::from([(1, "a:1".to_owned()), (2, "b:2".to_owned()), (300, "c:3".to_owned())]),
    }
}

fn entries() -> Vec<EntryRecord> {
    let stamp = Stamp { time: Timestamp(1_700_000_000_000), request: RequestId([9; 16]) };
    [
        PayloadRecord::Blank,
        PayloadRecord::Command { stamp, command: Bytes::from_static(b"command") },
        PayloadRecord::Membership(membership()),
    ]
    .into_iter()
    .zip(1000..)
    .map(|(payload, index)| EntryRecord { log_id: id(index), payload })
    .collect()
}

fn incarnation() -> Incarnation {
    Incarnation { number: 2, founder: NodeId(300) }
}

fn requests() -> Vec<Addressed> {
    let ballot = Ballot { vote: vote(false), last_log_id: Some(id(7)), leadership_transfer: true };
    let append = Append { vote: vote(true), previous: Some(id(999)), entries: entries(), committed: Some(id(998)) };
    vec![
        Request::Append(append),
        Request::Vote(ballot.clone()),
        Request::PreVote(ballot),
        Request::Transfer(Transfer { from: vote(true), to: 3, last_log_id: Some(id(8)) }),
        Request::Propose { request: RequestId([1; 16]), command: Bytes::from_static(b"command") },
        Request::ReadIndex,
    ]
    .into_iter()
    .map(|request| Addressed { incarnation: incarnation(), request })
    .collect()
}

fn responses() -> Vec<Response> {
    let cast = Cast { vote: vote(false), granted: true, last_log_id: None };
    vec![
        Response::Append(Appended::Success),
        Response::Append(Appended::Partial(Some(id(5)))),
        Response::Append(Appended::Conflict),
        Response::Append(Appended::HigherVote(vote(true))),
        Response::Vote(cast.clone()),
        Response::PreVote(cast),
        Response::Transfer(Transferred::Accepted),
        Response::Transfer(Transferred::VoteChanged { expected: vote(true), actual: vote(false) }),
        Response::Transfer(Transferred::LogNotFlushed { expected: Some(id(5)), actual: None }),
        Response::Propose(Proposed::Applied(Bytes::from_static(b"response"))),
        Response::Propose(Proposed::NotLeader { leader: Some(2) }),
        Response::Propose(Proposed::Unknown),
        Response::ReadIndex(ReadIndex::Index(77)),
        Response::ReadIndex(ReadIndex::NotLeader { leader: None }),
        Response::ReadIndex(ReadIndex::NoQuorum),
        Response::OtherIncarnation(incarnation()),
    ]
}

fn found() -> Found {
    let stamp = Stamp { time: Timestamp(1_700_000_000_000), request: RequestId([9; 16]) };
    let (last, command) = (id(70_000), Bytes::from_static(b"command"));
    Found { incarnation: incarnation(), term: 5, address: "a:1".to_owned(), last, stamp, command }
}

#[test]
fn encodings_do_not_change() {
    let applied = AppliedRecord {
        last_applied: Some(id(70_000)),
        membership: StoredMembershipRecord { log_id: Some(id(5)), membership: membership() },
    };
    let frames = [
        Frame::Begin { incarnation: incarnation(), vote: vote(true), contents: applied.clone() },
        Frame::File { name: "000012.sst".to_owned(), length_bytes: 1 << 33 },
        Frame::Data(Bytes::from_static(b"data")),
        Frame::FileEnd { hash: [5; 32] },
        Frame::End,
    ];
    let mut out = String::new();
    lines(&mut out, "log-position", &[id(5)]);
    lines(&mut out, "vote", &[vote(true), vote(false)]);
    lines(&mut out, "entry", &entries());
    lines(&mut out, "applied", &[AppliedRecord::default(), applied]);
    lines(&mut out, "request", &requests());
    lines(&mut out, "response", &responses());
    lines(&mut out, "frame", &frames);
    lines(&mut out, "received", &[Received { incarnation: incarnation(), vote: vote(true) }]);
    lines(&mut out, "incarnation", &[Incarnation::default(), incarnation()]);
    lines(&mut out, "pending", &[Pending::Join, Pending::Found(found())]);
    assert_eq!(out, GOLDEN, "the encodings are now:\n{out}");
}

proptest! {
    #[test]
    fn bytes_from_outside_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let versioned: Vec<u8> = std::iter::once(1).chain(bytes).collect();
        let _ = codec::decode::<Addressed>(&versioned);
        let _ = codec::decode::<Response>(&versioned);
        let _ = codec::decode::<Frame>(&versioned);
        let _ = codec::decode::<EntryRecord>(&versioned);
        let _ = codec::decode::<Pending>(&versioned);
    }
}
