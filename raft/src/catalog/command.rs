//! The catalog's commands. An append-only enum; golden files freeze the encodings.

use serde::{Deserialize, Serialize};
use storage::kv::Bytes;
use storage::shard::{Attempt, DiskId, ExtentIndex, ObjectId, ShardIndex};

use super::history::RestoreTarget;
use super::job::{JobId, JobStep, StartJob};
use super::layout::{CodedExtent, ExtentBody, PlacementKey, ShardLocation};
use super::name::{Algorithm, Digest, RepositoryName, SessionId, Tag};
use super::policies::NamespaceCopy;
use super::record::UploadPosition;
use super::replication::{AdvanceReplication, Owed, SettleDebts};
use super::shortfall::ShortfallReason;
use crate::id::{NodeId, RegionId};
use crate::time::Timestamp;

/// A change to a region's catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Moves the catalog's clock on and does nothing else.
    Tick,
    /// Begins an upload session. Repeating it with the same ids is harmless.
    StartUpload(StartUpload),
    /// Commits bytes of an upload.
    AdvanceUpload {
        /// The session.
        session: SessionId,
        /// What was written.
        advance: Advance,
    },
    /// Commits the last bytes, publishes the object as a blob and links it to the session's repository.
    FinishUpload {
        /// The session.
        session: SessionId,
        /// What was written since the last commit.
        advance: Advance,
        /// Digest that the gateway verified over all bytes.
        digest: Digest,
    },
    /// Ends a session; its shards are discarded.
    CancelUpload {
        /// The session.
        session: SessionId,
        /// Repository it must belong to.
        repository: RepositoryName,
    },
    /// Ends sessions whose expiry has passed, at most this many.
    ExpireUploads {
        /// Most sessions to end.
        limit: u32,
    },
    /// Links an existing blob to a repository.
    MountBlob {
        /// Repository that receives the link.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
        /// Repository that must link it already; any, if none.
        from: Option<RepositoryName>,
        /// Who asks; `None` if nobody knows.
        principal: Option<String>,
    },
    /// Renews the grace of a blob that a client was told exists.
    TouchBlob {
        /// Repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// Removes a repository's link to a blob, unless a manifest of the repository uses it.
    UnlinkBlob {
        /// Repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
        /// Who asks; `None` if nobody knows.
        principal: Option<String>,
    },
    /// Stores a manifest and sets tags on it.
    PutManifest(PutManifest),
    /// Removes a tag, not its manifest.
    DeleteTag {
        /// Repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// Who asks; `None` if nobody knows.
        principal: Option<String>,
        /// For which debts; those who copy say so, and nobody else.
        owed: Option<Owed>,
    },
    /// Removes a manifest with the tags that point to it.
    DeleteManifest {
        /// Repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
        /// Who asks; `None` if nobody knows.
        principal: Option<String>,
        /// For which debts; those who copy say so, and nobody else.
        owed: Option<Owed>,
    },
    /// Puts new shards in the place of an extent's old ones, which are discarded.
    ReplaceExtent {
        /// Object of the extent.
        object: ObjectId,
        /// Its index.
        extent: ExtentIndex,
        /// Layout that is replaced; if another one is current, nothing happens.
        expected: Attempt,
        /// The new shards.
        body: CodedExtent,
        /// Set when the new shards are below the cluster's redundancy too.
        shortfall: Option<Shortfall>,
    },
    /// Puts an extent on the list of those below their redundancy.
    ReportShortfall {
        /// Object of the extent.
        object: ObjectId,
        /// Its index.
        extent: ExtentIndex,
        /// Layout that was seen; if another one is current, nothing happens.
        attempt: Attempt,
        /// What is missing.
        shortfall: Shortfall,
    },
    /// Forgets discarded shard sets whose files are gone.
    Swept {
        /// The sets.
        discards: Vec<DiscardKey>,
    },
    /// Puts newly written shards in the place of some of an extent's old ones, which are discarded. Shards that are
    /// moved are missing no more.
    MoveShards {
        /// Object of the extent.
        object: ObjectId,
        /// Its index.
        extent: ExtentIndex,
        /// Layout that is changed; if another one is current, nothing happens.
        expected: Attempt,
        /// The layout's new version, and the attempt that wrote all the new shards.
        attempt: Attempt,
        /// The new shards, by shard index, each once.
        moves: Vec<ShardMove>,
    },
    /// Puts the extents of shards that a node or disk should hold on the list of those below their redundancy, page by
    /// page.
    ReportLocation {
        /// The node.
        node: NodeId,
        /// Its disk; all of them, if none.
        disk: Option<DiskId>,
        /// Where the last page ended.
        after: Option<PlacementKey>,
        /// Most shards to look at; never more than [`LOCATION_SHARDS_MAX`](super::LOCATION_SHARDS_MAX).
        limit: u32,
        /// Why they are missing: [`NodeAway`](ShortfallReason::NodeAway) or [`DiskFailed`](ShortfallReason::DiskFailed).
        reason: ShortfallReason,
    },
    /// Takes back what [`ReportLocation`](Self::ReportLocation) said: shards that are missing for that reason alone are
    /// there again.
    ForgiveLocation {
        /// The node.
        node: NodeId,
        /// Its disk; all of them, if none.
        disk: Option<DiskId>,
        /// Where the last page ended.
        after: Option<PlacementKey>,
        /// Most shards to look at; never more than [`LOCATION_SHARDS_MAX`](super::LOCATION_SHARDS_MAX).
        limit: u32,
        /// What was said: [`NodeAway`](ShortfallReason::NodeAway) or [`DiskFailed`](ShortfallReason::DiskFailed).
        reason: ShortfallReason,
    },
    /// Takes back that an extent's profile is below what the cluster could give: it is as good as it can be.
    AcceptProfile {
        /// Object of the extent.
        object: ObjectId,
        /// Its index.
        extent: ExtentIndex,
        /// Layout that was judged; if another one is current, nothing happens.
        expected: Attempt,
    },
    /// Takes garbage out whose deadline has passed, the oldest first.
    CollectGarbage {
        /// Most items; never more than [`GARBAGE_COLLECTED_PER_COMMAND`](super::GARBAGE_COLLECTED_PER_COMMAND), and
        /// fewer when they hold many rows.
        limit: u32,
    },
    /// Takes a deletion back, within its window.
    Restore {
        /// Repository.
        repository: RepositoryName,
        /// What was deleted.
        target: RestoreTarget,
        /// Who asks; `None` if nobody knows.
        principal: Option<String>,
    },
    /// Notes that manifests were pulled. Those that do not exist are passed over.
    RecordPulls {
        /// The manifests, at most [`PULLS_PER_COMMAND`](super::PULLS_PER_COMMAND).
        pulls: Vec<(RepositoryName, Digest)>,
    },
    /// Brings the catalog's copy of the namespaces' policies up to the directory's, page by page. A version that is older
    /// than one that was begun, or that is complete, is refused as stale; so a first page without changes makes sure that
    /// no delayed page of an older version can come after it.
    SyncPolicies {
        /// Version of the directory that the changes belong to.
        version: u64,
        /// What differs, by prefix: what is said there, or none. At most
        /// [`POLICIES_PER_COMMAND`](super::POLICIES_PER_COMMAND).
        changes: Vec<(String, Option<NamespaceCopy>)>,
        /// Whether this is the last page.
        complete: bool,
    },
    /// Looks again at manifests that nothing holds, where the policy of untagged manifests has changed.
    WalkPolicies {
        /// Most manifests; never more than [`WALKED_PER_COMMAND`](super::WALKED_PER_COMMAND).
        limit: u32,
    },
    /// Begins to delete tags in the background.
    StartJob(StartJob),
    /// Goes one step on with a job.
    JobStep(JobStep),
    /// Ends a job before it is done. What it deleted stays deleted.
    CancelJob {
        /// The job.
        job: JobId,
    },
    /// Renews the grace of a manifest that nothing holds and that a client was told exists.
    TouchManifest {
        /// Repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
    },
    /// Takes in what another region has and this one does not: how far that was heard, and what is owed since.
    AdvanceReplication(AdvanceReplication),
    /// Strikes debts off that were paid, and notes of others why they could not be.
    SettleDebts(SettleDebts),
    /// Forgets what is known of a replication, page by page: its debts first, then itself. The answer counts the rows
    /// that went, none when nothing is left.
    DropReplication {
        /// Region that it copies from.
        source: RegionId,
        /// Prefix that it copies.
        prefix: String,
        /// Most rows; never more than [`DEBTS_PER_COMMAND`](super::DEBTS_PER_COMMAND).
        limit: u32,
    },
    /// Takes away what a repository holds where this region is foreign to it. Nothing is kept to restore, and no event
    /// tells of it: nothing was deleted, it rests elsewhere. What no other repository links is garbage at once. Stale
    /// while it is known of a prefix of the repository how far it was copied: that would be wrong from then on.
    Evict {
        /// The repository.
        repository: RepositoryName,
        /// Most things; never more than [`EVICTED_PER_COMMAND`](super::EVICTED_PER_COMMAND), and fewer when they hold
        /// many rows.
        limit: u32,
        /// Version of the policies by which it is foreign; if another one is here, or comes in, nothing happens.
        policy_version: u64,
    },
}

/// A shard's new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardMove {
    /// The shard.
    pub shard: ShardIndex,
    /// Where it rests now.
    pub to: ShardLocation,
}

/// Begins an upload session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartUpload {
    /// Id of the session, random.
    pub session: SessionId,
    /// Id of the object, random.
    pub object: ObjectId,
    /// Repository.
    pub repository: RepositoryName,
    /// Who begins it.
    pub principal: Option<String>,
    /// Algorithm of the streamed hash.
    pub algorithm: Algorithm,
    /// Initial state of the streamed hash.
    pub hash_state: Bytes,
    /// Seconds without progress after which the session expires.
    pub lifetime_seconds: u64,
}

/// Bytes added to an upload, all of them on stable storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advance {
    /// Position that this builds on.
    pub expected: UploadPosition,
    /// State of the streamed hash after the new bytes.
    pub hash_state: Bytes,
    /// New extents, in order, behind those committed.
    pub extents: Vec<NewExtent>,
    /// Earlier extents that were written anew because they lost a shard meanwhile, or had less parity than is possible
    /// by now.
    pub replaced: Vec<ReplacedExtent>,
    /// Parity that every coded extent of the upload has at least afterwards: what the nodes of now allow.
    pub parity: u8,
    /// Seconds without progress after which the session expires.
    pub lifetime_seconds: u64,
}

/// A new extent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewExtent {
    /// Its bytes.
    pub body: ExtentBody,
    /// Set when it is below the cluster's redundancy.
    pub shortfall: Option<Shortfall>,
}

/// An extent of the session's object that was written anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedExtent {
    /// Its index.
    pub extent: ExtentIndex,
    /// The new shards.
    pub body: CodedExtent,
    /// Set when it is below the cluster's redundancy.
    pub shortfall: Option<Shortfall>,
}

/// What an extent lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// Shards that are missing or bad, by shard index. Empty when the reason speaks of the profile.
    pub missing: Vec<ShardIndex>,
    /// Why. Empty `missing` takes a reason that [is a weakness](ShortfallReason::is_weakness), and the other way round.
    pub reason: ShortfallReason,
}

/// A manifest to store, read and checked by the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutManifest {
    /// Repository.
    pub repository: RepositoryName,
    /// Digest of `bytes`, by which it is stored.
    pub digest: Digest,
    /// Media type as sent by the client.
    pub media_type: String,
    /// The exact bytes.
    pub bytes: Bytes,
    /// Tags to set on it.
    pub tags: Vec<Tag>,
    /// Blobs that must be linked to the repository: config and layers, foreign layers left out.
    pub blobs: Vec<Digest>,
    /// Manifests listed, if an index. They may be missing (a sparse index).
    pub children: Vec<Digest>,
    /// Manifest it refers to. It may be missing.
    pub subject: Option<Digest>,
    /// Its artifact type, or the media type of its config, for the list of referrers.
    pub artifact_type: Option<String>,
    /// Its annotations in key order, for the list of referrers.
    pub annotations: Vec<(String, String)>,
    /// Who pushes; `None` if nobody knows.
    pub principal: Option<String>,
    /// For which debts; those who copy say so, and nobody else.
    pub owed: Option<Owed>,
    /// When it was pushed and its tags were set at the home. Believed of what replication brings alone, and never later than
    /// now; now, if none.
    pub made: Option<Timestamp>,
}

/// Names a discarded shard set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DiscardKey {
    /// Not to be unlinked before this time.
    pub not_before: Timestamp,
    /// Object.
    pub object: ObjectId,
    /// Extent.
    pub extent: ExtentIndex,
    /// Attempt of the layout that referred to the shards.
    pub attempt: Attempt,
}

crate::versioned! {
    Command = 1, "catalog command";
}
