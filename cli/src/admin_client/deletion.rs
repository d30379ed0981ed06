//! What the node is asked about namespaces, garbage, jobs, history.

use std::path::Path;

use anyhow::Result;
use http::Method;
use node::admin::{
    BulkDeletionRequest, CollectedAnswer, DeletedTagsAnswer, DeletedTagsRequest, ExplainAnswer, ExplainRequest,
    GarbageAnswer, HistoryAnswer, HistoryRequest, JobAnswer, JobRequest, JobsAnswer, JobsRequest, NamespaceAnswer,
    NamespaceRequest, NamespacesAnswer, PageRequest, PolicyChangedAnswer, PreviewAnswer, RestoreRequest,
    RestoredAnswer, RetentionRequest, SetNamespaceRequest, TombstonesAnswer, TombstonesRequest, UsageAnswer,
    UsageRequest,
};

use super::{FAR_DEADLINE, call, call_for};

/// A page of the namespaces that say something.
pub(crate) async fn namespaces(data_dir: &Path, request: &PageRequest) -> Result<NamespacesAnswer> {
    call(data_dir, Method::POST, "/namespaces", request).await
}

/// Changes some fields of a namespace's policy.
pub(crate) async fn set_namespace(data_dir: &Path, request: &SetNamespaceRequest) -> Result<PolicyChangedAnswer> {
    call_for(FAR_DEADLINE, data_dir, Method::POST, "/namespace/set", request).await
}

/// Lets a namespace say nothing any more.
pub(crate) async fn remove_namespace(data_dir: &Path, request: &NamespaceRequest) -> Result<PolicyChangedAnswer> {
    call_for(FAR_DEADLINE, data_dir, Method::POST, "/namespace/remove", request).await
}

/// What a namespace says and holds.
pub(crate) async fn namespace(data_dir: &Path, request: &NamespaceRequest) -> Result<NamespaceAnswer> {
    call(data_dir, Method::POST, "/namespace/show", request).await
}

/// What decides for a repository or a tag.
pub(crate) async fn explain(data_dir: &Path, request: &ExplainRequest) -> Result<ExplainAnswer> {
    call(data_dir, Method::POST, "/namespace/explain", request).await
}

/// What waits to be collected.
pub(crate) async fn garbage(data_dir: &Path) -> Result<GarbageAnswer> {
    call(data_dir, Method::GET, "/gc", &()).await
}

/// Collects what is due, for a moment.
pub(crate) async fn collect_garbage(data_dir: &Path) -> Result<CollectedAnswer> {
    call(data_dir, Method::POST, "/gc/run", &()).await
}

/// A page of what is below a prefix.
pub(crate) async fn usage(data_dir: &Path, request: &UsageRequest) -> Result<UsageAnswer> {
    call(data_dir, Method::POST, "/usage", request).await
}

/// A page of what retention would do.
pub(crate) async fn preview_retention(data_dir: &Path, request: &RetentionRequest) -> Result<PreviewAnswer> {
    call(data_dir, Method::POST, "/retention/preview", request).await
}

/// Carries a namespace's retention out now.
pub(crate) async fn run_retention(data_dir: &Path, request: &RetentionRequest) -> Result<JobAnswer> {
    call(data_dir, Method::POST, "/retention/run", request).await
}

/// A page of what a deletion of many tags would do.
pub(crate) async fn preview_deletion(data_dir: &Path, request: &BulkDeletionRequest) -> Result<PreviewAnswer> {
    call(data_dir, Method::POST, "/delete/preview", request).await
}

/// Begins a deletion of many tags.
pub(crate) async fn delete(data_dir: &Path, request: &BulkDeletionRequest) -> Result<JobAnswer> {
    call(data_dir, Method::POST, "/delete", request).await
}

/// All jobs.
pub(crate) async fn jobs(data_dir: &Path, request: &JobsRequest) -> Result<JobsAnswer> {
    call(data_dir, Method::POST, "/jobs", request).await
}

/// One job.
pub(crate) async fn job(data_dir: &Path, request: &JobRequest) -> Result<JobAnswer> {
    call(data_dir, Method::POST, "/job/show", request).await
}

/// Ends a job before its time.
pub(crate) async fn cancel_job(data_dir: &Path, request: &JobRequest) -> Result<JobAnswer> {
    call(data_dir, Method::POST, "/job/cancel", request).await
}

/// What became of a tag.
pub(crate) async fn history(data_dir: &Path, request: &HistoryRequest) -> Result<HistoryAnswer> {
    call(data_dir, Method::POST, "/history", request).await
}

/// A page of deleted tags.
pub(crate) async fn deleted_tags(data_dir: &Path, request: &DeletedTagsRequest) -> Result<DeletedTagsAnswer> {
    call(data_dir, Method::POST, "/deleted-tags", request).await
}

/// A page of deleted manifests.
pub(crate) async fn tombstones(data_dir: &Path, request: &TombstonesRequest) -> Result<TombstonesAnswer> {
    call(data_dir, Method::POST, "/tombstones", request).await
}

/// Restores a tag or a manifest.
pub(crate) async fn restore(data_dir: &Path, request: &RestoreRequest) -> Result<RestoredAnswer> {
    call(data_dir, Method::POST, "/restore", request).await
}
