//! The hold on a simulated cluster: what scenarios, faults and judges do to it and see of it.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use node::start::Node;
use raft::group::{GroupStatus, Role};
use raft::id::GroupId;
use tokio::time::sleep;
use turmoil::Sim;

use super::life::{API_PORT, host, name, region_name};
use crate::computer::Computer;
use crate::judge::Court;
use crate::network::SimulatedNetwork;
use crate::surroundings::Surroundings;
use crate::trace::Trace;

/// How often waiters look, in virtual time.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// What may be done to a computer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The process dies; what was synced stays, and some of the rest.
    Crash,
    /// Power is lost; what was not synced goes, or is torn.
    PowerLoss,
    /// The computer is replaced by an empty one. Its process must be dead.
    Wipe,
    /// The process ends in order, as on a signal.
    Stop,
    /// The process is started, for the first time or again.
    Start,
}

/// What an order answers, once it is carried out.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Where the clients of a simulated cluster of so many nodes work.
#[must_use]
pub fn surroundings(nodes: usize) -> Surroundings {
    Surroundings {
        network: Arc::new(SimulatedNetwork::default()),
        nodes: (1..=nodes).map(|number| format!("{}:{API_PORT}", host(number))).collect(),
        elapsed: Arc::new(|| turmoil::sim_elapsed().unwrap_or_default()),
    }
}

/// What was last seen of a node.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Whether its process runs.
    pub running: bool,
    /// Whether it takes requests.
    pub ready: bool,
    /// Extents below their redundancy, as it knows.
    pub under_replicated: u64,
    /// Its view of its groups.
    pub groups: Vec<GroupStatus>,
    /// Names of the members, as it knows.
    pub members: BTreeSet<String>,
    /// Why its process ended by itself, until it is started again.
    pub ended: Option<String>,
    /// How often the computer was wiped.
    pub generation: u64,
}

type Errand = Box<dyn for<'a, 'b> FnOnce(&'a mut Sim<'b>) + Send>;
/// Something that an operator does to a running node.
pub(super) type Order = Box<dyn for<'a> FnOnce(&'a Node) -> Answer<'a, ()> + Send>;

#[derive(Default)]
pub(super) struct Shared {
    pub(super) reports: Vec<Report>,
    /// Whether some node has founded the cluster.
    pub(super) founded: bool,
    /// Regions that exist.
    pub(super) regions: BTreeSet<String>,
    /// Regions that somebody wants to join and that do not exist yet.
    pub(super) region_wanted: BTreeSet<String>,
    /// Nodes that need a join token.
    pub(super) token_wanted: BTreeSet<usize>,
    /// Tokens made for them.
    pub(super) tokens: BTreeMap<usize, String>,
    /// Orders to each node, the oldest first.
    pub(super) orders: BTreeMap<usize, Vec<Order>>,
    /// Nodes that are to end in order.
    pub(super) stopping: BTreeSet<usize>,
    /// Node that a new computer takes the place of.
    pub(super) replaces: BTreeMap<usize, String>,
    /// Computers whose nodes are members.
    pub(super) members: BTreeSet<usize>,
    /// Computers whose nodes are to leave, or have left.
    pub(super) dismissed: BTreeSet<usize>,
    errands: Vec<Errand>,
    /// Errands ever given and ever carried out.
    given: u64,
    done: u64,
}

/// The hold on a simulated cluster. Nodes are numbered from 1.
#[derive(Clone)]
pub struct Control {
    computers: Arc<[Computer]>,
    shared: Arc<Mutex<Shared>>,
    /// The run's trace.
    pub trace: Trace,
    /// Where judges accuse.
    pub court: Court,
}

impl Control {
    pub(super) fn new(computers: Vec<Computer>, founders: usize, trace: Trace, court: Court) -> Self {
        let reports = vec![Report::default(); computers.len()];
        let shared = Shared { reports, members: (1..=founders).collect(), ..Shared::default() };
        Self { computers: computers.into(), shared: Arc::new(Mutex::new(shared)), trace, court }
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of computers, those included whose nodes are no members.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.computers.len()
    }

    /// Name of a node's host on the network.
    #[must_use]
    pub fn host(number: usize) -> String {
        host(number)
    }

    /// Name of a region by its number.
    #[must_use]
    pub fn region_name(number: usize) -> String {
        region_name(number)
    }

    /// Name of the node that runs on a computer; one that was wiped takes another name.
    #[must_use]
    pub fn name(&self, number: usize) -> String {
        name(number, self.report(number).generation)
    }

    /// The computers whose nodes are members now, by number.
    #[must_use]
    pub fn members(&self) -> BTreeSet<usize> {
        self.shared().members.clone()
    }

    /// A computer's node has become a member.
    pub fn joined(&self, number: usize) {
        self.shared().members.insert(number);
    }

    /// A computer's node is to leave: that it is removed is no surprise.
    pub fn dismiss(&self, number: usize) {
        self.shared().dismissed.insert(number);
    }

    /// Whether a computer's node was told to leave.
    #[must_use]
    pub fn is_dismissed(&self, number: usize) -> bool {
        self.shared().dismissed.contains(&number)
    }

    /// A computer's node is no member any more.
    pub fn departed(&self, number: usize) {
        self.shared().members.remove(&number);
    }

    /// Where the clients of this cluster work.
    #[must_use]
    pub fn surroundings(&self) -> Surroundings {
        surroundings(self.nodes())
    }

    /// A node's computer.
    #[must_use]
    pub fn computer(&self, number: usize) -> Computer {
        self.computers[number - 1].clone()
    }

    /// What was last seen of a node.
    #[must_use]
    pub fn report(&self, number: usize) -> Report {
        self.shared().reports[number - 1].clone()
    }

    /// The node that leads a group as the running nodes see it, if there is just one.
    #[must_use]
    pub fn leader(&self, is_meant: impl Fn(GroupId) -> bool) -> Option<usize> {
        let leads = |report: &Report| {
            report.running && report.groups.iter().any(|status| is_meant(status.group) && status.role == Role::Leader)
        };
        let shared = self.shared();
        let mut leading = (1..).zip(&shared.reports).filter(|(_, report)| leads(report)).map(|(number, _)| number);
        leading.next().filter(|_| leading.next().is_none())
    }

    /// Waits until something is so.
    ///
    /// # Errors
    /// When it takes longer than `deadline`.
    pub async fn until(&self, deadline: Duration, what: &str, reached: impl Fn() -> bool) -> Result<()> {
        let poll = async {
            while !reached() {
                sleep(POLL).await;
            }
        };
        tokio::time::timeout(deadline, poll).await.with_context(|| format!("waited {deadline:?} for {what}"))
    }

    /// Notes that a node's process has ended by itself, and why if that was not in order.
    pub(super) fn ended(&self, number: usize, reason: Option<String>) {
        let mut shared = self.shared();
        let report = &mut shared.reports[number - 1];
        report.running = false;
        report.ready = false;
        report.ended = reason;
        // Whoever gave one of them learns by this that nobody will carry it out.
        shared.orders.remove(&number);
    }

    /// Does something to the simulation from outside, between two of its steps, and returns once it is done.
    pub async fn outside(&self, errand: impl for<'a, 'b> FnOnce(&'a mut Sim<'b>) + Send + 'static) {
        let ticket = {
            let mut shared = self.shared();
            shared.errands.push(Box::new(errand));
            shared.given += 1;
            shared.given
        };
        while self.shared().done < ticket {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Does what was asked for.
    pub(super) fn carry_out(&self, simulation: &mut Sim<'_>) {
        let errands = std::mem::take(&mut self.shared().errands);
        for errand in errands {
            errand(simulation);
            self.shared().done += 1;
        }
    }

    /// Does something to a computer, and returns once it is done.
    pub async fn fate(&self, number: usize, fate: Fate) {
        self.trace.note(&format!("node {number}: {fate:?}"));
        if fate == Fate::Stop {
            self.shared().stopping.insert(number);
            while self.report(number).running {
                sleep(POLL).await;
            }
        }
        let control = self.clone();
        self.outside(move |simulation| {
            let computer = control.computer(number);
            {
                // Here and not before: until now the process may have reported that it is ready.
                let mut shared = control.shared();
                let report = &mut shared.reports[number - 1];
                let generation = report.generation + u64::from(fate == Fate::Wipe);
                *report = Report { running: fate == Fate::Start, generation, ..Report::default() };
                shared.orders.remove(&number);
                shared.stopping.remove(&number);
            }
            match fate {
                // The disks first: what the destructors of a killed process do must not reach them.
                Fate::Crash => {
                    computer.crash();
                    simulation.crash(host(number));
                }
                Fate::PowerLoss => {
                    computer.power_loss();
                    simulation.crash(host(number));
                }
                Fate::Wipe => computer.wipe(),
                // It has ended already; nothing runs on the host any more.
                Fate::Stop => {}
                Fate::Start => simulation.bounce(host(number)),
            }
        })
        .await;
    }

    /// Lets an operator do something on a running node, in its process, and returns the answer.
    ///
    /// # Errors
    /// When the process ends before it is done, or does not run.
    pub async fn order<T: Send + 'static>(
        &self,
        number: usize,
        order: impl for<'a> FnOnce(&'a Node) -> Answer<'a, T> + Send + 'static,
    ) -> Result<T> {
        let slot: Arc<Mutex<Option<T>>> = Arc::default();
        let held = Arc::clone(&slot);
        let carried: Order = Box::new(move |node| {
            let answer = order(node);
            Box::pin(async move {
                let answer = answer.await;
                *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            })
        });
        {
            let mut shared = self.shared();
            ensure!(shared.reports[number - 1].running, "the process of node {number} does not run");
            shared.orders.entry(number).or_default().push(carried);
        }
        loop {
            if let Some(answer) = slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Ok(answer);
            }
            // Whoever carries it out holds the slot too.
            if Arc::strong_count(&slot) == 1 {
                bail!("the process of node {number} ended before an order was carried out");
            }
            sleep(POLL).await;
        }
    }

    /// A computer that joins from now on takes the place of the node of this name.
    pub fn replaces(&self, number: usize, name: &str) {
        self.shared().replaces.insert(number, name.to_owned());
    }

    /// Names of the nodes whose place was to be taken.
    #[must_use]
    pub fn replaced(&self) -> Vec<String> {
        self.shared().replaces.values().cloned().collect()
    }

    /// Cuts or mends the network between a node and all others. The scenario's own connections stay.
    pub fn isolate(&self, number: usize, cut: bool) {
        self.trace.note(&format!("node {number}: {}", if cut { "isolated" } else { "connected" }));
        for other in (1..=self.nodes()).filter(|other| *other != number) {
            if cut {
                turmoil::partition(host(number), host(other));
            } else {
                turmoil::repair(host(number), host(other));
            }
        }
    }

    /// Waits until these nodes are ready.
    ///
    /// # Errors
    /// When it takes longer than `deadline`.
    pub async fn ready(&self, numbers: &[usize], deadline: Duration) -> Result<()> {
        let all = || numbers.iter().all(|number| self.report(*number).ready);
        self.until(deadline, "nodes that are ready", all).await
    }

    /// Waits until no extent is below its redundancy, as a node sees it.
    ///
    /// # Errors
    /// When it takes longer than `deadline`.
    pub async fn redundant(&self, number: usize, deadline: Duration) -> Result<()> {
        self.until(deadline, "full redundancy", || self.report(number).under_replicated == 0).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[tokio::test(start_paused = true)]
    async fn an_order_is_not_waited_for_once_the_process_has_ended() {
        let control = Control::new(vec![Computer::new(Seed(1), 1, 1 << 20)], 1, Trace::default(), Court::default());
        let order = || {
            let order = control.order(1, |_| Box::pin(async {}));
            tokio::time::timeout(Duration::from_mins(1), order)
        };
        assert!(order().await.unwrap().is_err(), "it does not run");
        control.shared().reports[0].running = true;
        let (ordered, ()) = tokio::join!(order(), async { control.ended(1, None) });
        assert!(ordered.unwrap().is_err(), "it ended before it looked for orders");
    }
}
