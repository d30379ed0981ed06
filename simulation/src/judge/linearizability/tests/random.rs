//! Long histories of a correct register, and the same ones with a lie in them.

use rand::Rng;
use rand::rngs::StdRng;

use super::{accusation, tag};
use crate::history::{Action, History, OperationId, Outcome};
use crate::judge::Court;
use crate::judge::linearizability::judge;
use crate::seed::Seed;

/// A client with an operation under way.
struct Pending {
    id: OperationId,
    action: Action,
    /// Not yet, or what the register answered.
    answer: Option<Outcome>,
}

struct World {
    history: History,
    random: StdRng,
    held: Option<u32>,
    clients: Vec<Option<Pending>>,
    digests: u32,
    unknown: f64,
    /// Operations that lost their client and may still be done.
    late: Vec<Action>,
    now: u64,
}

impl World {
    fn new(seed: u64, clients: usize, digests: u32, unknown: f64) -> Self {
        let clients = (0..clients).map(|_| None).collect();
        let random = Seed(seed).stream("a correct register");
        Self { history: History::default(), random, held: None, clients, digests, unknown, late: Vec::new(), now: 0 }
    }

    fn take_effect(&mut self, action: &Action) -> Outcome {
        let number = |digest: &str| digest[1..].parse::<u32>().ok();
        match action {
            Action::Write(digest) => {
                self.held = number(digest);
                Outcome::Done
            }
            Action::Delete if self.held.take().is_some() => Outcome::Done,
            Action::Delete => Outcome::Absent,
            Action::DeleteIf(digest) => {
                if self.held == number(digest) {
                    self.held = None;
                }
                Outcome::Done
            }
            Action::Read => self.held.map_or(Outcome::Absent, |held| Outcome::Present(name(held))),
        }
    }

    fn step(&mut self) {
        self.now += 1;
        if !self.late.is_empty() && self.random.random_bool(0.01) {
            let action = self.late.remove(self.random.random_range(0..self.late.len()));
            self.take_effect(&action);
        }
        let client = self.random.random_range(0..self.clients.len());
        match self.clients[client].take() {
            None => {
                let digest = name(self.random.random_range(0..self.digests));
                let action = match self.random.random_range(0..10) {
                    0..3 => Action::Write(digest),
                    3 => Action::Delete,
                    4 => Action::DeleteIf(digest),
                    _ => Action::Read,
                };
                let id = self.history.invoke(client, 1 + client % 3, tag(), action.clone(), self.now);
                self.clients[client] = Some(Pending { id, action, answer: None });
            }
            Some(Pending { id, action, answer: None }) => {
                if self.random.random_bool(self.unknown) {
                    self.late.push(action);
                    self.history.complete(id, Outcome::Unknown, self.now);
                } else {
                    let answer = Some(self.take_effect(&action));
                    self.clients[client] = Some(Pending { id, action, answer });
                }
            }
            Some(Pending { id, answer: Some(answer), .. }) => self.history.complete(id, answer, self.now),
        }
    }
}

fn name(digest: u32) -> std::sync::Arc<str> {
    format!("d{digest}").into()
}

#[test]
fn what_a_correct_register_does_is_linearizable_whoever_is_lost() {
    for seed in 0..60_u8 {
        let mut world = World::new(u64::from(seed), 2 + usize::from(seed % 5), 1 + u32::from(seed % 4), 0.05);
        for _ in 0..600 {
            world.step();
        }
        assert_eq!(accusation(&world.history), None, "seed {seed}");
    }
}

#[test]
fn thousands_of_operations_with_dozens_of_open_ones_cost_little() {
    let mut world = World::new(1, 8, 30, 0.01);
    for _ in 0..12_000 {
        world.step();
    }
    let open = world.history.operations().iter().filter(|operation| operation.outcome == Outcome::Unknown).count();
    assert!(open > 30, "{open}");
    let court = Court::default();
    let report = judge(&world.history, &court);
    assert_eq!((court.first(), report.undecided.len()), (None, 0));
    assert!(report.configurations < 50_000, "{report:?}");

    // A read of something that was overwritten by an acknowledged write, at the very end.
    for (action, outcome) in [
        (Action::Write("old".into()), Outcome::Done),
        (Action::Write("new".into()), Outcome::Done),
        (Action::Read, Outcome::Present("old".into())),
    ] {
        let id = world.history.invoke(0, 1, tag(), action, world.now);
        world.history.complete(id, outcome, world.now);
    }
    let text = accusation(&world.history).expect("a stale read");
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.ends_with("read: there is old"), "{text}");
}

#[test]
fn a_lie_is_found_in_most_histories() {
    // Not in all: an operation beside it, or an open one, may explain what it says.
    let mut found = 0;
    for seed in 0..40 {
        let mut world = World::new(seed, 3, 3, 0.0);
        for _ in 0..150 {
            world.step();
        }
        let truth = world.take_effect(&Action::Read);
        let lie = if truth == Outcome::Absent { Outcome::Present(name(0)) } else { Outcome::Absent };
        for _ in 0..3 {
            let id = world.history.invoke(0, 1, tag(), Action::Read, world.now);
            world.history.complete(id, truth.clone(), world.now);
            let id = world.history.invoke(0, 1, tag(), Action::Read, world.now);
            world.history.complete(id, lie.clone(), world.now);
        }
        found += usize::from(accusation(&world.history).is_some());
    }
    assert!(found >= 36, "{found} of 40");
}
