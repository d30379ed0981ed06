//! A line to the nodes: sends what is asked, records it in the history, and holds the answer against the rules.
//!
//! There are no retries here: each request is an operation of its own.

use super::ask::Ask;
use super::check;
use super::http::{Connection, Failure, Manner, Request};
use super::record::{Reply, is_acknowledged, operations, outcome};
use super::work::Workload;
use crate::history::{Acknowledged, OperationId, Outcome};

/// A client's line. It keeps the last connection that was left in order, if it may.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) work: Workload,
    /// Number of the client.
    number: usize,
    /// Whether connections are kept for the next request to the same node.
    keeps: bool,
    connection: Option<(usize, Connection)>,
    unknown: u64,
}

impl Line {
    /// The line of a client.
    pub(crate) fn new(work: Workload, number: usize, keeps: bool) -> Self {
        Self { work, number, keeps, connection: None, unknown: 0 }
    }

    /// Asks a node, numbered from 1. The answer is recorded and was held against the rules.
    pub(crate) async fn ask(&mut self, node: usize, ask: &Ask, manner: Manner) -> Reply {
        let invoked_at = self.work.surroundings.now();
        let begun: Vec<_> = operations(ask)
            .into_iter()
            .map(|(subject, action)| {
                let history = &self.work.history;
                let id: OperationId = history.invoke(self.number, node, subject.clone(), action.clone(), invoked_at);
                (id, subject, action)
            })
            .collect();
        let reply = self.exchange(node, &ask.request, manner).await;
        let now = self.work.surroundings.now();
        if let Ok(answer) = &reply
            && is_acknowledged(ask, answer)
        {
            self.acknowledge(ask, now);
        }
        for (id, subject, action) in begun {
            let outcome = outcome(ask, &subject, &action, &reply);
            self.unknown += u64::from(outcome == Outcome::Unknown);
            self.work.history.complete(id, outcome, now);
        }
        self.work.tally.request(&reply);
        for (judge, text) in check::breaches(ask, &reply, &|digest| self.work.manifest(digest)) {
            self.accuse(judge, node, ask, &text);
        }
        reply
    }

    /// Accuses a node of its answer to a request.
    pub(super) fn accuse(&self, judge: &'static str, node: usize, ask: &Ask, text: &str) {
        let Request { method, path, .. } = &ask.request;
        let now = self.work.surroundings.now();
        self.work.court.accuse(
            judge,
            format!("client {}: {method} {path} through node {node}: {text} (at {now} us)", self.number),
        );
    }

    fn acknowledge(&self, ask: &Ask, at: u64) {
        use super::ask::Meaning;
        let (digest, content, manifest) = match &ask.meaning {
            Meaning::PushManifest { manifest, .. } => (&manifest.digest, &manifest.content, true),
            Meaning::Publish { blob } | Meaning::Mount { blob } => (&blob.digest, &blob.content, false),
            _ => return,
        };
        self.work.history.acknowledge(Acknowledged {
            repository: ask.repository.clone(),
            digest: digest.clone(),
            content: content.clone(),
            manifest,
            at,
        });
    }

    async fn exchange(&mut self, node: usize, request: &Request, manner: Manner) -> Reply {
        let mut connection = match self.connection.take() {
            Some((to, connection)) if to == node && connection.is_usable() => connection,
            _ => {
                let address = self.work.surroundings.nodes.get(node - 1).cloned().unwrap_or_default();
                Connection::open(&*self.work.surroundings.network, &address).await?
            }
        };
        let reply: Result<_, Failure> = connection.exchange(request, manner).await;
        if self.keeps && reply.is_ok() {
            self.connection = Some((node, connection));
        }
        reply
    }

    /// Operations so far whose outcome is not known.
    pub(super) const fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Hangs up.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }
}
