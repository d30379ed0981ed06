//! What an operation does to a register, or says of it.
//!
//! How answers are read (`raft/src/catalog/apply`): an acknowledged delete found something to delete, one that answers
//! "not there" found nothing, and one that is refused because the content is in use found it. Deleting a manifest
//! empties the tags that hold it, whatever they hold; if there was no such manifest, no tag held it then, since a tag
//! points to a manifest that exists. A refusal says nothing. What nobody knows stays open: it happens once, at any time
//! from its invocation on, or never; what it would have answered says nothing.

use std::collections::BTreeMap;

use crate::history::{Action, DigestText, Operation, Outcome};

/// Stands for a digest.
pub(super) type Symbol = u32;

/// One step of a register that holds a digest or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Sets it.
    Write(Symbol),
    /// Empties it. Where it is required, it held something before.
    Delete,
    /// Empties it if it holds this.
    DeleteIf(Symbol),
    /// It held this, or nothing.
    Holds(Option<Symbol>),
    /// It held something else than this, or nothing.
    HoldsNot(Symbol),
}

impl Step {
    /// Whether it changes nothing.
    pub(super) const fn observes(self) -> bool {
        matches!(self, Self::Holds(_) | Self::HoldsNot(_))
    }
}

/// A step and when it may have been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// What happened.
    pub(super) step: Step,
    /// Not before this, in the order of all invocations and returns.
    pub(super) invoked: u64,
    /// Certainly, and not after this. `None`: at any time, or never.
    pub(super) returned: Option<u64>,
    /// Place of the operation in the subject's history.
    pub(super) operation: usize,
}

/// The events of one subject's operations, in the order of their invocations.
pub(super) fn events(operations: &[Operation]) -> Vec<Event> {
    let mut symbols = Symbols::default();
    let mut events: Vec<Event> =
        operations.iter().enumerate().filter_map(|(place, operation)| event(&mut symbols, place, operation)).collect();
    events.sort_by_key(|event| event.invoked);
    events
}

fn event(symbols: &mut Symbols, place: usize, operation: &Operation) -> Option<Event> {
    let open = |step| Some((step, None));
    let certain = |step| Some((step, operation.returned_order));
    let (step, returned) = match (&operation.action, &operation.outcome) {
        (Action::Write(digest), Outcome::Done) => certain(Step::Write(symbols.of(digest))),
        (Action::Write(digest), Outcome::Unknown) => open(Step::Write(symbols.of(digest))),
        (Action::Delete, Outcome::Done) => certain(Step::Delete),
        (Action::Delete, Outcome::Unknown) => open(Step::Delete),
        (Action::DeleteIf(digest), Outcome::Done) => certain(Step::DeleteIf(symbols.of(digest))),
        (Action::DeleteIf(digest), Outcome::Unknown) => open(Step::DeleteIf(symbols.of(digest))),
        (Action::DeleteIf(digest), Outcome::Absent) => certain(Step::HoldsNot(symbols.of(digest))),
        (Action::Read | Action::Delete, Outcome::Absent) => certain(Step::Holds(None)),
        (Action::Read | Action::Delete, Outcome::Present(digest)) => certain(Step::Holds(Some(symbols.of(digest)))),
        (_, Outcome::Refused)
        | (Action::Read, Outcome::Done | Outcome::Unknown)
        | (Action::Write(_), Outcome::Absent | Outcome::Present(_))
        | (Action::DeleteIf(_), Outcome::Present(_)) => None,
    }?;
    Some(Event { step, invoked: operation.invoked_order, returned, operation: place })
}

#[derive(Debug, Default)]
struct Symbols(BTreeMap<DigestText, Symbol>);

impl Symbols {
    fn of(&mut self, digest: &DigestText) -> Symbol {
        let next = Symbol::try_from(self.0.len()).unwrap_or(Symbol::MAX);
        *self.0.entry(digest.clone()).or_insert(next)
    }
}
