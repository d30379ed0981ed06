//! The sum of many runs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use simulation::report::{COMMIT, Faults, Grouped, Orders, Report};

/// Sums over the runs that have ended.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tally {
    commit: &'static str,
    /// The first seed.
    from: u64,
    seeds: u64,
    virtual_milliseconds: u64,
    lines: u64,
    operations: u64,
    requests: u64,
    retries: u64,
    faults: BTreeMap<String, u64>,
    orders: BTreeMap<String, u64>,
    orphans: u64,
    undecided: u64,
    /// Seeds that were run twice and did the same.
    repeated: u64,
    wall_milliseconds: u64,
    violations: Vec<Report>,
}

impl Tally {
    /// Nothing yet.
    pub(crate) const fn new(from: u64) -> Self {
        Self {
            commit: COMMIT,
            from,
            seeds: 0,
            virtual_milliseconds: 0,
            lines: 0,
            operations: 0,
            requests: 0,
            retries: 0,
            faults: BTreeMap::new(),
            orders: BTreeMap::new(),
            orphans: 0,
            undecided: 0,
            repeated: 0,
            wall_milliseconds: 0,
            violations: Vec::new(),
        }
    }

    /// Adds a run.
    pub(crate) fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.virtual_milliseconds += report.virtual_milliseconds;
        self.lines += report.lines;
        self.operations += report.operations;
        self.requests += report.requests;
        self.retries += report.retries;
        for (kind, count) in &report.faults {
            *self.faults.entry(kind.clone()).or_default() += count;
        }
        for (kind, count) in &report.orders {
            *self.orders.entry(kind.clone()).or_default() += count;
        }
        self.orphans += report.orphans;
        self.undecided += report.undecided;
        if !report.is_clean() {
            self.violations.push(report.clone());
        }
    }

    /// The first seed.
    pub(crate) const fn from(&self) -> u64 {
        self.from
    }

    /// Counts a seed that did the same twice.
    pub(crate) const fn repeat(&mut self) {
        self.repeated += 1;
    }

    /// Says how long it took so far.
    pub(crate) fn took(&mut self, wall: Duration) {
        self.wall_milliseconds = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
    }

    /// Whether no promise was broken.
    pub(crate) fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// How it stands, in a line.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} seeds, {} per minute, {} h of virtual time, {} operations, {}, {} violations",
            Grouped(self.seeds),
            Tenths(self.seeds_per_minute_tenths()),
            Tenths(self.virtual_milliseconds / 360_000),
            Grouped(self.operations),
            Faults(&self.faults),
            self.violations.len()
        )
    }

    fn seeds_per_minute_tenths(&self) -> u64 {
        (self.seeds * 600_000).checked_div(self.wall_milliseconds).unwrap_or(0)
    }
}

/// The summary.
impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(formatter, "{name:<13} {value}");
        let (seeds, from) = (Grouped(self.seeds), self.from);
        row("commit", self.commit.to_owned())?;
        row("seeds", format!("{seeds} from {from} on, {} per minute", Tenths(self.seeds_per_minute_tenths())))?;
        row("wall clock", format!("{} min", Tenths(self.wall_milliseconds / 6_000)))?;
        row("virtual time", format!("{} h", Tenths(self.virtual_milliseconds / 360_000)))?;
        row("operations", Grouped(self.operations).to_string())?;
        row("requests", format!("{}, {} of them retries", Grouped(self.requests), Grouped(self.retries)))?;
        row("injected", Faults(&self.faults).to_string())?;
        row("operator", Orders(&self.orders).to_string())?;
        row("orphans", Grouped(self.orphans).to_string())?;
        row("undecided", format!("{} checks", Grouped(self.undecided)))?;
        row("run twice", format!("{} seeds, with the same trace", Grouped(self.repeated)))?;
        row("violations", self.violations.len().to_string())?;
        for report in &self.violations {
            let first = report.violations.first().map(ToString::to_string).unwrap_or_default();
            row("", format!("{}: {}", report.reproduce, first.lines().next().unwrap_or_default()))?;
        }
        Ok(())
    }
}

/// Tenths as a decimal number.
struct Tenths(u64);

impl fmt::Display for Tenths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", Grouped(self.0 / 10), self.0 % 10)
    }
}

#[cfg(test)]
mod tests {
    use simulation::seed::Seed;

    use super::*;

    #[test]
    fn runs_are_summed_up() {
        let mut tally = Tally::new(7);
        for faults in [3, 4] {
            tally.add(&Report {
                virtual_milliseconds: 3_600_000,
                operations: 600,
                requests: 2_000,
                retries: 10,
                faults: [("Crash".to_owned(), faults)].into(),
                ..Report::default()
            });
        }
        tally.took(Duration::from_mins(1));
        assert_eq!(
            tally.line(),
            "2 seeds, 2.0 per minute, 2.0 h of virtual time, 1,200 operations, 7 faults (Crash 7), 0 violations"
        );
        assert!(tally.is_clean());
        tally.add(&Report::broken_off(Seed(9), None, None, "signal 6".to_owned()));
        assert!(!tally.is_clean());
        let summary = tally.to_string();
        assert!(summary.contains("requests      4,000, 20 of them retries\n"), "{summary}");
        assert!(summary.contains("regnode-sim run --seed 9: process at 0.000 s: signal 6\n"), "{summary}");
    }
}
