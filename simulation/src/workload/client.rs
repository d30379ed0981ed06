//! A client with habits of its own: which node it asks, how long it waits, how often it tries again, how careless it is.
//!
//! Retries follow what ordinary clients do: after a connection that failed or broke, after 408, 429 and 5xx, they try
//! again, later each time and not before `Retry-After`, a few times.

use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tokio::time::sleep;

use super::ask::{Ask, Meaning};
use super::check::PROTOCOL;
use super::http::{HangUp, Manner};
use super::line::Line;
use super::record::Reply;
use super::work::Workload;

/// First pause before a request is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest pause, whatever `Retry-After` says: a run is short.
const PAUSE_MAX: Duration = Duration::from_secs(4);

/// Which node a client asks next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopRule {
    /// Any.
    Random,
    /// One after the other.
    RoundRobin,
    /// The same one until it fails.
    Sticky,
}

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) line: Line,
    pub(super) random: StdRng,
    number: usize,
    node: usize,
    hops: HopRule,
    deadline: Duration,
    tries_max: u32,
    marks: u64,
}

/// The tries that are left for one request.
#[derive(Debug)]
pub(super) struct Tries {
    left: u32,
    pause: Duration,
}

impl Client {
    /// The client of this number, with what the seed decides about it.
    pub(super) fn new(work: Workload, number: usize) -> Self {
        let mut random = work.seed.stream(&format!("client {number}"));
        let nodes = work.serving().len().max(1);
        let hops = *[HopRule::Random, HopRule::RoundRobin, HopRule::Sticky, HopRule::Sticky]
            .choose(&mut random)
            .unwrap_or(&HopRule::Sticky);
        let deadline = Duration::from_secs(random.random_range(9..=30));
        let tries_max = work.configuration.tries.draw(&mut random);
        let node = work.serving().get(number % nodes).copied().unwrap_or(1);
        let line = Line::new(work, number, random.random_bool(0.6));
        Self { line, random, number, node, hops, deadline, tries_max, marks: 0 }
    }

    /// The work that it takes part in.
    pub(super) const fn work(&self) -> &Workload {
        &self.line.work
    }

    /// A text that no client of the run uses twice.
    pub(super) fn mark(&mut self) -> String {
        self.marks += 1;
        format!("client {} number {}", self.number, self.marks)
    }

    /// Whether something happens that happens in so many percent of the cases.
    pub(super) fn chance(&mut self, percent: u8) -> bool {
        self.random.random_range(0..100) < percent
    }

    /// One of several.
    pub(super) fn any<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        items.choose(&mut self.random).cloned()
    }

    /// A node other than by the client's own rule.
    pub(super) fn any_node(&mut self) -> usize {
        let nodes = self.work().serving();
        nodes.choose(&mut self.random).copied().unwrap_or(self.node)
    }

    /// The node that it asks now, by its rule.
    pub(super) fn next_node(&mut self) -> usize {
        match self.hops {
            HopRule::Random => self.node = self.any_node(),
            HopRule::RoundRobin => self.node = self.following(),
            HopRule::Sticky => {}
        }
        self.node
    }

    /// The node after the one that was asked last.
    fn following(&self) -> usize {
        let nodes = self.work().serving();
        nodes.iter().find(|node| **node > self.node).or(nodes.first()).copied().unwrap_or(self.node)
    }

    /// Asks the node that is next, without retries.
    pub(super) async fn ask(&mut self, ask: &Ask) -> Reply {
        let node = self.next_node();
        self.ask_node(node, ask).await
    }

    /// Asks a node, without retries. Sometimes the client hangs up in the middle, sometimes it asks twice.
    pub(super) async fn ask_node(&mut self, node: usize, ask: &Ask) -> Reply {
        let manner = self.manner(ask);
        let reply = self.line.ask(node, ask, manner).await;
        if let Ok(answer) = &reply
            && (200..300).contains(&answer.status)
            && ask.is_repeatable()
            && self.chance(self.work().configuration.repeat_percent)
        {
            self.repeat(ask).await;
        }
        reply
    }

    /// Sends a request again that was answered. What a second answer can say is recorded and held against the rules
    /// like the first one.
    async fn repeat(&mut self, ask: &Ask) {
        let node = self.any_node();
        let manner = Manner { hang_up: None, ..self.manner(ask) };
        let reply = self.line.ask(node, ask, manner).await;
        if let Ok(answer) = &reply
            && answer.status == 202
            && let Meaning::Append { at: Some(_), length: 1.. } = ask.meaning
        {
            self.line.accuse(PROTOCOL, node, ask, "the same bytes of an upload were taken twice");
        }
    }

    /// Asks until there is an answer that is not worth another try.
    pub(super) async fn insist(&mut self, ask: &Ask) -> Reply {
        let mut tries = self.tries();
        loop {
            let reply = self.ask(ask).await;
            if !self.again(&mut tries, &reply).await {
                return reply;
            }
        }
    }

    /// The tries that this client gives a request.
    pub(super) const fn tries(&self) -> Tries {
        Tries { left: self.tries_max, pause: PAUSE }
    }

    /// Whether to try again: waits then, and goes to another node if the rule says so.
    pub(super) async fn again(&mut self, tries: &mut Tries, reply: &Reply) -> bool {
        if !is_worth_another_try(reply) {
            return false;
        }
        if self.hops == HopRule::Sticky {
            self.node = self.following();
        }
        if self.work().is_stopped() {
            return false;
        }
        if tries.left == 0 {
            self.work().tally.given_up();
            return false;
        }
        tries.left -= 1;
        let pause = pause_before_retry(tries.pause, reply).mul_f64(self.random.random_range(0.75..1.25));
        tries.pause = (tries.pause * 2).min(PAUSE_MAX);
        self.work().tally.retried();
        sleep(pause).await;
        true
    }

    /// How the next exchange goes.
    fn manner(&mut self, ask: &Ask) -> Manner {
        let percent = self.work().configuration.disconnect_percent;
        let mut hang_up = None;
        if self.chance(percent) {
            let length = ask.request.body.len();
            if length > 0 {
                // Up to the end: then the whole request is on its way, and the client does not wait for the answer.
                hang_up = Some(HangUp::Sending(self.random.random_range(0..=length)));
            } else if let Meaning::GetBlob { blob, .. } = &ask.meaning {
                hang_up = Some(HangUp::Receiving(self.random.random_range(0..=blob.content.len())));
            }
        }
        let linger = Duration::from_millis(self.random.random_range(0..=40));
        Manner { deadline: self.deadline, hang_up, linger }
    }
}

/// Whether an ordinary client tries again.
pub(super) fn is_worth_another_try(reply: &Reply) -> bool {
    reply.as_ref().map_or(true, |answer| matches!(answer.status, 408 | 429 | 500..))
}

/// How long it waits before that.
fn pause_before_retry(pause: Duration, reply: &Reply) -> Duration {
    let wished = reply.as_ref().ok().and_then(|answer| answer.header("retry-after").parse().ok());
    wished.map_or(pause, |seconds| pause.max(Duration::from_secs(seconds))).min(PAUSE_MAX)
}
