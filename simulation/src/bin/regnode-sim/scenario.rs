//! `regnode-sim scenario`: named stories, most of them bugs that were found once.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use futures_util::StreamExt;
use simulation::configuration::Configuration;
use simulation::judge::Violation;
use simulation::judge::log::LogJudge;
use simulation::mutation::Mutation;
use simulation::report::Report;
use simulation::scenario::{SCENARIOS, Scenario};
use simulation::seed::Seed;
use simulation::switches::Switches;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use crate::child::Task;
use crate::pool::{self, Limits};
use crate::run::mutation_names;
use crate::stage::Stage;
use crate::{Verdict, say};

/// Run a named scenario with a seed, or all of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  regnode-sim scenario smoke --seed 7\n  regnode-sim scenario --all --seeds 10")]
pub(crate) struct Arguments {
    /// The scenario.
    #[arg(required_unless_present_any = ["list", "all"], conflicts_with_all = ["list", "all"],
          hide_possible_values = true, value_parser = names())]
    name: Option<String>,
    /// The seed; the first one with --all.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// File that receives all lines of the trace.
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    trace: Option<PathBuf>,
    /// Plant a fault that the judges must notice.
    #[arg(long, value_name = "NAME", conflicts_with = "all", hide_possible_values = true, value_parser = mutation_names())]
    mutation: Option<String>,
    /// Name all scenarios.
    #[arg(long, conflicts_with = "all")]
    list: bool,
    /// Run all scenarios, each run in a process of its own.
    #[arg(long)]
    all: bool,
    /// Seeds of each scenario with --all.
    #[arg(long, value_name = "N", default_value = "1", requires = "all")]
    seeds: NonZeroU64,
    #[command(flatten)]
    limits: Limits,
    /// Print one JSON object per run.
    #[arg(long)]
    json: bool,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(SCENARIOS.iter().map(|scenario| scenario.name))
}

/// Runs what was asked for.
pub(crate) fn scenario(arguments: &Arguments) -> Result<Verdict> {
    if arguments.list {
        list();
        return Ok(Verdict::Kept);
    }
    match SCENARIOS.iter().find(|scenario| Some(scenario.name) == arguments.name.as_deref()) {
        Some(scenario) => one(scenario, arguments),
        None => pool::block_on_until_stopped(all(arguments)),
    }
}

fn list() {
    let width = SCENARIOS.iter().map(|scenario| scenario.name.len()).max().unwrap_or_default();
    for scenario in SCENARIOS {
        say(&format!("{:<width$}  {}", scenario.name, scenario.about));
    }
}

fn one(scenario: &'static Scenario, arguments: &Arguments) -> Result<Verdict> {
    let seed = Seed(arguments.seed);
    let stage = Stage::new(arguments.trace.as_deref())?;
    let trace = stage.trace.clone();
    let mutation = arguments.mutation.as_deref().and_then(Mutation::named);
    let planted = mutation.map(|mutation| mutation.name);
    let report = move |violations: &[Violation]| Report::of_scenario(scenario.name, seed, planted, violations, &trace);
    // A scenario decides by itself what happens; only the fault is planted.
    let quiet = Configuration { rare: BTreeMap::new(), ..Configuration::from_seed(seed) };
    let _switches = Switches::install(&quiet, mutation);
    // A scenario breaks things on purpose, and only it knows which errors are right. No panic ever is.
    let log = LogJudge::new(stage.court.clone(), Arc::new(|_| true));
    let _panics = log.watch_panics();
    let _subscriber = tracing::subscriber::set_default(registry().with(stage.trace.clone()).with(log));
    let run = || (scenario.run)(seed, &stage.trace, &stage.court);
    if let Err(error) = stage.perform(Some(arguments.limits.wall()), report.clone(), arguments.json, run) {
        // A judge's finding says more than that the story could not go on.
        let text = format!("{error:#}");
        if !stage.court.all().iter().any(|violation| text.contains(&violation.text)) {
            stage.court.accuse_at(stage.trace.reached(), "story", text);
        }
    }
    stage.conclude(&report(&stage.court.all()), arguments.json)
}

async fn all(arguments: &Arguments) -> Result<Verdict> {
    let limit: Duration = arguments.limits.wall();
    let tasks = SCENARIOS.iter().flat_map(|scenario| {
        (0..arguments.seeds.get()).map(move |index| Task {
            scenario: Some(scenario.name),
            ..Task::seed(arguments.seed.wrapping_add(index), limit)
        })
    });
    let mut reports = std::pin::pin!(arguments.limits.in_order(tasks));
    let mut kept = true;
    while let Some(report) = reports.next().await {
        let report = report?;
        kept &= report.is_clean();
        if arguments.json {
            say(&serde_json::to_string(&report)?);
        } else if report.is_clean() {
            say(&report.line());
        } else {
            say(&report.to_string());
        }
    }
    Ok(Verdict::kept(kept))
}
