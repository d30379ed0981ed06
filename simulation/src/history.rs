//! What the clients asked and what they were answered: the evidence that the judges weigh.
//!
//! An operation is recorded when it is sent and again when its answer is there. One without an answer, or with an
//! answer that leaves it open (503, 504, a connection that broke), may take effect at any later time, or never.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Microseconds since the run began.
pub type Microseconds = u64;

/// A digest as it stands in URLs.
pub type DigestText = Arc<str>;

/// What an operation is about. Each subject is a register of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A tag: holds the digest of a manifest, or nothing.
    Tag {
        /// Repository.
        repository: Arc<str>,
        /// The tag.
        tag: Arc<str>,
    },
    /// Whether a manifest exists in a repository: holds its digest, or nothing.
    Manifest {
        /// Repository.
        repository: Arc<str>,
        /// The manifest's digest.
        digest: DigestText,
    },
    /// Whether a blob exists in a repository: holds its digest, or nothing.
    Blob {
        /// Repository.
        repository: Arc<str>,
        /// The blob's digest.
        digest: DigestText,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag { repository, tag } => write!(formatter, "{repository}:{tag}"),
            Self::Manifest { repository, digest } => write!(formatter, "{repository}@{digest}"),
            Self::Blob { repository, digest } => write!(formatter, "{repository} blob {digest}"),
        }
    }
}

/// What an operation does to its subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Sets it to this digest: a push, a mount, a tag that is moved.
    Write(DigestText),
    /// Empties it.
    Delete,
    /// Empties it if it holds this digest: what deleting a manifest does to the tags that point to it.
    DeleteIf(DigestText),
    /// Asks what it holds, linearizably.
    Read,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A write or a delete that was acknowledged.
    Done,
    /// A read that found nothing, or a delete of something that is not there.
    Absent,
    /// A read that found this digest.
    Present(DigestText),
    /// Refused, certainly without an effect.
    Refused,
    /// Nobody knows: it may take effect at any time from its beginning on, or never.
    Unknown,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Number of the client.
    pub client: usize,
    /// Number of the node that was asked, from 1.
    pub node: usize,
    /// What it is about.
    pub subject: Subject,
    /// What it does.
    pub action: Action,
    /// When the request was sent.
    pub invoked_at: Microseconds,
    /// When the answer was there; `None` while it is not.
    pub returned_at: Option<Microseconds>,
    /// Place of the invocation among all invocations and returns. Virtual time moves in ticks; this tells apart what
    /// happened within one.
    pub invoked_order: u64,
    /// Place of the return among all invocations and returns.
    pub returned_order: Option<u64>,
    /// What came of it: [`Outcome::Unknown`] until it is known.
    pub outcome: Outcome,
}

/// Names an operation of a [`History`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationId(usize);

/// A blob or manifest whose push was acknowledged, with its bytes.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// Repository.
    pub repository: Arc<str>,
    /// Digest of the bytes.
    pub digest: DigestText,
    /// The bytes.
    pub content: Bytes,
    /// Whether it is a manifest.
    pub manifest: bool,
    /// When the acknowledgement was there.
    pub at: Microseconds,
}

#[derive(Debug, Default)]
struct Records {
    operations: Vec<Operation>,
    acknowledged: Vec<Acknowledged>,
    /// Invocations and returns so far.
    order: u64,
}

impl Records {
    const fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }
}

/// The history of a run. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct History {
    records: Arc<Mutex<Records>>,
}

impl History {
    /// A history of these operations, in the order in which they were sent, and of these pushes.
    #[must_use]
    pub fn of(operations: Vec<Operation>, acknowledged: Vec<Acknowledged>) -> Self {
        let orders = |operation: &Operation| operation.returned_order.max(Some(operation.invoked_order));
        let order = operations.iter().filter_map(orders).max().unwrap_or_default();
        Self { records: Arc::new(Mutex::new(Records { operations, acknowledged, order })) }
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that an operation was sent.
    #[must_use]
    pub fn invoke(
        &self,
        client: usize,
        node: usize,
        subject: Subject,
        action: Action,
        now: Microseconds,
    ) -> OperationId {
        let mut records = self.records();
        let operation = Operation {
            client,
            node,
            subject,
            action,
            invoked_at: now,
            returned_at: None,
            invoked_order: records.next_order(),
            returned_order: None,
            outcome: Outcome::Unknown,
        };
        records.operations.push(operation);
        OperationId(records.operations.len() - 1)
    }

    /// Records what came of an operation.
    pub fn complete(&self, operation: OperationId, outcome: Outcome, now: Microseconds) {
        let mut records = self.records();
        let order = records.next_order();
        let operation = &mut records.operations[operation.0];
        operation.returned_at = Some(now);
        operation.returned_order = Some(order);
        operation.outcome = outcome;
    }

    /// Records that a push was acknowledged.
    pub fn acknowledge(&self, push: Acknowledged) {
        self.records().acknowledged.push(push);
    }

    /// All operations, in the order in which they were sent.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.records().operations.clone()
    }

    /// All pushes that were acknowledged, in order.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.records().acknowledged.clone()
    }

    /// Number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records().operations.len()
    }

    /// Whether nothing was asked yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
