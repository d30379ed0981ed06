//! The rare paths: places in the code that production takes once in a blue moon, and that the simulator takes often.
//! The model is FoundationDB's BUGGIFY: each run turns on a few of them.
//!
//! Every one is legal at any time: a run in which all are taken always may be slow, and may refuse requests that would
//! have been served, but breaks no promise. In the code each stands at one place, as `switch::rare("…")`.

/// A rare path.
#[derive(Clone, Copy, Debug)]
pub struct RarePath {
    /// Its name in the code.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
}

const fn path(name: &'static str, about: &'static str) -> RarePath {
    RarePath { name, about }
}

/// All of them.
pub const RARE: &[RarePath] = &[
    path("background.collect.hurry", "garbage that is due is looked for again at once"),
    path("background.drain.hurry", "nodes and disks that are being emptied are looked at again at once"),
    path("background.evict.hurry", "what is foreign to the region is looked for again at once"),
    path("background.expire.hurry", "sessions are looked through for expired ones again after a tenth of a second"),
    path("background.fences.hurry", "fences of homes that move are looked at again at once"),
    path("background.jobs.hurry", "deletion jobs are looked for again at once"),
    path("background.ledger.hurry", "nodes and disks that are gone are looked for again at once"),
    path("background.outgrown.hurry", "extents of an outgrown profile are looked for again at once"),
    path("background.policies.hurry", "the versions of the policies are compared again at once"),
    path("background.rebalance.hurry", "disks that are too full are looked for again at once"),
    path("background.reencode.hurry", "the list of weak extents is looked through again at once"),
    path("background.retention.hurry", "runs of retention that are due are looked for again after a tenth of a second"),
    path("background.sweep.hurry", "the queue of discarded shards is looked through again at once"),
    path("gateway.placement.second_disk", "a node gives the second best of its disks for a shard"),
    path("gateway.read.hedge_at_once", "a reader asks for parity without waiting for data that is on its way"),
    path("gateway.write.cut_extent", "an extent is closed although it has room"),
    path("gateway.write.read_back", "a published upload is read back to be hashed, as if its algorithm had changed"),
    path("gateway.write.tiny_batch", "a batch is one stripe, as if many uploads shared the node"),
    path("node.heartbeat.skip", "a heartbeat between nodes is left out"),
    path("peer.shards.refuse", "a node refuses to take a shard, as if too many were being written"),
    path("raft.coalesce.single", "a round of a read barrier serves one caller"),
    path("raft.group_commit.single", "a sync of the log serves one writer"),
    path("raft.log.purge_at_once", "the log is purged up to the newest snapshot, so that who lags needs a snapshot"),
    path("raft.log.single_entry", "an append carries one entry"),
    path("raft.propose.lose_answer", "the answer to a forwarded proposal is lost, and the proposal is repeated"),
    path("raft.snapshot.early", "a snapshot is taken although little was written"),
    path("raft.snapshot.refuse", "a snapshot is refused, as if another one were being received"),
    path("raft.snapshot.tiny_frame", "a frame of a snapshot carries a kilobyte"),
    path("raft.state.flush_at_once", "a group's state is flushed although little was written"),
    path("raft.state.split_batch", "the effects of one entry reach the engine apart from the next one's"),
];
