//! The report of a run: what it was, what it did, and when a promise was broken all that it takes to find out why.
//!
//! A report is a line when all is well. It goes from the process of a run to the one that started it as JSON, and says
//! the same there.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::judge::Violation;
use crate::outcome::Outcome;
use crate::seed::Seed;
use crate::trace::Trace;

/// Revision of the sources that this was built from.
pub const COMMIT: &str = env!("REGNODE_REVISION");
/// Last events of each node that are shown to people; JSON has all that were kept.
const EVENTS_SHOWN: usize = 40;

/// The report of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The scenario, if it was one.
    pub scenario: Option<String>,
    /// The fault that was planted to test the simulator.
    pub mutation: Option<String>,
    /// Revision of the sources.
    pub commit: String,
    /// The command that does the same again.
    pub reproduce: String,
    /// What the seed decided; scenarios decide for themselves.
    pub configuration: Option<serde_json::Value>,
    /// The same for people.
    pub configuration_text: Option<String>,
    /// Digest of the trace.
    pub digest: String,
    /// Lines of the trace.
    pub lines: u64,
    /// Virtual time that passed, in milliseconds.
    pub virtual_milliseconds: u64,
    /// Operations of the clients.
    pub operations: u64,
    /// Requests that they are made of.
    pub requests: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Faults that were injected, by kind.
    pub faults: BTreeMap<String, u64>,
    /// What an operator did, by kind.
    pub orders: BTreeMap<String, u64>,
    /// Shard files at the end that the catalog does not know.
    pub orphans: u64,
    /// Checks that a judge gave up undecided.
    pub undecided: u64,
    /// Broken promises, in order.
    pub violations: Vec<Accusation>,
    /// The last events of every node and of the scenario, if a promise was broken.
    pub last_events: BTreeMap<String, Vec<String>>,
}

/// A broken promise, as it goes from process to process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accusation {
    /// The judge.
    pub judge: String,
    /// What was seen.
    pub text: String,
    /// When, in milliseconds of virtual time.
    pub at_milliseconds: u64,
}

impl From<&Violation> for Accusation {
    fn from(violation: &Violation) -> Self {
        let Violation { judge, text, at } = violation;
        Self { judge: (*judge).to_owned(), text: text.clone(), at_milliseconds: milliseconds(*at) }
    }
}

impl fmt::Display for Accusation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {} s: {}", self.judge, Seconds(self.at_milliseconds), self.text)
    }
}

impl Report {
    /// The report of a seed's run.
    #[must_use]
    pub fn of_seed(outcome: &Outcome, mutation: Option<&str>, trace: &Trace) -> Self {
        let Outcome { configuration, digest, lines, virtual_time, .. } = outcome;
        Self {
            configuration: serde_json::to_value(configuration).ok(),
            configuration_text: Some(configuration.to_string()),
            digest: digest.clone(),
            lines: *lines,
            virtual_milliseconds: milliseconds(*virtual_time),
            operations: outcome.operations,
            requests: outcome.requests,
            retries: outcome.retries,
            faults: outcome.faults.iter().map(|(kind, count)| (kind.to_string(), *count)).collect(),
            orders: outcome.orders.iter().map(|(kind, count)| (kind.to_string(), *count)).collect(),
            orphans: outcome.orphans,
            undecided: outcome.undecided,
            violations: outcome.violations.iter().map(Accusation::from).collect(),
            ..Self::blank(configuration.seed, None, mutation)
        }
        .with_events(trace)
    }

    /// The report of a scenario's run.
    #[must_use]
    pub fn of_scenario(
        name: &str,
        seed: Seed,
        mutation: Option<&str>,
        violations: &[Violation],
        trace: &Trace,
    ) -> Self {
        Self {
            digest: trace.digest(),
            lines: trace.lines(),
            virtual_milliseconds: milliseconds(trace.reached()),
            violations: violations.iter().map(Accusation::from).collect(),
            ..Self::blank(seed, Some(name), mutation)
        }
        .with_events(trace)
    }

    /// The report of a run of which nothing else is known than that it broke off.
    #[must_use]
    pub fn broken_off(seed: Seed, scenario: Option<&str>, mutation: Option<&str>, text: String) -> Self {
        let violations = vec![Accusation { judge: "process".to_owned(), text, at_milliseconds: 0 }];
        Self { violations, ..Self::blank(seed, scenario, mutation) }
    }

    fn blank(seed: Seed, scenario: Option<&str>, mutation: Option<&str>) -> Self {
        Self {
            seed: seed.0,
            scenario: scenario.map(str::to_owned),
            mutation: mutation.map(str::to_owned),
            commit: COMMIT.to_owned(),
            reproduce: reproduce(seed, scenario, mutation),
            ..Self::default()
        }
    }

    fn with_events(mut self, trace: &Trace) -> Self {
        if !self.violations.is_empty() {
            let events = trace.speakers().into_iter().map(|speaker| (speaker.to_string(), trace.last(&speaker)));
            self.last_events = events.filter(|(_, events)| !events.is_empty()).collect();
        }
        self
    }

    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// The run in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let scenario = self.scenario.as_ref().map(|name| format!("scenario {name}, ")).unwrap_or_default();
        let mutation = self.mutation.as_ref().map(|name| format!(" with {name}")).unwrap_or_default();
        let mut line = format!(
            "{scenario}seed {}{mutation}: {} lines, digest {}, {} s of virtual time",
            self.seed,
            Grouped(self.lines),
            self.digest,
            Grouped(self.virtual_milliseconds / 1000),
        );
        if self.scenario.is_none() {
            let faults = Faults(&self.faults);
            // Writing to a string cannot fail.
            let _ = write!(line, ", {} operations, {faults}", Grouped(self.operations));
            if !self.orders.is_empty() {
                let _ = write!(line, ", {}", Orders(&self.orders));
            }
        }
        line
    }
}

/// The report of a failure: events first, so that the verdict stands where a terminal ends.
impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (speaker, events) in &self.last_events {
            writeln!(formatter, "last events of {speaker}:")?;
            for event in &events[events.len().saturating_sub(EVENTS_SHOWN)..] {
                writeln!(formatter, "  {event}")?;
            }
        }
        if let Some(configuration) = &self.configuration_text {
            writeln!(formatter, "configuration:")?;
            for line in configuration.lines() {
                writeln!(formatter, "  {line}")?;
            }
        }
        if !self.digest.is_empty() {
            writeln!(formatter, "{}", self.line())?;
        }
        for (index, violation) in self.violations.iter().enumerate() {
            let rank = if index == 0 { "violation" } else { "then" };
            writeln!(formatter, "{rank}: {violation}")?;
        }
        if let Some(mutation) = &self.mutation {
            writeln!(formatter, "mutation: {mutation}")?;
        }
        writeln!(formatter, "commit: {}", self.commit)?;
        write!(formatter, "reproduce: {}", self.reproduce)
    }
}

fn reproduce(seed: Seed, scenario: Option<&str>, mutation: Option<&str>) -> String {
    let mutation = mutation.map(|name| format!(" --mutation {name}")).unwrap_or_default();
    match scenario {
        Some(name) => format!("regnode-sim scenario {name} --seed {seed}"),
        None => format!("regnode-sim run --seed {seed}{mutation}"),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A number with thousands separators.
#[derive(Clone, Copy, Debug)]
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        formatter.pad_integral(true, "", &text)
    }
}

/// Milliseconds as seconds.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub u64);

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:03}", Grouped(self.0 / 1000), self.0 % 1000)
    }
}

/// Faults by kind, as people read them.
#[derive(Clone, Copy, Debug)]
pub struct Faults<'a>(pub &'a BTreeMap<String, u64>);

impl fmt::Display for Faults<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        by_kind(formatter, "faults", self.0)
    }
}

/// What an operator did by kind, as people read it.
#[derive(Clone, Copy, Debug)]
pub struct Orders<'a>(pub &'a BTreeMap<String, u64>);

impl fmt::Display for Orders<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        by_kind(formatter, "orders", self.0)
    }
}

fn by_kind(formatter: &mut fmt::Formatter<'_>, noun: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    write!(formatter, "{} {noun}", Grouped(counts.values().sum()))?;
    if !counts.is_empty() {
        let kinds: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {}", Grouped(*count))).collect();
        write!(formatter, " ({})", kinds.join(", "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Report {
        Report {
            configuration_text: Some("seed 7\ncluster: 3 nodes".to_owned()),
            digest: "abc".to_owned(),
            lines: 83_120,
            virtual_milliseconds: 214_087,
            operations: 1_204,
            faults: [("Crash".to_owned(), 3), ("PowerLoss".to_owned(), 1)].into(),
            violations: vec![
                Accusation {
                    judge: "durability".to_owned(),
                    text: "a blob is gone".to_owned(),
                    at_milliseconds: 83_120,
                },
                Accusation { judge: "log".to_owned(), text: "an ERROR line".to_owned(), at_milliseconds: 83_121 },
            ],
            last_events: [("node-1".to_owned(), vec!["  83119000 node-1 INFO  node stopped".to_owned()])].into(),
            commit: "0123456789ab".to_owned(),
            ..Report::blank(Seed(7), None, Some("raft.group_commit.skip_sync"))
        }
    }

    #[test]
    fn a_failure_names_all_that_it_takes_to_find_out_why() {
        let text = failed().to_string();
        let expected = "\
last events of node-1:
    83119000 node-1 INFO  node stopped
configuration:
  seed 7
  cluster: 3 nodes
seed 7 with raft.group_commit.skip_sync: 83,120 lines, digest abc, 214 s of virtual time, 1,204 operations, \
4 faults (Crash 3, PowerLoss 1)
violation: durability at 83.120 s: a blob is gone
then: log at 83.121 s: an ERROR line
mutation: raft.group_commit.skip_sync
commit: 0123456789ab
reproduce: regnode-sim run --seed 7 --mutation raft.group_commit.skip_sync";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_report_survives_the_way_from_process_to_process() {
        let report = failed();
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn a_scenario_is_repeated_by_its_name() {
        let violation = Violation { judge: "story", text: "it ended badly".to_owned(), at: Duration::ZERO };
        let report = Report::of_scenario("smoke", Seed(3), None, &[violation], &Trace::default());
        assert_eq!(report.reproduce, "regnode-sim scenario smoke --seed 3");
        assert!(!report.is_clean());
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let text: Vec<String> =
            [0, 999, 1_000, 83_120, 1_234_567].into_iter().map(|number| Grouped(number).to_string()).collect();
        assert_eq!(text, ["0", "999", "1,000", "83,120", "1,234,567"]);
    }
}
