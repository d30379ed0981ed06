//! `regnode gc`: what waits to be freed, and when.

use std::fmt::Write as _;

use anyhow::Result;
use node::admin::{CollectedAnswer, GarbageAnswer};
use node::deletion::GarbageStatus;

use super::node::data_dir;
use super::status_text::{table, trimmed};
use super::work::whole;
use crate::admin_client;
use crate::arguments::{Gc, GcAction, GcRun, Work};
use crate::figures::{count, duration, size};
use crate::progress::{Counted, Position};
use crate::watch::{Look, Rate, watch};

/// Says what waits, or collects what is due.
pub(crate) async fn gc(gc: Gc) -> Result<()> {
    match gc.action {
        GcAction::Status(work) => status(&work).await,
        GcAction::Run(run) => self::run(&run).await,
    }
}

async fn status(work: &Work) -> Result<()> {
    let data_dir = data_dir(&work.ask).await?;
    if work.wait {
        let mut total = 0;
        let look = async || {
            let garbage = admin_client::garbage(&data_dir).await?.garbage;
            if garbage.due == 0 {
                return Ok(Look::Done("nothing is due any more".to_owned()));
            }
            total = garbage.due.max(total);
            let per_second = whole(garbage.overview.items_per_second);
            Ok(Look::Going(Position {
                counted: Counted::Things("things"),
                done: total - garbage.due,
                total,
                per_second,
                eta_seconds: garbage.due.checked_div(per_second),
            }))
        };
        watch("collecting", "regnode gc status --wait", look).await?;
    }
    print(work, &admin_client::garbage(&data_dir).await?)
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn print(work: &Work, answer: &GarbageAnswer) -> Result<()> {
    if work.ask.json {
        println!("{}", serde_json::to_string_pretty(answer)?);
    } else {
        print!("{}", text(&answer.garbage));
    }
    Ok(())
}

/// Collects what is due, a moment at a time as long as somebody waits.
#[expect(clippy::print_stdout, reason = "what the command is for")]
async fn run(run: &GcRun) -> Result<()> {
    let data_dir = data_dir(&run.work.ask).await?;
    if !run.work.wait {
        let answer = admin_client::collect_garbage(&data_dir).await?;
        if run.work.ask.json {
            println!("{}", serde_json::to_string_pretty(&answer)?);
        } else {
            println!("{}", collected(&answer));
        }
        return Ok(());
    }
    let due = admin_client::garbage(&data_dir).await?.garbage.due;
    let mut sum = CollectedAnswer { version: node::admin::VERSION, items: 0, bytes: 0, more: true };
    let mut rate = Rate::begin();
    let look = async || {
        let answer = admin_client::collect_garbage(&data_dir).await?;
        sum.items += answer.items;
        sum.bytes += answer.bytes;
        sum.more = answer.more;
        if !sum.more {
            return Ok(Look::Done(collected(&sum)));
        }
        // What is collected makes more due: a manifest's blobs follow it.
        let total = due.max(sum.items + 1);
        Ok(Look::Going(rate.position(Counted::Things("things"), sum.items, total)))
    };
    watch("collecting", "regnode gc run --now --wait", look).await?;
    if run.work.ask.json {
        println!("{}", serde_json::to_string_pretty(&sum)?);
    }
    Ok(())
}

fn collected(answer: &CollectedAnswer) -> String {
    let what = count(answer.items, "thing", "things");
    match (answer.items, answer.more) {
        (0, false) => "nothing is due; what waits for its grace stays: regnode gc status".to_owned(),
        (_, false) => format!(
            "collected {what}, {} of blobs; nothing more is due. Their space is free once no reader can have them: \
             regnode gc status",
            size(answer.bytes)
        ),
        (_, true) => format!(
            "collected {what}, {} of blobs; more is due and goes by itself, or at once with regnode gc run --now --wait",
            size(answer.bytes)
        ),
    }
}

fn text(garbage: &GarbageStatus) -> String {
    let mut page = format!("{}\n", headline(garbage));
    let mut rows = table(&["WAITING", "ITEMS"]);
    for (kind, items) in garbage.queued_by_kind.iter().filter(|(_, items)| **items > 0) {
        rows.add_row([kind_name(kind).to_owned(), items.to_string()]);
    }
    if garbage.queued_by_kind.values().any(|items| *items > 0) {
        line(&mut page, format_args!("\n{rows}"));
    }
    if garbage.forecast.iter().any(|step| step.bytes > 0) {
        let mut rows = table(&["FREED UNLESS NEEDED AGAIN", "BYTES"]);
        for step in &garbage.forecast {
            let when = if step.within_seconds == 0 {
                "now".to_owned()
            } else {
                format!("within {}", duration(step.within_seconds))
            };
            rows.add_row([when, size(step.bytes)]);
        }
        line(&mut page, format_args!("\n{rows}"));
    }
    line(
        &mut page,
        format_args!(
            "\n{} ({}) {} used by no manifest; {} ({}) {} to be unlinked once no reader can have them",
            count(garbage.unreferenced_blobs, "blob", "blobs"),
            size(garbage.overview.unreferenced_bytes),
            if garbage.unreferenced_blobs == 1 { "is" } else { "are" },
            count(garbage.overview.discards, "discarded shard set", "discarded shard sets"),
            size(garbage.overview.discarded_bytes),
            if garbage.overview.discards == 1 { "waits" } else { "wait" },
        ),
    );
    let last = garbage.overview.last_collected_milliseconds.map_or_else(
        || "nothing was collected yet".to_owned(),
        |last| {
            format!(
                "collected so far: {}, {} of blobs; the last {} ago",
                count(garbage.overview.collected_items, "thing", "things"),
                size(garbage.overview.collected_bytes),
                duration(garbage.now_milliseconds.saturating_sub(last) / 1000)
            )
        },
    );
    line(&mut page, format_args!("{last}"));
    trimmed(&page)
}

fn headline(garbage: &GarbageStatus) -> String {
    if garbage.due > 0 {
        let more = if garbage.due_more { "more than " } else { "" };
        let pace = match garbage.overview.pace_items_per_second {
            0 => String::new(),
            pace => format!(", at most {pace}/s"),
        };
        return format!(
            "{more}{} due: {:.1}/s and {}/s of late{pace}",
            count(garbage.due, "thing is", "things are"),
            garbage.overview.items_per_second,
            size(whole(garbage.overview.bytes_per_second)),
        );
    }
    match garbage.overview.next_deadline_milliseconds {
        None => "nothing waits to be collected".to_owned(),
        Some(next) => {
            let seconds = next.saturating_sub(garbage.now_milliseconds).div_ceil(1000);
            format!("nothing is due; the next is due in {}", duration(seconds))
        }
    }
}

/// What a kind of garbage is, to a person.
fn kind_name(kind: &str) -> &str {
    match kind {
        "link" => "blobs that a repository no longer uses",
        "blob" => "blobs that no repository has",
        "manifest" => "manifests that nothing needs",
        "tombstone" => "deleted manifests that can be restored",
        "tag_history" => "histories of deleted tags",
        other => other,
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use node::background::GarbageOverview;
    use node::deletion::Reclaimable;

    use super::*;

    fn status() -> GarbageStatus {
        GarbageStatus {
            overview: GarbageOverview {
                queued: 15,
                next_deadline_milliseconds: Some(1_000),
                unreferenced_bytes: 5 << 30,
                discards: 1,
                discarded_bytes: 7 << 20,
                collected_items: 1234,
                collected_bytes: 3 << 40,
                last_collected_milliseconds: Some(199_000_000),
                items_per_second: 3.25,
                bytes_per_second: 1_048_576.0,
                pace_items_per_second: 200,
            },
            queued_by_kind: BTreeMap::from([
                ("blob".to_owned(), 3),
                ("link".to_owned(), 12),
                ("manifest".to_owned(), 0),
            ]),
            due: 2,
            due_more: false,
            now_milliseconds: 200_000_000,
            unreferenced_blobs: 15,
            forecast: vec![
                Reclaimable { within_seconds: 0, bytes: 1 << 20 },
                Reclaimable { within_seconds: 3_600, bytes: 1 << 30 },
            ],
        }
    }

    #[test]
    fn the_status_reads_well() {
        insta::assert_snapshot!(text(&status()));
    }

    #[test]
    fn nothing_due_says_when_something_will_be() {
        let mut garbage = status();
        (garbage.due, garbage.overview.next_deadline_milliseconds) = (0, Some(garbage.now_milliseconds + 3_600_500));
        assert_eq!(headline(&garbage), "nothing is due; the next is due in 1h");
        garbage.overview.next_deadline_milliseconds = None;
        assert_eq!(headline(&garbage), "nothing waits to be collected");
        (garbage.due, garbage.due_more, garbage.overview.pace_items_per_second) = (10_000, true, 0);
        assert_eq!(headline(&garbage), "more than 10000 things are due: 3.2/s and 1.0 MiB/s of late");
    }

    #[test]
    fn a_run_says_whether_more_is_due() {
        let answer = |items, more| collected(&CollectedAnswer { version: 1, items, bytes: 1 << 20, more });
        assert!(answer(0, false).starts_with("nothing is due"));
        assert!(answer(1, false).starts_with("collected 1 thing, 1.0 MiB of blobs; nothing more"));
        assert!(answer(2, true).contains("--wait"));
    }
}
