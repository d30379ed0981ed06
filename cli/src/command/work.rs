//! `regnode repair` and `regnode rebalance`: work that is under way.

use std::fmt::Write as _;

use anyhow::Result;
use node::admin::WorkAnswer;
use node::background::{Progress, RebalanceOverview, RepairOverview, Unit};

use super::node::data_dir;
use super::status_text::{table, trimmed};
use crate::admin_client;
use crate::arguments::{Rebalance, RebalanceAction, Repair, RepairAction, Work};
use crate::figures::{count, size};
use crate::progress::{Counted, Position};
use crate::watch::{Look, watch};

/// Says what is being rebuilt.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn repair(repair: Repair) -> Result<()> {
    let RepairAction::Status(work) = repair.action;
    let Some(answer) = ask(&work, "rebuilding", "regnode repair status --wait", |answer| {
        let RepairOverview { extents, lost, progress, .. } = &answer.work.repair;
        (*extents == *lost).then(|| repair_text(&answer.work.repair)).ok_or_else(|| position(progress))
    })
    .await?
    else {
        return Ok(());
    };
    if work.ask.json {
        println!("{}", serde_json::to_string_pretty(&answer.work.repair)?);
    } else {
        println!("{}", repair_text(&answer.work.repair));
    }
    Ok(())
}

/// Says how equally full the disks are.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(crate) async fn rebalance(rebalance: Rebalance) -> Result<()> {
    let (work, preview) = match rebalance.action {
        RebalanceAction::Status(work) => (work, false),
        RebalanceAction::Preview(preview) => (Work { wait: false, ask: preview.ask }, true),
    };
    let Some(answer) = ask(&work, "balancing", "regnode rebalance status --wait", |answer| {
        let RebalanceOverview { balanced, progress, .. } = &answer.work.rebalance;
        balanced.then(|| "all disks are equally full within the band".to_owned()).ok_or_else(|| position(progress))
    })
    .await?
    else {
        return Ok(());
    };
    let overview = &answer.work.rebalance;
    match (work.ask.json, preview) {
        (true, true) => println!("{}", serde_json::to_string_pretty(&overview.moves)?),
        (true, false) => println!("{}", serde_json::to_string_pretty(overview)?),
        (false, true) => print!("{}", preview_text(overview)),
        (false, false) => print!("{}", balance_text(overview)),
    }
    Ok(())
}

/// The answer, at once; or, when the end is waited for, nothing: it was shown. `is_over` says the end, or how far it is.
async fn ask(
    work: &Work,
    title: &str,
    again: &str,
    is_over: impl Fn(&WorkAnswer) -> Result<String, Position>,
) -> Result<Option<WorkAnswer>> {
    let data_dir = data_dir(&work.ask).await?;
    if !work.wait {
        return Ok(Some(admin_client::work(&data_dir).await?));
    }
    let look = async || {
        let answer = admin_client::work(&data_dir).await?;
        Ok(match is_over(&answer) {
            Ok(end) => Look::Done(end),
            Err(position) => Look::Going(position),
        })
    };
    watch(title, again, look).await?;
    Ok(None)
}

/// A rate in whole numbers.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is told to people")]
pub(super) fn whole(rate: f64) -> u64 {
    rate.max(0.0) as u64
}

fn position(progress: &Progress) -> Position {
    let counted = match progress.unit {
        Unit::Bytes => Counted::Bytes,
        Unit::Extents => Counted::Things("extents"),
        Unit::Shards => Counted::Things("shards"),
    };
    Position {
        counted,
        done: progress.done,
        total: progress.total,
        per_second: whole(progress.per_second),
        eta_seconds: progress.eta_seconds,
    }
}

fn repair_text(repair: &RepairOverview) -> String {
    let waiting = repair.extents.saturating_sub(repair.lost);
    let mut text = if waiting == 0 {
        "nothing is to be rebuilt".to_owned()
    } else {
        format!("{} below full redundancy: {}", count(waiting, "extent", "extents"), position(&repair.progress).text())
    };
    for (spare, extents) in &repair.by_spare {
        let bears = match spare {
            0 => "bear no further loss".to_owned(),
            1 => "bear 1 more loss".to_owned(),
            spare => format!("bear {spare} more losses"),
        };
        write!(text, "\n  {extents} {bears}").expect("a string takes any text");
    }
    if repair.lost > 0 {
        let lost = count(repair.lost, "extent", "extents");
        write!(text, "\n  {lost} LOST: more is missing than the redundancy bears").expect("a string takes any text");
    }
    text
}

fn balance_text(overview: &RebalanceOverview) -> String {
    let mut rows = table(&["NODE", "DISK", "HOLDS", "SIZE", "PERCENT"]);
    for disk in &overview.disks {
        rows.add_row([
            disk.node.to_string(),
            disk.disk.clone(),
            size(disk.used_bytes),
            size(disk.capacity_bytes),
            format!("{}%", disk.used_bytes.saturating_mul(100) / disk.capacity_bytes.max(1)),
        ]);
    }
    let verdict = if overview.balanced {
        "all disks are equally full within the band (rebalance.band_percent)".to_owned()
    } else {
        format!("{} to move: {}", size(overview.bytes_left), position(&overview.progress).text())
    };
    trimmed(&format!("{verdict}\n\n{rows}\n"))
}

fn preview_text(overview: &RebalanceOverview) -> String {
    if overview.moves.is_empty() {
        return "nothing would move: all disks are equally full within the band (rebalance.band_percent)\n".to_owned();
    }
    let mut rows = table(&["BYTES", "FROM NODE", "DISK", "TO NODE", "DISK"]);
    for moved in &overview.moves {
        rows.add_row([
            size(moved.bytes),
            moved.from_node.to_string(),
            moved.from_disk.clone(),
            moved.to_node.to_string(),
            moved.to_disk.clone(),
        ]);
    }
    trimmed(&format!("{rows}\n"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_lost_is_not_counted_as_being_rebuilt() {
        let progress = Progress { done: 1, total: 4, unit: Unit::Extents, per_second: 0.5, eta_seconds: Some(6) };
        let by_spare = BTreeMap::from([(0, 2), (1, 1)]);
        let mut repair = RepairOverview { progress, extents: 5, lost: 2, by_spare };
        let text = repair_text(&repair);
        assert!(text.starts_with("3 extents below full redundancy: 1 of 4 extents"), "{text}");
        assert!(text.contains("2 bear no further loss\n  1 bear 1 more loss\n  2 extents LOST"), "{text}");
        (repair.extents, repair.by_spare) = (2, BTreeMap::new());
        assert!(repair_text(&repair).starts_with("nothing is to be rebuilt\n  2 extents LOST"));
    }
}
