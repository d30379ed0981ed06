//! `regnode disk`: the disks, and how they go.

use std::path::Path;

use anyhow::{Context, Result, bail};
use node::admin::{AddDiskRequest, DiskStatus, DiskWishAnswer, DiskWishRequest, NodeStatus, WishedDisk};
use node::shards::DiskReport;
use serde::Serialize;

use super::node::data_dir;
use super::status_text::{table, trimmed};
use crate::admin_client;
use crate::arguments::{Ask, Disk, DiskAction, DiskAdd, DiskDrain, DiskList, DiskRemove};
use crate::figures::size;
use crate::progress::{Counted, Position};
use crate::watch::{Look, watch};

/// A disk with its node.
#[derive(Debug, Serialize)]
struct Row<'a> {
    node: u64,
    node_name: &'a str,
    #[serde(flatten)]
    disk: &'a DiskStatus,
    /// What its node says of it, when it answers.
    own: Option<&'a DiskReport>,
}

/// Does what is asked of disks.
pub(crate) async fn disk(disk: Disk) -> Result<()> {
    match disk.action {
        DiskAction::List(list_of) => list(list_of).await,
        DiskAction::Add(disk) => add(disk).await,
        DiskAction::Drain(of) => drain(of).await,
        DiskAction::Remove(of) => remove(of).await,
    }
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn list(list: DiskList) -> Result<()> {
    let data_dir = data_dir(&list.ask).await?;
    let status = admin_client::status(&data_dir).await?;
    let named = |node: &&NodeStatus| list.node.as_deref().is_none_or(|named| is_named(node, named));
    let nodes: Vec<&NodeStatus> = status.nodes.iter().filter(named).collect();
    if let (Some(named), []) = (&list.node, nodes.as_slice()) {
        bail!("there is no node {named:?}: regnode nodes lists them");
    }
    let mut own = Vec::new();
    for node in nodes.iter().filter(|node| node.live) {
        // What only the node itself knows is left out if it does not answer after all.
        let told = admin_client::disks(&data_dir, Some(&format!("#{}", node.id))).await;
        own.extend(told.map(|answer| answer.disks).unwrap_or_default());
    }
    let rows = rows(&nodes, &own);
    if list.ask.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", text(&rows));
    }
    Ok(())
}

fn is_named(node: &NodeStatus, named: &str) -> bool {
    node.name == named || node.id.to_string() == named.trim_start_matches('#')
}

fn rows<'a>(nodes: &[&'a NodeStatus], own: &'a [DiskReport]) -> Vec<Row<'a>> {
    let row = |node: &'a NodeStatus, disk: &'a DiskStatus| {
        let own = own.iter().find(|own| own.id == disk.id);
        Row { node: node.id, node_name: &node.name, disk, own }
    };
    nodes.iter().flat_map(|node| node.disks.iter().map(move |disk| row(node, disk))).collect()
}

fn text(rows: &[Row<'_>]) -> String {
    let mut page = table(&["NODE", "DISK", "DIRECTORY", "STATE", "HEALTH", "FREE OF SIZE", "SHARDS", "HOLDS"]);
    for Row { node, node_name, disk, own } in rows {
        let free = disk.available_bytes.map_or_else(|| "?".to_owned(), size);
        page.add_row([
            format!("{node} ({node_name})"),
            disk.id.clone(),
            own.map_or_else(|| "?".to_owned(), |own| own.path.display().to_string()),
            disk.state.clone(),
            disk.health.clone().unwrap_or_else(|| "not heard of".to_owned()),
            format!("{free} of {}", size(disk.capacity_bytes)),
            disk.shards.to_string(),
            size(disk.bytes),
        ]);
    }
    let advised = rows.iter().filter(|row| !row.disk.advice.is_empty());
    let advice: Vec<String> = advised
        .map(|Row { node_name, disk, .. }| format!("\ndisk {} of {node_name}: {}\n", disk.id, disk.advice))
        .collect();
    trimmed(&format!("{page}\n{}", advice.concat()))
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn add(add: DiskAdd) -> Result<()> {
    let request = AddDiskRequest { path: add.path };
    let answer = admin_client::add_disk(&data_dir(&add.ask).await?, add.node.as_deref(), &request).await?;
    if add.ask.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    for disk in &answer.disks {
        println!(
            "disk {} in {}: {} free; its share of the data comes by itself, see regnode rebalance status",
            disk.id,
            disk.path.display(),
            size(disk.available_bytes)
        );
    }
    Ok(())
}

async fn drain(drain: DiskDrain) -> Result<()> {
    let data_dir = data_dir(&drain.ask).await?;
    let wish = if drain.undo { WishedDisk::Use } else { WishedDisk::Drain };
    let answer = wished(&data_dir, drain.node.as_deref(), &drain.disk, wish).await?;
    // The disk as commands name it.
    let named = [answer.disk.clone()].into_iter().chain(drain.node.iter().map(|node| format!("--node {node}")));
    let named = named.collect::<Vec<_>>().join(" ");
    if drain.wait {
        let again = format!("regnode disk drain {named} --wait");
        let mut total = 0;
        let look = async || look(&data_dir, &answer.disk, &named, &mut total).await;
        watch("emptying the disk", &again, look).await?;
        return Ok(());
    }
    let text = if drain.undo {
        format!("disk {} is in use", answer.disk)
    } else {
        format!("disk {} is being emptied; then take it out with: regnode disk remove {named}", answer.disk)
    };
    print(&drain.ask, &answer, &text)
}

async fn remove(remove: DiskRemove) -> Result<()> {
    let data_dir = data_dir(&remove.ask).await?;
    let wish = if remove.force { WishedDisk::GiveUp } else { WishedDisk::Remove };
    let answer = wished(&data_dir, remove.node.as_deref(), &remove.disk, wish).await?;
    let text = if remove.force {
        format!(
            "disk {} is given up: what it held is rebuilt from the other disks, then it is removed; see regnode repair \
             status",
            answer.disk
        )
    } else {
        format!("disk {} is removed", answer.disk)
    };
    print(&remove.ask, &answer, &text)
}

async fn wished(data_dir: &Path, node: Option<&str>, disk: &str, wish: WishedDisk) -> Result<DiskWishAnswer> {
    let request = DiskWishRequest { node: node.map(ToOwned::to_owned), disk: disk.to_owned(), wish };
    admin_client::wish(data_dir, &request).await
}

/// How far a disk's emptying has come since `total` was first looked at.
async fn look(data_dir: &Path, disk: &str, named: &str, total: &mut u64) -> Result<Look> {
    let status = admin_client::status(data_dir).await?;
    let work = admin_client::work(data_dir).await?.work;
    let found = status.nodes.iter().flat_map(|node| &node.disks).find(|found| found.id == disk);
    let found = found.context("the disk is not there any more")?;
    if found.shards == 0 {
        return Ok(Look::Done(format!("disk {disk} holds nothing: take it out with regnode disk remove {named}")));
    }
    *total = (*total).max(found.bytes);
    let progress = work.drains.iter().find(|drain| drain.disk == disk).map(|drain| drain.progress.clone());
    let progress = progress.unwrap_or_default();
    Ok(Look::Going(Position {
        counted: Counted::Bytes,
        done: *total - found.bytes,
        total: *total,
        per_second: super::work::whole(progress.per_second),
        eta_seconds: progress.eta_seconds,
    }))
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn print(ask: &Ask, answer: &DiskWishAnswer, text: &str) -> Result<()> {
    if ask.json {
        println!("{}", serde_json::to_string_pretty(answer)?);
    } else {
        println!("{text}");
    }
    Ok(())
}
