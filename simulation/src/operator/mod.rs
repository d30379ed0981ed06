//! An operator at work while things go wrong: nodes come, go and are replaced, disks are emptied, scrubs are ordered.
//!
//! What he may order the atlas knows: never more than what the nodes that stay bear alone. Once all is healed, everything
//! that he began must come to its end within `BOUND`; that is the judge of membership in this file. What follows from it
//! for data is the other judges' to say.
//!
//! Several errands may be under way at a time; each is a task (`errand`) that insists on its orders (`order`) as an
//! operator does, through whichever node answers (`site`).

pub mod authority;
mod errand;
pub(crate) mod garbage;
pub(crate) mod order;
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use node::scrub::DiskScrub;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use rand::{Rng as _, seq::IndexedRandom as _};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use self::order::Order;
use self::site::Site;
use crate::cluster::Control;
use crate::configuration::{Configuration, OperatorConfiguration};
use crate::fault::Atlas;
use crate::workload::Workload;

/// Name of the judge.
const JUDGE: &str = "membership";
/// How long everything that was begun may take once all is healed: shards are moved, a node that is to leave has to be
/// empty for a while, and what failed rests for half a minute.
const BOUND: Duration = Duration::from_mins(10);
/// How long a scrub of all disks may take.
const SCRUB_BOUND: Duration = Duration::from_mins(10);
/// Errands under way at a time.
const ERRANDS_MAX: usize = 3;
/// Longest time between the order to empty a node and what follows.
const BETWEEN_MILLISECONDS_MAX: u64 = 20_000;
/// Kinds that are drawn before another moment is waited for.
const KINDS_TRIED: usize = 4;
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);

/// The kinds of orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderKind {
    /// A new node joins.
    Join,
    /// A node is emptied and leaves.
    Leave,
    /// A node is emptied and stays after all.
    Undrain,
    /// A new node takes the place of one that lives.
    Replace,
    /// A disk is emptied.
    DrainDisk,
    /// A node scrubs its disks at once.
    Scrub,
    /// A node gets another data key, and brings what it keeps under it.
    RotateKey,
}

impl OrderKind {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Join, Self::Leave, Self::Undrain, Self::Replace, Self::DrainDisk, Self::Scrub, Self::RotateKey];
    /// Those that there are in every cluster, encrypted or not.
    pub const EVERYWHERE: &'static [Self] = match Self::ALL {
        [everywhere @ .., Self::RotateKey] => everywhere,
        all => all,
    };
}

impl fmt::Display for OrderKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// The operator of a run.
pub struct Operator {
    site: Site,
    random: StdRng,
    configuration: OperatorConfiguration,
    disks: usize,
    phase: Duration,
    /// Computers that were never on.
    spares: Vec<usize>,
    /// Nodes of which a disk was emptied: one of each at most, so that another one is left.
    emptied: BTreeSet<usize>,
}

impl Operator {
    /// The operator of a run. Nothing is ordered yet.
    #[must_use]
    pub fn new(configuration: &Configuration, control: Control, atlas: Atlas, work: Workload) -> Self {
        Self {
            site: Site { control, atlas, work, book: Arc::default() },
            random: configuration.seed.stream("orders"),
            configuration: configuration.operator.clone(),
            disks: configuration.cluster.disks_per_node,
            phase: configuration.fault_phase(),
            spares: (configuration.cluster.nodes + 1..=configuration.computers()).rev().collect(),
            emptied: BTreeSet::new(),
        }
    }

    /// What was done so far, by kind.
    #[must_use]
    pub fn done(&self) -> BTreeMap<OrderKind, u64> {
        self.site.book().done.clone()
    }

    /// Orders one thing after the other until the fault phase, which begins now, is over.
    pub async fn rage(&mut self) {
        if self.configuration.orders.is_empty() {
            return;
        }
        let over = Instant::now() + self.phase;
        loop {
            let pause = self.random.random_range(0..=self.configuration.pause_milliseconds_max);
            sleep(Duration::from_millis(pause)).await;
            if Instant::now() >= over {
                return;
            }
            if self.site.book().waiting.len() < ERRANDS_MAX {
                for _ in 0..KINDS_TRIED {
                    if self.begin() {
                        break;
                    }
                }
            }
        }
    }

    /// Begins something, if what is drawn may be.
    fn begin(&mut self) -> bool {
        let kinds: Vec<(OrderKind, u32)> =
            self.configuration.orders.iter().map(|(kind, weight)| (*kind, *weight)).collect();
        let Ok((kind, _)) = kinds.choose_weighted(&mut self.random, |(_, weight)| *weight) else { return false };
        let between = Duration::from_millis(self.random.random_range(0..=BETWEEN_MILLISECONDS_MAX));
        let site = self.site.clone();
        match kind {
            OrderKind::Join => {
                let Some(number) = self.spares.pop() else { return false };
                tokio::spawn(errand::join(site, number));
            }
            OrderKind::Leave => {
                let Some(number) = self.member(|number| site.atlas.chart().may_leave(number)) else { return false };
                tokio::spawn(errand::leave(site, number, between));
            }
            OrderKind::Undrain => {
                let Some(number) = self.member(|number| site.atlas.chart().may_leave(number)) else { return false };
                tokio::spawn(errand::undrain(site, number, between));
            }
            OrderKind::Replace => {
                let number = self.member(|number| site.atlas.chart().may_be_replaced(number));
                let Some((number, by)) = number.zip(self.spares.pop()) else { return false };
                tokio::spawn(errand::replace(site, number, by));
            }
            OrderKind::DrainDisk => {
                let emptied = self.emptied.clone();
                let Some(number) = self.member(|number| !emptied.contains(&number)) else { return false };
                self.emptied.insert(number);
                let (index, again) = (self.random.random_range(0..self.disks), self.random.random_bool(0.5));
                tokio::spawn(errand::drain_disk(site, number, index, again));
            }
            OrderKind::Scrub => {
                let control = site.control.clone();
                let Some(number) = self.member(|number| control.report(number).ready) else { return false };
                tokio::spawn(errand::scrub(site, number));
            }
            OrderKind::RotateKey => {
                let control = site.control.clone();
                let Some(number) = self.member(|number| control.report(number).ready) else { return false };
                tokio::spawn(errand::rotate_key(site, number));
            }
        }
        true
    }

    /// A member of which something holds.
    fn member(&mut self, holds: impl Fn(usize) -> bool) -> Option<usize> {
        self.site.control.members().into_iter().filter(|number| holds(*number)).choose(&mut self.random)
    }

    /// Waits until everything that was begun has come to its end: nothing is ordered any more, and nothing is wrong.
    /// Accuses of what has not within `BOUND`. Whether all has.
    pub async fn complete(&self) -> bool {
        let begun = Instant::now();
        let mut again: Vec<Order> = self.site.book().lasting.clone();
        loop {
            let mut missing: Vec<String> = self.site.book().waiting.values().cloned().collect();
            missing.extend(self.strangers());
            if missing.is_empty() {
                // Copies of contrary orders that were late have arrived by now.
                let Some(order) = again.pop() else { return true };
                let through = self.site.through(0).unwrap_or(1);
                match order.give(&self.site.control, through).await {
                    Ok(()) => continue,
                    Err(refusal) if refusal.contains("there is no node") => continue,
                    Err(refusal) => missing.push(format!("{order:?} was refused: {refusal}")),
                }
                again.push(order);
            }
            if self.site.work.court.first().is_some() {
                return false;
            }
            if begun.elapsed() >= BOUND {
                let text = format!("{} s after all was healed: {}", begun.elapsed().as_secs(), missing.join("; "));
                self.site.work.court.accuse(JUDGE, text);
                return false;
            }
            sleep(LOOK).await;
        }
    }

    /// Nodes that are no members and should have noticed, and those whose place was to be taken and that are members.
    fn strangers(&self) -> Vec<String> {
        let (control, members) = (&self.site.control, self.site.control.members());
        let left = (1..=control.nodes()).filter(|number| !members.contains(number));
        let running = left.filter(|number| control.report(*number).running);
        let mut missing: Vec<String> = running.map(|number| format!("node {number} has left and still runs")).collect();
        let there = control.replaced().into_iter().filter(|name| !self.site.is_gone(name));
        missing.extend(there.map(|name| format!("{name} was to be replaced and is still a member")));
        missing
    }

    /// Has all members scrub all their disks, and waits until they have. Accuses when it takes longer than ten minutes.
    pub async fn scrub_all(&self) -> bool {
        scrub_all(&self.site.control).await
    }
}

/// Has all members scrub all their disks, and waits until they have. Accuses when it takes longer than ten minutes.
pub(crate) async fn scrub_all(control: &Control) -> bool {
    let begun = Instant::now();
    for number in control.members() {
        let mut earlier = None;
        loop {
            let disks = scrubs(control, number).await;
            let finished = disks.iter().filter_map(|disk| disk.last).filter(|pass| pass.forced);
            let finished = finished.map(|pass| pass.finished_milliseconds).min();
            let last = format!("{disks:?}");
            match earlier {
                None if Order::Scrub.give(control, number).await.is_ok() => {
                    let newest = disks.iter().filter_map(|disk| disk.last).map(|pass| pass.finished_milliseconds);
                    earlier = Some(newest.max().unwrap_or_default());
                }
                Some(earlier) if !disks.is_empty() && finished > Some(earlier) => {
                    let all = disks.iter().all(|disk| disk.last.is_some_and(|pass| pass.forced));
                    if all {
                        break;
                    }
                }
                _ => {}
            }
            if control.court.first().is_some() {
                return false;
            }
            if begun.elapsed() >= SCRUB_BOUND {
                let text = format!("the scrub of node {number} does not come to its end: {last}");
                control.court.accuse(JUDGE, text);
                return false;
            }
            sleep(LOOK).await;
        }
    }
    true
}

/// How far a node's scrubs are; nothing while it cannot say.
async fn scrubs(control: &Control, number: usize) -> Vec<DiskScrub> {
    control.order(number, |node| Box::pin(async move { node.scrub().status() })).await.unwrap_or_default()
}
