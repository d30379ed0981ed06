//! Judge: every tag, and every answer about existence, is linearizable.
//!
//! Source: Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects" (TOPLAS 1990). It is a
//! local property, so each [`Subject`] is weighed alone, as a register. One request that touches several subjects (a
//! manifest pushed by tag) is an operation on each of them; that they change together is for other judges.
//!
//! The checker is our own, after Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's
//! memoisation ("Testing for linearizability", 2017); it lives in `checker`. Those on crates.io were weighed first:
//! stateright 0.31 knows operations in flight, but searches without memoisation and copies the history at every step,
//! which ends at some dozen operations, and it brings forty crates with a web server; todc-utils 0.1.1 memoises and
//! depends on nothing, but demands an answer to every call and looks up each entry by a scan. Neither bounds its
//! effort, and neither can say why a history fails. Tests hold ours against todc-utils and against a search through
//! all orders.
//!
//! The effort for a subject is bounded. A subject that exceeds it is undecided: it is counted and named in the
//! [`Report`], never passed in silence.

mod checker;
mod explanation;
mod register;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::history::{History, Operation, Subject};
use crate::judge::Court;
use checker::Verdict;

/// Name of the judge.
const JUDGE: &str = "linearizability";

/// Configurations that are visited for one subject before it is called undecided. A history that is in order visits
/// about one for each operation.
const CONFIGURATIONS_MAX: usize = 300_000;

/// What was weighed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Subjects that had operations.
    pub subjects: usize,
    /// Operations on them.
    pub operations: usize,
    /// Configurations that were visited.
    pub configurations: usize,
    /// Subjects whose history took more effort than is spent, by their names.
    pub undecided: Vec<String>,
}

/// Accuses for each subject whose operations do not fit into any order that a register could have seen them in.
pub fn judge(history: &History, court: &Court) -> Report {
    let mut report = Report::default();
    for (subject, operations) in by_subject(history.operations()) {
        report.subjects += 1;
        report.operations += operations.len();
        let events = register::events(&operations);
        let (verdict, configurations) = checker::check(&events, CONFIGURATIONS_MAX);
        report.configurations += configurations;
        match verdict {
            Verdict::Linearizable => {}
            Verdict::Undecided => report.undecided.push(subject.to_string()),
            Verdict::Violated(at) => court.accuse(JUDGE, explanation::explain(&subject, &operations, &events, at)),
        }
    }
    report
}

fn by_subject(operations: Vec<Operation>) -> BTreeMap<Subject, Vec<Operation>> {
    let mut subjects: BTreeMap<Subject, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        subjects.entry(operation.subject.clone()).or_default().push(operation);
    }
    subjects
}
