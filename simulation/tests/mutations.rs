//! The judges notice planted faults. These are the quick ones; `regnode-sim mutations` plants them all.

mod program;

/// One for each way of noticing: the log, the replicas beside each other, the catalog by itself, Raft's own promises, the
/// bytes that go between regions, what a copy shows; and the counts by which garbage is told from what is needed.
const QUICK: [&str; 8] = [
    "api.referrers.panic",
    "catalog.apply.diverge",
    "catalog.manifest.count_twice",
    "catalog.tag.keep_on_delete",
    "catalog.usage.count_twice",
    "members.region.ignore",
    "raft.append.acknowledge_unwritten",
    "replication.tag.before_content",
];

#[test]
fn planted_faults_are_noticed() {
    let mut arguments = vec!["mutations", "--jobs", "1"];
    arguments.extend(QUICK);
    let text = program::kept(&arguments);
    assert!(text.contains("without a mutation are clean"), "{text}");
}
