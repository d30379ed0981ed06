//! Every constant of the catalog in one place.

/// Seconds that a discarded shard set is kept, so that readers who hold its extent can finish.
pub const DISCARD_GRACE_SECONDS: u64 = 600;

/// Most seconds between two touches of the same thing that change something: touches are coalesced, within an eighth of
/// the grace.
pub const TOUCH_INTERVAL_SECONDS_MAX: u64 = 3600;

/// Most garbage that one command collects.
pub const GARBAGE_COLLECTED_PER_COMMAND: u32 = 1024;

/// Most extents, edges and history rows that a collection removes before it leaves the rest to the next command. One
/// item is always collected, whatever it holds.
pub const ROWS_COLLECTED_PER_COMMAND: usize = 4096;

/// Changes of a tag that are remembered.
pub const TAG_CHANGES_KEPT: u64 = 100;

/// Most pulls that one command takes.
pub const PULLS_PER_COMMAND: usize = 1024;

/// Seconds that events of the change feed are kept.
pub const EVENT_RETENTION_SECONDS: u64 = 7 * 24 * 3600;

/// Most events that one command trims from the feed.
pub const EVENTS_TRIMMED_PER_COMMAND: usize = 64;

/// Seconds that the answer to a request is remembered that must not take effect twice. A proposer repeats one for less
/// than ten.
pub const REQUEST_RETENTION_SECONDS: u64 = 300;

/// Most requests that one command forgets.
pub const REQUESTS_TRIMMED_PER_COMMAND: usize = 64;

/// Most extents of an upload. Each request above the inline limit adds one at least, and an upload is published or
/// discarded by one command.
pub const UPLOAD_EXTENTS_MAX: u32 = 10_000;

/// Most extents that an expiry of uploads discards before it leaves the rest to the next command. One session more is
/// always ended, whatever it holds.
pub const EXTENTS_EXPIRED_PER_COMMAND: usize = 4096;

/// Most unknown blobs that a refused manifest is answered with.
pub const UNKNOWN_BLOBS_NAMED: usize = 16;

/// Most shards that one report about a node or disk looks at.
pub const LOCATION_SHARDS_MAX: u32 = 256;

/// Most tags, and most indexes, that are named with one use of a damaged blob.
pub const DAMAGED_NAMES_MAX: usize = 64;

/// Most changed policies in one command.
pub const POLICIES_PER_COMMAND: usize = 256;

/// Most unheld manifests that one command looks at again.
pub const WALKED_PER_COMMAND: u32 = 256;

/// Most tags that one step of a job deletes.
pub const TAGS_PER_STEP: usize = 256;

/// Most jobs that run at once.
pub const JOBS_RUNNING_MAX: u64 = 64;

/// Ended jobs that are kept for reading.
pub const JOBS_ENDED_KEPT: u64 = 100;

/// Most debts that one command takes in, settles or forgets.
pub const DEBTS_PER_COMMAND: usize = 1024;

/// Most debts of one replication: what the source has said beyond that waits in its feed.
pub const DEBTS_MAX: u64 = 65_536;

/// Most bytes of what is noted of a debt that could not be paid.
pub const DEBT_ERROR_BYTES_MAX: usize = 256;

/// Most things that one command takes away from a repository.
pub const EVICTED_PER_COMMAND: u32 = 1024;
