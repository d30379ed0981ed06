//! Deletion jobs: many tags deleted in the background, step by step, and the times at which retention runs.
//!
//! A job remembers how far it has come; whoever leads goes on from there. What a step deletes is decided outside, the
//! catalog checks each tag once more.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::{Digest, RepositoryName, Tag};
use crate::policy::{self, Pattern};
use crate::time::Timestamp;

/// A job, numbered from 1 in each catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Where a job deletes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobScope {
    /// In every repository below a prefix; the root's is empty.
    Namespace(String),
    /// In one repository.
    Repository(RepositoryName),
}

impl JobScope {
    /// Whether a repository is in it.
    #[must_use]
    pub fn covers(&self, repository: &RepositoryName) -> bool {
        match self {
            Self::Namespace(prefix) => policy::covers(prefix, repository),
            Self::Repository(only) => only == repository,
        }
    }
}

/// What a job deletes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobKind {
    /// What retention does not keep.
    Retention,
    /// Tags of a pattern.
    Tags {
        /// The pattern.
        pattern: Pattern,
        /// Only those that were set longer ago than this.
        older_than_seconds: Option<u64>,
    },
}

/// How far a job has come: the last tag that was decided.
pub type JobCursor = (RepositoryName, Tag);

/// Whether a job goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// It goes on.
    Running,
    /// It has seen everything.
    Done,
    /// An operator ended it.
    Cancelled,
}

/// A job. Key: its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Where it deletes.
    pub scope: JobScope,
    /// What it deletes.
    pub kind: JobKind,
    /// Whether it goes on.
    pub state: JobState,
    /// How far it has come; `None` before the first step, and again once it is done.
    pub cursor: Option<JobCursor>,
    /// Tags that it has seen: those deleted, kept and protected together.
    pub examined: u64,
    /// Tags that it deleted.
    pub deleted: u64,
    /// Tags that it let be; among them those that were moved or deleted by others just before it.
    pub kept: u64,
    /// Tags that it would have deleted, had the policy not forbidden it: immutable ones, or deletes are off.
    pub protected: u64,
    /// Who began it; `None` if nobody knows.
    pub principal: Option<String>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// Counts of the jobs. One record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTotals {
    /// The number of the last job that was begun.
    pub last: u64,
    /// Jobs that run.
    pub running: u64,
    /// Ended jobs that are kept for reading.
    pub ended: u64,
}

/// A tag to delete, if it still points to this manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagToDelete {
    /// Repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// Manifest that it pointed to when this was decided.
    pub digest: Digest,
}

/// Begins to delete tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartJob {
    /// Where.
    pub scope: JobScope,
    /// Which.
    pub kind: JobKind,
    /// Who asks; `None` if nobody knows.
    pub principal: Option<String>,
}

/// One step of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStep {
    /// The job.
    pub job: JobId,
    /// How far it had come when the step was made up; if it is elsewhere, nothing happens.
    pub expected_cursor: Option<JobCursor>,
    /// How far it has come then, behind `expected_cursor`; `None` when it is done.
    pub next_cursor: Option<JobCursor>,
    /// Tags that the step has seen.
    pub examined: u64,
    /// Those of them that stay.
    pub kept: u64,
    /// The others, at most [`TAGS_PER_STEP`](super::TAGS_PER_STEP).
    pub delete: Vec<TagToDelete>,
}

/// When retention runs at a prefix that sets rules for it. Key: prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRunRecord {
    /// Seconds between two runs.
    pub every_seconds: u64,
    /// When the next run is due.
    pub due: Timestamp,
    /// When the last one began.
    pub last: Option<Timestamp>,
}

crate::versioned! {
    JobId = 1, "job id";
    JobRecord = 1, "job record";
    JobTotals = 1, "job totals";
    RetentionRunRecord = 1, "retention run record";
}
