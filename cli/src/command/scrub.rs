//! `regnode scrub`: the reading of every block of a node's disks.

use std::path::Path;

use anyhow::Result;
use node::admin::{NodeStatus, ScrubRequest};
use node::scrub::{DiskScrub, Findings, ScrubState};
use serde::Serialize;

use super::node::data_dir;
use super::status_text::{table, trimmed};
use crate::admin_client;
use crate::arguments::{Scrub, ScrubAction, Work};
use crate::figures::{count, duration, size};
use crate::progress::{Counted, Position};
use crate::watch::{Look, watch};

/// Looks at a pass that was just asked for until it must have begun.
const BEGIN_LOOKS: u32 = 3;

/// The scrub of one node's disks.
#[derive(Debug, Serialize)]
struct NodeScrub {
    node: u64,
    name: String,
    /// Why it says nothing.
    error: Option<String>,
    disks: Vec<DiskScrub>,
}

/// Begins a pass, or says how far it is.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn scrub(scrub: Scrub) -> Result<()> {
    let (named, start, work) = match scrub.action {
        ScrubAction::Start(start) => (start.node, Some(ScrubRequest { disk: start.disk }), start.work),
        ScrubAction::Status(status) => (status.node, None, status.work),
    };
    let data_dir = data_dir(&work.ask).await?;
    let status = admin_client::status(&data_dir).await?;
    let nodes = match (&named, &start) {
        // By its id from now on: the name may change hands while the pass is waited for.
        (Some(named), _) => vec![of(&status.nodes, admin_client::scrub(&data_dir, Some(named)).await?.node)],
        (None, Some(_)) => vec![of(&status.nodes, status.node)],
        (None, None) => status.nodes.iter().map(|node| (node.id, node.name.clone(), node.live)).collect(),
    };
    if let (Some(request), [(node, ..)]) = (&start, nodes.as_slice()) {
        admin_client::start_scrub(&data_dir, Some(&format!("#{node}")), request).await?;
    }
    let one = start.is_some() || named.is_some();
    if work.wait {
        let node = named.map(|named| format!(" --node {named}")).unwrap_or_default();
        let again = format!("regnode scrub status{node} --wait");
        let mut looks = 0;
        let look = async || {
            looks += 1;
            let disks = ask(&data_dir, &nodes, one).await?.into_iter().flat_map(|node| node.disks).collect::<Vec<_>>();
            Ok(match position(&disks) {
                Some(position) => Look::Going(position),
                // The disks' tasks take the command up in a moment.
                None if start.is_some() && looks <= BEGIN_LOOKS => Look::Going(whole(&disks)),
                None => Look::Done("no disk is read on command any more".to_owned()),
            })
        };
        watch("reading the disks", &again, look).await?;
    }
    let told = ask(&data_dir, &nodes, one).await?;
    match (&start, told.as_slice()) {
        // The disks' tasks take the command up in a moment: a table would still say that they rest.
        (Some(request), [node]) if !work.wait && !work.ask.json => {
            println!("{}", begun(node, request.disk.as_deref()));
            Ok(())
        }
        _ => print(&work, &told),
    }
}

/// That a pass has begun.
fn begun(node: &NodeScrub, disk: Option<&str>) -> String {
    let NodeScrub { node: id, name, disks, .. } = node;
    let disks = disks.iter().filter(|known| disk.is_none_or(|named| known.disk.starts_with(named)));
    format!(
        "{} of node {id} ({name}) to be read from the beginning; watch it: regnode scrub status --node {id} --wait",
        count(disks.count() as u64, "disk", "disks")
    )
}

/// A node as it is asked: its id, its name, whether it answers.
fn of(nodes: &[NodeStatus], id: u64) -> (u64, String, bool) {
    let found = nodes.iter().find(|node| node.id == id);
    (id, found.map(|node| node.name.clone()).unwrap_or_default(), true)
}

/// Asks every node. Of several, one that does not answer is told with the others' answers.
async fn ask(data_dir: &Path, nodes: &[(u64, String, bool)], one: bool) -> Result<Vec<NodeScrub>> {
    let mut told = Vec::with_capacity(nodes.len());
    for (node, name, live) in nodes {
        let (error, disks) = if *live {
            match admin_client::scrub(data_dir, Some(&format!("#{node}"))).await {
                Ok(answer) => (None, answer.disks),
                Err(error) if one => return Err(error),
                Err(error) => (Some(format!("{error:#}")), Vec::new()),
            }
        } else {
            (Some("it does not answer".to_owned()), Vec::new())
        };
        told.push(NodeScrub { node: *node, name: name.clone(), error, disks });
    }
    Ok(told)
}

/// Before a pass on command has begun.
fn whole(disks: &[DiskScrub]) -> Position {
    let total = disks.iter().map(|disk| disk.bytes_total).sum();
    Position { counted: Counted::Bytes, done: 0, total, per_second: 0, eta_seconds: None }
}

/// How far the passes on command are; `None` when there is none.
fn position(disks: &[DiskScrub]) -> Option<Position> {
    let forced: Vec<&DiskScrub> = disks.iter().filter(|disk| disk.state == ScrubState::Forced).collect();
    let sum = |of: fn(&DiskScrub) -> u64| forced.iter().map(|disk| of(disk)).sum();
    // The disks are read side by side: the slowest one ends it.
    let eta_seconds = forced.iter().map(|disk| disk.eta_seconds).collect::<Option<Vec<u64>>>();
    (!forced.is_empty()).then(|| Position {
        counted: Counted::Bytes,
        done: sum(|disk| disk.bytes_done),
        total: sum(|disk| disk.bytes_total),
        per_second: sum(|disk| disk.bytes_per_second),
        eta_seconds: eta_seconds.and_then(|etas| etas.into_iter().max()),
    })
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn print(work: &Work, nodes: &[NodeScrub]) -> Result<()> {
    if work.ask.json {
        println!("{}", serde_json::to_string_pretty(nodes)?);
    } else {
        print!("{}", text(nodes));
    }
    Ok(())
}

fn text(nodes: &[NodeScrub]) -> String {
    let mut rows =
        table(&["NODE", "DISK", "DIRECTORY", "STATE", "READ", "LEFT", "FOUND", "LAST PASS", "ORPHANS REMOVED"]);
    for (node, disk) in nodes.iter().flat_map(|node| node.disks.iter().map(move |disk| (node, disk))) {
        let state = match disk.state {
            ScrubState::Resting => "resting",
            ScrubState::Running => "reading slowly",
            ScrubState::Forced => "reading",
            ScrubState::Waiting => "waiting for the disk or the catalog",
        };
        let last = disk.last.as_ref().map_or_else(
            || "none yet".to_owned(),
            |last| format!("{}, {}", count(last.shards, "shard", "shards"), found(&last.found)),
        );
        rows.add_row([
            format!("{} ({})", node.node, node.name),
            disk.disk.clone(),
            disk.path.display().to_string(),
            state.to_owned(),
            format!("{} of {}", size(disk.bytes_done), size(disk.bytes_total)),
            disk.eta_seconds.map(duration).unwrap_or_default(),
            found(&disk.found),
            last,
            disk.inventory.orphans_removed.to_string(),
        ]);
    }
    let silent = |node: &NodeScrub| {
        node.error.as_ref().map(|error| format!("\nnode {} ({}) says nothing: {error}\n", node.node, node.name))
    };
    trimmed(&format!("{rows}\n{}", nodes.iter().filter_map(silent).collect::<String>()))
}

/// What a pass has found, in words.
fn found(found: &Findings) -> String {
    let counted = [
        (found.corrupt, "corrupt"),
        (found.truncated, "truncated"),
        (found.missing, "missing"),
        (found.unreadable, "unreadable"),
    ];
    let named: Vec<String> =
        counted.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")).collect();
    if named.is_empty() { "nothing bad".to_owned() } else { named.join(", ") }
}

#[cfg(test)]
mod tests {
    use node::scrub::InventoryReport;

    use super::*;

    #[test]
    fn what_was_found_is_named() {
        assert_eq!(found(&Findings::default()), "nothing bad");
        assert_eq!(found(&Findings { corrupt: 2, missing: 1, ..Findings::default() }), "2 corrupt, 1 missing");
    }

    fn disk(state: ScrubState, eta_seconds: Option<u64>) -> DiskScrub {
        DiskScrub {
            disk: "11".repeat(16),
            path: "/data/1".into(),
            state,
            started_milliseconds: None,
            shards_done: 0,
            bytes_done: 0,
            bytes_total: 10,
            bytes_per_second: 1,
            eta_seconds,
            found: Findings::default(),
            last: None,
            inventory: InventoryReport::default(),
        }
    }

    #[test]
    fn a_pass_that_begins_is_told_with_the_way_to_watch_it() {
        let disks = vec![disk(ScrubState::Resting, None), disk(ScrubState::Resting, None)];
        let node = NodeScrub { node: 3, name: "n3".to_owned(), error: None, disks };
        assert!(begun(&node, None).starts_with("2 disks of node 3 (n3)"));
        assert!(begun(&node, Some("11")).contains("regnode scrub status --node 3 --wait"));
    }

    #[test]
    fn a_node_that_does_not_answer_is_told_with_the_others() {
        let node = |node, error: Option<&str>, disks| NodeScrub {
            node,
            name: format!("n{node}"),
            error: error.map(str::to_owned),
            disks,
        };
        let all =
            [node(1, None, vec![disk(ScrubState::Resting, None)]), node(3, Some("it does not answer"), Vec::new())];
        let text = text(&all);
        assert!(text.contains("1 (n1)") && text.contains("/data/1"), "{text}");
        assert!(text.ends_with("\nnode 3 (n3) says nothing: it does not answer\n"), "{text}");
    }

    #[test]
    fn the_slowest_disk_says_when_it_ends() {
        assert_eq!(position(&[disk(ScrubState::Running, Some(1))]), None, "nobody asked for it");
        let two = [disk(ScrubState::Forced, Some(5)), disk(ScrubState::Forced, Some(9))];
        assert_eq!(position(&two).map(|position| (position.total, position.eta_seconds)), Some((20, Some(9))));
        let stuck = [disk(ScrubState::Forced, Some(5)), disk(ScrubState::Forced, None)];
        assert_eq!(position(&stuck).and_then(|position| position.eta_seconds), None);
    }
}
