//! Ours against two others on small histories: a search through all orders, and the checker of todc-utils. Neither
//! shares a line with ours.

use proptest::prelude::*;
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action as Entry, History as Entries};
use todc_utils::specifications::Specification;

use crate::judge::linearizability::checker::{Verdict, check};
use crate::judge::linearizability::explanation::prefix;
use crate::judge::linearizability::register::{Event, Step, Symbol};

const EVENTS_MAX: usize = 7;

/// What a register does: the state afterwards, if it can be. A delete that is open may find nothing.
#[expect(clippy::option_option, reason = "nothing is a state, too")]
fn after(step: Step, certain: bool, state: Option<Symbol>) -> Option<Option<Symbol>> {
    match step {
        Step::Write(digest) => Some(Some(digest)),
        Step::Delete => (state.is_some() || !certain).then_some(None),
        Step::DeleteIf(digest) => Some(state.filter(|held| *held != digest)),
        Step::Holds(held) => (held == state).then_some(state),
        Step::HoldsNot(digest) => (state != Some(digest)).then_some(state),
    }
}

/// Tries all orders, with any of the open events or without.
fn all_orders(left: &[Event], state: Option<Symbol>) -> bool {
    if left.iter().all(|event| event.returned.is_none()) {
        return true;
    }
    (0..left.len()).any(|place| {
        let mut rest = left.to_vec();
        let event = rest.remove(place);
        let too_early = rest.iter().any(|other| other.returned.is_some_and(|returned| returned < event.invoked));
        let next = after(event.step, event.returned.is_some(), state);
        !too_early && next.is_some_and(|next| all_orders(&rest, next))
    })
}

struct Register;

impl Specification for Register {
    type State = Option<Symbol>;
    type Operation = (Step, bool);

    fn init() -> Self::State {
        None
    }

    fn apply((step, certain): &Self::Operation, state: &Self::State) -> (bool, Self::State) {
        after(*step, *certain, *state).map_or((false, *state), |next| (true, next))
    }
}

/// todc-utils knows no open events: each choice of them is a history of its own, in which they return at the end.
fn todc(events: &[Event]) -> bool {
    let (certain, open): (Vec<&Event>, Vec<&Event>) = events.iter().partition(|event| event.returned.is_some());
    (0..1_u32 << open.len()).any(|choice| {
        let chosen = open.iter().enumerate().filter(|(place, _)| choice >> place & 1 == 1).map(|(_, event)| *event);
        let mut entries = Vec::new();
        for (process, event) in certain.iter().copied().chain(chosen).enumerate() {
            let operation = (event.step, event.returned.is_some());
            entries.push((event.invoked, process, Entry::Call(operation)));
            entries.push((event.returned.unwrap_or(u64::MAX), process, Entry::Response(operation)));
        }
        entries.sort_by_key(|(order, process, _)| (*order, *process));
        let entries: Vec<_> = entries.into_iter().map(|(_, process, entry)| (process, entry)).collect();
        entries.is_empty() || WGLChecker::<Register>::is_linearizable(Entries::from_actions(entries))
    })
}

fn step() -> impl Strategy<Value = Step> {
    let digest = || 0..3_u32;
    prop_oneof![
        4 => digest().prop_map(Step::Write),
        2 => Just(Step::Delete),
        2 => digest().prop_map(Step::DeleteIf),
        4 => proptest::option::of(digest()).prop_map(Step::Holds),
        1 => digest().prop_map(Step::HoldsNot),
    ]
}

/// Any events at all, of which about half of the small histories are in order.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (step(), any::<(u16, u16)>(), proptest::bool::weighted(0.3));
    proptest::collection::vec(event, 1..=EVENTS_MAX).prop_map(|drawn| {
        let mut orders: Vec<(u16, usize, bool)> = Vec::new();
        for (operation, (_, (one, other), _)) in drawn.iter().enumerate() {
            orders.push((*one.min(other), operation, false));
            orders.push((*one.max(other), operation, true));
        }
        orders.sort_unstable();
        let place = |wanted: usize, returns: bool| {
            let place = orders.iter().position(|(_, operation, end)| *operation == wanted && *end == returns);
            place.unwrap() as u64
        };
        let events = drawn.iter().enumerate().filter_map(|(operation, (step, _, open))| {
            let returned = (!open).then(|| place(operation, true));
            let says_nothing = returned.is_none() && step.observes();
            (!says_nothing).then_some(Event { step: *step, invoked: place(operation, false), returned, operation })
        });
        events.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_three_agree(events in events()) {
        let expected = all_orders(&events, None);
        prop_assert_eq!(todc(&events), expected, "todc-utils");
        match check(&events, usize::MAX).0 {
            Verdict::Undecided => prop_assert!(false, "undecided"),
            Verdict::Linearizable => prop_assert!(expected),
            Verdict::Violated(at) => {
                prop_assert!(!expected);
                prop_assert!(!all_orders(&prefix(&events, at), None), "the first return that cannot be");
                prop_assert!(all_orders(&prefix(&events, at - 1), None), "none before it");
            }
        }
    }
}
