//! `regnode disk`: the disks, and how they go.

use std::path::Path;

use anyhow::{Context, Result};
use node::admin::{AddDiskRequest, DiskStatus, DiskWishAnswer, DiskWishRequest, NodeStatus, Status, WishedDisk};
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
    let status = admin_client::status(&data_dir(&list.ask).await?).await?;
    let rows = rows(&status, list.of.as_deref());
    if list.ask.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", text(&rows));
    }
    Ok(())
}

fn is_named(node: &NodeStatus, of: &str) -> bool {
    node.name == of || node.id.to_string() == of
}

fn rows<'a>(status: &'a Status, of: Option<&str>) -> Vec<Row<'a>> {
    let nodes = status.nodes.iter().filter(|node| of.is_none_or(|of| is_named(node, of)));
    nodes.flat_map(|node| node.disks.iter().map(|disk| Row { node: node.id, node_name: &node.name, disk })).collect()
}

fn text(rows: &[Row<'_>]) -> String {
    let mut page = table(&["NODE", "DISK", "STATE", "HEALTH", "FREE OF SIZE", "SHARDS", "HOLDS"]);
    for Row { node, node_name, disk } in rows {
        let free = disk.available_bytes.map_or_else(|| "?".to_owned(), size);
        page.add_row([
            format!("{node} ({node_name})"),
            disk.id.clone(),
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
    let answer = admin_client::add_disk(&data_dir(&add.ask).await?, &AddDiskRequest { path: add.path }).await?;
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
    let answer = wished(&data_dir, drain.of.as_deref(), &drain.disk, wish).await?;
    if drain.wait {
        let again = format!("regnode disk drain {} --wait", answer.disk);
        let mut total = 0;
        let look = async || look(&data_dir, &answer.disk, &mut total).await;
        watch("emptying the disk", &again, look).await?;
        return Ok(());
    }
    let text = if drain.undo {
        format!("disk {} is in use", answer.disk)
    } else {
        format!("disk {} is being emptied; then take it out with: regnode disk remove {}", answer.disk, answer.disk)
    };
    print(&drain.ask, &answer, &text)
}

async fn remove(remove: DiskRemove) -> Result<()> {
    let data_dir = data_dir(&remove.ask).await?;
    let wish = if remove.force { WishedDisk::GiveUp } else { WishedDisk::Remove };
    let answer = wished(&data_dir, remove.of.as_deref(), &remove.disk, wish).await?;
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

async fn wished(data_dir: &Path, of: Option<&str>, disk: &str, wish: WishedDisk) -> Result<DiskWishAnswer> {
    let request = DiskWishRequest { node: of.map(ToOwned::to_owned), disk: disk.to_owned(), wish };
    admin_client::wish(data_dir, &request).await
}

/// How far a disk's emptying has come since `total` was first looked at.
async fn look(data_dir: &Path, disk: &str, total: &mut u64) -> Result<Look> {
    let status = admin_client::status(data_dir).await?;
    let work = admin_client::work(data_dir).await?.work;
    let found = status.nodes.iter().flat_map(|node| &node.disks).find(|found| found.id == disk);
    let found = found.context("the disk is not there any more")?;
    if found.shards == 0 {
        return Ok(Look::Done(format!("disk {disk} holds nothing: take it out with regnode disk remove {disk}")));
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
