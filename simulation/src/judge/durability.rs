//! Judge: nothing acknowledged is lost, nothing deleted returns. Source: section 1 of the design, "An acknowledged push
//! survives"; the model is openraft's oracle, which sorts what it asked into acknowledged, refused and unknown.
//!
//! These are the rules alone, pure functions of the [`History`]; `workload::verify` reads through the nodes and tells
//! them what it got. They say only what is certain. Content exists for certain if it was pushed, or seen, and nothing
//! that removes it can have come after that. It is gone for certain if a delete was acknowledged, or it was seen to be
//! absent, and nothing that brings it can have come after that. An operation that nobody knows the outcome of can have
//! come after anything.
//!
//! Garbage collection does not matter here while its grace is a day, which is longer than a run. Where it is shorter, the
//! history is asked for as if whatever may go by itself might be deleted at any time (`lease`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use crate::history::{Acknowledged, Action, DigestText, History, Operation, Outcome, Subject};

/// What must be there, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    /// It exists.
    Exists,
    /// It does not.
    Gone,
    /// Either.
    Open,
}

/// Everything acknowledged that must be readable now, byte by byte, through every node that serves. Each content of a
/// repository once, in the order of the first acknowledgements, blobs that nothing but a manifest keeps at the end.
#[must_use]
pub fn must_exist(history: &History) -> Vec<Acknowledged> {
    // In this order: what is acknowledged was invoked before, so its operations are among those read second.
    let acknowledged = history.acknowledged();
    let certain = certainties(&history.operations());
    let exists = |subject: &Subject| certain.get(subject) == Some(&Certainty::Exists);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for push in &acknowledged {
        let subject = subject_of(push);
        if exists(&subject) && seen.insert(subject) {
            found.push(push.clone());
        }
    }
    // A blob that a manifest uses cannot be deleted, so it is there as long as the manifest is.
    let blobs: BTreeMap<&DigestText, &Acknowledged> =
        acknowledged.iter().filter(|push| !push.manifest).map(|push| (&push.digest, push)).collect();
    for manifest in found.clone().into_iter().filter(|push| push.manifest) {
        for digest in blobs_of(&manifest.content) {
            let Some(blob) = blobs.get(&digest) else { continue };
            let blob =
                Acknowledged { repository: Arc::clone(&manifest.repository), at: manifest.at, ..(*blob).clone() };
            if seen.insert(subject_of(&blob)) {
                found.push(blob);
            }
        }
    }
    found
}

/// Whether one acknowledged content must be readable now.
#[must_use]
pub fn must_still_exist(history: &History, push: &Acknowledged) -> bool {
    let wanted = subject_of(push);
    must_exist(history).iter().any(|push| subject_of(push) == wanted)
}

/// Everything that must not be found now: tags, manifests and blobs.
#[must_use]
pub fn must_not_exist(history: &History) -> Vec<Subject> {
    let certain = certainties(&history.operations());
    certain.into_iter().filter(|(_, certainty)| *certainty == Certainty::Gone).map(|(subject, _)| subject).collect()
}

/// The subject that an acknowledged content is read by.
#[must_use]
pub fn subject_of(push: &Acknowledged) -> Subject {
    let (repository, digest) = (Arc::clone(&push.repository), Arc::clone(&push.digest));
    if push.manifest { Subject::Manifest { repository, digest } } else { Subject::Blob { repository, digest } }
}

fn certainties(operations: &[Operation]) -> BTreeMap<Subject, Certainty> {
    let mut subjects: BTreeMap<&Subject, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        subjects.entry(&operation.subject).or_default().push(operation);
    }
    subjects.into_iter().map(|(subject, operations)| (subject.clone(), certainty(&operations))).collect()
}

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Something,
    Nothing,
}

/// What the register certainly held when an operation took effect, or right after; and what it may hold because of it.
fn effect(operation: &Operation) -> (Option<Held>, Option<Held>) {
    use Held::{Nothing, Something};
    match (&operation.action, &operation.outcome) {
        (Action::Write(_), Outcome::Done) => (Some(Something), Some(Something)),
        (Action::Delete, Outcome::Done) => (Some(Nothing), Some(Nothing)),
        (Action::Write(_), Outcome::Unknown) => (None, Some(Something)),
        (Action::Delete, Outcome::Unknown) | (Action::DeleteIf(_), Outcome::Done | Outcome::Unknown) => {
            (None, Some(Nothing))
        }
        (Action::Read | Action::Delete, Outcome::Present(_)) => (Some(Something), None),
        (Action::Read | Action::Delete, Outcome::Absent) => (Some(Nothing), None),
        (_, Outcome::Refused)
        | (Action::Read, Outcome::Done | Outcome::Unknown)
        | (Action::Write(_) | Action::DeleteIf(_), Outcome::Absent | Outcome::Present(_)) => (None, None),
    }
}

fn certainty(operations: &[&Operation]) -> Certainty {
    // Evidence counts from its invocation on. What may have changed it counts until its return, or for ever if nobody
    // knows what became of it.
    let shown = |held: Held| {
        let evidence = operations.iter().filter(|operation| effect(operation).0 == Some(held));
        evidence.map(|operation| operation.invoked_order).max()
    };
    let changed = |held: Held| {
        let changes = operations.iter().filter(|operation| effect(operation).1 == Some(held));
        changes
            .map(|operation| match (&operation.outcome, operation.returned_order) {
                (Outcome::Unknown, _) | (_, None) => u64::MAX,
                (_, Some(returned)) => returned,
            })
            .max()
    };
    let is_certain = |held: Held, other: Held| {
        shown(held).is_some_and(|evidence| changed(other).is_none_or(|until| until < evidence))
    };
    if is_certain(Held::Something, Held::Nothing) {
        Certainty::Exists
    } else if is_certain(Held::Nothing, Held::Something) {
        Certainty::Gone
    } else {
        Certainty::Open
    }
}

/// Digests of the blobs that a manifest uses. Empty for an index, and for what is no manifest.
fn blobs_of(manifest: &[u8]) -> Vec<DigestText> {
    #[derive(Deserialize)]
    struct Manifest {
        config: Option<Descriptor>,
        layers: Option<Vec<Descriptor>>,
    }
    #[derive(Deserialize)]
    struct Descriptor {
        digest: String,
    }
    let Ok(manifest) = serde_json::from_slice::<Manifest>(manifest) else { return Vec::new() };
    let layers = manifest.layers.unwrap_or_default();
    manifest.config.into_iter().chain(layers).map(|descriptor| DigestText::from(descriptor.digest)).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn blob(digest: &str) -> Subject {
        Subject::Blob { repository: "a".into(), digest: digest.into() }
    }

    fn manifest(digest: &str) -> Subject {
        Subject::Manifest { repository: "a".into(), digest: digest.into() }
    }

    fn does(history: &History, subject: &Subject, action: Action, outcome: Outcome) {
        let operation = history.invoke(0, 1, subject.clone(), action, 0);
        history.complete(operation, outcome, 0);
    }

    fn acknowledge(history: &History, digest: &str, content: &str, manifest: bool) {
        let content = Bytes::from(content.to_owned());
        history.acknowledge(Acknowledged { repository: "a".into(), digest: digest.into(), content, manifest, at: 0 });
    }

    fn pushes(history: &History, digest: &str) {
        does(history, &blob(digest), Action::Write(digest.into()), Outcome::Done);
        acknowledge(history, digest, "bytes", false);
    }

    fn names(history: &History) -> Vec<String> {
        must_exist(history).iter().map(|push| push.digest.to_string()).collect()
    }

    #[test]
    fn what_was_pushed_must_exist_and_nothing_else() {
        let history = History::default();
        pushes(&history, "x");
        pushes(&history, "x");
        does(&history, &blob("y"), Action::Write("y".into()), Outcome::Unknown);
        does(&history, &blob("z"), Action::Read, Outcome::Absent);
        assert_eq!(names(&history), ["x"]);
        assert_eq!(must_not_exist(&history), [blob("z")]);
    }

    #[test]
    fn what_was_deleted_is_gone_until_it_is_pushed_again() {
        let history = History::default();
        pushes(&history, "x");
        does(&history, &blob("x"), Action::Delete, Outcome::Done);
        assert!(names(&history).is_empty());
        assert_eq!(must_not_exist(&history), [blob("x")]);
        pushes(&history, "x");
        assert_eq!(names(&history), ["x"]);
        assert!(must_not_exist(&history).is_empty());
    }

    #[test]
    fn a_delete_that_nobody_knows_of_leaves_it_open_for_ever() {
        let history = History::default();
        pushes(&history, "x");
        does(&history, &blob("x"), Action::Delete, Outcome::Unknown);
        pushes(&history, "x");
        assert!(names(&history).is_empty() && must_not_exist(&history).is_empty());
    }

    #[test]
    fn a_push_that_nobody_knows_of_may_undo_a_delete_and_counts_once_it_is_seen() {
        let history = History::default();
        pushes(&history, "x");
        does(&history, &blob("x"), Action::Delete, Outcome::Done);
        does(&history, &blob("x"), Action::Write("x".into()), Outcome::Unknown);
        assert!(names(&history).is_empty() && must_not_exist(&history).is_empty());
        does(&history, &blob("x"), Action::Read, Outcome::Present("x".into()));
        assert_eq!(names(&history), ["x"]);
    }

    #[test]
    fn what_is_pushed_while_it_is_deleted_is_open() {
        let history = History::default();
        let delete = history.invoke(0, 1, blob("x"), Action::Delete, 0);
        pushes(&history, "x");
        history.complete(delete, Outcome::Done, 0);
        assert!(names(&history).is_empty() && must_not_exist(&history).is_empty());
    }

    #[test]
    fn a_delete_that_is_refused_or_finds_nothing_removes_nothing() {
        let history = History::default();
        pushes(&history, "x");
        does(&history, &blob("x"), Action::Delete, Outcome::Refused);
        assert_eq!(names(&history), ["x"]);
        does(&history, &blob("y"), Action::Delete, Outcome::Absent);
        assert_eq!(must_not_exist(&history), [blob("y")]);
    }

    #[test]
    fn a_manifest_keeps_its_blobs() {
        let history = History::default();
        pushes(&history, "x");
        does(&history, &blob("x"), Action::Delete, Outcome::Unknown);
        assert!(names(&history).is_empty());
        does(&history, &manifest("m"), Action::Write("m".into()), Outcome::Done);
        acknowledge(&history, "m", r#"{"config":{"digest":"x"},"layers":[{"digest":"x"},{"digest":"foreign"}]}"#, true);
        assert_eq!(names(&history), ["m", "x"]);
        does(&history, &manifest("m"), Action::Delete, Outcome::Done);
        assert!(names(&history).is_empty());
        assert_eq!(must_not_exist(&history), [manifest("m")]);
    }

    #[test]
    fn a_tag_that_was_deleted_is_gone_unless_it_is_set_again() {
        let tag = Subject::Tag { repository: "a".into(), tag: "t".into() };
        let history = History::default();
        does(&history, &tag, Action::Write("m".into()), Outcome::Done);
        does(&history, &tag, Action::DeleteIf("m".into()), Outcome::Done);
        assert!(must_not_exist(&history).is_empty(), "it may have been another one");
        does(&history, &tag, Action::Delete, Outcome::Absent);
        assert_eq!(must_not_exist(&history), [tag]);
    }
}
