//! Why a history cannot be: the few operations that contradict each other, as lines for people.
//!
//! Linearizability is closed under prefixes, so there is a first answer that cannot be; the checker names it. Then
//! everything before it is weakened as far as the contradiction stands: answers to reads are forgotten, changes are
//! left open, that is, they may have happened once at any later time, or never. What had to stay certain is shown. It
//! contradicts the answer whatever became of the rest.

use std::fmt::Write as _;

use super::checker::{Verdict, check};
use super::register::Event;
use crate::history::{Action, Operation, Outcome, Subject};

/// Configurations visited for one question of the search for an explanation, and for all of them. Where they end, more
/// is shown than would do.
const CONFIGURATIONS_MAX: usize = 20_000;
const CONFIGURATIONS_IN_ALL: usize = 500_000;
/// Operations shown, the last ones.
const SHOWN_MAX: usize = 30;
/// Characters of a digest that are shown.
const DIGEST_SHOWN: usize = 19;

/// The text of an accusation: what contradicts the answer that came `at` this place in the order of returns.
pub(super) fn explain(subject: &Subject, operations: &[Operation], events: &[Event], at: u64) -> String {
    let core = Explanation::new().core(prefix(events, at), at);
    let is_culprit = |operation: &Operation| operation.returned_order == Some(at);
    let mut shown: Vec<&Operation> = core.iter().map(|event| &operations[event.operation]).collect();
    shown.sort_by_key(|operation| operation.invoked_order);
    let mut text = format!("{subject}: no register can have answered so.");
    if let Some(culprit) = operations.iter().find(|operation| is_culprit(operation)) {
        let hidden = operations.len() - shown.len();
        let Operation { client, node, .. } = culprit;
        let _ = write!(text, " What client {client} got through node {node} cannot be");
        let _ = write!(text, ", whatever became of the {hidden} operations not shown:");
    }
    if shown.len() > SHOWN_MAX {
        let left_out = shown.len() - SHOWN_MAX;
        let _ = write!(text, "\n  … {left_out} earlier ones");
        shown.drain(..left_out);
    }
    for operation in shown {
        let _ = write!(text, "\n{} {}", if is_culprit(operation) { ">" } else { " " }, line(operation));
    }
    text
}

/// What was known when `until` was reached.
pub(super) fn prefix(events: &[Event], until: u64) -> Vec<Event> {
    events
        .iter()
        .filter(|event| event.invoked <= until)
        .filter_map(|event| if event.returned.is_some_and(|at| at <= until) { Some(*event) } else { opened(*event) })
        .collect()
}

/// The event with its answer forgotten.
fn opened(event: Event) -> Option<Event> {
    (!event.step.observes()).then_some(Event { returned: None, ..event })
}

/// The search for the few.
struct Explanation {
    configurations_left: usize,
}

impl Explanation {
    const fn new() -> Self {
        Self { configurations_left: CONFIGURATIONS_IN_ALL }
    }

    fn is_violated(&mut self, events: &[Event]) -> bool {
        let (verdict, visited) = check(events, CONFIGURATIONS_MAX.min(self.configurations_left));
        self.configurations_left -= visited;
        matches!(verdict, Verdict::Violated(_))
    }

    /// The certain events that contradict the one that returned last, itself included.
    fn core(&mut self, history: Vec<Event>, last: u64) -> Vec<Event> {
        let mut history = self.latest(history);
        // Answers to reads first: what was written says more.
        history = self.weaken(history, |event| event.step.observes() && event.returned != Some(last));
        history = self.weaken(history, |event| event.returned != Some(last));
        history.retain(|event| event.returned.is_some());
        history
    }

    /// Weakens all but the latest certain events: so many of them as it takes, to a factor of two.
    fn latest(&mut self, history: Vec<Event>) -> Vec<Event> {
        let mut returns: Vec<u64> = history.iter().filter_map(|event| event.returned).collect();
        returns.sort_unstable_by_key(|returned| std::cmp::Reverse(*returned));
        let mut count = 1;
        while count < returns.len() {
            let from = returns[count - 1];
            let kept = |event: &Event| event.returned.is_some_and(|at| at >= from);
            let weaker: Vec<Event> =
                history.iter().filter_map(|event| if kept(event) { Some(*event) } else { opened(*event) }).collect();
            if self.is_violated(&weaker) {
                return weaker;
            }
            count *= 2;
        }
        history
    }

    /// Weakens those certain events that may be, in halves, quarters and so on to single ones.
    fn weaken(&mut self, mut events: Vec<Event>, may_be: impl Fn(&Event) -> bool) -> Vec<Event> {
        let candidates = |events: &[Event]| {
            let certain = events.iter().filter(|event| event.returned.is_some() && may_be(event));
            certain.map(|event| event.operation).collect::<Vec<usize>>()
        };
        let mut size = candidates(&events).len().div_ceil(2);
        while size > 0 {
            for chunk in candidates(&events).chunks(size) {
                let weaker = events
                    .iter()
                    .filter_map(|event| if chunk.contains(&event.operation) { opened(*event) } else { Some(*event) });
                let weaker: Vec<Event> = weaker.collect();
                if self.is_violated(&weaker) {
                    events = weaker;
                }
            }
            size /= 2;
        }
        events
    }
}

fn line(operation: &Operation) -> String {
    let action = match &operation.action {
        Action::Write(digest) => format!("write {}", short(digest)),
        Action::Delete => "delete".to_owned(),
        Action::DeleteIf(digest) => format!("delete if {}", short(digest)),
        Action::Read => "read".to_owned(),
    };
    let outcome = match &operation.outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Absent => "nothing there".to_owned(),
        Outcome::Present(digest) => format!("there is {}", short(digest)),
        Outcome::Refused => "refused".to_owned(),
        Outcome::Unknown => "unknown".to_owned(),
    };
    let until = operation.returned_at.map_or_else(|| "never".to_owned(), seconds);
    let Operation { client, node, .. } = operation;
    format!("{} to {until}: client {client} through node {node}: {action}: {outcome}", seconds(operation.invoked_at))
}

fn seconds(microseconds: u64) -> String {
    format!("{}.{:06} s", microseconds / 1_000_000, microseconds % 1_000_000)
}

fn short(digest: &str) -> &str {
    digest.get(..DIGEST_SHOWN).unwrap_or(digest)
}
