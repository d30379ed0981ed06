//! What to make of a disk: what an operator wants of it, how it is, and what is left of it.

use super::verdict::{Findings, count};
use crate::admin::{DiskStatus, NodeStatus, Verdict};

/// Judges one disk of a node, which is nearly full when less than `low_space_percent` of its capacity is left.
pub(super) fn judge_disk(node: &NodeStatus, disk: &DiskStatus, low_space_percent: u8, findings: &mut Findings) {
    let short = disk.id.get(..8).unwrap_or(&disk.id);
    match disk.state.as_str() {
        "active" => {}
        "failed" => findings.add(
            Verdict::Healthy,
            format!(
                "disk {short} of node {} was given up, {} are yet to be rebuilt",
                node.name,
                count(disk.shards, "shard")
            ),
        ),
        _ if disk.shards > 0 => findings.add(
            Verdict::Healthy,
            format!("disk {short} of node {} is being emptied, {} left", node.name, count(disk.shards, "shard")),
        ),
        _ => findings.add(
            Verdict::Healthy,
            format!("disk {short} of node {} is emptied: take it out with regnode disk remove", node.name),
        ),
    }
    if !node.live || disk.state != "active" {
        return;
    }
    if disk.health.is_none() {
        findings.add(
            Verdict::NeedsAttention,
            format!(
                "node {} does not name disk {short} any more, {} are on it: bring it back, or give it up with regnode \
                 disk remove --force",
                node.name,
                count(disk.shards, "shard")
            ),
        );
        return;
    }
    if !disk.advice.is_empty() && disk.health.as_deref() != Some("full") {
        findings.add(Verdict::NeedsAttention, format!("disk {short} of node {}: {}", node.name, disk.advice));
        return;
    }
    if disk.available_bytes == Some(0) {
        findings.add(
            Verdict::NeedsAttention,
            format!(
                "disk {short} of node {} is full up to its reserve (storage.reserve_percent): free space, or add a \
                 disk with regnode disk add",
                node.name
            ),
        );
    } else if disk.writable == Some(false) && node.state == "active" {
        findings.add(Verdict::NeedsAttention, format!("disk {short} of node {} takes no writes", node.name));
    } else if let Some(available) = disk.available_bytes
        && available < disk.capacity_bytes / 100 * u64::from(low_space_percent)
    {
        let percent = available * 100 / disk.capacity_bytes.max(1);
        findings.add(
            Verdict::NeedsAttention,
            format!("disk {short} of node {} is nearly full: {percent}% left above the reserve", node.name),
        );
    }
}
