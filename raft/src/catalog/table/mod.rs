//! The catalog's schema: one file per persisted key kind. Listing this folder reads like the schema.
//!
//! Kind bytes are unique and never given to another kind. Four columns group the kinds by how they are used: names that
//! clients ask for, blobs and what they consist of, content that may be large, and queues, whose rows come and go.

mod below;
mod blob;
mod blob_link;
mod clock;
mod debt;
mod discard;
mod ended_job;
mod event;
mod extent;
mod garbage;
mod garbage_deadline;
mod home_since;
mod job;
mod job_totals;
mod leftover;
mod link;
mod manifest;
mod manifest_content;
mod manifest_parent;
mod manifest_tag;
mod manifest_use;
mod named;
mod object;
mod placement_totals;
mod policy;
mod policy_version;
mod policy_walk;
mod pull;
mod referrer;
mod replication;
mod repository;
mod repository_upload;
mod request;
mod request_expiry;
mod retention_due;
mod retention_run;
mod shard_placement;
mod shortfall;
mod shortfall_order;
mod tag;
mod tag_history;
mod tombstone;
mod tombstone_content;
mod totals;
mod unheld;
mod upload;
mod upload_expiry;
mod usage;
mod usage_blob;

use storage::kv::Column;

pub(crate) use below::rows_below;
pub(crate) use blob::Blobs;
pub(crate) use blob_link::BlobLinks;
pub(crate) use clock::CatalogClock;
pub(crate) use debt::Debts;
pub(crate) use discard::Discards;
pub(crate) use ended_job::EndedJobs;
pub(crate) use event::Feed;
pub(crate) use extent::Extents;
pub(crate) use garbage::GarbageQueue;
pub(crate) use garbage_deadline::GarbageDeadlines;
pub(crate) use home_since::HomesSince;
pub(crate) use job::Jobs;
pub(crate) use job_totals::JobCounts;
pub(crate) use leftover::Leftovers;
pub(crate) use link::Links;
pub(crate) use manifest::Manifests;
pub(crate) use manifest_content::ManifestContents;
pub(crate) use manifest_parent::ManifestParents;
pub(crate) use manifest_tag::ManifestTags;
pub(crate) use manifest_use::ManifestUses;
pub(crate) use named::{behind, first_named};
pub(crate) use object::Objects;
pub(crate) use placement_totals::PlacementTotals;
pub(crate) use policy::Policies;
pub(crate) use policy_version::PolicyVersion;
pub(crate) use policy_walk::PolicyWalks;
pub(crate) use pull::Pulls;
pub(crate) use referrer::Referrers;
pub(crate) use replication::Replications;
pub(crate) use repository::Repositories;
pub(crate) use repository_upload::RepositoryUploads;
pub(crate) use request::Requests;
pub(crate) use request_expiry::RequestExpiries;
pub(crate) use retention_due::RetentionDues;
pub(crate) use retention_run::RetentionRuns;
pub(crate) use shard_placement::ShardPlacements;
pub(crate) use shortfall::Shortfalls;
pub(crate) use shortfall_order::ShortfallOrder;
pub(crate) use tag::Tags;
pub(crate) use tag_history::TagHistory;
pub(crate) use tombstone::Tombstones;
pub(crate) use tombstone_content::TombstoneContents;
pub(crate) use totals::Totals;
pub(crate) use unheld::UnheldManifests;
pub(crate) use upload::Uploads;
pub(crate) use upload_expiry::UploadExpiries;
pub(crate) use usage::Usage;
pub(crate) use usage_blob::UsageBlobs;

/// Repositories and what they name.
const NAMES: Column = Column("names");
/// Blobs, objects, their places and uploads.
const BLOBS: Column = Column("blobs");
/// Manifest bytes and extents, which may hold inline bytes.
const CONTENT: Column = Column("content");
/// Rows that come and go in order: queues, the feed, counters.
const QUEUES: Column = Column("queues");

/// All columns of the catalog.
pub(super) const COLUMNS: &[Column] = &[NAMES, BLOBS, CONTENT, QUEUES];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    #[test]
    fn kind_bytes_are_unique() {
        let kinds = [
            Repositories::KIND,
            Manifests::KIND,
            ManifestContents::KIND,
            Tags::KIND,
            ManifestTags::KIND,
            Referrers::KIND,
            Links::KIND,
            BlobLinks::KIND,
            ManifestUses::KIND,
            ManifestParents::KIND,
            Blobs::KIND,
            Objects::KIND,
            Extents::KIND,
            ShardPlacements::KIND,
            Shortfalls::KIND,
            ShortfallOrder::KIND,
            Uploads::KIND,
            UploadExpiries::KIND,
            GarbageQueue::KIND,
            GarbageDeadlines::KIND,
            Discards::KIND,
            Feed::KIND,
            Totals::KIND,
            CatalogClock::KIND,
            Requests::KIND,
            RequestExpiries::KIND,
            PlacementTotals::KIND,
            UnheldManifests::KIND,
            Tombstones::KIND,
            TombstoneContents::KIND,
            TagHistory::KIND,
            Pulls::KIND,
            Policies::KIND,
            PolicyVersion::KIND,
            PolicyWalks::KIND,
            Usage::KIND,
            UsageBlobs::KIND,
            Jobs::KIND,
            EndedJobs::KIND,
            JobCounts::KIND,
            RetentionRuns::KIND,
            RetentionDues::KIND,
            Replications::KIND,
            Debts::KIND,
            RepositoryUploads::KIND,
            HomesSince::KIND,
            Leftovers::KIND,
        ];
        let unique: std::collections::BTreeSet<u8> = kinds.into_iter().collect();
        assert_eq!(unique.len(), kinds.len());
    }
}
