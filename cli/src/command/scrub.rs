//! `regnode scrub`: the reading of every block of this machine's disks.

use anyhow::Result;
use node::admin::{ScrubAnswer, ScrubRequest};
use node::scrub::{DiskScrub, Findings, ScrubState};

use super::node::data_dir;
use super::status_text::{table, trimmed};
use crate::admin_client;
use crate::arguments::{Scrub, ScrubAction, Work};
use crate::figures::{count, duration, size};
use crate::progress::{Counted, Position};
use crate::watch::{Look, watch};

/// Looks at a pass that was just asked for until it must have begun.
const BEGIN_LOOKS: u32 = 3;

/// Begins a pass, or says how far it is.
pub(crate) async fn scrub(scrub: Scrub) -> Result<()> {
    let (disk, start, work) = match scrub.action {
        ScrubAction::Start(start) => (start.disk, true, start.work),
        ScrubAction::Status(work) => (None, false, work),
    };
    let data_dir = data_dir(&work.ask).await?;
    let answer = if start {
        admin_client::start_scrub(&data_dir, &ScrubRequest { disk }).await?
    } else {
        admin_client::scrub(&data_dir).await?
    };
    if !work.wait {
        return print(&work, &answer);
    }
    let mut looks = 0;
    let look = async || {
        looks += 1;
        let disks = admin_client::scrub(&data_dir).await?.disks;
        Ok(match position(&disks) {
            Some(position) => Look::Going(position),
            // The disks' tasks take the command up in a moment.
            None if start && looks <= BEGIN_LOOKS => Look::Going(whole(&disks)),
            None => Look::Done("no disk is read on command any more".to_owned()),
        })
    };
    watch("reading the disks", "regnode scrub status --wait", look).await?;
    print(&work, &admin_client::scrub(&data_dir).await?)
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
fn print(work: &Work, answer: &ScrubAnswer) -> Result<()> {
    if work.ask.json {
        println!("{}", serde_json::to_string_pretty(answer)?);
    } else {
        print!("{}", text(&answer.disks));
    }
    Ok(())
}

fn text(disks: &[DiskScrub]) -> String {
    let mut rows = table(&["DISK", "DIRECTORY", "STATE", "READ", "LEFT", "FOUND", "LAST PASS", "ORPHANS REMOVED"]);
    for disk in disks {
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
    trimmed(&format!("{rows}\n"))
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

    #[test]
    fn the_slowest_disk_says_when_it_ends() {
        let disk = |state, eta_seconds| DiskScrub {
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
        };
        assert_eq!(position(&[disk(ScrubState::Running, Some(1))]), None, "nobody asked for it");
        let two = [disk(ScrubState::Forced, Some(5)), disk(ScrubState::Forced, Some(9))];
        assert_eq!(position(&two).map(|position| (position.total, position.eta_seconds)), Some((20, Some(9))));
        let stuck = [disk(ScrubState::Forced, Some(5)), disk(ScrubState::Forced, None)];
        assert_eq!(position(&stuck).and_then(|position| position.eta_seconds), None);
    }
}
