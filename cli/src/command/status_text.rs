//! A status as text for people: verdict and findings first, then nodes, groups and contents.

use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use node::admin::{CopyState, CopyStatus, DiskStatus, GroupStatus, NodeStatus, Status};

use super::region_text;
use crate::arguments::root_or;
use crate::figures::{count, duration, size};

/// The whole page.
pub(crate) fn text(status: &Status) -> String {
    let mut page = format!("{}\n", status.summary);
    for finding in &status.findings {
        line(&mut page, format_args!("  - {finding}"));
    }
    line(&mut page, format_args!("\ncluster {}, seen by node {} ({})\n", status.cluster, status.node, status.name));
    if status.regions.len() > 1 {
        line(&mut page, format_args!("{}\n", region_text::rows(&status.regions)));
    }
    line(&mut page, format_args!("{}\n", nodes(&status.nodes)));
    line(&mut page, format_args!("{}\n", groups(&status.groups)));
    for sentence in region_text::bears(&status.regions).into_iter().chain(unconfirmed(status)) {
        line(&mut page, format_args!("{sentence}\n"));
    }
    let totals = &status.totals;
    let region = if status.regions.len() > 1 { format!("region {}: ", status.region) } else { String::new() };
    line(
        &mut page,
        format_args!(
            "{region}{}, {}, {}, {} ({}), {}, {} below full redundancy",
            count(totals.repositories, "repository", "repositories"),
            count(totals.tags, "tag", "tags"),
            count(totals.manifests, "manifest", "manifests"),
            count(totals.blobs, "blob", "blobs"),
            size(totals.blob_bytes),
            count(totals.uploads, "open upload", "open uploads"),
            count(status.under_replicated, "extent", "extents"),
        ),
    );
    if let Some(sentence) = copies(&status.copies) {
        line(&mut page, format_args!("{sentence}"));
    }
    trimmed(&page)
}

/// How far the copies in this region are, if there are any.
fn copies(copies: &[CopyStatus]) -> Option<String> {
    let lacking = || copies.iter().filter(|copy| copy.state != CopyState::InSync);
    // Those that lack most come first.
    let worst = lacking().next().map(|copy| {
        let lag =
            copy.lag_seconds.map_or_else(|| "was never complete".to_owned(), |lag| format!("by {}", duration(lag)));
        let namespace = root_or(&copy.namespace);
        format!("; furthest behind is {namespace} of region {}, {lag}: regnode replication status", copy.from)
    });
    let all = count(copies.len() as u64, "copy", "copies");
    let in_sync = copies.len() - lacking().count();
    (!copies.is_empty())
        .then(|| format!("{all} of other regions' namespaces: {in_sync} in sync{}", worst.unwrap_or_default()))
}

/// Without the blanks with which a table fills each cell up to its column's width.
pub(super) fn trimmed(page: &str) -> String {
    page.lines().map(str::trim_end).flat_map(|line| [line, "\n"]).collect()
}

/// How old it is what is shown of nodes and regions. A node alone, whose catalog has no quorum either, has said so.
fn unconfirmed(status: &Status) -> Option<String> {
    region_text::unconfirmed(&status.directory).filter(|_| status.confirmed)
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes any text");
}

/// A table without lines.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(header.to_vec());
    table
}

fn nodes(nodes: &[NodeStatus]) -> Table {
    let mut rows = table(&["NODE", "NAME", "REGION", "ZONE", "STATE", "VERSION", "URL", "DISKS (FREE OF SIZE)"]);
    for node in nodes {
        let state = if node.live { node.state.clone() } else { format!("down ({})", node.state) };
        let disks: Vec<String> = node.disks.iter().map(disk).collect();
        rows.add_row([
            node.id.to_string(),
            node.name.clone(),
            node.region.clone(),
            node.zone.clone(),
            state,
            node.version.clone(),
            node.api_url.clone(),
            disks.join(", "),
        ]);
    }
    rows
}

fn disk(disk: &DiskStatus) -> String {
    let capacity = size(disk.capacity_bytes);
    let mut text = match disk.available_bytes {
        Some(available) => format!("{} of {capacity}", size(available)),
        None => format!("? of {capacity}"),
    };
    if disk.writable == Some(false) {
        text.push_str(" not writable");
    }
    if disk.state != "active" {
        text.push(' ');
        text.push_str(&disk.state);
    }
    text
}

fn groups(groups: &[GroupStatus]) -> Table {
    let mut rows = table(&["GROUP", "LEADER", "TERM", "APPLIED", "VOTERS LIVE", "LEARNERS", "BEHIND"]);
    for group in groups {
        let behind: Vec<String> =
            group.lag.iter().filter(|(_, lag)| *lag > 0).map(|(name, lag)| format!("{name} {lag}")).collect();
        rows.add_row([
            group.name.clone(),
            group.leader.clone().unwrap_or_else(|| "none".to_owned()),
            group.term.to_string(),
            group.applied.to_string(),
            format!("{} of {}", group.live_voters.len(), group.voters.len()),
            group.learners.join(", "),
            behind.join(", "),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use node::admin::{DirectoryReading, RegionState, RegionStatus, Totals, Verdict};

    use super::super::replication_text::testing::copy;
    use super::*;

    fn status() -> Status {
        let disk = DiskStatus {
            id: "00".repeat(16),
            capacity_bytes: 2 << 40,
            available_bytes: Some(1536 << 30),
            writable: Some(true),
            state: "active".to_owned(),
            health: Some("healthy".to_owned()),
            advice: String::new(),
            shards: 7,
            bytes: 7 << 20,
        };
        let node = |id: u64, live: bool| NodeStatus {
            id,
            name: format!("node{id}"),
            region: "main".to_owned(),
            zone: "rack-1".to_owned(),
            live,
            state: "active".to_owned(),
            version: "0.1.0".to_owned(),
            api_url: format!("http://10.0.0.{id}:5000"),
            peer_address: format!("10.0.0.{id}:5080"),
            disks: if live { vec![disk.clone()] } else { Vec::new() },
            shards: 7,
            bytes: 7 << 20,
            drain: None,
            replaced_by: None,
        };
        Status {
            version: 1,
            cluster: "c0ffee".to_owned(),
            node: 1,
            name: "node1".to_owned(),
            region: "main".to_owned(),
            confirmed: true,
            directory: DirectoryReading { confirmed: true, as_of_milliseconds: 1_700_000_000_000, age_seconds: 0 },
            verdict: Verdict::NeedsAttention,
            summary: "serves, but needs attention: 1 of 2 nodes live".to_owned(),
            findings: vec!["node 2 (node2) does not answer".to_owned()],
            feature_level: 1,
            nodes: vec![node(1, true), node(2, false)],
            regions: vec![region("main", true)],
            groups: vec![GroupStatus {
                name: "catalog-1".to_owned(),
                leader: Some("node1".to_owned()),
                term: 3,
                applied: 42,
                voters: vec!["node1".to_owned(), "node2".to_owned()],
                seats: 2,
                live_voters: vec!["node1".to_owned()],
                learners: Vec::new(),
                lag: vec![("node2".to_owned(), 7)],
                quorum: true,
                regions_borne: None,
            }],
            under_replicated: 3,
            lost: 0,
            copies: Vec::new(),
            totals: Totals { repositories: 1, manifests: 2, tags: 3, blobs: 4, blob_bytes: 5_000_000, uploads: 0 },
        }
    }

    fn region(name: &str, own: bool) -> RegionStatus {
        RegionStatus {
            id: if own { 1 } else { 2 },
            name: name.to_owned(),
            own,
            primary: own,
            public_url: None,
            inbound_bytes_per_second: None,
            nodes: 1,
            live: u64::from(own),
            directory_voters: 1,
            state: if own { RegionState::Serves } else { RegionState::Silent },
        }
    }

    #[test]
    fn the_page_reads_well() {
        insta::assert_snapshot!(text(&status()));
    }

    #[test]
    fn the_page_of_several_regions_reads_well() {
        let mut status = status();
        status.regions.push(region("us", false));
        status.nodes[1].region = "us".to_owned();
        status.directory.confirmed = false;
        status.directory.age_seconds = 75;
        let behind = CopyStatus { lag_seconds: Some(185), ..copy("acme", CopyState::Behind) };
        status.copies = vec![behind, copy("base", CopyState::InSync)];
        insta::assert_snapshot!(text(&status));
    }
}
