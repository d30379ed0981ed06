//! `regnode-sim run`: one seed.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use simulation::configuration::Configuration;
use simulation::mutation::MUTATIONS;
use simulation::outcome::Outcome;
use simulation::report::Report;
use simulation::run::{RunOptions, run_seed};
use simulation::seed::Seed;

use crate::stage::Stage;
use crate::{Verdict, say};

/// Run one seed: the cluster, the faults and the clients that it decides.
///
/// The configuration is printed first, then the run in a line, or the report of the first broken promise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  regnode-sim run --seed 7 --trace /tmp/seed-7.trace")]
pub(crate) struct Arguments {
    /// The seed that decides everything.
    #[arg(long, value_name = "N")]
    seed: u64,
    /// File that receives all lines of the trace.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Plant a fault that the judges must notice; `regnode-sim mutations --list` names them.
    #[arg(long, value_name = "NAME", hide_possible_values = true, value_parser = mutation_names())]
    mutation: Option<String>,
    /// Longest time of the run by the wall clock, in seconds: one that takes longer has failed.
    #[arg(long, value_name = "SECONDS")]
    wall_limit: Option<u64>,
    /// Print one JSON object, and the configuration to stderr.
    #[arg(long)]
    json: bool,
}

/// Names of the planted faults, as values of an argument.
pub(crate) fn mutation_names() -> PossibleValuesParser {
    PossibleValuesParser::new(MUTATIONS.iter().map(|mutation| mutation.name))
}

/// Runs the seed.
pub(crate) fn run(arguments: &Arguments) -> Result<Verdict> {
    let seed = Seed(arguments.seed);
    let wanted = arguments.mutation.as_deref();
    let mutation = MUTATIONS.iter().map(|mutation| mutation.name).find(|name| Some(*name) == wanted);
    let configuration = Configuration::from_seed(seed);
    if arguments.json {
        let _ = writeln!(std::io::stderr(), "{configuration}");
    } else {
        say(&configuration.to_string());
    }
    let stage = Stage::new(arguments.trace.as_deref())?;
    let trace = stage.trace.clone();
    let cut_short = move |violations: &[_]| {
        let outcome = Outcome::cut_short(configuration.clone(), &trace, violations.to_vec());
        Report::of_seed(&outcome, mutation, &trace)
    };
    let options = RunOptions { mutation };
    let limit = arguments.wall_limit.map(Duration::from_secs);
    let outcome =
        stage.perform(limit, cut_short, arguments.json, || run_seed(seed, &options, &stage.trace, &stage.court));
    stage.conclude(&Report::of_seed(&outcome, mutation, &stage.trace), arguments.json)
}
