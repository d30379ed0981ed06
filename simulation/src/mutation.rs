//! Mutations: faults planted in the code to see whether the judges notice. What is never caught when it is broken is
//! not tested.
//!
//! Each stands at one place of the product, as `switch::broken("…")`, and shows in runs of `regnode-sim mutations` only.
//! Those in the catalog's state machine are the same on every replica, but for the one that is about that.

/// A planted fault.
#[derive(Clone, Copy, Debug)]
pub struct Mutation {
    /// Its name in the code.
    pub name: &'static str,
    /// What is wrong while it shows.
    pub about: &'static str,
    /// The judges that may notice, by the names of their files.
    pub caught_by: &'static [&'static str],
    /// Within how many seeds it is promised to be caught.
    pub seeds: u64,
    /// Share of the times at which it shows, in percent; below 100 where a cluster could not even be founded otherwise, or
    /// where replicas are to differ.
    pub share_percent: u8,
    /// The scenario that it needs to show, if the seeds' own runs have no place for it.
    pub scenario: Option<&'static str>,
}

const fn always(name: &'static str, about: &'static str, caught_by: &'static [&'static str], seeds: u64) -> Mutation {
    sometimes(100, name, about, caught_by, seeds)
}

const fn sometimes(
    share_percent: u8,
    name: &'static str,
    about: &'static str,
    caught_by: &'static [&'static str],
    seeds: u64,
) -> Mutation {
    Mutation { name, about, caught_by, seeds, share_percent, scenario: None }
}

/// One that takes several regions.
const fn across_regions(
    scenario: &'static str,
    name: &'static str,
    about: &'static str,
    caught_by: &'static [&'static str],
) -> Mutation {
    Mutation { name, about, caught_by, seeds: 1, share_percent: 100, scenario: Some(scenario) }
}

/// All of them.
pub const MUTATIONS: &[Mutation] = &[
    always(
        "access.rules.read_once",
        "a node reads the access rules at its start only",
        &["authority", "protocol", "availability"],
        10,
    ),
    always("api.gate.open", "who has no right is let in all the same", &["authority"], 10),
    always("api.referrers.panic", "listing referrers panics", &["log"], 10),
    sometimes(
        30,
        "catalog.apply.diverge",
        "some replicas record another time when a tag is set",
        &["replicas", "raft_safety"],
        10,
    ),
    always(
        "catalog.blob.forget_touch",
        "what a client is told of is not kept for it: a blob goes after the grace of its push, whoever asked meanwhile",
        &["lease"],
        40,
    ),
    always(
        "catalog.extent.forget_shortfall",
        "an extent that was written below its redundancy is not put on the list",
        &["redundancy"],
        10,
    ),
    always(
        "catalog.garbage.ignore_generation",
        "what waits to be collected stays there when it is pushed again, and goes",
        &["catalog", "log", "lease", "durability", "linearizability"],
        20,
    ),
    always(
        "catalog.link.collect_used",
        "a blob that waits to be collected stays there when a manifest uses it, and goes",
        &["catalog", "log", "lease", "durability", "linearizability"],
        10,
    ),
    always(
        "catalog.manifest.count_twice",
        "a manifest counts twice in the blobs that it uses, so that they are never collected",
        &["catalog", "log", "emptiness"],
        10,
    ),
    always(
        "catalog.manifest.forget_reference",
        "a manifest does not count in the blobs that it uses, so that they can be deleted from under it",
        &["log", "catalog", "durability", "linearizability"],
        10,
    ),
    always(
        "catalog.once.forget",
        "a repeated request takes effect a second time",
        &["catalog", "linearizability", "durability"],
        20,
    ),
    always(
        "catalog.tag.keep_on_delete",
        "a deleted tag stays",
        &["catalog", "log", "linearizability", "durability"],
        10,
    ),
    always(
        "catalog.upload.ignore_position",
        "bytes are committed to an upload that has moved on: the fencing of two writers is ignored",
        &["protocol", "catalog", "served_bytes", "durability"],
        30,
    ),
    always("catalog.usage.count_twice", "a blob counts twice in what its namespaces use", &["catalog", "log"], 10),
    always("directory.binding.keep_removed", "a rule that is taken away stays", &["authority"], 10),
    across_regions(
        "regions_fail_over",
        "directory.place.copy_pinned",
        "every region counts as a copy of what is pinned, so that it is copied abroad",
        &["residency"],
    ),
    always(
        "gateway.budget.leak_permit",
        "a share of the memory for uploads is never given back",
        &["bounds", "liveness"],
        10,
    ),
    always(
        "gateway.extent.count_missing_shard",
        "a shard whose sync failed counts as written",
        &["shards", "durability"],
        20,
    ),
    always(
        "gateway.heal.skip",
        "extents that have lost a shard are acknowledged as they are",
        &["shards", "durability"],
        20,
    ),
    always("gateway.read.wrong_range", "a range begins and ends one byte early", &["served_bytes"], 10),
    always("gateway.report.forget", "a shard that a reader found missing or damaged is not reported", &["mending"], 40),
    across_regions(
        "three_regions",
        "members.region.ignore",
        "nodes of all regions count as the own region's, so that shards are placed abroad",
        &["residency", "log"],
    ),
    sometimes(
        2,
        "raft.append.acknowledge_unwritten",
        "a follower acknowledges entries that it has not written: a wrong quorum is counted",
        &["raft_safety", "log", "replicas", "linearizability", "durability", "liveness"],
        10,
    ),
    always(
        "raft.group_commit.skip_sync",
        "log entries are acknowledged before they are durable",
        &["raft_safety", "linearizability", "durability", "log"],
        10,
    ),
    always(
        "raft.log.forget_vote",
        "a vote is not stored, so that a node that was restarted may vote twice in a term",
        &["log", "raft_safety", "linearizability"],
        60,
    ),
    always(
        "raft.read_index.skip_quorum",
        "reads are answered from the replica at hand, without asking a quorum",
        &["protocol", "linearizability"],
        10,
    ),
    always(
        "raft.snapshot.keep_old_state",
        "an installed snapshot counts as applied, but the state stays as it was",
        &["raft_safety", "replicas", "catalog", "log", "linearizability", "durability"],
        20,
    ),
    always(
        "registry.delete.acknowledge_early",
        "a deletion is acknowledged before a quorum has it",
        &["linearizability"],
        10,
    ),
    across_regions(
        "regions_fail_over",
        "replication.tag.before_content",
        "a tag is set in a copy before what it needs has arrived",
        &["copies", "catalog", "log"],
    ),
    always(
        "reseal.forget.unseen",
        "an older data key is forgotten although files still lie under it",
        &["liveness", "shards", "redundancy", "durability", "served_bytes", "protocol", "availability", "log"],
        20,
    ),
    always(
        "storage.shard.skip_directory_sync",
        "the directory entry of a shard file is not synced",
        &["shards", "durability", "served_bytes"],
        10,
    ),
    always("storage.shard.skip_sync", "a shard file is not synced", &["shards", "durability", "served_bytes"], 10),
    always(
        "storage.shard.skip_verification",
        "blocks of a shard are served without comparing their checksums",
        &["served_bytes", "durability", "liveness"],
        80,
    ),
];

impl Mutation {
    /// The mutation of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        MUTATIONS.iter().find(|mutation| mutation.name == name)
    }
}
