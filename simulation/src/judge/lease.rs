//! What a client was told of stays for a grace. Who learned that a blob is there, by a HEAD, a mount, a push of it or of a
//! manifest that names it, finds it in that repository for a whole grace, unless somebody deletes it; and a manifest that
//! was pushed stays as long as untagged ones do. Source: section 6 of the design ("uploads, mounts and HEADs are leases").
//!
//! The promise is counted from the moment at which the client asked, which is before any clock of the cluster can have
//! begun to count, less what clocks may differ by. Beyond it content may be gone by itself: the history that the judges of
//! linearizability and of durability weigh leaves out what they cannot know then. Where a grace is a day nothing goes by
//! itself in a run, and they judge alone.

use std::collections::BTreeMap;

use super::Court;
use crate::garbage::Terms;
use crate::history::{Action, History, Microseconds, Operation, Outcome, Subject};

const JUDGE: &str = "lease";
/// What two clocks may differ by that run as badly as the faults make them: 4% each way of half a minute. They never step
/// where a grace is short.
const SLACK: Microseconds = 3_000_000;

/// Accuses of everything that was gone although it was promised.
pub fn judge(history: &History, terms: &Terms, court: &Court) {
    if terms.are_none() {
        return;
    }
    let mut subjects: BTreeMap<Subject, Vec<Operation>> = BTreeMap::new();
    for operation in history.operations() {
        if terms.span(&operation.subject).is_some_and(|span| span > SLACK) {
            subjects.entry(operation.subject.clone()).or_default().push(operation);
        }
    }
    for (subject, operations) in subjects {
        let promised = terms.span(&subject).unwrap_or_default().saturating_sub(SLACK);
        for absent in operations.iter().filter(|operation| is_absent(operation)) {
            if let Some(told) = operations.iter().rev().find(|told| binds(told, absent, promised))
                && !operations.iter().any(|other| may_have_removed(other, told, absent))
            {
                court.accuse(JUDGE, told_and_gone(&subject, told, absent));
                break;
            }
        }
    }
}

fn told_and_gone(subject: &Subject, told: &Operation, absent: &Operation) -> String {
    format!(
        "{subject}: client {} was told at {} us through node {} that it is there (it asked at {} us), client {} at {} us \
         through node {} that it is not, and nobody deleted it",
        told.client,
        told.returned_at.unwrap_or_default(),
        told.node,
        told.invoked_at,
        absent.client,
        absent.returned_at.unwrap_or_default(),
        absent.node,
    )
}

/// Whether it was seen that the subject is not there.
fn is_absent(operation: &Operation) -> bool {
    operation.outcome == Outcome::Absent && matches!(operation.action, Action::Read | Action::Delete)
}

/// Whether `told` promised what `absent` did not find.
fn binds(told: &Operation, absent: &Operation, promised: Microseconds) -> bool {
    // To look at a manifest is no lease.
    let is_promise = match (&told.action, &told.outcome) {
        (Action::Write(_), Outcome::Done) => true,
        (Action::Read, Outcome::Present(_)) => matches!(told.subject, Subject::Blob { .. }),
        _ => false,
    };
    is_promise
        && told.returned_order.is_some_and(|returned| returned < absent.invoked_order)
        && absent.returned_at.is_some_and(|at| at <= told.invoked_at + promised)
}

/// Whether somebody may have deleted it in between.
fn may_have_removed(other: &Operation, told: &Operation, absent: &Operation) -> bool {
    let ended = match other.outcome {
        Outcome::Done => other.returned_order,
        Outcome::Unknown => None,
        _ => return false,
    };
    other.action == Action::Delete
        && ended.is_none_or(|ended| ended > told.invoked_order)
        && absent.returned_order.is_none_or(|returned| other.invoked_order < returned)
}

/// The history without the absences that are no evidence, since the subject may have gone by itself.
#[must_use]
pub fn without_lapses(history: &History, terms: &Terms) -> History {
    if terms.are_none() {
        return history.clone();
    }
    let mut operations = history.operations();
    for operation in operations.iter_mut().filter(|operation| is_absent(operation)) {
        if terms.span(&operation.subject).is_some() {
            operation.outcome = Outcome::Refused;
        }
    }
    History::of(operations, history.acknowledged())
}

/// The history as if somebody might yet delete, at any time, whatever may go by itself.
#[must_use]
pub fn with_lapses(history: &History, terms: &Terms) -> History {
    if terms.are_none() {
        return history.clone();
    }
    let lapsing = without_lapses(history, terms);
    let mut subjects: Vec<Subject> = lapsing.operations().into_iter().map(|operation| operation.subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    for subject in subjects.into_iter().filter(|subject| terms.span(subject).is_some()) {
        // It never returns.
        let _pending = lapsing.invoke(0, 0, subject, Action::Delete, 0);
    }
    lapsing
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::configuration::Configuration;
    use crate::garbage::GarbageConfiguration;
    use crate::history::Acknowledged;
    use crate::judge::durability::must_exist;
    use crate::judge::linearizability;
    use crate::seed::Seed;
    use crate::workload::content::Library;

    const SECOND: Microseconds = 1_000_000;

    struct Case {
        history: History,
        terms: Terms,
        blob: Subject,
        manifest: Subject,
    }

    impl Case {
        /// A grace of 20 s, and untagged manifests stay as long.
        fn new() -> Self {
            let configuration = Configuration::from_seed(Seed(1));
            let library = Library::new(Seed(1), &configuration.workload, 1 << 16);
            let garbage = GarbageConfiguration {
                grace_seconds: Some(20),
                untagged_seconds: Some(20),
                ..GarbageConfiguration::default()
            };
            let repository = Arc::clone(&library.repositories[0]);
            let digest = Arc::clone(&library.layers[0].digest);
            let manifest = Arc::clone(&library.images[0].digest);
            Self {
                history: History::default(),
                terms: garbage.terms(&library),
                blob: Subject::Blob { repository: Arc::clone(&repository), digest },
                manifest: Subject::Manifest { repository, digest: manifest },
            }
        }

        fn does(&self, subject: &Subject, action: Action, outcome: Outcome, at: Microseconds) {
            let operation = self.history.invoke(0, 1, subject.clone(), action, at * SECOND);
            self.history.complete(operation, outcome, at * SECOND);
        }

        fn write(&self, subject: &Subject, at: Microseconds) {
            self.does(subject, Action::Write("x".into()), Outcome::Done, at);
        }

        fn head(&self, subject: &Subject, found: bool, at: Microseconds) {
            let outcome = if found { Outcome::Present("x".into()) } else { Outcome::Absent };
            self.does(subject, Action::Read, outcome, at);
        }

        fn accused(&self) -> bool {
            let court = Court::default();
            judge(&self.history, &self.terms, &court);
            court.first().is_some()
        }
    }

    #[test]
    fn what_was_told_binds_for_a_grace_and_no_longer() {
        for (gone, accused) in [(5, true), (16, true), (21, false), (60, false)] {
            let case = Case::new();
            case.write(&case.blob, 0);
            case.head(&case.blob, false, gone);
            assert_eq!(case.accused(), accused, "gone after {gone} s");
        }
    }

    #[test]
    fn a_head_renews_the_promise_of_a_blob_but_not_that_of_a_manifest() {
        for is_blob in [true, false] {
            let case = Case::new();
            let subject = if is_blob { case.blob.clone() } else { case.manifest.clone() };
            case.write(&subject, 0);
            case.head(&subject, true, 15);
            case.head(&subject, false, 30);
            assert_eq!(case.accused(), is_blob);
        }
    }

    #[test]
    fn a_deletion_ends_the_promise_whatever_became_of_it_and_one_before_it_does_not() {
        for outcome in [Outcome::Done, Outcome::Unknown] {
            let case = Case::new();
            case.write(&case.blob, 0);
            case.does(&case.blob, Action::Delete, outcome.clone(), 2);
            case.head(&case.blob, false, 4);
            assert!(!case.accused(), "{outcome:?}");
        }
        let case = Case::new();
        case.does(&case.blob, Action::Delete, Outcome::Done, 0);
        case.write(&case.blob, 1);
        case.head(&case.blob, false, 4);
        assert!(case.accused());
    }

    #[test]
    fn what_may_have_lapsed_is_no_evidence_and_what_a_register_cannot_do_still_is() {
        let case = Case::new();
        case.write(&case.blob, 0);
        case.head(&case.blob, false, 60);
        let court = Court::default();
        linearizability::judge(&case.history, &court);
        assert!(court.first().is_some(), "a register does not forget");
        let court = Court::default();
        linearizability::judge(&without_lapses(&case.history, &case.terms), &court);
        assert_eq!(court.first(), None);
        case.does(&case.blob, Action::Delete, Outcome::Done, 70);
        case.head(&case.blob, true, 80);
        linearizability::judge(&without_lapses(&case.history, &case.terms), &court);
        assert!(court.first().is_some(), "what was deleted never returns");
    }

    #[test]
    fn what_may_lapse_need_not_exist() {
        let case = Case::new();
        case.write(&case.blob, 0);
        let Subject::Blob { repository, digest } = case.blob.clone() else { panic!("a blob") };
        let content = bytes::Bytes::from_static(b"x");
        case.history.acknowledge(Acknowledged { repository, digest, content, manifest: false, at: 0 });
        assert_eq!(must_exist(&with_lapses(&case.history, &Terms::default())).len(), 1);
        assert!(must_exist(&with_lapses(&case.history, &case.terms)).is_empty());
    }
}
