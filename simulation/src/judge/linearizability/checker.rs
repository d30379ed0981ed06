//! Is there an order of the events in which a register could have taken them?
//!
//! The search takes required events one by one, each as soon as the real-time order allows: an event may be next if no
//! other one that is left returned before it was invoked (Wing and Gong). Configurations that were visited are not
//! visited again (Lowe). Four prunings keep it small; tests compare with searches that have none of them.
//!
//! 1. *An observation that holds now is taken now.* It changes nothing, so in any order that takes it later it can be
//!    moved here.
//!
//! 2. *Open events are taken only when the next required event X needs them.* An open event has no latest time, so one
//!    that stands before X in a valid order may be moved behind X, or left out, unless X then fails or leaves another
//!    state that cannot be mended. Let `s` be the state, `w` the open events that a valid order has between here and X.
//!    - X writes: what `w` did is lost; leave it out.
//!    - X observes a digest v, and s is another: v can only come from an open write of v in `w`. It alone is enough.
//!    - X observes nothing, and s is something: either `w` has a delete, which is enough; or a conditional delete of u
//!      was the last that took effect. If u = s it is enough, otherwise the write of u before it makes it so.
//!    - X observes that v is not there, and s = v: the first event of `w` that changes v is enough (a delete, a
//!      conditional delete of v, a write of another), since those before it did nothing and those behind it may follow X.
//!    - X deletes: it leaves nothing in any case; if s is nothing, `w` has a write, and any one of them is enough.
//!    - X deletes v conditionally: moved behind X, `w` ends in the same state, except where its last write is of v, and X
//!      removes that; then the write is enough, and it is needed only if s is neither v nor nothing.
//!    - No X is left: leave `w` out.
//!
//!    So no open write can be dropped beforehand just because nobody read its digest: it may be what a delete removed.
//!
//! 3. *Of the open events that would do, the one that can do least is taken*, where that can be said. A delete can stand
//!    in for a conditional one wherever that has an effect, and a write of u with a conditional delete of u can stand in
//!    for a delete. So nothing is lost if the conditional delete is used up first, then the delete, then such a pair. A
//!    write of a digest that no step names any more is good for nothing but to be deleted (unless some step will observe
//!    that a digest is *not* there), so it is used up for that before others are.
//!
//! 4. *What nothing can tell apart is one.* Open events of one effect are alike but for their invocations, so the
//!    earliest that is left is taken, and a configuration is worse than another with the same state and required events
//!    that has used no more of any effect. Digests that no step names any more, but writes, are one state.

use std::collections::{BTreeMap, BTreeSet};

use super::register::{Event, Step, Symbol};

/// What the search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none, not even for what was known at this return, the first one of that kind.
    Violated(u64),
    /// The effort ended first.
    Undecided,
}

/// Configurations visited in depth, for each event, before the search goes on in breadth.
const IN_DEPTH_PER_EVENT: usize = 4;

/// Searches; also returns how many configurations were visited, `effort` at most.
///
/// First in depth, which finds an order soon if there are many. Then in breadth, which is the shorter way to the
/// certainty that there is none: whatever is better than a configuration is known before that is visited.
pub(super) fn check(events: &[Event], effort: usize) -> (Verdict, usize) {
    let search = Search::new(events);
    let first = effort.min(IN_DEPTH_PER_EVENT * events.len());
    match search.in_depth(first) {
        (Verdict::Undecided, visited) => {
            let (verdict, more) = search.in_breadth(effort - visited);
            (verdict, visited + more)
        }
        decided => decided,
    }
}

/// An event that must be in the order.
#[derive(Clone, Copy, Debug)]
struct Required {
    step: Step,
    invoked: u64,
    returned: u64,
}

/// Open events of one effect.
#[derive(Debug)]
struct Open {
    step: Step,
    /// Invocations in order.
    invoked: Vec<u64>,
}

/// How far an attempt at an order has come.
#[derive(Clone, Debug)]
struct Configuration {
    /// Required events before this place are taken.
    first: usize,
    /// And these behind it, in order.
    taken: Vec<usize>,
    state: Option<Symbol>,
    /// Open events taken, by effect.
    used: Vec<u32>,
}

impl Configuration {
    /// Required events taken.
    const fn level(&self) -> usize {
        self.first + self.taken.len()
    }

    fn take(&mut self, place: usize) {
        if place != self.first {
            let at = self.taken.partition_point(|taken| *taken < place);
            self.taken.insert(at, place);
            return;
        }
        self.first += 1;
        let run = self.taken.iter().enumerate().take_while(|(index, taken)| **taken == place + 1 + index).count();
        self.first += run;
        self.taken.drain(..run);
    }

    const fn apply(&mut self, step: Step) {
        match step {
            Step::Write(digest) => self.state = Some(digest),
            Step::Delete => self.state = None,
            Step::DeleteIf(digest) => {
                if let Some(held) = self.state
                    && held == digest
                {
                    self.state = None;
                }
            }
            Step::Holds(_) | Step::HoldsNot(_) => {}
        }
    }
}

/// The required events that a configuration has taken, and its state.
type Place = (usize, Vec<usize>, Option<Symbol>);

/// Configurations: of those in the same place, the ones that have used least.
#[derive(Debug, Default)]
struct Least(BTreeMap<Place, Vec<Vec<u32>>>);

impl Least {
    /// Adds a configuration, unless there is one that is at least as good.
    fn insert(&mut self, configuration: &Configuration) -> bool {
        let at_most = |one: &[u32], other: &[u32]| one.iter().zip(other).all(|(one, other)| one <= other);
        let key = (configuration.first, configuration.taken.clone(), configuration.state);
        let least = self.0.entry(key).or_default();
        if least.iter().any(|used| at_most(used, &configuration.used)) {
            return false;
        }
        least.retain(|used| !at_most(&configuration.used, used));
        least.push(configuration.used.clone());
        true
    }

    fn into_configurations(self) -> impl Iterator<Item = Configuration> {
        self.0.into_iter().flat_map(|((first, taken, state), least)| {
            least.into_iter().map(move |used| Configuration { first, taken: taken.clone(), state, used })
        })
    }
}

/// Stands for all digests that no step names any more.
const NAMELESS: Symbol = Symbol::MAX;

/// The events, prepared.
#[derive(Debug)]
struct Search {
    /// In the order of their invocations.
    required: Vec<Required>,
    open: Vec<Open>,
    /// The place behind the last required event that names a digest; no place is behind an open one.
    named_until: BTreeMap<Symbol, usize>,
    /// The place behind the last event that observes what is not there.
    negative_until: usize,
}

impl Search {
    fn new(events: &[Event]) -> Self {
        let everywhere: BTreeSet<Symbol> = events.iter().filter_map(|event| named(event.step)).collect();
        let mut required = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        for event in events {
            let step = match event.step {
                Step::Write(digest) if !everywhere.contains(&digest) => Step::Write(NAMELESS),
                step => step,
            };
            if let Some(returned) = event.returned {
                required.push(Required { step, invoked: event.invoked, returned });
            } else if let Some(alike) = open.iter_mut().find(|open| open.step == step) {
                alike.invoked.push(event.invoked);
            } else {
                open.push(Open { step, invoked: vec![event.invoked] });
            }
        }
        required.sort_by_key(|required| required.invoked);
        for open in &mut open {
            open.invoked.sort_unstable();
        }
        let mut named_until = BTreeMap::new();
        let mut negative_until = 0;
        for (place, event) in required.iter().enumerate() {
            named_until.extend(named(event.step).map(|digest| (digest, place + 1)));
            if matches!(event.step, Step::HoldsNot(_)) {
                negative_until = place + 1;
            }
        }
        named_until.extend(open.iter().filter_map(|open| named(open.step)).map(|digest| (digest, usize::MAX)));
        Self { required, open, named_until, negative_until }
    }

    /// Whether no step that is left names the digest, but writes.
    fn is_nameless(&self, digest: Symbol, configuration: &Configuration) -> bool {
        self.named_until.get(&digest).is_none_or(|until| *until <= configuration.first)
    }

    fn begin(&self) -> Configuration {
        let begin = Configuration { first: 0, taken: Vec::new(), state: None, used: vec![0; self.open.len()] };
        self.settled(begin)
    }

    fn in_depth(&self, effort: usize) -> (Verdict, usize) {
        let mut seen = Least::default();
        let mut stack = vec![self.begin()];
        let (mut visited, mut furthest) = (0, 0);
        while let Some(configuration) = stack.pop() {
            if configuration.first == self.required.len() {
                return (Verdict::Linearizable, visited);
            }
            if !seen.insert(&configuration) {
                continue;
            }
            if visited == effort {
                return (Verdict::Undecided, visited);
            }
            visited += 1;
            furthest = furthest.max(self.next(&configuration).1);
            stack.extend(self.branches(&configuration));
        }
        (Verdict::Violated(furthest), visited)
    }

    fn in_breadth(&self, effort: usize) -> (Verdict, usize) {
        // By the number of required events taken; a branch has more.
        let mut levels: BTreeMap<usize, Least> = BTreeMap::new();
        let begin = self.begin();
        levels.entry(begin.level()).or_default().insert(&begin);
        let (mut visited, mut furthest) = (0, 0);
        while let Some((level, configurations)) = levels.pop_first() {
            if level == self.required.len() {
                return (Verdict::Linearizable, visited);
            }
            for configuration in configurations.into_configurations() {
                if visited == effort {
                    return (Verdict::Undecided, visited);
                }
                visited += 1;
                furthest = furthest.max(self.next(&configuration).1);
                for branch in self.branches(&configuration) {
                    levels.entry(branch.level()).or_default().insert(&branch);
                }
            }
        }
        (Verdict::Violated(furthest), visited)
    }

    /// The configuration with everything done that needs no choice.
    fn settled(&self, mut configuration: Configuration) -> Configuration {
        self.observe(&mut configuration);
        // Of states that nothing can tell apart any more, one is made (pruning 4).
        if configuration.state.is_some_and(|held| self.is_nameless(held, &configuration)) {
            configuration.state = Some(NAMELESS);
        }
        configuration
    }

    /// Required events that may be next, and the first return among them: what was invoked after it may not be.
    fn next(&self, configuration: &Configuration) -> (Vec<usize>, u64) {
        let mut next = Vec::new();
        let mut first_return = u64::MAX;
        let mut taken = configuration.taken.iter().peekable();
        for (place, required) in self.required.iter().enumerate().skip(configuration.first) {
            if required.invoked > first_return {
                break;
            }
            if taken.next_if(|taken| **taken == place).is_none() {
                first_return = first_return.min(required.returned);
                next.push(place);
            }
        }
        (next, first_return)
    }

    /// Takes all observations that hold now (pruning 1).
    fn observe(&self, configuration: &mut Configuration) {
        loop {
            let (next, _) = self.next(configuration);
            let mut changed = false;
            for place in next {
                let holds = match self.required[place].step {
                    Step::Holds(held) => held == configuration.state,
                    Step::HoldsNot(digest) => configuration.state != Some(digest),
                    Step::Write(_) | Step::Delete | Step::DeleteIf(_) => false,
                };
                if holds {
                    configuration.take(place);
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// What may follow; the most promising last.
    fn branches(&self, configuration: &Configuration) -> impl Iterator<Item = Configuration> {
        let (mut next, first_return) = self.next(configuration);
        let available: Vec<usize> = (0..self.open.len())
            .filter(|index| {
                let begun = self.open[*index].invoked.partition_point(|invoked| *invoked < first_return);
                (configuration.used[*index] as usize) < begun
            })
            .collect();
        next.sort_by_key(|place| self.required[*place].returned);
        let mut branches = Vec::new();
        for place in next {
            let step = self.required[place].step;
            for needed in self.ways(configuration, step, &available) {
                branches.push((needed.len(), place, needed));
            }
        }
        // Stable: those that need fewer open events first, and of them those that returned first.
        branches.sort_by_key(|(needed, ..)| *needed);
        branches.into_iter().rev().map(|(_, place, needed)| {
            let mut following = configuration.clone();
            for index in needed {
                following.used[index] += 1;
                following.apply(self.open[index].step);
            }
            following.apply(self.required[place].step);
            following.take(place);
            self.settled(following)
        })
    }

    /// The open events that may have to be taken before a required one, as indices (prunings 2 and 3).
    fn ways(&self, configuration: &Configuration, step: Step, available: &[usize]) -> Vec<Vec<usize>> {
        let state = configuration.state;
        let find = |step: Step| available.iter().copied().find(|index| self.open[*index].step == step);
        let single = |step: Step| find(step).map(|index| vec![index]);
        let writes = || {
            available.iter().copied().filter_map(|index| match self.open[index].step {
                Step::Write(digest) => Some((index, digest)),
                _ => None,
            })
        };
        let delete = |held: Symbol| single(Step::DeleteIf(held)).or_else(|| single(Step::Delete));
        let as_it_is = || vec![Vec::new()];
        match (step, state) {
            (Step::Holds(wanted), _) if wanted == state => as_it_is(),
            (Step::Holds(Some(digest)), _) => single(Step::Write(digest)).into_iter().collect(),
            (Step::Holds(None), Some(held)) => delete(held).map_or_else(
                || {
                    let pair = |(write, digest)| Some(vec![write, find(Step::DeleteIf(digest))?]);
                    writes().filter_map(pair).collect()
                },
                |delete| vec![delete],
            ),
            (Step::HoldsNot(digest), Some(held)) if held == digest => {
                let others = writes().filter(|(_, other)| *other != digest).map(|(index, _)| vec![index]);
                delete(held).into_iter().chain(others).collect()
            }
            (Step::Delete, None) => {
                let mut nameless = writes().filter(|(_, digest)| self.is_nameless(*digest, configuration));
                match nameless.next() {
                    Some((index, _)) if self.negative_until <= configuration.first => vec![vec![index]],
                    _ => writes().map(|(index, _)| vec![index]).collect(),
                }
            }
            (Step::DeleteIf(digest), Some(held)) if held != digest => {
                as_it_is().into_iter().chain(single(Step::Write(digest))).collect()
            }
            // What is left needs nothing.
            (Step::Write(_) | Step::Delete | Step::DeleteIf(_) | Step::Holds(None) | Step::HoldsNot(_), _) => {
                as_it_is()
            }
        }
    }
}

/// The digest by which a step can tell states apart.
const fn named(step: Step) -> Option<Symbol> {
    match step {
        Step::Holds(held) => held,
        Step::DeleteIf(digest) | Step::HoldsNot(digest) => Some(digest),
        Step::Write(_) | Step::Delete => None,
    }
}
