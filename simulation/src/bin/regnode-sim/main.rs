//! `regnode-sim`: the deterministic simulator's program. `run` runs a seed, `swarm` many of them, `scenario` a named
//! story, `meta` shows that a seed decides everything, `mutations` that the judges notice planted faults.
//!
//! Every run is a process of its own: the commands that make many runs start this same program for each of them.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod child;
mod difference;
mod meta;
mod mutations;
mod pool;
mod progress;
mod run;
mod scenario;
mod stage;
mod swarm;
mod tally;

/// The deterministic simulator: whole clusters of real nodes in one process, under virtual time and under faults, all
/// of it decided by one seed.
///
/// Exit code 0: every promise was kept. 1: one was broken. 2: the command cannot be carried out.
#[derive(Debug, Parser)]
#[command(name = "regnode-sim", version, after_help = "Example:\n  regnode-sim swarm --minutes 10")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Swarm(swarm::Arguments),
    Meta(meta::Arguments),
    Scenario(scenario::Arguments),
    Mutations(mutations::Arguments),
}

/// Whether all promises were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Kept,
    Broken,
}

impl Verdict {
    fn kept(kept: bool) -> Self {
        if kept { Self::Kept } else { Self::Broken }
    }
}

fn main() -> ExitCode {
    let verdict = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Swarm(arguments) => pool::block_on(swarm::swarm(&arguments)),
        Command::Meta(arguments) => pool::block_on_until_stopped(meta::meta(&arguments)),
        Command::Scenario(arguments) => scenario::scenario(&arguments),
        Command::Mutations(arguments) => pool::block_on_until_stopped(mutations::mutations(&arguments)),
    };
    match verdict {
        Ok(Verdict::Kept) => ExitCode::SUCCESS,
        Ok(Verdict::Broken) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "regnode-sim: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Writes a line for the user. That nobody reads it any more is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &str) -> Result<Command, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace()).map(|arguments| arguments.command)
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_helps_with_an_example() {
        for command in Arguments::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            assert!(help.contains(&format!("regnode-sim {}", command.get_name())), "{help}");
        }
    }

    #[test]
    fn commands_are_understood() {
        for line in [
            "regnode-sim run --seed 7",
            "regnode-sim run --seed 7 --trace /tmp/trace --json",
            "regnode-sim swarm --minutes 10 --jobs 2 --from 1 --seeds 5 --check-determinism-every 10 --keep-going --json",
            "regnode-sim swarm",
            "regnode-sim meta",
            "regnode-sim meta --seed 1 --seed 2",
            "regnode-sim scenario smoke --seed 3",
            "regnode-sim scenario --list",
            "regnode-sim scenario --all --seeds 4",
            "regnode-sim mutations --seeds 20 --jobs 1 --json",
        ] {
            parsed(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "regnode-sim run",
            "regnode-sim run --seed seven",
            "regnode-sim swarm --minutes 0",
            "regnode-sim swarm --jobs 0",
            "regnode-sim scenario",
            "regnode-sim scenario unheard-of",
            "regnode-sim scenario smoke --all",
            "regnode-sim scenario --list --all",
            "regnode-sim run --seed 1 --mutation unheard-of",
            "regnode-sim mutations unheard-of",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
