//! What an operator's errands have in common: the cluster, what is known to be under way, and the patience with which
//! orders are repeated until they are carried out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::OrderKind;
use super::order::Order;
use crate::cluster::Control;
use crate::fault::Atlas;
use crate::workload::Workload;

/// Pause before an order is given again, and between two looks.
const AGAIN: Duration = Duration::from_secs(1);

/// Where an operator works. Clones are the same site.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) control: Control,
    pub(super) atlas: Atlas,
    pub(super) work: Workload,
    pub(super) book: Arc<Mutex<Book>>,
}

/// What is under way, and what was done.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    next: u64,
    /// What each errand that is under way waits for.
    pub(super) waiting: BTreeMap<u64, String>,
    pub(super) done: BTreeMap<OrderKind, u64>,
    /// Orders that hold in the end, whatever late copies of others have done: nodes that stay, disks that are used.
    pub(super) lasting: Vec<Order>,
}

/// One errand under way.
pub(super) struct Errand {
    site: Site,
    kind: OrderKind,
    id: u64,
}

impl Site {
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an errand begins.
    pub(super) fn errand(&self, kind: OrderKind) -> Errand {
        let mut book = self.book();
        book.next += 1;
        let id = book.next;
        book.waiting.insert(id, format!("{kind} begins"));
        drop(book);
        Errand { site: self.clone(), kind, id }
    }

    /// A member that takes requests, other ones after each other.
    pub(super) fn through(&self, turn: usize) -> Option<usize> {
        let ready: Vec<usize> =
            self.control.members().into_iter().filter(|number| self.control.report(*number).ready).collect();
        ready.get(turn % ready.len().max(1)).copied()
    }

    /// Whether a node of this name is known to be no member any more: whoever lags behind knows more names, not fewer.
    pub(super) fn is_gone(&self, name: &str) -> bool {
        let reports = self.control.members().into_iter().map(|number| self.control.report(number));
        reports.filter(|report| report.ready && !report.members.is_empty()).any(|report| !report.members.contains(name))
    }

    /// A computer's node has become a member: clients ask it too.
    pub(super) fn joined(&self, number: usize) {
        self.control.joined(number);
        self.work.serve(self.control.members());
    }

    /// A computer's node is no member any more.
    pub(super) fn departed(&self, number: usize) {
        self.control.departed(number);
        self.atlas.chart().departed(number);
        self.work.serve(self.control.members());
    }
}

impl Errand {
    /// Says what it waits for.
    pub(super) fn waits(&self, what: String) {
        self.site.control.trace.note(&format!("operator, errand {}, {}: {what}", self.id, self.kind));
        self.site.book().waiting.insert(self.id, what);
    }

    /// Gives an order again and again until it is carried out. Whether it was: `false` when it has become void.
    pub(super) async fn insist(&self, order: Order, is_void: impl Fn() -> bool) -> bool {
        let mut last = String::new();
        for turn in 0.. {
            if is_void() {
                return false;
            }
            if let Some(through) = self.site.through(turn) {
                match order.give(&self.site.control, through).await {
                    Ok(()) => {
                        self.waits(format!("{order:?} was carried out through node {through}"));
                        return true;
                    }
                    Err(refusal) if refusal != last => {
                        self.waits(format!("{order:?} was refused by node {through}: {refusal}"));
                        last = refusal;
                    }
                    Err(_) => {}
                }
            }
            sleep(AGAIN).await;
        }
        false
    }

    /// Waits until something holds.
    pub(super) async fn until(&self, what: String, holds: impl Fn() -> bool) {
        self.waits(what);
        while !holds() {
            sleep(AGAIN).await;
        }
    }

    /// It is done.
    pub(super) fn done(self) {
        self.waits("done".to_owned());
        let mut book = self.site.book();
        book.waiting.remove(&self.id);
        *book.done.entry(self.kind).or_default() += 1;
    }

    /// It came to nothing: what it was about is gone.
    pub(super) fn void(self) {
        self.waits("void".to_owned());
        self.site.book().waiting.remove(&self.id);
    }
}
