//! `regnode-sim mutations`: the test of the judges. Each planted fault must be noticed within the seeds it promises, and
//! without it the same seeds must be clean.

use std::num::NonZeroU64;

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table};
use futures_util::StreamExt;
use serde::Serialize;
use simulation::mutation::{MUTATIONS, Mutation};
use simulation::report::{Grouped, Report};

use crate::child::Task;
use crate::pool::Limits;
use crate::progress::Progress;
use crate::run::mutation_names;
use crate::{Verdict, say};

/// Plant faults one by one, and count the seeds until a judge notices.
///
/// Each fault has promised a number of seeds. The same seeds are run without a fault as well, and must be clean.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  regnode-sim mutations --jobs 2")]
pub(crate) struct Arguments {
    /// The faults [default: all].
    #[arg(value_name = "NAME", hide_possible_values = true, value_parser = mutation_names())]
    names: Vec<String>,
    /// Name all faults.
    #[arg(long, conflicts_with = "names")]
    list: bool,
    /// Seeds to try for each fault, from 1 on [default: what it promises].
    #[arg(long, value_name = "N")]
    seeds: Option<NonZeroU64>,
    #[command(flatten)]
    limits: Limits,
    /// Print one JSON object at the end.
    #[arg(long)]
    json: bool,
}

/// What came of one planted fault.
#[derive(Debug, Serialize)]
struct Row {
    mutation: &'static str,
    promised_seeds: u64,
    promised_judges: &'static [&'static str],
    /// The first seed that was not clean, which is the number of seeds it took.
    seeds: Option<u64>,
    /// The judge that noticed first.
    judge: Option<String>,
    /// Virtual time of the finding in that run, in milliseconds.
    at_milliseconds: Option<u64>,
    text: Option<String>,
}

impl Row {
    fn new(mutation: &Mutation, caught: Option<Report>) -> Self {
        let seeds = caught.as_ref().map(|report| report.seed);
        let first = caught.and_then(|report| report.violations.into_iter().next());
        Self {
            mutation: mutation.name,
            promised_seeds: mutation.seeds,
            promised_judges: mutation.caught_by,
            seeds,
            judge: first.as_ref().map(|violation| violation.judge.clone()),
            at_milliseconds: first.as_ref().map(|violation| violation.at_milliseconds),
            text: first.map(|violation| violation.text),
        }
    }

    fn kept(&self) -> bool {
        self.seeds.is_some_and(|seeds| seeds <= self.promised_seeds)
    }
}

/// The whole table.
#[derive(Debug, Serialize)]
struct Summary {
    mutations: Vec<Row>,
    /// Seeds run without a fault, from 1 on.
    control_seeds: u64,
    /// Those of them that were not clean.
    control_violations: Vec<Report>,
}

/// Runs the table.
pub(crate) async fn mutations(arguments: &Arguments) -> Result<Verdict> {
    if arguments.list {
        list();
        return Ok(Verdict::Kept);
    }
    let progress = Progress::new();
    let mut rows = Vec::new();
    let chosen =
        |mutation: &&Mutation| arguments.names.is_empty() || arguments.names.iter().any(|name| name == mutation.name);
    for mutation in MUTATIONS.iter().filter(chosen) {
        let seeds = arguments.seeds.map_or(mutation.seeds, NonZeroU64::get);
        let caught = first_violation(arguments, Some(mutation), seeds, &progress).await?;
        rows.push(Row::new(mutation, caught));
    }
    // The judges must not have been right by accident: the fault alone makes the difference.
    let tried = |row: &Row| row.seeds.or(arguments.seeds.map(NonZeroU64::get)).unwrap_or(row.promised_seeds);
    let control_seeds = rows.iter().map(tried).max().unwrap_or_default();
    let control_violations =
        first_violation(arguments, None, control_seeds, &progress).await?.into_iter().collect::<Vec<_>>();
    progress.end();
    let kept = rows.iter().all(Row::kept) && control_violations.is_empty();
    let summary = Summary { mutations: rows, control_seeds, control_violations };
    if arguments.json {
        say(&serde_json::to_string(&summary).context("encoding the table")?);
    } else {
        print(&summary);
    }
    Ok(Verdict::kept(kept))
}

fn list() {
    let width = MUTATIONS.iter().map(|mutation| mutation.name.len()).max().unwrap_or_default();
    for mutation in MUTATIONS {
        say(&format!("{:<width$}  {}", mutation.name, mutation.about));
    }
}

/// The report of the lowest seed that is not clean, of the seeds from 1 on.
async fn first_violation(
    arguments: &Arguments,
    mutation: Option<&Mutation>,
    seeds: u64,
    progress: &Progress,
) -> Result<Option<Report>> {
    let name = mutation.map_or("no mutation", |mutation| mutation.name);
    let scenario = mutation.and_then(|mutation| mutation.scenario);
    let planted = mutation.map(|mutation| mutation.name);
    let tasks =
        (1..=seeds).map(|seed| Task { scenario, mutation: planted, ..Task::seed(seed, arguments.limits.wall()) });
    let mut reports = std::pin::pin!(arguments.limits.in_order(tasks));
    let mut clean = 0;
    progress.state(&format!("{name}: up to {} seeds", Grouped(seeds)));
    while let Some(report) = reports.next().await {
        let report = report?;
        if !report.is_clean() {
            return Ok(Some(report));
        }
        clean += 1;
        progress.update(&format!("{name}: {} of {} seeds", Grouped(clean), Grouped(seeds)));
    }
    Ok(None)
}

fn print(summary: &Summary) {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["mutation", "seeds", "promised", "judge", "virtual s"]);
    for row in &summary.mutations {
        let judge = match &row.judge {
            Some(judge) if row.promised_judges.contains(&judge.as_str()) => judge.clone(),
            Some(judge) => format!("{judge} (expected {})", row.promised_judges.join(", ")),
            None => format!("NOT CAUGHT (expected {})", row.promised_judges.join(", ")),
        };
        table.add_row([
            row.mutation.to_owned(),
            row.seeds.map_or_else(|| "-".to_owned(), |seeds| Grouped(seeds).to_string()),
            Grouped(row.promised_seeds).to_string(),
            judge,
            row.at_milliseconds.map_or_else(|| "-".to_owned(), |at| Grouped(at / 1000).to_string()),
        ]);
    }
    for index in [1, 2, 4] {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    say(&table.trim_fmt());
    match summary.control_violations.first() {
        None => say(&format!("control: {} seeds without a mutation are clean", Grouped(summary.control_seeds))),
        Some(report) => say(&format!("control: without a mutation not all is clean\n{report}")),
    }
}

#[cfg(test)]
mod tests {
    use simulation::report::Accusation;

    use super::*;

    const PLANTED: Mutation = Mutation {
        name: "planted",
        about: "",
        caught_by: &["durability"],
        seeds: 3,
        share_percent: 100,
        scenario: None,
    };

    fn caught(seed: u64) -> Report {
        let violation = Accusation { judge: "durability".to_owned(), text: "gone".to_owned(), at_milliseconds: 1_500 };
        Report { seed, violations: vec![violation], ..Report::default() }
    }

    #[test]
    fn a_fault_must_be_noticed_within_the_seeds_it_promises() {
        assert!(Row::new(&PLANTED, Some(caught(3))).kept());
        assert!(!Row::new(&PLANTED, Some(caught(4))).kept());
        assert!(!Row::new(&PLANTED, None).kept());
    }
}
