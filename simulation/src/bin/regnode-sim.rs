//! `regnode-sim`: runs a scenario with a seed and prints the digest of its trace.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use simulation::scenario::smoke::smoke;
use simulation::trace::Trace;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Runs a scenario of the deterministic simulator. The same seed gives the same trace.
#[derive(Debug, Parser)]
#[command(name = "regnode-sim", version)]
struct Arguments {
    /// The scenario.
    #[arg(value_enum)]
    scenario: Scenario,
    /// The seed that decides everything.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// File that receives all lines of the trace.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

/// The scenarios.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scenario {
    /// Three nodes, a push, a partition, a crash and restart, a power loss of all, pulls in between.
    Smoke,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "regnode-sim: seed {}: {error:#}", arguments.seed);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let trace = Trace::default();
    tracing_subscriber::registry().with(trace.clone()).init();
    let outcome = match arguments.scenario {
        Scenario::Smoke => smoke(arguments.seed, &trace),
    };
    let lines = trace.lines();
    if let Some(path) = &arguments.trace {
        save(path, &lines).with_context(|| format!("writing {}", path.display()))?;
    }
    writeln!(std::io::stdout(), "seed {} lines {} digest {}", arguments.seed, lines.len(), trace.digest())?;
    outcome
}

#[expect(clippy::disallowed_methods, reason = "the trace is for people, outside the simulation")]
fn save(path: &std::path::Path, lines: &[String]) -> std::io::Result<()> {
    std::fs::write(path, lines.join("\n"))
}
