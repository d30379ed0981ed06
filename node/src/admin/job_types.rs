//! What the local socket says and takes about deletion jobs and their previews, as JSON.

use raft::catalog::{RepositoryName, Tag};
use raft::policy::Pattern;
use serde::{Deserialize, Serialize};

/// Names tags to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkDeletionRequest {
    /// The repository.
    pub repository: RepositoryName,
    /// Its tags that are meant.
    pub tags: Pattern,
    /// Only those that were set longer ago than this.
    pub older_than_seconds: Option<u64>,
    /// For a preview: where to go on, as an answer has said.
    pub after: Option<String>,
}

/// Asks for a page of what retention would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRequest {
    /// The namespace's prefix, empty for the root.
    pub prefix: String,
    /// For a preview: where to go on, as an answer has said.
    pub after: Option<String>,
}

/// A page of what would be deleted and what would be kept. It may be empty before the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewAnswer {
    /// Version of this form.
    pub version: u32,
    /// Tags by repository and name.
    pub tags: Vec<PreviewedTag>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}

/// What would become of a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewedTag {
    /// Its repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// What it points to.
    pub digest: String,
    /// When it was set, milliseconds since the Unix epoch.
    pub pushed_milliseconds: u64,
    /// When its manifest was last pulled, milliseconds since the Unix epoch; none if it never was.
    pub pulled_milliseconds: Option<u64>,
    /// Whether it would be deleted.
    pub delete: bool,
    /// Why, for people.
    pub why: String,
}

/// Names a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRequest {
    /// Its number.
    pub job: u64,
    /// Name of the region whose catalog has it; that of the node that is asked if it is left out.
    #[serde(default)]
    pub region: Option<String>,
}

/// Asks for the jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobsRequest {
    /// Name of the region whose catalog is meant; that of the node that is asked if it is left out.
    pub region: Option<String>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAnswer {
    /// Version of this form.
    pub version: u32,
    /// The job.
    pub job: JobEntry,
}

/// All jobs that run, and the last that have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobsAnswer {
    /// Version of this form.
    pub version: u32,
    /// The jobs, the newest first.
    pub jobs: Vec<JobEntry>,
}

/// How a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEntry {
    /// Its number.
    pub id: u64,
    /// `retention` or `tags`.
    pub kind: String,
    /// Namespace or repository that it goes through, empty for the root.
    pub scope: String,
    /// Which tags, if it is about tags.
    pub tags: Option<String>,
    /// Only tags that were set longer ago than this.
    pub older_than_seconds: Option<u64>,
    /// `running`, `done` or `cancelled`.
    pub state: String,
    /// Tags that it has looked at.
    pub examined: u64,
    /// Tags that it has deleted.
    pub deleted: u64,
    /// Tags that it has kept.
    pub kept: u64,
    /// Tags that it would have deleted, had the policy not forbidden it: immutable ones.
    pub protected: u64,
    /// Tags that it has not looked at yet, about; none once it has ended.
    pub left: Option<u64>,
    /// Who started it; none if it started by itself.
    pub principal: Option<String>,
    /// When it started, milliseconds since the Unix epoch.
    pub started_milliseconds: u64,
    /// When it ended, milliseconds since the Unix epoch.
    pub ended_milliseconds: Option<u64>,
    /// Name of the region whose catalog has it, where there are several.
    #[serde(default)]
    pub region: Option<String>,
}
