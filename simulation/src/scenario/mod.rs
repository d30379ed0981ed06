//! Scenarios: named stories that end well or name what went wrong. Each bug that the simulator found is one of them.
//!
//! A story has a hold on the cluster and clients without rules of their own; `act` is what stories are made of.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::World;
use crate::judge::Court;
use crate::judge::raft_safety::RaftSafety;
use crate::seed::Seed;
use crate::trace::Trace;

mod act;
pub mod bit_rot;
pub mod collection_races_pushes;
pub mod dead_peer_is_not_stormed;
pub mod dropped_group_is_silent;
pub mod failed_log_ends_the_process;
pub mod failing_metadata_disk_is_503;
pub mod growth;
pub mod lost_disk;
pub mod lost_node;
mod operator;
pub mod refused_stays_refused;
mod regions;
pub mod regions_fail_over;
pub mod right_taken_from_afar;
pub mod rolling_restart;
pub mod shrinkage_to_one;
pub mod smoke;
pub mod three_regions;
mod traffic;
pub mod wiped_node_rejoins;

/// Longest virtual time of a story.
const LIMIT: Duration = Duration::from_mins(20);

/// A named story.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name, as the command line takes it.
    pub name: &'static str,
    /// What happens in it, in a sentence.
    pub about: &'static str,
    /// Runs it with a seed; judges may accuse before the court. Returns the first thing that was not as it must be.
    pub run: fn(Seed, &Trace, &Court) -> anyhow::Result<()>,
}

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "bit_rot_is_scrubbed",
        about: "a third of a node's shards rots unread: its scrub finds and counts each, and they are rebuilt",
        run: bit_rot::bit_rot_is_scrubbed,
    },
    Scenario {
        name: "collection_races_pushes",
        about: "layers are pushed, mounted and deleted while they are collected after seconds, with crashes and a partition",
        run: collection_races_pushes::collection_races_pushes,
    },
    Scenario {
        name: "dead_peer_is_not_stormed",
        about: "a node is wiped, the others are read from: it was dialled thousands of times",
        run: dead_peer_is_not_stormed::dead_peer_is_not_stormed,
    },
    Scenario {
        name: "dropped_group_is_silent",
        about: "a process ends since its log cannot be written: it went on leading the directory",
        run: dropped_group_is_silent::dropped_group_is_silent,
    },
    Scenario {
        name: "failed_log_ends_the_process",
        about: "the log of a node cannot be written: its process stayed with stopped replicas, and answered 500",
        run: failed_log_ends_the_process::failed_log_ends_the_process,
    },
    Scenario {
        name: "failing_metadata_disk_is_503",
        about: "the metadata of a node cannot be read: requests through it were answered 500",
        run: failing_metadata_disk_is_503::failing_metadata_disk_is_503,
    },
    Scenario {
        name: "disk_lost",
        about: "a disk fails for good under load: its shards are rebuilt elsewhere, and no client notices",
        run: lost_disk::disk_lost,
    },
    Scenario {
        name: "growth_and_shrinkage",
        about: "a cluster grows from one node to twelve and shrinks back to three under load, and the data follows",
        run: growth::growth_and_shrinkage,
    },
    Scenario {
        name: "node_lost_and_replaced",
        about: "a node is lost for good under load and replaced: no client notices, the redundancy is full again",
        run: lost_node::node_lost_and_replaced,
    },
    Scenario {
        name: "power_loss_during_growth",
        about: "all nodes lose their power after each join and in the middle of each drain",
        run: growth::power_loss_during_growth,
    },
    Scenario {
        name: "power_loss_during_repair",
        about: "all nodes lose their power while the shards of a dead disk are rebuilt",
        run: lost_disk::power_loss_during_repair,
    },
    Scenario {
        name: "power_loss_during_replacement",
        about: "all nodes lose their power while an empty computer takes the place of a lost node",
        run: lost_node::power_loss_during_replacement,
    },
    Scenario {
        name: "refused_stays_refused",
        about: "a copy of a refused proposal, and of a mount that was undone, arrives late: it took effect",
        run: refused_stays_refused::refused_stays_refused,
    },
    Scenario {
        name: "regions_fail_over",
        about: "a copy in another region over slow, lossy and cut links; a loaded namespace moves, a lost one is forced away",
        run: regions_fail_over::regions_fail_over,
    },
    Scenario {
        name: "right_taken_from_afar",
        about: "rights are changed while a region is cut off and a node starts anew there: they follow once it is back",
        run: right_taken_from_afar::right_taken_from_afar,
    },
    Scenario {
        name: "rolling_restart",
        about: "all nodes restarted one after the other under constant pushes and pulls: no request fails for good",
        run: rolling_restart::rolling_restart,
    },
    Scenario {
        name: "shrinkage_to_one",
        about: "a cluster of three shrinks to two nodes and to one under load, by force: nothing is lost, nobody waits for ever",
        run: shrinkage_to_one::shrinkage_to_one,
    },
    Scenario {
        name: "smoke",
        about: "three nodes, a push, a partition, a crash and restart, a power loss of all, pulls in between",
        run: smoke::smoke,
    },
    Scenario {
        name: "three_regions",
        about: "three regions over slow, lossy and cut links, one of them lost: each serves its own, pinned bytes stay",
        run: three_regions::three_regions,
    },
    Scenario {
        name: "wiped_node_rejoins",
        about: "a node loses all its disks and joins anew under load; everything acknowledged is readable everywhere",
        run: wiped_node_rejoins::wiped_node_rejoins,
    },
];

/// A quiet world in which Raft is watched.
fn watched(seed: Seed, nodes: usize, court: &Court) -> World {
    World { witness: Some(Arc::new(RaftSafety::new(court.clone()))), ..World::quiet(seed, nodes, LIMIT) }
}
