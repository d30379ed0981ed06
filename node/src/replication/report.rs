//! How far copies have come, as operators and other rooms are told.
//!
//! "In sync" is a verified fact, not a guess: the source was asked a moment ago, its feed was read to the end, and
//! nothing is owed. Where that is not so, the lag counts from the moment up to which everything is here.

use raft::catalog::{DebtItem, DebtRecord, ReplicationRecord, ReplicationStage, RepositoryName};
use raft::id::RegionId;
use raft::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Debts that could not be paid, named in a report.
pub(super) const ERRORS_TOLD: usize = 10;
/// A source that was heard so long ago is not known to be where it was.
pub(super) const HEARD_SECONDS_MAX: u64 = 10;

/// What is being done to learn what is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing yet: the source has not answered, or this region's catalog has not taken up yet that it has a copy.
    #[default]
    Waiting,
    /// All that the source has is held against what is here.
    Surveying,
    /// The source's events are followed.
    Following,
}

impl From<&ReplicationStage> for Stage {
    fn from(stage: &ReplicationStage) -> Self {
        match stage {
            ReplicationStage::Surveying { .. } | ReplicationStage::Void => Self::Surveying,
            ReplicationStage::Following => Self::Following,
        }
    }
}

/// A debt that could not be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebtError {
    /// Repository.
    pub repository: String,
    /// What is owed: `tag v1`, `manifest sha256:…`, `deletion of tag v1`.
    pub item: String,
    /// Why it could not be paid the last time.
    pub error: String,
    /// How often it could not.
    pub failures: u32,
}

impl DebtError {
    /// What is told of a debt; `None` if it never failed.
    #[must_use]
    pub fn of(debt: &DebtRecord) -> Option<Self> {
        let error = debt.error.clone().filter(|_| debt.failures > 0)?;
        let repository = debt.repository.as_str().to_owned();
        Some(Self { repository, item: named(&debt.item), error, failures: debt.failures })
    }
}

/// What is owed, in words.
#[must_use]
fn named(item: &DebtItem) -> String {
    match item {
        DebtItem::Tag { tag, .. } => format!("tag {tag}"),
        DebtItem::Manifest { digest } => format!("manifest {digest}"),
        DebtItem::Blob { digest } => format!("blob {digest}"),
        DebtItem::TagGone { tag } => format!("deletion of tag {tag}"),
        DebtItem::ManifestGone { digest } => format!("deletion of manifest {digest}"),
    }
}

/// How far the copy of one scope has come: a prefix of which this region has a copy, without the longer prefixes that say
/// something themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScopeReport {
    /// Region that is copied from.
    pub source: RegionId,
    /// Region that has the copy.
    pub region: RegionId,
    /// The prefix, empty for the root.
    pub prefix: String,
    /// What is being done.
    pub stage: Stage,
    /// Repository that the survey compared last.
    pub surveyed: Option<RepositoryName>,
    /// Whether the copy is made exactly what the source is, deletions included: the namespace moves here.
    pub exact: bool,
    /// Whether everything that the source has in this scope is here and verified, as of its last answer, which is not
    /// older than ten seconds.
    pub in_sync: bool,
    /// Whether the source has answered of late.
    pub source_answers: bool,
    /// Events of the source that have not been taken in yet, those of other namespaces included; `None` while it does
    /// not answer.
    pub behind_events: Option<u64>,
    /// What is owed.
    pub debts: u64,
    /// Bytes that are known to be still missing of what is being fetched now.
    pub debt_bytes: u64,
    /// Debts that could not be paid at least once.
    pub failing: u64,
    /// The first of them.
    pub errors: Vec<DebtError>,
    /// Why nothing can be asked or written, if so.
    pub trouble: Option<String>,
    /// The source's time up to which everything was heard, milliseconds since the Unix epoch; `None` before the first
    /// answer.
    pub heard_milliseconds: Option<u64>,
    /// The source's time up to which everything is here and verified, milliseconds since the Unix epoch; `None` if it
    /// never was.
    pub synced_milliseconds: Option<u64>,
    /// Seconds by which the copy is behind: none while it is in sync; `None` if it never was complete.
    pub lag_seconds: Option<u64>,
    /// Debts that were ever paid.
    pub arrived_items: u64,
    /// Bytes that came from the source for them.
    pub arrived_bytes: u64,
    /// Bytes that came from the source in each second of late.
    pub bytes_per_second: f64,
}

/// What the node that copies knows besides the catalog's record.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observed {
    /// Seconds since the source's last answer.
    pub(crate) answered_seconds: Option<u64>,
    /// Events that were not taken in yet at its last answer.
    pub(crate) behind_events: Option<u64>,
    /// Why nothing goes on.
    pub(crate) trouble: Option<String>,
    /// Bytes that are known to be still missing of what is being fetched.
    pub(crate) debt_bytes: u64,
    /// Bytes in each second of late.
    pub(crate) bytes_per_second: f64,
    /// Whether the record is of the scope that is wanted now.
    pub(crate) is_wanted: bool,
}

impl ScopeReport {
    /// The report of a scope. Without a record nothing was heard yet.
    pub(crate) fn new(
        (source, region, prefix): (RegionId, RegionId, &str),
        record: Option<&ReplicationRecord>,
        errors: Vec<DebtError>,
        observed: Observed,
        now: Timestamp,
    ) -> Self {
        let source_answers = observed.answered_seconds.is_some_and(|seconds| seconds < HEARD_SECONDS_MAX);
        let behind_events = observed.behind_events.filter(|_| source_answers);
        let follows = record.is_some_and(|record| record.stage == ReplicationStage::Following && record.debts == 0);
        let in_sync = follows && observed.is_wanted && behind_events == Some(0);
        let synced = record.and_then(|record| record.synced);
        let behind = synced.map(|synced| now.0.saturating_sub(synced.0).div_ceil(1000));
        let surveyed = record.and_then(|record| match &record.stage {
            ReplicationStage::Surveying { after } => after.clone(),
            ReplicationStage::Following | ReplicationStage::Void => None,
        });
        Self {
            source,
            region,
            prefix: prefix.to_owned(),
            stage: record.map_or(Stage::Waiting, |record| Stage::from(&record.stage)),
            surveyed,
            exact: record.is_some_and(|record| record.scope.exact),
            in_sync,
            source_answers,
            behind_events,
            debts: record.map_or(0, |record| record.debts),
            debt_bytes: observed.debt_bytes,
            failing: record.map_or(0, |record| record.failing),
            errors,
            trouble: observed.trouble,
            heard_milliseconds: record.map(|record| record.heard.0).filter(|heard| *heard > 0),
            synced_milliseconds: synced.map(|synced| synced.0),
            lag_seconds: if in_sync { Some(0) } else { behind },
            arrived_items: record.map_or(0, |record| record.arrived_items),
            arrived_bytes: record.map_or(0, |record| record.arrived_bytes),
            bytes_per_second: observed.bytes_per_second,
        }
    }
}

/// All scopes that one region copies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RegionReport {
    /// By source and prefix.
    pub scopes: Vec<ScopeReport>,
}

/// Asks a region with a copy how far that has come, as of now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaughtUpQuestion {
    /// Prefix of the scope.
    pub prefix: String,
    /// Region that is copied from.
    pub source: RegionId,
    /// Version of the directory's policies that must be in force, at the source and here.
    pub policy_version: u64,
}

/// How far the copy has come, as of a moment after the question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaughtUp {
    /// Whether all that the source had when it was asked is here and verified: the version that was asked for is in force
    /// in both catalogs, the feed was read to its end, and nothing is owed.
    pub in_sync: bool,
    /// Whether the copy is what the source is, deletions included.
    pub exact: bool,
    /// What is being done.
    pub stage: Stage,
    /// Events that are not taken in yet, those of other namespaces included.
    pub behind_events: u64,
    /// What is owed.
    pub debts: u64,
    /// Debts that could not be paid at least once.
    pub failing: u64,
    /// The first of them.
    pub errors: Vec<DebtError>,
    /// The source's time up to which everything was heard, milliseconds since the Unix epoch.
    pub heard_milliseconds: Option<u64>,
    /// The source's time up to which everything is here and verified, milliseconds since the Unix epoch.
    pub synced_milliseconds: Option<u64>,
    /// Debts that were ever paid, and the bytes that came for them: how a survey of much makes progress.
    pub arrived_items: u64,
    /// Bytes that came from the source.
    pub arrived_bytes: u64,
    /// Why it is not in sync, in a sentence for people; `None` when it is.
    pub waits_for: Option<String>,
}
