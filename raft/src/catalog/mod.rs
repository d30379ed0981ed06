//! The catalog: a region's group. Repositories, manifests, tags, referrers, blobs, uploads, redundancy, garbage.
//!
//! `command` says what can be asked, `response` what is answered, `apply` what it does, `table` what is kept under which
//! key, `record` what the rows hold, `layout` and `shortfall` those of bytes and what they lack, `garbage` and `history`
//! those of what goes and what is kept of it, `policies`, `usage` and `job` those of what namespaces want, what they use
//! and what is deleted for them, `replication` those of what is copied from other regions and what is owed, `view` how they
//! are read, `event` what consumers learn, `limit` every constant, `audit` what must hold in the whole.

mod apply;
pub mod audit;
mod command;
mod event;
mod garbage;
mod history;
mod job;
mod layout;
mod limit;
mod name;
mod policies;
mod record;
mod replication;
mod response;
mod shortfall;
mod table;
mod usage;
mod view;

#[cfg(test)]
mod tests;

pub use apply::Catalog;
pub use command::{
    Advance, Command, DiscardKey, NewExtent, PutManifest, ReplacedExtent, ShardMove, Shortfall, StartUpload,
};
pub use event::{Event, EventKind};
pub use garbage::{
    GarbageItem, GarbageTotals, UnheldRecord, is_touch_due, touch_interval_seconds, touched_deadline, unheld_deadline,
};
pub use history::{ChangeCause, RestoreTarget, TagChange, TombstoneRecord};
pub use job::{
    JobCursor, JobId, JobKind, JobRecord, JobScope, JobState, JobStep, JobTotals, RetentionRunRecord, StartJob,
    TagToDelete,
};
pub use layout::{
    CodedExtent, DiscardRecord, DiskLocation, ExtentBody, ExtentRecord, PlacementKey, PlacementRecord, PlacementTotals,
    ShardLocation,
};
pub use limit::*;
pub use name::{Algorithm, Digest, InvalidName, RepositoryName, SessionId, Tag};
pub use policies::{NamespaceCopy, PolicyVersionRecord, PolicyWalkRecord};
pub use record::*;
pub use replication::{
    AdvanceReplication, DebtItem, DebtRecord, FailedDebt, NewDebt, Owed, ReplicationPosition, ReplicationRecord,
    ReplicationScope, ReplicationStage, SettleDebts, SettledDebt,
};
pub use response::Response;
pub use shortfall::{MissingShard, ShortfallKey, ShortfallReason, ShortfallRecord};
pub use usage::{UsageBlobRecord, UsageRecord};
pub use view::{BlobUse, Damage, ManifestNames, View};

pub use crate::policy::QuotaResource;
pub use crate::table::StateError;
