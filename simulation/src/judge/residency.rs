//! Pinned bytes rest in their region, and are not sent to another one. Source: section 1.6 and 7 of the design ("a pinned
//! byte never rests outside its region: data and parity shards, manifests, inline blobs, upload spools, caches, Raft logs,
//! snapshots, backups").
//!
//! Pinned content is full of a mark that names its region. The judge looks for the mark in every file of every disk, in the
//! states of every group that a node has, and in every message between nodes of two regions. Parity has no mark, so that
//! the shards of a node are compared with its region's catalog as well: one that another region's catalog places is
//! accused, wherever its node says that it belongs. Clients of foreign nodes must leave marked content alone: what they
//! pull passes on its way, which is allowed.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use node::start::Node;
use raft::catalog::{Catalog, DiskLocation};
use raft::directory::Directory;
use raft::id::GroupId;
use raft::machine::Machine as _;
use storage::kv::{EngineError, Scan};
use storage::shard::ShardName;

use super::Court;
use super::holdings::{Holdings, spelled};
use crate::cluster::Control;
use crate::network::Tap;

const JUDGE: &str = "residency";
/// Bytes of a mark.
const MARK_BYTES: usize = 32;
/// Rows of one page.
const PAGE_ROWS: usize = 256;

/// The mark of a region's content.
#[must_use]
pub fn mark(region: usize) -> [u8; MARK_BYTES] {
    let mut mark = [b'.'; MARK_BYTES];
    let text = format!("pinned to region {region}");
    mark[..text.len()].copy_from_slice(text.as_bytes());
    mark
}

/// Content of a region that is full of its mark; `number` makes it different from others.
#[must_use]
pub fn marked(region: usize, number: u64, length: usize) -> Bytes {
    let own = mark(region);
    let head = number.to_le_bytes();
    head.into_iter().chain(own.into_iter().cycle()).take(length).collect()
}

/// The regions that a piece of anything has marks of, `own` aside.
fn strangers(bytes: &[u8], own: usize, regions: usize) -> impl Iterator<Item = usize> {
    let foreign = (1..=regions).filter(move |region| *region != own);
    foreign.filter(move |region| memchr::memmem::find(bytes, &mark(*region)).is_some())
}

/// Listens to a node's connections with nodes of other regions. `region_of` knows the nodes by the names of their hosts.
pub fn tap(court: Court, regions: usize, region_of: impl Fn(&str) -> Option<usize> + Send + Sync + 'static) -> Tap {
    Arc::new(move |from, to, bytes| {
        let (Some(own), Some(other)) = (region_of(from), region_of(to)) else { return };
        if own == other {
            return;
        }
        // With no region of its own a message may have no mark at all.
        if let Some(region) = strangers(bytes, 0, regions).next() {
            court.accuse(JUDGE, format!("bytes that are pinned to region {region} go between {from} and {to}"));
        }
    })
}

/// Looks through the disks of a node for content of other regions.
pub fn inspect_disks(control: &Control, number: usize, own: usize, regions: usize) {
    let computer = control.computer(number);
    for region in (1..=regions).filter(|region| *region != own) {
        let disks = computer.data_disks().into_iter().chain([computer.system_disk().clone()]);
        let files: Vec<String> =
            disks.flat_map(|disk| disk.files_with(&mark(region))).map(|path| path.display().to_string()).collect();
        if !files.is_empty() {
            let text =
                format!("node {number} of region {own} holds bytes that are pinned to region {region}: {files:?}");
            control.court.accuse(JUDGE, text);
        }
    }
}

/// Looks through the groups of a node for content of other regions.
///
/// # Errors
/// When an engine fails.
pub fn inspect_groups(
    court: &Court,
    number: usize,
    node: &Node,
    own: usize,
    regions: usize,
) -> Result<(), EngineError> {
    for group in node.group_statuses().into_iter().map(|status| status.group) {
        let Some(state) = node.group_state(group) else { continue };
        let columns = if group == GroupId::Directory { Directory::COLUMNS } else { Catalog::COLUMNS };
        for column in columns {
            let mut scan = Scan::prefix(*column, &[], PAGE_ROWS);
            loop {
                let rows = state.scan(&scan)?;
                let found = rows.iter().find_map(|(_, value)| strangers(value, own, regions).next());
                if let Some(region) = found {
                    let text =
                        format!("{group} of node {number} in region {own} holds bytes pinned to region {region}");
                    court.accuse(JUDGE, text);
                    return Ok(());
                }
                let Some((last, _)) = rows.last().filter(|_| rows.len() >= PAGE_ROWS) else { break };
                scan = scan.after(last);
            }
        }
    }
    Ok(())
}

/// Accuses of shards that belong to another region than the node that holds them.
pub fn judge(holdings: &BTreeMap<usize, Holdings>, court: &Court) {
    for (number, holder) in holdings {
        let placed_abroad = |name: &&ShardName| {
            holdings.values().any(|other| other.region != holder.region && other.places_object(name.object))
        };
        let foreign: Vec<&ShardName> = holder.orphans.iter().filter(placed_abroad).collect();
        if !foreign.is_empty() {
            let count = foreign.len();
            court.accuse(JUDGE, format!("node {number} holds {count} shards of another region: {}", spelled(foreign)));
        }
    }
    for (number, holder) in holdings {
        let abroad =
            |place: &_| holdings.values().any(|other| other.region != holder.region && other.places.contains(place));
        let spread = holder.extents.iter().find(|(_, coded)| {
            coded.shards.iter().any(|shard| abroad(&DiskLocation { node: shard.node, disk: shard.disk }))
        });
        if let Some(((object, index), _)) = spread {
            let text = format!("the catalog of node {number} places extent {} of {object} in another region", index.0);
            court.accuse(JUDGE, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::id::RegionId;

    use super::super::holdings::testing::shard;
    use super::*;

    #[test]
    fn marked_content_shows_its_mark_in_any_piece() {
        let content = marked(2, 7, 4096);
        assert_ne!(content, marked(2, 8, 4096));
        assert_eq!(strangers(&content[100..100 + 2 * MARK_BYTES], 1, 3).collect::<Vec<_>>(), [2]);
        assert_eq!(strangers(&content, 2, 3).count(), 0);
    }

    #[test]
    fn only_messages_between_regions_are_accused() {
        for (to, accused) in [("b", false), ("c", true), ("client-1", false)] {
            let court = Court::default();
            let region_of = |host: &str| ["a", "b"].contains(&host).then_some(1).or_else(|| (host == "c").then_some(2));
            let tap: Tap = tap(court.clone(), 2, region_of);
            tap("a", to, &marked(1, 1, 200));
            tap("a", to, b"anything else");
            assert_eq!(court.first().is_some(), accused, "{to}");
        }
    }

    #[test]
    fn a_shard_of_another_region_is_accused() {
        let holdings = |region, placed: bool| {
            let mut holdings = Holdings { region: Some(RegionId(region)), ..Holdings::default() };
            if placed {
                holdings.placed.insert(shard(1, 0), crate::disk::Condition::default());
            } else {
                holdings.orphans.insert(shard(1, 1));
            }
            holdings
        };
        for (region, accused) in [(1, false), (2, true)] {
            let court = Court::default();
            judge(&BTreeMap::from([(1, holdings(1, true)), (2, holdings(region, false))]), &court);
            assert_eq!(court.first().is_some(), accused);
        }
    }
}
