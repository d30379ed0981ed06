//! `regnode-sim swarm`: many seeds, for as long as one likes.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result};
use simulation::report::{Accusation, Report};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::child::Task;
use crate::pool::{self, Limits};
use crate::progress::Progress;
use crate::tally::Tally;
use crate::{Verdict, say};

/// Time between two looks at how it stands.
const LOOK: Duration = Duration::from_millis(250);

/// Run seed after seed, several at once, until the time is over, a promise is broken, or ctrl-c.
///
/// Each seed is a process of its own. The first violation ends it with its report.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  regnode-sim swarm --minutes 60 --check-determinism-every 20")]
pub(crate) struct Arguments {
    /// How long new seeds are begun [default: until ctrl-c].
    #[arg(long, value_name = "M")]
    minutes: Option<NonZeroU64>,
    #[command(flatten)]
    limits: Limits,
    /// The first seed; the others follow it [default: the time, so that seeds are fresh].
    #[arg(long, value_name = "SEED")]
    from: Option<u64>,
    /// End after this many seeds.
    #[arg(long, value_name = "N")]
    seeds: Option<NonZeroU64>,
    /// Run every K-th seed twice, and demand the same trace.
    #[arg(long, value_name = "K")]
    check_determinism_every: Option<NonZeroU64>,
    /// Go on after a violation.
    #[arg(long)]
    keep_going: bool,
    /// Print one JSON object at the end.
    #[arg(long)]
    json: bool,
}

/// A seed's run, and whether it was run twice.
struct Run {
    report: Report,
    repeated: bool,
}

/// Runs the swarm.
pub(crate) async fn swarm(arguments: &Arguments) -> Result<Verdict> {
    let from = match arguments.from {
        Some(seed) => seed,
        None => fresh_seed()?,
    };
    let mut swarm = Swarm {
        arguments,
        started: Instant::now(),
        next: from,
        tally: Tally::new(from),
        running: JoinSet::new(),
        progress: Progress::new(),
    };
    if !arguments.json {
        say(&format!("seeds from {from} on, {} at once", arguments.limits.jobs()));
    }
    let done = swarm.all().await;
    swarm.running.shutdown().await;
    swarm.progress.end();
    done?;
    swarm.tally.took(swarm.started.elapsed());
    if arguments.json {
        say(&serde_json::to_string(&swarm.tally).context("encoding the summary")?);
    } else {
        say(swarm.tally.to_string().trim_end());
    }
    Ok(Verdict::kept(swarm.tally.is_clean()))
}

/// Seeds that nobody ran before: milliseconds of the wall clock.
#[expect(clippy::disallowed_methods, reason = "chooses what to run, outside of every run, and is printed")]
fn fresh_seed() -> Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).context("reading the wall clock")?;
    u64::try_from(now.as_millis()).context("a wall clock beyond all seeds")
}

struct Swarm<'a> {
    arguments: &'a Arguments,
    started: Instant,
    /// The next seed.
    next: u64,
    tally: Tally,
    running: JoinSet<Result<Run>>,
    progress: Progress,
}

impl Swarm<'_> {
    async fn all(&mut self) -> Result<()> {
        let mut stopped = std::pin::pin!(pool::stopped());
        let mut look = tokio::time::interval(LOOK);
        loop {
            while self.running.len() < self.arguments.limits.jobs() && self.wants_more() {
                self.begin();
            }
            if self.running.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                stopped = &mut stopped => return stopped,
                Some(run) = self.running.join_next() => {
                    if self.ended(&run.context("waiting for a run")??).is_break() {
                        return Ok(());
                    }
                }
                _ = look.tick() => {
                    self.tally.took(self.started.elapsed());
                    self.progress.show(|| self.tally.line());
                }
            }
        }
    }

    fn begun(&self) -> u64 {
        self.next - self.tally.from()
    }

    fn wants_more(&self) -> bool {
        let in_time =
            self.arguments.minutes.is_none_or(|minutes| self.started.elapsed() < Duration::from_mins(minutes.get()));
        in_time && self.arguments.seeds.is_none_or(|seeds| self.begun() < seeds.get())
    }

    fn begin(&mut self) {
        let task = Task::seed(self.next, self.arguments.limits.wall());
        let twice =
            self.arguments.check_determinism_every.is_some_and(|every| self.begun().is_multiple_of(every.get()));
        self.next += 1;
        self.running.spawn(async move {
            let mut report = task.run().await?;
            if twice && report.is_clean() {
                let second = task.run().await?;
                report.violations.extend(compare(&report, &second));
                return Ok(Run { repeated: report.is_clean(), report });
            }
            Ok(Run { report, repeated: false })
        });
    }

    fn ended(&mut self, run: &Run) -> ControlFlow<()> {
        self.tally.add(&run.report);
        if run.repeated {
            self.tally.repeat();
        }
        if run.report.is_clean() {
            return ControlFlow::Continue(());
        }
        if !self.arguments.json {
            self.progress.say(&format!("{}\n", run.report));
        }
        if self.arguments.keep_going { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// What is wrong when a seed does not do the same twice.
fn compare(first: &Report, second: &Report) -> Option<Accusation> {
    (first.digest != second.digest).then(|| Accusation {
        judge: "determinism".to_owned(),
        text: format!(
            "a second process made another trace: {} lines, digest {}; regnode-sim meta --seed {} shows where they part",
            second.lines, second.digest, first.seed
        ),
        at_milliseconds: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_that_does_not_do_the_same_twice_is_a_violation() {
        let report = |digest: &str| Report { seed: 7, digest: digest.to_owned(), ..Report::default() };
        assert_eq!(compare(&report("a"), &report("a")), None);
        let accusation = compare(&report("a"), &report("b")).unwrap();
        assert!(accusation.text.contains("meta --seed 7"), "{accusation}");
    }
}
