//! What is copied from another region: how far it was heard, and what is owed.
//!
//! A *scope* is a prefix of which this region has a copy; its *source* is the home. What the source has and this region
//! has not yet is a *debt*, and where deletions are followed what this region has and the source has no more. Debts are
//! written down in the same command that moves the cursor, so that nothing that was heard is ever forgotten; they are
//! paid by the commands that clients' pushes use, and struck off afterwards. What a debt costs and in which order debts are
//! paid is not decided here.

use serde::{Deserialize, Serialize};

use super::name::{Digest, RepositoryName, Tag};
use crate::id::RegionId;
use crate::policy::Pattern;
use crate::time::Timestamp;

/// What of a namespace is copied, as it was asked for when the last survey began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationScope {
    /// Tags that are copied, with what they need. Empty: everything, untagged manifests too.
    pub tags: Vec<Pattern>,
    /// Whether deletions are followed.
    pub deletes: bool,
    /// Whether the copy becomes what the source is, deletions included: the namespace moves here.
    pub exact: bool,
    /// Fingerprint of the longer prefixes that do not belong to it. With others something else is covered, of which
    /// nothing may be known yet.
    pub bounds: u64,
}

/// What is done to learn what is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicationStage {
    /// All that the source has is held against what is here.
    Surveying {
        /// Repository that was compared last; `None` before the first.
        after: Option<RepositoryName>,
    },
    /// The source's events are followed.
    Following,
    /// Nothing that was known holds any more, no debt either: a new round begins, or it is forgotten.
    Void,
}

/// Where a replication stands: what moves it on names the position that it builds on (compare-and-set).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationPosition {
    /// What is copied.
    pub scope: ReplicationScope,
    /// What is done to learn what is owed.
    pub stage: ReplicationStage,
    /// The next event of the source's feed to take in.
    pub cursor: u64,
    /// The round that this belongs to. Zero begins a new one, by a survey of everything; the catalog gives it its number.
    pub round: u64,
}

/// A replication. Key: source, prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationRecord {
    /// What is copied.
    pub scope: ReplicationScope,
    /// What is done to learn what is owed.
    pub stage: ReplicationStage,
    /// The next event of the source's feed to take in.
    pub cursor: u64,
    /// The source's time up to which everything was taken in, as a debt if it was not here. Means nothing during the
    /// first survey.
    pub heard: Timestamp,
    /// The source's time up to which everything in the scope is here and verified; `None` if it never was.
    pub synced: Option<Timestamp>,
    /// The round: raised whenever a survey is begun anew, and whenever what was known holds no more. Never used before,
    /// by whichever replication. Debts with smaller numbers are of former rounds: they are not paid, but forgotten.
    pub round: u64,
    /// Greater than the numbers of all debts.
    pub next_debt: u64,
    /// Debts.
    pub debts: u64,
    /// Debts among them that could not be paid at least once.
    pub failing: u64,
    /// Debts that were ever paid.
    pub arrived_items: u64,
    /// Bytes that they brought.
    pub arrived_bytes: u64,
}

impl ReplicationRecord {
    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> ReplicationPosition {
        ReplicationPosition {
            scope: self.scope.clone(),
            stage: self.stage.clone(),
            cursor: self.cursor,
            round: self.round,
        }
    }
}

/// What is owed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DebtItem {
    /// A tag that points to a manifest.
    Tag {
        /// The tag.
        tag: Tag,
        /// Manifest that it pointed to.
        digest: Digest,
    },
    /// A manifest.
    Manifest {
        /// The manifest.
        digest: Digest,
    },
    /// A tag is there no more.
    TagGone {
        /// The tag.
        tag: Tag,
    },
    /// A manifest is there no more.
    ManifestGone {
        /// The manifest.
        digest: Digest,
    },
    /// A blob that no manifest used yet: a client was told that it is there. Only where a namespace moves.
    Blob {
        /// The blob.
        digest: Digest,
    },
}

/// A debt. Key: source, prefix, number. Worked off in the order of numbers, none of which is ever given out again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebtRecord {
    /// Repository.
    pub repository: RepositoryName,
    /// What is owed.
    pub item: DebtItem,
    /// When it came to be, in the source's time.
    pub time: Timestamp,
    /// Length of the manifest or blob; zero where that is not known.
    pub length_bytes: u64,
    /// How often it could not be paid.
    pub failures: u32,
    /// Why it could not be paid the last time.
    pub error: Option<String>,
    /// Not to be tried again before this time.
    pub not_before: Timestamp,
}

/// A debt that is taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDebt {
    /// Repository, covered by the prefix.
    pub repository: RepositoryName,
    /// What is owed.
    pub item: DebtItem,
    /// When it came to be, in the source's time.
    pub time: Timestamp,
    /// Length of the manifest or blob; zero where that is not known.
    pub length_bytes: u64,
}

/// Takes in what a source has said. Stale when the replication stands elsewhere, or this region is no replica of the
/// prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvanceReplication {
    /// Region that is copied from.
    pub source: RegionId,
    /// Prefix that is copied.
    pub prefix: String,
    /// Position that this builds on; `None` when there is none yet.
    pub expected: Option<ReplicationPosition>,
    /// Where the replication stands afterwards. Another scope begins a new round.
    pub next: ReplicationPosition,
    /// Version of the policies by which it is copied. A round begins only while that one is in force, and whole.
    pub policy_version: u64,
    /// The source's time up to which everything is taken in then: its clock when the cursor reaches the end of its feed,
    /// the time of the last event that was taken in otherwise; that of the first answer throughout a survey.
    pub heard: Timestamp,
    /// What is owed, in order. At most [`DEBTS_PER_COMMAND`](super::DEBTS_PER_COMMAND), and never more than
    /// [`DEBTS_MAX`](super::DEBTS_MAX) with those that are there.
    pub debts: Vec<NewDebt>,
}

/// The debts for which a copy is written: without one of them nothing is. So what was on its way while somebody else paid
/// them, or while all was compared anew, comes to nothing.
///
/// Those among them that the command pays are struck off with it; a manifest that comes because an index lists it names
/// the index's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Region that is copied from.
    pub source: RegionId,
    /// Prefix that is copied.
    pub prefix: String,
    /// The debts, at least one and at most [`DEBTS_PER_COMMAND`](super::DEBTS_PER_COMMAND).
    pub numbers: Vec<u64>,
    /// Bytes that came for those that are paid.
    pub bytes: u64,
}

/// A debt that was paid, or that nobody is owed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledDebt {
    /// Its number.
    pub number: u64,
    /// Bytes that it brought.
    pub bytes: u64,
}

/// A debt that could not be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedDebt {
    /// Its number.
    pub number: u64,
    /// Why, at most [`DEBT_ERROR_BYTES_MAX`](super::DEBT_ERROR_BYTES_MAX).
    pub error: String,
    /// Seconds until it is tried again.
    pub retry_seconds: u64,
}

/// Says what became of debts. Numbers that are not there are passed over; the answer counts those that were. Stale in
/// another round, and where this region is no replica of the prefix: what is owed is a statement then of what did not come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleDebts {
    /// Region that is copied from.
    pub source: RegionId,
    /// Prefix that is copied.
    pub prefix: String,
    /// The round of which it speaks.
    pub round: u64,
    /// Debts that go.
    pub settled: Vec<SettledDebt>,
    /// Debts that stay. Together at most [`DEBTS_PER_COMMAND`](super::DEBTS_PER_COMMAND).
    pub failed: Vec<FailedDebt>,
}

crate::versioned! {
    ReplicationRecord = 1, "replication record";
    DebtRecord = 1, "debt record";
}
